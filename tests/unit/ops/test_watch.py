"""dbx/ops/watch.py: noticing commits."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dbx.ops import watch
from dbx.ops.watch import CommitWatch, wait_for_commit
from tests.history import append, open_repository


def test_a_commit_is_noticed_at_once_and_once(tmp_path: Path) -> None:
    repository = open_repository(tmp_path)
    domain = repository.domain()
    append(domain, "o-0")
    with CommitWatch(domain.directory.path) as watching:
        while watching.wait_for_commit(0.2):
            pass  # whatever is still told of the commit before
        timer = threading.Timer(0.1, append, (domain, "o-1"))
        began = time.monotonic()
        timer.start()
        assert watching.wait_for_commit(20)
        assert time.monotonic() - began < 15
        timer.join()
        while watching.wait_for_commit(0.2):
            pass
    repository.close()


def test_a_commit_between_two_waits_is_not_missed(tmp_path: Path) -> None:
    repository = open_repository(tmp_path)
    domain = repository.domain()
    append(domain, "o-0")
    with CommitWatch(domain.directory.path) as watching:
        append(domain, "o-1")
        assert watching.wait_for_commit(20)
    repository.close()


def test_reading_and_the_index_are_no_commits(tmp_path: Path) -> None:
    from dbx.repo import query

    repository = open_repository(tmp_path)
    domain = repository.domain()
    append(domain, "o-0")
    with CommitWatch(domain.directory.path) as watching:
        while watching.wait_for_commit(0.2):
            pass
        list(query.iterate_events(domain))
        domain.flush()
        (Path(domain.directory.path) / "other").write_text("x")
        assert not watching.wait_for_commit(0.3)
    repository.close()


def test_waiting_ends(tmp_path: Path) -> None:
    began = time.monotonic()
    assert not wait_for_commit(str(tmp_path), 0.05)
    assert time.monotonic() - began < 15


def test_without_watches_it_says_to_look(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Full(watch.Observer):  # type: ignore[misc]
        def start(self) -> None:
            raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr(watch, "Observer", Full)
    assert wait_for_commit(str(tmp_path), 0.01)


BUSY = """
import sys, threading
from pathlib import Path
from dbx.ops.watch import wait_for_commit

stop, journal = threading.Event(), Path(sys.argv[1]) / "journal-x"
def write():
    while not stop.is_set():
        journal.write_text("x")
writers = [threading.Thread(target=write) for _ in range(2)]
for writer in writers:
    writer.start()
for _ in range(100):
    wait_for_commit(sys.argv[1], 0.001)
stop.set()
for writer in writers:
    writer.join()
"""


def test_closing_a_watch_among_writes_prints_nothing(tmp_path: Path) -> None:
    # In a process of its own, where nobody has set up logging.
    done = subprocess.run([sys.executable, "-c", BUSY, str(tmp_path)], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_commits_that_follow_each_other_closely_are_all_noticed(tmp_path: Path) -> None:
    journal = tmp_path / "journal-x"
    journal.write_bytes(bytes(8))
    fd = os.open(journal, os.O_WRONLY)
    written, read, draw = [0], [0], random.Random(1)

    def write() -> None:
        for n in range(1, 401):
            os.pwrite(fd, n.to_bytes(8, "big"), 0)
            written[0] = n
            end = time.monotonic() + 20
            while read[0] < n:
                if time.monotonic() > end:
                    return
                time.sleep(0.0002)
            time.sleep(draw.choice((0, 0, 0.0005, 0.003, 0.03)))

    with CommitWatch(str(tmp_path)) as watching:
        listening = threading.active_count()
        writer = threading.Thread(target=write)
        writer.start()
        fewest = listening
        while writer.is_alive():
            if watching.wait_for_commit(0.05):
                read[0] = int.from_bytes(journal.read_bytes(), "big")
            fewest = min(fewest, threading.active_count() - 1)
        writer.join()
        assert read[0] == written[0] == 400
        assert fewest < listening  # it was not told of each
        quiet = time.monotonic()
        while threading.active_count() < listening and time.monotonic() - quiet < 20:
            watching.wait_for_commit(0.2)
        assert threading.active_count() == listening  # it listens again
        while watching.wait_for_commit(0.2):
            pass
        os.pwrite(fd, b"87654321", 0)
        assert watching.wait_for_commit(20)
    os.close(fd)


def test_a_directory_that_goes_away_ends_no_watch(tmp_path: Path) -> None:
    directory = tmp_path / "domain"
    directory.mkdir()
    journal = directory / "journal-x"
    with CommitWatch(str(directory)) as watching:
        for n in range(100):
            journal.write_text(str(n))
            watching.wait_for_commit(0.01)
        journal.unlink()
        directory.rmdir()
        began = time.monotonic()
        while time.monotonic() - began < 1.5:
            watching.wait_for_commit(0.1)
