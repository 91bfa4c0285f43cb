from __future__ import annotations

import json
from base64 import urlsafe_b64encode

import pytest

from dbx.errors import Denied
from dbx.formats.token import MAX_TOKEN_CHARS, encode_signed_part, join_token, parse_token

SIGNED = encode_signed_part("k", {"sub": "a"})
TOKEN = join_token(SIGNED, bytes(64))


def part(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


TWICE, NOT_A_NUMBER = '{"a":1,"a":2}', '{"a":NaN}'
HEADER = {"alg": "EdDSA", "kid": "k", "typ": "JWT"}
SIGNATURE = TOKEN.rpartition(".")[2]


def test_parts() -> None:
    compact = parse_token(TOKEN)
    assert compact == ("k", {"sub": "a"}, SIGNED.encode(), bytes(64))


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "a.b.c",
        TOKEN[:-1],
        TOKEN + "A",
        TOKEN + "=",
        TOKEN + "\n",
        TOKEN + ".AA",
        " " + TOKEN,
        f"{SIGNED}.",
        f"{part({**HEADER, 'alg': 'none'})}.{part({})}.{SIGNATURE}",
        f"{part({**HEADER, 'alg': 'HS256'})}.{part({})}.{SIGNATURE}",
        f"{part({**HEADER, 'alg': 'eddsa'})}.{part({})}.{SIGNATURE}",
        f"{part({**HEADER, 'crit': ['exp']})}.{part({})}.{SIGNATURE}",
        f"{part({**HEADER, 'jwk': {}})}.{part({})}.{SIGNATURE}",
        f"{part({**HEADER, 'kid': 5})}.{part({})}.{SIGNATURE}",
        f"{part({'alg': 'EdDSA', 'typ': 'JWT'})}.{part({})}.{SIGNATURE}",
        f"{part([])}.{part({})}.{SIGNATURE}",
        f"{part(HEADER)}.{part([])}.{SIGNATURE}",
        f"{part(HEADER)}.{part('{')}.{SIGNATURE}",
        f"{part(HEADER)}.{part(TWICE)}.{SIGNATURE}",
        f"{part(HEADER)}.{part(NOT_A_NUMBER)}.{SIGNATURE}",
        f"{part(HEADER)}.{part('[' * 99 + ']' * 99)}.{SIGNATURE}",
        f"{part(HEADER)}.{part({})}é.{SIGNATURE}",
        "x" * (MAX_TOKEN_CHARS + 1),
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(Denied) as caught:
        parse_token(text)
    assert caught.value.details == {"reason": "malformed"}
    assert text.strip() == "" or text not in str(caught.value) or len(text) < 3
