from __future__ import annotations

from importlib.resources import files
from typing import Any

import pytest

from dbx.model.columnparse import KEYS as COLUMN_KEYS
from dbx.model.columntypes import REFERENCE_WORDS, SIMPLE_TYPES, TYPE_ALIASES
from dbx.model.filedescription import FILE_NAME, describe_file, encode_file
from dbx.model.schemaparse import KEYS, parse_schema
from dbx.model.textformats import FORMATS
from tests.jsonschemas import accepts

_EVENTS = {"events": {"a": {}}}


def test_the_file_is_what_the_tables_say() -> None:
    stored = files("dbx.model").joinpath("data", FILE_NAME).read_bytes()
    assert stored == encode_file(), "write it again: python -m tests.unit.model.test_filedescription"


def test_it_knows_the_keys_that_are_read() -> None:
    document = describe_file()
    assert tuple(document["properties"]) == KEYS
    assert tuple(document["$defs"]["column"]["oneOf"][1]["properties"]) == COLUMN_KEYS


_DOCUMENTS: list[Any] = [
    {},
    _EVENTS,
    {"aggregate": "person", **_EVENTS},
    {"aggregate": "Person", **_EVENTS},
    {"colums": {}, **_EVENTS},
    {"snapshot_threshold": 5, "locked": True, "hidden": False, "description": "x", **_EVENTS},
    {"snapshot_threshold": 0, **_EVENTS},
    {"snapshot_threshold": None, **_EVENTS},
    {"locked": "yes", **_EVENTS},
    {"hidden_fields": ["a", "b"], "field_locks": [], **_EVENTS},
    {"hidden_fields": ["a", "a"], **_EVENTS},
    {"hidden_fields": ["a.b"], **_EVENTS},
    {"events": {}},
    {"events": None},
    {"events": {"a.b": None, "c": {"fields": ["x"], "note": "n"}}},
    {"events": {"A-b": {}}},
    {"events": {"a": {"notes": "n"}}},
    {"events": {"a": {"note": "n" * 129}}},
    *({"columns": {"c": name}, **_EVENTS} for name in (*SIMPLE_TYPES, *TYPE_ALIASES, *sorted(REFERENCE_WORDS))),
    *({"columns": {"c": {"type": "text", "format": name}}, **_EVENTS} for name in (*FORMATS, "iso8601", "emial")),
    *({"columns": {"c": {"type": "text", "required": word}}, **_EVENTS} for word in (True, False, "create", "yes", 1)),
    *({"columns": {"c": {"type": "text", "pii": word}}, **_EVENTS} for word in (True, False, "subject", "yes")),
    *(
        {"columns": {"c": column}, **_EVENTS}
        for column in (
            "txt",
            "decimal(8,2)",
            "numeric(8, 2)",
            "decimal",
            {},
            {"type": "decimal(4,2)", "range": {"min": 1, "max": "2"}},
            {"type": "text", "length": {"min": 1}},
            {"type": "integer", "length": {"min": 1}},
            {"type": "text", "length": {"mn": 1}},
            {"type": "text", "regex": "^a$"},
            {"type": "text", "regex": ["a", "b"]},
            {"type": "text", "regex": [5]},
            {"type": "integer", "regex": "a"},
            {"type": "text", "contains": ["a"] * 17},
            {"type": "string", "does_not_contain": "x"},
            {"reference": {"aggregate": "farm", "cascade": "nullify"}},
            {"reference": {"cascade": "delete"}},
            {"type": "reference", "required": True},
            {"type": "text", "rules": {}},
            {"type": "object", "properties": {"a": "text", "b": {"type": "object", "properties": {"c": "int"}}}},
            {"type": "object", "properties": {"a": "txt"}},
            {"type": "json", "properties": {"a": "text"}},
            {"type": "boolean", "range": {"min": 0}},
            {"type": "double", "range": {"min": 0}},
            ["text"],
            None,
            5,
        )
    ),
]


@pytest.mark.parametrize("document", _DOCUMENTS, ids=str)
def test_it_takes_what_is_read_and_nothing_else(document: dict[str, Any]) -> None:
    _, problems = parse_schema(document, aggregate="person")
    assert accepts(describe_file(), document) == (not problems), problems


if __name__ == "__main__":
    files("dbx.model").joinpath("data", FILE_NAME).write_bytes(encode_file())  # type: ignore[attr-defined]
