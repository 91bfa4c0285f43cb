"""Going through the aggregates of a domain: which of them a filter takes, in some order, in bounded memory.

SQLite decides what it can, from the columns of the index; for the rest, of each row only what the filter looks at is
read and parsed. Rows that are shown have their checksum compared.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.errors import Corrupt
from dbx.model.filter import aggregate_column
from dbx.model.filtertext import And, Comparison
from dbx.model.moment import find_moment
from dbx.model.time import format_time
from dbx.repo.query import aggregate_of
from dbx.store.indexlayout import IndexDamaged
from dbx.store.scanindex import Where, find_times, read_active_types, read_columns, read_numbers, read_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dbx.model.event import Aggregate
    from dbx.model.filter import Filter
    from dbx.model.filtertext import Tree
    from dbx.model.sort import SortKey
    from dbx.repo.domain import Domain
    from dbx.repo.log import LogReader
    from dbx.repo.working import WorkingSet
    from dbx.store.indexlayout import Row

_FIRST = 64
_CHUNK = 1024
_ENOUGH = 512
_PER_READ = 32 * _CHUNK
_HELD_BYTES = 8 * 1024 * 1024
# SQLite takes so many values and so deep a condition; what goes beyond, the filter decides.
_MOST_VALUES = 500
_MOST_PARTS = 16
_ORDERED = frozenset(("=", "<", "<=", ">", ">="))
_MOST_TAKEN = 2**62

_COLUMNS = {
    "aggregate_type": "type",
    "aggregate_id": "id",
    "version": "version",
    "root": "root",
    "created_at": "created_at",
    "updated_at": "updated_at",
    "archived": "archived",
    "state": "state",
    "extensions": "extensions",
}
_decoder: Any = json.JSONDecoder()
_scan_json: Callable[[str, int], tuple[Any, int]] = _decoder.scan_once


class Scan(NamedTuple):
    """Which aggregates, in which order; without `sort` by type and id.

    `archived` None takes both kinds. `after` is the place to begin behind: (type, id), or (time, type, id) where `sort`
    is one time. `take` is how many are wanted at most, None for all.
    """

    aggregate_type: str | None = None
    archived: bool | None = False
    filter: Filter[Aggregate] | None = None
    sort: tuple[SortKey, ...] = ()
    after: tuple[str, ...] | None = None
    take: int | None = None


def iterate(domain: Domain, scan: Scan) -> Iterator[Aggregate]:
    """The aggregates that a scan takes. What is written meanwhile may or may not be seen."""
    if not scan.sort:
        return _by_key(domain, scan, ("type", "id"), descending=False)
    key = scan.sort[0]
    if len(scan.sort) == 1 and key.field == "updated_at":
        return _by_key(domain, scan, ("updated_at", "type", "id"), descending=key.descending)
    return _by_number(domain, scan)


def find_active_types(domain: Domain) -> list[str]:
    """The types of which any aggregate is not archived, sorted."""
    return domain.read(lambda working, _: read_active_types(working.index))


def find_time(domain: Domain, aggregate_type: str, aggregate_id: str, field: str) -> str | None:
    """When an aggregate was created or updated (`field` says which); None where there is none."""
    found = domain.read(lambda working, _: find_times(working.index, aggregate_type, aggregate_id))
    return None if found is None else found[0] if field == "created_at" else found[1]


def where_of(scan: Scan, index: tuple[str, ...] | None) -> Where:
    """What SQLite is to decide. A page follows the index over the columns `index`, None where all is sorted at once.

    SQLite must not take another index for a page, and sort: it would sort everything again for each. So the columns
    that do not lead that index get a plus, which keeps SQLite from looking them up.
    """
    where = Where()
    leads = set(index[:2] if index and index[0] == "type" else index[:1] if index else _COLUMNS.values())

    def name(column: str) -> str:
        return column if column in leads else f"+{column}"

    if scan.aggregate_type is not None:
        where = where.and_(f"{name('type')} = ?", scan.aggregate_type)
    if scan.archived is not None:
        # There is an index over the archived ones by type and id.
        archived = "archived" if index is None or index[0] == "type" else "+archived"
        where = where.and_(archived if scan.archived else f"NOT {archived}")
    if scan.filter is not None:
        tree = scan.filter.tree
        for part in tree.parts[:_MOST_PARTS] if isinstance(tree, And) else (tree,):
            where = _narrow(where, part, name)
    return where


def _narrow(where: Where, part: Tree, name: Callable[[str], str]) -> Where:
    """Add what SQLite can decide as well as the filter does. What it cannot, the filter decides alone."""
    column = aggregate_column(part.field) if isinstance(part, Comparison) else None
    if column is None or not isinstance(part, Comparison):
        return where
    op, values = part.op, part.values
    value = values[0] if values else None
    if column in ("aggregate_type", "aggregate_id"):
        if op in ("=", "IN") and all(isinstance(each, str) for each in values) and 0 < len(values) <= _MOST_VALUES:
            if len(values) == 1:
                return where.and_(f"{name(_COLUMNS[column])} = ?", value)
            return where.and_(f"+{_COLUMNS[column]} IN ({','.join('?' * len(values))})", *values)
    elif column == "version":
        if op in _ORDERED and type(value) is int and abs(value) < 2**53:
            return where.and_(f"{name('version')} {op} ?", value)
    elif column in ("created_at", "updated_at") and op in _ORDERED and isinstance(value, str):
        moment = find_moment(value)
        if moment is not None:
            return where.and_(f"{name(column)} {op} ?", format_time(moment))
    return where


def _by_key(domain: Domain, scan: Scan, columns: tuple[str, ...], *, descending: bool) -> Iterator[Aggregate]:
    """By columns that an index has, page by page, each beginning behind the last row of the one before."""
    pages = _Pages(scan, columns, descending=descending)
    after, left = scan.after, scan.take
    while left is None or left > 0:
        rows, after = domain.read(partial(pages.read, after=after, wanted=left))
        for row in rows:
            yield aggregate_of(row)
        if after is None:
            return
        if left is not None:
            left -= len(rows)


class _Pace:
    """How many rows to read at once: more and more, as long as they are small."""

    def __init__(self, most: int) -> None:
        self.rows = _FIRST
        self._most = most

    def learn(self, count: int, size_bytes: int) -> None:
        """So many rows had so many bytes."""
        fits = max(1, _HELD_BYTES * count // size_bytes) if size_bytes else self._most
        self.rows = min(self.rows * 4, fits, self._most)


class _Pages:
    """Reads the pages of a scan. What it holds at a time is bounded, however large the states are."""

    def __init__(self, scan: Scan, columns: tuple[str, ...], *, descending: bool) -> None:
        self._where = where_of(scan, columns)
        self._keys = slice(1, 1 + len(columns))
        self._order = ", ".join(f"{column} DESC" if descending else column for column in columns)
        self._beyond = f"({', '.join(columns)}) {'<' if descending else '>'} ({', '.join('?' * len(columns))})"
        needs = [] if scan.filter is None else _needs(scan.filter)
        self._read = ("n", *columns, *needs)
        self._reads_state = "state" in needs  # then it is the last column
        self._matches = None if scan.filter is None else _matcher(scan.filter, 1 + len(columns))
        self._scanning = _Pace(_CHUNK)
        self._showing = _Pace(_ENOUGH)

    def read(
        self, working: WorkingSet, _: LogReader, *, after: tuple[str, ...] | None, wanted: int | None
    ) -> tuple[list[Row], tuple[str, ...] | None]:
        """(rows, the place behind which to go on, None at the end)."""
        most = self._showing.rows if wanted is None else min(wanted, self._showing.rows)
        taken: list[Sequence[Any]] = []
        scanned = 0
        while True:
            size = most if self._matches is None else self._scanning.rows
            where = self._where if after is None else self._where.and_(self._beyond, *after)
            found = read_columns(working.index, self._read, where, self._order, size)
            taken += found if self._matches is None else filter(self._matches, found)
            scanned += len(found)
            after = tuple(found[-1][self._keys]) if len(found) == size else None
            self._scanning.learn(len(found), sum(len(row[-1]) for row in found) if self._reads_state else 0)
            if after is None or len(taken) >= most or scanned >= _PER_READ:
                break
        if len(taken) > most:
            taken = taken[:most]
            after = tuple(taken[-1][self._keys])
        rows = read_rows(working.index, [row[0] for row in taken])
        self._showing.learn(len(rows), sum(len(row.state) + len(row.extensions) for row in rows))
        return rows, after


def _by_number(domain: Domain, scan: Scan) -> Iterator[Aggregate]:
    """By any columns: SQLite sorts the row numbers, eight bytes each; the rows are read as they are wanted."""
    keys = [(_COLUMNS[key.field], key.descending) for key in scan.sort]
    ties = len(keys) == 1 and keys[0][1] and scan.sort[0].field == "created_at"
    named = [column for column, _ in keys]
    keys += [(column, ties) for column in ("type", "id") if column not in named]
    order = ", ".join(f"{column} DESC" if descending else column for column, descending in keys)
    where = where_of(scan, None)
    if scan.after is not None:
        where = where.and_(f"(created_at, type, id) {'<' if ties else '>'} (?, ?, ?)", *scan.after)
    limit = -1 if scan.take is None or scan.filter is not None else min(scan.take, _MOST_TAKEN)
    numbers = domain.read(lambda working, _: read_numbers(working.index, where, order, limit))
    at, pace = 0, _Pace(_ENOUGH)
    while at < len(numbers):
        part = numbers[at : at + pace.rows]
        at += len(part)
        rows = domain.read(lambda working, _, part=part: read_rows(working.index, part))  # type: ignore[misc]
        pace.learn(len(rows), sum(len(row.state) + len(row.extensions) for row in rows))
        for row in rows:
            aggregate = aggregate_of(row)
            if scan.filter is None or scan.filter.matches(aggregate):
                yield aggregate


class _Scanned:
    """As much of an aggregate as a filter looks at; one for a whole scan."""

    __slots__ = (
        "aggregate_id", "aggregate_type", "archived", "created_at", "extensions", "root", "state", "updated_at",
        "version",
    )  # fmt: skip


def _needs(chosen: Filter[Aggregate]) -> list[str]:
    return [_COLUMNS[column] for column in _ordered(chosen)]


def _ordered(chosen: Filter[Aggregate]) -> list[str]:
    """The columns of a filter, the state last."""
    return sorted(chosen.columns, key=lambda column: (column == "state", column))


def _matcher(chosen: Filter[Aggregate], first: int) -> Callable[[Sequence[Any]], bool]:
    """Whether a row, whose columns from `first` on are those of `_needs`, is taken."""
    document: Any = _Scanned()
    matches, parse = chosen.matches, _scan_json
    columns = _ordered(chosen)
    if columns == ["state"]:

        def match_state(row: Sequence[Any]) -> bool:
            try:
                document.state = parse(row[first].decode(), 0)[0]
                return matches(document)
            except (ValueError, StopIteration, AttributeError) as error:
                raise _damaged() from error

        return match_state

    def match(row: Sequence[Any]) -> bool:
        try:
            for at, column in enumerate(columns, first):
                value = row[at]
                if column in ("state", "extensions"):
                    value = {} if value == b"{}" else parse(value.decode(), 0)[0]
                elif column == "root":
                    value = value.hex()
                setattr(document, column, value)
            return matches(document)
        except (ValueError, StopIteration, AttributeError, Corrupt) as error:
            raise _damaged() from error

    return match


def _damaged() -> IndexDamaged:
    return IndexDamaged("a row of the index is damaged", hint="run 'dbx reindex'")
