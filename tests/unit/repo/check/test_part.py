"""Runs that are put over one another: what the last one says of an aggregate, and by which number."""

from __future__ import annotations

from hashlib import sha256

import pytest

from dbx.formats.envelope import Body, Envelope, encode_body, encode_envelope
from dbx.repo.check import part as module
from dbx.repo.check.blocks import BlockReader
from dbx.repo.check.part import DIGEST_BYTES, Part, digest_of

SALT = "AAECAwQFBgcICQoL"
TIME = "2026-11-26T10:00:00.000000Z"


def run(*events: tuple[str, int, dict[str, object]]) -> Part:
    """A folded run of events: (id, version, payload); each has its id as metadata."""
    envelopes, bodies = b"", b""
    for n, (name, version, payload) in enumerate(events):
        line = encode_body(Body(payload, {"@of": name}, None, SALT))
        envelope = Envelope(name, "order", sha256(line).hexdigest(), TIME, 7 + n, "placed", None, version)
        envelopes += encode_envelope(envelope) + b"\n"
        bodies += line + b"\n"
    columns = BlockReader().read(envelopes, bodies)
    assert columns is not None
    part = Part()
    part.add(columns, 0)
    part.fold()
    return part


FIRST = (("a", 1, {"n": 1, "x": 1}), ("b", 1, {"n": 1}), ("c", 1, {"n": 1}))
SECOND = (("d", 1, {"z": []}), ("b", 2, {"n": 2}), ("a", 2, {"n": 3, "y": "é"}), ("d", 2, {"n": 9}))


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
