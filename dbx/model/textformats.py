"""The formats that text may be asked to have: each a test of the text exactly as it stands (EventDBX §3.7).

A test gets text and says yes by a true value. Only ASCII is ever a digit or a letter here. No test takes more than
linear time.
"""

from __future__ import annotations

import math
import re
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Any

from dbx.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable

    TextTest = Callable[[str], Any]

_RFC3339 = (
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9]|60)(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))"
)
# A day that every month has: most times need no calendar. What these match is right; the rest must be looked at.
_PLAIN_DAY = r"(?!0000)[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"
_PLAIN_TIME = (
    rf"{_PLAIN_DAY}[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_REAL = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_BASE64 = (
    r"(?:[A-Za-z0-9+/]{4})*"
    r"(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?"  # bits that no byte takes are zero
)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
# Longer than any number that a double tells apart; float() is given no more.
_MAX_REAL_CHARS = 400


@cache
def whole(pattern: str) -> Callable[[str], re.Match[str] | None]:
    """The match of a whole text, compiled when it is first asked for: a start of dbx needs few of them."""
    return re.compile(pattern, re.ASCII).fullmatch


def parse_rfc3339(text: str) -> int | None:
    """Microseconds since the Unix epoch of a time with its offset (RFC 3339 §5.6), or None.

    Any number of fraction digits is taken and cut to six; a leap second counts as the second after it. Year 0000 is
    none of Python's and refused.
    """
    found = whole(_RFC3339)(text)
    if not found:
        return None
    day, hour, minute, second, fraction, sign, offset_hours, offset_minutes = found.groups()
    try:
        days = date.fromisoformat(day).toordinal() - _EPOCH_DAY
    except ValueError:
        return None
    minutes = days * 1440 + int(hour) * 60 + int(minute)
    if sign:
        offset = int(offset_hours) * 60 + int(offset_minutes)
        minutes += offset if sign == "-" else -offset
    micro = int(((fraction or "") + "000000")[:6])
    return (minutes * 60 + int(second)) * 1_000_000 + micro


def time_test() -> TextTest:
    """The test whether text is a date, a time and an offset (RFC 3339 §5.6); raises TypeError for what is no text."""
    is_plain = whole(_PLAIN_TIME)
    return lambda text: is_plain(text) or parse_rfc3339(text) is not None


def day_test() -> TextTest:
    """The test whether text is a day that exists, as `YYYY-MM-DD`; raises TypeError for what is no text."""
    is_plain = whole(_PLAIN_DAY)
    return lambda text: is_plain(text) or parse_date(text) is not None


def parse_date(text: str) -> int | None:
    """The day number of `YYYY-MM-DD` (0001-01-01 is 1), or None."""
    if not whole(_DATE)(text):
        return None
    try:
        return date.fromisoformat(text).toordinal()
    except ValueError:
        return None


def parse_real(text: str) -> float | None:
    """A finite number from decimal digits with optional sign, point and exponent, blanks around it cut; or None."""
    text = text.strip()
    if not whole(_REAL)(text):
        return None
    if len(text) > _MAX_REAL_CHARS:
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def count_base64_bytes(text: str) -> int | None:
    """How many bytes `text` holds as standard base64 with padding (RFC 4648 §4), or None where it is none."""
    return len(text) // 4 * 3 - text[-2:].count("=") if whole(_BASE64)(text) else None


def is_position(text: str) -> bool:
    """Whether `text` is `latitude,longitude` in degrees (WGS 84), -90 to 90 and -180 to 180."""
    first, comma, second = text.partition(",")
    if not comma or "," in second:
        return False
    latitude, longitude = parse_real(first), parse_real(second)
    return latitude is not None and longitude is not None and abs(latitude) <= 90 and abs(longitude) <= 180


def is_reference(text: str) -> bool:
    """Whether `text` has one of the forms `#id`, `type#id`, `domain#type#id`."""
    from dbx.model.references import parse_reference

    try:
        parse_reference(text, domain="default", aggregate_type="a")
    except Invalid:
        return False
    return True


def _words(first: str, rest: str, between: str) -> str:
    """`rest` words after a first letter, never two of `between` in a row and none at the end."""
    return f"{first}{rest}*(?:{between}{rest}+)*"


_CASES = {
    "camel_case": r"[a-z][A-Za-z0-9]*",
    "snake_case": _words("[a-z]", "[a-z0-9]", "_"),
    "kebab_case": _words("[a-z]", "[a-z0-9]", "-"),
    "pascal_case": r"[A-Z][A-Za-z0-9]*",
    "upper_case_snake_case": _words("[A-Z]", "[A-Z0-9]", "_"),
}
FORMATS = ("email", "url", "credit_card", "country_code", "iso_8601", "wgs_84", *_CASES, "reference")
"""Every name of a format."""
STRICT_FORMATS = frozenset({"email", "iso_8601", "country_code", *_CASES})
"""Those whose test says no to, or raises TypeError for, whatever is no text."""

FORMAT_ALIASES = {"iso8601": "iso_8601"}
"""How EventDBX's own schema files spell them."""


def format_test(name: str) -> TextTest:
    """The test of a format. What it needs is loaded with the first schema that asks for it."""
    if name in _CASES:
        return whole(_CASES[name])
    if name in ("email", "url"):
        from dbx.model.webaddress import is_email, is_url

        return is_email if name == "email" else is_url
    if name == "credit_card":
        from dbx.model.cards import is_card_number

        return is_card_number
    if name == "country_code":
        from dbx.model.countries import COUNTRY_CODES

        return COUNTRY_CODES.__contains__
    return time_test() if name == "iso_8601" else {"wgs_84": is_position, "reference": is_reference}[name]
