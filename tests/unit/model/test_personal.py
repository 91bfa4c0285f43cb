"""Which events are about a person."""

from __future__ import annotations

from typing import Any

from dbx.model.event import Event
from dbx.model.personal import SubjectScan, personal_keys, subject_paths
from dbx.model.schema import Column, Schema

CONTACT = Column("object", properties={"email": Column("text", pii="subject"), "since": Column("date")})
SCHEMA = Schema(
    "person",
    columns={
        "contact": CONTACT,
        "number": Column("integer", pii="subject"),
        "friends": Column("json", pii="subject"),
        "phone": Column("text", pii=True),
        "town": Column("text"),
    },
)


def event(name: str, payload: dict[str, Any] | None) -> Event:
    return Event("person", name, 1, "changed", 1, "", None, payload, None, None, "", 0, 0)


def scan(value: str, *found: tuple[str, dict[str, Any] | None]) -> list[bool]:
    looking = SubjectScan([SCHEMA], value)
    return [looking.take(event(*one)) for one in found]


def test_marks_within_objects_count() -> None:
    assert subject_paths(SCHEMA) == [("contact", "email"), ("number",), ("friends",)]
    assert personal_keys(SCHEMA) == {"contact", "number", "friends", "phone"}
    assert SubjectScan([SCHEMA], "x").has_subjects
    assert not SubjectScan([Schema("other", columns={"a": Column("text", pii=True)})], "x").has_subjects


def test_from_the_event_that_names_the_person_to_the_one_that_names_another() -> None:
    found = scan(
        "jane@example.com",
        ("a", {"phone": "1"}),  # not about her yet
        ("a", {"contact": {"email": "jane@example.com"}}),
        ("b", {"phone": "2"}),
        ("a", {"phone": "3"}),
        ("a", {"town": "Athens"}),  # nobody called it personal
        ("a", {"town": "Athens", "nickname": "J"}),  # not declared
        ("a", None),
        ("a", {"contact": {"email": "joe@example.com"}}),
        ("a", {"phone": "4"}),
    )
    assert found == [False, True, False, True, False, True, False, False, False]


def test_values_are_compared_as_a_whole() -> None:
    assert scan("17", ("a", {"number": 17}), ("b", {"number": 170}), ("c", {"number": "17"})) == [True, False, True]
    assert scan("jane", ("a", {"friends": ["joe", "jane"]}), ("b", {"friends": "janet"})) == [True, False]
    assert scan("True", ("a", {"number": True}), ("b", {"number": None}), ("c", {"contact": "x"})) == [False] * 3


def test_a_mark_in_any_of_several_schemas_counts() -> None:
    newer = Schema("person", columns={"email": Column("text"), "town": Column("text", pii=True)})
    older = Schema("person", columns={"email": Column("text", pii="subject"), "town": Column("text")})
    looking = SubjectScan([newer, older], "j")
    assert looking.take(event("a", {"email": "j"}))
    assert looking.take(event("a", {"town": "x"}))
