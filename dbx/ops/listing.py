"""List aggregates: filtered, sorted, page by page, as they are or as they were."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

from dbx.model.cursor import (
    AggregateCursor,
    format_aggregate_cursor,
    parse_aggregate_cursor,
    refuse_cursor,
)
from dbx.model.filter import parse_aggregate_filter
from dbx.model.sort import AGGREGATE_FIELDS, parse_sort
from dbx.ops.past import locate
from dbx.repo.reading import past, scan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.model.event import Aggregate
    from dbx.model.filter import Filter
    from dbx.model.sort import SortKey
    from dbx.ops.session import Session
    from dbx.repo.domain import Domain

_TIMES = ("created_at", "updated_at")


class Wanted(NamedTuple):
    """What is to be listed: texts as the user gave them. `archived` None takes both kinds; `take` None takes all."""

    aggregate_type: str | None = None
    archived: bool | None = False
    filter: str | None = None
    sort: str | None = None
    cursor: str | None = None
    take: int | None = None
    at: str | None = None


class Listed(NamedTuple):
    """What was found; `archived` is the scope that was looked at, `sort` the keys that were understood."""

    found: Iterator[Aggregate]
    archived: bool | None
    sort: tuple[SortKey, ...]

    def cursor_of(self, aggregate: Aggregate) -> str | None:
        """The cursor with which the listing goes on behind an aggregate, None where it cannot."""
        key = _timed(self.sort)
        if self.sort and key is None:
            return None
        timed = None if key is None else (key.field, key.descending, getattr(aggregate, key.field))
        return format_aggregate_cursor(
            aggregate.aggregate_type, aggregate.aggregate_id, archived=aggregate.archived, timed=timed
        )


def page_size(session: Session, take: int | None) -> int | None:
    """How many items a list shows: what is asked for, else the setting list_page_size, at most page_limit.

    A setting that nobody has set has no effect, so that a script sees everything; None is no bound.
    """
    page, limit = session.find_set("list_page_size"), session.find_set("page_limit")
    if take is None and page is not None:
        take = int(page)
    if limit is not None:
        take = int(limit) if take is None else min(take, int(limit))
    return take


def list_aggregates(session: Session, wanted: Wanted) -> Listed:
    """Active before archived, by type and id, unless sorted otherwise; in bounded memory.

    A filter that mentions `archived` looks at both kinds. Raises Invalid with the place for a filter or a sort that
    cannot be understood, and for a cursor that does not go with the rest.
    """
    domain = session.domain
    access = domain.access
    if access is not None and not access.sees_all:
        take, wanted = wanted.take, wanted._replace(take=None)
        listed = _list(domain, wanted)
        seen = (one for one in listed.found if access.sees(one.aggregate_type, one.aggregate_id))
        return listed._replace(found=islice(seen, take))
    return _list(domain, wanted)


def _list(domain: Domain, wanted: Wanted) -> Listed:
    chosen = None if wanted.filter is None else parse_aggregate_filter(wanted.filter)
    keys = () if wanted.sort is None else parse_sort(wanted.sort, AGGREGATE_FIELDS)
    archived = None if chosen is not None and chosen.archived and not wanted.archived else wanted.archived
    cursor = None if wanted.cursor is None else parse_aggregate_cursor(wanted.cursor)
    if cursor is not None:
        _check_cursor(cursor, keys, archived)
    if wanted.at is not None:
        found = _list_past(domain, wanted.at, wanted.aggregate_type, archived, chosen, keys, cursor)
        return Listed(found, archived, keys)
    after = None if cursor is None else _place(domain, cursor, _timed(keys))
    whole = scan.Scan(wanted.aggregate_type, archived, chosen, keys, after, wanted.take)
    if keys:
        return Listed(scan.iterate(domain, whole), archived, keys)
    return Listed(chain.from_iterable(scan.iterate(domain, part) for part in _passes(whole, cursor)), archived, keys)


def _passes(whole: scan.Scan, cursor: AggregateCursor | None) -> list[scan.Scan]:
    """Active aggregates, then archived ones; those that the cursor is behind are left out."""
    if whole.archived is not None:
        return [whole]
    if cursor is not None and cursor.archived:
        return [whole._replace(archived=True)]
    return [whole._replace(archived=False), whole._replace(archived=True, after=None)]


def _timed(keys: tuple[SortKey, ...]) -> SortKey | None:
    """The key of a listing that is sorted by one time."""
    return keys[0] if len(keys) == 1 and keys[0].field in _TIMES else None


def _check_cursor(cursor: AggregateCursor, keys: tuple[SortKey, ...], archived: bool | None) -> None:
    timed = _timed(keys)
    if keys and timed is None:
        refuse_cursor(
            "only a listing that is not sorted, or by one time, goes on behind a cursor",
            "sort by created_at or updated_at alone, or take more at once",
        )
    if cursor.is_timed and timed is None:
        refuse_cursor("it belongs to a listing sorted by a time", "give the same --sort")
    if not cursor.is_timed and timed is not None:
        refuse_cursor("it belongs to a listing that is not sorted", "leave --sort out, or begin without a cursor")
    if timed is not None and cursor.field is not None and (cursor.field, cursor.descending) != timed:
        order = "desc" if cursor.descending else "asc"
        refuse_cursor(f"it belongs to a listing sorted by {cursor.field}:{order}", "give the same --sort")
    if archived is not None and cursor.archived is not None and cursor.archived != archived:
        here, there = ("archived", "active") if archived else ("active", "archived")
        refuse_cursor(f"cursor points to {there} aggregates but scope uses {here} records", "list the same kind again")


def _place(domain: Domain, cursor: AggregateCursor, timed: SortKey | None) -> tuple[str, ...]:
    """Where a scan goes on."""
    name = (cursor.aggregate_type, cursor.aggregate_id)
    if timed is None:
        return name
    time = cursor.time
    if time is None or not cursor.is_exact:
        known = scan.find_time(domain, *name, timed.field)
        # Milliseconds may stand for the very time of the aggregate, or for one that it no longer has.
        if time is None or (known is not None and known[:23] == time[:23]):
            time = known
    if time is None:
        refuse_cursor(f"aggregate '{name[0]}/{name[1]}' does not exist")
    return time, *name


def _list_past(
    domain: Domain,
    ref: str,
    aggregate_type: str | None,
    archived: bool | None,
    chosen: Filter[Aggregate] | None,
    keys: tuple[SortKey, ...],
    cursor: AggregateCursor | None,
) -> Iterator[Aggregate]:
    domain, revision = locate(domain, ref)
    if keys and cursor is not None:
        refuse_cursor("a sorted listing of the past does not go on behind a cursor", "take more at once")
    parts = _passes(scan.Scan(aggregate_type, archived), cursor)
    after = None if cursor is None else (cursor.aggregate_type, cursor.aggregate_id)
    found: Iterator[Aggregate] = chain.from_iterable(
        past.iterate_aggregates_at(domain, revision, aggregate_type, after=None if n else after, archived=part.archived)
        for n, part in enumerate(parts)
    )
    if chosen is not None:
        found = filter(chosen.matches, found)
    if not keys:
        return found
    held = list(found)
    timed = _timed(keys)
    held.sort(key=lambda each: (each.aggregate_type, each.aggregate_id), reverse=timed is not None and timed.descending)
    for key in reversed(keys):
        held.sort(key=lambda each, field=key.field: getattr(each, field), reverse=key.descending)  # type: ignore[misc]
    return iter(held)
