from __future__ import annotations

from typing import Any

import pytest

from dbx.model.jsonschemaimport import import_json_schema
from dbx.model.schemaparse import parse_schema

_FOREIGN = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "title": "Order",
    "description": "An order",
    "type": "object",
    "required": ["id", "total"],
    "properties": {
        "id": {"type": "string", "pattern": "^[A-Z]{3}$", "minLength": 3, "maxLength": 3},
        "total": {"type": "number", "minimum": 0, "description": "in euros"},
        "count": {"type": "integer", "minimum": 1, "maximum": 10},
        "paid": {"type": "boolean"},
        "when": {"type": "string", "format": "date-time"},
        "day": {"type": "string", "format": "date"},
        "mail": {"type": "string", "format": "email"},
        "site": {"type": "string", "format": "uri"},
        "file": {"type": "string", "contentEncoding": "base64"},
        "to": {"$ref": "#/definitions/address"},
        "free": {},
    },
    "definitions": {"address": {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}}},
}


def test_a_foreign_schema_that_maps() -> None:
    document, problems = import_json_schema(_FOREIGN, aggregate="order")
    assert problems == []
    assert document == {
        "aggregate": "order",
        "description": "An order",
        "columns": {
            "id": {"type": "text", "length": {"min": 3, "max": 3}, "regex": ["^[A-Z]{3}$"], "required": "create"},
            "total": {"type": "float", "range": {"min": 0}, "description": "in euros", "required": "create"},
            "count": {"type": "integer", "range": {"min": 1, "max": 10}},
            "paid": "boolean",
            "when": "timestamp",
            "day": "date",
            "mail": {"type": "text", "format": "email"},
            "site": {"type": "text", "format": "url"},
            "file": "binary",
            "to": {"type": "object", "properties": {"city": {"type": "text", "required": "create"}}},
            "free": "json",
        },
        "events": {"order_created": {}},
    }
    assert parse_schema(document)[1] == []


@pytest.mark.parametrize(
    ("column", "path", "says", "kept"),
    [
        ({"type": "array", "items": {}}, ("type",), "arrays are taken as json", "json"),
        ({"type": ["string", "null"]}, ("type",), "null is no value", "text"),
        ({"type": ["string", "integer"]}, ("type",), "several types", "json"),
        ({"type": "string", "enum": ["a"]}, ("enum",), "does not map", "text"),
        ({"type": "integer", "multipleOf": 2}, ("multipleOf",), "does not map", "integer"),
        ({"type": "integer", "exclusiveMinimum": 2}, ("exclusiveMinimum",), "does not map", "integer"),
        ({"type": "string", "format": "hostname"}, ("format",), "does not map", "text"),
        ({"oneOf": [{}]}, ("oneOf",), "does not map", "json"),
        ({"$ref": "other.json"}, ("$ref",), "refers to nothing", "json"),
        ({"$ref": "#/definitions/x"}, ("$ref",), "refers to nothing", "json"),
        ({"$ref": "#/properties/c"}, ("$ref",), "refers to itself", "json"),
        (False, (), "no value is allowed", "json"),
        ({"type": "object", "additionalProperties": False}, ("additionalProperties",), "does not map", "object"),
        ({"type": "string", "allOf": [{"maxLength": 1}]}, ("allOf", 0, "maxLength"), "does not map", "text"),
    ],
)
def test_what_does_not_map_is_told(column: Any, path: tuple[Any, ...], says: str, kept: str) -> None:
    document, problems = import_json_schema({"type": "object", "properties": {"c": column}}, aggregate="a")
    told = [problem for problem in problems if problem.path == ("properties", "c", *path)]
    assert says in told[0].message
    assert document["columns"]["c"] == kept


def test_a_schema_within_itself_ends() -> None:
    tree = {"type": "object", "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}}
    document, problems = import_json_schema(tree, aggregate="tree")
    assert any("refers to itself" in problem.message for problem in problems)
    assert document["columns"]["left"]["type"] == "object"


@pytest.mark.parametrize("document", [None, [], "x", True, {"type": "string"}])
def test_what_is_no_schema_of_an_object(document: Any) -> None:
    found, (problem,) = import_json_schema(document, aggregate="a")
    assert problem.path == ()
    assert found == {"aggregate": "a", "events": {"a_created": {}}}


def test_what_the_root_says_about_more() -> None:
    document = {"type": "object", "additionalProperties": False, "required": ["x"], "minProperties": 1}
    _, problems = import_json_schema(document, aggregate="a")
    assert [problem.path for problem in problems] == [("required",), ("minProperties",), ("additionalProperties",)]
