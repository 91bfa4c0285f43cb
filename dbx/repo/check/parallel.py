"""Checking blocks on several cores. Almost nothing travels: joined leaf hashes, and what a run's events add up to.

The work is cut into as many runs of blocks as there are processes; the first is this process's own. What comes out is
the same, in the same order, for any number of them.
"""

from __future__ import annotations

import mmap
import os
import select
import signal
from typing import TYPE_CHECKING

from dbx.errors import Failure
from dbx.repo.check.frames import Vanished
from dbx.repo.check.part import Part, check_blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dbx.repo.check.frames import Source
    from dbx.repo.check.part import Job

_SMALL = 2 * 1024 * 1024
"""Stored bytes from which on a second process is worth its start."""
_OWN_SHARE = 0.7
"""How much of an equal share this process takes: it also joins what the others found."""
_WORD = 8
_VANISHED = 3


class Parts:
    """Runs of blocks being checked: the first here, when it is asked for, the others since `start`.

    Use it as a context manager: no process outlives it.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        sizes: Sequence[int],
        sources: Sequence[Source],
        *,
        processes: int,
        progress: Callable[[int], None],
    ) -> None:
        """`sizes` are the stored bytes of the jobs, by which they are shared out."""
        self._sources = sources
        self._progress = progress
        self._runs = _share(jobs, sizes, processes)
        self._children: list[tuple[int, int]] = []
        self._counters: mmap.mmap | None = None
        self._told = 0

    def __enter__(self) -> Parts:
        others = self._runs[1:]
        if others:
            self._counters = mmap.mmap(-1, _WORD * len(others))
        for n, run in enumerate(others):
            self._children.append(self._start(n, run))
        return self

    def __exit__(self, *_: object) -> None:
        for pid, fd in self._children:
            os.close(fd)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self._children = []

    def own(self) -> Part:
        """The first run."""
        return check_blocks(self._runs[0], self._sources, self._progress)

    def others(self) -> list[Part]:
        """The other runs, in order; waits for them. Raises Failure when a process died, Vanished as they did."""
        done: list[Part] = []
        while self._children:
            pid, fd = self._children[0]
            data = self._receive(fd)
            del self._children[0]
            os.close(fd)
            _, status = os.waitpid(pid, 0)
            if os.waitstatus_to_exitcode(status) == _VANISHED:
                raise Vanished
            if status or not data:
                raise Failure(
                    "a process that checked a part of the log has died",
                    hint="run it again with '--jobs 1'; it may have been out of memory",
                )
            done.append(Part.decode(data))
        return done

    def _start(self, n: int, run: Sequence[Job]) -> tuple[int, int]:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid:
            os.close(writing)
            return pid, reading
        status = 1
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted as well, and ends this process
            os.close(reading)
            data = check_blocks(run, self._sources, self._counter(n)).encode()
            view = memoryview(data)
            while view:
                view = view[os.write(writing, view) :]
            status = 0
        except Vanished:
            status = _VANISHED
        finally:
            # Nothing of the parent's may be cleaned up here, and a traceback would be told twice.
            os._exit(status)

    def _counter(self, n: int) -> Callable[[int], None]:
        done = 0

        def count(events: int) -> None:
            nonlocal done
            done += events
            if self._counters is not None:
                self._counters[_WORD * n : _WORD * n + _WORD] = done.to_bytes(_WORD, "big")

        return count

    def _receive(self, fd: int) -> bytearray:
        data = bytearray()
        while True:
            if select.select([fd], [], [], 0.2)[0]:
                piece = os.read(fd, 1 << 20)
                if not piece:
                    break
                data += piece
            self._tell()
        self._tell()
        return data

    def _tell(self) -> None:
        if self._counters is not None:
            words = self._counters[:]
            done = sum(int.from_bytes(words[at : at + _WORD], "big") for at in range(0, len(words), _WORD))
            self._progress(done - self._told)
            self._told = done


def _share(jobs: Sequence[Job], sizes: Sequence[int], processes: int) -> list[Sequence[Job]]:
    """Neighbouring jobs together, by size; one run where more are not worth it."""
    total = sum(sizes)
    if processes < 2 or total < _SMALL:
        return [jobs]
    others = (1 - _OWN_SHARE / processes) / (processes - 1)
    runs: list[Sequence[Job]] = []
    start = 0
    have = 0.0
    limit = total * _OWN_SHARE / processes
    for n, size in enumerate(sizes):
        if have >= limit and len(runs) < processes - 1:
            runs.append(jobs[start:n])
            start = n
            limit += total * others
        have += size
    return [*runs, jobs[start:]]
