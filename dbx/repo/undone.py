"""What the reflog says was taken back, so that a shorter log does not look like a damaged one.

An index, or a line of the reflog itself, that knows commits which `dbx undo` took back is not ahead of the log, only
old. Taking back writes a line whose reason begins with "undo: "; putting back one that begins with "redo: ".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.errors import Corrupt
from dbx.formats.reflog import decode_entry
from dbx.repo.log import MAIN
from dbx.store.reflog import MAX_BYTES, Reflog, is_lost

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dbx.formats.reflog import ReflogEntry
    from dbx.store.fs import Directory

UNDO = "undo: "
REDO = "redo: "
_UNDO = b" undo: "
COMMITS = "refs/undone/commits"
"""Refs, each named by the commit that it names: what was taken back, whole, as long as the ref is there."""


def read_undone(directory: Directory, since: int | None = None) -> set[str]:
    """The ids of the branch's commits that were taken back and not put back; none where the reflog cannot be read.

    With `since`, which `reflog_size` gave before, also those that were taken back at any moment from then on.
    """
    try:
        data = directory.find(Reflog(directory, MAIN).name, MAX_BYTES) or b""
        if _UNDO not in data:
            return set()
        taken = TakenBack()
        found: set[str] = set()
        end = 0
        for line in data.split(b"\n")[:-1]:
            if since is not None and end >= since:
                found |= taken.ids()
            end += len(line) + 1
            if not is_lost(line):
                taken.add(decode_entry(line + b"\n"))
        return found | taken.ids()
    except Corrupt:
        return set()


def reflog_size(directory: Directory) -> int:
    """How long the branch's reflog is, in bytes; 0 where there is none, or no file."""
    try:
        return directory.stat(Reflog(directory, MAIN).name).st_size
    except (FileNotFoundError, Corrupt):
        return 0


def undone_commits(entries: Iterable[ReflogEntry]) -> set[str]:
    """The ids of what was taken back and not put back, from the entries of the reflog, oldest first."""
    taken = TakenBack()
    for entry in entries:
        taken.add(entry)
    return taken.ids()


class TakenBack:
    """Follows a reflog entry by entry."""

    def __init__(self) -> None:
        self._line: list[tuple[str, int]] = []
        self._gone: dict[str, list[tuple[str, int]]] = {}

    def add(self, entry: ReflogEntry) -> None:
        """The next entry."""
        line, gone = self._line, self._gone
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

    def ids(self) -> set[str]:
        """What is taken back now."""
        return {commit for last, taken in self._gone.items() for commit in (last, *(each for each, _ in taken))}
