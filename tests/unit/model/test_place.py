"""dbx/model/place.py: pointing at a character."""

from __future__ import annotations

import pytest

from dbx.model.place import excerpt, fault_at


def test_the_message_names_the_column_and_the_excerpt_points_at_it() -> None:
    fault = fault_at("invalid sort", "a,,b", 2, "a field is missing", hint="write a,b")
    assert fault.message == "invalid sort: a field is missing at column 3"
    assert fault.hint == "write a,b"
    assert fault.details == {"column": 3, "excerpt": ["a,,b", "  ^"]}


@pytest.mark.parametrize("at", [0, 1, 59, 60, 61, 150, 299, 300])
def test_the_caret_is_below_its_character(at: int) -> None:
    text = "".join(chr(0x100 + n) for n in range(300))
    line, caret = excerpt(text, at)
    column = caret.index("^")
    assert len(line) <= 102
    assert line[column : column + 1] == text[at : at + 1]


def test_nothing_in_the_excerpt_steers_a_terminal() -> None:
    assert excerpt("a\x1b[2Jb\nc", 1) == ["a�[2Jb�c", " ^"]


def test_an_offset_outside_is_the_end() -> None:
    assert fault_at("x", "abc", 99, "y").details["column"] == 4
    assert fault_at("x", "abc", -1, "y").details["column"] == 1
