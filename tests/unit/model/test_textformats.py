from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest

from dbx.model.textformats import (
    FORMATS,
    STRICT_FORMATS,
    count_base64_bytes,
    format_test,
    parse_date,
    parse_real,
    parse_rfc3339,
)

# Every example of the facts sheet of EventDBX §3.7, and some more; e-mail and URL have their own file.
_GOOD = {
    "email": ["user@example.com"],
    "url": ["https://google.com"],
    "credit_card": ["4539571147647251"],
    "country_code": ["US", "DE", "AX"],
    "iso_8601": [
        "2024-05-02T13:45:00Z", "2024-05-02t13:45:00z", "2024-05-02T13:45:00.123456789+05:30",
        "2024-02-29T00:00:00-00:00",        "1990-12-31T23:59:60Z", "2024-12-31T23:59:59.9Z",
    ],
    "wgs_84": ["37.7749,-122.4194", "90,180", "-90.0,-180.0", " 1 , 2 ", "+.5,5.", "1e1,-1E-1"],
    "camel_case": ["camelCaseValue1", "camel", "a"],
    "pascal_case": ["PascalCaseValue1", "P"],
    "snake_case": ["snake_case_value1", "a", "a1_2"],
    "kebab_case": ["kebab-case-value1", "a"],
    "upper_case_snake_case": ["CONST_VALUE_1", "A"],
    "reference": ["#123", "agg#123", "domain#agg#id-1", " #a ", "D#t#Id:1"],
}  # fmt: skip
_BAD = {
    "email": ["not-an-email"],
    "url": ["http"],
    "credit_card": ["5236313877109141"],
    "country_code": ["XX", "us", "USA", "", "U", "UK", "EU", "XK", "US\n"],
    "iso_8601": [
        "02/05/2024", "2024-05-02", "2024-05-02T13:45:00", "2024-05-02 13:45:00Z", "2024-13-02T13:45:00Z",
        "2023-02-29T00:00:00Z", "2024-05-02T24:00:00Z", "2024-05-02T13:45:00+24:00", "2024-05-02T13:45:00.Z",
        "2024-05-02T13:45Z", "2024-05-02T13:45:00Z\n", "٢٠٢٤-05-02T13:45:00Z", "", "0000-01-01T00:00:00Z",
        "2024-04-31T00:00:00Z", "2024-05-02T13:45:61Z",
    ],
    "wgs_84": ["91.0,0.0", "10.0,181.0", "10.0", "lat,lon", "37.0,-122.0,5.0", "", "nan,0", "inf,0", "1_0,0",
        "1,", "٣,1"],
    "camel_case": ["CamelCase", "snake_case", "kebab-case", "camel_case", "camel-case", "", "cämel", "a\n"],
    "pascal_case": ["pascalCase", "Pascal_Case", "Pascal-Case", "PascalCase!", "", "Ä"],
    "snake_case": ["Snake_Case", "_leading", "trailing_", "double__underscore", "snake-case", "", "1a", "a\n"],
    "kebab_case": ["Kebab-Case", "-leading", "trailing-", "double--dash", "kebab_case", ""],
    "upper_case_snake_case": ["Const_Value", "_LEADING", "TRAILING_", "DOUBLE__UNDERSCORE", "CONST-VALUE", ""],
    "reference": [
        "missing-delimiter", "too#many#parts#here", "agg#", "", "#", "just-id", "a#b#c#d", "farm##123", "##1", "Agg#1",
        "bad/name#agg#1", "agg#-1", "agg#a b",
    ],
}  # fmt: skip


def test_every_format_has_examples() -> None:
    assert _GOOD.keys() == _BAD.keys() == set(FORMATS)


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in _GOOD.items() for text in texts])
def test_accepted(name: str, text: str) -> None:
    assert format_test(name)(text)


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in _BAD.items() for text in texts])
def test_refused(name: str, text: str) -> None:
    assert not format_test(name)(text)


@pytest.mark.parametrize("name", list(FORMATS))
def test_long_texts_take_linear_time(name: str) -> None:
    for piece in ("a", "a_", "a-", "A_", "1", "1.", "#", "2024-"):
        start = time.process_time()
        format_test(name)(piece * 100_000 + "!")
        assert time.process_time() - start < 2


@pytest.mark.parametrize("name", sorted(STRICT_FORMATS))
@pytest.mark.parametrize("value", [None, 5, 1.5, True, [], ["a"], ["a"] * 300, {}, {"a": 1}, ()], ids=repr)
def test_strict_formats_take_no_other_kind(name: str, value: Any) -> None:
    with contextlib.suppress(TypeError):
        assert not format_test(name)(value)


def test_times_are_counted_in_utc() -> None:
    assert parse_rfc3339("1970-01-01T00:00:00Z") == 0
    assert parse_rfc3339("1970-01-01T01:00:00.000001+01:00") == 1
    assert parse_rfc3339("1969-12-31T19:00:00-05:00") == 0
    assert parse_rfc3339("1990-12-31T23:59:60Z") == parse_rfc3339("1991-01-01T00:00:00Z")


def test_days_are_counted() -> None:
    assert parse_date("0001-01-01") == 1
    for text in ("2024-01-01T00:00:00Z", "20240101", "2024-1-1", "2023-02-29", "2024-00-01", "0000-01-01", ""):
        assert parse_date(text) is None


def test_real_numbers() -> None:
    assert parse_real(" -1.5e3 ") == -1500.0
    for text in ("", ".", "1e", "NaN", "inf", "-Infinity", "1e400", "1_0", "0x1", "٣", "1" * 500):
        assert parse_real(text) is None


def test_base64_is_the_standard_one_with_padding() -> None:
    assert [count_base64_bytes(text) for text in ("", "QQ==", "QUI=", "QUJD", "+/+/")] == [0, 1, 2, 3, 3]
    for text in ("Q", "QQ", "QQ=", "QR==", "QUJ=", "QUJD\n", "-_-_", "QQ==QQ==", "Q Q="):
        assert count_base64_bytes(text) is None
