"""EventDBX's exports: the hash vectors of the fact sheet, each form that its command line prints, what does not fit."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from dbx.errors import Invalid
from dbx.formats.envelope import Actor
from dbx.model.eventdbx import (
    EMPTY,
    Export,
    add_document,
    empty_export,
    hash_event,
    plan,
    root_of,
    schema_document,
    state_text,
)
from dbx.model.schemaparse import parse_schema

HASHES = [
    "99ba3163bf09ff4244cea74b88339aef1533c08e4b060910a04e3facc1f525b1",
    "9dd4435fad157d9b8ecb8fb3758142d1a7f569972691cd91a3af1e5c02921780",
    "06406c9ff5902d0135b4e1526c7ad606556245b34952ddc8b26c9707763f0395",
]
ROOTS = [
    HASHES[0],
    "d131e1aaf8b68090989a732f8960533e228d544c9e2e7d41736bb274c2a4a9a9",
    "c811645aeb054847896129b412e0435f844c399a5c126b2c30ad97fda404387b",
]
PAYLOADS = [{"status": "pending"}, {"status": "created"}, {"status": "shipped", "total": "12"}]
TYPES = ["order_created", "order_updated", "order_updated"]


def test_the_vectors_of_the_fact_sheet() -> None:
    name = ("order", "order-1")
    assert [hash_event(name, n + 1, TYPES[n], PAYLOADS[n]) for n in range(3)] == HASHES
    assert [root_of(HASHES[: n + 1]) for n in range(3)] == ROOTS
    assert root_of([*HASHES, HASHES[2]]) == ROOTS[2]
    assert root_of([]) == EMPTY


def test_values_in_states() -> None:
    for value, text in (
        ("a", "a"),
        (None, ""),
        (30, "30"),
        (True, "true"),
        ({"b": 1, "a": [1.5]}, '{"a":[1.5],"b":1}'),
    ):
        assert state_text(value) == text


def event(n: int, **change: Any) -> dict[str, Any]:
    return {
        "aggregate_type": "order",
        "aggregate_id": "order-1",
        "event_type": TYPES[n],
        "payload": PAYLOADS[n],
        "metadata": {
            "event_id": str(1000 + n),
            "created_at": f"2026-01-0{n + 1}T00:00:00Z",
            "issued_by": {"group": "ops", "user": "jane"},
            "note": "hello",
            "@source": "web",
        },
        "version": n + 1,
        "hash": HASHES[n],
        "merkle_root": ROOTS[n],
        **change,
    }


AGGREGATE = {
    "aggregate_type": "order",
    "aggregate_id": "order-1",
    "version": 3,
    "state": {"status": "shipped", "total": "12"},
    "merkle_root": ROOTS[2],
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-09T00:00:00Z",
    "archived": True,
    "@source": "web",
}


STATE = {"__aggregate_id": "order-1", "status": "shipped", "total": "12"}


def read(*documents: Any, file: str = "order.json") -> Export:
    found = empty_export()
    for document in documents:
        add_document(found, copy.deepcopy(document), file)
    return found


def test_events_as_they_are_printed() -> None:
    found = read([event(2), event(0), event(1)])
    planned = plan(found)
    assert found.differences == []
    assert [each.version for each in planned] == [1, 2, 3]
    assert planned[0].actor == Actor("ops", "jane")
    assert planned[0].item == {
        "aggregate_type": "order",
        "aggregate_id": "order-1",
        "event_type": "order_created",
        "payload": {"status": "pending"},
        "metadata": {"@source": "web"},
        "event_id": "1000",
        "created_at": "2026-01-01T00:00:00Z",
        "note": "hello",
    }


def test_events_as_they_are_stored() -> None:
    stored = event(0, extensions={"@trace": 1}, event_type_raw="order.created")
    stored["metadata"] = {"event_id": 1000, "created_at": "2026-01-01T00:00:00Z", "issued_by": None}
    planned = plan(read(stored))
    assert (planned[0].actor, planned[0].item["metadata"]) == (None, {"@trace": 1})
    assert planned[0].item["event_id"] == "1000"


def test_an_archived_aggregate() -> None:
    planned = plan(read([AGGREGATE], [event(0), event(1), event(2)]))
    assert planned[-1].item == {
        "aggregate_type": "order",
        "aggregate_id": "order-1",
        "event_type": "aggregate_archived",
        "payload": {},
        "created_at": "2026-01-09T00:00:00Z",
    }
    with_events = {**AGGREGATE, "events": [event(0), event(1), event(2)]}
    assert plan(read(with_events)) == planned


def test_the_order_of_several_aggregates() -> None:
    others = [event(n, aggregate_id="order-2", hash=None, merkle_root=None) for n in range(3)]
    for n, other in enumerate(others):
        other["metadata"] = {"event_id": str(999 + 1000 * n)}
    planned = plan(read([*others, event(0), event(1), event(2)]))
    assert [(each.name[1], each.version) for each in planned] == [
        ("order-2", 1), ("order-1", 1), ("order-1", 2), ("order-1", 3), ("order-2", 2), ("order-2", 3),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("documents", "codes"),
    [
        ([[event(0, hash="00"), event(1), event(2)]], ["hash"]),
        ([[event(0), event(1, merkle_root="00"), event(2)]], ["root"]),
        ([[event(0), event(1, payload={"status": "forged"}), event(2)]], ["hash", "root", "root"]),
        ([[event(0), event(1)], AGGREGATE], ["version", "state"]),
        ([[event(0), event(1), event(2)], {**AGGREGATE, "merkle_root": "00"}], ["root"]),
        ([[event(0), event(1), event(2)], {**AGGREGATE, "state": {"status": "x"}}], ["state"]),
        (
            [[event(0), event(1), event(2)], [{"__aggregate_id": "order-1", "status": "shipped", "total": "13"}]],
            ["state"],
        ),
        ([[event(0), event(1), event(2)], [{"__aggregate_id": "order-1", "status": "shipped", "total": "12"}]], []),
        ([AGGREGATE], ["no-events"]),
        ([event(0, payload=5, hash=None, merkle_root=None)], ["payload"]),
        ([event(0, event_type="_ref_nullify", hash=None, merkle_root=None)], ["renamed"]),
        ([event(0, metadata={"issued_by": {"group": "", "user": "x"}})], ["actor"]),
    ],
)
def test_differences(documents: list[Any], codes: list[str]) -> None:
    found = read(*documents)
    plan(found)
    assert [one.code for one in found.differences] == codes


def test_events_that_are_missing_or_contradict() -> None:
    with pytest.raises(Invalid, match=r"version 2 .* is missing"):
        plan(read([event(0), event(2)]))
    with pytest.raises(Invalid, match="twice"):
        plan(read([event(0), event(0, payload={})]))
    assert len(plan(read([event(0), event(0)]))) == 1


@pytest.mark.parametrize(
    "document",
    [
        None,
        5,
        [1],
        {},
        {"a": 1},
        event(0, version=0),
        event(0, version="1"),
        event(0, aggregate_type="Order"),
        event(0, aggregate_id=""),
        event(0, event_type="Placed!"),
        event(0, metadata=[1]),
        {**AGGREGATE, "version": "3"},
        {**AGGREGATE, "state": []},
    ],
)
def test_what_they_do_not_export(document: Any) -> None:
    with pytest.raises(Invalid):
        read(document)


SCHEMA = {
    "aggregate": "patient",
    "snapshot_threshold": 5,
    "locked": False,
    "field_locks": ["ssn"],
    "hidden": False,
    "hidden_fields": ["ssn"],
    "column_types": {
        "name": "text",
        "weight": {"type": "decimal(8,2)", "range": {"min": "0.5", "max": None}, "required": True},
        "born": {"type": "text", "format": "iso8601", "regex": [], "must_match": ["x"]},
        "ssn": {"type": "text", "length": {"min": 9, "max": 11}, "regex": ["^[0-9-]+$"]},
        "doctor": {
            "type": "text",
            "format": "reference",
            "reference": {"integrity": "weak", "tenant": None, "aggregate_type": "doctor", "cascade": "none"},
        },
        "address": {
            "type": "object",
            "properties": {"city": "text", "zip": {"type": "text", "rules": {"required": True}}},
        },
    },
    "events": {"patient_added": {"fields": ["name"], "notes": "first"}, "patient_updated": {"fields": []}},
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:00Z",
}


@pytest.mark.parametrize("document", [SCHEMA, [SCHEMA], {"patient": SCHEMA}])
def test_schemas(document: Any) -> None:
    found = read(document)
    made = schema_document(found.schemas["patient"], found.differences)
    assert [(one.code, one.about) for one in found.differences] == [
        ("schema", "patient.born"),
        ("schema", "patient.address.zip"),
    ]
    assert made == {
        "aggregate": "patient",
        "snapshot_threshold": 5,
        "hidden_fields": ["ssn"],
        "field_locks": ["ssn"],
        "columns": {
            "name": "text",
            "weight": {"type": "decimal(8,2)", "range": {"min": "0.5"}, "required": True},
            "born": {"type": "text", "format": "iso_8601"},
            "ssn": {"type": "text", "length": {"min": 9, "max": 11}, "regex": ["^[0-9-]+$"]},
            "doctor": {
                "type": "text",
                "format": "reference",
                "reference": {"integrity": "weak", "aggregate": "doctor", "cascade": "none"},
            },
            "address": {"type": "object", "properties": {"city": "text", "zip": "text"}},
        },
        "events": {"patient_added": {"fields": ["name"], "note": "first"}, "patient_updated": {}},
    }
    assert parse_schema(made) is not None
