"""dbx/repo/replica/watchstate.py: the lock says who lives, the file what was done, and the log stays bounded."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dbx.errors import Corrupt, Locked
from dbx.repo.replica import watchstate
from dbx.repo.replica.watchstate import (
    WatchLock,
    WatchState,
    find_birth,
    find_state,
    find_watcher,
    open_log,
    write_state,
)
from tests.history import open_repository

STATE = WatchState(
    domain="default",
    remote="origin",
    pid=7,
    born=None,
    mode="Push",
    interval_secs=300,
    aggregate=None,
    aggregate_id=None,
    concurrency=1,
    run_once=False,
    background=True,
    started_at="2026-11-26T07:00:00.000000Z",
)


def test_one_watcher_at_a_time(tmp_path: Path) -> None:
    domain = open_repository(tmp_path).domain()
    assert find_watcher(domain) is None
    assert not (tmp_path / ".dbx/domains/default/watch.lock").exists()  # asking makes nothing
    first, second = WatchLock(domain), WatchLock(domain)
    first.take()
    assert find_watcher(domain) == os.getpid()
    with pytest.raises(Locked, match=f"already watched by process {os.getpid()}"):
        second.take()
    assert find_watcher(domain) == os.getpid()
    first.close()
    assert find_watcher(domain) is None
    second.take()
    second.close()


def test_a_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    domain = open_repository(tmp_path).domain()
    assert find_state(domain) is None
    moved = STATE._replace(last_cycle_push={"commits": 1, "up_to_date": False}, born=12345, failures=2)
    for state in (STATE, moved):
        write_state(domain, state)
        assert find_state(domain) == state
    path = tmp_path / ".dbx/domains/default/watch.json"
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("cut", range(0, 400, 37))
def test_a_state_that_is_cut_is_damage(tmp_path: Path, cut: int) -> None:
    domain = open_repository(tmp_path).domain()
    write_state(domain, STATE)
    path = tmp_path / ".dbx/domains/default/watch.json"
    path.write_bytes(path.read_bytes()[: min(cut, path.stat().st_size - 2)])
    with pytest.raises(Corrupt, match="is damaged"):
        find_state(domain)


def test_a_birth_is_of_one_process() -> None:
    mine = find_birth(os.getpid())
    assert mine is not None
    assert mine == find_birth(os.getpid())
    assert find_birth(2**22 + 1) is None


def test_a_long_log_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchstate, "MAX_LOG_BYTES", 10)
    domain = open_repository(tmp_path).domain()
    path = tmp_path / ".dbx/domains/default"
    for text in (b"first\n", b"second\n", b"third\n"):
        fd = open_log(domain)
        os.write(fd, text)
        os.close(fd)
    assert (path / "watch.log.1").read_bytes() == b"first\nsecond\n"
    assert (path / "watch.log").read_bytes() == b"third\n"
