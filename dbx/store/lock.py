"""One writer at a time, by flock(2): the kernel drops the lock of a process that dies; there is never one to delete."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from typing import TYPE_CHECKING

from dbx.errors import Locked

if TYPE_CHECKING:
    from dbx.store.fs import Directory


class Lock:
    """An exclusive lock on a file of a directory. Not for sharing between threads: guard it with a mutex there."""

    __slots__ = ("_directory", "_fd", "_held", "_name")

    def __init__(self, directory: Directory, name: str) -> None:
        self._directory = directory
        self._name = name
        self._fd = -1
        self._held = False

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._held

    def acquire(self, wait_s: float) -> None:
        """Take the lock, waiting at most `wait_s` seconds. Raises Locked, naming the holder's pid."""
        if self._fd < 0:
            self._fd = self._directory.open_write(self._name, create=True)
        deadline = None
        pause = 0.001
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise
            now = time.monotonic()
            if deadline is None:
                deadline = now + wait_s
            if now >= deadline:
                raise self._locked(wait_s)
            time.sleep(min(pause, max(0.0, deadline - now)))
            pause = min(pause * 2, 0.05)
        self._held = True
        mine = b"%-20d\n" % os.getpid()
        if os.pread(self._fd, 21, 0) != mine:
            os.pwrite(self._fd, mine, 0)

    def release(self) -> None:
        """Give the lock back; the file stays."""
        if self._held:
            self._held = False
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Release and close."""
        self.release()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _locked(self, wait_s: float) -> Locked:
        text = os.pread(self._fd, 21, 0).decode("ascii", "replace").strip()
        pid = int(text) if text.isascii() and text.isdigit() else None
        holder = f"process {pid}" if pid is not None else "another process"
        return Locked(
            f"'{self._directory.path}' is locked by {holder}, still after {wait_s:g} s",
            hint="wait for it to end, or allow more time with '--wait'",
            details={"pid": pid},
        )
