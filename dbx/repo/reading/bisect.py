"""The first version of an aggregate that a condition holds for, by folding no event more often than needed.

Halving looks at the state in the middle between a version that does not fit and one that does. The state of the former
is kept, and folding goes on from there; so all steps together fold each event about once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.crypto import merkle
from dbx.errors import Corrupt
from dbx.model.event import ARCHIVED, RESTORED, Aggregate, fold
from dbx.repo import query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dbx.model.event import Event
    from dbx.repo.domain import Domain

_CHUNK = 512


class Bisected(NamedTuple):
    """The first version that fits, as an aggregate, with the event that made it; None where there is none.

    `versions` is how many there are, `looked_at` how many states were asked.
    """

    aggregate: Aggregate | None
    event: Event | None
    versions: int
    looked_at: int


class _Folded:
    """An aggregate in the making: copies share values, which folding replaces and never changes."""

    __slots__ = ("aggregate", "edge", "event")

    def __init__(self, aggregate: Aggregate, edge: list[bytes], event: Event | None) -> None:
        self.aggregate = aggregate
        self.edge = edge
        self.event = event


def bisect_versions(
    domain: Domain,
    aggregate_type: str,
    aggregate_id: str,
    fits: Callable[[Aggregate], bool],
    *,
    linear: bool = False,
    progress: Callable[[int], None] = lambda events: None,
) -> Bisected:
    """The first version that fits and stays so: by halving, which takes for granted that it still fits at the latest.

    With `linear` every version is looked at from the first on, and the first that fits is it, whatever comes later.
    `progress` is told of folded events. Raises NotFound.
    """
    positions = domain.read(lambda working, _: query.positions_of(domain, working.index, aggregate_type, aggregate_id))
    count = len(positions)
    start = _Folded(Aggregate(aggregate_type, aggregate_id, 0, {}, {}, "", "", "", False), [], None)

    def go(known: _Folded, version: int) -> _Folded:
        *_, last = _fold(domain, known, positions[known.aggregate.version : version], every=False)
        progress(version - known.aggregate.version)
        return last

    if linear:
        looked_at = 0
        for each in _fold(domain, start, positions, every=True):
            looked_at += 1
            progress(1)
            if fits(each.aggregate):
                return Bisected(each.aggregate, each.event, count, looked_at)
        return Bisected(None, None, count, looked_at)
    low, high = start, _latest(domain, aggregate_type, aggregate_id, positions) or go(start, count)
    looked_at = 1
    if not fits(high.aggregate):
        return Bisected(None, None, count, looked_at)
    while high.aggregate.version - low.aggregate.version > 1:
        middle = go(low, (low.aggregate.version + high.aggregate.version) // 2)
        looked_at += 1
        if fits(middle.aggregate):
            high = middle
        else:
            low = middle
    return Bisected(high.aggregate, high.event, count, looked_at)


def _latest(domain: Domain, aggregate_type: str, aggregate_id: str, positions: list[int]) -> _Folded | None:
    """The latest version, which the index has; None where it has gone on meanwhile."""
    aggregate = query.get_aggregate(domain, aggregate_type, aggregate_id)
    if aggregate.version != len(positions):
        return None
    return _Folded(aggregate, [], query.events_at(domain, positions[-1:])[0])


def _fold(domain: Domain, known: _Folded, positions: list[int], *, every: bool) -> Iterator[_Folded]:
    """Go on from a version over the events at positions: each version on the way, or the last one only."""
    at = known.aggregate
    state, extensions, edge = dict(at.state), dict(at.extensions), list(known.edge)
    version, archived, created_at = at.version, at.archived, at.created_at
    left = len(positions)
    for first in range(0, len(positions), _CHUNK):
        for event in query.events_at(domain, positions[first : first + _CHUNK]):
            if (event.aggregate_type, event.aggregate_id, event.version) != (
                at.aggregate_type,
                at.aggregate_id,
                version + 1,
            ):
                raise Corrupt(f"the event at position {event.position} is not version {version + 1} of its aggregate")
            merkle.append(edge, version, bytes.fromhex(event.hash))
            fold(state, extensions, event.event_type, event.payload, event.metadata)
            if event.event_type in (ARCHIVED, RESTORED):
                archived = event.event_type == ARCHIVED
            version, created_at, left = version + 1, created_at or event.created_at, left - 1
            if every or not left:
                made = _aggregate(at, version, state, extensions, edge, created_at, event.created_at, archived)
                yield _Folded(made, list(edge), event)


def _aggregate(
    at: Aggregate,
    version: int,
    state: dict[str, Any],
    extensions: dict[str, Any],
    edge: list[bytes],
    created_at: str,
    updated_at: str,
    archived: bool,
) -> Aggregate:
    root = merkle.edge_root(edge).hex()
    kind, name = at.aggregate_type, at.aggregate_id
    return Aggregate(kind, name, version, dict(state), dict(extensions), root, created_at, updated_at, archived)
