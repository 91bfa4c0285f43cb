"""One writer at a time, by flock(2): the kernel drops the lock of a process that dies; there is never one to delete."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from dbx.errors import Locked, NotFound

if TYPE_CHECKING:
    from dbx.store.fs import Directory


class Lock:
    """An exclusive lock on a file of a directory. Not for sharing between threads: guard it with a mutex there."""

    __slots__ = ("_directory", "_fd", "_file", "_held", "_name", "_path")

    def __init__(self, directory: Directory, name: str) -> None:
        self._directory = directory
        self._name = name
        self._path = directory.path_of(name)
        self._fd = -1
        self._file = (0, 0)
        self._held = False

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._held

    def acquire(self, wait_s: float) -> None:
        """Take the lock, waiting at most `wait_s` seconds. Raises Locked, naming the holder's pid.

        Raises NotFound when the directory was renamed or deleted while it was open.
        """
        if self._fd < 0:
            self._fd = self._directory.open_write(self._name, create=True)
            opened = os.fstat(self._fd)
            self._file = (opened.st_ino, opened.st_dev)
        if not self._try():
            self._wait(wait_s)
        self._held = True
        if self._is_replaced():
            self.close()
            raise NotFound(f"'{self._directory.path}' was moved or deleted meanwhile", hint="open it again")
        self._leave_pid()

    def _try(self) -> bool:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            return False
        return True

    def _wait(self, wait_s: float) -> None:
        now = time.monotonic()
        deadline = now + wait_s
        pause = 0.001
        while now < deadline:
            time.sleep(min(pause, deadline - now))
            if self._try():
                return
            pause = min(pause * 2, 0.005)
            now = time.monotonic()
        raise self._locked(wait_s)

    def _leave_pid(self) -> None:
        """Say who holds it: a courtesy to those who wait; a full disk must not keep anybody from the lock."""
        mine = b"%-20d\n" % os.getpid()
        try:
            if os.pread(self._fd, len(mine), 0) != mine:
                os.pwrite(self._fd, mine, 0)
        except OSError:
            return

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

    def _is_replaced(self) -> bool:
        """Whether what is locked is no longer the file of that name: then others do not see the lock."""
        try:
            found = os.lstat(self._path)
        except FileNotFoundError:
            return True
        return (found.st_ino, found.st_dev) != self._file

    def _locked(self, wait_s: float) -> Locked:
        pid = _holder_pid(self._fd)
        holder = f"process {pid}" if pid is not None else "another process"
        return Locked(
            f"'{self._directory.path}' is locked by {holder}, still after {wait_s:g} s",
            hint="wait for it to end, or allow more time with '--wait'",
            details={"pid": pid},
        )


def find_holder(directory: Directory, name: str) -> int | None:
    """Who holds the lock of that name: a pid, 0 where that is not known, None where it is free. It takes nothing."""
    try:
        fd = directory.open_read(name)
    except FileNotFoundError:
        return None
    try:
        # Those who ask at the same time share it; only a holder stands in the way.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        return _holder_pid(fd) or 0
    finally:
        os.close(fd)


def _holder_pid(fd: int) -> int | None:
    """Who locked an open file: as the kernel says, where it does; else as dbx wrote into it, which others do not."""
    opened = os.fstat(fd)
    place = f"{os.major(opened.st_dev):02x}:{os.minor(opened.st_dev):02x}:{opened.st_ino}"
    with suppress(OSError), open("/proc/locks", encoding="ascii", errors="replace") as locks:
        for line in locks:
            # proc(5): "1: FLOCK  ADVISORY  WRITE 708 08:01:131 0 EOF"; those who wait have an arrow before FLOCK.
            words = line.split()
            if words[1:2] == ["FLOCK"] and words[5:6] == [place] and words[4].isdigit() and words[4] != "0":
                return int(words[4])
    return _read_pid(fd)


def _read_pid(fd: int) -> int | None:
    text = os.pread(fd, 21, 0).decode("ascii", "replace").strip()
    return int(text) if text.isascii() and text.isdigit() else None
