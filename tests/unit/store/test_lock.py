"""The lock: one holder, a wait that ends and names him, and nothing to delete when he dies."""

from __future__ import annotations

import fcntl
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbx.errors import Corrupt, Locked, NotFound
from dbx.store.fs import Directory
from dbx.store.lock import Lock, find_holder


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[Lock]:
    made = Lock(Directory(str(tmp_path)), "lock")
    yield made
    made.close()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Lock]:
    made = Lock(Directory(str(tmp_path)), "lock")
    yield made
    made.close()


def test_one_holds_it(lock: Lock, other: Lock) -> None:
    lock.acquire(0)
    assert lock.held
    with pytest.raises(Locked, match=f"locked by process {os.getpid()}, still after 0 s") as caught:
        other.acquire(0)
    assert not other.held
    assert caught.value.details == {"pid": os.getpid()}
    assert caught.value.status == 9
    lock.release()
    lock.release()
    other.acquire(0)
    assert (lock.held, other.held) == (False, True)


def test_waiting_ends(lock: Lock, other: Lock) -> None:
    lock.acquire(0)
    start = time.monotonic()
    with pytest.raises(Locked, match=r"still after 0\.15 s"):
        other.acquire(0.15)
    assert 0.15 <= time.monotonic() - start < 2


def test_the_holder_is_named_and_its_death_frees_the_lock(tmp_path: Path, lock: Lock) -> None:
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        Lock(Directory(str(tmp_path)), "lock").acquire(0)
        os.write(tell, b"x")
        time.sleep(60)
        os._exit(0)
    os.read(ready, 1)
    with pytest.raises(Locked, match=f"process {pid}"):
        lock.acquire(0)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    lock.acquire(1)
    assert lock.held
    os.close(ready)
    os.close(tell)


def test_a_holder_that_left_no_pid(tmp_path: Path, lock: Lock, other: Lock) -> None:
    lock.acquire(0)
    (tmp_path / "lock").write_bytes(b"\xff garbage")
    with pytest.raises(Locked) as caught:
        other.acquire(0)
    # The kernel knows who it is, where it may be asked.
    known = os.getpid() if os.access("/proc/locks", os.R_OK) else None
    assert caught.value.details == {"pid": known}


@pytest.mark.skipif(not os.access("/proc/locks", os.R_OK), reason="this system does not say who holds a lock")
def test_a_stranger_is_named_and_not_who_held_it_before(tmp_path: Path, lock: Lock) -> None:
    (tmp_path / "lock").write_bytes(b"%-20d\n" % 1)
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        with open(tmp_path / "lock", "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            os.write(tell, b"x")
            time.sleep(60)
        os._exit(0)
    os.read(ready, 1)
    try:
        with pytest.raises(Locked, match=f"process {pid}"):
            lock.acquire(0)
        assert find_holder(Directory(str(tmp_path)), "lock") == pid
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(ready)
        os.close(tell)


def test_a_pid_that_cannot_be_written_keeps_nobody_from_the_lock(tmp_path: Path, lock: Lock, other: Lock) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        lock.acquire(0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert lock.held
    assert (tmp_path / "lock").read_bytes() == b""
    lock.release()
    other.acquire(0)
    assert other.held


@pytest.mark.parametrize("recreated", [False, True])
def test_a_directory_that_was_moved_away_is_not_locked(tmp_path: Path, recreated: bool) -> None:
    (tmp_path / "d").mkdir()
    lock = Lock(Directory(str(tmp_path), "d"), "lock")
    lock.acquire(0)
    lock.release()
    (tmp_path / "d").rename(tmp_path / "e")
    if recreated:
        (tmp_path / "d").mkdir()
        (tmp_path / "d/lock").touch()
    with pytest.raises(NotFound, match="moved or deleted meanwhile"):
        lock.acquire(0)
    assert not lock.held
    there = Lock(Directory(str(tmp_path), "e"), "lock")
    there.acquire(0)
    there.close()
    if recreated:
        lock.acquire(0)  # opened again, as the hint says
        assert lock.held
    lock.close()


def test_the_lock_is_no_link(tmp_path: Path, lock: Lock) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Corrupt):
        lock.acquire(0)
    assert not (tmp_path / "elsewhere").exists()
