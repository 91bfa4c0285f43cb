"""Look at events: one by its id, or many in the order of the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.errors import Invalid, NotFound
from dbx.model import names
from dbx.repo import query

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.model.event import Event
    from dbx.ops.session import Session

_POSITION_DIGITS = 15


def get_event(session: Session, event_id: int) -> Event:
    """An event by its id. Raises NotFound."""
    domain = session.domain
    event = query.find_event(domain, event_id)
    if event is None:
        raise NotFound(f"event '{event_id}' does not exist in domain '{domain.name}'")
    return event


def list_events(
    session: Session, aggregate_type: str | None = None, aggregate_id: str | None = None, *, cursor: str | None = None
) -> Iterator[Event]:
    """Events in the order of the log, beginning behind `cursor`. Raises NotFound for an aggregate that is not there."""
    start = 0 if cursor is None else parse_cursor(cursor) + 1
    return query.iterate_events(session.domain, aggregate_type, aggregate_id, start=start)


def cursor_of(event: Event) -> str:
    """The cursor with which a listing goes on behind an event: `e:<position>`."""
    return f"e:{event.position}"


def parse_cursor(cursor: str) -> int:
    """The position in a cursor. Raises Invalid."""
    mark, _, digits = cursor.partition(":")
    if mark != "e" or not (digits.isascii() and digits.isdigit()) or len(digits) > _POSITION_DIGITS:
        raise Invalid(f"{names.quote(cursor)} is not a cursor of events", hint="a cursor is written e:POSITION")
    return int(digits)
