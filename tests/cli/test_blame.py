"""`dbx blame`: who set each field."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.conftest import Runner


def at(day: int, actor: str) -> dict[str, str]:
    return {"DBX_NOW": f"2026-11-{day:02}T12:00:00Z", "DBX_ACTOR": actor}


@pytest.fixture
def shop(run: Runner) -> Runner:
    run.ok("init")
    first = '{"total":"49.50","address":{"city":"Ulm","zip":"1"},"lines":[{"price":5}]}'
    run.ok("aggregate", "create", "order", "o-1", "--event", "placed", "--payload", first, env=at(1, "web:ann"))
    run.ok("aggregate", "apply", "order", "o-1", "paid", "--field", "paid:=true", env=at(2, "ops:joe"))
    moved = '{"address":{"city":"Ulm","zip":"2"}}'
    run.ok(
        "aggregate", "apply", "order", "o-1", "moved", "--payload", moved, "--metadata", '{"@by":"x"}',
        env=at(3, "ops:jane"),
    )  # fmt: skip
    return run


def fields(run: Runner, *arguments: str) -> dict[str, dict[str, Any]]:
    found = run.ok("blame", "order", "o-1", "--json", *arguments).json["fields"]
    return {each["field"]: each for each in found}


def test_every_field(shop: Runner) -> None:
    found = shop.ok("blame", "order", "o-1", "--json").json
    assert (found["aggregate_type"], found["aggregate_id"], found["version"], found["erased"]) == (
        "order",
        "o-1",
        3,
        [],
    )
    by_name = fields(shop)
    assert {name: each["version"] for name, each in by_name.items()} == {
        "@by": 3, "address.city": 3, "address.zip": 3, "lines": 1, "paid": 2, "total": 1,
    }  # fmt: skip
    event = shop.ok("events", by_name["paid"]["event_id"], "--json").json
    assert by_name["paid"] == {
        "field": "paid",
        "path": ["paid"],
        "value": True,
        "event_id": event["event_id"],
        "event_type": "paid",
        "version": 2,
        "created_at": "2026-11-02T12:00:00.000000Z",
        "issued_by": {"group": "ops", "user": "joe"},
        "changed": True,
        "since_version": 2,
    }
    city = by_name["address.city"]
    assert (city["path"], city["changed"], city["since_version"]) == (["address", "city"], False, 1)


def test_for_people(shop: Runner) -> None:
    lines = shop.ok("blame", "order", "o-1").lines
    assert len(lines) == 6
    city = next(line for line in lines if "address.city" in line)
    assert city.startswith("3  ")
    assert "  moved   2026-11-03T12:00:00.000000Z  ops:jane  address.city=" in city
    assert city.endswith('address.city="Ulm" (since version 1)')
    assert lines[-1].endswith('web:ann   total="49.50"')


def test_some_fields_and_some_time(shop: Runner) -> None:
    assert list(fields(shop, "--field", "address")) == ["address.city", "address.zip"]
    assert list(fields(shop, "--field", "total", "--field", "lines.0.price")) == ["total", "lines.0.price"]
    assert fields(shop, "--version", "1").keys() == {"address.city", "address.zip", "lines", "total"}
    assert fields(shop, "--at", "@2026-11-03").keys() == fields(shop, "--version", "2").keys()
    assert fields(shop, "--at", "HEAD~1")["address.zip"]["version"] == 1
    other = shop.ok("blame", "--aggregate", "order", "--aggregate-id", "o-1", "--json").json
    assert other == shop.ok("blame", "order", "o-1", "--json").json


def test_an_aggregate_without_fields(run: Runner) -> None:
    run.ok("init")
    run.ok("aggregate", "create", "order", "o-1", "--event", "placed")
    assert run.ok("blame", "order", "o-1").stdout == "no fields\n"
    assert run.ok("blame", "order", "o-1", "--json").json["fields"] == []


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("order", "o-2"), 3, "does not exist"),
        (("order", "o-1", "--field", "nothing"), 3, "has no field 'nothing'"),
        (("order", "o-1", "--field", "paid", "--version", "1"), 3, "has no field 'paid'"),
        (("order", "o-1", "--version", "4"), 3, "has no version 4"),
        (("order", "o-1", "--version", "0"), 2, ""),
        (("order", "o-1", "--version", "1", "--at", "HEAD"), 2, "cannot be used together"),
        (("order", "o-1", "--at", "HEAD~~~"), 3, "before the first commit"),
        (("order", "o-1", "--at", "HEAD~x"), 5, "is not a ref"),
        (("Order", "o-1"), 5, "aggregate type"),
        (("order",), 2, "needs the aggregate id"),
        (("order", "o-1", "x"), 2, "unexpected argument"),
    ],
)
def test_what_is_refused(shop: Runner, arguments: tuple[str, ...], status: int, said: str) -> None:
    outcome = shop("blame", *arguments)
    assert (outcome.status, outcome.stdout) == (status, "")
    assert said in outcome.stderr
