"""Event ids that dbx draws: Snowflakes (format.md §3 'event_id').

    63 bits:  41 milliseconds since 2025-01-01T00:00:00Z | 10 worker | 12 sequence

Ids only ever increase: when the clock stands or goes back, the sequence counts on from the last id, and when it is used
up the next millisecond is taken before its time.
"""

from __future__ import annotations

import re

from dbx.errors import Failure, Invalid
from dbx.model.names import quote

EPOCH_MS = 1_735_689_600_000
"""2025-01-01T00:00:00Z in milliseconds since the Unix epoch."""
MAX_WORKER = 1023
MAX_ID = (1 << 63) - 1

_WORKER_SHIFT = 12
_MS_SHIFT = 22
_RUN = 1 << _WORKER_SHIFT

_match_decimal = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII).fullmatch


def split(event_id: int) -> tuple[int, int, int]:
    """(milliseconds since the Unix epoch, worker, sequence) of an id."""
    return (event_id >> _MS_SHIFT) + EPOCH_MS, event_id >> _WORKER_SHIFT & MAX_WORKER, event_id & (_RUN - 1)


def parse_event_id(text: object) -> int:
    """An id from its one spelling, decimal without leading zeros, below 2^63. Raises Invalid."""
    if isinstance(text, str) and _match_decimal(text):
        event_id = int(text)
        if event_id <= MAX_ID:
            return event_id
    if isinstance(text, str):
        raise Invalid(f"event id {quote(text)} must be a decimal number below 2^63, without leading zeros")
    raise Invalid("the event id must be text: a decimal number between quotes")


def first_id(now_us: int, worker: int, after: int | None) -> int:
    """The smallest id of `worker` that is not before `now_us` (microseconds since the Unix epoch) and above `after`.

    `after` is the last id drawn, by any worker, or None. A clock before 2025 counts as the start of 2025. Raises
    Failure when the 41 bits are used up, in September 2094.
    """
    if not 0 <= worker <= MAX_WORKER:
        raise Invalid(f"snowflake worker '{worker}' must be 0 to {MAX_WORKER}")
    drawn = max(0, now_us // 1000 - EPOCH_MS) << _MS_SHIFT | worker << _WORKER_SHIFT
    if after is not None and drawn <= after:
        drawn = _next_after(after, worker)
    if drawn > MAX_ID:
        raise Failure("event ids end in September 2094 and the clock is past that", hint="set the clock right")
    return drawn


def draw(now_us: int, worker: int, after: int | None, count: int) -> list[tuple[int, int]]:
    """`count` increasing ids, all above `after`, as runs of consecutive integers: (first id, run length)."""
    runs: list[tuple[int, int]] = []
    while count > 0:
        first = first_id(now_us, worker, after)
        length = min(count, _RUN - (first & (_RUN - 1)))
        runs.append((first, length))
        after = first + length - 1
        count -= length
    return runs


def _next_after(after: int, worker: int) -> int:
    ms, after_worker, sequence = after >> _MS_SHIFT, after >> _WORKER_SHIFT & MAX_WORKER, after & (_RUN - 1)
    if after_worker == worker and sequence < _RUN - 1:
        return after + 1
    if after_worker >= worker:
        ms += 1
    return ms << _MS_SHIFT | worker << _WORKER_SHIFT
