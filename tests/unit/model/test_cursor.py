"""dbx/model/cursor.py: where a listing goes on."""

from __future__ import annotations

import pytest

from dbx.errors import Invalid
from dbx.model.cursor import (
    AggregateCursor,
    EventCursor,
    format_aggregate_cursor,
    format_event_cursor,
    parse_aggregate_cursor,
    parse_event_cursor,
)

TIME = "2026-11-23T07:42:00.123456Z"


@pytest.mark.parametrize("text", ["a:order:o-1", "active:order:o-1"])
def test_an_active_aggregate(text: str) -> None:
    assert parse_aggregate_cursor(text) == AggregateCursor("order", "o-1", False)


@pytest.mark.parametrize("text", ["r:order:o:1/x", "archived:order:o:1/x"])
def test_an_archived_aggregate_whose_id_has_colons(text: str) -> None:
    assert parse_aggregate_cursor(text) == AggregateCursor("order", "o:1/x", True)


@pytest.mark.parametrize("time", [TIME, "1969-12-31T23:59:59.999999Z", "0001-01-01T00:00:00.000000Z"])
@pytest.mark.parametrize("descending", [False, True])
def test_a_timed_cursor_keeps_its_microseconds(time: str, descending: bool) -> None:
    text = format_aggregate_cursor("order", "a:b", archived=True, timed=("updated_at", descending, time))
    expected = AggregateCursor("order", "a:b", True, True, "updated_at", descending, time, True)
    assert parse_aggregate_cursor(text) == expected


def test_the_cursors_of_eventdbx() -> None:
    assert parse_aggregate_cursor("ts:created:asc:active:1795419720123:order:o-1") == AggregateCursor(
        "order", "o-1", False, True, "created_at", False, "2026-11-23T07:42:00.123000Z", False
    )
    assert parse_aggregate_cursor("ts:order:o-1") == AggregateCursor("order", "o-1", None, True)
    assert parse_event_cursor("a:order:o:1:12") == EventCursor(None, "order", "o:1", 12)


def test_plain_ones_and_those_of_events() -> None:
    assert format_aggregate_cursor("order", "o-1", archived=False) == "a:order:o-1"
    assert parse_event_cursor(format_event_cursor(4711)) == EventCursor(4711)


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("", 1),
        ("x:order:o-1", 1),
        ("a", 2),
        ("a:", 3),
        ("a:Order:o-1", 3),
        ("a:order", 8),
        ("a:order:", 9),
        ("r:order:-x", 9),
        ("e:5", 1),
        ("ts:", 4),
        ("ts:created_at:asc:x:5:order:o-1", 19),
        ("ts:created_at:asc:a:x:order:o-1", 21),
        ("ts:created_at:asc:a:999999999999999:order:o-1", 21),
        ("ts:created_at:asc:a:5:Order:o-1", 23),
        ("ts:created_at:asc:a:5:order:", 29),
    ],
)
def test_what_is_no_cursor_of_aggregates(text: str, column: int) -> None:
    with pytest.raises(Invalid, match="invalid cursor") as caught:
        parse_aggregate_cursor(text)
    assert caught.value.details["column"] == column


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("", 1),
        ("5", 1),
        ("e:", 3),
        ("e:-1", 3),
        ("e:" + "9" * 16, 3),
        ("e:٣", 3),
        ("a:order:o-1", 9),
        ("a:order:o-1:0", 13),
        ("a:Order:o-1:1", 3),
        ("a:order::1", 9),
    ],
)
def test_what_is_no_cursor_of_events(text: str, column: int) -> None:
    with pytest.raises(Invalid, match="invalid cursor") as caught:
        parse_event_cursor(text)
    assert caught.value.details["column"] == column
