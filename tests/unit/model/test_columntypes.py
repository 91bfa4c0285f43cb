from __future__ import annotations

from typing import Any

import pytest

from dbx.errors import Invalid
from dbx.model.columntypes import compile_type, describe_type, parse_type, quicken_decimal, read_decimal

# Every value of the facts sheet of EventDBX §3.5 under cli.md's decision 5, and some more.
_GOOD: dict[str, list[Any]] = {
    "integer": [0, -5, 2**53, "+5", "007", " 7 ", "9223372036854775807", "-9223372036854775808", "0" * 40 + "1"],
    "float": [0, 1.5, -2, "1.5", ".5", "5.", " 1e3 ", "-0", 1e300, 10**30],
    "decimal(8,2)": [0, 12, 1.5, "12.30", "-0.10", 12345678, "12345678", ".5", "5.", "+1", "000012.50", 999999.99],
    "decimal(2,2)": [0.12, "0.12", ".12", "-0.12", 0, "0.1", 12, "00.12"],
    "decimal(38,0)": ["9" * 38, 10**20, 1e20],
    "decimal(10,7)": ["0.0000001", 0.000001],
    "boolean": [True, False, 0, 1, "true", "FALSE", " 1 ", "0"],
    "text": ["", "a", "42", "null"],
    "timestamp": ["2024-05-02T13:45:00Z", "2024-05-02T13:45:00.5+02:00", "2024-02-29T00:00:00Z"],
    "date": ["2024-01-01", "2024-02-29"],
    "json": [None, 1, "a", [], {}, True],
    "binary": ["", "QQ==", "QUJD"],
    "object": [{}, {"a": None}],
}
_BAD: dict[str, list[Any]] = {
    "integer": [
        1.5, "1_000", "1.0", "٣", "", "+", "9223372036854775808", "-9223372036854775809", 2**63, True, None, [], {},
        "1e3", "9" * 5000, "0x1",
    ],
    "float": ["NaN", "inf", "-Infinity", "1e400", "", "a", "1_0", "٣", True, None, [], float("nan"), float("inf")],
    "decimal(8,2)": [
        1.555, "1.555", 123456789, "123456789", "1234567.89", "1e3", 1e21, "", ".", "1_0", "٣", True, None, "NaN",
    ],
    "decimal(2,2)": [1.25, "1.25", 0.123, 123, "0.120"],
    "decimal(38,0)": ["9" * 39, 10**38, 1e21, "1" * 5000, "0.5"],
    "decimal(10,7)": [1e-7],
    "boolean": [2, -1, 1.0, 0.0, "yes", "on", "", None, [], {}],
    "text": [1, None, True, [], {}, 1.5],
    "timestamp": ["2024-05-02T13:45:00", "2024-05-02", "02/05/2024", "2023-02-29T00:00:00Z", "", 1714657500, None, []],
    "date": ["2024-01-01T00:00:00Z", "20240101", "2023-02-29", "2024-1-1", "", 20240101, None, {}],
    "json": [],
    "binary": ["Q", "QQ", "QQ=", "-_==", "QR==", "QQ==\n", 1, None, []],
    "object": [[], "a", None, 1, True],
}  # fmt: skip


def _passes(column_type: str, value: Any) -> bool:
    try:
        return bool(compile_type(column_type)(value))
    except TypeError:
        return False


@pytest.mark.parametrize(("column_type", "value"), [(name, value) for name in _GOOD for value in _GOOD[name]])
def test_accepted(column_type: str, value: Any) -> None:
    assert _passes(column_type, value)


@pytest.mark.parametrize(("column_type", "value"), [(name, value) for name in _BAD for value in _BAD[name]])
def test_refused(column_type: str, value: Any) -> None:
    assert not _passes(column_type, value)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("integer", "integer"),
        ("int", "integer"),
        ("double", "float"),
        ("bool", "boolean"),
        ("string", "text"),
        ("bytes", "binary"),
        ("decimal(12, 4)", "decimal(12,4)"),
        ("numeric(8,2)", "decimal(8,2)"),
        (" text ", "text"),
        ("decimal(2,2)", "decimal(2,2)"),
    ],
)
def test_types_have_one_spelling(text: str, stored: str) -> None:
    assert parse_type(text) == stored
    assert parse_type(stored) == stored


@pytest.mark.parametrize(
    ("text", "says", "nearest"),
    [
        ("integr", "unknown type 'integr'", "integer"),
        ("Integer", "unknown type", "integer"),
        ("datetime", "unknown type", "date"),
        ("qqqqqq", "unknown type", None),
        ("decimal", "must be written 'decimal(precision,scale)'", None),
        ("decimal(8)", "must be written", None),
        ("decimal(8", "ends at the comma: write it between quotes", None),
        ("decimal(2,3)", "more digits after the point", None),
        ("decimal(0,0)", "precision that is not 1 to 38", None),
        ("decimal(39,2)", "precision that is not 1 to 38", None),
        (5, "must be text", None),
        (None, "must be text", None),
    ],
)
def test_types_that_are_none(text: object, says: str, nearest: str | None) -> None:
    with pytest.raises(Invalid) as caught:
        parse_type(text)
    assert says in caught.value.message
    assert caught.value.details.get("nearest") == nearest


def test_decimals_are_exact() -> None:
    small, large = read_decimal("0.1"), read_decimal("9" * 38)
    assert small is not None
    assert small.scaled == 10**37
    assert large is not None
    assert large.scaled == (10**38 - 1) * 10**38
    assert read_decimal("-0.0") == (0, 1, 1)


def test_the_short_way_for_decimals_says_what_the_long_one_says() -> None:
    asked = []

    def exact(value: object) -> bool:
        asked.append(value)
        number = read_decimal(value)
        return number is not None and number.digits <= 6 and number.places <= 2 and number.scaled <= 5 * 10**38

    quick = quicken_decimal("decimal(6,2)", exact, None, 5)
    values = [x / 1000 for x in range(-20_000, 20_000, 5)] + [5, 6, -99999, 5.01, 0.07, 1.005, 1e-7]
    for value in values:
        assert bool(quick(value)) == exact(value), value
    assert quicken_decimal("decimal(16,2)", exact, None, None) is exact
    assert quicken_decimal("decimal(8,7)", exact, None, None) is exact


def test_descriptions() -> None:
    assert describe_type("date") == "a date, YYYY-MM-DD"
    assert describe_type("decimal(8,2)") == "a decimal number of at most 8 digits, 2 of them after the point"
