from __future__ import annotations

from typing import Any

import pytest

from dbx.model.schemalint import lint_schema, normalise_field
from dbx.model.schemaparse import parse_schema


def _lint(**change: Any) -> list[tuple[Any, ...]]:
    document = {"aggregate": "person", "events": {"person_created": {}}, **change}
    schema, problems = parse_schema(document)
    assert schema is not None, problems
    return [(finding.path, finding.check, finding.is_error, finding.nearest) for finding in lint_schema(schema)]


def test_a_sound_schema_has_no_findings() -> None:
    columns = {"name": {"type": "text", "required": True}, "home": {"type": "object", "properties": {"city": "text"}}}
    events = {"person_created": {}, "person_renamed": {"fields": ["name"]}}
    assert _lint(columns=columns, events=events, hidden_fields=["name"], field_locks=["home"]) == []


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"columns": {"firstName": "text"}}, (("columns", "firstName"), "name-style", False, "first_name")),
        ({"columns": {"org:group": "text"}}, (("columns", "org:group"), "name-style", False, "org_group")),
        (
            {"columns": {"first_name": "text", "firstName": "integer"}},
            (("columns", "firstName"), "ambiguous-name", True, None),
        ),
        (
            {"columns": {"a": "integer", "b": {"type": "object", "properties": {"a": "text"}}}},
            (("columns", "b", "properties", "a"), "two-types", False, None),
        ),
        (
            {"columns": {"b": {"type": "object", "properties": {"a_b": "text", "a-b": "text"}}}},
            (("columns", "b", "properties", "a-b"), "ambiguous-name", True, None),
        ),
        (
            {"columns": {"name": "text"}, "hidden_fields": ["nmae"]},
            (("hidden_fields", 0), "unknown-field", False, "name"),
        ),
        ({"field_locks": ["zzz"]}, (("field_locks", 0), "unknown-field", False, None)),
        (
            {"columns": {"a": {"type": "text", "required": True}}, "field_locks": ["a"]},
            (("field_locks", 0), "impossible", True, None),
        ),
        (
            {"columns": {"a": {"type": "text", "contains": "abc", "length": {"max": 2}}}},
            (("columns", "a", "contains", 0), "impossible", True, None),
        ),
        (
            {"columns": {"a": {"type": "text", "contains": "abc", "does_not_contain": "b"}}},
            (("columns", "a", "contains", 0), "impossible", True, None),
        ),
        (
            {"columns": {"a": {"type": "reference", "required": True, "reference": {"cascade": "nullify"}}}},
            (("columns", "a", "reference"), "contradiction", False, None),
        ),
        (
            {"columns": {"name": "text"}, "events": {"e": {"fields": ["name", "nmae"]}}},
            (("events", "e", "fields", 1), "unknown-field", False, "name"),
        ),
        (
            {"columns": {"a": "text"}, "field_locks": ["a"], "events": {"e": {"fields": ["a"]}}},
            (("events", "e", "fields", 0), "contradiction", False, None),
        ),
        (
            {"columns": {"a": "text", "b": "text"}, "events": {"e": {"fields": ["a"]}}},
            (("columns", "b"), "unreachable", False, None),
        ),
    ],
)
def test_findings(change: dict[str, Any], finding: tuple[Any, ...]) -> None:
    assert _lint(**change) == [finding]


def test_fields_without_columns_are_free_where_there_are_none() -> None:
    assert _lint(events={"e": {"fields": ["anything"]}}) == []


@pytest.mark.parametrize("name", ["firstName", "first-name", "First Name", "first_name", "FirstName", "_first__name_"])
def test_names_without_their_style(name: str) -> None:
    assert normalise_field(name) == "first_name"
