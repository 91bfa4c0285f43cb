from __future__ import annotations

from pathlib import Path

import pytest

from dbx.model.countries import COUNTRY_CODES

_TABLE = Path("/usr/share/zoneinfo/iso3166.tab")


def test_there_are_249() -> None:
    assert len(COUNTRY_CODES) == 249
    assert "US" in COUNTRY_CODES
    assert not COUNTRY_CODES & {"XX", "us", "XK", "EU", "UK", ""}


def test_they_are_those_of_the_tz_database() -> None:
    if not _TABLE.exists():
        pytest.skip(f"'{_TABLE}' is not there")
    lines = _TABLE.read_text().splitlines()
    assert {line[:2] for line in lines if line[:1] not in ("#", "")} == COUNTRY_CODES
