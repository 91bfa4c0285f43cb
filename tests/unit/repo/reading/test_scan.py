"""dbx/repo/reading/scan.py: scans against filtering and sorting everything in memory."""

from __future__ import annotations

import sqlite3
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbx.errors import Corrupt
from dbx.model.filter import parse_aggregate_filter
from dbx.model.sort import AGGREGATE_FIELDS, parse_sort
from dbx.repo import query
from dbx.repo.domain import Domain
from dbx.repo.reading.scan import Scan, find_time, iterate, where_of
from dbx.repo.writer import Append, Appender
from tests.history import open_repository

COUNT = 300


@pytest.fixture(scope="module")
def domain(tmp_path_factory: pytest.TempPathFactory) -> Domain:
    """300 aggregates of two types, every seventh of them archived, some with the same times."""
    opened = open_repository(tmp_path_factory.mktemp("scan")).domain()
    items: list[dict[str, Any]] = []
    for number in range(COUNT):
        name = {"aggregate_type": ("order", "item")[number % 2], "aggregate_id": f"x-{number * 7919 % 1000:03}"}
        payload = {"n": number, "third": number % 3, "text": f"t{number % 10}"}
        time = f"2026-01-{1 + number % 28:02}T00:00:00Z"
        items.append({**name, "event_type": "made", "payload": payload, "created_at": time, "metadata": {"@m": number}})
        if number % 5 == 0:
            items.append(
                {**name, "event_type": "moved", "payload": {"n": -number}, "created_at": "2026-02-01T00:00:00Z"}
            )
        if number % 7 == 0:
            items.append({**name, "event_type": "aggregate_archived", "payload": {}})
    Appender(opened).append(Append(items, issued_by=None, reserved=True))
    return opened


FILTERS = [
    None,
    "third = 1",
    "n < 0 OR n > 250",
    "aggregate_type = order AND text LIKE 't_'",
    "aggregate_type IN [item, nothing] AND @m >= 100",
    "version = 2 AND NOT third = 0",
    "version >= 2.5",
    "created_at >= 2026-01-20 AND third != 2",
    "updated_at = 2026-02-01 AND n > -100",
    "updated_at < 1769000000000",
    "aggregate_id LIKE '%1' AND archived = false",
    "archived = true",
    "merkle_root LIKE 'a%'",
    "none IS NULL AND n = 5",
    "none = 5",
]
TIMES = ["updated_at", "updated_at:desc", "created_at", "created_at:desc"]
SORTS = ["", *TIMES, "version:desc,aggregate_type", "archived:desc"]


def expected(domain: Domain, wanted: Scan) -> list[str]:
    found = [
        each
        for each in query.list_aggregates(domain, wanted.aggregate_type, archived=wanted.archived)
        if wanted.filter is None or wanted.filter.matches(each)
    ]
    turned = (
        len(wanted.sort) == 1 and wanted.sort[0].field in ("created_at", "updated_at") and wanted.sort[0].descending
    )
    found.sort(key=lambda each: (each.aggregate_type, each.aggregate_id), reverse=turned)
    for key in reversed(wanted.sort):
        found.sort(key=lambda each, field=key.field: getattr(each, field), reverse=key.descending)  # type: ignore[misc]
    return [each.aggregate_id for each in found]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(FILTERS),
    st.sampled_from(SORTS),
    st.sampled_from([None, "order", "item", "none"]),
    st.sampled_from([None, True, False]),
    st.one_of(st.none(), st.integers(1, COUNT)),
)
def test_a_scan_finds_what_looking_at_everything_finds(
    domain: Domain, text: str | None, sort: str, kind: str | None, archived: bool | None, take: int | None
) -> None:
    chosen = None if text is None else parse_aggregate_filter(text)
    keys = parse_sort(sort, AGGREGATE_FIELDS) if sort else ()
    wanted = Scan(kind, archived, chosen, keys, None, take)
    found = [each.aggregate_id for each in iterate(domain, wanted)]
    whole = expected(domain, wanted)
    assert found[:take] == whole[:take]
    assert take is not None or len(found) == len(whole)


@pytest.mark.parametrize("sort", ["", *TIMES])
@pytest.mark.parametrize("text", [None, "third = 1"])
def test_a_scan_goes_on_behind_any_place(domain: Domain, sort: str, text: str | None) -> None:
    chosen = None if text is None else parse_aggregate_filter(text)
    keys = parse_sort(sort, AGGREGATE_FIELDS) if sort else ()
    wanted = Scan(None, None, chosen, keys)
    whole = list(iterate(domain, wanted))
    for at in range(0, len(whole), 17):
        place: tuple[str, ...] = (whole[at].aggregate_type, whole[at].aggregate_id)
        if keys:
            place = (getattr(whole[at], keys[0].field), *place)
        assert list(iterate(domain, wanted._replace(after=place))) == whole[at + 1 :]


PLANS = [
    Scan(
        sort=parse_sort(sort, AGGREGATE_FIELDS) if sort else (), filter=parse_aggregate_filter(text), archived=archived
    )
    for sort in ("", "updated_at", "updated_at:desc")
    for text in FILTERS
    if text is not None
    for archived in (True, False, None)
]


@pytest.mark.parametrize("kind", [None, "order"])
def test_no_page_sorts_anything(domain: Domain, kind: str | None) -> None:
    """Every page follows an index: what it costs does not grow with what lies behind it."""

    def plan(working: Any, _: object, wanted: Scan) -> str:
        columns = ("updated_at", "type", "id") if wanted.sort else ("type", "id")
        where = where_of(wanted, columns).and_(f"({', '.join(columns)}) > ({', '.join('?' * len(columns))})", *columns)
        found = working.index.all(
            f"EXPLAIN QUERY PLAN SELECT n FROM aggregate WHERE {where.sql} ORDER BY {', '.join(columns)} LIMIT 20",
            *where.values,
        )
        return "; ".join(row[3] for row in found)

    for wanted in PLANS:
        told = domain.read(lambda w, r, wanted=wanted: plan(w, r, wanted._replace(aggregate_type=kind)))  # type: ignore[misc]
        assert "TEMP B-TREE" not in told, (wanted, told)
        assert "aggregate_updated" in told if wanted.sort else "(type" in told or "aggregate_archived" in told, told


def test_times(domain: Domain) -> None:
    first = next(iterate(domain, Scan()))
    assert find_time(domain, first.aggregate_type, first.aggregate_id, "created_at") == first.created_at
    assert find_time(domain, first.aggregate_type, first.aggregate_id, "updated_at") == first.updated_at
    assert find_time(domain, "none", "x", "updated_at") is None


@pytest.mark.parametrize("column", ["state", "extensions", "version"])
def test_a_damaged_row_is_not_shown_but_made_anew(tmp_path: Path, column: str) -> None:
    opened = open_repository(tmp_path)
    item = {"aggregate_type": "order", "aggregate_id": "o-1", "event_type": "e", "payload": {"n": 1}}
    Appender(opened.domain()).append(Append([item], issued_by=None))
    opened.close()
    (path,) = tmp_path.glob("**/index.db")
    with sqlite3.connect(path) as database:
        database.execute(f"UPDATE aggregate SET {column} = CAST('{{\"n\":1' AS BLOB)")
    database.close()
    opened = open_repository(tmp_path)
    wanted = Scan(filter=parse_aggregate_filter("n = 1 OR @x = 1"))
    try:
        found = list(iterate(opened.domain(), wanted))
    except Corrupt:
        pytest.fail("the index can be made anew from the log")
    assert [each.state for each in found] == [{"n": 1}]


def test_large_states_are_not_held_together(tmp_path: Path) -> None:
    opened = open_repository(tmp_path).domain()
    count, large = 240, "x" * 200_000
    for at in range(0, count, 40):
        items = [
            {"aggregate_type": "order", "aggregate_id": f"o-{n}", "event_type": "e", "payload": {"n": n, "text": large}}
            for n in range(at, at + 40)
        ]
        Appender(opened).append(Append(items, issued_by=None))
    opened.reset()
    scans = [Scan(filter=parse_aggregate_filter(text)) for text in ("n < 0", "n >= 0", "version = 1")]
    scans += [Scan(sort=parse_sort(sort, AGGREGATE_FIELDS)) for sort in ("updated_at", "version")]
    assert sum(1 for _ in iterate(opened, scans[1])) == count
    tracemalloc.start()
    try:
        for wanted in scans:
            tracemalloc.reset_peak()
            for _ in iterate(opened, wanted):
                pass
            assert tracemalloc.get_traced_memory()[1] < 32e6, wanted  # of 48 MB
    finally:
        tracemalloc.stop()
