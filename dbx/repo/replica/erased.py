"""Handing over a history up to a commit: what was erased by then, and what only later (format.md §3).

An event that lost its body may be given away only together with the event that says so. A range that ends before that
one would be damage to whoever takes it in, and so it is refused where it is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dbx.formats.envelope import decode_envelope
from dbx.repo.erasing import erased_version, is_erasure
from dbx.repo.query import commit_range

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.formats.bundle import Point
    from dbx.repo.domain import Domain
    from dbx.repo.log import LogReader, Stored
    from dbx.repo.working import WorkingSet

_AT_ONCE = 4096


class Late(NamedTuple):
    """An event whose body is missing from a range that ends before the event which erased it. `upto` is the first
    commit with which the range would hold such an event for each body that it lacks."""

    aggregate_type: str
    aggregate_id: str
    version: int
    upto: int


def find_late(domain: Domain, base: Point, head: Point) -> Late | None:
    """The first such event among the commits behind `base` up to `head`; None where there is none.

    It reads what lies behind `head`. A copy that says that it is redacted promises nothing, and is not asked. Raises
    KeyFailure where it depends on what is sealed.
    """
    if domain.file.redacted or base.position == head.position:
        return None
    found: Late | None = None
    end = head.position
    for erasure in _erasures(domain, head.position):
        # In order, so one of them is enough: where a range grows, it takes in those that were met before.
        if erasure.position >= end:
            lost = _lost(domain, erasure, base.position, end)
            if lost is not None:
                name, upto, end = lost
                found = Late(*(found or name)[:3], upto)
    return found


def _erasures(domain: Domain, start: int) -> Iterator[Stored]:
    """The events from a position on that erase a body, in order."""
    last: int = domain.read(lambda working, _: working.head.position)
    for at in range(start, last, _AT_ONCE):
        part = range(at, min(at + _AT_ONCE, last))

        def query(_: WorkingSet, reader: LogReader, part: range = part) -> list[Stored]:
            return [one for one in reader.events(part) if is_erasure(one.envelope)]

        yield from domain.read(query)


def _lost(domain: Domain, erasure: Stored, start: int, end: int) -> tuple[tuple[str, str, int], int, int] | None:
    """(the event that another one erases, the commit of that one, the position behind this commit), where the first
    lies from position `start` on and before `end`, and nothing erased it earlier; else None."""
    envelope = decode_envelope(erasure.envelope)
    kind, name = envelope.aggregate_type, envelope.aggregate_id

    def query(working: WorkingSet, reader: LogReader) -> tuple[tuple[str, str, int], int, int] | None:
        row = working.index.find(kind, name)
        if row is None or row.n is None:
            return None
        positions = working.index.positions(row.n, 1, envelope.version - 1)
        if not any(start <= position < end for position in positions):
            return None
        version = erased_version(erasure)
        if not 0 < version <= len(positions) or not start <= positions[version - 1] < end:
            return None
        earlier = (one for one in reader.events(positions[version:]) if is_erasure(one.envelope))
        if any(erased_version(one) == version for one in earlier):
            return None
        seq, _, behind = commit_range(working, erasure.position)
        return (kind, name, version), seq, behind

    return domain.read(query)
