"""Aggregates at older commits, against folding everything up to there."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbx.errors import NotFound
from dbx.repo import query
from dbx.repo.reading.past import get_aggregate_at, iterate_aggregates_at, version_at
from dbx.repo.reading.revision import get_revision
from dbx.repo.writer import Append, Appender
from tests.history import append, fill, item, open_repository


def test_versions_at_each_commit(tmp_path: Path) -> None:
    fill(tmp_path, 5)
    domain = open_repository(tmp_path).domain()
    for seq in range(5):
        revision = get_revision(domain, seq)
        assert version_at(domain, "order", "all", revision) == seq + 1
        assert [version_at(domain, "order", f"o-{n}", revision) for n in range(5)] == [int(n <= seq) for n in range(5)]
    with pytest.raises(NotFound, match="does not exist"):
        version_at(domain, "order", "none", revision)


def test_what_was_made_later_is_not_there(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    domain = open_repository(tmp_path).domain()
    with pytest.raises(NotFound, match="did not exist yet at commit 1"):
        get_aggregate_at(domain, "order", "o-2", get_revision(domain, 1))
    assert get_aggregate_at(domain, "order", "o-2", get_revision(domain, 2)).version == 1
    with pytest.raises(NotFound, match="does not exist"):
        get_aggregate_at(domain, "order", "none", get_revision(domain, 1))


COMMITS = st.lists(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 9)), min_size=1, max_size=4), max_size=8)


@settings(deadline=None, max_examples=40)
@given(COMMITS, st.sampled_from([None, "order", "nothing"]))
def test_each_commit_shows_what_was_there_then(
    tmp_path_factory: pytest.TempPathFactory, commits: list[list[tuple[str, int]]], wanted: str | None
) -> None:
    domain = open_repository(tmp_path_factory.mktemp("past")).domain()
    then = []
    for commit in commits:
        Appender(domain).append(Append([item(name, x=number) for name, number in commit], issued_by=None))
        then.append(query.list_aggregates(domain, wanted, archived=None))
    for seq, expected in enumerate(then):
        revision = get_revision(domain, seq)
        assert list(iterate_aggregates_at(domain, revision, wanted, archived=None)) == expected
        for aggregate in expected:
            found = get_aggregate_at(domain, "order", aggregate.aggregate_id, revision)
            assert found == aggregate
            behind = list(iterate_aggregates_at(domain, revision, wanted, after=("order", aggregate.aggregate_id)))
            assert behind == [other for other in expected if other.aggregate_id > aggregate.aggregate_id]
    domain.close()


def test_archived_means_archived_then(tmp_path: Path) -> None:
    domain = open_repository(tmp_path).domain()
    append(domain, "a", "b")
    archive = {**item("a", "aggregate_archived"), "payload": {}}
    Appender(domain).append(Append([archive], issued_by=None, reserved=True))
    before, after = get_revision(domain, 0), get_revision(domain, 1)

    def ids(seq: int, archived: bool | None) -> list[str]:
        found = iterate_aggregates_at(domain, before if seq == 0 else after, archived=archived)
        return [aggregate.aggregate_id for aggregate in found]

    assert (ids(0, False), ids(0, True), ids(1, False), ids(1, True)) == (["a", "b"], [], ["b"], ["a"])
    assert ids(1, None) == ["a", "b"]
    assert get_aggregate_at(domain, "order", "a", before)._replace(archived=True).archived


def test_many_aggregates_come_in_pages(tmp_path: Path) -> None:
    domain = open_repository(tmp_path).domain()
    append(domain, *(f"o-{n:04}" for n in range(1100)))
    append(domain, *(f"o-{n:04}" for n in range(500, 1300)))
    found = list(iterate_aggregates_at(domain, get_revision(domain, 0)))
    assert [(each.aggregate_id, each.version) for each in found] == [(f"o-{n:04}", 1) for n in range(1100)]
    assert len(list(iterate_aggregates_at(domain, get_revision(domain, 1)))) == 1300
