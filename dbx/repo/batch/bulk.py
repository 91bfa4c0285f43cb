"""Staging a file of JSON lines: a large one is cut in two, and the second half is checked by a process of its own.

The result is that of one process, but for salts; where the second process cannot say, or the machine has one core, one
process reads all of it.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import threading
from array import array
from typing import TYPE_CHECKING

from dbx.errors import DbxError, Failure
from dbx.repo.batch import half
from dbx.repo.batch.staging import stage
from dbx.repo.collection import no_collection
from dbx.repo.intake import parse_lines
from dbx.repo.lines import GZIP, MAX_LINE_BYTES, read_lines
from dbx.repo.record import MERGED
from dbx.store.descriptor import is_readable
from dbx.store.fs import read_at
from dbx.store.messages import SAYS, read_exactly, receive, send

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dbx.formats.envelope import Actor
    from dbx.repo.batch.staging import StagedResult, Tree
    from dbx.repo.build import Builder
    from dbx.repo.domain import Domain
    from dbx.repo.intake import Item
    from dbx.repo.record import Record
    from dbx.store.fs import TemporaryFile
    from dbx.store.section import Section

LARGE_BYTES = 8 * 1024 * 1024
"""From here on a second process is worth its start."""
_OWN_SHARE = 0.445
"""Of the bytes: this process finishes its events as it reads them, the other one only when it knows the versions."""


def stage_lines(
    domain: Domain,
    read: Callable[[int], bytes],
    *,
    file: int | None = None,
    issued_by: Actor | None,
    max_faults: int = 100,
    dry_run: bool = False,
    progress: Callable[[int], None] | None = None,
    large_bytes: int = LARGE_BYTES,
) -> StagedResult:
    """Stage a stream of JSON lines, plain or gzip: all events, or none.

    `read(n)` gives at most n bytes, none at the end; `file` is a descriptor of the same bytes, if they are a file that
    nothing was read of yet. `progress` is told how many bytes came. Raises as `stage`.
    """
    second = None
    if file is not None and can_fork(domain):
        size = os.fstat(file).st_size
        cut = _cut(file, size, large_bytes)
        if cut:
            read = half.reader(file, 0, cut)
            second = SecondHalf(domain, file, cut, size, progress)
    with no_collection():
        return stage(
            domain,
            lambda builder: parse_lines(builder, read_lines(read, progress=progress)),
            issued_by=issued_by,
            max_faults=max_faults,
            dry_run=dry_run,
            second=second,
        )


def can_fork(domain: Domain) -> bool:
    """Whether a second process may help: two cores, no other thread, and randomness that two may draw."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores > 1 and hasattr(os, "fork") and threading.active_count() == 1 and domain.entropy is os.urandom


class SecondHalf:
    """The end of a file, from `start` on, being checked by another process while this one reads what is before."""

    def __init__(
        self, domain: Domain, source: int, start: int, end: int, progress: Callable[[int], None] | None
    ) -> None:
        self._directory = domain.directory
        self._vault = domain.vault
        self._source = source
        self._start = start
        self._end = end
        self._progress = progress
        self._pid = 0
        self._reading = self._writing = -1
        self._notes: TemporaryFile | None = None
        self._said = False

    def start(self, builder: Builder, section: Section) -> None:
        """Let the other process begin."""
        self._notes = self._directory.temporary()
        target, _ = section.target()
        asks, self._writing = os.pipe()
        self._reading, answers = os.pipe()
        work = half.Work(
            self._source, self._start, self._end, self._notes.fd, target, asks, answers,
            builder.now, builder.suffix, builder.entropy, builder.rules, self._vault,
        )  # fmt: skip
        if builder.rules is not None:
            builder.rules.load_sound()  # the other process closes the index, which keeps them
        self._pid = os.fork()
        if not self._pid:
            half.run(work)
        os.close(asks)
        os.close(answers)

    def watch(self, builder: Builder) -> None:
        """Between events: whether the other process is still of use. Raises Failure when it has died."""
        if not self._pid or self._said:
            return
        if builder.faults or builder.given:
            self.stop()
        elif is_readable(self._reading, 0):
            self._hear()

    def join(self, builder: Builder, section: Section, tree: Tree) -> tuple[bytes, bytes] | None:
        """Take over what the other process made; its last event, or None where this one must read on by itself.

        The first half must have been built and written. Raises Failure when the other process died.
        """
        self.watch(builder)
        if self._pid and not self._said:
            self._hear()
        if not self._pid or builder.faults or builder.given:
            return None
        try:
            return self._join(builder, section, tree)
        except (EOFError, BrokenPipeError):
            raise self._died() from None

    def items(self, builder: Builder) -> Iterator[Item]:
        """What `join` did not take over, for this process to check."""
        read = half.reader(self._source, 0, self._start)
        lines = 1
        while data := read(1 << 20):
            lines += data.count(b"\n")
        read = half.reader(self._source, self._start, self._end)
        return parse_lines(builder, read_lines(read, progress=self._progress, first_line=lines))

    def stop(self) -> None:
        """End the other process, wherever it is, and remove its notes. Safe to call twice."""
        if self._pid:
            pid, self._pid = self._pid, 0
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        for fd in (self._reading, self._writing):
            if fd >= 0:
                os.close(fd)
        self._reading = self._writing = -1
        if self._notes is not None:
            self._notes.discard()
            self._notes = None

    def _hear(self) -> None:
        """Wait until the other process has checked its half, or gives up."""
        try:
            self._said = read_exactly(self._reading, 1) == SAYS
        except EOFError:
            raise self._died() from None
        if not self._said:
            self.stop()

    def _join(self, builder: Builder, section: Section, tree: Tree) -> tuple[bytes, bytes] | None:
        names, first, last, numbers_, unlike_first, noted = receive(self._reading, 6)
        numbers = array("I", numbers_)
        try:
            records = builder.meet(name.partition(" ") for name in names.decode().split("\n"))
        except DbxError:
            return None  # a fault of the first line that names the aggregate: found again when that is read
        if any(record.archived for record in records):
            return None
        if any(unlike and not record.version for unlike, record in zip(unlike_first, records, strict=True)):
            return None  # the first event of a new aggregate lacks what that must hold: found again when it is read
        versions = array("Q", [record.version for record in records]).tobytes()
        runs = builder.draw(len(numbers))
        at = f"{section.target()[1]} {tree.size}"
        send(self._writing, versions, json.dumps(runs).encode(), at.encode())
        for record, created_at, updated_at in zip(
            records, first.decode().split("\n"), last.decode().split("\n"), strict=True
        ):
            record.created_at = record.created_at or created_at
            record.updated_at = updated_at
        self._lay(records)
        for record in records:
            record.settle()  # here and not at the end, because the other process is still at work
        return self._follow(builder, section, tree, [records[number] for number in numbers], int(noted))

    def _follow(
        self, builder: Builder, section: Section, tree: Tree, records: list[Record], leaves_at: int
    ) -> tuple[bytes, bytes]:
        """Take over the events, each of one of `records`, while they are written; the last one."""
        assert self._notes is not None  # noqa: S101 - stopped only afterwards
        done = 0
        while done < len(records):
            size, count, trees = self._receive(3)
            events = int(count)
            section.take(int(size), events)
            tree.graft(half.decode_trees(trees))
            leaves = read_at(self._notes.fd, half.LEAF_BYTES * events, leaves_at + half.LEAF_BYTES * done)
            builder.take(records[done : done + events], leaves)
            done += events
        builder.settle()
        if self._progress is not None:
            self._progress(self._end - self._start)
        envelope, body = self._receive(2)
        return envelope, body

    def _lay(self, records: list[Record]) -> None:
        shapes = [MERGED]
        for start in range(0, len(records), half.PIECE):
            fresh, states, extensions = self._receive(3)
            shapes += fresh.decode().split("\n") if fresh else []
            for record, state, extension in zip(
                records[start : start + half.PIECE],
                half.decode_layers(shapes, states),
                half.decode_layers(shapes, extensions),
                strict=True,
            ):
                if state[1]:
                    record.lay(*state)
                if extension[1]:
                    record.lay_metadata(*extension)

    def _receive(self, count: int) -> list[bytes]:
        if read_exactly(self._reading, 1) != SAYS:
            raise EOFError
        return receive(self._reading, count)

    def _died(self) -> Failure:
        pid, self._pid = self._pid, 0
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        return Failure(
            f"the process that checked the second half of the file {how}, so nothing was staged",
            hint="try again; it may have been out of memory",
        )


def _cut(file: int, size: int, large_bytes: int) -> int:
    """Where the second half of a file begins, with a line; 0 where it should not be cut."""
    if size < large_bytes or not stat.S_ISREG(os.fstat(file).st_mode) or os.pread(file, len(GZIP), 0) == GZIP:
        return 0
    middle = int(size * _OWN_SHARE)
    cut = middle + os.pread(file, MAX_LINE_BYTES, middle).find(b"\n") + 1
    return cut if middle < cut < size else 0
