"""Proofs are made from a domain and verified with nothing but their bytes and a key."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbx.crypto import merkle
from dbx.errors import Corrupt, Invalid, NotFound
from dbx.formats.checkpoint import parse_checkpoint
from dbx.formats.note import parse_note
from dbx.formats.proof import AbsenceProof, AggregateProof, EventProof, Proof, decode_proof, encode_proof
from dbx.model.proof import Verdict, verify_proof
from dbx.repo.domain import Domain
from dbx.repo.evidence.checkpoints import sign_checkpoint
from dbx.repo.evidence.proofs import Prover
from dbx.repo.repository import Repository
from dbx.repo.vault.keys import generate_key
from dbx.repo.writer import Append, Appender
from tests.history import append, item, open_repository


def fill(directory: Path) -> tuple[Repository, Domain]:
    repository = open_repository(directory)
    domain = repository.domain()
    for n in range(5):
        append(domain, f"o-{n}", "all", f"p-{n}")
    Appender(domain).append(Append([item("big", number=n) for n in range(40)], issued_by=None))
    generate_key(repository, "acme")
    return repository, domain


@pytest.fixture
def shop(tmp_path: Path) -> tuple[Repository, Domain, bytes, list[Any]]:
    repository, domain = fill(tmp_path)
    signed = sign_checkpoint(repository, domain)
    return repository, domain, signed.note, [signed.key]


def holding(verdict: Verdict) -> dict[str, bool | None]:
    return {link.name: link.holds for link in verdict.links}


def test_every_event(shop: tuple[Repository, Domain, bytes, list[Any]]) -> None:
    _, domain, note, keys = shop
    prover = Prover(domain, note)
    for position in range(55):
        proof = prover.prove_event(position)
        assert decode_proof(encode_proof(proof)) == proof
        verdict = verify_proof(proof, keys)
        assert verdict.reason is None, verdict
        assert holding(verdict) == dict.fromkeys(
            ("body", "own log", "signature", "own commit", "aggregate", "log", "index"), True
        )
        assert verdict.signers == ("acme",)
        assert len(encode_proof(proof._replace(body=None))) < 6000
    for position in (55, -1):
        with pytest.raises(NotFound):
            prover.prove_event(position)


def test_without_a_body(shop: tuple[Repository, Domain, bytes, list[Any]]) -> None:
    _, domain, note, keys = shop
    verdict = verify_proof(Prover(domain, note).prove_event(3, body=False), keys)
    assert verdict.reason is None
    assert holding(verdict)["body"] is None


def test_an_aggregate(shop: tuple[Repository, Domain, bytes, list[Any]]) -> None:
    _, domain, note, keys = shop
    prover = Prover(domain, note)
    for name in (("order", "all"), ("order", "big"), ("order", "o-2")):
        for options in ({}, {"events": True}, {"events": True, "bodies": False}):
            proof = prover.prove_aggregate(name, **options)
            assert decode_proof(encode_proof(proof)) == proof
            assert verify_proof(proof, keys).reason is None
    for name in (("order", "none"), ("user", "all")):
        with pytest.raises(NotFound):
            prover.prove_aggregate(name)


def test_absence(shop: tuple[Repository, Domain, bytes, list[Any]]) -> None:
    _, domain, note, keys = shop
    prover = Prover(domain, note)
    for n in range(40):
        proof = prover.prove_absence(("order", f"none-{n}"))
        assert decode_proof(encode_proof(proof)) == proof
        assert verify_proof(proof, keys).reason is None
        assert verify_proof(proof._replace(aggregate=("order", "all")), keys).reason in ("changed", "extra")
    with pytest.raises(Invalid, match="exists"):
        prover.prove_absence(("order", "all"))


def test_growth_of_the_log(shop: tuple[Repository, Domain, bytes, list[Any]]) -> None:
    repository, domain, note, keys = shop
    append(domain, "later")
    newer = sign_checkpoint(repository, domain).note
    prover = Prover(domain, newer)
    older = parse_checkpoint(parse_note(note).text)
    for first in (older, 1, 3, 6, 7):
        proof = prover.prove_growth(first)
        assert decode_proof(encode_proof(proof)) == proof
        assert verify_proof(proof, keys, older).reason is None
    for size in (0, 8):
        with pytest.raises(NotFound):
            prover.prove_growth(size)
    with pytest.raises(Corrupt) as caught:
        prover.prove_growth(older._replace(root=bytes(32)))
    assert caught.value.details == {"reason": "forked"}
    backwards = prover.prove_growth(older)._replace(first=newer.decode(), second=note.decode())
    assert verify_proof(backwards, keys).reason == "stale"


def test_growth_of_an_aggregate(shop: tuple[Repository, Domain, bytes, list[Any]]) -> None:
    _, domain, note, keys = shop
    prover = Prover(domain, note)
    for first, second in ((1, 1), (1, 5), (3, 4), (7, 40), (40, 40)):
        name = ("order", "big") if second > 5 else ("order", "all")
        proof = prover.prove_history(name, first, second)
        assert decode_proof(encode_proof(proof)) == proof
        assert verify_proof(proof, keys).reason is None
        forged = proof._replace(first=(proof.first[0], bytes(32)))
        assert verify_proof(forged, keys).reason == "forked"
    for versions in ((0, 1), (2, 1), (1, 41)):
        with pytest.raises(NotFound):
            prover.prove_history(("order", "big"), *versions)


def test_against_an_older_checkpoint(shop: tuple[Repository, Domain, bytes, list[Any]]) -> None:
    _, domain, note, keys = shop
    append(domain, "later")
    prover = Prover(domain, note)
    proof = prover.prove_event(3)
    assert proof.current is None
    verdict = verify_proof(proof, keys)
    assert verdict.reason is None
    assert holding(verdict)["index"] is None
    with pytest.raises(NotFound, match="came later"):
        prover.prove_event(55)
    with pytest.raises(Invalid, match="only the newest index"):
        prover.prove_aggregate(("order", "all"))


def test_who_signed(shop: tuple[Repository, Domain, bytes, list[Any]]) -> None:
    _, domain, note, keys = shop
    unsigned = Prover(domain).prove_event(0)
    assert verify_proof(unsigned, keys).reason == "unsigned"
    signed = Prover(domain, note).prove_event(0)
    assert verify_proof(signed, []).reason == "unknown-key"
    other = keys[0]._replace(public=bytes(32))
    assert verify_proof(signed, [other]).reason == "unknown-key"


def test_what_the_verifier_knows(shop: tuple[Repository, Domain, bytes, list[Any]]) -> None:
    _, domain, note, keys = shop
    proof = Prover(domain, note).prove_event(0)
    mine = parse_checkpoint(parse_note(note).text)
    for known, reason in (
        (mine, None),
        (mine._replace(size=3), None),
        (mine._replace(size=99), "stale"),
        (mine._replace(root=bytes(32)), "forked"),
        (mine._replace(origin="dbx/other"), "forked"),
    ):
        assert verify_proof(proof, keys, known).reason == reason


def test_checkpoints_that_are_not_ours(shop: tuple[Repository, Domain, bytes, list[Any]], tmp_path: Path) -> None:
    _, _, note, _ = shop
    foreign = open_repository(tmp_path / "other").domain()
    append(foreign, "x")
    with pytest.raises(Invalid, match="another domain"):
        Prover(foreign, note)
    with pytest.raises(NotFound, match="no commits"):
        Prover(open_repository(tmp_path / "empty").domain()).prove_absence(("order", "x"))


def test_events_that_are_not_exactly_those(shop: tuple[Repository, Domain, bytes, list[Any]]) -> None:
    _, domain, note, keys = shop
    prover = Prover(domain, note)
    proof = prover.prove_aggregate(("order", "all"), events=True)
    events = proof.events
    assert events is not None
    stranger = prover.prove_event(0).envelope
    for changed, reason in (
        (events[1:], "missing"),
        (events[:-1], "missing"),
        ((*events, (stranger, None)), "extra"),
        ((*events, events[0]), "extra"),
        ((events[1], events[0], *events[2:]), "reordered"),
        (((events[0][0].replace("placed", "placid"), None), *events[1:]), "changed"),
        (((events[0][0], events[1][1]), *events[1:]), "changed"),
    ):
        assert verify_proof(proof._replace(events=tuple(changed)), keys).reason == reason


def test_legs_that_end_apart(shop: tuple[Repository, Domain, bytes, list[Any]]) -> None:
    _, domain, note, keys = shop
    signed, unsigned = Prover(domain, note).prove_event(0), Prover(domain).prove_event(0)
    assert signed.current is not None
    mixed = signed._replace(own=unsigned.own)
    assert verify_proof(mixed, keys).reason in ("forked", "unsigned")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[bytes], list[Any]]:
    repository, domain = fill(tmp_path_factory.mktemp("proofs"))
    signed = sign_checkpoint(repository, domain)
    prover = Prover(domain, signed.note)
    proofs: list[Proof] = [
        prover.prove_event(7),
        prover.prove_aggregate(("order", "all"), events=True),
        prover.prove_absence(("order", "none")),
        prover.prove_growth(3),
        prover.prove_history(("order", "big"), 5, 9),
    ]
    return [encode_proof(proof) for proof in proofs], [signed.key]


def claims(proof: Proof) -> Any:
    """What a proof shows, without how."""
    if isinstance(proof, EventProof):
        return proof.envelope, proof.body
    if isinstance(proof, AggregateProof):
        return proof.aggregate, proof.current.version, proof.current.root, proof.events
    return proof[:2] if hasattr(proof, "first") else proof[0]


@settings(deadline=None, max_examples=400)
@given(data=st.data())
def test_any_flipped_bit(files: tuple[list[bytes], list[Any]], data: st.DataObject) -> None:
    proofs, _ = files
    good = data.draw(st.sampled_from(proofs))
    bit = data.draw(st.integers(0, len(good) * 8 - 1))
    changed = bytearray(good)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Corrupt):
        decode_proof(bytes(changed))


@settings(deadline=None, max_examples=400)
@given(data=st.data())
def test_any_flipped_bit_by_somebody_who_knows_the_format(
    files: tuple[list[bytes], list[Any]], data: st.DataObject
) -> None:
    """With the sum made right again. Another absent aggregate may be named, which is true as well."""
    proofs, keys = files
    good = data.draw(st.sampled_from(proofs))
    bit = data.draw(st.integers(0, len(good) * 8 - 1))
    changed = bytearray(good)
    changed[bit // 8] ^= 1 << bit % 8
    try:
        document = json.loads(changed)
        document.pop("sum")
        plain = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        document["sum"] = sha256(plain.encode()).hexdigest()
        text = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n"
        proof = decode_proof(text.encode())
    except (Corrupt, ValueError, KeyError, AttributeError):
        return
    if verify_proof(proof, keys).reason is None and not isinstance(proof, AbsenceProof):
        assert claims(proof) == claims(decode_proof(good))


def test_every_truncation(files: tuple[list[bytes], list[Any]]) -> None:
    for good in files[0]:
        for size in range(0, len(good), 7 if len(good) > 5000 else 1):
            with pytest.raises(Corrupt):
                decode_proof(good[:size])


def test_shapes_that_no_proof_has(files: tuple[list[bytes], list[Any]]) -> None:
    for good in files[0]:
        value = json.loads(good)
        for change in (
            {"format": "dbx-proof/2"},
            {"format": 1},
            {"kind": "rumour"},
            {"kind": None},
            {"extra": 1},
            {"path": "x"} if "path" in value else {"aggregate": ["a"]},
            {"current": 5} if "current" in value else {"first": 5},
        ):
            text = json.dumps({**value, **change}, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n"
            with pytest.raises(Corrupt):
                decode_proof(text.encode())
    for data in (b"", b"\n", b"[]\n", b"{}\n", b"null\n", b'{"a":1,"a":2}\n', b"[" * 100_000, b"\xff\n"):
        with pytest.raises(Corrupt):
            decode_proof(data)


def test_the_merkle_root_of_the_log(shop: tuple[Repository, Domain, bytes, list[Any]]) -> None:
    _, domain, note, _ = shop
    checkpoint = parse_checkpoint(parse_note(note).text)
    assert checkpoint.size == 6
    assert checkpoint.root == merkle.root(Prover(domain).tree.ids(0, 6))
