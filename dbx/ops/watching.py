"""Exchange a domain with a remote again and again: every so often, and at once when something is committed here."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from dbx.errors import DbxError, Failure, Locked, NotFound
from dbx.formats.bundle import START
from dbx.model.time import format_time
from dbx.ops.fetch import pull, pull_aggregates
from dbx.ops.push import push, push_aggregates
from dbx.ops.watch import CommitWatch
from dbx.repo.replica import offer as offers
from dbx.repo.replica.remoteconfig import get_remote, list_remotes
from dbx.repo.replica.watchstate import (
    LOG,
    WatchLock,
    WatchState,
    find_birth,
    find_state,
    find_watcher,
    open_log,
    write_state,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dbx.model.entropy import Entropy
    from dbx.ops.link import Access
    from dbx.ops.session import Session
    from dbx.repo.domain import Domain

Mode = Literal["push", "pull", "bidirectional"]
_MODES = {"push": "Push", "pull": "Pull", "bidirectional": "Bidirectional"}

FIRST_RETRY_S = 5.0
"""How long after a first failure the next cycle comes, unless the interval is shorter; it doubles with each further."""
LONGEST_S = 3600.0
_INTERVALS = 8
"""So many intervals a watcher waits at most after failures."""
_JITTER = 0.1
_SETTLE_S = 0.05
"""Commits that come so close together travel together."""


class Stopped(BaseException):
    """Somebody asked the watcher to end."""


class Stop:
    """How a signal reaches a watcher: between cycles it ends at once, within one when that is done."""

    def __init__(self) -> None:
        self.asked = False
        self._waiting = False

    def ask(self) -> None:
        """End. Called in the main thread, by the handler of a signal."""
        self.asked = True
        if self._waiting:
            self._waiting = False
            raise Stopped

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """What happens inside may be left at any moment."""
        self._waiting = True
        try:
            if self.asked:
                raise Stopped
            yield
        finally:
            self._waiting = False


class Plan(NamedTuple):
    """What a watcher does. `remote` None means origin, or the only one; `interval_s` is at least 1."""

    remote: str | None
    mode: Mode
    interval_s: int
    aggregate_type: str | None = None
    aggregate_id: str | None = None
    run_once: bool = False
    background: bool = False


class Cycle(NamedTuple):
    """One exchange: what came and what went, as JSON values; `error` is what stood in the way."""

    number: int
    started_at: str
    completed_at: str
    pulled: dict[str, Any] | None
    pushed: dict[str, Any] | None
    error: DbxError | None


class Watched(NamedTuple):
    """A state, whether its watcher lives, and where its log is, None where it has none."""

    state: WatchState
    active: bool
    log: str | None


def resolve(session: Session, name: str | None) -> tuple[Session, str | None]:
    """What `dbx watch NAME` means: a remote of the domain, else a domain. Raises NotFound."""
    if name is None:
        return session, None
    if any(remote.name == name for remote in list_remotes(session.domain)):
        return session, name
    if session.domain_name is None and name in session.repository.domain_names():
        return session._replace(domain_name=name), None
    raise NotFound(
        f"'{name}' is neither a remote of domain '{session.domain.name}' nor a domain",
        hint="see 'dbx remote list' and 'dbx domain list'",
    )


def find_active(session: Session) -> int | None:
    """The pid of the domain's living watcher, 0 where that is not known; None where none lives."""
    return find_watcher(session.domain)


class Watcher:
    """A watcher of one domain, which holds the lock from `start` until `close`."""

    def __init__(self, session: Session, plan: Plan, access: Access) -> None:
        self._session = session
        self._domain = session.domain
        self._plan = plan
        self._access = access
        self._remote = get_remote(self._domain, plan.remote).name
        self._lock = WatchLock(self._domain)
        self._state: WatchState | None = None
        self._shared = START
        """Up to where the last push brought the history over."""

    @property
    def state(self) -> WatchState:
        """The state as it was written last."""
        if self._state is None:
            raise Failure("the watcher has not been started")
        return self._state

    def start(self) -> WatchState:
        """Take the lock and say that a watcher is here. Raises Locked."""
        self._lock.take()
        plan, pid = self._plan, os.getpid()
        self._state = WatchState(
            domain=self._domain.name,
            remote=self._remote,
            pid=pid,
            born=find_birth(pid),
            mode=_MODES[plan.mode],
            interval_secs=plan.interval_s,
            aggregate=plan.aggregate_type,
            aggregate_id=plan.aggregate_id,
            concurrency=1,
            run_once=plan.run_once,
            background=plan.background,
            started_at=self._now(),
        )
        write_state(self._domain, self._state)
        return self._state

    def run(
        self, stop: Stop, tell: Callable[[Cycle], None], explain: Callable[[Exception], DbxError]
    ) -> DbxError | None:
        """Cycle after cycle until `stop` is asked, or one cycle; the error of that one.

        `tell` is told of every cycle, `explain` makes a sentence of what the system refused.
        """
        with CommitWatch(self._domain.directory.path) as commits:
            while True:
                cycle = self._cycle(explain)
                self._keep(cycle, explain)
                tell(cycle)
                if self._plan.run_once:
                    return cycle.error
                if stop.asked:
                    return None
                try:
                    self._wait(stop, commits)
                except Stopped:
                    return None

    def close(self) -> None:
        """Say that it has ended, and give the lock back."""
        try:
            if self._state is not None and self._state.stopped_at is None:
                self._state = self._state._replace(stopped_at=self._now(), next_cycle_at=None)
                if self._domain.directory.exists("domain.yaml"):
                    write_state(self._domain, self._state)
        finally:
            self._lock.close()

    # -- inside ----------------------------------------------------------------------------------------------------

    def _now(self) -> str:
        return format_time(self._session.repository.clock())

    def _cycle(self, explain: Callable[[Exception], DbxError]) -> Cycle:
        started = self._now()
        self._state = self.state._replace(last_cycle_started_at=started, next_cycle_at=None)
        pulled: dict[str, Any] | None = None
        pushed: dict[str, Any] | None = None
        error: DbxError | None = None
        self._session.repository.check_domain(self._domain.name)  # one that is gone is no longer watched
        try:
            write_state(self._domain, self._state)
            if self._plan.mode != "push":
                pulled = self._pull()
            if self._plan.mode != "pull":
                pushed = self._push()
        except (DbxError, OSError) as failed:
            error = explain(failed)
        return Cycle(self.state.cycles + 1, started, self._now(), pulled, pushed, error)

    def _pull(self) -> dict[str, Any]:
        kind, name = self._plan.aggregate_type, self._plan.aggregate_id
        if kind is not None:
            some = pull_aggregates(self._session, self._remote, kind, name, self._access, must_exist=False)
            return {"aggregates": some.aggregates, "events": some.events, "up_to_date": not some.aggregates}
        done = pull(self._session, self._remote, self._access)
        counts = {"commits": done.commits, "events": done.events, "schemas": done.schemas}
        return {**counts, "recommitted": done.recommitted, "up_to_date": done.up_to_date}

    def _push(self) -> dict[str, Any]:
        kind, name = self._plan.aggregate_type, self._plan.aggregate_id
        if kind is not None:
            self._shared = offers.describe(self._domain).head
            some = push_aggregates(self._session, self._remote, kind, name, self._access, must_exist=False)
            return {"aggregates": some.aggregates, "events": some.events, "up_to_date": not some.aggregates}
        done = push(self._session, self._remote, self._access)
        self._shared = done.head
        counts = {"commits": done.commits, "events": done.events, "schemas": done.schemas}
        return {**counts, "up_to_date": done.up_to_date}

    def _keep(self, cycle: Cycle, explain: Callable[[Exception], DbxError]) -> None:
        failures = 0 if cycle.error is None else self.state.failures + 1
        delay_s = next_delay(self._plan.interval_s, failures, self._session.repository.entropy)
        self._delay_s = delay_s
        due_us = self._session.repository.clock() + int(delay_s * 1_000_000)
        self._state = self.state._replace(
            last_cycle_completed_at=cycle.completed_at,
            last_cycle_error=None if cycle.error is None else cycle.error.message,
            last_cycle_push=cycle.pushed,
            last_cycle_pull=cycle.pulled,
            cycles=cycle.number,
            failures=failures,
            next_cycle_at=None if self._plan.run_once else format_time(due_us),
        )
        try:
            write_state(self._domain, self._state)
        except OSError as failed:
            # On a full disk the watcher goes on: the next cycle says so, and writes it again.
            self._state = self._state._replace(last_cycle_error=explain(failed).message)

    def _wait(self, stop: Stop, commits: CommitWatch) -> None:
        """Until the next cycle is due; less where a commit came, unless the last cycle failed. Raises Stopped."""
        due = time.monotonic() + self._delay_s
        reacts = self._plan.mode != "pull" and not self.state.failures
        while (left := due - time.monotonic()) > 0:
            if not reacts:
                with stop.waiting():
                    time.sleep(left)
                continue
            # What was pushed or pulled is no news; what came while that went on is.
            if offers.describe(self._domain).head != self._shared:
                with stop.waiting():
                    time.sleep(min(_SETTLE_S, max(0.0, due - time.monotonic())))
                return
            with stop.waiting():
                commits.wait_for_commit(left)


def next_delay(interval_s: float, failures: int, entropy: Entropy) -> float:
    """Seconds until the next cycle: the interval; after a failure a short while, which doubles. A tenth more or less.

    >>> [round(next_delay(300, n, lambda size: b"\\x80" * size)) for n in (0, 1, 2, 3, 20)]
    [300, 5, 10, 20, 2400]
    """
    delay_s = float(interval_s)
    if failures:
        longest_s = max(interval_s, min(LONGEST_S, _INTERVALS * interval_s))
        delay_s = min(longest_s, min(FIRST_RETRY_S, interval_s) * 2.0 ** min(failures - 1, 32))
    share = int.from_bytes(entropy(2), "big") / 0x8000 - 1  # from -1 to 1
    return delay_s * (1 + _JITTER * share)


def status(session: Session) -> Watched:
    """What is known of the domain's watcher. Raises NotFound."""
    found = _find(session.domain)
    if found is None:
        raise NotFound(
            f"watch state not found for domain '{session.domain.name}'", hint="start a watcher with 'dbx watch'"
        )
    return found


def status_of_all(session: Session) -> list[Watched]:
    """What is known of the watchers of every domain that had one."""
    names = session.repository.domain_names()
    return [found for name in names if (found := _find(session.repository.domain(name))) is not None]


def stop(session: Session, wait_s: float) -> int | None:
    """End the domain's watcher and wait until it has ended; its pid, None where none lived. Raises Locked."""
    domain = session.domain
    pid = find_watcher(domain)
    if pid is None:
        return None
    state = find_state(domain)
    if state is None or not pid or state.pid != pid or state.born != find_birth(pid):
        # The lock is held, and nothing says by whom: better no signal than one to a stranger.
        raise Locked(
            f"domain '{domain.name}' is watched by a process that is not of this machine, or has not said who it is",
            hint="end it where it runs",
        )
    deadline = time.monotonic() + wait_s
    os.kill(pid, signal.SIGTERM)
    while find_watcher(domain) == pid:
        if time.monotonic() >= deadline:
            raise Locked(
                f"the watcher of domain '{domain.name}', process {pid}, has not ended after {wait_s:g} s",
                hint="it ends once its cycle does; allow more time with '--wait'",
                details={"pid": pid},
            )
        time.sleep(0.02)
    return pid


def log_path(session: Session) -> str:
    """Where a watcher in the background writes its log."""
    return session.domain.directory.path_of(LOG)


def append_to_log(session: Session) -> int:
    """A descriptor for that."""
    return open_log(session.domain)


def _find(domain: Domain) -> Watched | None:
    state = find_state(domain)
    if state is None:
        return None
    active = find_watcher(domain) is not None
    log = domain.directory.path_of(LOG) if domain.directory.exists(LOG) else None
    # The domain may have been renamed since.
    return Watched(state._replace(domain=domain.name), active, log)
