"""dbx/model/moment.py: text that says when."""

from __future__ import annotations

import pytest

from dbx.model.moment import find_moment
from dbx.model.time import parse_time


@pytest.mark.parametrize("text", ["2026-11-23T07:42:00Z", "2026-11-23T08:42:00.123456+01:00", "1969-01-01T00:00:00z"])
def test_times(text: str) -> None:
    assert find_moment(text) == parse_time(text)


def test_a_date_is_its_beginning_in_utc() -> None:
    assert find_moment("2026-11-23") == parse_time("2026-11-23T00:00:00Z")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026",
        "20261123",
        "2026-11-31",
        "2026-11-23T07:42:00",
        "2026-11-23 07:42:00Z",
        "2026-W01-1",
        "now",
        "----------",
        "2026-11-23T",
        "2026-11-23T24:00:00Z",
        "２０２６-11-23",
    ],
)
def test_anything_else_is_none(text: str) -> None:
    assert find_moment(text) is None
