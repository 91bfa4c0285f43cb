"""A schema as values: what `schemas/<aggregate>.yaml` says once every fault in it has been ruled out (dbx-schema(5)).

`parse_schema` of schemaparse makes them from plain data, `compile_event` of validation makes checks of them. Names of
events are as they are stored (`person.created` is `person_created`), types and formats in their one spelling.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    Required = Literal[False, "always", "create"]
    """Whether a column must be present: never, in every event that may set it, or in the first event only."""
    Pii = Literal[False, True, "subject"]
    """Whether a column holds personal data; `subject`: it names the person (`dbx forget --subject`)."""
    Path = tuple[str | int, ...]
    """Keys and indices from the top of a document to a place in it; () is the document itself."""


class Bounds(NamedTuple):
    """The inclusive ends of a `length` (whole numbers, characters or bytes) or a `range`; None is open.

    The ends of a range are as the file gives them, number or text, and known to fit the column's type.
    """

    min: int | float | str | None = None
    max: int | float | str | None = None


class ReferenceRule(NamedTuple):
    """What a column that holds references may point to, and what happens when its target goes (EventDBX §3.8)."""

    integrity: Literal["strong", "weak"] = "strong"
    domain: str | None = None
    aggregate: str | None = None
    cascade: Literal["none", "restrict", "nullify"] = "none"


@dataclass(frozen=True, slots=True)
class Column:
    """One field. `type` is integer, float, decimal(p,s), boolean, text, timestamp, date, json, binary or object.

    `reference` is set exactly when `format` is `reference`; `properties` are those of an object.
    """

    type: str
    required: Required = False
    format: str | None = None
    length: Bounds | None = None
    range: Bounds | None = None
    regex: tuple[str, ...] = ()
    contains: tuple[str, ...] = ()
    does_not_contain: tuple[str, ...] = ()
    reference: ReferenceRule | None = None
    properties: Mapping[str, Column] = field(default_factory=dict)
    description: str | None = None
    pii: Pii = False


class EventRule(NamedTuple):
    """An event that may be written. `fields` are the only ones it may set; none named: any."""

    fields: tuple[str, ...] = ()
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Schema:
    """The rules of one aggregate type. Mappings keep the order of the file; no code may change them."""

    aggregate: str
    description: str | None = None
    snapshot_threshold: int | None = None
    locked: bool = False
    hidden: bool = False
    hidden_fields: tuple[str, ...] = ()
    field_locks: tuple[str, ...] = ()
    columns: Mapping[str, Column] = field(default_factory=dict)
    events: Mapping[str, EventRule] = field(default_factory=dict)


class Problem(NamedTuple):
    """A fault of a schema document: where, in one sentence, and the valid word that looks most like what stands there.

    `on_key` says that the key at the end of `path` is at fault, not its value: the file layer points at the one or the
    other.
    """

    path: Path
    message: str
    nearest: str | None = None
    on_key: bool = False


def to_document(schema: Schema) -> dict[str, Any]:
    """The plain data that parse_schema reads as this schema: keys in the order of the manual, defaults left out."""
    document: dict[str, Any] = {"aggregate": schema.aggregate}
    for name in ("description", "snapshot_threshold"):
        if (value := getattr(schema, name)) is not None:
            document[name] = value
    for name in ("locked", "hidden"):
        if getattr(schema, name):
            document[name] = True
    for name in ("hidden_fields", "field_locks"):
        if names := getattr(schema, name):
            document[name] = list(names)
    if schema.columns:
        document["columns"] = {name: column_document(column) for name, column in schema.columns.items()}
    document["events"] = {name: _event_document(rule) for name, rule in schema.events.items()}
    return document


def to_value(schema: Schema) -> dict[str, Any]:
    """A schema with every member, `columns` and `events` as in its file: what commands show and plugins are sent."""
    document = to_document(schema)
    return {
        "aggregate": schema.aggregate,
        "description": schema.description,
        "snapshot_threshold": schema.snapshot_threshold,
        "locked": schema.locked,
        "hidden": schema.hidden,
        "hidden_fields": list(schema.hidden_fields),
        "field_locks": list(schema.field_locks),
        "columns": document.get("columns", {}),
        "events": {
            name: {"fields": list(rule.fields), **({} if rule.note is None else {"note": rule.note})}
            for name, rule in schema.events.items()
        },
    }


def column_document(column: Column) -> str | dict[str, Any]:
    """A column as parse_schema reads it: its type alone where it has no rules."""
    document: dict[str, Any] = {"type": column.type}
    if column.required:
        document["required"] = True if column.required == "always" else column.required
    if column.format and not column.reference:
        document["format"] = column.format
    for name in ("length", "range"):
        if bounds := getattr(column, name):
            document[name] = {end: v for end in ("min", "max") if (v := getattr(bounds, end)) is not None}
    for name in ("regex", "contains", "does_not_contain"):
        if texts := getattr(column, name):
            document[name] = list(texts)
    if column.reference:
        document["format"] = "reference"
        document["reference"] = _reference_document(column.reference)
    if column.properties:
        document["properties"] = {name: column_document(below) for name, below in column.properties.items()}
    if column.description is not None:
        document["description"] = column.description
    if column.pii:
        document["pii"] = column.pii
    return document if len(document) > 1 else column.type


def _reference_document(rule: ReferenceRule) -> dict[str, Any]:
    document: dict[str, Any] = {"integrity": rule.integrity}
    for name in ("domain", "aggregate"):
        if (value := getattr(rule, name)) is not None:
            document[name] = value
    return document | {"cascade": rule.cascade}


def _event_document(rule: EventRule) -> dict[str, Any]:
    document: dict[str, Any] = {"fields": list(rule.fields)} if rule.fields else {}
    if rule.note is not None:
        document["note"] = rule.note
    return document
