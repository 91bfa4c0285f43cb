"""Bisecting, against looking at every version; and that little is folded for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbx.errors import NotFound
from dbx.model.event import Aggregate
from dbx.repo import query
from dbx.repo.domain import Domain
from dbx.repo.reading.bisect import bisect_versions
from dbx.repo.writer import Append, Appender
from tests.history import item, open_repository


def with_versions(directory: Path, values: list[int]) -> Domain:
    domain = open_repository(directory).domain()
    Appender(domain).append(Append([item("o", f"e{n}", x=value) for n, value in enumerate(values)], issued_by=None))
    return domain


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(0, 41))
def test_halving_finds_where_it_begins(tmp_path_factory: pytest.TempPathFactory, count: int, since: int) -> None:
    domain = with_versions(tmp_path_factory.mktemp("b"), list(range(count)))
    folded: list[int] = []
    found = bisect_versions(domain, "order", "o", lambda a: a.state["x"] >= since, progress=folded.append)
    linear = bisect_versions(domain, "order", "o", lambda a: a.state["x"] >= since, linear=True)
    assert found.aggregate == linear.aggregate
    assert found.event == linear.event
    if since < count:
        assert found.aggregate == query.get_aggregate(domain, "order", "o", since + 1)
        assert found.event is not None
        assert found.event.event_type == f"e{since}"
        assert linear.looked_at == since + 1
    else:
        assert (found.aggregate, found.event, found.looked_at, linear.looked_at) == (None, None, 1, count)
    assert found.versions == count
    assert found.looked_at <= 1 + count.bit_length()
    assert sum(folded) <= count
    domain.close()


@settings(deadline=None, max_examples=40)
@given(st.lists(st.booleans(), min_size=1, max_size=20))
def test_a_condition_that_comes_and_goes(tmp_path_factory: pytest.TempPathFactory, holds: list[bool]) -> None:
    domain = with_versions(tmp_path_factory.mktemp("b"), [int(each) for each in holds])

    def fits(aggregate: Aggregate) -> bool:
        return bool(aggregate.state["x"])

    linear = bisect_versions(domain, "order", "o", fits, linear=True)
    assert (linear.aggregate.version if linear.aggregate else None) == (holds.index(True) + 1 if any(holds) else None)
    found = bisect_versions(domain, "order", "o", fits)
    if not holds[-1]:
        assert found.aggregate is None
    else:
        assert found.aggregate is not None
        version = found.aggregate.version
        assert holds[version - 1]
        assert version == 1 or not holds[version - 2]
    domain.close()


def test_what_is_archived_later_was_not_then(tmp_path: Path) -> None:
    domain = with_versions(tmp_path, [1, 2])
    archive = {**item("o", "aggregate_archived"), "payload": {}}
    Appender(domain).append(Append([archive], issued_by=None, reserved=True))
    found = bisect_versions(domain, "order", "o", lambda a: a.archived)
    assert found.aggregate == query.get_aggregate(domain, "order", "o")
    assert found.aggregate == query.get_aggregate(domain, "order", "o", 3)


def test_no_such_aggregate(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        bisect_versions(open_repository(tmp_path).domain(), "order", "o", lambda _: True)
