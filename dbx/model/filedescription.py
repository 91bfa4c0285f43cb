"""The JSON Schema of a schema file, for editors: made of the tables that parse_schema reads with.

`data/schema-file.schema.json` is its text; a test compares them. An editor finds it through the first line of a file
(`# yaml-language-server: $schema=…`).
"""

from __future__ import annotations

import json
from typing import Any

from dbx.model.columnparse import CASCADES, FITS, INTEGRITIES, MAX_TEXTS
from dbx.model.columntypes import REFERENCE_WORDS, SIMPLE_TYPES, TYPE_ALIASES
from dbx.model.names import MAX_NOTE_CHARS
from dbx.model.problems import MAX_DESCRIPTION_CHARS, MAX_FIELD_CHARS
from dbx.model.schemaparse import MAX_THRESHOLD
from dbx.model.textformats import FORMAT_ALIASES, FORMATS

FILE_NAME = "schema-file.schema.json"

_TYPE_PATTERN = (
    rf"^(?:{'|'.join([*SIMPLE_TYPES, *TYPE_ALIASES, *sorted(REFERENCE_WORDS)])}"
    r"|(?:decimal|numeric)\( *[0-9]{1,3} *, *[0-9]{1,3} *\))$"
)
_SAYS = {
    "type": "What the values are: integer, float, decimal(precision,scale), boolean, text, timestamp, date, json,"
    " binary or object.",
    "required": "true: in every event that may set the field; create: in the first event of an aggregate only.",
    "format": "What text must look like.",
    "length": "Characters of text, or bytes of binary, at least and at most.",
    "range": "The smallest and largest value, both allowed.",
    "regex": "Patterns that must all be found in the text; write ^ and $ to match the whole of it.",
    "contains": "Parts that the text must hold.",
    "does_not_contain": "Parts that the text must not hold.",
    "reference": "What the field may refer to, and what happens when that goes.",
    "properties": "The fields of an object.",
    "description": "For people.",
    "pii": "Personal data; subject: the field names the person.",
}


def describe_file() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of `schemas/<aggregate>.yaml`."""
    field = {"type": "string", "pattern": r"^[^.]+$", "maxLength": MAX_FIELD_CHARS}
    fields = {"type": "array", "items": field, "uniqueItems": True}
    description = {"type": "string", "maxLength": MAX_DESCRIPTION_CHARS}
    columns = {"type": "object", "propertyNames": field, "additionalProperties": {"$ref": "#/$defs/column"}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:dbx:schema-file",
        "title": "The rules of one aggregate type in dbx",
        "type": "object",
        "additionalProperties": False,
        "required": ["events"],
        "properties": {
            "aggregate": {
                "description": "The aggregate type, as the file is called.",
                "type": "string",
                "pattern": "^[a-z][a-z0-9_]{0,63}$",
            },
            "description": {**description, "description": "For people."},
            "snapshot_threshold": {
                "description": "A snapshot is made every so many versions.",
                "type": ["integer", "null"],
                "minimum": 1,
                "maximum": MAX_THRESHOLD,
            },
            "locked": {"description": "No event is taken any more.", "type": "boolean"},
            "hidden": {"description": "Listings leave these aggregates out.", "type": "boolean"},
            "hidden_fields": {**fields, "description": "Fields that reads leave out."},
            "field_locks": {**fields, "description": "Fields that no event may set."},
            "columns": {
                **columns,
                "description": "Fields and their rules. A field without a column may hold anything.",
            },
            "events": {
                "description": "The events that may be written.",
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"pattern": r"^[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*$", "maxLength": 128},
                "additionalProperties": {
                    "type": ["object", "null"],
                    "additionalProperties": False,
                    "properties": {
                        "fields": {**fields, "description": "The only fields that the event may set; none: any."},
                        "note": {"description": "For people.", "type": "string", "maxLength": MAX_NOTE_CHARS},
                    },
                },
            },
        },
        "$defs": {"column": _column(columns, description)},
    }


def _column(columns: dict[str, Any], description: dict[str, Any]) -> dict[str, Any]:
    types = {"type": "string", "pattern": _TYPE_PATTERN, "examples": [*SIMPLE_TYPES, "decimal(8,2)", "reference"]}
    texts = {
        "oneOf": [
            {"type": "string", "minLength": 1},
            {"type": "array", "maxItems": MAX_TEXTS, "items": {"type": "string", "minLength": 1}},
        ]
    }
    whole = {"type": ["integer", "null"], "minimum": 0}
    name = {"type": ["string", "null"]}
    rules: dict[str, Any] = {
        "type": types,
        "required": {"enum": [True, False, "create", "always"]},
        "format": {"enum": [*FORMATS, *FORMAT_ALIASES]},
        "length": _closed({"min": whole, "max": whole}),
        "range": _closed(
            {"min": {"type": ["number", "string", "null"]}, "max": {"type": ["number", "string", "null"]}}
        ),
        "regex": texts,
        "contains": texts,
        "does_not_contain": texts,
        "reference": _closed(
            {
                "integrity": {"enum": list(INTEGRITIES)},
                "domain": name,
                "aggregate": name,
                "cascade": {"enum": list(CASCADES)},
                "tenant": name,
                "aggregate_type": name,
            }
        ),
        "properties": columns,
        "description": description,
        "pii": {"enum": [True, False, "subject"]},
    }
    return {
        "description": "A field: its type, or its type and rules.",
        "oneOf": [
            types,
            {
                **_closed({key: {**rule, "description": _SAYS[key]} for key, rule in rules.items()}),
                "anyOf": [{"required": ["type"]}, {"required": ["reference"]}],
                "allOf": [_fit(key, sorted(types)) for key, types in sorted(FITS.items())],
            },
        ],
    }


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _fit(key: str, fits: list[str]) -> dict[str, Any]:
    """Where a rule stands, the type is one of those that it is for, under any of their names."""
    words = [*fits, *(alias for alias, word in TYPE_ALIASES.items() if word in fits)]
    words += sorted(REFERENCE_WORDS) if "text" in fits else []
    pattern = rf"^(?:{'|'.join(words)})$" if "decimal" not in fits else rf"^(?:{'|'.join(words)}|decimal.*|numeric.*)$"
    return {"if": {"required": [key]}, "then": {"properties": {"type": {"pattern": pattern}}}}


def encode_file() -> bytes:
    """The bytes of `data/schema-file.schema.json`."""
    return (json.dumps(describe_file(), indent=2, ensure_ascii=False) + "\n").encode()
