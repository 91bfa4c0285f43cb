"""Times and durations as people and files spell them (RFC 3339; format.md §3 'created_at').

Inside dbx a time is an int: microseconds since 1970-01-01T00:00:00Z, without leap seconds, negative before.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache, lru_cache

from dbx.errors import Invalid
from dbx.model.names import quote

Clock = Callable[[], int]
"""Says what time it is: microseconds since the Unix epoch, UTC."""

MIN_TIME_US = -62_135_596_800_000_000
"""0001-01-01T00:00:00.000000Z"""
MAX_TIME_US = 253_402_300_799_999_999
"""9999-12-31T23:59:59.999999Z"""

# Naive datetimes stand for UTC throughout: arithmetic on them is exact and faster than with tzinfo.
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001
_DAY_US = 86_400_000_000

_RFC3339 = (
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_DURATION = r"([0-9]{1,9})([smhdw]?)"

_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_EXAMPLE = "write it like 2026-11-23T07:42:00Z or 2026-11-23T08:42:00.123456+01:00"


def format_time(time_us: int) -> str:
    """The one spelling that dbx stores: `2026-11-23T07:42:00.123456Z`, always 27 characters; years 0001 to 9999."""
    if not MIN_TIME_US <= time_us <= MAX_TIME_US:
        raise Invalid("the time lies outside the years 0001 to 9999")
    second, fraction = divmod(time_us, 1_000_000)
    return f"{_format_second(second)}.{fraction:06d}Z"


@lru_cache(maxsize=8)
def _format_second(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).isoformat(timespec="seconds")


def parse_time(text: object) -> int:
    """Microseconds since the Unix epoch, from RFC 3339 §5.6 with any offset and up to nine fraction digits, cut to six.

    Refused with Invalid: a missing offset, a space in place of the `T`, leap seconds (`:60`), and years outside
    0001 to 9999 in UTC.
    """
    if isinstance(text, str) and _looks_stored(text):
        try:
            return _microseconds(datetime.fromisoformat(text[:26]))
        except ValueError:
            pass
    return _parse_any(text)


def normalise_time(text: object) -> str:
    """The same moment as format_time spells it. Raises Invalid as parse_time does."""
    if isinstance(text, str) and _looks_stored(text):
        try:
            datetime.fromisoformat(text[:26])
        except ValueError:
            pass
        else:
            return text
    return format_time(_parse_any(text))


def parse_duration(text: str) -> int:
    """Seconds, from `90`, `30s`, `10m`, `24h`, `10d` or `2w`. Raises Invalid."""
    found = _matcher(_DURATION)(text)
    if not found:
        raise Invalid(f"duration {quote(text)} must be seconds, or a number with s, m, h, d or w, as in 10m, 24h or 2w")
    return int(found[1]) * _UNIT_SECONDS[found[2]]


def parse_moment(text: str, now_us: int) -> int:
    """A point in time as people give it to a query: RFC 3339, a date (its first moment, UTC), or a duration back.

    `now_us` is what durations are counted back from. An `@` before it is taken off: refs have one. Raises Invalid.
    """
    text = text.removeprefix("@")
    if _matcher(_DATE)(text):
        return _parse_any(f"{text}T00:00:00Z")
    if _matcher(_DURATION)(text):
        moment_us = now_us - parse_duration(text) * 1_000_000
        if moment_us < MIN_TIME_US:
            raise Invalid(f"time {quote(text)} lies before the year 0001")
        return moment_us
    try:
        return parse_time(text)
    except Invalid as error:
        hint = "write a date, an RFC 3339 time, or how long ago: 2026-11-23, 2026-11-23T07:42:00Z, 2d"
        raise Invalid(error.message, hint=hint) from None


@cache
def _matcher(pattern: str) -> Callable[[str], re.Match[str] | None]:
    return re.compile(pattern, re.ASCII).fullmatch  # on first use: most commands need none


def _looks_stored(text: str) -> bool:
    # With the separators and the fraction in place fromisoformat takes digits only (else it takes an offset there);
    # newer Pythons also take hour 24, RFC 3339 does not.
    return (
        len(text) == 27
        and text[4:20:3] == "--T::."
        and text[20:26].isdigit()
        and text[26] == "Z"
        and text[11:13] != "24"
    )


def _parse_any(text: object) -> int:
    if not isinstance(text, str):
        raise Invalid("the time must be text", hint=_EXAMPLE)
    found = _matcher(_RFC3339)(text)
    if not found:
        raise Invalid(f"time {quote(text)} is not an RFC 3339 time with its offset", hint=_EXAMPLE)
    date, hour, minute, second, fraction, sign, offset_hours, offset_minutes = found.groups()
    if second == "60":
        raise Invalid(f"time {quote(text)} is a leap second, which cannot be stored", hint="send second 59 instead")
    if hour > "23" or minute > "59" or second > "59":
        raise _no_such_time(text)
    micro = ((fraction or "") + "000000")[:6]
    try:
        local_us = _microseconds(datetime.fromisoformat(f"{date}T{hour}:{minute}:{second}.{micro}"))
    except ValueError:
        raise _no_such_time(text) from None
    if sign is None:
        return local_us
    if offset_hours > "23" or offset_minutes > "59":
        raise Invalid(f"time {quote(text)} has an offset that does not exist", hint=_EXAMPLE)
    offset_us = (int(offset_hours) * 60 + int(offset_minutes)) * 60_000_000
    time_us = local_us - offset_us if sign == "+" else local_us + offset_us
    if not MIN_TIME_US <= time_us <= MAX_TIME_US:
        raise Invalid(f"time {quote(text)} lies outside the years 0001 to 9999 in UTC")
    return time_us


def _microseconds(moment: datetime) -> int:
    since = moment - _EPOCH
    return since.days * _DAY_US + since.seconds * 1_000_000 + since.microseconds


def _no_such_time(text: str) -> Invalid:
    return Invalid(f"time {quote(text)} does not exist in the calendar", hint=_EXAMPLE)
