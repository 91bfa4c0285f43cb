from __future__ import annotations

from typing import Any

import pytest

from dbx.model.schema import Column, EventRule, Schema, to_document
from dbx.model.schemaparse import parse_schema

_SMALL = {"aggregate": "person", "events": {"person_created": None}}


def test_a_whole_schema() -> None:
    document = {
        "aggregate": "person",
        "description": "Somebody",
        "snapshot_threshold": 100,
        "locked": False,
        "hidden": True,
        "hidden_fields": ["email"],
        "field_locks": ["born"],
        "columns": {"email": {"type": "text", "format": "email"}, "born": "date"},
        "events": {"person.created": {"fields": ["email", "born"], "note": "first"}, "person_left": {}},
    }
    schema, problems = parse_schema(document)
    assert problems == []
    assert schema == Schema(
        "person",
        "Somebody",
        100,
        hidden=True,
        hidden_fields=("email",),
        field_locks=("born",),
        columns={"email": Column("text", format="email"), "born": Column("date")},
        events={"person_created": EventRule(("email", "born"), "first"), "person_left": EventRule()},
    )
    assert parse_schema(to_document(schema)) == (schema, [])


def test_the_name_may_come_from_the_file() -> None:
    document = {"events": {"a": {}}, "columns": None, "snapshot_threshold": None, "hidden_fields": None}
    assert parse_schema(document, aggregate="person") == (Schema("person", events={"a": EventRule()}), [])


@pytest.mark.parametrize(
    ("change", "path", "says", "nearest"),
    [
        ({"colums": {}}, ("colums",), "unknown key 'colums'", "columns"),
        ({"column_types": {}}, ("column_types",), "unknown key", "columns"),
        ({"zzz": {}}, ("zzz",), "allowed are aggregate, description", None),
        ({5: {}}, (5,), "unknown key that is no text", None),
        ({"aggregate": "Person-X"}, ("aggregate",), "lower-case snake_case", "person_x"),
        ({"aggregate": None}, ("aggregate",), "must be text", None),
        ({"description": []}, ("description",), "must be text", None),
        ({"snapshot_threshold": 0}, ("snapshot_threshold",), "whole number from 1", None),
        ({"snapshot_threshold": True}, ("snapshot_threshold",), "whole number from 1", None),
        ({"snapshot_threshold": "5"}, ("snapshot_threshold",), "whole number from 1", None),
        ({"locked": "yes"}, ("locked",), "'locked' must be true or false", None),
        ({"hidden": "flase"}, ("hidden",), "'hidden' must be true or false", "false"),
        ({"hidden_fields": "a"}, ("hidden_fields",), "must be a list", None),
        ({"hidden_fields": ["a", "a"]}, ("hidden_fields", 1), "listed twice", None),
        ({"field_locks": ["a", 5]}, ("field_locks", 1), "must be text", None),
        ({"columns": []}, ("columns",), "must be a mapping", None),
        ({"columns": {" a": "text"}}, ("columns", " a"), "blanks at its ends", None),
        ({"events": None}, ("events",), "at least one event", None),
        ({"events": {}}, ("events",), "at least one event", None),
        ({"events": ["a"]}, ("events",), "it is a list", None),
        ({"events": {"Person-Created": {}}}, ("events", "Person-Created"), "snake_case", "person_created"),
        ({"events": {"a": []}}, ("events", "a"), "must be a mapping", None),
        ({"events": {"a": {"notes": "x"}}}, ("events", "a", "notes"), "unknown key 'notes'", "note"),
        ({"events": {"a": {"note": "x" * 129}}}, ("events", "a", "note"), "at most 128", None),
        ({"events": {"a": {"fields": {}}}}, ("events", "a", "fields"), "must be a list", None),
        ({"events": {"a.b": {}, "a_b": {}}}, ("events", "a_b"), "are one event, 'a_b'", None),
        ({"events": {"aggregate_archived": {}}}, ("events", "aggregate_archived"), "reserved", None),
    ],
)
def test_problems(change: dict[Any, Any], path: tuple[str | int, ...], says: str, nearest: str | None) -> None:
    schema, (problem,) = parse_schema({**_SMALL, **change})
    assert schema is None
    assert (problem.path, problem.nearest) == (path, nearest)
    assert says in problem.message


def test_every_problem_is_told_in_the_order_of_the_document() -> None:
    document = {
        "evnts": {},
        "columns": {"a": "txt", "b": {"type": "integer", "length": {"max": 1}}, "c": {"type": "date", "regex": "("}},
        "locked": 1,
    }
    schema, problems = parse_schema(document)
    assert schema is None
    assert [problem.path for problem in problems] == [
        ("evnts",), ("columns", "a"), ("columns", "b", "length"), ("columns", "c", "regex"), ("columns", "c", "regex"),
        ("locked",), (), (),
    ]  # fmt: skip
    assert [problem.on_key for problem in problems][:3] == [True, False, True]


@pytest.mark.parametrize("document", [None, [], "text", 5, True])
def test_what_is_no_mapping(document: Any) -> None:
    schema, (problem,) = parse_schema(document)
    assert schema is None
    assert problem.path == ()


def test_a_name_that_is_not_the_files() -> None:
    (problem,) = parse_schema(_SMALL, aggregate="order")[1]
    assert (problem.path, problem.nearest) == (("aggregate",), "order")
