"""Each rule finds what it is there to find, and nothing in what is well done."""

from __future__ import annotations

from typing import Any

import pytest

from dbx.model import lint
from dbx.model.lint import Finding, is_crud
from dbx.model.lintfacts import DAY_US, EventFacts, Facts, RemoteFacts, TypeFacts, kind_of, meaning_of

NOW = 1_790_000_000_000_000


def type_of(
    name: str = "order", longest: int = 10, threshold: int | None = None, **events: list[dict[str, Any]]
) -> TypeFacts:
    one = TypeFacts(name, 3, f"{name}-1", longest, threshold=threshold)
    for event, payloads in events.items():
        known = one.events[event] = EventFacts()
        for payload in payloads:
            known.add(payload)
    return one


def facts(*types: TypeFacts, **more: Any) -> Facts:
    return Facts("shop", NOW, types, **more)


GOOD = type_of(
    placed=[{"customer": "c-1", "total": 12.5, "due_on": "2026-01-02", "note": None}] * 5,
    address_corrected=[{"street": "Mill Lane"}] * 5,
)


def found(given: Facts, rule: str | None = None) -> list[Finding]:
    everything = lint.lint(given)
    for one in everything:
        assert all(isinstance(part, str) and part for part in one)
        assert one.command.startswith("dbx ")
    return [one for one in everything if rule in (None, one.rule)]


def test_nothing_is_found_in_what_is_well_done() -> None:
    given = facts(GOOD, staged_events=3, staged_since_us=NOW - DAY_US + 1, remotes=[RemoteFacts("o", "u", NOW)])
    assert found(given) == []
    assert found(facts()) == []


def test_god_aggregates() -> None:
    many = type_of(**{f"thing_{n}": [{f"field_{n}_{m}": 1 for m in range(3)}] for n in range(21)})
    assert [one.what for one in found(facts(many), "god-aggregate")] == [
        "21 types of events, more than 20",
        "63 fields, more than 40",
    ]
    few = type_of(**{f"thing_{n}": [{f"field_{m}": 1 for m in range(40)}] for n in range(20)})
    assert found(facts(few), "god-aggregate") == []


def test_growth() -> None:
    (one,) = found(facts(type_of(longest=10_001)), "growth")
    assert (one.where, one.what) == ("order/order-1", "10,001 events in one aggregate, more than 10,000")
    assert found(facts(type_of(longest=10_000)), "growth") == []


@pytest.mark.parametrize(
    "name",
    ["order_created", "order_updated", "updated", "update", "delete_order", "record_deleted", "set", "data_modified",
     "modify", "saved", "order_data_changed", "upserted", "create_or"],
)  # fmt: skip
def test_names_of_databases(name: str) -> None:
    assert is_crud("order", name) is (name != "create_or")


@pytest.mark.parametrize(
    "name",
    ["placed", "order_placed", "address_changed", "item_added", "customer_created", "reset", "setup_done", "shipped"],
)
def test_names_of_what_happened(name: str) -> None:
    assert not is_crud("order", name)


def test_crud_names_are_found() -> None:
    given = facts(type_of(order_updated=[{}], placed=[{}]))
    (one,) = found(given, "crud-name")
    assert (one.where, one.command) == ("order order_updated", "dbx schema add order WHAT_HAPPENED")


def test_a_field_of_several_types() -> None:
    (one,) = found(facts(type_of(placed=[{"total": 1}], paid=[{"total": "1"}, {"total": None}])), "field-type")
    assert one.where == "order.total"
    assert "number in placed, text in paid" in one.what
    (one,) = found(facts(type_of(placed=[{"total": 1}, {"total": True}])), "field-type")
    assert "boolean in placed, number in placed" in one.what


def test_a_command_can_be_copied_whatever_the_field_is_called() -> None:
    (one,) = found(facts(type_of(placed=[{"a; rm x": 1}, {"a; rm x": "1"}])), "field-type")
    assert one.command == "dbx schema field order 'a; rm x' --type TYPE"


def test_a_field_of_another_type_elsewhere() -> None:
    order = type_of(placed=[{"total": 1}] * 3)
    invoice = type_of("invoice", sent=[{"total": "one"}] * 3)
    (one,) = found(facts(order, invoice), "field-type")
    assert one.where == "total"
    assert "number in order, text in invoice" in one.what
    assert found(facts(order, type_of("invoice", sent=[{"total": "one"}] * 2)), "field-type") == []


def test_a_field_of_several_meanings() -> None:
    given = type_of(placed=[{"by": "2026-01-01"}] * 3, paid=[{"by": "ann@example.org"}] * 3)
    (one,) = found(facts(given), "field-meaning")
    assert "a date in placed" in one.what or "an e-mail address in paid, a date in placed" in one.what
    for other in ([{"by": "ann@example.org"}] * 2, [{"by": "somebody"}] * 3, [{"by": ""}] * 3):
        assert found(facts(type_of(placed=[{"by": "2026-01-01"}] * 3, paid=other)), "field-meaning") == []


def test_names_that_are_not_snake_case() -> None:
    given = type_of(placed=[{"firstName": 1, "last-name": 1, "ok": 1, "ÄÖ": 1, "_x": 1}], paid__twice=[{}])
    told = {one.where: one.command for one in found(facts(given), "name-style")}
    assert told == {
        "order.firstName": "dbx schema field order first_name --type TYPE",
        "order.last-name": "dbx schema field order last_name --type TYPE",
        "order.ÄÖ": "dbx schema field order NAME --type TYPE",
        "order._x": "dbx schema field order x --type TYPE",
        "order paid__twice": "dbx schema add order paid_twice",
    }
    assert found(facts(type_of("order_")), "name-style")[0].command == "dbx schema create order --events EVENT"


def test_old_staging() -> None:
    (one,) = found(facts(staged_events=4, staged_since_us=NOW - DAY_US - 1), "old-staging")
    assert one.what == "4 events have been staged for 1 day"
    (one,) = found(facts(staged_events=4, staged_since_us=NOW - 9 * DAY_US), "old-staging")
    assert one.what.endswith("9 days")


@pytest.mark.parametrize(
    ("longest", "threshold", "said"),
    [
        (1001, None, "no snapshots are taken, and 'order-1' has 1,001 events"),
        (1000, None, None),
        (50, 9, "every 9 events"),
        (50, 10, None),
        (2000, 3000, "every 3,000 events, and the longest history has 2,000"),
        (2000, 100, None),
        (900, 3000, None),
    ],
)
def test_snapshot_thresholds(longest: int, threshold: int | None, said: str | None) -> None:
    told = found(facts(type_of(longest=longest, threshold=threshold)), "snapshot-threshold")
    assert len(told) == (said is not None)
    assert said is None or said in told[0].what


def test_stale_remotes() -> None:
    remotes = [RemoteFacts("new", "u", None), RemoteFacts("old", "u", NOW - 31 * DAY_US), RemoteFacts("ok", "u", NOW)]
    told = found(facts(remotes=remotes), "stale-remote")
    assert [one.where for one in told] == ["new", "old"]
    assert told[1].what == "'old' was last heard of 31 days ago"


def test_kinds_and_meanings() -> None:
    values = (None, True, 0, 1.5, "", [], {})
    assert [kind_of(value) for value in values] == ["null", "boolean", "number", "number", "text", "array", "object"]
    for text, meaning in {
        "2026-11-26": "a date", "2026-11-26T10:00:00Z": "a time", "-12.50": "a number", "yes": "true or false",
        "0190c0de-0000-4000-8000-000000000001": "a uuid", "a@b.example": "an e-mail address",
        "https://example.org/x": "an address of the web", "hello": "text", "1" * 401: "text", "12 kg": "text",
    }.items():  # fmt: skip
        assert meaning_of(text) == meaning


def test_fields_without_number_cost_no_memory_without_bound() -> None:
    event = EventFacts()
    for n in range(6000):
        event.add({f"f{n}": 1})
    assert (event.count, len(event.fields)) == (6000, 5000)
