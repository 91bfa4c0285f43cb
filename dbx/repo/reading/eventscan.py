"""Going through the events of a domain: which of them a filter takes, in the order of the log or sorted."""

from __future__ import annotations

import heapq
import sys
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.model.filter import aggregate_column
from dbx.model.filtertext import And, Comparison
from dbx.repo import query
from dbx.store.scanindex import has_archived

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from dbx.model.event import Event
    from dbx.model.filter import Filter
    from dbx.model.filtertext import Tree
    from dbx.model.sort import SortKey
    from dbx.repo.domain import Domain

_CHUNK = 512
_KNOWN = 10_000


class EventScan(NamedTuple):
    """Which events: of a type, of an aggregate, of aggregates that are archived now or are not (None for both).

    `start` is the position to begin at.
    """

    aggregate_type: str | None = None
    aggregate_id: str | None = None
    archived: bool | None = None
    filter: Filter[Event] | None = None
    start: int = 0


def iterate(domain: Domain, scan: EventScan) -> Iterator[Event]:
    """In the order of the log, in bounded memory. Raises NotFound for an aggregate that does not exist."""
    kind, name = scan.aggregate_type, scan.aggregate_id
    if name is None and scan.filter is not None:
        asked = _asked(scan.filter.tree)
        kind = asked.get("aggregate_type") if kind is None else kind
        wanted = asked.get("aggregate_id")
        if kind is not None and wanted is not None and _exists(domain, kind, wanted):
            name = wanted
    events = query.iterate_events(domain, kind, name, start=scan.start)
    if scan.filter is not None:
        events = filter(scan.filter.matches, events)
    if scan.archived is not None:
        events = _by_scope(domain, events, scan.archived)
    return events


def iterate_sorted(domain: Domain, scan: EventScan, keys: tuple[SortKey, ...], take: int | None) -> Iterator[Event]:
    """Sorted, events that are alike in the order of the log.

    With `take` only so many are ever held; without it the keys of all of them are.
    """
    rank = _ranking(keys)
    if take is not None:
        yield from heapq.nsmallest(min(take, sys.maxsize), iterate(domain, scan), key=rank)
        return
    ranked = sorted((rank(event), event.position) for event in iterate(domain, scan))
    for at in range(0, len(ranked), _CHUNK):
        yield from query.events_at(domain, [position for _, position in ranked[at : at + _CHUNK]])


def find_position(domain: Domain, aggregate_type: str, aggregate_id: str, version: int) -> int | None:
    """The position of an event, None where there is none."""

    def find(working: Any, _: object) -> int | None:
        row = working.index.find(aggregate_type, aggregate_id)
        found = [] if row is None else working.index.positions(row.n, version, version)
        return found[0] if found else None

    return domain.read(find)


def _ranking(keys: Sequence[SortKey]) -> Callable[[Event], Any]:
    """What to sort events by."""
    get: Callable[[Event], Any] = attrgetter(*[key.field for key in keys])
    if not any(key.descending for key in keys):
        return get
    if len(keys) == 1 and keys[0].field in ("version", "event_id"):
        return lambda event: -get(event)
    if len(keys) == 1:
        return lambda event: _Reversed(get(event))
    descending = [key.descending for key in keys]

    def rank(event: Event) -> tuple[Any, ...]:
        return tuple(_Reversed(value) if down else value for value, down in zip(get(event), descending, strict=True))

    return rank


class _Reversed:
    """A value whose order is turned round."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: _Reversed) -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Reversed) and self.value == other.value

    __hash__ = None  # type: ignore[assignment]  # it is compared, never looked up


def _asked(tree: Tree) -> dict[str, str]:
    """The type and the id that a filter asks for, whatever else it asks for."""
    asked: dict[str, str] = {}
    for part in tree.parts if isinstance(tree, And) else (tree,):
        if isinstance(part, Comparison) and part.op == "=" and isinstance(part.values[0], str):
            column = aggregate_column(part.field)
            if column is not None:
                asked.setdefault(column, part.values[0])
    return asked


def _exists(domain: Domain, aggregate_type: str, aggregate_id: str) -> bool:
    return domain.read(lambda working, _: working.index.find(aggregate_type, aggregate_id)) is not None


def _by_scope(domain: Domain, events: Iterable[Event], archived: bool) -> Iterator[Event]:
    """Those whose aggregate is archived, or is not."""
    known: dict[tuple[str, str], bool] = {}
    if not domain.read(lambda working, _: has_archived(working.index)):
        if not archived:
            yield from events
        return
    for event in events:
        name = (event.aggregate_type, event.aggregate_id)
        found = known.get(name)
        if found is None:
            if len(known) >= _KNOWN:
                known.clear()
            row = domain.read(lambda working, _, name=name: working.index.find(*name))  # type: ignore[misc]
            found = known[name] = row is not None and bool(row.archived)
        if found is archived:
            yield event
