"""What is kept of a domain's watcher: `watch.lock`, which it holds as long as it lives, and `watch.json`, for people.

The lock alone says whether a watcher is there: the kernel drops it with the process. The file says what it does and
did. It holds no address and no token, and losing it loses nothing.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.errors import Corrupt, Invalid, Locked
from dbx.formats import canonical
from dbx.store.lock import Lock, find_holder

if TYPE_CHECKING:
    from dbx.repo.domain import Domain

STATE = "watch.json"
LOCK = "watch.lock"
LOG = "watch.log"
OLD_LOG = "watch.log.1"
MAX_LOG_BYTES = 1 << 20
"""From this size on the log begins anew; the one before is kept."""
_MAX_BYTES = 64 * 1024
_WAIT_S = 1.0
_FORMAT = 1


class WatchState(NamedTuple):
    """A watcher's state; times as RFC 3339 text, None for what has not happened yet.

    `mode` is Push, Pull or Bidirectional, `born` the kernel's mark of when process `pid` began, `last_cycle_push` and
    `last_cycle_pull` what the last cycle moved, `failures` counts the cycles that failed since one succeeded.
    """

    domain: str
    remote: str
    pid: int
    born: int | None
    mode: str
    interval_secs: int
    aggregate: str | None
    aggregate_id: str | None
    concurrency: int
    run_once: bool
    background: bool
    started_at: str
    stopped_at: str | None = None
    last_cycle_started_at: str | None = None
    last_cycle_completed_at: str | None = None
    last_cycle_error: str | None = None
    last_cycle_push: dict[str, Any] | None = None
    last_cycle_pull: dict[str, Any] | None = None
    cycles: int = 0
    failures: int = 0
    next_cycle_at: str | None = None


class WatchLock:
    """The right to watch a domain, from `take` until `close` or the end of the process."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._lock = Lock(domain.directory, LOCK)

    def take(self) -> None:
        """Take it. Raises Locked, naming the watcher that has it."""
        try:
            # Whoever only asks holds it for a moment.
            self._lock.acquire(_WAIT_S)
        except Locked as error:
            pid = error.details.get("pid")
            raise Locked(
                f"domain '{self._domain.name}' is already watched by process {pid or 'unknown'}",
                hint="end it with 'dbx watch stop', or add '--skip-if-active'",
                details={"pid": pid, "domain": self._domain.name},
            ) from None

    def close(self) -> None:
        """Give it back."""
        self._lock.close()


def find_watcher(domain: Domain) -> int | None:
    """The pid of the domain's living watcher, 0 where that is not known; None where none lives."""
    return find_holder(domain.directory, LOCK)


def write_state(domain: Domain, state: WatchState) -> None:
    """Keep a state, durably."""
    domain.directory.write(STATE, canonical.encode({"format": _FORMAT, **state._asdict()}) + b"\n")


def find_state(domain: Domain) -> WatchState | None:
    """The state that was kept last, whether or not that watcher lives. Raises Corrupt."""
    data = domain.directory.find(STATE, _MAX_BYTES)
    if data is None:
        return None
    try:
        value = canonical.loads(data, what=STATE)
        if not isinstance(value, dict) or value.pop("format", None) != _FORMAT:
            raise Invalid("it is not of a format that this dbx knows")
        state = WatchState(**{key: value[key] for key in WatchState._fields})
        _check(state)
    except (Invalid, KeyError, TypeError) as error:
        why = error.message if isinstance(error, Invalid) else "a field is missing or wrong"
        raise Corrupt(
            f"'{domain.directory.path_of(STATE)}' is damaged: {why}",
            hint="remove it: the next watcher writes it anew",
            details={"file": STATE},
        ) from None
    return state


def find_birth(pid: int) -> int | None:
    """The kernel's mark of when a process began, which no later process of that number has; None where it has none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name in parentheses may hold anything; the mark is the 20th word behind it.
            return int(file.read(4096).rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def open_log(domain: Domain) -> int:
    """A descriptor that appends to the watcher's log; a log that has grown long is put aside first."""
    if domain.directory.exists(LOG) and domain.directory.stat(LOG).st_size > MAX_LOG_BYTES:
        domain.directory.rename(LOG, OLD_LOG)
    fd = domain.directory.open_write(LOG, create=True)
    os.lseek(fd, 0, os.SEEK_END)
    return fd


def _check(state: WatchState) -> None:
    texts = (state.domain, state.remote, state.mode, state.started_at)
    maybe = (
        *(state.aggregate, state.aggregate_id, state.stopped_at, state.last_cycle_started_at),
        *(state.last_cycle_completed_at, state.last_cycle_error, state.next_cycle_at),
    )
    numbers = (state.pid, state.interval_secs, state.concurrency, state.cycles, state.failures)
    if not (
        all(isinstance(text, str) for text in texts)
        and all(text is None or isinstance(text, str) for text in maybe)
        and all(type(number) is int and number >= 0 for number in numbers)
        and (state.born is None or type(state.born) is int)
        and all(moved is None or isinstance(moved, dict) for moved in (state.last_cycle_push, state.last_cycle_pull))
        and all(type(flag) is bool for flag in (state.run_once, state.background))
    ):
        raise Invalid("a field is missing or wrong")
