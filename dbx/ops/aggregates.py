"""Look at aggregates: one, many, some fields of one; and verify them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbx.model.path import find_value
from dbx.repo import query

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.errors import Corrupt
    from dbx.model.event import Aggregate, Event
    from dbx.ops.session import Session


def get_aggregate(session: Session, aggregate_type: str, aggregate_id: str, version: int | None = None) -> Aggregate:
    """An aggregate, at its latest version or an older one. Raises NotFound."""
    return query.get_aggregate(session.domain, aggregate_type, aggregate_id, version)


def events_of(session: Session, aggregate: Aggregate, at: str | None = None) -> list[Event]:
    """The events that make an aggregate, up to its version; `at` is the ref that it was asked for."""
    domain = session.domain
    if at is not None:
        from dbx.ops.past import locate

        domain, _ = locate(domain, at)
    events: list[Event] = []
    for event in query.iterate_events(domain, aggregate.aggregate_type, aggregate.aggregate_id):
        if event.version > aggregate.version:
            break
        events.append(event)
    return events


def select_fields(aggregate: Aggregate, paths: tuple[str, ...]) -> dict[str, Any]:
    """The values at dotted paths into the state, or into an `@` key; None where there is nothing.

    A key that is spelled like the whole path wins; in an array a step is an index from 0.
    """
    whole = {**aggregate.state, **aggregate.extensions}
    return {path: find_value(whole, path) for path in paths}


def verify_aggregate(session: Session, aggregate_type: str, aggregate_id: str) -> Aggregate:
    """Read, hash and fold an aggregate's events again. Raises Corrupt where that gives something else, NotFound."""
    return query.verify_aggregate(session.domain, aggregate_type, aggregate_id)


def verify_all(session: Session, aggregate_type: str | None = None) -> Iterator[tuple[Aggregate, Corrupt | None]]:
    """Verify every aggregate, archived ones too, in bounded memory: (as the index has it, what is wrong with it)."""
    from dbx.repo.reading.verification import verify_aggregates

    return verify_aggregates(session.domain, aggregate_type)
