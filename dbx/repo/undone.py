"""What the reflog says was taken back, so that a shorter log does not look like a damaged one.

An index, or a line of the reflog itself, that knows commits which `dbx undo` took back is not ahead of the log, only
old. Taking back writes a line whose reason begins with "undo: "; putting back one that begins with "redo: ".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.errors import Corrupt
from dbx.repo.log import MAIN
from dbx.store.reflog import Reflog

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dbx.formats.reflog import ReflogEntry
    from dbx.store.fs import Directory

UNDO = "undo: "
REDO = "redo: "
COMMITS = "refs/undone/commits"
"""Refs, each named by the commit that it names: what was taken back, whole, as long as the ref is there."""


def read_undone(directory: Directory) -> set[str]:
    """The ids of the branch's commits that were taken back and not put back; none where the reflog cannot be read."""
    try:
        return undone_commits(Reflog(directory, MAIN).read())
    except Corrupt:
        return set()


def undone_commits(entries: Iterable[ReflogEntry]) -> set[str]:
    """The same from the entries of the reflog, oldest first."""
    line: list[tuple[str, int]] = []
    gone: dict[str, list[tuple[str, int]]] = {}
    for entry in entries:
        if entry.reason.startswith(UNDO):
            kept = -1 if entry.new is None else entry.seq
            taken: list[tuple[str, int]] = []
            while line and line[-1][1] > kept:
                taken.append(line.pop())
            if entry.old is not None:
                gone[entry.old] = taken
        elif entry.new is not None:
            line += reversed(gone.pop(entry.new, [])) if entry.reason.startswith(REDO) else ()
            line.append((entry.new, entry.seq))
    return {commit for last, taken in gone.items() for commit in (last, *(each for each, _ in taken))}
