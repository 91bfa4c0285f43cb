"""Reflogs: every move of a ref, one line each. Evidence, written after the move is durable and not fsynced itself."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from dbx.errors import Corrupt, DbxError
from dbx.formats import reflog
from dbx.store.fs import write_all

if TYPE_CHECKING:
    from dbx.formats.reflog import ReflogEntry
    from dbx.store.fs import Directory
    from dbx.store.lock import Lock

LOGS = "logs"
MAX_BYTES = 1 << 30
_MOST_HELD = 64


def is_lost(line: bytes) -> bool:
    """Whether a power cut took a part of a line: entries are not synced, and pages that did not make it are zeros."""
    return b"\0" in line


class Reflog:
    """The reflog of one ref, e.g. `refs/heads/main`."""

    __slots__ = ("_directory", "_fd", "_held", "name")

    def __init__(self, directory: Directory, ref: str) -> None:
        self._directory = directory
        self._fd = -1
        self._held: list[ReflogEntry] = []
        self.name = f"{LOGS}/{ref}"

    @property
    def holds(self) -> bool:
        """Whether entries wait to be written."""
        return bool(self._held)

    def hold(self, entries: list[ReflogEntry]) -> None:
        """Add entries before long: with others, or when they have become many. A process that dies loses them."""
        self._held += entries
        if len(self._held) >= _MOST_HELD:
            self.append([])

    def settle(self, lock: Lock) -> None:
        """Write what waits to be written, or forget it where somebody else is writing: it is evidence, not history."""
        if not self._held:
            return
        taken = False
        try:
            if not lock.held:
                lock.acquire(0)
                taken = True
            self.append([])
        except (DbxError, OSError):
            self._held = []
        finally:
            if taken:
                lock.release()

    def append(self, entries: list[ReflogEntry]) -> None:
        """Add entries at the end, behind those that wait, and behind a line that an interruption left unfinished.

        The writer's lock must be held.
        """
        if self._held:
            entries, self._held = [*self._held, *entries], []
        if self._fd < 0:
            self._directory.make(self.name.rpartition("/")[0])
            self._fd = self._directory.open_write(self.name, create=True)
        end = os.lseek(self._fd, 0, os.SEEK_END)
        data = b"".join(map(reflog.encode_entry, entries))
        if end and os.pread(self._fd, 1, end - 1) != b"\n":
            end = self._last_line_end(end)
            os.ftruncate(self._fd, end)
        write_all(self._fd, data, end)

    def read(self) -> list[ReflogEntry]:
        """Every entry, oldest first; lines that an interruption spoilt are left out. Raises Corrupt."""
        data = self._directory.find(self.name, MAX_BYTES) or b""
        lines = data.split(b"\n")[:-1]
        try:
            return reflog.decode_reflog(b"".join(line + b"\n" for line in lines if not is_lost(line)))
        except Corrupt as error:
            raise Corrupt(f"'{self.name}' is damaged: {error.message}", details={"file": self.name}) from None

    def last(self) -> ReflogEntry | None:
        """The newest entry that can be read: this is evidence, and damage to it is for fsck to tell."""
        try:
            fd = self._directory.open_read(self.name)
        except FileNotFoundError:
            return None
        try:
            size = os.fstat(fd).st_size
            data = os.pread(fd, 16384, max(0, size - 16384))
        finally:
            os.close(fd)
        for line in reversed(data.split(b"\n")[:-1]):
            with suppress(Corrupt):
                return reflog.decode_entry(line + b"\n")
        return None

    def close(self) -> None:
        """Close the descriptor."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _last_line_end(self, end: int) -> int:
        while end:
            start = max(0, end - 16384)
            found = os.pread(self._fd, end - start, start).rfind(b"\n") + 1
            if found:
                return start + found
            end = start
        return 0
