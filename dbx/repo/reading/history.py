"""Commits chosen from the log: by range, time, actor, or the aggregates that they are about.

Nothing here reads commits that are not asked for: a range is two seqs, times are looked for backwards from its end, and
the commits about an aggregate are found by its chain.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from dbx.repo import query
from dbx.repo.reading.revision import last_by_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.model.event import Event
    from dbx.repo.domain import Domain
    from dbx.repo.log import Entry, LogReader
    from dbx.repo.working import WorkingSet

_STEP = 32


class Wanted(NamedTuple):
    """Which commits: `first`..`last` (seqs; None is the head), of these those between two times, spelled as commits do.

    `since` takes what follows the last commit before it, `until` ends with the last commit that is not later.
    `aggregate_type` takes those with an event of that type, `aggregate_id` of that one aggregate. `group` and `user`
    are the commit's actor's.
    """

    first: int = 0
    last: int | None = None
    since: str | None = None
    until: str | None = None
    aggregate_type: str | None = None
    aggregate_id: str | None = None
    group: str | None = None
    user: str | None = None


class Found(NamedTuple):
    """A commit of a domain, and the positions of its events that were asked for."""

    entry: Entry
    positions: range | list[int]
    domain: Domain


def select_commits(
    domain: Domain, wanted: Wanted, *, limit: int | None = None, oldest_first: bool = False
) -> Iterator[Found]:
    """The newest `limit` commits that are wanted, newest first, or these oldest first. Raises NotFound."""
    first, last = _bounds(domain, wanted)
    if oldest_first and limit is not None:
        newest = list(islice(_select(domain, wanted, first, last, newest=True), limit))
        return iter(newest[::-1])
    return islice(_select(domain, wanted, first, last, newest=not oldest_first), limit)


def events_of(found: Found, *, bodies: bool = True) -> Iterator[Event]:
    """The events of a commit that were asked for, in order, in bounded memory; `bodies` as for `query.events_at`."""
    for at in range(0, len(found.positions), 512):
        yield from query.events_at(found.domain, found.positions[at : at + 512], bodies=bodies)


def _bounds(domain: Domain, wanted: Wanted) -> tuple[int, int]:
    """The first and the last seq there can be."""

    def find(working: WorkingSet, reader: LogReader) -> tuple[int, int]:
        first = wanted.first
        last = working.head.seq if wanted.last is None else min(wanted.last, working.head.seq)
        if wanted.until is not None:
            last = last_by_time(reader, last, wanted.until)
        if wanted.since is not None and last >= first:
            first = max(first, last_by_time(reader, last, wanted.since, before=True) + 1)
        return first, last

    return domain.read(find)


def _select(domain: Domain, wanted: Wanted, first: int, last: int, *, newest: bool) -> Iterator[Found]:
    if wanted.aggregate_type is None:
        entries = query.iterate_commits(domain, newest=newest, first=first, last=last)
        found: Iterator[Found] = (
            Found(e, range(e.commit.position, e.commit.position + e.commit.count), domain) for e in entries
        )
    else:
        found = _about(domain, wanted.aggregate_type, wanted.aggregate_id, first, last, newest=newest)
    return (each for each in found if _is_by(each.entry, wanted))


def _is_by(entry: Entry, wanted: Wanted) -> bool:
    if wanted.user is None:
        return True
    by = entry.commit.actor
    return by is not None and by.user == wanted.user and wanted.group in (None, by.group)


def _about(
    domain: Domain, aggregate_type: str, aggregate_id: str | None, first: int, last: int, *, newest: bool
) -> Iterator[Found]:
    """The commits with events at the positions that the index knows of an aggregate or a type."""
    if last < first:
        return
    positions = domain.read(lambda working, _: query.positions_of(domain, working.index, aggregate_type, aggregate_id))
    start, end = domain.read(lambda _, reader: _span(reader, first, last))
    low, high = bisect_left(positions, start), bisect_left(positions, end)
    while low < high:

        def some(working: WorkingSet, reader: LogReader, low: int = low, high: int = high) -> list[Found]:
            part: list[Found] = []
            while low < high and len(part) < _STEP:
                seq, begin, until = query.commit_range(working, positions[high - 1 if newest else low])
                here = positions[bisect_left(positions, begin, low, high) : bisect_left(positions, until, low, high)]
                part.append(Found(reader.commit(seq), here, domain))
                low, high = (low, high - len(here)) if newest else (low + len(here), high)
            return part

        part = domain.read(some)
        done = sum(len(found.positions) for found in part)
        low, high = (low, high - done) if newest else (low + done, high)
        yield from part


def _span(reader: LogReader, first: int, last: int) -> tuple[int, int]:
    end = reader.commit(last).commit
    return reader.commit(first).commit.position, end.position + end.count
