"""A schema as JSON Schema (draft 2020-12), for tools that do not know dbx. The same schema gives the same document.

The document describes the state of an aggregate; `$defs` holds one schema for the payload of each event. It takes every
payload that dbx takes, and refuses what JSON Schema's own words can say: what they cannot (a range of dates, Luhn's
digit, numbers that come as text) is in `x-dbx-…` keywords, which jsonschemaimport reads again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbx.model.columntypes import base_type
from dbx.model.ecmapattern import escape_literal, to_ecma
from dbx.model.pattern import parse_pattern
from dbx.model.schema import column_document

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dbx.model.schema import Bounds, Column, EventRule, Schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FORMATS = {"email": "idn-email", "url": "iri", "iso_8601": "date-time"}
"""Formats of dbx that JSON Schema has, too."""

_BLANKS = r"^\s*"
_NUMBER_TEXT = _BLANKS + r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)"
_TYPES: dict[str, dict[str, Any]] = {
    "integer": {"type": ["integer", "string"], "pattern": _BLANKS + r"[+-]?[0-9]+\s*$"},
    "float": {"type": ["number", "string"], "pattern": _NUMBER_TEXT + r"(?:[eE][+-]?[0-9]+)?\s*$"},
    "decimal": {"type": ["number", "string"], "pattern": _NUMBER_TEXT + r"\s*$"},
    "boolean": {
        "type": ["boolean", "integer", "string"],
        "pattern": _BLANKS + r"(?:[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|0|1)\s*$",
        "minimum": 0,
        "maximum": 1,
    },
    "text": {"type": "string"},
    "timestamp": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "json": {},
    "binary": {"type": "string", "contentEncoding": "base64"},
    "object": {"type": "object"},
}
"""Type to the JSON Schema of its values. Patterns are about text, `minimum` and `maximum` about numbers."""
PLAIN = frozenset({"text", "timestamp", "date", "json", "binary", "object"})
"""Types that an importer knows by JSON Schema's own words."""


def export_json_schema(schema: Schema) -> dict[str, Any]:
    """The JSON Schema of an aggregate's state, with the payloads of its events in `$defs`."""
    document: dict[str, Any] = {"$schema": DIALECT, "$id": f"urn:dbx:aggregate:{schema.aggregate}"}
    document["title"] = schema.aggregate
    if schema.description is not None:
        document["description"] = schema.description
    document["type"] = "object"
    document["properties"] = {name: column_schema(column) for name, column in schema.columns.items()}
    for name in ("snapshot_threshold", "locked", "hidden", "hidden_fields", "field_locks"):
        value = getattr(schema, name)
        if value:
            document[f"x-dbx-{name.replace('_', '-')}"] = list(value) if isinstance(value, tuple) else value
    document["$defs"] = {
        name: event_schema(schema, rule, name, "#/properties/") for name, rule in schema.events.items()
    }
    return document


def event_schema(schema: Schema, rule: EventRule, name: str, columns_at: str) -> dict[str, Any]:
    """The JSON Schema of an event's payload; columns are referred to below `columns_at`."""
    named = rule.fields or tuple(schema.columns)
    document: dict[str, Any] = {"title": name}
    if rule.note is not None:
        document["description"] = rule.note
    document["type"] = "object"
    document["properties"] = {
        field: {"$ref": columns_at + _pointer(field)} if field in schema.columns else True for field in named
    }
    if required := [n for n, c in schema.columns.items() if c.required == "always" and n in named]:
        document["required"] = required
    if rule.fields:
        document["additionalProperties"] = False
    return document


def column_schema(column: Column) -> dict[str, Any]:
    """The JSON Schema of a column's values."""
    base = base_type(column.type)
    document: dict[str, Any] = {**_TYPES[base]}
    if column.description is not None:
        document["description"] = column.description
    if base not in PLAIN:
        document["x-dbx-type"] = column.type
    if column.format:
        document |= {"format": FORMATS[column.format]} if column.format in FORMATS else {}
        document["x-dbx-format"] = column.format
    document |= _lengths(column) | (_ends(column.range, base) if column.range else {})
    parts = list(_patterns(column))
    document |= parts[0] if len(parts) == 1 else {"allOf": parts} if parts else {}
    if column.properties:
        document["properties"] = {name: column_schema(below) for name, below in column.properties.items()}
        if required := [name for name, below in column.properties.items() if below.required == "always"]:
            document["required"] = required
    if column.required:
        document["x-dbx-required"] = column.required
    if column.pii:
        document["x-dbx-pii"] = column.pii
    if column.reference:
        rules = column_document(column)
        document["x-dbx-reference"] = rules["reference"] if isinstance(rules, dict) else {}
    return document


def _lengths(column: Column) -> dict[str, Any]:
    if column.length is None:
        return {}
    if column.type == "binary":
        return {"x-dbx-length": _bounds(column.length)}
    names = (("minLength", column.length.min), ("maxLength", column.length.max))
    return {name: end for name, end in names if end is not None}


def _ends(ends: Bounds, base: str) -> dict[str, Any]:
    given = [end for end in (ends.min, ends.max) if end is not None]
    if base in ("integer", "float", "decimal") and not any(isinstance(end, str) for end in given):
        return {n: end for n, end in (("minimum", ends.min), ("maximum", ends.max)) if end is not None}
    return {"x-dbx-range": _bounds(ends)}


def _bounds(ends: Bounds) -> dict[str, Any]:
    return {name: end for name, end in (("min", ends.min), ("max", ends.max)) if end is not None}


def _patterns(column: Column) -> Iterator[dict[str, Any]]:
    for text in column.regex:
        yield {"pattern": to_ecma(parse_pattern(text)), "x-dbx-regex": text}
    for text in column.contains:
        yield {"pattern": escape_literal(text), "x-dbx-contains": text}
    for text in column.does_not_contain:
        yield {"not": {"pattern": escape_literal(text)}, "x-dbx-does-not-contain": text}


def _pointer(name: str) -> str:
    """A name within a JSON pointer (RFC 6901) within a URI."""
    from urllib.parse import quote

    return quote(name.replace("~", "~0").replace("/", "~1"), safe="~")


def payload_schemas(schemas: Mapping[str, Schema], columns_at: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(aggregate, event, schema of its payload) of every event, by name; columns below `columns_at`/aggregate."""
    for aggregate, schema in sorted(schemas.items()):
        for name, rule in sorted(schema.events.items()):
            yield aggregate, name, event_schema(schema, rule, name, f"{columns_at}{aggregate}/properties/")
