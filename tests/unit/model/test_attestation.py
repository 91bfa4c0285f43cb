from __future__ import annotations

import json
from base64 import b64decode, b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbx.crypto.sign import public_key
from dbx.errors import Corrupt
from dbx.formats.checkpoint import Checkpoint
from dbx.formats.note import ED25519, Vkey
from dbx.model.attestation import FAILED, PASSED, Verification, attest, read_attestation

SEED = bytes(range(32))
KEY = Vkey("acme", ED25519, public_key(SEED))
CHECKPOINT = Checkpoint("dbx/1", 7, bytes(32))
FOUND = Verification("ops", "jane", "2026-11-23T07:42:00.123456Z", "dbx 0.1.0", False, 7, 40, 0)
DATA = attest(CHECKPOINT, FOUND, KEY, SEED)


def test_what_it_says() -> None:
    assert read_attestation(DATA, [KEY]) == (CHECKPOINT, FOUND, (KEY,))
    assert read_attestation(DATA, []).signers == ()
    assert (FOUND.result, FOUND._replace(findings=2).result) == (PASSED, FAILED)


@settings(deadline=None)
@given(st.integers(0, len(DATA) * 8 - 1))
def test_any_flipped_bit(bit: int) -> None:
    data = bytearray(DATA)
    data[bit // 8] ^= 1 << bit % 8
    try:
        read = read_attestation(bytes(data), [KEY])
    except Corrupt:
        return
    assert read.signers == () or read[:2] == (CHECKPOINT, FOUND)


@pytest.mark.parametrize(
    "change",
    [
        {"subject": []},
        {"predicateType": "urn:other"},
        {"predicate": {}},
        {"predicate": {"result": "passed"}},
    ],
)
def test_statements_that_say_something_else(change: dict[str, object]) -> None:
    envelope = json.loads(DATA)
    statement = {**json.loads(b64decode(envelope["payload"])), **change}
    envelope["payload"] = b64encode(json.dumps(statement).encode()).decode()
    with pytest.raises(Corrupt):
        read_attestation(json.dumps(envelope).encode(), [])


def test_members_of_the_wrong_kind() -> None:
    envelope = json.loads(DATA)
    statement = json.loads(b64decode(envelope["payload"]))
    for name, value in (("events", "40"), ("findings", True), ("quick", 0), ("verifier", None), ("result", "failed")):
        changed = {**statement, "predicate": {**statement["predicate"], name: value}}
        envelope["payload"] = b64encode(json.dumps(changed).encode()).decode()
        with pytest.raises(Corrupt):
            read_attestation(json.dumps(envelope).encode(), [])
