from __future__ import annotations

import pytest

from dbx.errors import Corrupt
from dbx.formats.knownkeys import (
    OWN,
    WITNESS,
    KnownKey,
    KnownKeys,
    decode_known_keys,
    encode_known_keys,
    parse_rotation,
    rotation_text,
)
from dbx.formats.note import COSIGNATURE, ED25519, Vkey

KEY = Vkey("a", ED25519, bytes(range(32)))
OTHER = Vkey("b", COSIGNATURE, bytes(32))
TIME = "2026-11-23T07:42:00.123456Z"
KNOWN = KnownKeys((KnownKey(KEY, OWN, TIME, None), KnownKey(OTHER, WITNESS, TIME, TIME)), (b"note\n",))


def test_one_spelling() -> None:
    data = encode_known_keys(KNOWN)
    assert decode_known_keys(data) == KNOWN
    assert data.endswith(b"}\n")
    assert decode_known_keys(encode_known_keys(KnownKeys())) == KnownKeys()


def test_every_truncation_and_flipped_bit() -> None:
    data = encode_known_keys(KNOWN)
    for size in range(len(data)):
        with pytest.raises(Corrupt):
            decode_known_keys(data[:size])
    for bit in range(len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            known = decode_known_keys(bytes(changed))
        except Corrupt:
            continue
        assert encode_known_keys(known) == changed


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]\n",
        b"{}\n",
        b'{"format":2,"keys":[],"rotations":[]}\n',
        b'{"format":1,"keys":[1],"rotations":[]}\n',
        b'{"format":1,"keys":{},"rotations":[]}\n',
        b'{"format":1,"keys":[],"more":1,"rotations":[]}\n',
        encode_known_keys(KNOWN._replace(keys=(KnownKey(KEY, "stranger", TIME, None),))),
    ],
)
def test_malformed(data: bytes) -> None:
    with pytest.raises(Corrupt):
        decode_known_keys(data)


def test_rotations() -> None:
    text = rotation_text(KEY, OTHER, TIME)
    assert parse_rotation(text) == (KEY, OTHER, TIME)
    for bad in ("", text[:-1], text + "\n", text.replace("v1", "v2"), text.replace("a+", "c+")):
        with pytest.raises(Corrupt):
            parse_rotation(bad)
