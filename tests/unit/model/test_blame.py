"""Blame, against looking at every state there was."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbx.errors import NotFound
from dbx.model.blame import Blame, Field, is_same
from dbx.model.event import Event, fold


def event(version: int, payload: dict[str, Any] | None, kind: str = "set", **metadata: Any) -> Event:
    extensions = {f"@{key}": value for key, value in metadata.items()}
    return Event("order", "o", version, kind, version, "t", None, payload, extensions, None, "", version, version)


def blame(*payloads: dict[str, Any] | None, wanted: tuple[str, ...] = ()) -> dict[str, tuple[Any, int, int]]:
    known = Blame(wanted)
    for version, payload in enumerate(payloads, 1):
        known.take(event(version, payload))
    return {each.name: (each.value, each.event.version, each.since.version) for each in known.fields()}


def test_the_last_event_that_gave_a_field_set_it() -> None:
    assert blame({"a": 1, "b": 1}, {"a": 2}, {"b": 1}) == {"a": (2, 2, 2), "b": (1, 3, 1)}
    assert blame({"a": {"x": 1, "y": 1}}, {"a": {"x": 1, "y": 2}}) == {"a.x": (1, 2, 1), "a.y": (2, 2, 2)}
    # What is not in the new object is gone.
    assert blame({"a": {"x": 1}}, {"a": {"y": 1}}, {"a": {"x": 1}}) == {"a.x": (1, 3, 3)}
    assert blame({"a": {}}, {"a": {}}, {"a": []}, {"a": []}) == {"a": ([], 4, 3)}
    assert blame({"a": {"x": {"y": None}}}, {"a": {"x": {"y": None}}}) == {"a.x.y": (None, 2, 1)}
    assert blame({"a": 1}, {"a": {"b": 1}}, {"a": 1}) == {"a": (1, 3, 3)}
    assert blame({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}) == {"a": ([1, {"b": 2}], 2, 1)}
    assert blame() == blame({}) == {}


def test_true_is_not_one() -> None:
    assert blame({"a": 1}, {"a": True}, {"a": 1.0}) == {"a": (1.0, 3, 3)}
    assert blame({"a": 1}, {"a": 1.0}) == {"a": (1.0, 2, 1)}
    assert not is_same([0], [False])
    assert not is_same({"a": 1}, {"b": 1})


def test_fields_that_are_asked_for() -> None:
    history = ({"a": [1, 2], "b.c": 0, "b": {"c": 1, "d": [{"e": 5}]}}, {"a": [1, 3]}, {"b": {"c": 1, "d": [{"e": 6}]}})
    assert blame(*history, wanted=("a.0", "a.1", "a")) == {"a.0": (1, 2, 1), "a.1": (3, 2, 2), "a": ([1, 3], 2, 2)}
    assert blame(*history, wanted=("b.c",)) == {"b.c": (0, 1, 1)}
    assert blame(*history, wanted=("b",)) == {"b.c": (1, 3, 1), "b.d": ([{"e": 6}], 3, 3)}
    assert blame(*history, wanted=("b.d.0.e",)) == {"b.d.0.e": (6, 3, 3)}
    assert blame(*history, wanted=("b.d.0",)) == {"b.d.0": ({"e": 6}, 3, 3)}
    # Gone in between, so that the value is as old as its return.
    assert blame({"a": [1]}, {"a": []}, {"a": [1]}, wanted=("a.0",)) == {"a.0": (1, 3, 3)}
    for missing in ("x", "a.2", "a.x", "b.c.d", "a.-1", "a.99999999999", "", ".", "a.0.0"):
        with pytest.raises(NotFound, match="no field"):
            blame(*history, wanted=(missing,))


def test_metadata_reserved_events_and_erased_bodies() -> None:
    known = Blame()
    known.take(event(1, {"a": 1}, by="x"))
    known.take(event(2, None))
    known.take(event(3, {"version": 2, "reason": "r"}, "body_erased"))
    known.take(event(4, {"b": 1}, by="x"))
    known.take(event(5, {"a": 9}, "aggregate_archived"))
    found = {each.name: (each.event.version, each.since.version) for each in known.fields()}
    assert found == {"@by": (4, 1), "a": (1, 1), "b": (4, 4)}
    assert known.erased == [2]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 1) | st.sampled_from(["", "x"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("pq"), inner, max_size=2),
    max_leaves=4,
)
PAYLOADS = st.lists(st.dictionaries(st.sampled_from("ab"), VALUES, max_size=2), max_size=6)


def leaves(value: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    if isinstance(value, dict) and (value or not path):
        return {at: leaf for key in value for at, leaf in leaves(value[key], (*path, key)).items()}
    return {path: value}


@given(PAYLOADS)
def test_what_blame_says_is_what_the_states_show(payloads: list[dict[str, Any]]) -> None:
    known = Blame()
    states: list[dict[tuple[str, ...], Any]] = []
    state: dict[str, Any] = {}
    for version, payload in enumerate(payloads, 1):
        known.take(event(version, payload))
        fold(state, {}, "set", payload, {})
        states.append(leaves(dict(state)))
    found: dict[tuple[str, ...], Field] = {each.path: each for each in known.fields()}
    assert found.keys() == (states[-1] if states else {}).keys()
    for path, field in found.items():
        assert is_same(field.value, states[-1][path])
        assert field.event.version == max(n for n, payload in enumerate(payloads, 1) if path[0] in payload)
        since = len(states)
        while since > 1 and path in states[since - 2] and is_same(states[since - 2][path], field.value):
            since -= 1
        assert field.since.version == since or path[0] not in payloads[since - 1]
        assert field.since.version <= since
        assert field.changed == (field.since is field.event)
