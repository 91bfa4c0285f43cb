"""Many events against the schema files: a stream of JSON lines, or all that is stored."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import DbxError, Failure
from dbx.model.event import RESERVED
from dbx.model.time import format_time
from dbx.repo.intake import Intake, TooManyFaults, parse_lines
from dbx.repo.lines import read_lines
from dbx.store.descriptor import write_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dbx.model.event import Event
    from dbx.repo.domain import Domain
    from dbx.repo.intake import Fault
    from dbx.repo.record import Record
    from dbx.repo.rules import Rules

_CHUNK = 4096
LARGE_EVENTS = 20_000
"""Events from which on a second process is worth its start."""
_MAX_ANSWER_BYTES = 64 << 20


class Broken(NamedTuple):
    """A stored event that breaks a rule."""

    aggregate_type: str
    aggregate_id: str
    version: int
    event_id: int
    message: str


class _Lines(Intake):
    """Checks each line by itself. Whether it is the first of its aggregate is known within the stream only."""

    def _expect(self, record: Record, version: int) -> None:
        return

    def _take_given(self, event_id: int, line: int) -> None:
        return

    def _guard(self, record: Record, event_type: str) -> None:
        return


def check_lines(
    domain: Domain,
    rules: Rules,
    read: Callable[[int], bytes],
    max_faults: int,
    progress: Callable[[int], None] | None,
) -> tuple[int, list[Fault]]:
    """(how many lines were checked, what is wrong with some). An aggregate that is not stored begins in the stream."""
    working = domain.sync()
    intake = _Lines(
        find=working.find,
        has_type=working.has_type,
        now=format_time(domain.clock()),
        entropy=domain.entropy,
        rules=rules,
        max_faults=max_faults,
    )
    count = 0
    try:
        for record, *_ in intake.check(parse_lines(intake, read_lines(read, progress=progress))):
            record.version += 1
            count += 1
    except TooManyFaults:
        pass
    finally:
        domain.reset()  # the records in memory were counted on
    return count + len(intake.faults), intake.faults


def check_history(
    domain: Domain,
    rules: Rules,
    aggregate: str | None,
    max_faults: int,
    *,
    processes: int,
    progress: Callable[[int], None] | None,
    large_events: int = LARGE_EVENTS,
) -> tuple[int, int, list[Broken]]:
    """(how many events were checked, how many are broken, the first of those), in log order."""
    from dbx.repo import query

    if aggregate is not None:
        return _check(query.iterate_events(domain, aggregate), rules, max_faults, progress)
    end = domain.read(lambda working, _: working.head.position)
    if processes < 2 or end < large_events:
        return _check(query.iterate_events(domain, end=end), rules, max_faults, progress)
    middle = end // 2
    domain.close_reader()
    child = _Child(domain, rules, middle, end, max_faults)
    try:
        first = _check(query.iterate_events(domain, end=middle), rules, max_faults, progress)
        second = child.join()
    finally:
        child.stop()
    if progress is not None:
        progress(end - middle)
    return first[0] + second[0], first[1] + second[1], (first[2] + second[2])[:max_faults]


def _check(
    events: Iterable[Event], rules: Rules, max_faults: int, progress: Callable[[int], None] | None
) -> tuple[int, int, list[Broken]]:
    checked = invalid = 0
    found: list[Broken] = []
    for event in events:
        checked += 1
        if progress is not None and not checked % _CHUNK:
            progress(_CHUNK)
        if event.payload is None or event.event_type in RESERVED:
            continue
        try:
            rules.check_again(event, None)
        except DbxError as error:
            invalid += 1
            if len(found) < max_faults:
                found.append(
                    Broken(event.aggregate_type, event.aggregate_id, event.version, event.event_id, error.message)
                )
    return checked, invalid, found


class _Child:
    """The second half of the log, checked by a process that opens the domain's files for itself."""

    def __init__(self, domain: Domain, rules: Rules, start: int, end: int, max_faults: int) -> None:
        self._reading, writing = os.pipe()
        self._pid = os.fork()
        if self._pid:
            os.close(writing)
            return
        status = 1
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            os.close(self._reading)
            write_all(writing, json.dumps(_second(domain, rules, start, end, max_faults)).encode())
            status = 0
        finally:
            os._exit(status)

    def join(self) -> tuple[int, int, list[Broken]]:
        """What it found. Raises Failure when it died."""
        data = bytearray()
        while len(data) < _MAX_ANSWER_BYTES and (piece := os.read(self._reading, 1 << 20)):
            data += piece
        pid, self._pid = self._pid, 0
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status:
            raise Failure(f"the process that checked the second half of the events ended with status {status}")
        checked, invalid, found = json.loads(bytes(data))
        return checked, invalid, [Broken(*one) for one in found]

    def stop(self) -> None:
        """End it, wherever it is. Safe to call twice."""
        if self._reading >= 0:
            os.close(self._reading)
            self._reading = -1
        if self._pid:
            pid, self._pid = self._pid, 0
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _second(domain: Domain, rules: Rules, start: int, end: int, max_faults: int) -> tuple[int, int, list[Broken]]:
    from dbx.repo import query
    from dbx.repo.domain import Domain as Opened

    # SQLite connections do not survive a fork: this process opens the domain anew, and never touches the old one.
    own = Opened(domain.directory, domain.name, clock=domain.clock, entropy=domain.entropy, wait_s=domain.wait_s)
    try:
        return _check(query.iterate_events(own, start=start, end=end), rules, max_faults, None)
    finally:
        own.close()
