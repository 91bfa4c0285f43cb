from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbx.crypto import merkle
from dbx.crypto.sign import public_key
from dbx.errors import Corrupt, Invalid
from dbx.formats.checkpoint import Checkpoint, format_checkpoint
from dbx.formats.note import COSIGNATURE, ED25519, Note, Signature, Vkey, format_note, parse_note, parse_vkey
from dbx.model.trust import cosign_note, grew_from, holds_entry, open_checkpoint, open_note, sign_note
from tests.vectors import shared

SEED = bytes(range(32))
KEY = Vkey("example.com/log", ED25519, public_key(SEED))
WITNESS = Vkey("witness.example", COSIGNATURE, public_key(SEED[::-1]))
ENTRIES = [str(number).encode() for number in range(7)]
LEAVES = [merkle.leaf_hash(entry) for entry in ENTRIES]
HEAD = Checkpoint("dbx/1", 7, merkle.root(LEAVES))
TEXT = format_checkpoint(HEAD)
SIGNED = format_note(Note(TEXT, (sign_note(TEXT, KEY, SEED), cosign_note(TEXT, WITNESS, SEED[::-1], 1679315147))))


def test_notes_of_others() -> None:
    cases = json.loads(shared("vectors/extracted/signed_notes.json").read_text())["open"]
    assert len(cases) > 15
    for case in cases:
        data, keys = base64.b64decode(case["note_b64"]), [parse_vkey(key) for key in case["vkeys"]]
        if case["expect"] == "error":
            with pytest.raises((Corrupt, Invalid)):
                open_note(data, keys)
        else:
            opened = open_note(data, keys)
            assert (len(opened.verified), len(opened.unverified)) == (case["verified"], case["unverified"]), case[
                "desc"
            ]


def test_signing_as_others_do() -> None:
    case = json.loads(shared("vectors/extracted/signed_notes.json").read_text())["sign"]
    seed = base64.b64decode(case["skey"].split("+", 4)[4])[1:]
    note = Note(case["text"], (sign_note(case["text"], parse_vkey(case["vkey"]), seed),))
    assert format_note(note).decode() == case["want"]


def test_the_log_and_the_witness() -> None:
    checkpoint, opened = open_checkpoint(SIGNED, [KEY, WITNESS])
    assert checkpoint == HEAD
    assert [(signed.key, signed.time_s) for signed in opened.verified] == [(KEY, None), (WITNESS, 1679315147)]
    assert open_checkpoint(SIGNED, [WITNESS])[1].unverified == parse_note(SIGNED).signatures[:1]


def test_the_witness_of_the_specification() -> None:
    """The example checkpoint of c2sp.org/tlog-cosignature is well-formed, and nobody here vouches for its keys."""
    data = (
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
        "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyW"
        "E+xeMcTOAYQ8=\n"
        "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0"
        "xUe+mbIUBkBIfZ+qnA==\n"
    ).encode()
    with pytest.raises(Corrupt, match="none of the keys that you trust") as caught:
        open_checkpoint(data, [KEY])
    assert caught.value.details == {"reason": "unknown-key"}


@settings(deadline=None)
@given(st.integers(0, len(SIGNED) * 8 - 1))
def test_any_flipped_bit_is_refused_or_says_the_same(bit: int) -> None:
    data = bytearray(SIGNED)
    data[bit // 8] ^= 1 << bit % 8
    try:
        checkpoint, _ = open_checkpoint(bytes(data), [KEY, WITNESS])
    except Corrupt:
        return
    assert checkpoint == HEAD


def test_a_signature_that_does_not_hold() -> None:
    other = format_checkpoint(HEAD._replace(size=8))
    for line in (sign_note(other, KEY, SEED), Signature(WITNESS.name, WITNESS.key_id, b"short")):
        with pytest.raises(Corrupt, match="does not hold") as caught:
            open_note(format_note(Note(TEXT, (line,))), [KEY, WITNESS])
        assert caught.value.details == {"reason": "changed"}


def test_a_log_key_is_no_witness() -> None:
    line = cosign_note(TEXT, KEY, SEED, 5)
    with pytest.raises(Corrupt):
        open_note(format_note(Note(TEXT, (line,))), [KEY])


def test_proofs() -> None:
    for index, entry in enumerate(ENTRIES):
        proof = merkle.prove_inclusion(LEAVES, index)
        assert holds_entry(HEAD, index, proof, entry)
        assert not holds_entry(HEAD, index, proof, entry + b"x")
        assert not holds_entry(HEAD, (index + 1) % 7, proof, entry)


def test_growth() -> None:
    for size in range(1, 8):
        old = Checkpoint("dbx/1", size, merkle.root(LEAVES[:size]))
        assert grew_from(old, HEAD, merkle.prove_consistency(LEAVES, size))
        assert not grew_from(old._replace(root=bytes(32)), HEAD, merkle.prove_consistency(LEAVES, size))
    assert grew_from(Checkpoint("dbx/1", 0, merkle.EMPTY), HEAD, [])
    assert not grew_from(Checkpoint("dbx/1", 0, bytes(32)), HEAD, [])
    assert not grew_from(HEAD, Checkpoint("dbx/1", 3, merkle.root(LEAVES[:3])), [])
