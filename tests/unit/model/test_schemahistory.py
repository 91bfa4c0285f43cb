from __future__ import annotations

from dbx.model.schema import Column, EventRule, Schema
from dbx.model.schemahistory import History, contradictions

_SCHEMA = Schema(
    "person",
    columns={"age": Column("integer"), "name": Column("text", required="create"), "note": Column("text")},
    events={"person_created": EventRule()},
)


def test_what_the_history_contradicts() -> None:
    history = History(_SCHEMA)
    assert not history.add("person_created", {"name": "A", "age": "5"}, first=True)
    assert [f.rule for f in history.add("person_created", {"age": "five"}, first=False)] == ["type"]
    assert [f.rule for f in history.add("person_created", {"note": None}, first=True)] == ["required", "type"]
    assert [f.rule for f in history.add("person_left", {"age": [1]}, first=False)] == ["events"]
    assert not history.add("aggregate_archived", {"age": "x"}, first=False)
    counts = history.counts
    assert (counts.events, counts.refused_events) == (5, 3)
    assert counts.values == {"name": 1, "age": 3, "note": 1}
    assert counts.wrong == {("age", "text"): 1, ("note", "null"): 1, ("age", "array"): 1}
    assert counts.undeclared == {"person_left": 1}
    assert counts.refused[("person_created", "type")] == 2
    found = contradictions(_SCHEMA, counts)
    assert [(each.path, each.check, each.is_error) for each in found] == [
        (("columns", "age"), "history-type", False),
        (("columns", "note"), "history-type", True),
        (("events",), "history-event", False),
    ]
    assert found[0].message == "field 'age' is integer, but 2 of 3 stored values are not (1 array, 1 text)"
    assert found[2].message == "1 stored event is of type 'person_left', which is not declared"


def test_counts_of_two_processes_are_added() -> None:
    one, two, both = History(_SCHEMA), History(_SCHEMA), History(_SCHEMA)
    events = [("person_created", {"age": "x"}), ("person_left", {}), ("person_created", {"name": "a", "age": 5})]
    for index, (event_type, payload) in enumerate(events * 2):
        (one if index % 2 else two).add(event_type, payload, first=True)
        both.add(event_type, payload, first=True)
    assert one.counts + two.counts == both.counts


def test_a_history_that_fits() -> None:
    history = History(_SCHEMA)
    history.add("person_created", {"name": "a", "undeclared": 5}, first=True)
    assert contradictions(_SCHEMA, history.counts) == []
