"""Look at events: one by its id, or many, filtered, sorted, page by page."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from dbx.model.cursor import format_event_cursor, parse_event_cursor, refuse_cursor
from dbx.model.filter import parse_event_filter
from dbx.model.missing import no_event
from dbx.model.rights import resource_of
from dbx.model.sort import EVENT_FIELDS, parse_sort
from dbx.repo import query
from dbx.repo.reading import eventscan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.model.event import Event
    from dbx.ops.session import Session


class WantedEvents(NamedTuple):
    """What is to be listed: texts as the user gave them.

    `archived` says whether events of archived aggregates are listed, None for both kinds. It does not count where
    `aggregate_id` names the aggregate. `take` None takes all.
    """

    aggregate_type: str | None = None
    aggregate_id: str | None = None
    archived: bool | None = False
    filter: str | None = None
    sort: str | None = None
    cursor: str | None = None
    take: int | None = None


def get_event(session: Session, event_id: int) -> Event:
    """An event by its id. Raises NotFound."""
    domain = session.domain
    event = query.find_event(domain, event_id)
    if event is None:
        raise no_event(domain.name, event_id)
    if domain.access is not None:
        domain.access.require("aggregate.read", resource_of(event.aggregate_type, event.aggregate_id))
    return event


def list_events(session: Session, wanted: WantedEvents) -> Iterator[Event]:
    """Events in the order of the log, unless sorted otherwise. Raises NotFound for an aggregate that is not there.

    Raises Invalid with the place for a filter, a sort or a cursor that cannot be understood.
    """
    domain = session.domain
    chosen = None if wanted.filter is None else parse_event_filter(wanted.filter)
    keys = () if wanted.sort is None else parse_sort(wanted.sort, EVENT_FIELDS)
    start = 0
    if wanted.cursor is not None:
        if keys:
            refuse_cursor(
                "only a listing in the order of the log goes on behind a cursor", "leave --sort out, or take more"
            )
        start = _start(session, wanted)
    archived = None if wanted.aggregate_id is not None else wanted.archived
    scan = eventscan.EventScan(wanted.aggregate_type, wanted.aggregate_id, archived, chosen, start)
    access = domain.access
    if access is not None and not access.sees_all:
        found = eventscan.iterate_sorted(domain, scan, keys, None) if keys else eventscan.iterate(domain, scan)
        return islice((one for one in found if access.sees(one.aggregate_type, one.aggregate_id)), wanted.take)
    if keys:
        return eventscan.iterate_sorted(domain, scan, keys, wanted.take)
    return eventscan.iterate(domain, scan)


def _start(session: Session, wanted: WantedEvents) -> int:
    """The position to begin at."""
    cursor = parse_event_cursor(wanted.cursor or "")
    if cursor.position is not None:
        return cursor.position + 1
    kind, name = cursor.aggregate_type, cursor.aggregate_id
    if wanted.aggregate_type not in (None, kind) or wanted.aggregate_id not in (None, name):
        refuse_cursor("cursor does not match the requested event scope", "list the events of the same aggregate")
    position = eventscan.find_position(session.domain, kind, name, cursor.version)
    if position is None:
        refuse_cursor(f"aggregate '{kind}/{name}' has no version {cursor.version}")
    return position + 1


def cursor_of(event: Event) -> str:
    """The cursor with which a listing in the order of the log goes on behind an event."""
    return format_event_cursor(event.position)
