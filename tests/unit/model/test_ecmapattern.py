from __future__ import annotations

import pytest

from dbx.model.ecmapattern import escape_literal, to_ecma
from dbx.model.pattern import parse_pattern


@pytest.mark.parametrize(
    ("pattern", "exported"),
    [
        (r"^[A-Z]{3}-\d{4}$", "^[A-Z]{3}-[0-9]{4}$"),
        (r"\Aa\z", "^a$"),
        ("(?i)ab", "[Aa][Bb]"),
        ("(?P<x>a|b)+?", "(?:(?:a|b))+"),
        ("a{2,}b{0,3}c?", "a{2,}b{0,3}c?"),
        (".", r"[^\u000a]"),
        ("(?s).", r"[\s\S]"),
        (r"[^\s\S]", r"[^\s\S]"),
        (r"\.\$\x00é", r"\.\$\u0000é"),
        (r"[\]\-^a]", r"[\-\]\^a]"),
        ("", ""),
    ],
)
def test_what_is_exported(pattern: str, exported: str) -> None:
    assert to_ecma(parse_pattern(pattern)) == exported


def test_literals_stand_for_themselves() -> None:
    assert escape_literal("a.b*(c)") == r"a\.b\*\(c\)"
