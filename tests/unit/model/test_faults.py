from __future__ import annotations

from dbx.model.faults import Fault, kind_of


def test_kinds_are_those_of_json() -> None:
    values = [None, True, 1, 1.5, "a", [], {}]
    kinds = ["null", "boolean", "number", "number", "text", "array", "object"]
    assert [kind_of(value) for value in values] == kinds


def test_a_field_is_written_with_dots() -> None:
    assert Fault(("address", "city"), "type", "null", "wrong").field == "address.city"
    assert Fault((), "locked", "event", "locked").field == ""
