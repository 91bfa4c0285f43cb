"""dbx/repo/reading/eventscan.py: scans of events against looking at all of them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbx.errors import NotFound
from dbx.model.event import Event
from dbx.model.filter import parse_event_filter
from dbx.model.sort import EVENT_FIELDS, parse_sort
from dbx.repo import query
from dbx.repo.domain import Domain
from dbx.repo.reading.eventscan import EventScan, find_position, iterate, iterate_sorted
from dbx.repo.writer import Append, Appender
from tests.history import open_repository


@pytest.fixture(scope="module")
def domain(tmp_path_factory: pytest.TempPathFactory) -> Domain:
    """700 events of 40 aggregates, two of them archived."""
    opened = open_repository(tmp_path_factory.mktemp("events")).domain()
    items: list[dict[str, Any]] = [
        {
            "aggregate_type": ("order", "item")[n % 2],
            "aggregate_id": f"x-{n % 40}",
            "event_type": ("made", "moved", "made_again")[n % 3],
            "payload": {"n": n},
            "created_at": f"2026-01-{1 + n * 13 % 28:02}T00:00:00Z",
        }
        for n in range(700)
    ]
    gone = {"event_type": "aggregate_archived", "payload": {}}
    items += [
        {**gone, "aggregate_type": "order", "aggregate_id": "x-4"},
        {**gone, "aggregate_type": "item", "aggregate_id": "x-5"},
    ]
    for at in range(0, len(items), 100):
        Appender(opened).append(Append(items[at : at + 100], issued_by=None, reserved=True))
    return opened


ARCHIVED = {("order", "x-4"), ("item", "x-5")}


def look(domain: Domain, wanted: EventScan) -> list[Event]:
    return [
        event
        for event in query.iterate_events(domain)
        if wanted.aggregate_type in (None, event.aggregate_type)
        and wanted.aggregate_id in (None, event.aggregate_id)
        and wanted.archived in (None, (event.aggregate_type, event.aggregate_id) in ARCHIVED)
        and (wanted.filter is None or wanted.filter.matches(event))
        and event.position >= wanted.start
    ]


FILTERS = [
    "n > 600",
    "event_type LIKE 'made%'",
    "aggregate_type = item AND version < 3",
    "aggregateType = order AND aggregate_id = 'x-4'",
    "aggregate_id = 'x-5' AND n >= 0",
    "aggregate_type = order AND aggregate_id = 'x-5'",
    "aggregate_type = order AND aggregate_type = item",
    "x = 1",
]
SCANS = st.builds(
    EventScan,
    st.sampled_from([None, "order", "item"]),
    st.none(),
    st.sampled_from([None, True, False]),
    st.one_of(
        st.none(),
        st.sampled_from(FILTERS).map(parse_event_filter),
    ),
    st.integers(0, 710),
)


@settings(max_examples=60, deadline=None)
@given(SCANS)
def test_in_the_order_of_the_log(domain: Domain, wanted: EventScan) -> None:
    assert list(iterate(domain, wanted)) == look(domain, wanted)


@settings(max_examples=60, deadline=None)
@given(
    SCANS,
    st.lists(st.tuples(st.sampled_from(EVENT_FIELDS), st.booleans()), min_size=1, max_size=3, unique_by=lambda k: k[0]),
    st.one_of(st.none(), st.integers(1, 50)),
)
def test_sorted(domain: Domain, wanted: EventScan, keys: list[tuple[str, bool]], take: int | None) -> None:
    text = ",".join(f"{field}:{'desc' if down else 'asc'}" for field, down in keys)
    expected = look(domain, wanted)
    for field, down in reversed(keys):
        expected.sort(key=lambda event, field=field: getattr(event, field), reverse=down)  # type: ignore[misc]
    found = iterate_sorted(domain, wanted, parse_sort(text, EVENT_FIELDS), take)
    assert list(found) == expected[:take]


def test_one_aggregate_and_one_that_is_not_there(domain: Domain) -> None:
    wanted = EventScan("order", "x-4")
    assert list(iterate(domain, wanted)) == look(domain, wanted)
    with pytest.raises(NotFound):
        list(iterate(domain, EventScan("order", "none")))


def test_positions(domain: Domain) -> None:
    for event in itertools.islice(query.iterate_events(domain), 0, 700, 50):
        assert find_position(domain, event.aggregate_type, event.aggregate_id, event.version) == event.position
    assert find_position(domain, "order", "x-4", 99) is None
    assert find_position(domain, "order", "none", 1) is None
