"""Sort specifications: `field[:asc|desc][,…]`, over the fields that aggregates and events have outside their state."""

from __future__ import annotations

from typing import NamedTuple

from dbx.model.place import fault_at

AGGREGATE_FIELDS = ("aggregate_type", "aggregate_id", "archived", "created_at", "updated_at", "version")
EVENT_FIELDS = ("aggregate_type", "aggregate_id", "event_type", "version", "event_id", "created_at")

_WHAT = "invalid sort specification"


class SortKey(NamedTuple):
    """One field to sort by, ascending unless `descending`."""

    field: str
    descending: bool


def parse_sort(text: str, fields: tuple[str, ...]) -> tuple[SortKey, ...]:
    """The keys, the most significant first. Fields may be spelled without `_` and in any case.

    Raises Invalid with the place.
    """
    known = {name.replace("_", ""): name for name in fields}
    keys: list[SortKey] = []
    at = 0
    for part in text.split(","):
        name, colon, order = part.partition(":")
        start = at + len(name) - len(name.lstrip())
        field = known.get(name.strip().replace("_", "").lower())
        if not name.strip():
            raise fault_at(_WHAT, text, start, "a field is expected", hint=f"fields are {', '.join(fields)}")
        if field is None:
            raise fault_at(_WHAT, text, start, "there is no such field", hint=f"fields are {', '.join(fields)}")
        if any(key.field == field for key in keys):
            raise fault_at(_WHAT, text, start, f"'{field}' is there twice")
        direction = order.strip().lower()
        if colon and direction not in ("asc", "desc"):
            raise fault_at(_WHAT, text, at + len(name) + 1, "the order is asc or desc", hint="as in created_at:desc")
        keys.append(SortKey(field, direction == "desc"))
        at += len(part) + 1
    return tuple(keys)
