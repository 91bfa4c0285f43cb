"""Reflogs: every move of a ref, one line each. Evidence, written after the move is durable and not fsynced itself.

Two kinds of lines are written and synced before the move: a tag's, which hold its message, and those that take a commit
back, without which the shorter log would look like damage.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from dbx.errors import Corrupt, DbxError
from dbx.formats import reflog
from dbx.store.descriptor import write_all
from dbx.store.fs import sync_data

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.formats.reflog import ReflogEntry
    from dbx.store.fs import Directory
    from dbx.store.lock import Lock

LOGS = "logs"
MAX_BYTES = 1 << 30
_MOST_HELD = 64
_CHUNK = 1 << 16


def is_lost(line: bytes) -> bool:
    """Whether a power cut took a part of a line: entries are not synced, and pages that did not make it are zeros."""
    return b"\0" in line


class Reflog:
    """The reflog of one ref, e.g. `refs/heads/main`."""

    __slots__ = ("_directory", "_fd", "_held", "_held_at", "name")

    def __init__(self, directory: Directory, ref: str) -> None:
        self._directory = directory
        self._fd = -1
        self._held: list[ReflogEntry] = []
        self._held_at = 0
        self.name = f"{LOGS}/{ref}"

    @property
    def holds(self) -> bool:
        """Whether entries wait to be written."""
        return bool(self._held)

    def hold(self, entries: list[ReflogEntry]) -> None:
        """Add entries before long: with others, or when they have become many. A process that dies loses them."""
        if not self._held:
            self._held_at = self._size()
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

    def append(self, entries: list[ReflogEntry], *, durable: bool = False) -> None:
        """Add entries at the end, behind those that wait, and behind a line that an interruption left unfinished.

        With `durable` they are on disk on return. The writer's lock must be held.
        """
        if self._held:
            # Behind lines that others have written meanwhile they would be out of order, and name what may be undone.
            held, self._held = self._held, []
            entries = [*held, *entries] if self._held_at == self._size() else entries
        fresh = False
        if self._fd < 0:
            self._directory.make(self.name.rpartition("/")[0])
            fresh = durable and not self._directory.exists(self.name)
            self._fd = self._directory.open_write(self.name, create=True)
        end = os.lseek(self._fd, 0, os.SEEK_END)
        data = b"".join(map(reflog.encode_entry, entries))
        if end and os.pread(self._fd, 1, end - 1) != b"\n":
            end = self._last_line_end(end)
            os.ftruncate(self._fd, end)
        write_all(self._fd, data, end)
        if durable:
            sync_data(self._fd)
        if fresh:
            self._directory.sync(self.name.rpartition("/")[0])

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

    def newest(self) -> Iterator[ReflogEntry]:
        """As `read`, newest first and in bounded memory."""
        try:
            fd = self._directory.open_read(self.name)
        except FileNotFoundError:
            return
        try:
            for line in _lines_backwards(fd):
                if is_lost(line):
                    continue
                try:
                    yield reflog.decode_entry(line)
                except Corrupt as error:
                    message = f"'{self.name}' is damaged: {error.message}"
                    raise Corrupt(message, details={"file": self.name}) from None
        finally:
            os.close(fd)

    def close(self) -> None:
        """Close the descriptor."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _size(self) -> int:
        if self._fd >= 0:
            return os.fstat(self._fd).st_size
        try:
            return self._directory.stat(self.name).st_size
        except FileNotFoundError:
            return 0

    def _last_line_end(self, end: int) -> int:
        while end:
            start = max(0, end - 16384)
            found = os.pread(self._fd, end - start, start).rfind(b"\n") + 1
            if found:
                return start + found
            end = start
        return 0


def _lines_backwards(fd: int) -> Iterator[bytes]:
    """The whole lines of a file with their newlines, the last one first."""
    at = os.fstat(fd).st_size
    rest = b""
    last = True
    while at:
        start = max(0, at - _CHUNK)
        lines = (os.pread(fd, at - start, start) + rest).split(b"\n")
        at = start
        rest = lines[0]
        if len(rest) > MAX_BYTES >> 10:
            raise Corrupt("a line of a reflog is too long to be one")
        for line in reversed(lines[1:]):
            if not last:
                yield line + b"\n"
            last = False  # what follows the last newline is nothing, or was interrupted
    if rest and not last:
        yield rest + b"\n"
