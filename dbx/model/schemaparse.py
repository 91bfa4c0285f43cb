"""Plain data to a Schema: every fault is found in one pass, each with its place and the nearest valid word.

Where the data came from, and which line a path stands on, is for the caller to know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbx.errors import Invalid
from dbx.model import names
from dbx.model.columnparse import ColumnParser
from dbx.model.event import RESERVED
from dbx.model.problems import Problems
from dbx.model.schema import EventRule, Schema

if TYPE_CHECKING:
    from dbx.model.schema import Path, Problem

KEYS = (
    "aggregate",
    "description",
    "snapshot_threshold",
    "locked",
    "hidden",
    "hidden_fields",
    "field_locks",
    "columns",
    "events",
)
"""The keys of a schema file, in the order in which it is written."""
EVENT_KEYS = ("fields", "note")
MAX_THRESHOLD = 1_000_000_000


def parse_schema(document: Any, *, aggregate: str | None = None) -> tuple[Schema | None, list[Problem]]:
    """(the schema, []) or (None, every problem in the order of the document).

    `document` is what a YAML or JSON loader gives. `aggregate` is the name that the file has: the document's own must
    be the same, and may be left out.
    """
    problems = Problems()
    if not problems.is_mapping(document, (), "a schema"):
        return None, problems.found
    parts = _SchemaParser(problems, aggregate).parse(document)
    if problems.found:
        return None, problems.found
    return Schema(**parts), []


class _SchemaParser:
    """Reads one document. What is wrong goes to `problems`; what is returned then does not matter."""

    def __init__(self, problems: Problems, aggregate: str | None) -> None:
        self._problems = problems
        self._aggregate = aggregate
        self._columns = ColumnParser(problems)

    def parse(self, document: dict[Any, Any]) -> dict[str, Any]:
        """What Schema takes."""
        readers = {
            "aggregate": self._name,
            "description": self._problems.description,
            "snapshot_threshold": self._threshold,
            "locked": self._problems.flag,
            "hidden": self._problems.flag,
            "hidden_fields": self._problems.field_names,
            "field_locks": self._problems.field_names,
            "columns": self._columns.columns,
            "events": self._events,
        }
        parts: dict[str, Any] = {"aggregate": self._aggregate}
        for key, value in document.items():
            reader = readers.get(key)
            if reader is None:
                self._problems.unknown_key(key, (), KEYS)
            else:
                parts[key] = reader(value, (key,))
        if "aggregate" not in document and self._aggregate is None:
            self._problems.add((), "'aggregate' is missing: the name of the aggregate type")
        if "events" not in document:
            self._problems.add((), "'events' is missing: a schema declares at least one event")
        return parts

    def _name(self, value: Any, path: Path) -> str:
        try:
            name = names.check_type(value)
        except Invalid as error:
            self._problems.add(path, _with_hint(error), _snake(value))
            return ""
        if self._aggregate is not None and name != self._aggregate:
            self._problems.add(
                path,
                f"aggregate {names.quote(name)} must be {names.quote(self._aggregate)}, as the file is called",
                self._aggregate,
            )
        return name

    def _threshold(self, value: Any, path: Path) -> int | None:
        if value is not None and (type(value) is not int or not 1 <= value <= MAX_THRESHOLD):
            self._problems.add(path, f"'snapshot_threshold' must be a whole number from 1 to {MAX_THRESHOLD}, or null")
            return None
        return value

    def _events(self, value: Any, path: Path) -> dict[str, EventRule]:
        events: dict[str, EventRule] = {}
        if value is None or value == {}:
            self._problems.add(path, "a schema declares at least one event")
            return events
        if not self._problems.is_mapping(value, path, "'events'"):
            return events
        spelled: dict[str, str] = {}
        for name, rule in value.items():
            below = (*path, name)
            stored = self._event_name(name, below)
            parsed = self._event(rule, below)
            if stored is None:
                continue
            if stored in spelled:
                self._problems.add(
                    below,
                    f"{names.quote(name)} and {names.quote(spelled[stored])} are one event, '{stored}'",
                    on_key=True,
                )
            spelled.setdefault(stored, name)
            events[stored] = parsed
        return events

    def _event_name(self, name: Any, path: Path) -> str | None:
        try:
            stored = names.check_event_type(name)
        except Invalid as error:
            self._problems.add(path, _with_hint(error), _snake(name), on_key=True)
            return None
        if stored in RESERVED:
            self._problems.add(path, f"event '{stored}' is reserved: only dbx itself writes it", on_key=True)
            return None
        return stored

    def _event(self, rule: Any, path: Path) -> EventRule:
        if rule is None:
            return EventRule()
        if not self._problems.is_mapping(rule, path, "an event", "write '{}' for an event that may set any field"):
            return EventRule()
        fields: tuple[str, ...] = ()
        note = None
        for key, value in rule.items():
            below = (*path, key)
            if key == "fields":
                fields = self._problems.field_names(value, below)
            elif key == "note":
                note = self._note(value, below)
            else:
                self._problems.unknown_key(key, path, EVENT_KEYS)
        return EventRule(fields, note)

    def _note(self, value: Any, path: Path) -> str | None:
        if value is None:
            return None
        try:
            return names.check_note(value)
        except Invalid as error:
            self._problems.add(path, error.message)
            return None


def _with_hint(error: Invalid) -> str:
    return f"{error.message} ({error.hint})" if error.hint else error.message


def _snake(name: Any) -> str | None:
    """What a name may have been meant to be: `PersonCreated` and `person-created` are `person_created`."""
    if not isinstance(name, str) or len(name) > names.MAX_EVENT_TYPE_CHARS or not name.isascii():
        return None
    import re

    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    snake = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
    return snake if snake[:1].isalpha() and snake != name else None
