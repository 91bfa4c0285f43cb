from __future__ import annotations

from typing import Any

import pytest

from dbx.errors import Conflict, Invalid
from dbx.model.references import Reference, parse_reference, references_of
from dbx.model.resolve import (
    MAX_DEPTH,
    Referrer,
    Resolved,
    Target,
    check_integrity,
    migration_payload,
    nullified,
    plan_removal,
    resolve,
)
from dbx.model.schema import Column, ReferenceRule, Schema

_PERSON = Schema(
    "person",
    columns={
        "friend": Column("text", format="reference", reference=ReferenceRule("weak")),
        "home": Column(
            "object",
            properties={"farm": Column("text", format="reference", reference=ReferenceRule(cascade="nullify"))},
        ),
    },
)


def _name(text: str) -> Reference:
    return parse_reference(text, domain="d", aggregate_type="person")


class World:
    """Persons by id, and how often they were asked for."""

    def __init__(self, **states: dict[str, Any]) -> None:
        self.states = states
        self.asked: list[str] = []

    def look_up(self, reference: Reference) -> Target:
        """As the repository would."""
        self.asked.append(reference.aggregate_id)
        if reference.domain != "d":
            return Target("forbidden")
        if reference.aggregate_id not in self.states:
            return Target("not_found")
        return Target("ok", self.states[reference.aggregate_id], _PERSON)

    def resolve(self, first: str, depth: int, **more: Any) -> tuple[Resolved, ...]:
        """From one person on."""
        return resolve(_name(f"#{first}"), self.states[first], _PERSON, depth=depth, look_up=self.look_up, **more)


def _plain(resolved: tuple[Resolved, ...]) -> list[Any]:
    return [
        [
            each.found.field,
            each.found.reference.aggregate_id,
            each.status,
            *([_plain(each.below)] if each.below else []),
        ]
        for each in resolved
    ]


def test_references_are_followed() -> None:
    world = World(a={"friend": "#b", "home": {"farm": "x#person#z"}}, b={"friend": "#c"}, c={"friend": " "})
    assert _plain(world.resolve("a", 3)) == [
        ["friend", "b", "ok", [["friend", "c", "ok"]]],
        ["home.farm", "z", "forbidden"],
    ]
    assert _plain(world.resolve("a", 1)) == [
        ["friend", "b", "ok", [["friend", "c", "depth_exceeded"]]],
        ["home.farm", "z", "forbidden"],
    ]
    world.asked.clear()
    assert [each.status for each in world.resolve("a", 0)] == ["depth_exceeded", "depth_exceeded"]
    assert world.asked == []


def test_a_cycle_is_followed_once() -> None:
    world = World(a={"friend": "#b"}, b={"friend": "#a"}, c={"friend": "#c"})
    assert _plain(world.resolve("a", 5)) == [["friend", "b", "ok", [["friend", "a", "cycle"]]]]
    assert _plain(world.resolve("c", 5)) == [["friend", "c", "cycle"]]
    # The same aggregate on two branches is no cycle.
    world = World(a={"friend": "#b", "home": {"farm": "#b"}}, b={})
    assert [each.status for each in world.resolve("a", 5)] == ["ok", "ok"]


def test_what_is_missing_and_what_is_too_much() -> None:
    world = World(a={"friend": "#gone", "home": {"farm": "#a1"}}, a1={})
    assert [each.status for each in world.resolve("a", 2)] == ["not_found", "ok"]
    assert [each.status for each in world.resolve("a", 2, max_targets=1)] == ["not_found", "depth_exceeded"]
    for depth in (-1, MAX_DEPTH + 1):
        with pytest.raises(Invalid):
            world.resolve("a", depth)


def test_a_target_without_schema_has_no_references() -> None:
    assert resolve(_name("#a"), {"friend": "#b"}, None, depth=2, look_up=World().look_up) == ()


def test_strong_references_need_their_target() -> None:
    world = World(a={"friend": "#gone", "home": {"farm": "#gone"}})
    found = references_of(_PERSON, world.states["a"], domain="d")
    (fault,) = check_integrity(found, world.look_up)
    assert (fault.field, fault.rule) == ("home.farm", "reference")
    assert fault.message == "field 'home.farm' refers to an aggregate of type 'person' that does not exist"
    world.states["gone"] = {}
    assert check_integrity(found, world.look_up) == []
    (fault,) = check_integrity([found[1]._replace(reference=_name("x#person#1"))], world.look_up)
    assert "cannot be reached" in fault.message


def test_what_happens_when_a_target_goes() -> None:
    none, restrict, nullify = (ReferenceRule(cascade=word) for word in ("none", "restrict", "nullify"))
    target = _name("farm#1")
    referrers = [
        Referrer("person", "a", ("friend",), none),
        Referrer("person", "b", ("home", "farm"), nullify),
        Referrer("person", "b", ("friend",), nullify),
    ]
    assert plan_removal(target, referrers) == {("person", "b"): [("home", "farm"), ("friend",)]}
    assert plan_removal(target, []) == {}
    blocking = [Referrer("person", f"p{n}", ("home", "farm"), restrict) for n in range(7)]
    with pytest.raises(Conflict) as caught:
        plan_removal(target, referrers + blocking)
    assert caught.value.message == (
        "aggregate 'farm/1' cannot go: it is referred to by person/p0 (home.farm), person/p1 (home.farm),"
        " person/p2 (home.farm), person/p3 (home.farm), person/p4 (home.farm) and 2 more"
    )
    assert len(caught.value.details["referrers"]) == 7


def test_fields_become_null_and_nothing_else() -> None:
    state = {"friend": "d#person#1", "home": {"farm": "d#farm#1", "barn": "d#farm#1", "row": 3}, "age": 5}
    assert nullified(state, [("friend",), ("home", "farm"), ("home", "barn")]) == {
        "friend": None,
        "home": {"farm": None, "barn": None, "row": 3},
    }
    assert nullified(state, [("home", "gone")]) == {"home": state["home"]}
    assert state["home"] == {"farm": "d#farm#1", "barn": "d#farm#1", "row": 3}


def test_migration_spells_references_anew() -> None:
    state = {"friend": "#1", "home": {"farm": "farm#2", "row": 3}, "age": 5}
    assert migration_payload(_PERSON, state, ["friend"], domain="d") == {"friend": "d#person#1"}
    assert migration_payload(_PERSON, state, ["friend", "home.farm"], domain="d") == {
        "friend": "d#person#1",
        "home": {"farm": "d#farm#2", "row": 3},
    }
    assert migration_payload(_PERSON, {"friend": "d#person#1"}, ["friend"], domain="d") is None
    assert migration_payload(_PERSON, {}, ["friend"], domain="d") is None


@pytest.mark.parametrize(
    ("field", "state"),
    [("age", {}), ("home", {}), ("home.gone", {}), ("gone.farm", {}), ("friend", {"friend": "no reference"})],
)
def test_what_cannot_be_migrated(field: str, state: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        migration_payload(_PERSON, state, [field], domain="d")
