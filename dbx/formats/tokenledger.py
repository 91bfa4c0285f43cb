"""Which tokens a workspace has issued: one JSON document, `tokens.json` (canonical JSON and a newline).

    {"format":1,"tokens":[{"claims":{…},"expires_at":null,"key":"0a1b2c3d","revoked":{"at":1800000000,"reason":"lost"}}]}

The tokens themselves are not in it: claims without a signature open nothing. `expires_at` is a later end than that of
the claims, which use has given to a token that is kept alive. Times are POSIX seconds.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from dbx.errors import Corrupt
from dbx.formats import canonical

MAX_BYTES = 32 << 20
MAX_TOKENS = 20_000
_MEMBERS = {"claims", "expires_at", "key", "revoked"}


class Revoked(NamedTuple):
    """When a token was revoked, and why, in the words of who did it."""

    at: int
    reason: str


class Issued(NamedTuple):
    """A token that was issued: its claims as they stand in it, the id of the key that signed it."""

    claims: dict[str, Any]
    key_id: str
    expires_at: int | None = None
    revoked: Revoked | None = None

    @property
    def token_id(self) -> str:
        """The claim jti."""
        return str(self.claims["jti"])


def encode_ledger(issued: tuple[Issued, ...]) -> bytes:
    """The bytes of the file, tokens in the order in which they were issued."""
    tokens = [
        {
            "claims": one.claims,
            "expires_at": one.expires_at,
            "key": one.key_id,
            "revoked": None if one.revoked is None else one.revoked._asdict(),
        }
        for one in issued
    ]
    return canonical.encode({"format": 1, "tokens": tokens}) + b"\n"


def decode_ledger(data: bytes) -> tuple[Issued, ...]:
    """The tokens of a file. Raises Corrupt for everything that dbx does not write."""
    value = canonical.decode(data.removesuffix(b"\n"), what="the list of tokens")
    if not isinstance(value, dict) or not isinstance(value.get("tokens"), list):
        raise Corrupt("the list of tokens is damaged")
    if value.get("format") != 1:
        raise Corrupt("the list of tokens was written by a newer dbx", hint="upgrade dbx")
    if value.keys() != {"format", "tokens"} or not all(_is_sound(one) for one in value["tokens"]):
        raise Corrupt("the list of tokens is damaged")
    found = tuple(
        Issued(
            one["claims"],
            one["key"],
            one["expires_at"],
            None if one["revoked"] is None else Revoked(one["revoked"]["at"], one["revoked"]["reason"]),
        )
        for one in value["tokens"]
    )
    if encode_ledger(found) != data or len({one.token_id for one in found}) != len(found):
        raise Corrupt("the list of tokens is damaged")
    return found


def _is_sound(one: object) -> bool:
    if not isinstance(one, dict) or one.keys() != _MEMBERS or not isinstance(one["key"], str):
        return False
    claims, end, revoked = one["claims"], one["expires_at"], one["revoked"]
    if not isinstance(claims, dict) or not isinstance(claims.get("jti"), str):
        return False
    if end is not None and type(end) is not int:
        return False
    if revoked is None:
        return True
    return (
        isinstance(revoked, dict)
        and revoked.keys() == {"at", "reason"}
        and type(revoked["at"]) is int
        and isinstance(revoked["reason"], str)
    )
