"""dbx/model/sort.py: what to sort by."""

from __future__ import annotations

import pytest

from dbx.errors import Invalid
from dbx.model.sort import AGGREGATE_FIELDS, EVENT_FIELDS, parse_sort


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("updated_at", [("updated_at", False)]),
        ("updated_at:desc", [("updated_at", True)]),
        ("updatedAt:DESC", [("updated_at", True)]),
        ("aggregatetype:Asc, version : desc", [("aggregate_type", False), ("version", True)]),
        ("archived,created_at,aggregate_id", [("archived", False), ("created_at", False), ("aggregate_id", False)]),
    ],
)
def test_keys(text: str, keys: list[tuple[str, bool]]) -> None:
    assert list(parse_sort(text, AGGREGATE_FIELDS)) == keys


def test_every_field_of_events() -> None:
    assert [key.field for key in parse_sort(",".join(EVENT_FIELDS), EVENT_FIELDS)] == list(EVENT_FIELDS)


@pytest.mark.parametrize(
    ("text", "column", "reason"),
    [
        ("", 1, "a field is expected"),
        ("version,", 9, "a field is expected"),
        (",version", 1, "a field is expected"),
        (":desc", 1, "a field is expected"),
        ("version, status", 10, "there is no such field"),
        ("state.total", 1, "there is no such field"),
        ("version:", 9, "the order is asc or desc"),
        ("version:up", 9, "the order is asc or desc"),
        ("version:asc:desc", 9, "the order is asc or desc"),
        ("version,Version:desc", 9, "'version' is there twice"),
    ],
)
def test_faults_have_their_place(text: str, column: int, reason: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_sort(text, AGGREGATE_FIELDS)
    assert caught.value.message == f"invalid sort specification: {reason} at column {column}"
    assert caught.value.details["column"] == column
