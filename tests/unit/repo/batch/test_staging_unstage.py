"""dbx/repo/batch/staging.py, `unstage`: the rest stays staged, whatever a crash leaves of the index."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from dbx.errors import Conflict, NotFound
from dbx.repo import query
from dbx.repo.batch.commit import commit_staged
from dbx.repo.batch.staging import find_record, stage, staged_events, unstage
from dbx.repo.domain import Domain
from tests.history import append, item, open_repository


def fill(domain: Domain, seed: int = 1, count: int = 40) -> None:
    """Events of ten new orders and of the committed one, staged in several sections."""
    draw = random.Random(seed)
    names = [*[f"n-{n}" for n in range(10)], "kept"]
    for _ in range(4):
        lines = [(n, item(draw.choice(names), x=draw.random()), None) for n in range(1, count // 4 + 1)]
        stage(domain, lines, issued_by=None)


@pytest.mark.parametrize("seed", range(5))
def test_the_others_stay_as_they_were(tmp_path: Path, seed: int) -> None:
    domain = open_repository(tmp_path).domain()
    append(domain, "kept")
    fill(domain, seed)
    before = list(staged_events(domain))
    name = next(event.aggregate_id for event in before if event.aggregate_id != "kept")
    mine = [event for event in before if event.aggregate_id == name]
    assert unstage(domain, "order", name) == len(mine)
    assert [e.hash for e in staged_events(domain)] == [e.hash for e in before if e.aggregate_id != name]
    assert find_record(domain, "order", name) is None
    with pytest.raises(NotFound):
        unstage(domain, "order", name)
    # It can be made again, and no event id is drawn twice.
    stage(domain, [(1, item(name), None)], issued_by=None)
    assert commit_staged(domain, actor=None) is not None
    ids = [event.event_id for event in query.iterate_events(domain)]
    assert len(set(ids)) == len(ids)
    assert {event.event_id for event in mine}.isdisjoint(ids)
    assert query.get_aggregate(domain, "order", name).version == 1


def test_a_crash_before_the_index_follows_loses_nothing(tmp_path: Path) -> None:
    repository = open_repository(tmp_path)
    domain = repository.domain()
    append(domain, "kept")
    fill(domain)
    repository.close()
    (index,) = tmp_path.glob("**/index.db")
    old = tmp_path / "old.db"
    shutil.copy(index, old)
    repository = open_repository(tmp_path)
    unstage(repository.domain(), "order", "n-3")
    expected = [event.hash for event in staged_events(repository.domain())]
    repository.close()
    for beside in tmp_path.glob("**/index.db-*"):
        beside.unlink()
    shutil.copy(old, index)
    repository = open_repository(tmp_path)
    domain = repository.domain()
    assert [event.hash for event in staged_events(domain)] == expected
    assert find_record(domain, "order", "n-3") is None
    assert commit_staged(domain, actor=None) is not None
    assert "n-3" not in [each.aggregate_id for each in query.list_aggregates(domain)]
    repository.close()


def test_what_is_committed_is_not_touched(tmp_path: Path) -> None:
    domain = open_repository(tmp_path).domain()
    append(domain, "kept")
    fill(domain)
    before = [event.hash for event in staged_events(domain)]
    with pytest.raises(Conflict, match="cannot be removed: it has committed events"):
        unstage(domain, "order", "kept")
    assert [event.hash for event in staged_events(domain)] == before


def test_names_that_begin_alike_are_not_taken_for_one_another(tmp_path: Path) -> None:
    domain = open_repository(tmp_path).domain()
    names = ["n-1", "n-10", "n-1x", "n"]
    stage(domain, [(n, item(name), None) for n, name in enumerate(names, 1)], issued_by=None)
    assert unstage(domain, "order", "n-1") == 1
    assert [event.aggregate_id for event in staged_events(domain)] == names[1:]
