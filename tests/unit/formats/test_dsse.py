from __future__ import annotations

import json

import pytest

from dbx.errors import Corrupt
from dbx.formats.dsse import (
    IN_TOTO,
    Envelope,
    decode_envelope,
    decode_statement,
    encode_envelope,
    encode_statement,
    pre_authentication,
)

ENVELOPE = Envelope(IN_TOTO, b"{}", (("0a1b2c3d", b"s" * 64),))


def test_pre_authentication() -> None:
    # The example of the DSSE protocol.
    assert pre_authentication("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_round_trip() -> None:
    assert decode_envelope(encode_envelope(ENVELOPE)) == ENVELOPE
    others = json.dumps(json.loads(encode_envelope(ENVELOPE)), indent=2)
    assert decode_envelope(others.encode()) == ENVELOPE
    statement = encode_statement([{"name": "a"}], "urn:x", {"b": 1})
    assert decode_statement(statement) == ([{"name": "a"}], "urn:x", {"b": 1})


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"payload": 1},
        {"payload": "e30", "payloadType": IN_TOTO, "signatures": [{"sig": "AA=="}]},
        {"payload": "e30=", "payloadType": 1, "signatures": [{"sig": "AA=="}]},
        {"payload": "e30=", "payloadType": IN_TOTO, "signatures": []},
        {"payload": "e30=", "payloadType": IN_TOTO, "signatures": {}},
        {"payload": "e30=", "payloadType": IN_TOTO, "signatures": ["AA=="]},
        {"payload": "e30=", "payloadType": IN_TOTO, "signatures": [{"sig": "AA"}]},
        {"payload": "e30=", "payloadType": IN_TOTO, "signatures": [{"sig": "AA==", "keyid": 5}]},
        {"payload": "e30=", "payloadType": IN_TOTO, "signatures": [{"sig": "AA=="}] * 101},
    ],
)
def test_malformed(value: object) -> None:
    with pytest.raises(Corrupt):
        decode_envelope(json.dumps(value).encode())


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'{"a":1,"a":2}', b"[" * 9999, b" " * (4 << 20) + b"{}"])
def test_not_json(data: bytes) -> None:
    for decode in (decode_envelope, decode_statement):
        with pytest.raises(Corrupt):
            decode(data)


@pytest.mark.parametrize(
    "change", [{"_type": "x"}, {"subject": {}}, {"predicateType": None}, {"predicate": []}, {"predicate": None}]
)
def test_statements_of_another_shape(change: dict[str, object]) -> None:
    value = {**json.loads(encode_statement([], "urn:x", {})), **change}
    with pytest.raises(Corrupt):
        decode_statement(json.dumps(value).encode())
