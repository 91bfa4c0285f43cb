from __future__ import annotations

import json

from dbx.model.jsonschema import export_json_schema, payload_schemas
from dbx.model.schema import Bounds, Column, EventRule, ReferenceRule, Schema
from tests.jsonschemas import accepts

_SCHEMA = Schema(
    "person",
    "Somebody",
    100,
    hidden_fields=("email",),
    columns={
        "email": Column("text", required="create", format="email", length=Bounds(3, 80), pii="subject"),
        "age": Column("integer", required="always", range=Bounds(0, 150)),
        "balance": Column("decimal(8,2)", range=Bounds("-1", "1.5")),
        "code": Column("text", regex=("^[A-Z]+$",), contains=("A",), does_not_contain=("B.",)),
        "born": Column("date", range=Bounds("1900-01-01")),
        "a/b~c d": Column("object", properties={"n": Column("boolean", required="always")}),
        "farm": Column("text", format="reference", reference=ReferenceRule(aggregate="farm")),
        "any": Column("json"),
        "key": Column("binary", length=Bounds(16, 16)),
    },
    events={"person_created": EventRule(), "person_aged": EventRule(("age", "why"), "a birthday")},
)


def test_the_whole_document() -> None:
    assert json.loads(json.dumps(export_json_schema(_SCHEMA))) == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:dbx:aggregate:person",
        "title": "person",
        "description": "Somebody",
        "type": "object",
        "properties": {
            "email": {
                "type": "string",
                "format": "idn-email",
                "x-dbx-format": "email",
                "minLength": 3,
                "maxLength": 80,
                "x-dbx-required": "create",
                "x-dbx-pii": "subject",
            },
            "age": {
                "type": ["integer", "string"],
                "pattern": r"^\s*[+-]?[0-9]+\s*$",
                "x-dbx-type": "integer",
                "minimum": 0,
                "maximum": 150,
                "x-dbx-required": "always",
            },
            "balance": {
                "type": ["number", "string"],
                "pattern": r"^\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)\s*$",
                "x-dbx-type": "decimal(8,2)",
                "x-dbx-range": {"min": "-1", "max": "1.5"},
            },
            "code": {
                "type": "string",
                "allOf": [
                    {"pattern": "^[A-Z]+$", "x-dbx-regex": "^[A-Z]+$"},
                    {"pattern": "A", "x-dbx-contains": "A"},
                    {"not": {"pattern": "B\\."}, "x-dbx-does-not-contain": "B."},
                ],
            },
            "born": {"type": "string", "format": "date", "x-dbx-range": {"min": "1900-01-01"}},
            "a/b~c d": {
                "type": "object",
                "properties": {
                    "n": {
                        "type": ["boolean", "integer", "string"],
                        "pattern": r"^\s*(?:[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|0|1)\s*$",
                        "minimum": 0,
                        "maximum": 1,
                        "x-dbx-type": "boolean",
                        "x-dbx-required": "always",
                    }
                },
                "required": ["n"],
            },
            "farm": {
                "type": "string",
                "x-dbx-format": "reference",
                "x-dbx-reference": {"integrity": "strong", "aggregate": "farm", "cascade": "none"},
            },
            "any": {},
            "key": {"type": "string", "contentEncoding": "base64", "x-dbx-length": {"min": 16, "max": 16}},
        },
        "x-dbx-snapshot-threshold": 100,
        "x-dbx-hidden-fields": ["email"],
        "$defs": {
            "person_created": {
                "title": "person_created",
                "type": "object",
                "properties": {
                    "email": {"$ref": "#/properties/email"},
                    "age": {"$ref": "#/properties/age"},
                    "balance": {"$ref": "#/properties/balance"},
                    "code": {"$ref": "#/properties/code"},
                    "born": {"$ref": "#/properties/born"},
                    "a/b~c d": {"$ref": "#/properties/a~1b~0c%20d"},
                    "farm": {"$ref": "#/properties/farm"},
                    "any": {"$ref": "#/properties/any"},
                    "key": {"$ref": "#/properties/key"},
                },
                "required": ["age"],
            },
            "person_aged": {
                "title": "person_aged",
                "description": "a birthday",
                "type": "object",
                "properties": {"age": {"$ref": "#/properties/age"}, "why": True},
                "required": ["age"],
                "additionalProperties": False,
            },
        },
    }


def test_other_tools_judge_payloads_with_it() -> None:
    document = export_json_schema(_SCHEMA)
    created = document["$defs"]["person_created"]
    assert accepts(created, {"age": 5, "a/b~c d": {"n": " TRUE "}, "code": "AXB", "balance": "1.5"}, document)
    for wrong in ({"age": 151}, {"age": "x"}, {"age": 1, "code": "AB."}, {"age": 1, "a/b~c d": {}}, {}):
        assert not accepts(created, wrong, document)


def test_payloads_come_in_the_order_of_their_names() -> None:
    found = list(payload_schemas({"b": _SCHEMA, "a": _SCHEMA}, "#/x/"))
    assert [(aggregate, event) for aggregate, event, _ in found] == [
        ("a", "person_aged"),
        ("a", "person_created"),
        ("b", "person_aged"),
        ("b", "person_created"),
    ]
    assert found[0][2]["properties"]["age"] == {"$ref": "#/x/a/properties/age"}
