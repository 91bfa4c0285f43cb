"""Runs that are put over one another: what the last one says of an aggregate, and by which number."""

from __future__ import annotations

from hashlib import sha256

import pytest

from dbx.formats.envelope import Body, Envelope, encode_body, encode_envelope
from dbx.repo.check import part as module
from dbx.repo.check.blocks import BlockReader
from dbx.repo.check.part import DIGEST_BYTES, Part, Place, digest_of

SALT = "AAECAwQFBgcICQoL"
TIME = "2026-11-26T10:00:00.000000Z"


Event = tuple[str, int, dict[str, object]]
PLACE: Place = (0, 0, 0, None, None)


def put(part: Part, *events: Event) -> bytes:
    """Events: (id, version, payload); each has its id as metadata. Their bodies in one piece."""
    envelopes, bodies = b"", b""
    for n, (name, version, payload) in enumerate(events):
        line = encode_body(Body(payload, {"@of": name}, None, SALT))
        envelope = Envelope(name, "order", sha256(line).hexdigest(), TIME, 7 + n, "placed", None, version)
        envelopes += encode_envelope(envelope) + b"\n"
        bodies += line + b"\n"
    columns = BlockReader().read(envelopes, bodies)
    assert columns is not None
    part.add(columns, 0, PLACE)
    return bodies


def run(*events: Event) -> Part:
    """A folded run of events."""
    part = Part()
    put(part, *events)
    part.fold()
    return part


FIRST: tuple[Event, ...] = (("a", 1, {"n": 1, "x": 1}), ("b", 1, {"n": 1}), ("c", 1, {"n": 1}))
AGAIN: tuple[Event, ...] = (("c", 2, {"n": 5, "x": 1}), ("e", 1, {"k": 1}), ("a", 2, {"n": 2, "y": 0}))
SECOND: tuple[Event, ...] = (("d", 1, {"z": []}), ("b", 2, {"n": 2}), ("a", 3, {"n": 3, "y": "é"}), ("d", 2, {"n": 9}))


@pytest.mark.parametrize("live", [0, 40_000])
def test_a_run_over_another_is_both_in_one(monkeypatch: pytest.MonkeyPatch, live: int) -> None:
    first = run(*FIRST).encode_states()
    monkeypatch.setattr(module, "_LIVE", live)  # with 0 the states are packed
    later = run(*SECOND)
    later.put_over(first)
    both = run(*FIRST, *SECOND)
    assert later.names == both.names
    assert [later.state(n) for n in range(4)] == [both.state(n) for n in range(4)]
    assert later.extensions == both.extensions
    assert later.digest_states() == both.digest_states()


def test_a_digest_is_that_of_both_canonical_texts() -> None:
    found = run(*SECOND[1:3]).digest_states()
    assert found[:DIGEST_BYTES] == digest_of(b'{"n":2}', b'{"@of":"b"}')
    assert found[DIGEST_BYTES:] == digest_of('{"n":3,"y":"é"}'.encode(), b'{"@of":"a"}')


@pytest.mark.parametrize("live", [0, 40_000])
@pytest.mark.parametrize("windows", [1, 2])
def test_what_was_only_named_is_folded_below_what_came_after_it(
    monkeypatch: pytest.MonkeyPatch, live: int, windows: int
) -> None:
    monkeypatch.setattr(module, "_LIVE", live)
    monkeypatch.setattr(module, "_PACKED_BLOCKS", 1)
    monkeypatch.setattr(module, "_AT_ONCE", 1)
    first = Part(folds=False)
    bodies = [put(first, *FIRST), put(first, *AGAIN)]  # they are asked for from the last to the first
    later = Part()
    if windows == 1:
        put(later, *SECOND)
    else:
        put(later, *SECOND[:2])
        later.fold()
        put(later, *SECOND[2:])
    later.fold()
    later.fold_before(first.encode_held(), lambda place: bodies.pop())
    assert not bodies
    both = run(*FIRST, *AGAIN, *SECOND)
    assert later.names == both.names
    assert [later.state(n) for n in range(5)] == [both.state(n) for n in range(5)]
    assert later.extensions == both.extensions
    assert later.digest_states() == both.digest_states()


def test_bodies_that_are_not_what_was_named() -> None:
    first = Part(folds=False)
    bodies = put(first, *FIRST)
    for other in (b"", bodies + bodies, bodies.replace(b'{"n":', b'{"n": ')):
        read = {PLACE: other}.__getitem__
        with pytest.raises(module.NotCanonical):
            run(*SECOND).fold_before(first.encode_held(), read)
