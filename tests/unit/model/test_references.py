from __future__ import annotations

import pytest

from dbx.errors import Invalid
from dbx.model.references import Reference, parse_reference


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
