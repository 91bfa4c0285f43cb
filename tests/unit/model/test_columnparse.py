from __future__ import annotations

from typing import Any

import pytest

from dbx.model.columnparse import ColumnParser
from dbx.model.problems import Problems
from dbx.model.schema import Bounds, Column, ReferenceRule, column_document


def _parse(document: Any) -> tuple[Column, list[tuple[tuple[str | int, ...], str, str | None]]]:
    problems = Problems()
    columns = ColumnParser(problems).columns({"c": document}, ("columns",))
    return columns["c"], [(problem.path[2:], problem.message, problem.nearest) for problem in problems.found]


@pytest.mark.parametrize(
    ("document", "column"),
    [
        ("text", Column("text")),
        ("int", Column("integer")),
        ("reference", Column("text", format="reference", reference=ReferenceRule())),
        ({"type": "ref", "required": True}, Column("text", "always", "reference", reference=ReferenceRule())),
        ({"type": "text", "format": "reference"}, Column("text", format="reference", reference=ReferenceRule())),
        (
            {"reference": {"tenant": "Farm", "aggregate_type": "herd", "cascade": "nullify", "integrity": "weak"}},
            Column("text", format="reference", reference=ReferenceRule("weak", "farm", "herd", "nullify")),
        ),
        ({"type": "decimal(8, 2)"}, Column("decimal(8,2)")),
        ({"type": "text", "required": "create"}, Column("text", "create")),
        ({"type": "text", "required": "always"}, Column("text", "always")),
        ({"type": "text", "required": False}, Column("text")),
        ({"type": "text", "format": "iso8601"}, Column("text", format="iso_8601")),
        ({"type": "text", "length": {"min": 1, "max": None}}, Column("text", length=Bounds(1))),
        ({"type": "text", "length": {"min": None, "max": None}}, Column("text")),
        ({"type": "integer", "range": {"min": 0, "max": "10"}}, Column("integer", range=Bounds(0, "10"))),
        ({"type": "decimal(4,2)", "range": {"max": 1.5}}, Column("decimal(4,2)", range=Bounds(None, 1.5))),
        ({"type": "date", "range": {"min": "2024-01-01"}}, Column("date", range=Bounds("2024-01-01"))),
        ({"type": "text", "regex": "^a$"}, Column("text", regex=("^a$",))),
        ({"type": "text", "regex": ["^a{1,3}$", "b"]}, Column("text", regex=("^a{1,3}$", "b"))),
        ({"type": "text", "contains": ["a,b"]}, Column("text", contains=("a,b",))),
        ({"type": "text", "pii": True, "description": "x"}, Column("text", pii=True, description="x")),
        ({"type": "text", "pii": "subject"}, Column("text", pii="subject")),
        ({"type": "object", "properties": {"n": "int"}}, Column("object", properties={"n": Column("integer")})),
        ({"type": "integer", "regex": [], "properties": {}, "length": None}, Column("integer")),
    ],
)
def test_columns(document: Any, column: Column) -> None:
    found, problems = _parse(document)
    assert problems == []
    assert found == column
    assert _parse(column_document(column)) == (column, [])


@pytest.mark.parametrize(
    ("document", "path", "says", "nearest"),
    [
        (None, (), "needs a type", None),
        ([], (), "must be a mapping", None),
        (5, (), "must be a mapping", None),
        ({}, (), "needs a 'type'", None),
        ("txt", (), "unknown type 'txt'", "text"),
        ({"type": "boolen"}, ("type",), "unknown type 'boolen'", "boolean"),
        ({"type": None}, ("type",), "must be text", None),
        ({"type": "decimal(2,3)"}, ("type",), "more digits after the point", None),
        ({"type": "text", "requird": True}, ("requird",), "unknown key 'requird'", "required"),
        ({"type": "text", "rules": {}}, ("rules",), "stand beside 'type'", None),
        ({"type": "text", "required": "yes"}, ("required",), "true, false or create", None),
        ({"type": "text", "required": "creat"}, ("required",), "true, false or create", "create"),
        ({"type": "text", "format": "emial"}, ("format",), "unknown format 'emial'", "email"),
        ({"type": "text", "format": 5}, ("format",), "name of a format", None),
        ({"type": "integer", "format": "email"}, ("format",), "does not fit type 'integer'", None),
        ({"type": "integer", "length": {"max": 5}}, ("length",), "it is for binary, text", None),
        ({"type": "boolean", "range": {"max": 5}}, ("range",), "does not fit type 'boolean'", None),
        ({"type": "json", "regex": "a"}, ("regex",), "does not fit type 'json'", None),
        ({"type": "json", "contains": "a"}, ("contains",), "does not fit", None),
        ({"type": "date", "does_not_contain": "a"}, ("does_not_contain",), "does not fit", None),
        ({"type": "integer", "reference": {}}, ("reference",), "does not fit", None),
        ({"type": "json", "properties": {"a": "text"}}, ("properties",), "it is for object", None),
        ({"type": "text", "length": 5}, ("length",), "must be a mapping", None),
        ({"type": "text", "length": {"mx": 5}}, ("length", "mx"), "unknown key 'mx'", "max"),
        ({"type": "text", "length": {"max": -1}}, ("length", "max"), "whole number from 0", None),
        ({"type": "text", "length": {"max": "5"}}, ("length", "max"), "whole number from 0", None),
        ({"type": "text", "length": {"max": True}}, ("length", "max"), "whole number from 0", None),
        ({"type": "text", "length": {"min": 6, "max": 5}}, ("length",), "min 6 above max 5", None),
        ({"type": "integer", "range": {"min": 6, "max": "5"}}, ("range",), "min 6 above max 5", None),
        ({"type": "integer", "range": {"min": "a"}}, ("range", "min"), "must be an integer of 64 bits", None),
        ({"type": "integer", "range": {"min": 0.5}}, ("range", "min"), "must be an integer of 64 bits", None),
        ({"type": "float", "range": {"max": "inf"}}, ("range", "max"), "must be a finite number", None),
        ({"type": "decimal(4,2)", "range": {"max": "x"}}, ("range", "max"), "must be a decimal number", None),
        ({"type": "date", "range": {"max": 2024}}, ("range", "max"), "must be a date", None),
        ({"type": "timestamp", "range": {"max": "2024-01-01"}}, ("range", "max"), "RFC 3339", None),
        ({"type": "date", "range": {"max": True}}, ("range", "max"), "number or text", None),
        ({"type": "text", "regex": ["a", "(b"]}, ("regex", 1), "'(' without its ')'", None),
        ({"type": "text", "regex": "(b"}, ("regex",), "'(' without its ')'", None),
        ({"type": "text", "regex": [""]}, ("regex", 0), "text of 1 to 1000", None),
        ({"type": "text", "regex": ["a"] * 17}, ("regex",), "at most 16", None),
        ({"type": "text", "contains": [5]}, ("contains", 0), "text of 1 to 1000", None),
        ({"type": "text", "contains": {}}, ("contains",), "list of at most 16", None),
        ({"reference": {"integrity": "stong"}}, ("reference", "integrity"), "strong or weak", "strong"),
        ({"reference": {"cascade": "delete"}}, ("reference", "cascade"), "none or restrict or nullify", None),
        ({"reference": {"aggregat": "a"}}, ("reference", "aggregat"), "unknown key", "aggregate"),
        ({"reference": {"aggregate": "A-b"}}, ("reference", "aggregate"), "snake_case", None),
        ({"reference": {"domain": "a/b"}}, ("reference", "domain"), "domain name", None),
        ({"reference": {"domain": "a", "tenant": "b"}}, ("reference", "tenant"), "a second time", None),
        ({"reference": []}, ("reference",), "must be a mapping", None),
        ({"format": "email", "reference": {}}, ("format",), "has the format reference", "reference"),
        ({"type": "text", "pii": "subjct"}, ("pii",), "true, false or subject", "subject"),
        ({"type": "text", "description": 5}, ("description",), "must be text", None),
        ({"type": "object", "properties": {"a.b": "text"}}, ("properties", "a.b"), "must not hold a dot", None),
        ({"type": "object", "properties": {"a": {"type": "x"}}}, ("properties", "a", "type"), "unknown type", None),
        ({"type": "object", "properties": []}, ("properties",), "must be a mapping", None),
    ],
)
def test_problems(document: Any, path: tuple[str | int, ...], says: str, nearest: str | None) -> None:
    (problem,) = _parse(document)[1]
    assert (problem[0], problem[2]) == (path, nearest)
    assert says in problem[1]
