"""Which events are about a person: columns marked `pii: subject` name them, and `pii` says what is personal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dbx.model.event import Event
    from dbx.model.schema import Column, Schema

Path = tuple[str, ...]


def subject_paths(schema: Schema) -> list[Path]:
    """The fields that name a person, those within objects too."""
    return [path for path, column in _columns(schema.columns) if column.pii == "subject"]


def personal_keys(schema: Schema) -> frozenset[str]:
    """The top-level fields that hold personal data, or have some within."""
    return frozenset(path[0] for path, column in _columns(schema.columns) if column.pii)


def _columns(columns: Mapping[str, Column], above: Path = ()) -> Iterator[tuple[Path, Column]]:
    for name, column in columns.items():
        yield (*above, name), column
        yield from _columns(column.properties, (*above, name))


class SubjectScan:
    """Looks through the events of one type, in the order of the log, for those that hold data about a person.

    An aggregate is about the person while one of its subject fields has the value; an event of it is one of them when
    it sets a field that is marked, or one that no schema declares: nobody can say that this is not personal.
    Of several `schemas` of the type (the working one, the published one) a mark in any of them counts.
    """

    def __init__(self, schemas: Sequence[Schema], value: str) -> None:
        self._value = value
        self._paths = {path for schema in schemas for path in subject_paths(schema)}
        declared = frozenset(key for schema in schemas for key in schema.columns)
        self._plain = declared - frozenset(key for schema in schemas for key in personal_keys(schema))
        self._about: dict[str, frozenset[Path]] = {}

    @property
    def has_subjects(self) -> bool:
        """Whether any column is marked `pii: subject`."""
        return bool(self._paths)

    def take(self, event: Event) -> bool:
        """The next event; whether it holds data about the person."""
        if not event.payload:
            return False
        about = self._about.get(event.aggregate_id, frozenset())
        for path in self._paths:
            if path[0] in event.payload:
                about = about | {path} if self._names(event.payload, path) else about - {path}
        if not about:
            self._about.pop(event.aggregate_id, None)
            return False
        self._about[event.aggregate_id] = about
        return not self._plain.issuperset(event.payload)

    def _names(self, payload: Mapping[str, Any], path: Path) -> bool:
        value: Any = payload
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, list):
            return any(_text(one) == self._value for one in value)
        return _text(value) == self._value


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    return str(value) if type(value) in (int, float) else None
