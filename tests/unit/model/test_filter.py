"""dbx/model/filter.py: what a filter says of aggregates and events."""

from __future__ import annotations

from typing import Any

import pytest

from dbx.errors import Invalid
from dbx.formats.envelope import Actor
from dbx.model.event import Aggregate, Event
from dbx.model.filter import parse_aggregate_filter, parse_event_filter

ORDER = Aggregate(
    "order",
    "o-1",
    3,
    {
        "status": "paid",
        "total": 12.5,
        "count": 2,
        "text": "42",
        "sum": 0.1 + 0.2,
        "vip": True,
        "none": None,
        "due": "2026-01-01T01:00:00+01:00",
        "day": "2026-01-02",
        "lines": [{"price": 5}, "x"],
        "address": {"city": "Bern", "zip": None},
        "a.b": 1,
        "version": 99,
        "metadata": {"kind": "own"},
        "@at": "state",
    },
    {"@source": {"name": "web"}, "@at": "extension"},
    "ab" * 32,
    "2026-11-23T07:42:00.123456Z",
    "2026-11-24T00:00:00.000000Z",
    False,
)
EVENT = Event(
    "order",
    "o-1",
    2,
    "order_paid",
    123456789012345678,
    "2026-11-23T07:42:00.123456Z",
    Actor("staff", "ann"),
    {"amount": 5, "note": "inner", "payload": {"x": 1}, "hash": "inner", "@both": "payload"},
    {"@trace": {"id": "t"}, "@both": "metadata"},
    "by card",
    "cd" * 32,
    7,
    1,
)

HOLDS = [
    "status = paid",
    'status = "paid"',
    "status != open",
    "status <> open",
    "NOT status = open",
    "status LIKE 'p%'",
    "status LIKE '*ai?'",
    "status NOT LIKE 'o%'",
    "status IN [open, paid]",
    "status NOT IN [open, shipped]",
    "status NOT IN []",
    "total > 12 AND total < 13",
    "total >= 12.5 AND total <= 12.5",
    "count = 2.0",
    "sum = 0.3",
    "sum >= 0.3 AND sum <= 0.3",
    "sum IN [7, 0.3]",
    "count IN [1, 2, 3]",
    "text = '42'",
    "text != 42",
    "NOT text > 41",
    "vip = true",
    "vip != 1",
    "vip IN [false, true]",
    "none = null",
    "none IS NULL",
    "none IN [1, null]",
    "gone = null",
    "gone IS NULL",
    "gone != x",
    "gone NOT IN [x]",
    "NOT gone > 0",
    "NOT gone != null",
    "status IS NOT NULL",
    "due = '2026-01-01T00:00:00Z'",
    "due = '2026-01-01T01:00:00+01:00'",
    "due = 2026-01-01",
    "due IN ['2026-01-01T00:00:00Z', x]",
    "due >= 2026-01-01 AND due < 2026-01-02",
    "day > '2026-01-01T23:59:59Z'",
    "NOT status > 2026-01-01",
    "lines.0.price = 5",
    "lines.1 = x",
    "lines.2 IS NULL",
    "lines != null",
    "lines != x",
    "address.city = Bern",
    "address.zip IS NULL",
    "state.status = paid",
    "payload.status = paid",
    "a.b = 1",
    "metadata.kind = own",
    "metadata.@source.name = web",
    "extensions.@source.name = web",
    "@source.name = web",
    "@at = state",
    "extensions.@at = extension",
    "version = 3",
    "state.version = 99",
    "version IN [3]",
    "aggregate_type = order AND aggregateId = 'o-1'",
    f"merkle_root = '{'ab' * 32}'",
    "merkleRoot LIKE 'abab%'",
    "archived = false",
    "archived != true",
    "created_at > 2026-11-23",
    "created_at = '2026-11-23T08:42:00.123456+01:00'",
    "created_at != '2026-11-23T08:42:00.123457+01:00'",
    "created_at >= '2026-11-23T07:42:00.123456Z' AND created_at <= '2026-11-23T07:42:00.123456Z'",
    "created_at = 1795419720123",
    "created_at > 1795419720122 AND createdAt < 1795419720124",
    "created_at IN [1795419720123]",
    "created_at IN ['2026-11-23T07:42:00.123456Z']",
    "created_at LIKE '2026-11-23%'",
    "updated_at = 2026-11-24",
    "created_at != null",
    "created_at IS NOT NULL",
]
FAILS = [
    "status = Paid",
    "status = open",
    "status = 5",
    "status LIKE paid_",
    "status IN []",
    "text = 42",
    "text > 41",
    "count = true",
    "count = '2'",
    "vip = 1",
    "vip > 0",
    "vip LIKE '%'",
    "none > 0",
    "gone = x",
    "gone != null",
    "gone IS NOT NULL",
    "gone LIKE '%'",
    "lines = null",
    "address = x",
    "address.city.x = Bern",
    "version = 99",
    "metadata.@at = state",
    "archived = true",
    "archived = 0",
    "created_at < 0",
    "created_at IN [null, 5]",
]


@pytest.mark.parametrize("text", HOLDS)
def test_holds_of_an_aggregate(text: str) -> None:
    assert parse_aggregate_filter(text).matches(ORDER) is True
    assert parse_aggregate_filter(f"NOT ({text})").matches(ORDER) is False


@pytest.mark.parametrize("text", FAILS)
def test_does_not_hold_of_an_aggregate(text: str) -> None:
    assert parse_aggregate_filter(text).matches(ORDER) is False


@pytest.mark.parametrize(
    "text",
    [
        "aggregate_type = order AND aggregateId = 'o-1' AND eventType = order_paid",
        "version = 2",
        "event_id = '123456789012345678'",
        "event_id = 123456789012345678",
        "event_id > 123456789012345677 AND event_id < '123456789012345679'",
        "event_id IN ['5', '123456789012345678']",
        "event_id LIKE '1234%'",
        "event_id != abc",
        "metadata.event_id = '123456789012345678'",
        "created_at > 2026-11-23T07:00:00Z",
        "metadata.created_at = 1795419720123",
        f"hash = '{'cd' * 32}'",
        "payload.hash = inner",
        "note = 'by card'",
        "metadata.note = 'by card'",
        "payload.note = inner",
        "issued_by.user = ann AND metadata.issued_by.group = staff",
        "amount = 5",
        "payload.amount = 5",
        "payload.payload.x = 1",
        "@trace.id = t",
        "metadata.@trace.id = t",
        "extensions.@trace.id = t",
        "@both = metadata",
        "payload.@both = payload",
        "archived IS NULL",
    ],
)
def test_holds_of_an_event(text: str) -> None:
    assert parse_event_filter(text).matches(EVENT) is True


def test_an_event_without_a_body_or_an_actor_has_no_such_fields() -> None:
    bare = EVENT._replace(payload=None, metadata=None, issued_by=None, note=None)
    for text in ("amount IS NULL", "@trace IS NULL", "issued_by.user IS NULL", "note IS NULL", "metadata.note IS NULL"):
        assert parse_event_filter(text).matches(bare), text


@pytest.mark.parametrize(
    ("text", "column", "reason"),
    [
        ("status > open", 10, "'>' compares numbers and times only"),
        ("status <= null", 11, "'<=' compares numbers and times only"),
        ("a = 1 AND status >= true", 21, "'>=' compares numbers and times only"),
        ("status LIKE 5", 13, "LIKE compares text"),
        ("status LIKE null", 13, "LIKE compares text"),
        ("created_at > yesterday", 14, "'created_at' is a time, this is none"),
        ("created_at IN [2026-11-23, soon]", 15, "'created_at' is a time, this is none"),
        ("updatedAt = '2026-02-30'", 13, "'updatedAt' is a time, this is none"),
        (f"a LIKE '{'x' * 1025}'", 8, "a pattern has at most 1024 characters"),
    ],
)
def test_values_that_a_field_cannot_have(text: str, column: int, reason: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_aggregate_filter(text)
    assert caught.value.message == f"invalid filter expression: {reason} at column {column}"


def test_events_have_no_merkle_root() -> None:
    with pytest.raises(Invalid, match="events have no field 'merkle_root' at column 1"):
        parse_event_filter("merkle_root = x")
    assert parse_event_filter("payload.merkle_root IS NULL").matches(EVENT)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("status = paid", {"state"}),
        ("@source.x = 1", {"state", "extensions"}),
        ("metadata.x = 1", {"state", "extensions"}),
        ("version > 1 AND archived = true", {"version", "archived"}),
        ("merkle_root = x", {"root"}),
    ],
)
def test_a_filter_knows_what_it_reads(text: str, columns: set[str]) -> None:
    parsed = parse_aggregate_filter(text)
    assert parsed.columns == columns
    assert parsed.archived is ("archived" in columns)


def test_archived_may_be_a_number_as_the_index_has_it() -> None:
    class Scanned:
        archived = 1

    scanned: Any = Scanned()
    assert parse_aggregate_filter("archived = true").matches(scanned)
