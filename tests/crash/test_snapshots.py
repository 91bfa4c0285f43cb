"""Snapshots when the command dies or the disk fails: the commit stands, and each one due is there once, or will be."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from dbx.repo import config
from dbx.repo.upkeep.snapshots import take_snapshot
from tests.crash import strace, world
from tests.crash.world import append, item, make, stage_items

pytestmark = pytest.mark.usefixtures("needs_strace")
SAMPLE = 14
"""Of the many calls that SQLite makes."""


def _due(where: Path) -> None:
    """Twelve events staged, of an aggregate that has three, with a snapshot due at every fifth."""
    make(where)
    with closing(world.open_repository(where)) as repository:
        config.change(repository, repository.domain(), {"snapshot_threshold": 5})
    append(where, [item(n, "o-1") for n in range(3)])
    stage_items(where, [item(n, "o-1") for n in range(3, 15)])


def _taken(where: Path) -> None:
    make(where)
    append(where, [item(n, "o-1") for n in range(6)])
    with closing(world.open_repository(where)) as repository:
        for version in (2, 4, 6):
            take_snapshot(repository.domain(), "order", "o-1", version)


def versions(where: Path) -> list[int]:
    """What 'snapshots verify' finds sound."""
    outcome = strace.run(("snapshots", "verify", "--json"), where)
    assert outcome.status == 0, outcome
    return [one["version"] for one in json.loads(outcome.stdout)]


def after_commit(where: Path) -> None:
    assert strace.run(("commit",), where).status in (0, 1)
    assert versions(where) == [5, 10, 15]


def after_create(where: Path) -> None:
    found = versions(where)
    assert found in ([2, 4, 6], [2, 4, 5, 6])
    assert strace.run(("snapshots", "create", "order", "o-1", "--version", "5"), where).status == 0
    assert versions(where) == sorted([*found, 5])


def after_prune(where: Path) -> None:
    assert versions(where) in ([2, 4, 6], [6])
    assert strace.run(PRUNE, where).status == 0
    assert versions(where) == [6]


PRUNE = ("snapshots", "prune", "--keep-last", "1", "--yes")
CASES: dict[str, tuple[tuple[str, ...], Callable[[Path], None], Callable[[Path], None]]] = {
    "commit": (("commit",), _due, after_commit),
    "create": (("snapshots", "create", "order", "o-1", "--version", "5"), _taken, after_create),
    "prune": (PRUNE, _taken, after_prune),
}


@pytest.fixture
def prepared(scratch: Path, request: pytest.FixtureRequest) -> Path:
    path = scratch / f"snapshots-{request.param}"
    if not path.exists():
        for part in ("work", "home"):
            (path / part).mkdir(parents=True)
        CASES[request.param][1](path)
    return path


def chosen(argv: tuple[str, ...], path: Path, scratch: Path) -> list[strace.Call]:
    trial = _copy(path, scratch)
    outcome, calls = strace.record(argv, trial)
    assert outcome.status == 0, outcome
    shutil.rmtree(trial)
    ours = [call for call in calls if "snapshots.db" in call.text]
    assert len(ours) >= 3
    return random.Random(argv[0]).sample(ours, min(len(ours), SAMPLE))


def _copy(path: Path, scratch: Path) -> Path:
    return Path(shutil.copytree(path, scratch / "trial-of-snapshots", symlinks=True))


@pytest.mark.parametrize(("prepared", "name"), [(name, name) for name in CASES], indirect=["prepared"])
def test_killed_before_any_call(prepared: Path, name: str, scratch: Path) -> None:
    argv, _, check = CASES[name]
    for call in chosen(argv, prepared, scratch):
        trial = _copy(prepared, scratch)
        try:
            strace.run_killed(argv, trial, call)
            assert strace.run(("fsck",), trial).status == 0
            check(trial)
        except BaseException as error:
            error.add_note(f"killed before {call}")
            raise
        finally:
            shutil.rmtree(trial)


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
@pytest.mark.parametrize("prepared", ["commit"], indirect=True)
def test_a_disk_that_fails_takes_no_commit_back(prepared: Path, scratch: Path, error: str) -> None:
    for call in chosen(("commit",), prepared, scratch)[:5]:
        if call.name in ("unlink", "unlinkat"):
            continue
        trial = _copy(prepared, scratch)
        try:
            strace.run_failing(("commit",), trial, call.name, error, str(call.number))
            assert strace.run(("fsck",), trial).status == 0
            after_commit(trial)
        finally:
            shutil.rmtree(trial)
