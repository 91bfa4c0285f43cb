"""Choosing commits, against choosing from all of them; and that little is read for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbx.model.time import format_time
from dbx.repo import query
from dbx.repo.log import LogReader
from dbx.repo.reading.history import Wanted, events_of, select_commits
from dbx.repo.repository import Repository
from dbx.repo.upkeep.gc import collect
from dbx.repo.writer import Append, Appender
from tests.history import item

HOUR = 3_600_000_000
COMMITS = st.lists(
    st.tuples(st.integers(0, 6), st.lists(st.sampled_from("ab"), min_size=1, max_size=3)), min_size=1, max_size=10
)
BOUND = st.none() | st.integers(0, 9)


@settings(deadline=None, max_examples=30)
@given(COMMITS, BOUND, BOUND, BOUND, BOUND, st.sampled_from([None, "a", "b"]), st.none() | st.integers(1, 3))
def test_the_same_as_looking_at_every_commit(
    tmp_path_factory: pytest.TempPathFactory,
    commits: list[tuple[int, list[str]]],
    first: int | None,
    last: int | None,
    since: int | None,
    until: int | None,
    name: str | None,
    limit: int | None,
) -> None:
    now = [HOUR]
    domain = Repository.init(str(tmp_path_factory.mktemp("h")), clock=lambda: now[0])[0].domain()
    for n, (hour, names) in enumerate(commits):
        now[0] = hour * HOUR
        Appender(domain).append(Append([item(each) for each in ("a", *names)[: 1 + len(names)]], issued_by=None))
        if n == 4:
            collect(domain)
    hours = [hour for hour, _ in commits]
    upper = len(commits) - 1 if last is None else min(last, len(commits) - 1)
    if until is not None:
        upper = max((seq for seq in range(upper + 1) if hours[seq] <= until), default=-1)
    lower = first or 0
    if since is not None:
        lower = max(lower, 1 + max((seq for seq in range(upper + 1) if hours[seq] < since), default=-1))
    about = [seq for seq, (_, names) in enumerate(commits) if name in (None, "a", *names)]
    expected = [seq for seq in reversed(about) if lower <= seq <= upper][:limit]
    wanted = Wanted(
        first or 0,
        last,
        None if since is None else format_time(since * HOUR),
        None if until is None else format_time(until * HOUR),
        None if name is None else "order",
        name,
    )
    if name == "b" and all("b" not in names for _, names in commits):
        return
    found = list(select_commits(domain, wanted, limit=limit))
    assert [each.entry.commit.seq for each in found] == expected
    backwards = select_commits(domain, wanted, limit=limit, oldest_first=True)
    assert [each.entry.commit.seq for each in backwards] == expected[::-1]
    for each in found:
        events = list(events_of(each))
        every = query.events_at(
            domain, range(each.entry.commit.position, each.entry.commit.position + each.entry.commit.count)
        )
        assert events == [event for event in every if name in (None, event.aggregate_id)]
    domain.close()


def test_an_aggregate_is_found_without_reading_what_is_not_about_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [HOUR]
    domain = Repository.init(str(tmp_path), clock=lambda: now[0])[0].domain()
    appender = Appender(domain)
    for n in range(300):
        appender.append(Append([item("rare" if n % 100 == 0 else "often")], issued_by=None))
    read: list[int] = []
    real = LogReader.commit

    def noted(self: LogReader, seq: int) -> object:
        read.append(seq)
        return real(self, seq)

    monkeypatch.setattr(LogReader, "commit", noted)
    found = list(select_commits(domain, Wanted(aggregate_type="order", aggregate_id="rare")))
    assert [each.entry.commit.seq for each in found] == [200, 100, 0]
    assert len(read) <= 5
    read.clear()
    assert len(list(select_commits(domain, Wanted(), limit=2))) == 2
    assert len(read) <= 64
    read.clear()
    assert len(list(select_commits(domain, Wanted(aggregate_type="order"), limit=2))) == 2
    assert len(read) <= 40
