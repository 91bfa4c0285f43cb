"""What the reflog says was taken back."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbx.formats.envelope import Actor
from dbx.formats.reflog import ReflogEntry
from dbx.repo.undone import read_undone, reflog_size, undone_commits
from dbx.store.fs import Directory
from dbx.store.reflog import Reflog


def made(name: str | None) -> str | None:
    return None if name is None else name * 64


def entry(old: str | None, new: str | None, seq: int, reason: str = "commit") -> ReflogEntry:
    return ReflogEntry(made(old), made(new), seq, "2026-11-23T07:42:00.123456Z", Actor("ops", "jane"), reason)


C = "c" * 64
LINE = [entry(None, "a", 0), entry("a", "b", 1), entry("b", "c", 2)]


@pytest.mark.parametrize(
    ("more", "gone"),
    [
        ([], set()),
        ([entry("c", "b", 1, "undo: 1")], {"c"}),
        ([entry("c", "a", 0, "undo: 2")], {"b", "c"}),
        ([entry("c", None, 0, "undo: 3")], {"a", "b", "c"}),
        ([entry("c", "a", 0, "undo: 2"), entry("a", "c", 2, "redo: 2")], set()),
        ([entry("c", "a", 0, "undo: 2"), entry("a", "c", 2, "redo: 2"), entry("c", "b", 1, "undo: 1")], {"c"}),
        ([entry("c", "a", 0, "undo: 2"), entry("a", "d", 1)], {"b", "c"}),
        ([entry("c", "b", 1, "undo: 1"), entry("b", "d", 2), entry("d", "b", 1, "undo: 1")], {"c", "d"}),
        ([entry("c", "b", 1, "undo: 1"), entry("b", "d", 2), entry("d", "a", 0, "undo: 2")], {"b", "c", "d"}),
        # Not every line there ever was need be there.
        ([entry("e", "b", 1, "undo: 1")], {"e", "c"}),
        ([entry("c", "a", 0, "reindex --accept-loss: lost")], set()),
    ],
)
def test_what_is_gone(more: list[ReflogEntry], gone: set[str]) -> None:
    assert undone_commits([*LINE, *more]) == {each * 64 for each in gone}


def test_what_was_gone_at_some_moment_since(tmp_path: Path) -> None:
    directory = Directory(str(tmp_path))
    log = Reflog(directory, "refs/heads/main")
    assert (read_undone(directory), reflog_size(directory)) == (set(), 0)
    log.append(LINE)
    before = reflog_size(directory)
    assert read_undone(directory) == read_undone(directory, before) == set()
    log.append([entry("c", "b", 1, "undo: 1")])
    between = reflog_size(directory)
    assert read_undone(directory) == read_undone(directory, before) == {C} == read_undone(directory, between)
    log.append([entry("b", "c", 2, "redo: 1")])
    assert read_undone(directory) == set()
    assert read_undone(directory, before) == read_undone(directory, between) == {C}
    assert read_undone(directory, reflog_size(directory)) == set()
    log.close()
    path = tmp_path / "logs/refs/heads/main"
    path.write_bytes(path.read_bytes() + b"nonsense undo: \n")
    assert read_undone(directory) == set()
