"""The list of tokens: one spelling, and everything else is damage."""

from __future__ import annotations

import pytest

from dbx.errors import Corrupt
from dbx.formats.tokenledger import Issued, Revoked, decode_ledger, encode_ledger

ISSUED = (
    Issued({"jti": "a", "sub": "x"}, "00112233"),
    Issued({"jti": "b"}, "00112233", 7, Revoked(5, "lost")),
)


def test_round_trip() -> None:
    assert decode_ledger(encode_ledger(ISSUED)) == ISSUED
    assert decode_ledger(encode_ledger(())) == ()
    assert ISSUED[1].token_id == "b"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]\n",
        b"{}\n",
        b'{"format":2,"tokens":[]}\n',
        b'{"format":1,"tokens":[]}',
        b'{"format":1,"more":1,"tokens":[]}\n',
        b'{"format":1,"tokens":[1]}\n',
        b'{"format":1,"tokens":[{"claims":{"jti":1},"expires_at":null,"key":"k","revoked":null}]}\n',
        b'{"format":1,"tokens":[{"claims":{"jti":"a"},"expires_at":"x","key":"k","revoked":null}]}\n',
        b'{"format":1,"tokens":[{"claims":{"jti":"a"},"expires_at":null,"key":"k","revoked":{"at":1}}]}\n',
        encode_ledger((ISSUED[0], ISSUED[0])),
    ],
)
def test_anything_else_is_damage(data: bytes) -> None:
    with pytest.raises(Corrupt):
        decode_ledger(data)
