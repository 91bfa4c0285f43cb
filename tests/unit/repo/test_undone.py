"""What the reflog says was taken back."""

from __future__ import annotations

import pytest

from dbx.formats.envelope import Actor
from dbx.formats.reflog import ReflogEntry
from dbx.repo.undone import undone_commits


def entry(old: str | None, new: str | None, seq: int, reason: str = "commit") -> ReflogEntry:
    return ReflogEntry(old, new, seq, "2026-11-23T07:42:00.123456Z", Actor("ops", "jane"), reason)


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
        ([entry("x", "b", 1, "undo: 1")], {"x", "c"}),
        ([entry("c", "a", 0, "reindex --accept-loss: lost")], set()),
    ],
)
def test_what_is_gone(more: list[ReflogEntry], gone: set[str]) -> None:
    assert undone_commits([*LINE, *more]) == gone
