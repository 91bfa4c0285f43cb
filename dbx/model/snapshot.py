"""Snapshots: the state of an aggregate at one version, kept so that it need not be folded again. Values and policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Invalid, UsageError
from dbx.model.names import quote
from dbx.model.snowflake import MAX_ID

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dbx.model.event import Aggregate

MAX_COMMENT_CHARS = 1000
_DAY_US = 86_400_000_000
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot. `aggregate` is what the events up to its version add up to, `size_bytes` what it takes on disk."""

    id: int
    aggregate: Aggregate
    created_at: str
    comment: str | None
    automatic: bool
    size_bytes: int


class Outline(NamedTuple):
    """What prune looks at: `taken_us` is the time it was taken, in microseconds since the epoch."""

    id: int
    type: str
    aggregate_id: str
    version: int
    taken_us: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Policy:
    """Which snapshots go: those that every given rule gives up.

    `keep_last`: all but the last so many of each aggregate. `keep_days`: those older than so many days.
    `larger_than`: those that take more bytes.
    """

    keep_last: int | None = None
    keep_days: int | None = None
    larger_than: int | None = None

    def __post_init__(self) -> None:
        if self.keep_last is None and self.keep_days is None and self.larger_than is None:
            raise UsageError(
                "no rule says which snapshots to remove", hint="give --keep-last, --keep-days or --larger-than"
            )

    def choose(self, outlines: Iterable[Outline], now_us: int) -> list[Outline]:
        """The snapshots that go. Among those of one version, the one taken later is the later one."""
        newest_first = sorted(outlines, key=lambda one: (one.type, one.aggregate_id, one.version, one.id), reverse=True)
        chosen: list[Outline] = []
        place, previous = 0, ("", "")
        for one in newest_first:
            place = place + 1 if (one.type, one.aggregate_id) == previous else 1
            previous = one.type, one.aggregate_id
            given_up = (
                self.keep_last is None or place > self.keep_last,
                self.keep_days is None or one.taken_us < now_us - self.keep_days * _DAY_US,
                self.larger_than is None or one.size_bytes > self.larger_than,
            )
            if all(given_up):
                chosen.append(one)
        chosen.reverse()
        return chosen


def auto_comment(version: int) -> str:
    """The comment of an automatic snapshot, as EventDBX has it."""
    return f"auto snapshot v{version}"


def check_comment(comment: str) -> str:
    """A comment: at most 1,000 characters, all of which can be shown. The message does not repeat it."""
    if len(comment) > MAX_COMMENT_CHARS:
        raise Invalid(f"the comment has {len(comment)} characters, at most {MAX_COMMENT_CHARS} are allowed")
    if not comment.isprintable():
        raise Invalid("the comment has a control character or another one that cannot be shown")
    return comment


def parse_snapshot_id(text: str) -> int:
    """A snapshot's id from its decimal digits. Raises Invalid."""
    if text.isascii() and text.isdigit() and len(text) <= 19 and str(int(text)) == text and int(text) <= MAX_ID:
        return int(text)
    raise Invalid(f"snapshot_id {quote(text)} is not a valid snowflake", hint="see 'dbx snapshots list'")


def parse_size(text: str) -> int:
    """Bytes from `500`, `64k`, `10M`, `2G` (of 1024), a `B` behind allowed. Raises Invalid."""
    digits = text.lower().removesuffix("ib").removesuffix("b")
    unit = digits[-1:] if digits[-1:] in "kmg" else ""
    number = digits.removesuffix(unit)
    if not number.isascii() or not number.isdigit() or len(number) > 15:
        raise Invalid(f"{quote(text)} is not a size", hint="write bytes, or a number with k, M or G: 500, 64k, 10M")
    return int(number) * _UNITS[unit]
