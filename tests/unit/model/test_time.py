"""dbx/model/time.py: RFC 3339 times and durations."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbx.errors import Invalid
from dbx.model.time import (
    MAX_TIME_US,
    MIN_TIME_US,
    format_time,
    normalise_time,
    parse_duration,
    parse_moment,
    parse_time,
)

MOMENTS = st.integers(MIN_TIME_US, MAX_TIME_US)


@pytest.mark.parametrize(
    ("time_us", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (1_795_419_720_123_456, "2026-11-23T07:42:00.123456Z"),
        (MIN_TIME_US, "0001-01-01T00:00:00.000000Z"),
        (MAX_TIME_US, "9999-12-31T23:59:59.999999Z"),
        (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
    ],
)
def test_stored_spelling(time_us: int, text: str) -> None:
    assert format_time(time_us) == text
    assert parse_time(text) == time_us
    assert normalise_time(text) == text


@pytest.mark.parametrize("time_us", [MIN_TIME_US - 1, MAX_TIME_US + 1, 10**30, -(10**30)])
def test_format_refuses_other_years(time_us: int) -> None:
    with pytest.raises(Invalid, match="0001 to 9999"):
        format_time(time_us)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("2026-11-23T07:42:00Z", "2026-11-23T07:42:00.000000Z"),
        ("2026-11-23t07:42:00z", "2026-11-23T07:42:00.000000Z"),
        ("2026-11-23T07:42:00.1Z", "2026-11-23T07:42:00.100000Z"),
        ("2026-11-23T07:42:00.123456z", "2026-11-23T07:42:00.123456Z"),
        ("2026-11-23T07:42:00.1234569Z", "2026-11-23T07:42:00.123456Z"),
        ("2026-11-23T07:42:00.999999999Z", "2026-11-23T07:42:00.999999Z"),
        ("2026-11-23T07:42:00+00:00", "2026-11-23T07:42:00.000000Z"),
        ("2026-11-23T07:42:00-00:00", "2026-11-23T07:42:00.000000Z"),
        ("2026-11-23T07:42:00+05:30", "2026-11-23T02:12:00.000000Z"),
        ("2026-11-23T23:42:00-05:00", "2026-11-24T04:42:00.000000Z"),
        ("2026-11-23T00:00:00+23:59", "2026-11-22T00:01:00.000000Z"),
        ("0001-01-01T00:00:00-00:01", "0001-01-01T00:01:00.000000Z"),
        ("9999-12-31T23:59:59+00:01", "9999-12-31T23:58:59.000000Z"),
        # RFC 3339 section 5.8
        ("1985-04-12T23:20:50.52Z", "1985-04-12T23:20:50.520000Z"),
        ("1996-12-19T16:39:57-08:00", "1996-12-20T00:39:57.000000Z"),
        ("1937-01-01T12:00:27.87+00:20", "1937-01-01T11:40:27.870000Z"),
    ],
)
def test_any_offset_and_fraction(text: str, stored: str) -> None:
    assert normalise_time(text) == stored
    assert format_time(parse_time(text)) == stored


REFUSED = [
    "",
    "2026-11-23",
    "2026-11-23T07:42:00",
    "2026-11-23T07:42:00.123456",
    "2026-11-23 07:42:00Z",
    "2026-11-23 07:42:00.123456Z",
    "2026-11-23T07:42Z",
    "2026-11-23T07:42:00,5Z",
    "2026-11-23T07:42:00,123456Z",
    "2026-11-23T07:42:00.Z",
    "2026-11-23T07:42:00.1234567890Z",
    "2026-11-23T07:42:00+01",
    "2026-11-23T07:42:00+0100",
    "2026-11-23T07:42:00+01:00:00",
    "2026-11-23T07:42:00+24:00",
    "2026-11-23T07:42:00+01:60",
    "2026-11-23T07:42:00 Z",
    "2026-11-23T07:42:00Z\n",
    "2026-11-23T07:42:00.123456Z\n",
    " 2026-11-23T07:42:00Z",
    "20261123T074200Z",
    "2026-W47-1T07:42:00Z",
    "2026-W47-1T07:42:00.123456Z",
    "2026-327T07:42:00Z",
    "2026-13-01T00:00:00.000000Z",
    "2026-00-01T00:00:00.000000Z",
    "2026-02-29T00:00:00.000000Z",
    "2026-02-30T00:00:00Z",
    "2026-11-31T00:00:00Z",
    "2026-11-23T24:00:00.000000Z",
    "2026-11-23T24:00:00Z",
    "2026-11-23T07:60:00.000000Z",
    "2026-11-23T07:42:61Z",
    "0000-01-01T00:00:00.000000Z",
    "0000-12-31T23:59:59Z",
    "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01",
    "10000-01-01T00:00:00Z",
    "+2026-11-23T07:42:00Z",
    "-2026-11-23T07:42:00Z",
    "2026-11-23T07:42:00.12345６Z",
    "２026-11-23T07:42:00.123456Z",
    "2026-11-2３T07:42:00Z",
    "2026-11-23T07:42:00.12345 Z",
    "2026-11-23T07:42:+0.123456Z",
    "2026-11-23T07:42:00.123456\u200b",
    "now",
    "1795419720",
    "2026-11-23T07:42:00.123456Z" * 100_000,
    None,
    1795419720,
    1.5,
    True,
]


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: ascii(text)[:40])
def test_refused(text: object) -> None:
    for parse in (parse_time, normalise_time):
        with pytest.raises(Invalid) as caught:
            parse(text)
        assert caught.value.message.isprintable()
        assert len(caught.value.message) < 200


@pytest.mark.parametrize("text", ["2016-12-31T23:59:60Z", "2016-12-31T23:59:60.500000Z", "1990-12-31T15:59:60-08:00"])
def test_leap_seconds_are_refused_plainly(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_time(text)
    assert caught.value.message == f"time '{text}' is a leap second, which cannot be stored"
    assert caught.value.hint == "send second 59 instead"


def test_message_of_a_wrong_time() -> None:
    with pytest.raises(Invalid) as caught:
        parse_time("yesterday")
    assert caught.value.message == "time 'yesterday' is not an RFC 3339 time with its offset"
    with pytest.raises(Invalid) as caught:
        parse_time("2026-02-30T00:00:00Z")
    assert caught.value.message == "time '2026-02-30T00:00:00Z' does not exist in the calendar"


@given(MOMENTS)
def test_round_trip(time_us: int) -> None:
    text = format_time(time_us)
    assert len(text) == 27
    assert parse_time(text) == time_us
    assert normalise_time(text) == text


@given(MOMENTS, MOMENTS)
def test_text_sorts_as_time(one: int, other: int) -> None:
    assert (format_time(one) < format_time(other)) == (one < other)


@given(
    st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29)),  # noqa: DTZ001
    st.integers(-1439, 1439),
)
def test_agrees_with_aware_datetimes(local: datetime, offset_minutes: int) -> None:
    aware = local.replace(tzinfo=timezone(timedelta(minutes=offset_minutes)))
    expected = (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert parse_time(aware.isoformat()) == expected


STORED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{6}Z", re.ASCII)


@given(st.integers(0, 26), st.one_of(st.characters(), st.sampled_from("0123456789-+:.,TWZtz ")))
def test_one_changed_character_is_refused_or_another_time(at: int, character: str) -> None:
    text = "2026-11-23T07:42:00.123456Z"
    changed = text[:at] + character + text[at + 1 :]
    try:
        stored = normalise_time(changed)
    except Invalid:
        return
    assert stored == changed.upper()
    assert STORED.fullmatch(stored)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("90", 90), ("30s", 30), ("10m", 600), ("24h", 86_400), ("10d", 864_000), ("2w", 1_209_600)],
)
def test_durations(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "m", "-1", "1.5h", "10 m", "10M", "1h30m", "10m\n", "１m", "9" * 10, "10y", "1e3"]
)
def test_refused_durations(text: str) -> None:
    with pytest.raises(Invalid):
        parse_duration(text)


@pytest.mark.parametrize("end", ["12345Z", "123+01", "+01:00", "1234+0", "12345²"])
def test_an_offset_in_the_place_of_the_fraction(end: str) -> None:
    with pytest.raises(Invalid):
        normalise_time(f"2026-11-23T07:42:00.{end}Z")
    with pytest.raises(Invalid):
        parse_time(f"2026-11-23T07:42:00.{end}Z")


NOW_US = 1_795_419_720_123_456


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-23", "2026-11-23T00:00:00.000000Z"),
        ("2026-11-23T08:42:00+01:00", "2026-11-23T07:42:00.000000Z"),
        ("0", "2026-11-23T07:42:00.123456Z"),
        ("60", "2026-11-23T07:41:00.123456Z"),
        ("10m", "2026-11-23T07:32:00.123456Z"),
        ("2w", "2026-11-09T07:42:00.123456Z"),
    ],
)
def test_a_moment_as_people_give_it(text: str, moment: str) -> None:
    assert format_time(parse_moment(text, NOW_US)) == moment


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-11", "2026-02-30", "2026-11-23 10:00", "-1", "999999999w", "1y"]
)
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(Invalid):
        parse_moment(text, NOW_US)
