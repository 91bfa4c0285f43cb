"""Automatic snapshots: at exactly the versions due, with the state at that version, whatever came between."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dbx.model.snapshot import Policy
from dbx.repo import config
from dbx.repo.autosnapshot import begin_here, take_due
from dbx.repo.batch.commit import commit_staged
from dbx.repo.batch.staging import stage
from dbx.repo.domain import Domain
from dbx.repo.query import get_aggregate
from dbx.repo.repository import Repository
from dbx.repo.upkeep.snapshots import list_snapshots, prune_snapshots
from dbx.repo.writer import Append, Appender
from tests.history import append, item, open_repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return open_repository(tmp_path)


def set_threshold(repository: Repository, threshold: int) -> Domain:
    domain = repository.domain()
    config.change(repository, domain, {"snapshot_threshold": threshold})
    return domain


def taken(domain: Domain) -> dict[str, list[int]]:
    """Versions by aggregate; each snapshot is compared with what the events say."""
    found: dict[str, list[int]] = {}
    for one in list_snapshots(domain):
        aggregate = one.aggregate
        assert aggregate == get_aggregate(domain, "order", aggregate.aggregate_id, aggregate.version)
        assert one.automatic
        assert one.comment == f"auto snapshot v{aggregate.version}"
        found.setdefault(aggregate.aggregate_id, []).append(aggregate.version)
    return found


def test_without_a_threshold_nothing_is_made(repository: Repository) -> None:
    domain = repository.domain()
    append(domain, *["a"] * 10)
    stage(domain, [(1, item("a", n=1), None)], issued_by=None)
    commit_staged(domain, actor=None)
    assert not domain.directory.exists("snapshots.db")
    assert domain.snapshots is None


def test_single_appends(repository: Repository) -> None:
    domain = set_threshold(repository, 3)
    for n in range(10):
        Appender(domain).append(Append([item("a", n=n, **{f"k{n}": n})], issued_by=None))
        # Directly after the commit, not only when somebody asks.
        assert domain.snapshots is not None
        file = domain.snapshots.find()
        assert file is not None
        assert [row.version for row in file.rows()] == list(range(3, n + 2, 3))
    assert taken(domain) == {"a": [3, 6, 9]}


def test_within_a_batch_each_has_the_state_at_its_version(repository: Repository) -> None:
    domain = set_threshold(repository, 4)
    source = random.Random(2)
    names = [f"o-{source.randrange(5)}" for _ in range(90)]
    items = [item(name, n=n, **{f"k{source.randrange(6)}": n}) for n, name in enumerate(names)]
    Appender(domain).append(Append(items[:30], issued_by=None))
    stage(domain, [(n, one, None) for n, one in enumerate(items[30:], 1)], issued_by=None)
    commit_staged(domain, actor=None)
    assert taken(domain) == {
        name: list(range(4, names.count(name) + 1, 4)) for name in sorted(set(names)) if names.count(name) >= 4
    }
    states = [one.aggregate.state["n"] for one in list_snapshots(domain, "order", "o-1")]
    assert states == [n for n, name in enumerate(names) if name == "o-1"][3::4]


def test_what_was_there_before_the_threshold_has_none(repository: Repository) -> None:
    append(repository.domain(), *["a"] * 7)
    domain = set_threshold(repository, 5)
    assert taken(domain) == {}
    append(domain, *["a"] * 3)
    assert taken(domain) == {"a": [10]}


def test_what_a_crash_left_out_is_caught_up(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    domain = set_threshold(repository, 2)
    append(domain, "a", "a")
    domain.thresholds = domain.rules, False  # as if the process had died behind the commit
    append(domain, "a", "a", "a")
    append(domain, "b", "b")
    domain.thresholds = None
    append(domain, "c")
    assert domain.snapshots is not None
    file = domain.snapshots.find()
    assert file is not None
    assert [(row.aggregate, row.version) for row in file.rows()] == [("a", 2), ("a", 4), ("b", 2)]
    assert taken(domain) == {"a": [2, 4], "b": [2]}


def test_a_later_process_goes_on(repository: Repository, tmp_path: Path) -> None:
    set_threshold(repository, 3)
    for _ in range(8):
        opened = open_repository(tmp_path)
        append(opened.domain(), "a")
        opened.close()
    assert taken(repository.domain()) == {"a": [3, 6]}


def test_none_is_taken_twice_nor_again_after_pruning(repository: Repository) -> None:
    domain = set_threshold(repository, 2)
    append(domain, *["a"] * 8)
    assert take_due(domain) == 0
    prune_snapshots(domain, Policy(keep_last=1))
    append(domain, "a")
    assert taken(domain) == {"a": [8]}
    append(domain, "a")
    assert taken(domain) == {"a": [8, 10]}


def test_when_it_cannot_be_taken_the_commit_stands_and_it_is_caught_up(repository: Repository) -> None:
    domain = set_threshold(repository, 2)
    path = Path(domain.directory.path_of("snapshots.db"))
    path.mkdir()
    append(domain, "a", "a")
    assert get_aggregate(domain, "order", "a").version == 2
    path.rmdir()
    append(domain, "a", "a")
    assert taken(domain) == {"a": [4]} or taken(domain) == {"a": [2, 4]}


def test_a_threshold_that_was_unset_for_a_while(repository: Repository) -> None:
    domain = set_threshold(repository, 2)
    append(domain, "a", "a")
    config.change(repository, domain, {}, ["snapshot_threshold"])
    append(domain, "a", "a")
    set_threshold(repository, 2)
    begin_here(domain)
    append(domain, "a", "a")
    assert taken(domain) == {"a": [2, 6]}


def test_settings_that_are_no_threshold_take_none(repository: Repository) -> None:
    domain = repository.domain()
    config.change(repository, domain, {"reference_max_depth": 4})
    append(domain, "a", "a")
    assert not domain.directory.exists("snapshots.db")


def write_schema(domain: Domain, threshold: int | None) -> None:
    lines = ["aggregate: order", "events:", "  placed: {}"] + (
        [f"snapshot_threshold: {threshold}"] if threshold else []
    )
    Path(domain.directory.path_of("schemas/order.yaml")).write_text("\n".join(lines) + "\n")


def test_a_schema_has_a_threshold_of_its_own(repository: Repository) -> None:
    domain = repository.domain()
    append(domain, "a")
    write_schema(domain, 3)
    append(domain, *["a"] * 5)
    assert taken(domain) == {"a": [3, 6]}
    set_threshold(repository, 2)
    append(domain, *["a"] * 4)
    assert taken(domain) == {"a": [3, 6, 9]}
    write_schema(domain, None)
    append(domain, *["a"] * 3)
    assert taken(domain) == {"a": [3, 6, 9, 12]}


def test_what_was_taken_back_is_taken_anew(repository: Repository) -> None:
    domain = set_threshold(repository, 2)
    append(domain, "a", "a")
    append(domain, "a", "a")
    first = list(list_snapshots(domain))
    # As undo leaves it: the position is beyond what the log has, and a snapshot of an event that is no more.
    assert domain.snapshots is not None
    file = domain.snapshots.find()
    assert file is not None
    row = file.rows()[-1]
    with file.write():
        file.put(row._replace(leaf=b"\0" * 32))
        file.set_meta("cursor", 99)
    assert take_due(domain, first=2) == 1
    assert [one.aggregate for one in list_snapshots(domain)] == [one.aggregate for one in first]
    assert [one.id == before.id for one, before in zip(list_snapshots(domain), first, strict=True)] == [True, False]
    assert take_due(domain, first=0) == 0
