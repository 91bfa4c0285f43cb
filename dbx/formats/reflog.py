"""The reflog: one line for every move of a ref (format.md §7).

    <old id> <new id> <new seq> <time> <group>:<user> <reason>\\n

64 zeros stand for "no commit". In group and user a space, a colon and a percent sign are written %20, %3A and %25, so
that the line can be taken apart again whatever people are called.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from dbx.errors import Corrupt, Invalid
from dbx.formats.envelope import HASH, INTEGER, MAX_INTEGER, TIME, Actor, is_actor_text, is_day, is_text

ZERO_ID = "0" * 64
MAX_REASON_CHARS = 1024

_LINE = rf"({HASH}) ({HASH}) ({INTEGER}) ({TIME}) ([^ :\n]+):([^ :\n]+) ([^\n]+)\n"
_ACTOR_RULE = "the actor's group and user must have 1 to 128 characters and no control characters"
_CONTROL = "[\x00-\x1f\x7f-\x9f]"


class ReflogEntry(NamedTuple):
    """A ref moved from `old` to `new` at `seq`; None is no commit. `reason` is one line of 1 to 1024 characters."""

    old: str | None
    new: str | None
    seq: int
    time: str
    actor: Actor
    reason: str


def encode_entry(entry: ReflogEntry) -> bytes:
    """The entry's line with its newline. Raises Invalid when the actor or the reason is not fit to be stored."""
    if not (entry.reason.isprintable() and 0 < len(entry.reason) <= MAX_REASON_CHARS):
        broken = _broken_reason(entry.reason)
        if broken:
            raise Invalid(broken)
    return (
        f"{entry.old or ZERO_ID} {entry.new or ZERO_ID} {entry.seq} {entry.time} "
        f"{_actor_text(entry.actor)} {entry.reason}\n"
    ).encode()


def decode_entry(line: bytes) -> ReflogEntry:
    """The entry of a stored line with its newline. Raises Corrupt unless the line is its one spelling."""
    try:
        found = re.fullmatch(_LINE, line.decode())
    except UnicodeDecodeError as error:
        raise Corrupt("a line of the reflog is not UTF-8") from error
    if found is None:
        raise Corrupt("a line of the reflog is not spelled as dbx writes it")
    old, new, seq, time, group, user, reason = found.groups()
    actor = Actor(_unescape(group), _unescape(user))
    entry = ReflogEntry(None if old == ZERO_ID else old, None if new == ZERO_ID else new, int(seq), time, actor, reason)
    broken = _broken_rule(entry)
    if broken or not is_day(time) or entry.seq > MAX_INTEGER:
        raise Corrupt(f"a line of the reflog cannot be: {broken or 'its date or seq is out of range'}")
    return entry


def decode_reflog(data: bytes) -> list[ReflogEntry]:
    """Every entry of a reflog, oldest first. Raises Corrupt for the first line that is damaged or cut short."""
    # Not splitlines: that cuts at \r and others too, which may not stand here, and must not go unseen.
    return [decode_entry(line) for line in re.findall(rb"[^\n]*\n|[^\n]+", data)]


def _broken_rule(entry: ReflogEntry) -> str | None:
    if not is_actor_text(entry.actor.group) or not is_actor_text(entry.actor.user):
        return _ACTOR_RULE
    return _broken_reason(entry.reason)


def _broken_reason(reason: str) -> str | None:
    if not 0 < len(reason) <= MAX_REASON_CHARS:
        return f"the reason must have 1 to {MAX_REASON_CHARS} characters"
    if re.search(_CONTROL, reason) or not is_text(reason):
        return "the reason must be one line without control characters"
    return None


@lru_cache(maxsize=64)
def _actor_text(actor: Actor) -> str:
    if not is_actor_text(actor.group) or not is_actor_text(actor.user):
        raise Invalid(_ACTOR_RULE)
    return f"{_escape(actor.group)}:{_escape(actor.user)}"


def _escape(name: str) -> str:
    return name.replace("%", "%25").replace(" ", "%20").replace(":", "%3A")


def _unescape(name: str) -> str:
    plain = name.replace("%20", " ").replace("%3A", ":").replace("%25", "%")
    if _escape(plain) != name:
        raise Corrupt("a name in the reflog is not escaped as dbx does it")
    return plain
