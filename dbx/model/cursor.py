"""Cursors: text that names the item behind which a listing goes on. They stay good whatever is written meanwhile.

a:TYPE:ID, r:TYPE:ID                an aggregate, active or archived (restored ones are active), also in full words
ts:FIELD:ORDER:a|r:MS:TYPE:ID       an aggregate in a listing sorted by created_at or updated_at; ts:TYPE:ID in short
e:POSITION, a:TYPE:ID:VERSION       an event
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Invalid
from dbx.model import names
from dbx.model.place import fault_at
from dbx.model.time import MAX_TIME_US, MIN_TIME_US, format_time, parse_time

if TYPE_CHECKING:
    from typing import NoReturn

_MARKS = {"a": False, "active": False, "r": True, "archived": True}
_FIELDS = {"created_at": "created_at", "created": "created_at", "updated_at": "updated_at", "updated": "updated_at"}
_TIMED_PARTS = 7
_match_ms = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{3})?", re.ASCII).fullmatch
_match_number = re.compile(r"[0-9]{1,15}", re.ASCII).fullmatch
_AGGREGATE_HINT = "a cursor of aggregates is written a:TYPE:ID"
_TIMED_HINT = "a cursor of a sorted listing is written ts:updated_at:asc:a:MILLISECONDS:TYPE:ID"
_EVENT_HINT = "a cursor of events is written e:POSITION"


class AggregateCursor(NamedTuple):
    """An aggregate to go on behind. `field`, `descending` and `archived` are None where the cursor does not say.

    `time` is that of the field, None where the aggregate has to be asked; `is_exact` is False when it was cut to
    milliseconds.
    """

    aggregate_type: str
    aggregate_id: str
    archived: bool | None
    is_timed: bool = False
    field: str | None = None
    descending: bool | None = None
    time: str | None = None
    is_exact: bool = True


class EventCursor(NamedTuple):
    """An event to go on behind: by its position, or by its aggregate and version."""

    position: int | None
    aggregate_type: str = ""
    aggregate_id: str = ""
    version: int = 0


def format_aggregate_cursor(
    aggregate_type: str, aggregate_id: str, *, archived: bool, timed: tuple[str, bool, str] | None = None
) -> str:
    """The cursor of an aggregate; `timed` is (field, descending, time) where the listing is sorted by a time."""
    mark = "r" if archived else "a"
    if timed is None:
        return f"{mark}:{aggregate_type}:{aggregate_id}"
    field, descending, time = timed
    ms, us = divmod(parse_time(time), 1000)
    return f"ts:{field}:{'desc' if descending else 'asc'}:{mark}:{ms}.{us:03}:{aggregate_type}:{aggregate_id}"


def parse_aggregate_cursor(text: str) -> AggregateCursor:
    """Raises Invalid with the place."""
    mark, _, rest = text.partition(":")
    if mark == "ts":
        return _parse_timed(text, rest)
    if mark not in _MARKS:
        raise _fault(text, 0, _AGGREGATE_HINT)
    return AggregateCursor(*_name(text, rest, _AGGREGATE_HINT), _MARKS[mark])


def _parse_timed(text: str, rest: str) -> AggregateCursor:
    parts = text.split(":", _TIMED_PARTS - 1)
    if len(parts) < _TIMED_PARTS or parts[1] not in _FIELDS or parts[2] not in ("asc", "desc"):
        return AggregateCursor(*_name(text, rest, _TIMED_HINT), None, True)
    _, field, order, mark, ms, kind, name = parts
    at = len(field) + len(order) + len("ts:::")
    if mark not in _MARKS:
        raise _fault(text, at, _TIMED_HINT)
    at += len(mark) + 1
    if not _match_ms(ms):
        raise _fault(text, at, _TIMED_HINT)
    whole, dot, fraction = ms.partition(".")
    # Milliseconds are counted downwards from the epoch as well, so the fraction is always added.
    time_us = int(whole) * 1000 + int(fraction or 0)
    if not MIN_TIME_US <= time_us <= MAX_TIME_US:
        raise _fault(text, at, _TIMED_HINT)
    named = _name(text, f"{kind}:{name}", _TIMED_HINT)
    return AggregateCursor(*named, _MARKS[mark], True, _FIELDS[field], order == "desc", format_time(time_us), bool(dot))


def format_event_cursor(position: int) -> str:
    """The cursor of an event."""
    return f"e:{position}"


def parse_event_cursor(text: str) -> EventCursor:
    """Raises Invalid with the place."""
    mark, _, rest = text.partition(":")
    if mark == "e":
        if not _match_number(rest):
            raise _fault(text, 2, _EVENT_HINT)
        return EventCursor(int(rest))
    if mark not in _MARKS:
        raise _fault(text, 0, _EVENT_HINT)
    named, _, version = rest.rpartition(":")
    if not _match_number(version) or not int(version):
        raise _fault(text, len(text) - len(version), _EVENT_HINT)
    return EventCursor(None, *_name(text, named, _EVENT_HINT, behind=len(version) + 1), int(version))


def _name(text: str, named: str, hint: str, *, behind: int = 0) -> tuple[str, str]:
    """(type, id) in `TYPE:ID`, behind which so many characters stand at the end of the cursor."""
    kind, _, name = named.partition(":")
    at = len(text) - behind - len(named)
    try:
        names.check_type(kind)
        at += len(kind) + 1
        return kind, names.check_id(name)
    except Invalid:
        raise _fault(text, at, hint) from None


def refuse_cursor(why: str, hint: str | None = None) -> NoReturn:
    """Raise Invalid about a cursor that does not go with what is listed."""
    raise Invalid(f"invalid cursor: {why}", hint=hint)


def _fault(text: str, at: int, hint: str) -> Invalid:
    return fault_at("invalid cursor", text, at, "this is not as a listing shows it", hint=hint)
