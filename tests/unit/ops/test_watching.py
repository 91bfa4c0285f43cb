"""dbx/ops/watching.py: when the next cycle comes, and how a watcher is told to end."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbx.errors import DbxError, Failure
from dbx.ops.clone import clone
from dbx.ops.link import Access
from dbx.ops.session import Session, Who
from dbx.ops.watching import Cycle, Plan, Stop, Stopped, Watcher, next_delay
from dbx.repo.replica import offer as offers
from tests.history import append, fill, open_repository


def middle(size: int) -> bytes:
    return b"\x80".ljust(size, b"\0")


def test_failures_double_the_wait_up_to_a_bound() -> None:
    assert [next_delay(300, n, middle) for n in (0, 1, 2, 3, 9, 10, 99)] == [300, 5, 10, 20, 1280, 2400, 2400]
    assert [next_delay(1, n, middle) for n in (0, 1, 2, 3, 4, 5, 99)] == [1, 1, 2, 4, 8, 8, 8]
    assert next_delay(1800, 99, middle) == 3600
    assert next_delay(86_400, 99, middle) == 86_400


def test_the_wait_varies_by_a_tenth() -> None:
    waits = [next_delay(100, 0, os.urandom) for _ in range(500)]
    assert min(waits) >= 90
    assert max(waits) <= 110
    assert max(waits) - min(waits) > 15


def test_a_stop_breaks_a_wait_and_waits_for_a_cycle() -> None:
    stop = Stop()
    with pytest.raises(Stopped), stop.waiting():
        stop.ask()
    stop = Stop()
    stop.ask()  # within a cycle
    assert stop.asked
    with pytest.raises(Stopped), stop.waiting():
        raise AssertionError("it was asked before")


@pytest.fixture
def near(tmp_path: Path) -> Iterator[Session]:
    """A clone of the repository in `far`."""
    for name in ("far", "near"):
        (tmp_path / name).mkdir()
    fill(tmp_path / "far")
    repository = open_repository(tmp_path / "near")
    session = Session(repository, None, Who("ops", "jane", "jane"))
    clone(session, str(tmp_path / "far"), "default", Access())
    try:
        yield session
    finally:
        repository.close()


def watch(near: Session, plan: Plan, cycles: int, *commit_after: int) -> list[Cycle]:
    """So many cycles, at most; after some of them something is committed while the watcher is not waiting yet."""
    found: list[Cycle] = []
    stop = Stop()

    def tell(cycle: Cycle) -> None:
        found.append(cycle)
        if cycle.number in commit_after:
            append(near.domain, "all")
        if cycle.number == cycles:
            stop.asked = True

    def explain(error: Exception) -> DbxError:
        return error if isinstance(error, DbxError) else Failure(str(error))

    watcher = Watcher(near, plan, Access())
    watcher.start()
    try:
        assert watcher.run(stop, tell, explain) is None
    finally:
        watcher.close()
    return found


@pytest.mark.parametrize("kind", [None, "order"])
@pytest.mark.parametrize("mode", ["push", "bidirectional"])
def test_what_is_committed_between_a_cycle_and_the_wait_is_pushed_at_once(
    near: Session, tmp_path: Path, mode: str, kind: str | None
) -> None:
    began = time.monotonic()
    found = watch(near, Plan(None, mode, 60, kind), 3, 1, 2)  # type: ignore[arg-type]
    assert time.monotonic() - began < 30
    assert [one.pushed["events"] for one in found if one.pushed] == [0, 1, 1]
    repository = open_repository(tmp_path / "far")
    assert offers.describe(repository.domain()).root == offers.describe(near.domain).root
    repository.close()


@pytest.mark.parametrize("mode", ["push", "pull", "bidirectional"])
def test_without_news_the_next_cycle_waits_for_its_time(near: Session, mode: str) -> None:
    began = time.monotonic()
    assert [one.error for one in watch(near, Plan(None, mode, 2), 2)] == [None, None]  # type: ignore[arg-type]
    assert time.monotonic() - began > 1.5
