from __future__ import annotations

import json
from typing import Any

import pytest

from dbx.errors import Invalid
from dbx.formats.envelope import Actor
from dbx.model.cloudevents import to_cloudevent, to_item
from dbx.model.event import Event

EVENT = Event(
    "order", "o-17", 3, "order_placed", 250526281754464263, "2026-11-23T07:42:00.123456Z", Actor("ops", "jane"),
    {"total": 12, "lines": [1, {"a": None}]}, {"@source": "web", "@deep": {"x": [True]}}, "a note", "ab" * 32, 7, 2,
)  # fmt: skip
DOMAIN = "018f9c2e-5b1a-4c3d-9e8f-0a1b2c3d4e5f"


def test_out() -> None:
    assert to_cloudevent(EVENT, DOMAIN) == {
        "specversion": "1.0",
        "id": "250526281754464263",
        "source": f"urn:uuid:{DOMAIN}",
        "type": "order_placed",
        "subject": "order/o-17",
        "time": "2026-11-23T07:42:00.123456Z",
        "datacontenttype": "application/json",
        "data": {"total": 12, "lines": [1, {"a": None}]},
        "dbxversion": 3,
        "dbxactor": "ops:jane",
        "dbxnote": "a note",
        "dbxmetadata": '{"@deep":{"x":[true]},"@source":"web"}',
        "dbxhash": "ab" * 32,
    }
    bare = Event("a", "b", 1, "c", 1, EVENT.created_at, None, None, None, None, "", 0, 0)
    assert set(to_cloudevent(bare, DOMAIN)) == {
        "specversion", "id", "source", "type", "subject", "time", "dbxversion", "dbxhash",
    }  # fmt: skip


def test_what_went_out_comes_back() -> None:
    incoming = to_item(json.loads(json.dumps(to_cloudevent(EVENT, DOMAIN))))
    assert incoming.actor == Actor("ops", "jane")
    assert incoming.item == {
        "aggregate_type": "order",
        "aggregate_id": "o-17",
        "event_type": "order_placed",
        "payload": EVENT.payload,
        "event_id": EVENT.event_id,
        "metadata": EVENT.metadata,
        "created_at": EVENT.created_at,
        "note": "a note",
    }


FOREIGN = {
    "specversion": "1.0",
    "id": "A234-1234-1234",
    "source": "/mycontext/4",
    "type": "com.example.someEvent",
    "subject": "thing/larger-context",
    "time": "2018-04-05T17:31:00Z",
    "comexampleextension1": "value",
    "comexampleothervalue": 5,
    "datacontenttype": "application/vnd.example+json",
    "data": {"appinfoA": "abc"},
}


def test_what_others_write() -> None:
    """After the example of the specification."""
    incoming = to_item(FOREIGN)
    assert incoming == (
        {
            "aggregate_type": "thing",
            "aggregate_id": "larger-context",
            "event_type": "com_example_some_event",
            "payload": {"appinfoA": "abc"},
            "metadata": {
                "@ce_id": "A234-1234-1234",
                "@ce_source": "/mycontext/4",
                "@ce_comexampleextension1": "value",
                "@ce_comexampleothervalue": 5,
            },
            "created_at": "2018-04-05T17:31:00Z",
        },
        None,
    )


@pytest.mark.parametrize(
    ("change", "kind", "expected"),
    [
        ({}, "device", ("device", "thing/larger-context")),
        ({"subject": "device/7"}, "device", ("device", "7")),
        ({"subject": None}, "device", ("device", "4")),
    ],
)
def test_naming_the_type(change: dict[str, Any], kind: str, expected: tuple[str, str]) -> None:
    item = to_item({**FOREIGN, **change}, kind).item
    assert (item["aggregate_type"], item["aggregate_id"]) == expected


@pytest.mark.parametrize(
    ("data", "payload"),
    [({}, {}), ({"data": None}, {}), ({"data": [1]}, {"value": [1]}), ({"data": "x"}, {"value": "x"})],
)
def test_payloads(data: dict[str, Any], payload: dict[str, Any]) -> None:
    value = {name: each for name, each in FOREIGN.items() if name != "data"}
    assert to_item({**value, **data}).item["payload"] == payload


@pytest.mark.parametrize(
    "change",
    [
        {"specversion": "0.3"},
        {"specversion": None},
        {"id": None},
        {"id": ""},
        {"id": 5},
        {"source": None},
        {"type": None},
        {"type": "..."},
        {"subject": "no-slash"},
        {"subject": None},
        {"time": 5},
        {"data_base64": "AA=="},
        {"datacontenttype": "text/xml", "data": {"a": 1}},
        {"Bad-Name": 1},
        {"dbxactor": "nobody"},
        {"dbxversion": 1, "dbxmetadata": "[]"},
        {"dbxversion": 1, "dbxmetadata": "{"},
    ],
)
def test_refused(change: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        to_item({**FOREIGN, **change})


@pytest.mark.parametrize("value", [None, [], "x", 5, {}])
def test_no_cloudevent(value: object) -> None:
    with pytest.raises(Invalid):
        to_item(value)
