"""dbx/model/filtertext.py: the grammar of filters, and where a text leaves it."""

from __future__ import annotations

import pytest

from dbx.errors import Invalid
from dbx.model.filtertext import MAX_CHARS, MAX_DEPTH, MAX_VALUES, And, Comparison, Not, Or, Tree, Value, parse_tree


def shape(tree: Tree) -> str:
    """A tree with all its parentheses."""
    if isinstance(tree, And | Or):
        return "(" + (" & " if isinstance(tree, And) else " | ").join(map(shape, tree.parts)) + ")"
    if isinstance(tree, Not):
        return "!" + shape(tree.part)
    return f"{tree.field} {tree.op} {list(tree.values)}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = 1", "a = [1]"),
        ("a=1", "a = [1]"),
        ("a != 1", "!a = [1]"),
        ("a <> 1", "!a = [1]"),
        ("a NOT = 1", "!a = [1]"),
        ("a NOT != 1", "a = [1]"),
        ("a not like 'x%'", "!a LIKE ['x%']"),
        ("a NOT IN [1, 2,]", "!a IN [1, 2]"),
        ("a in []", "a IN []"),
        ("a is null", "a = [None]"),
        ("a IS NOT NULL", "!a = [None]"),
        ("a >= 1 AND b <= 2", "(a >= [1] & b <= [2])"),
        ("a = 1 or b = 2 and not c = 3", "(a = [1] | (b = [2] & !c = [3]))"),
        ("(a = 1 OR b = 2) AND c = 3", "((a = [1] | b = [2]) & c = [3])"),
        ("NOT NOT a = 1", "a = [1]"),
        ("NOT (a = 1)", "!a = [1]"),
        ("a = 1 and b = 2 AND c = 3", "(a = [1] & b = [2] & c = [3])"),
        ("@meta.x-y = $v", "@meta.x-y = ['$v']"),
        ("_a.b.0 > -1.5", "_a.b.0 > [-1.5]"),
        ("größe = Ü", "größe = ['Ü']"),
        ("in = like", "in = ['like']"),
        ("note = notes", "note = ['notes']"),
        ("a>-1", "a > [-1]"),
    ],
)
def test_trees(text: str, expected: str) -> None:
    assert shape(parse_tree(text)) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("paid", "paid"),
        ("in-progress", "in-progress"),
        ("TRUE", True),
        ("false", False),
        ("Null", None),
        ('"null"', "null"),
        ('"it\'s"', "it's"),
        ("'say \"hi\"'", 'say "hi"'),
        (r'"a\"b\\c\d"', r'a"b\cd'),
        ('""', ""),
        ('"a\nb"', "a\nb"),
        ("0", 0),
        ("-0", 0),
        ("007", 7),
        ("1.", 1),
        (".5", 0.5),
        ("1.50", 1.5),
        ("1e3", 1000),
        ("2.5E-1", 0.25),
        ("9007199254740991", 9007199254740991),
        ("2026-11-23", "2026-11-23"),
        ("2026-11-23T07:42:00Z", "2026-11-23T07:42:00Z"),
        ("2026-11-23T07:42:00.123+01:00", "2026-11-23T07:42:00.123+01:00"),
    ],
)
def test_values(text: str, value: Value) -> None:
    tree = parse_tree(f"f = {text}")
    assert isinstance(tree, Comparison)
    assert tree.values == (value,)
    assert type(tree.values[0]) is type(value)


@pytest.mark.parametrize(
    ("text", "column", "reason"),
    [
        ("", 1, "the filter is empty"),
        (" \t\n", 1, "the filter is empty"),
        ("status", 7, "an operator is expected"),
        ("status = ", 10, "a value is expected"),
        ('status = "a" AND', 17, "a field is expected"),
        ('status @ "x"', 8, "an operator is expected"),
        ("AND a = 1", 1, "a field is expected"),
        ("a = 1 b = 2", 7, "AND, OR or the end is expected"),
        ("a = 1)", 6, "AND, OR or the end is expected"),
        ("(a = 1", 7, "')' is missing"),
        ("()", 2, "a field is expected"),
        ("5 = a", 1, "a field is expected"),
        ('"a" = 5', 1, "a field is expected"),
        ("a = AND", 5, "a value is expected"),
        ("a = =", 5, "a value is expected"),
        ("a == 1", 3, "'==' has no meaning here"),
        ("a = 1 && b = 2", 7, "'&&' has no meaning here"),
        ("a = 1 || b = 2", 7, "'||' has no meaning here"),
        ("!a = 1", 1, "this character has no meaning here"),
        ("a = 1;", 6, "this character has no meaning here"),
        ("a ≥ 1", 3, "this character has no meaning here"),
        ("a = 1.2.3", 5, "this is not a number"),
        ("a = -", 5, "this character has no meaning here"),
        ("a = -.", 5, "this is not a number"),
        ("a = .", 5, "this is not a number"),
        ("a = 12abc", 5, "this is not a number"),
        ("a = 2026-11", 5, "this is not a number"),
        ("a = ١", 5, "this character has no meaning here"),
        ("a = 1e999", 5, "the number is too large"),
        ("a = " + "9" * 400, 5, "the number is too large"),
        ('a = "x', 5, "the quoted text does not end"),
        ("a = 'x\\'", 5, "the quoted text does not end"),
        ("a IN 1", 6, "'[' is expected behind IN"),
        ("a IN (1)", 6, "'[' is expected behind IN"),
        ("a IN [1 2]", 9, "',' or ']' is expected"),
        ("a IN [,]", 7, "a value is expected"),
        ("a IN [1", 8, "',' or ']' is expected"),
        ("a IS 5", 6, "NULL is expected behind IS"),
        ("a IS NOT", 9, "NULL is expected behind IS"),
        ("a NOT 5", 7, "an operator is expected"),
        ("a BETWEEN 1 AND 2", 3, "an operator is expected"),
        ("a\x00 = 1", 2, "this character has no meaning here"),
        ('a = "x\udcff"', 7, "this is no character"),
    ],
)
def test_faults_have_their_place(text: str, column: int, reason: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_tree(text)
    assert caught.value.message == f"invalid filter expression: {reason} at column {column}"
    assert caught.value.details["column"] == column
    line, caret = caught.value.details["excerpt"]
    assert caret.endswith("^")
    assert len(caret) <= len(line) + 1


def test_bounds() -> None:
    nested = "(" * MAX_DEPTH + "a = 1" + ")" * MAX_DEPTH
    assert shape(parse_tree(nested)) == "a = [1]"
    with pytest.raises(Invalid, match=f"nests deeper than {MAX_DEPTH} at column {MAX_DEPTH + 1}"):
        parse_tree(f"({nested})")
    with pytest.raises(Invalid, match="nests deeper"):
        parse_tree("(NOT " * 5000)
    assert shape(parse_tree("NOT " * 10_001 + "a = 1")) == "!a = [1]"
    values = ",".join("1" for _ in range(MAX_VALUES))
    parse_tree(f"a IN [{values}]")
    with pytest.raises(Invalid, match=f"more than {MAX_VALUES} values"):
        parse_tree(f"a IN [{values},1]")
    long = "a=1" + " OR a=1" * ((MAX_CHARS - 3) // 7)
    parse_tree(long.ljust(MAX_CHARS))
    with pytest.raises(Invalid, match=f"at most {MAX_CHARS} characters"):
        parse_tree(long.ljust(MAX_CHARS + 1))
