"""The rules about schemas."""

from __future__ import annotations

from typing import Any

import pytest

from dbx.model.lintfacts import DAY_US, EventFacts, Facts, TypeFacts
from dbx.model.lintschema import lint
from dbx.model.schemaparse import parse_schema

NOW = 1_790_000_000_000_000
GOOD = {
    "aggregate": "order",
    "events": {"placed": {"fields": ["total"]}},
    "columns": {"total": {"type": "integer", "required": True}},
}


def rules(document: dict[str, Any], *others: TypeFacts, **more: Any) -> list[str]:
    schema, problems = parse_schema(document)
    assert not problems
    one = TypeFacts("order", 1, "o-1", 1, {"placed": EventFacts(1)}, schema)
    found = lint(Facts("shop", NOW, [one, *others], **more))
    for finding in found:
        assert all(finding)
        assert finding.command.startswith("dbx ")
    return [finding.rule for finding in found]


def test_nothing_is_found_in_a_good_schema() -> None:
    assert rules(GOOD, restrict="strict", schema_since_us=0) == []
    assert rules(GOOD, schema_since_us=None) == []
    assert rules(GOOD, schema_since_us=NOW - 29 * DAY_US) == []


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"events": {"placed": {}}}, "no-allow-list"),
        ({"columns": {}}, "no-rules"),
        ({"columns": {"total": {"type": "integer"}}}, "no-rules"),
        ({"events": {"placed": {"fields": ["total", "nothing"]}}}, "schema-unknown-field"),
        (
            {"columns": {"total": {"type": "integer", "required": True}, "lastName": {"type": "text"}}},
            "schema-name-style",
        ),
    ],
)
def test_a_bad_one(change: dict[str, Any], rule: str) -> None:
    assert rule in rules({**GOOD, **change})


@pytest.mark.parametrize(
    "rule",
    [{"required": True}, {"format": "email"}, {"length": {"max": 5}}, {"regex": ["a"]}, {"contains": ["a"]}],
)
def test_any_rule_is_one(rule: dict[str, Any]) -> None:
    assert "no-rules" not in rules({**GOOD, "columns": {"total": {"type": "text", **rule}}})


def test_a_type_without_a_schema() -> None:
    other = TypeFacts("ordr", 2, "o-1", 1, {"placed": EventFacts(1)})
    assert rules(GOOD, other) == ["no-schema"]
    assert [one.rule for one in lint(Facts("shop", NOW, [other]))] == []


def test_restrict_on_schemas_that_stand_still() -> None:
    assert rules(GOOD, schema_since_us=NOW - 30 * DAY_US) == ["restrict-default"]
    assert rules(GOOD, schema_since_us=NOW - 30 * DAY_US, restrict="off") == []
