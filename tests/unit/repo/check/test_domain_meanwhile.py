"""Checking while others append, stage, commit, seal and merge: never a false alarm."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dbx.repo.check import domain as checking
from dbx.repo.check import frames
from dbx.repo.upkeep.gc import collect
from dbx.store.fs import Directory
from tests.meta.source import CHECKOUT
from tests.unit.repo.check.build import append, check, fill, item, only, open_repository

WRITER = """
import sys, time
from dbx.repo.batch.commit import commit_staged
from dbx.repo.upkeep.gc import collect
from dbx.repo.repository import Repository
from dbx.repo.batch.staging import clear, stage
from dbx.repo.writer import Append, Appender
from dbx.errors import Conflict

def item(n, size):
    name = f"w-{n % 40}"
    return {"aggregate_type": "order", "aggregate_id": name, "event_type": "e", "payload": {"n": n, "x": "y" * size}}

path, kind, until = sys.argv[1], sys.argv[2], time.time() + float(sys.argv[3])
repository = Repository(path, clock=lambda: time.time_ns() // 1000, wait_s=60)
domain = repository.domain()
n = 0
while time.time() < until:
    n += 1
    if kind == "append":
        Appender(domain).append(Append([item(n, 50 * (n % 100))], issued_by=None))
    elif kind == "stage":
        try:
            stage(domain, [(m, item(m, 300), None) for m in range(1, 200)], issued_by=None)
            if n % 3 == 0:
                commit_staged(domain, actor=None)
        except Conflict:
            clear(domain)
    else:
        collect(domain)
        time.sleep(0.05)
repository.close()
"""


@pytest.mark.parametrize("quick", [False, True])
def test_no_false_alarm(tmp_path: Path, quick: bool) -> None:
    path = fill(tmp_path)
    seconds = 6.0
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / ".dbx"), kind, str(seconds)], cwd=CHECKOUT)
        for kind in ("append", "stage", "gc")
    ]
    until = time.monotonic() + seconds
    checks = 0
    last = 0
    try:
        while time.monotonic() < until:
            report = check(path, quick=quick, processes=1 + checks % 2)
            assert report.clean, report.findings
            assert report.events >= last
            last = report.events
            checks += 1
    finally:
        status = [writer.wait(60) for writer in writers]
    assert status == [0, 0, 0]
    assert checks > 2
    report = check(path)
    assert report.clean, report.findings
    assert report.events >= last > 39


def test_a_segment_that_was_merged_away_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """gc comes between the reading of the manifest and that of the segments."""
    path = fill(tmp_path)
    read = checking.read_manifest
    done: list[int] = []

    def read_then_merge(*arguments: object, **options: object) -> object:
        found = read(*arguments, **options)  # type: ignore[arg-type]
        if len(done) < 2:
            done.append(1)
            repository = open_repository(tmp_path)
            append(repository.domain(), item("late"))
            collect(repository.domain())
            repository.close()
        return found

    monkeypatch.setattr(checking, "read_manifest", read_then_merge)
    started = time.monotonic()
    report = check(path)
    assert report.clean, report.findings
    assert time.monotonic() - started < 20, "gc has waited for a reader of the index"
    assert report.events == 41
    assert len(done) == 2


def test_a_source_that_vanishes(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    source = frames.Source(Directory(str(tmp_path)), "f")
    source.close()
    (tmp_path / "f").unlink()
    with pytest.raises(frames.Vanished):
        source.get(0, 1)


def test_a_write_that_is_under_way(tmp_path: Path) -> None:
    """The tail looks damaged at first, and is whole a moment later."""
    path = fill(tmp_path)
    journal = only(path, "journal-*")
    data = journal.read_bytes()
    half = len(data) - 600
    journal.write_bytes(data[:half] + bytes(200) + data[half + 200 :])
    threading.Timer(0.03, lambda: journal.write_bytes(data)).start()
    report = check(path)
    assert report.clean
    assert report.events == 39
