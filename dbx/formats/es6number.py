"""Numbers as ECMAScript writes them (RFC 8785 §3.2.2.3), and as I-JSON takes them (RFC 7493 §2.2, format.md §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.errors import Invalid

if TYPE_CHECKING:
    from typing import NoReturn

MAX_SAFE = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly (RFC 7493 §2.2)."""

EXPONENT_FROM = 1e21
"""From here on ECMAScript writes a number with an exponent, so its text no longer claims every digit."""

BEYOND_SAFE = "whole number beyond ±(2^53-1)"
TOO_LARGE = "number too large for a double"
NOT_FINITE = "number that is not finite"
AS_STRING = "send it as a string"


def format_number(number: float) -> str:
    """What ECMAScript writes for any finite double (ECMA-262 Number::toString, RFC 8785 §3.2.2.3)."""
    if number - number != 0.0:
        raise Invalid(NOT_FINITE)
    if number == 0.0:
        return "0"
    text = float.__repr__(number)
    mantissa, mark, power = text.partition("e")
    if not mark:
        return text.removesuffix(".0")
    exponent = int(power)
    sign = "-" if mantissa[0] == "-" else ""
    digits = mantissa.lstrip("-").replace(".", "")
    if exponent >= 21:
        return f"{mantissa}e+{exponent}"
    if exponent > 0:
        return sign + digits.ljust(exponent + 1, "0")
    if exponent >= -6:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    return f"{mantissa}e{exponent}"


def parse_integer(literal: str) -> int | float:
    """A JSON number without fraction or exponent; an int within ±MAX_SAFE, a float from ±1e21 on, Invalid between."""
    if len(literal) < 16:
        return int(literal)
    # Thousands of digits must never reach int(), whose time grows with their square; 17 digits are beyond anyway.
    if len(literal) < 18:
        number = int(literal)
        if -MAX_SAFE <= number <= MAX_SAFE:
            return number
    return beyond_safe(float(literal))


def parse_fraction(literal: str) -> int | float:
    """A JSON number with fraction or exponent, rounded to a double; an int if its canonical text is one."""
    number = float(literal)
    if number.is_integer():
        if -MAX_SAFE <= number <= MAX_SAFE:
            return int(number)
        return beyond_safe(number)
    if number - number != 0.0:
        raise Invalid(TOO_LARGE)
    return number


def refuse_constant(literal: str) -> NoReturn:
    """What Python's scanner hands over for NaN, Infinity and -Infinity."""
    raise Invalid(f"non-JSON number '{literal}'")


def beyond_safe(number: float) -> float:
    """The rule for an integral double beyond ±MAX_SAFE: itself if its canonical text has an exponent, else Invalid."""
    if number - number != 0.0:
        raise Invalid(TOO_LARGE)
    if -EXPONENT_FROM < number < EXPONENT_FROM:
        raise Invalid(BEYOND_SAFE, hint=AS_STRING)
    return number
