"""How many events were written with tokens that have a limit: `uses.json` (canonical JSON and a newline).

    {"domains":{"<domain uuid>":{"commit":"<id>","counts":{"<jti>":3},"seq":12}},"format":1,"pushed":{"<jti>":7}}

`domains` is derived: what commits up to `seq` say. `pushed` counts what came from elsewhere by a push, whose commits
name others.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from dbx.errors import Corrupt
from dbx.formats import canonical

MAX_BYTES = 16 << 20


class Counted(NamedTuple):
    """What a domain's commits up to `seq` say: token id -> events."""

    seq: int
    commit: str
    counts: dict[str, int]


class Uses(NamedTuple):
    """Domain id -> what was counted there; token id -> events that were pushed."""

    domains: dict[str, Counted]
    pushed: dict[str, int]


def encode_uses(uses: Uses) -> bytes:
    """The bytes of the file."""
    domains = {name: one._asdict() for name, one in uses.domains.items()}
    return canonical.encode({"domains": domains, "format": 1, "pushed": uses.pushed}) + b"\n"


def decode_uses(data: bytes) -> Uses:
    """The counts of a file. Raises Corrupt for everything that dbx does not write."""
    value = canonical.decode(data.removesuffix(b"\n"), what="the count of tokens' uses")
    try:
        if value["format"] != 1:
            raise Corrupt("the count of tokens' uses was written by a newer dbx", hint="upgrade dbx")
        domains = {
            name: Counted(one["seq"], one["commit"], _counts(one["counts"])) for name, one in value["domains"].items()
        }
        uses = Uses(domains, _counts(value["pushed"]))
    except (KeyError, TypeError, AttributeError):
        raise Corrupt("the count of tokens' uses is damaged") from None
    if encode_uses(uses) != data or any(type(one.seq) is not int for one in domains.values()):
        raise Corrupt("the count of tokens' uses is damaged")
    return uses


def _counts(value: Any) -> dict[str, int]:
    if not isinstance(value, dict) or not all(type(count) is int and count >= 0 for count in value.values()):
        raise Corrupt("the count of tokens' uses is damaged")
    return dict(value)
