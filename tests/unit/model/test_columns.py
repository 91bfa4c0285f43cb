from __future__ import annotations

from typing import Any

import pytest

from dbx.model.columns import CompiledColumn
from dbx.model.schema import Bounds, Column, ReferenceRule

_COLUMNS: dict[str, Column] = {
    "length of text": Column("text", length=Bounds(2, 3)),
    "length of binary": Column("binary", length=Bounds(2, 3)),
    "length and format": Column("text", format="snake_case", length=Bounds(max=3)),
    "regex": Column("text", regex=("^a", "b")),
    "regex of one": Column("text", regex=("^a+$",)),
    "regex with choices": Column("text", regex=("^(a+)+$",)),
    "contains": Column("text", contains=("a", "b")),
    "does_not_contain": Column("text", does_not_contain=("a",)),
    "all": Column("text", length=Bounds(1, 5), regex=("a",), contains=("b",), does_not_contain=("c",)),
    "country": Column("text", format="country_code"),
    "reference": Column("text", format="reference", reference=ReferenceRule()),
    "integer": Column("integer", range=Bounds(-5, 5)),
    "integer, open": Column("integer", range=Bounds(min="5")),
    "float": Column("float", range=Bounds(0, 1)),
    "float, open": Column("float", range=Bounds(max=1.5)),
    "decimal": Column("decimal(8,2)", range=Bounds("0.5", 10)),
    "large decimal": Column("decimal(30,2)", range=Bounds("0.5", "99999999999999999999.99")),
    "timestamp": Column("timestamp", range=Bounds("2024-01-01T00:00:00Z", "2024-12-31T23:59:59Z")),
    "date": Column("date", range=Bounds("2024-01-01", "2024-12-31")),
    "date, open": Column("date", range=Bounds(max="2024-12-31")),
    "json": Column("json"),
    "boolean": Column("boolean"),
    "object": Column(
        "object",
        properties={
            "city": Column("text", required="always", length=Bounds(min=1)),
            "inner": Column("object", properties={"n": Column("integer", required="create")}),
        },
    ),
}
_GOOD: list[tuple[str, list[Any]]] = [
    ("length of text", ["ab", "abc", "éé"]),
    ("length of binary", ["QUI=", "QUJD"]),
    ("length and format", ["abc", "a"]),
    ("regex", ["ab", "axxb"]),
    ("regex of one", ["a", "aa"]),
    ("regex with choices", ["a", "aa"]),
    ("contains", ["ab", "xbxa"]),
    ("does_not_contain", ["", "xyz", "A"]),
    ("all", ["ab", "xabx"]),
    ("country", ["US"]),
    ("reference", ["#1", "t#1"]),
    ("integer", [-5, 0, 5, "5", " -5 "]),
    ("integer, open", [5, 2**60, "9223372036854775807"]),
    ("float", [0, 1, 0.5, "0.5"]),
    ("float, open", [-1e300, 1.5, "1.5"]),
    ("decimal", [0.5, 10, "10.00", "0.50", 3]),
    ("large decimal", ["99999999999999999999.99", "0.5", 1]),
    ("timestamp", ["2024-01-01T00:00:00Z", "2024-01-01T01:00:00+01:00", "2024-06-01T00:00:00.5Z"]),
    ("date", ["2024-01-01", "2024-12-31", "2024-02-29"]),
    ("date, open", ["0001-01-01", "2024-12-31"]),
    ("json", [None, {"a": [1]}]),
    ("boolean", [True, 0, "False"]),
    ("object", [{"city": "x"}, {"city": "x", "more": 1}, {"city": "x", "inner": {"n": "1"}}]),
]
_BAD: list[tuple[str, list[tuple[Any, list[str]]]]] = [
    ("length of text", [("a", ["length"]), ("abcd", ["length"]), ([1, 2], ["type"]), (None, ["type"])]),
    ("length of binary", [("QQ==", ["length"]), ("QUJDRA==", ["length"]), ("ab", ["type"]), ("", ["length"])]),
    ("length and format", [("abcd", ["length"]), ("A", ["format"]), ("ABCD", ["length", "format"])]),
    ("regex", [("ba", ["regex"]), ("a", ["regex"]), ("x", ["regex", "regex"]), (5, ["type"]), (["a", "b"], ["type"])]),
    ("regex of one", [("b", ["regex"]), ("a\n", ["regex"]), (5, ["type"]), (None, ["type"]), ([], ["type"])]),
    ("regex with choices", [("ab", ["regex"]), (["a", "a"], ["type"]), ({"a": 1}, ["type"])]),
    ("contains", [("a", ["contains"]), ("", ["contains", "contains"]), (["a", "b"], ["type"])]),
    ("does_not_contain", [("xax", ["does_not_contain"]), ([], ["type"]), ({}, ["type"])]),
    ("all", [("", ["length", "regex", "contains"]), ("abc", ["does_not_contain"]), ("bbbbbb", ["length", "regex"])]),
    ("country", [("us", ["format"]), (5, ["type"]), ([], ["type"]), ({}, ["type"]), (None, ["type"])]),
    ("reference", [("1", ["format"]), (5, ["type"])]),
    ("integer", [(6, ["range"]), ("-6", ["range"]), (1.5, ["type"]), (True, ["type"]), ("x", ["type"])]),
    ("integer, open", [(4, ["range"]), ("4", ["range"]), (2**63, ["type"])]),
    ("float", [(1.1, ["range"]), ("-0.1", ["range"]), ("NaN", ["type"]), (None, ["type"]), (True, ["type"])]),
    ("float, open", [(1.6, ["range"]), (float("inf"), ["type"]), (float("-inf"), ["type"]), (float("nan"), ["type"])]),
    ("decimal", [(0.49, ["range"]), (10.01, ["range"]), ("0.499", ["type"]), (11, ["range"]), (None, ["type"])]),
    ("large decimal", [("100000000000000000000.00", ["range"]), ("0.49", ["range"]), (0, ["range"])]),
    ("timestamp", [("2024-01-01T00:00:00+01:00", ["range"]), ("2024-01-01", ["type"]), (5, ["type"])]),
    ("date", [("2023-12-31", ["range"]), ("2025-01-01", ["range"]), ("2024-02-30", ["type"]), (5, ["type"])]),
    ("boolean", [(2, ["type"]), (None, ["type"])]),
    ("date, open", [("2025-01-01", ["range"]), ("9999-12-31", ["range"])]),
    ("object", [
        ({}, ["required"]), ("x", ["type"]), ({"city": ""}, ["length"]), ({"city": 5, "inner": 5}, ["type", "type"]),
    ]),
]  # fmt: skip


def _test_says(compiled: CompiledColumn, value: Any) -> bool:
    try:
        return bool(compiled.test(value))
    except TypeError:
        return False


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in _GOOD for value in values])
def test_accepted(name: str, value: Any) -> None:
    compiled = CompiledColumn(_COLUMNS[name], first=False)
    assert list(compiled.explain(value, ("f",))) == []
    assert _test_says(compiled, value)


@pytest.mark.parametrize(("name", "value", "rules"), [(n, value, rules) for n, cases in _BAD for value, rules in cases])
def test_refused_by_its_rule(name: str, value: Any, rules: list[str]) -> None:
    compiled = CompiledColumn(_COLUMNS[name], first=False)
    assert [fault.rule for fault in compiled.explain(value, ("f",))] == rules
    assert not _test_says(compiled, value)


def test_every_column_has_examples() -> None:
    assert {name for name, _ in _GOOD} == _COLUMNS.keys()
    assert {name for name, _ in _BAD} == _COLUMNS.keys() - {"json"}


def test_required_on_creation_reaches_within_objects() -> None:
    value = {"city": "x", "inner": {}}
    assert _test_says(CompiledColumn(_COLUMNS["object"], first=False), value)
    compiled = CompiledColumn(_COLUMNS["object"], first=True)
    assert not _test_says(compiled, value)
    (fault,) = compiled.explain(value, ("home",))
    assert (fault.field, fault.rule, fault.kind) == ("home.inner.n", "required", "missing")
    assert fault.message == "required field 'home.inner.n' is missing"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("length of text", "secret", "'length': this text must have 2 to 3 characters"),
        ("length of binary", "QQ==", "'length': this text must have 2 to 3 bytes"),
        ("length and format", "SECRET", "'length': this text must have at most 3 characters"),
        ("integer", 77, "'range': this number must be at least -5 and at most 5"),
        ("integer", None, "'type': it must be an integer of 64 bits, not null"),
        ("integer", "secret", "'type': this text must be an integer of 64 bits"),
        ("country", "SECRET", "'format': this text must have the format country_code"),
        ("regex", "ba", "'regex': this text must match the pattern '^a'"),
        ("contains", "a", "'contains': this text must contain 'b'"),
        ("does_not_contain", "sa", "'does_not_contain': this text must not contain 'a'"),
        ("object", [], "'type': this array must be an object"),
        ("boolean", 7, "'type': this number must be true or false"),
    ],
)
def test_messages_say_the_rule_and_never_the_value(name: str, value: Any, message: str) -> None:
    fault = next(CompiledColumn(_COLUMNS[name], first=False).explain(value, ("f",)))
    assert fault.message == f"field 'f' breaks {message}"
