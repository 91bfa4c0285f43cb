"""Tokens as text: JSON Web Signatures in compact form (RFC 7515 §7.1), the payload being claims (RFC 7519).

    base64url({"alg":"EdDSA","kid":"…","typ":"JWT"}) . base64url({"aud":…,"exp":…,…}) . base64url(signature)

One algorithm, one spelling of each part; what is inside the claims is dbx.model.token's business.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from dbx.errors import Denied, Invalid
from dbx.formats import canonical
from dbx.formats.base64text import encode_base64url, find_base64url

MAX_TOKEN_CHARS = 16 * 1024
_ALGORITHM = "EdDSA"
_TYPE = "JWT"
_MAX_DEPTH = 8
_SIGNATURE_BYTES = 64


class Compact(NamedTuple):
    """A token taken apart: who is said to have signed it, the claims, what was signed, the 64 bytes of signature."""

    key_id: str
    claims: dict[str, Any]
    signed: bytes
    signature: bytes


def encode_signed_part(key_id: str, claims: dict[str, Any]) -> str:
    """The first two parts, which is what gets signed."""
    header = {"alg": _ALGORITHM, "kid": key_id, "typ": _TYPE}
    return f"{encode_base64url(canonical.encode(header))}.{encode_base64url(canonical.encode(claims))}"


def join_token(signed: str, signature: bytes) -> str:
    """The token."""
    return f"{signed}.{encode_base64url(signature)}"


def parse_token(text: str) -> Compact:
    """A token taken apart. Raises Denied for anything else, without saying more than that: tokens come from strangers.

    An algorithm other than EdDSA, an unknown header member, a second spelling of a part: all are refused here.
    """
    parts = text.split(".") if text.isascii() and len(text) <= MAX_TOKEN_CHARS else []
    decoded = [find_base64url(part) for part in parts]
    if len(decoded) != 3 or None in decoded:
        raise _refusal("it is not a JSON Web Signature of three parts")
    header, claims = (_object(part or b"") for part in decoded[:2])
    key_id = header.get("kid")
    if header != {"alg": _ALGORITHM, "kid": key_id, "typ": _TYPE} or not isinstance(key_id, str):
        raise _refusal("its header is not exactly alg EdDSA, kid and typ JWT")
    signature = decoded[2] or b""
    if len(signature) != _SIGNATURE_BYTES:
        raise _refusal("its signature does not have 64 bytes")
    return Compact(key_id, claims, f"{parts[0]}.{parts[1]}".encode("ascii"), signature)


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = canonical.loads(data, what="token", max_depth=_MAX_DEPTH)
    except Invalid:
        value = None
    if not isinstance(value, dict):
        raise _refusal("a part of it is not a JSON object")
    return value


def _refusal(why: str) -> Denied:
    hint = "check that the token was passed whole"
    return Denied(f"the token was refused: {why}", hint=hint, details={"reason": "malformed"})
