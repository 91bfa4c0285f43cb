"""dbx/model/snowflake.py: event ids that increase whatever the clock does."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbx.errors import Failure, Invalid
from dbx.model.snowflake import EPOCH_MS, MAX_ID, MAX_WORKER, draw, first_id, parse_event_id, split
from dbx.model.time import parse_time

NOW_US = parse_time("2026-11-23T07:42:00.123456Z")
LAST_MS = EPOCH_MS + (1 << 41) - 1

WORKERS = st.integers(0, MAX_WORKER)
CLOCKS = st.integers(parse_time("1970-01-01T00:00:00Z"), parse_time("2090-01-01T00:00:00Z"))


def ids(runs: list[tuple[int, int]]) -> list[int]:
    return [first + n for first, length in runs for n in range(length)]


def test_epoch() -> None:
    assert parse_time("2025-01-01T00:00:00Z") == EPOCH_MS * 1000


def test_example_of_the_format_page() -> None:
    assert split(250526281754464263) == (NOW_US // 1000, 509, 7)
    assert first_id(NOW_US, 509, 250526281754464262) == 250526281754464263


def test_first_id() -> None:
    assert split(first_id(NOW_US, 3, None)) == (NOW_US // 1000, 3, 0)


def test_standing_clock_counts_the_sequence() -> None:
    one = first_id(NOW_US, 3, None)
    assert first_id(NOW_US, 3, one) == one + 1
    assert first_id(NOW_US + 999 - NOW_US % 1000, 3, one) == one + 1


def test_clock_that_goes_back_counts_on() -> None:
    one = first_id(NOW_US, 3, None)
    assert first_id(NOW_US - 3_600_000_000, 3, one) == one + 1


def test_clock_that_jumps_forward_is_followed() -> None:
    one = first_id(NOW_US, 3, None)
    later_us = NOW_US + 86_400_000_000
    assert split(first_id(later_us, 3, one)) == (later_us // 1000, 3, 0)


def test_overflow_runs_into_the_next_millisecond() -> None:
    full = first_id(NOW_US, 3, None) + 4095
    assert split(first_id(NOW_US, 3, full)) == (NOW_US // 1000 + 1, 3, 0)
    runs = draw(NOW_US, 3, None, 4096 * 2 + 5)
    assert [length for _, length in runs] == [4096, 4096, 5]
    assert [split(first)[0] - NOW_US // 1000 for first, _ in runs] == [0, 1, 2]


def test_overflow_keeps_the_worker_with_all_bits_set() -> None:
    full = first_id(NOW_US, MAX_WORKER, None) + 4095
    assert split(first_id(NOW_US, MAX_WORKER, full)) == (NOW_US // 1000 + 1, MAX_WORKER, 0)


@pytest.mark.parametrize(("worker", "after_worker", "ahead_ms"), [(3, 5, 1), (5, 3, 0)])
def test_after_another_worker(worker: int, after_worker: int, ahead_ms: int) -> None:
    after = first_id(NOW_US, after_worker, None) + 9
    assert split(first_id(NOW_US, worker, after)) == (NOW_US // 1000 + ahead_ms, worker, 0)


def test_clock_before_the_epoch_counts_as_the_epoch() -> None:
    assert first_id(0, 3, None) == 3 << 12
    assert first_id(-NOW_US, 3, 3 << 12) == (3 << 12) + 1


def test_draw_nothing() -> None:
    assert draw(NOW_US, 3, None, 0) == []


def test_the_end_of_time() -> None:
    last = draw(LAST_MS * 1000, MAX_WORKER, None, 4096)
    assert ids(last)[-1] == MAX_ID
    with pytest.raises(Failure, match="September 2094"):
        draw(LAST_MS * 1000, MAX_WORKER, None, 4097)
    with pytest.raises(Failure, match="September 2094"):
        first_id((LAST_MS + 1) * 1000, 0, None)
    with pytest.raises(Failure, match="September 2094"):
        first_id(NOW_US, 0, MAX_ID)


@pytest.mark.parametrize("worker", [-1, MAX_WORKER + 1])
def test_refused_workers(worker: int) -> None:
    with pytest.raises(Invalid, match="must be 0 to 1023"):
        first_id(NOW_US, worker, None)


@given(WORKERS, st.lists(st.tuples(CLOCKS, st.integers(1, 9000)), min_size=1, max_size=5))
def test_ids_increase_and_keep_the_worker(worker: int, commits: list[tuple[int, int]]) -> None:
    after: int | None = None
    for now_us, count in commits:
        drawn = ids(draw(now_us, worker, after, count))
        assert len(drawn) == count
        assert all(split(event_id)[1] == worker for event_id in drawn)
        assert all(one < other for one, other in pairwise(drawn))
        assert after is None or drawn[0] > after
        assert split(drawn[0])[0] >= now_us // 1000
        assert drawn[-1] <= MAX_ID
        after = drawn[-1]


@given(CLOCKS, WORKERS, st.integers(0, 1 << 62))
def test_first_id_is_the_smallest_that_fits(now_us: int, worker: int, after: int) -> None:
    drawn = first_id(now_us, worker, after)
    assert drawn > after
    assert split(drawn)[1] == worker
    floor = max(after + 1, max(0, now_us // 1000 - EPOCH_MS) << 22)
    ms, _, sequence = split(drawn)
    one_before = drawn - 1 if sequence else ((ms - EPOCH_MS - 1) << 22 | worker << 12 | 4095)
    assert one_before < floor


@given(st.integers(0, MAX_ID))
def test_split_loses_nothing(event_id: int) -> None:
    ms, worker, sequence = split(event_id)
    assert (ms - EPOCH_MS) << 22 | worker << 12 | sequence == event_id
    assert parse_event_id(str(event_id)) == event_id


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "01", "1 ", "1\n", "1.0", "1e3", "１", "0x1", "9223372036854775808", "9" * 5000]
)
def test_refused_spellings(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_event_id(text)
    assert len(caught.value.message) < 200


def test_an_id_is_text() -> None:
    with pytest.raises(Invalid, match="must be text"):
        parse_event_id(250526281754464263)
