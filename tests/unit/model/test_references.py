from __future__ import annotations

import pytest

from dbx.errors import Invalid
from dbx.model.references import Reference, compile_references, parse_reference, references_of
from dbx.model.schema import Column, ReferenceRule, Schema


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("#1", "herds#animal#1"),
        ("farm#Farm-1", "herds#farm#Farm-1"),
        ("Other#farm#1", "other#farm#1"),
        ("  farm#1 ", "herds#farm#1"),
        ("farm#urn:x@y", "herds#farm#urn:x@y"),
    ],
)
def test_one_spelling_is_stored(text: str, stored: str) -> None:
    found = parse_reference(text, domain="herds", aggregate_type="animal")
    assert str(found) == stored
    assert parse_reference(stored, domain="x", aggregate_type="y") == found == Reference(*stored.split("#"))


@pytest.mark.parametrize("text", ["", "just-id", "a#b#c#d", "#", "farm##123", "Farm#1", "a/b#c#1", "farm#ä", 5, None])
def test_what_is_no_reference(text: object) -> None:
    with pytest.raises(Invalid) as caught:
        parse_reference(text, domain="herds", aggregate_type="animal")
    assert "farm" not in caught.value.message


_SCHEMA = Schema(
    "animal",
    columns={
        "farm": Column("text", format="reference", reference=ReferenceRule(aggregate="farm")),
        "mother": Column("text", format="reference", reference=ReferenceRule("weak", domain="herds")),
        "place": Column(
            "object",
            properties={"stall": Column("text", format="reference", reference=ReferenceRule()), "row": Column("text")},
        ),
        "any": Column("json"),
    },
)


def test_references_are_stored_in_one_spelling() -> None:
    canonicalise = compile_references(_SCHEMA)
    assert canonicalise is not None
    payload = {
        "farm": "farm#1",
        "mother": "#7",
        "place": {"stall": "stall#3", "row": "#x"},
        "any": "#9",
        "more": ["#1"],
    }
    before = {**payload}
    changed, found, faults = canonicalise(payload, "herds")
    assert faults == []
    assert changed == {
        "farm": "herds#farm#1",
        "mother": "herds#animal#7",
        "place": {"stall": "herds#stall#3", "row": "#x"},
        "any": "#9",
        "more": ["#1"],
    }
    assert list(changed) == list(payload)
    assert payload == before
    assert [(each.field, str(each.reference), each.rule.integrity) for each in found] == [
        ("farm", "herds#farm#1", "strong"),
        ("mother", "herds#animal#7", "weak"),
        ("place.stall", "herds#stall#3", "strong"),
    ]
    again = canonicalise(changed, "herds")
    assert again.payload is changed


@pytest.mark.parametrize(
    ("payload", "field", "says"),
    [
        ({"farm": "barn#1"}, "farm", "must refer to aggregate type 'farm'"),
        ({"mother": "other#animal#1"}, "mother", "must refer to domain 'herds'"),
        ({"place": {"stall": "nothing"}}, "place.stall", "is not a reference"),
        ({"farm": 5}, "farm", "must be text"),
    ],
)
def test_references_that_their_rule_refuses(payload: dict[str, object], field: str, says: str) -> None:
    canonicalise = compile_references(_SCHEMA)
    assert canonicalise is not None
    (fault,) = canonicalise(payload, "herds").faults
    assert (fault.field, fault.rule) == (field, "reference")
    assert says in fault.message


@pytest.mark.parametrize("payload", [{}, {"farm": None}, {"farm": " "}, {"place": None}, {"place": []}, {"place": {}}])
def test_what_refers_to_nothing(payload: dict[str, object]) -> None:
    canonicalise = compile_references(_SCHEMA)
    assert canonicalise is not None
    changed, found, faults = canonicalise(payload, "herds")
    assert changed is payload
    assert found == faults == []


def test_a_schema_without_references_costs_nothing() -> None:
    schema = Schema("a", columns={"x": Column("text"), "y": Column("object", properties={"z": Column("text")})})
    assert compile_references(schema) is None
    assert references_of(schema, {"x": "#1"}, domain="herds") == []


def test_a_state_with_what_is_no_reference_any_more() -> None:
    found = references_of(_SCHEMA, {"farm": "gone", "mother": "#7"}, domain="herds")
    assert [each.field for each in found] == ["mother"]
