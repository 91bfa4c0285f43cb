"""Base64 with one spelling for every value (RFC 4648): padded as it must be, no stray bits behind the last byte.

base64.b64decode skips what it does not know and drops stray bits, so that many texts would mean the same bytes.
"""

from __future__ import annotations

from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from binascii import Error


def encode_base64(data: bytes) -> str:
    """Standard base64 with padding (RFC 4648 §4)."""
    return b64encode(data).decode("ascii")


def find_base64(text: str) -> bytes | None:
    """The bytes of standard base64; None unless `text` is their one spelling."""
    try:
        data = b64decode(text.encode("ascii"), validate=True)
    except (Error, ValueError):
        return None
    return data if encode_base64(data) == text else None


def encode_base64url(data: bytes) -> str:
    """base64url without padding (RFC 4648 §5), as JSON Web Signatures have it (RFC 7515 §2)."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def find_base64url(text: str) -> bytes | None:
    """The bytes of base64url without padding; None unless `text` is their one spelling."""
    try:
        data = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (Error, ValueError):
        return None
    return data if encode_base64url(data) == text else None
