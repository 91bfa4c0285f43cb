"""The types of columns: their spelling, which values they take, and how these compare (EventDBX §3.5, cli.md 5).

Values are as the JSON loader gives them. Integers, floats, decimals and booleans are taken as text, too; text is cut of
blanks around it first, and stored as it was given.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.errors import Invalid
from dbx.formats.es6number import format_number
from dbx.model.names import quote
from dbx.model.textformats import (
    count_base64_bytes,
    day_test,
    parse_date,
    parse_real,
    parse_rfc3339,
    time_test,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Test = Callable[[Any], Any]
    """Says by a true value that a value is right. May raise TypeError, which says no."""

MIN_INTEGER, MAX_INTEGER = -(1 << 63), (1 << 63) - 1
MAX_PRECISION = 38
"""Digits of a decimal, as SQL databases have them."""

SIMPLE_TYPES = ("integer", "float", "boolean", "text", "timestamp", "date", "json", "binary", "object")
TYPE_ALIASES = {"int": "integer", "double": "float", "bool": "boolean", "string": "text", "bytes": "binary"}
"""EventDBX's other words for types."""
REFERENCE_WORDS = frozenset({"ref", "reference", "aggregate_ref", "aggregate-reference"})
"""EventDBX's words for a text column that holds references."""

WHAT = {
    "integer": "an integer of 64 bits",
    "float": "a finite number",
    "boolean": "true or false",
    "text": "text",
    "timestamp": "an RFC 3339 time with its offset",
    "date": "a date, YYYY-MM-DD",
    "json": "any JSON value",
    "binary": "base64 with padding",
    "object": "an object",
}
"""What a value of a type must be, for messages."""

_DECIMAL_TYPE = r"(?:decimal|numeric)\(\s*([0-9]{1,3})\s*,\s*([0-9]{1,3})\s*\)"
_INTEGER = r"([+-]?)0*([0-9]{1,19})"
_DECIMAL = r"([+-]?)([0-9]*)\.?([0-9]*)"
_BOOLEAN_WORDS = frozenset({"true", "false", "1", "0"})
_DECIMAL_PLACES = MAX_PRECISION
_SAFE_DIGITS = 15
_SAFE_PLACES = 6  # beyond, ECMAScript writes exponents


class Decimal(NamedTuple):
    """The exact value of a decimal: all digits times 10^-38, digits without leading zeros, digits after the point."""

    scaled: int
    digits: int
    places: int


def parse_type(text: object) -> str:
    """A type in its one spelling: `integer`, `decimal(8,2)`. Raises Invalid, whose details hold the nearest word."""
    if not isinstance(text, str):
        raise Invalid("the type must be text")
    word = text.strip()
    word = TYPE_ALIASES.get(word, word)
    if word in SIMPLE_TYPES:
        return word
    found = whole(_DECIMAL_TYPE)(word)
    if found:
        precision, scale = int(found[1]), int(found[2])
        if not 1 <= precision <= MAX_PRECISION:
            raise Invalid(f"type {quote(text)} has a precision that is not 1 to {MAX_PRECISION}")
        if scale > precision:
            raise Invalid(f"type {quote(text)} has more digits after the point than digits")
        return f"decimal({precision},{scale})"
    if word.startswith(("decimal(", "numeric(")) and ")" not in word:
        # In braces YAML ends a word at its comma.
        raise Invalid(f'type {quote(text)} ends at the comma: write it between quotes, as in "decimal(8,2)"')
    if word.startswith(("decimal", "numeric")):
        raise Invalid(f"type {quote(text)} must be written 'decimal(precision,scale)', as in 'decimal(8,2)'")
    raise Invalid(f"unknown type {quote(text)}", details={"nearest": nearest_type(word)})


def nearest_type(word: str) -> str | None:
    """The type that looks most like `word`."""
    from difflib import get_close_matches

    known = [*SIMPLE_TYPES, *TYPE_ALIASES, "decimal(8,2)", "reference"]
    found = get_close_matches(word.lower(), known, 1)
    return found[0] if found else None


def base_type(column_type: str) -> str:
    """`decimal` of `decimal(8,2)`, any other type as it is."""
    return column_type.partition("(")[0]


def split_decimal(column_type: str) -> tuple[int, int]:
    """(precision, scale) of `decimal(8,2)`."""
    precision, _, scale = column_type[8:-1].partition(",")
    return int(precision), int(scale)


def describe_type(column_type: str) -> str:
    """What a value of a type must be: `an integer of 64 bits`."""
    if column_type in WHAT:
        return WHAT[column_type]
    precision, scale = split_decimal(column_type)
    return f"a decimal number of at most {precision} digits, {scale} of them after the point"


def read_integer(value: object) -> int | None:
    """A whole number of 64 bits, also from text, or None."""
    if type(value) is int:
        return value if MIN_INTEGER <= value <= MAX_INTEGER else None
    if type(value) is str and (found := whole(_INTEGER)(value.strip())):
        number = int(found[1] + found[2])
        return number if MIN_INTEGER <= number <= MAX_INTEGER else None
    return None


def read_float(value: object) -> float | None:
    """A finite number, also from text, or None."""
    if type(value) is float or type(value) is int:
        return value if value - value == 0 else None
    return parse_real(value) if type(value) is str else None


def read_decimal(value: object) -> Decimal | None:
    """A number without exponent, of at most 38 digits before the point and 38 after it, also from text; or None.

    A JSON number has the digits that it is stored with (RFC 8785): 1.50 has one after the point.
    """
    if type(value) is int:
        text = str(value) if -(10**MAX_PRECISION) < value < 10**MAX_PRECISION else ""
    elif type(value) is float:
        text = format_number(value) if value - value == 0.0 else ""
    elif type(value) is str:
        text = value.strip()
    else:
        return None
    found = whole(_DECIMAL)(text)
    if not found:
        return None
    sign, units, fraction = found.groups()
    shown = units.lstrip("0")
    if not (units or fraction) or len(shown) > MAX_PRECISION or len(fraction) > _DECIMAL_PLACES:
        return None
    scaled = int(shown + fraction.ljust(_DECIMAL_PLACES, "0"))
    return Decimal(-scaled if sign == "-" else scaled, len(shown) + len(fraction), len(fraction))


def _read_decimal_value(value: object) -> int | None:
    number = read_decimal(value)
    return None if number is None else number.scaled


def _read_timestamp(value: object) -> int | None:
    return parse_rfc3339(value) if type(value) is str else None


def _read_date(value: object) -> int | None:
    return parse_date(value) if type(value) is str else None


_READERS: dict[str, Callable[[object], Any]] = {
    "integer": read_integer,
    "float": read_float,
    "decimal": _read_decimal_value,
    "timestamp": _read_timestamp,
    "date": _read_date,
}
RANGE_TYPES = frozenset(_READERS)


def reader_of(column_type: str) -> Callable[[object], Any]:
    """What makes a value of a type with an order into one that `<=` compares, or None where it is no such value."""
    return _READERS[base_type(column_type)]


def compile_type(column_type: str) -> Test:
    """The test whether a value is of a type. That of `object` does not look into it."""
    if column_type in ("timestamp", "date"):
        return time_test() if column_type == "timestamp" else day_test()
    return _compile_decimal(column_type) if base_type(column_type) == "decimal" else _TESTS[column_type]


def _is_integer(value: Any) -> Any:
    return (type(value) is int and MIN_INTEGER <= value <= MAX_INTEGER) or read_integer(value) is not None


def _is_float(value: Any) -> Any:
    return read_float(value) is not None


def _is_boolean(value: Any) -> Any:
    if type(value) is str:
        return value.strip().lower() in _BOOLEAN_WORDS
    return type(value) is bool or (type(value) is int and 0 <= value <= 1)


def _is_text(value: Any) -> Any:
    return type(value) is str


def _is_binary(value: Any) -> Any:
    return type(value) is str and count_base64_bytes(value) is not None


def _is_object(value: Any) -> Any:
    return type(value) is dict


def is_anything(_value: Any) -> Any:
    """The test that every value passes."""
    return True


_TESTS: dict[str, Test] = {
    "integer": _is_integer,
    "float": _is_float,
    "boolean": _is_boolean,
    "text": _is_text,
    "json": is_anything,
    "binary": _is_binary,
    "object": _is_object,
}


def _compile_decimal(column_type: str) -> Test:
    precision, scale = split_decimal(column_type)

    def is_decimal(value: Any) -> Any:
        number = read_decimal(value)
        return number is not None and number.digits <= precision and number.places <= scale

    return quicken_decimal(column_type, is_decimal, None, None)


def quicken_decimal(column_type: str, exact: Test, low: object, high: object) -> Test:
    """The same as `exact`, that a value is a decimal from `low` to `high`, but with a short way for most JSON numbers.

    Of at most 15 digits no two decimals are the same double, and their order is that of the doubles; so a double that
    rounding to `scale` places leaves alone has at most so many.
    """
    precision, scale = split_decimal(column_type)
    ends = [number for end in (low, high) if (number := read_decimal(end)) is not None]
    if precision > _SAFE_DIGITS or scale > _SAFE_PLACES or any(end.digits > _SAFE_DIGITS for end in ends):
        return exact
    most = math.nextafter(float(10 ** (precision - scale)), 0)
    least, most = (
        max(-most, -most if low is None else float(str(low))),
        min(most, most if high is None else float(str(high))),
    )

    def is_decimal(value: Any) -> Any:
        kind = type(value)
        if (kind is float and least <= value <= most and round(value, scale) == value) or (
            kind is int and least <= value <= most
        ):
            return True
        return exact(value)

    return is_decimal
