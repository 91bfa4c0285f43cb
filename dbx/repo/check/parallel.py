"""Checking blocks on several cores. Almost nothing travels: joined leaf hashes, and what a run's events add up to.

The hashes come first, piece by piece: they are followed here while the other processes go on reading and folding.
What events add up to goes from the process of each run to that of the next. The last one then knows all of it, and
tells a hash for each aggregate. This process folds nothing: its bodies are read again by the next one, which folds them
below what it has folded itself, and takes only those apart that still count.

The work is cut into as many runs of blocks as there are processes; the first is this process's own. What comes out is
the same, in the same order, for any number of them.
"""

from __future__ import annotations

import mmap
import os
import signal
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from dbx.errors import Failure
from dbx.repo.check.blocks import BlockReader
from dbx.repo.check.frames import Vanished
from dbx.repo.check.part import NotCanonical, Part
from dbx.repo.check.run import add_blocks, check_blocks, new_part, read_bodies
from dbx.repo.check.share import share
from dbx.store.descriptor import is_readable, write_all
from dbx.store.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import NoReturn

    from dbx.repo.check.frames import Source
    from dbx.repo.check.part import Job
    from dbx.repo.check.share import Amount

_SMALL = 2 * 1024 * 1024
"""Stored bytes from which on a second process is worth its start."""
_LARGE = 16 * 1024 * 1024
"""Stored bytes of a run from which on its bodies are not held back, but read twice: that takes less memory,"""
_LARGE_ALONE = 24 * 1024 * 1024
"""but with one process time, as long as they need not be folded piece by piece."""
_PIECES = 16
_WORD = 8
_ROWS = b"R"
_LAST_ROWS = b"L"
_VANISHED = 3


class Again(Exception):  # noqa: N818 - not an error: begin again, and fold before anything is told
    """A run turned out not to be canonical when a part of what it holds was told already, or more must be told."""


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
        amount: Amount,
        processes: int,
        progress: Callable[[int], None],
        careful: bool = False,
        whole: bool = False,
    ) -> None:
        """`sizes` are the stored bytes of the jobs, by which they are shared out, and `amount` is what they hold.

        With `careful` every run is folded before any of it is told, so that `states` never raises Again. With `whole`
        it gives the states, not only their hashes.
        """
        self._careful = careful
        self._whole = whole
        self._sources = sources
        self._progress = progress
        is_worth_it = processes > 1 and sum(sizes) >= _SMALL
        self._runs = share(jobs, sizes, amount, processes) if is_worth_it else [jobs]
        others = len(self._runs) - 1
        if others:
            self._are_many = sum(sizes[len(self._runs[0]) :]) > others * _LARGE
        else:
            self._are_many = sum(sizes) > _LARGE_ALONE
        self._children: list[tuple[int, int]] = []
        self._next = -1
        self._sender: threading.Thread | None = None
        self._counters: mmap.mmap | None = None
        self._told = 0

    def __enter__(self) -> Parts:
        others = self._runs[1:]
        if others:
            self._counters = mmap.mmap(-1, _WORD * len(others))
            before, self._next = os.pipe()
            for n, run in enumerate(others):
                before = self._start(n, run, before, is_last=run is others[-1])
        return self

    def __exit__(self, *_: object) -> None:
        for pid, fd in self._children:
            os.close(fd)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self._children = []
        if self._sender is not None:
            self._sender.join()  # nobody is left to read
        elif self._next >= 0:
            os.close(self._next)
        self._next = -1

    @property
    def are_several(self) -> bool:
        """Whether there are other runs than the first."""
        return len(self._runs) > 1

    def own(self) -> Part:
        """The first run. Where there are others, and unless it must be `careful`, it is left to the next to fold it.

        Raises Again.
        """
        if self._careful or not self.are_several:
            return check_blocks(self._runs[0], self._sources, self._progress, are_many=self._are_many)
        part = Part(folds=False)
        try:
            add_blocks(part, BlockReader(), self._runs[0], self._sources, self._progress)
        except NotCanonical:
            raise Again from None
        return part

    def others(self) -> Iterator[tuple[int, Part]]:
        """The other runs without their states, in order and piece by piece: (the number of the run from 0, a piece).

        Waits for each. Raises Failure when a process died, Vanished as they did, Again.
        """
        for n in range(len(self._children)):
            kind = _ROWS
            while kind != _LAST_ROWS:
                data = self._receive(n)
                kind = bytes(data[:1])
                yield n, Part.decode(memoryview(data)[1:])

    def pass_on(self, part: Part) -> None:
        """Give what the first run adds up to, or what there is to be folded, to the next run where there is one."""
        if self.are_several:
            # In a thread: the other process may read it much later.
            data = part.encode_states() if self._careful else part.encode_held()
            self._sender = threading.Thread(target=_send_last, args=(self._next, data), daemon=True)
            self._sender.start()
            part.states, part.extensions = [], []  # they are not needed here any more

    def states(self) -> Part | bytes:
        """What the events of all runs add up to, when `others` has come to its end: `Part.digest_states`, or the whole.

        Raises as `others`.
        """
        data = self._receive(len(self._children) - 1)
        return Part.decode_states(memoryview(data)) if self._whole else bytes(data)

    def _start(self, n: int, run: Sequence[Job], before: int, *, is_last: bool) -> int:
        """Begin a run; `before` is where it reads what the runs before it add up to. The same for the run after it."""
        reading, writing = os.pipe()
        after = (-1, -1) if is_last else os.pipe()
        pid = os.fork()
        if pid:
            self._children.append((pid, reading))
            for fd in (before, writing, after[1]):
                if fd >= 0:
                    os.close(fd)
            return after[0]
        status = 1
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted as well, and ends this process
            # A pipe ends when its last writer does: nobody may hold an end that is not his.
            for fd in (reading, self._next, after[0], *(fd for _, fd in self._children)):
                if fd >= 0:
                    os.close(fd)
            self._tell_run(writing, run, self._counter(n), before, after[1], folds_first=n == 0 and not self._careful)
            status = 0
        except Vanished:
            status = _VANISHED
        finally:
            # Nothing of the parent's may be cleaned up here, and a traceback would be told twice.
            os._exit(status)

    def _tell_run(
        self,
        fd: int,
        run: Sequence[Job],
        progress: Callable[[int], None],
        before: int,
        after: int,
        *,
        folds_first: bool,
    ) -> None:
        """Check a run in a child, and send what it holds. `after` is -1 for the last run."""
        told = Outbox(fd)
        try:
            part = self._tell_rows(told, run, progress)
            earlier = _receive_all(before)
            if not earlier:
                raise NotCanonical
            if folds_first:
                part.fold_before(earlier, lambda place: read_bodies(place, self._sources))
            else:
                part.put_over(earlier)
            if after >= 0:
                _send(after, part.encode_states())
            else:
                told.put(_message(part.encode_states() if self._whole else part.digest_states()))
        except NotCanonical:
            told.put(_message(b""))
            if after >= 0:
                _send(after, b"")
        told.close()

    def _tell_rows(self, told: Outbox, run: Sequence[Job], progress: Callable[[int], None]) -> Part:
        if self._careful:
            part = check_blocks(run, self._sources, progress)
            told.put(_message(_LAST_ROWS + part.encode()))
            return part
        part, reader = new_part(self._sources, are_many=self._are_many), BlockReader()
        size = -(-len(run) // _PIECES)
        for at in range(0, len(run), size):
            add_blocks(part, reader, run[at : at + size], self._sources, progress)
            told.put(_message((_ROWS if at + size < len(run) else _LAST_ROWS) + part.encode()))
        part.fold()
        return part

    def _counter(self, n: int) -> Callable[[int], None]:
        done = 0

        def count(events: int) -> None:
            nonlocal done
            done += events
            if self._counters is not None:
                self._counters[_WORD * n : _WORD * n + _WORD] = done.to_bytes(_WORD, "big")

        return count

    def _receive(self, n: int) -> bytearray:
        """The next message of a child. Raises Again where that is an empty one."""
        fd = self._children[n][1]
        size = int.from_bytes(self._read(n, fd, _WORD), "big")
        if not size:
            raise Again
        data = self._read(n, fd, size)
        self._tell()
        return data

    def _read(self, n: int, fd: int, size: int) -> bytearray:
        data = bytearray()
        while len(data) < size:
            if is_readable(fd, 0.2):
                piece = os.read(fd, min(1 << 20, size - len(data)))
                if not piece:
                    self._bury(n)
                data += piece
            self._tell()
        return data

    def _bury(self, n: int) -> NoReturn:
        """A child has ended before it told all: say why."""
        pid, fd = self._children.pop(n)
        os.close(fd)
        _, status = os.waitpid(pid, 0)
        if os.waitstatus_to_exitcode(status) == _VANISHED:
            raise Vanished
        raise Failure(
            "a process that checked a part of the log has died",
            hint="run it again with '--jobs 1'; it may have been out of memory",
        )

    def _tell(self) -> None:
        if self._counters is not None:
            words = self._counters[:]
            done = sum(int.from_bytes(words[at : at + _WORD], "big") for at in range(0, len(words), _WORD))
            self._progress(done - self._told)
            self._told = done


def _send_last(fd: int, data: bytes) -> None:
    """Send in a thread, and close. Who should read it may have died; that is told elsewhere."""
    with suppress(BrokenPipeError):
        _send(fd, data)
    os.close(fd)


def _receive_all(fd: int) -> bytes:
    """A message from the run before. Raises EOFError when its process died."""
    with open(fd, "rb") as file:
        size = file.read(_WORD)
        data = file.read(int.from_bytes(size, "big"))
        if len(size) < _WORD or len(data) < int.from_bytes(size, "big"):
            raise EOFError
        return data


def _send(fd: int, data: bytes) -> None:
    write_all(fd, _message(data))


def _message(data: bytes) -> bytes:
    return len(data).to_bytes(_WORD, "big") + data
