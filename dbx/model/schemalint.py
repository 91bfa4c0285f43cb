"""What is wrong with a schema although it can be read: ambiguity, rules that nothing can meet, names that lead nowhere.

An error makes two readers understand different things, or an event impossible: publishing refuses it. Everything else
is a warning.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from dbx.model.names import quote
from dbx.model.problems import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dbx.model.schema import Column, Path, Schema

_match_snake = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*", re.ASCII).fullmatch
_find_word_start = re.compile(r"(?<=[a-z0-9])(?=[A-Z])", re.ASCII)
_find_between_words = re.compile(r"[^a-z0-9]+")


class Finding(NamedTuple):
    """Something to change: where, which check found it, in one sentence; `nearest` is a word that may be meant."""

    path: Path
    check: str
    message: str
    is_error: bool = False
    nearest: str | None = None


def lint_schema(schema: Schema) -> list[Finding]:
    """Every finding, in the order of the file's keys."""
    return [
        *_lists(schema),
        *_columns(schema.columns, ("columns",)),
        *_types_of_one_name(schema),
        *_events(schema),
    ]


def normalise_field(name: str) -> str:
    """What a name is without its style: `firstName`, `First-Name` and `first_name` are `first_name`."""
    return _find_between_words.sub("_", _find_word_start.sub("_", name).lower()).strip("_")


def _lists(schema: Schema) -> Iterator[Finding]:
    for key in ("hidden_fields", "field_locks"):
        for index, name in enumerate(getattr(schema, key)):
            if name not in schema.columns:
                yield _unknown_field(schema, (key, index), name, f"'{key}' names")
    for index, name in enumerate(schema.field_locks):
        if name in schema.columns and schema.columns[name].required == "always":
            message = f"field {quote(name)} is locked and required in every event, so most events can never be written"
            yield Finding(("field_locks", index), "impossible", message, is_error=True)


def _unknown_field(schema: Schema, path: Path, name: str, who: str) -> Finding:
    message = f"{who} {quote(name)}, which is no column"
    return Finding(path, "unknown-field", message, nearest=nearest(name, schema.columns))


def _columns(columns: Mapping[str, Column], path: Path) -> Iterator[Finding]:
    spelled: dict[str, str] = {}
    for name, column in columns.items():
        below = (*path, name)
        plain = normalise_field(name) or name
        if plain in spelled:
            message = f"fields {quote(spelled[plain])} and {quote(name)} differ in style only"
            yield Finding(below, "ambiguous-name", message, is_error=True)
        elif not _match_snake(name):
            near = plain if _match_snake(plain) else None
            yield Finding(below, "name-style", f"field {quote(name)} is not snake_case", nearest=near)
        spelled.setdefault(plain, name)
        yield from _impossible(name, column, below)
        yield from _columns(column.properties, (*below, "properties"))


def _impossible(name: str, column: Column, path: Path) -> Iterator[Finding]:
    most = column.length.max if column.length else None
    for index, part in enumerate(column.contains):
        if isinstance(most, int) and len(part) > most:
            message = (
                f"field {quote(name)} must contain {quote(part)}, which is longer than the {most} characters allowed"
            )
            yield Finding((*path, "contains", index), "impossible", message, is_error=True)
        for lacked in column.does_not_contain:
            if lacked in part:
                message = f"field {quote(name)} must contain {quote(part)} and must not contain {quote(lacked)}"
                yield Finding((*path, "contains", index), "impossible", message, is_error=True)
    if column.reference and column.reference.cascade == "nullify" and column.required == "always":
        message = f"field {quote(name)} becomes null when its target goes, but is required in every event"
        yield Finding((*path, "reference"), "contradiction", message)


def _types_of_one_name(schema: Schema) -> Iterator[Finding]:
    """A name that is one type here and another there: readers will take one for the other."""
    first: dict[str, tuple[str, str]] = {}
    todo: list[tuple[tuple[str, ...], str, Column]] = [
        (("columns", name), name, column) for name, column in schema.columns.items()
    ]
    while todo:
        path, shown, column = todo.pop(0)
        name = path[-1]
        where, kind = first.setdefault(name, (shown, column.type))
        if kind != column.type:
            message = f"field {quote(shown)} is {column.type}, and {quote(where)} is {kind}"
            yield Finding(path, "two-types", message)
        todo += (
            ((*path, "properties", below), f"{shown}.{below}", inner) for below, inner in column.properties.items()
        )


def _events(schema: Schema) -> Iterator[Finding]:
    open_events = [name for name, rule in schema.events.items() if not rule.fields]
    for event, rule in schema.events.items():
        for index, name in enumerate(rule.fields):
            path = ("events", event, "fields", index)
            if schema.columns and name not in schema.columns:
                yield _unknown_field(schema, path, name, f"event '{event}' may set")
            if name in schema.field_locks:
                message = f"event '{event}' may set {quote(name)}, which is locked"
                yield Finding(path, "contradiction", message)
    named = {name for rule in schema.events.values() for name in rule.fields}
    for name, column in schema.columns.items():
        if not open_events and name not in named:
            message = f"no event may set field {quote(name)}"
            required = " although it is required" if column.required else ""
            yield Finding(("columns", name), "unreachable", message + required)
