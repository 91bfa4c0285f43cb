from __future__ import annotations

from typing import Any

import pytest

from dbx.model.schema import Bounds, Column, EventRule, Schema
from dbx.model.validation import compile_event, refusal

_SCHEMA = Schema(
    "person",
    columns={
        "name": Column("text", required="create", length=Bounds(min=1)),
        "email": Column("text", format="email", pii=True),
        "age": Column("integer", range=Bounds(0, 150)),
        "version": Column("integer", required="always"),
    },
    events={
        "person_created": EventRule(),
        "person_renamed": EventRule(("name", "reason")),
        "person_aged": EventRule(("age", "version")),
    },
    field_locks=("born",),
)


def _rules(event_type: str, payload: dict[str, Any], *, first: bool = False, schema: Schema = _SCHEMA) -> list[str]:
    return [fault.rule for fault in compile_event(schema, event_type, first=first)(payload)]


@pytest.mark.parametrize(
    ("event_type", "payload", "first"),
    [
        ("person_created", {"name": "A", "version": 1, "email": "a@x.cz", "age": "5"}, True),
        ("person_created", {"version": 1}, False),
        ("person_created", {"version": 1, "anything": None}, False),
        ("person_renamed", {}, False),
        ("person_renamed", {"name": "B", "reason": [1]}, False),
        ("person_renamed", {"name": "B"}, True),
        ("person_aged", {"version": 2}, True),
        ("aggregate_archived", {"born": 1}, False),
    ],
)
def test_accepted(event_type: str, payload: dict[str, Any], first: bool) -> None:
    assert _rules(event_type, payload, first=first) == []


@pytest.mark.parametrize(
    ("event_type", "payload", "first", "rules"),
    [
        ("person_created", {"version": 1}, True, ["required"]),
        ("person_created", {"name": "A"}, False, ["required"]),
        ("person_created", {"name": None, "version": 1}, True, ["type"]),
        (
            "person_created",
            {"name": "", "email": "x", "age": 151, "version": None},
            True,
            ["length", "format", "range", "type"],
        ),
        ("person_created", {"version": 1, "born": 5}, False, ["field_locks"]),
        ("person_renamed", {}, True, ["required"]),
        ("person_renamed", {"name": "", "age": 1}, False, ["fields", "length"]),
        ("person_aged", {"age": 1}, False, ["required"]),
        ("person_aged", {"born": 1, "x": 1}, False, ["field_locks", "fields", "required"]),
        ("person_left", {}, False, ["events"]),
        ("person_left", {"born": 1}, False, ["field_locks", "events"]),
    ],
)  # fmt: skip
def test_refused(event_type: str, payload: dict[str, Any], first: bool, rules: list[str]) -> None:
    assert _rules(event_type, payload, first=first) == rules


def test_a_locked_aggregate_takes_nothing() -> None:
    schema = Schema("person", locked=True, events={"a": EventRule()})
    assert _rules("a", {}, schema=schema) == ["locked"]
    assert _rules("b", {}, schema=schema) == ["locked"]


def test_payloads_of_one_shape_are_told_apart() -> None:
    check = compile_event(_SCHEMA, "person_created", first=False)
    for _ in range(3):
        assert not check({"version": 1, "age": 5})
        assert not check({"age": 5, "version": 1})
        assert [fault.rule for fault in check({"version": 1, "age": 500})] == ["range"]
        assert [fault.rule for fault in check({"age": 5, "version": [1]})] == ["type"]
        assert [fault.rule for fault in check({"age": 5})] == ["required"]
        assert [fault.field for fault in check({"version": 1, "email": {}})] == ["email"]


def test_many_shapes_are_forgotten() -> None:
    check = compile_event(_SCHEMA, "person_created", first=False)
    for index in range(2500):
        assert not check({"version": 1, f"field_{index}": index})
        assert check({"version": "x", f"field_{index}": index})


def test_faults_have_an_end() -> None:
    faults = compile_event(_SCHEMA, "person_renamed", first=False)({f"x{index}": 1 for index in range(1000)})
    assert len(faults) == 100


def test_the_error_tells_all_and_no_value() -> None:
    payload = {"name": "canary-1" * 0, "email": "canary-2", "age": "canary-3", "version": 1}
    faults = compile_event(_SCHEMA, "person_created", first=True)(payload)
    error = refusal(_SCHEMA, "person_created", faults)
    assert error.status == 5
    assert error.message == (
        "event 'person_created' is against the schema of 'person': field 'name' breaks 'length': this text must have at"
        " least 1 character (and 2 more faults)"
    )
    assert error.details["faults"][1] == {
        "field": "email",
        "rule": "format",
        "kind": "text",
        "message": "field 'email' breaks 'format': this text must have the format email",
    }
    assert "canary" not in f"{error.message}{error.hint}{error.details}"


def test_an_undeclared_event_has_a_near_one() -> None:
    (fault,) = compile_event(_SCHEMA, "person_create", first=False)({})
    assert fault.message == (
        "event 'person_create' is not declared for aggregate 'person', did you mean 'person_created'?"
    )
