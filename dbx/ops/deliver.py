"""Run the plugins of a domain: one thread for each, woken by commits and by what is to be tried again."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import DbxError, Locked
from dbx.ops.plugin import check_active, get_plugin, list_plugins, surroundings
from dbx.ops.watch import CommitWatch
from dbx.plugins.base import Stopped, open_sink
from dbx.repo import config
from dbx.repo.delivery import jobs
from dbx.repo.delivery.feed import Feed
from dbx.repo.delivery.plugins import stamp_plugins

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dbx.model.delivery import Delivery, Outcome
    from dbx.model.plugin import Plugin
    from dbx.ops.session import Session
    from dbx.repo.delivery.jobs import Queue
    from dbx.repo.domain import Domain

TICK_S = 0.25
_LIFE_S = 1.0
_PRUNE_S = 60.0
_AGAIN_S = 10.0
"""How long a plugin rests when dbx itself failed, as on a full disk."""
_LOOK_S = 1.0
_REST_S = 0.005
"""While commits follow each other closely they are looked for no more often: a look costs as much as deliveries do."""
_FEW = 16
"""Events that came together: with no more than that a plugin has caught up."""


class Ran(NamedTuple):
    """What was done for a plugin: deliveries, failed attempts, and how many events are dead now that were not."""

    plugin: Plugin
    delivered: int
    failed: int
    dead: int


def run_plugins(
    session: Session,
    names: Sequence[str] = (),
    *,
    once: bool,
    stop: threading.Event,
    say: Callable[[str], None],
    started: Callable[[], None] = lambda: None,
) -> list[Ran]:
    """Deliver to the plugins named, or to all that get events, until `stop` is set; with `once` what is due now.

    One runner for each domain. Without `names`, plugins that are configured meanwhile are run as well. `say` gets what
    is to be told, one line each; `started` is called once this is the runner. Raises NotFound, Locked, and Conflict for
    a plugin that gets no events.
    """
    for name in names:
        check_active(get_plugin(session, name))
    lock = jobs.runner_lock(session.domain)
    try:
        lock.acquire(session.repository.wait_s)
    except Locked as error:
        raise Locked(
            f"the plugins of domain '{session.domain.name}' are run by process {error.details.get('pid')} already",
            hint="one runner for each domain is enough: it runs all plugins",
            details=error.details,
        ) from None
    try:
        started()
        return _Runner(session, names, once=once, stop=stop, say=say).run()
    finally:
        lock.close()


class _Runner:
    def __init__(
        self, session: Session, names: Sequence[str], *, once: bool, stop: threading.Event, say: Callable[[str], None]
    ) -> None:
        self._session = session
        self._names = [name.lower() for name in names]
        self._once = once
        self._stop = stop
        self._say = say
        self._workers: dict[str, _Worker] = {}
        self._ended: list[_Worker] = []
        self._stamp: object = None
        self._queue: Queue | None = None

    def run(self) -> list[Ran]:
        domain = self._session.domain
        self._queue = jobs.open_queue(domain, durable=False)
        try:
            with CommitWatch(domain.directory.path) as watch:
                self._configure()
                self._prune()
                if self._once:
                    self._wait_for_all()
                else:
                    self._watch(watch)
        finally:
            for worker in self._workers.values():
                worker.end()
            for worker in self._workers.values():
                worker.join()
            self._note_life(ended=True)
            self._queue.close()
        for worker in self._workers.values():
            if self._once and worker.error is not None:
                raise worker.error
        return self._report()

    def _report(self) -> list[Ran]:
        found: dict[str, Ran] = {}
        for worker in (*self._ended, *self._workers.values()):
            before = found.get(worker.plugin.name, Ran(worker.plugin, 0, 0, 0))
            delivered, failed, dead = worker.counts()
            found[worker.plugin.name] = Ran(
                worker.plugin, before.delivered + delivered, before.failed + failed, before.dead + dead
            )
        return sorted(found.values(), key=lambda ran: ran.plugin.name)

    def _wait_for_all(self) -> None:
        while any(worker.is_alive() for worker in self._workers.values()) and not self._stop.is_set():
            for worker in self._workers.values():
                worker.join(TICK_S)
            self._note_life()

    def _watch(self, watch: CommitWatch) -> None:
        lived = pruned = looked = time.monotonic()
        while not self._stop.is_set():
            committed = watch.wait_for_commit(TICK_S)
            for worker in self._workers.values():
                if not worker.is_alive() and worker.error is not None:
                    raise worker.error
            now = time.monotonic()
            if committed or now - looked >= _LOOK_S:
                # Also without a sign: a file system may keep to itself what another machine writes.
                looked = now
                for worker in self._workers.values():
                    worker.wake()
            if now - lived >= _LIFE_S:
                lived = now
                self._configure()
                self._note_life()
            if now - pruned >= _PRUNE_S:
                pruned = now
                self._prune()

    def _configure(self) -> None:
        """Begin and end workers as plugins.yaml says now."""
        stamp = stamp_plugins(self._session.repository)
        if stamp == self._stamp and self._stamp is not None:
            return
        try:
            wanted = {p.name: p for p in list_plugins(self._session) if p.gets_events}
        except DbxError as error:
            if self._stamp is None:
                raise
            self._say(f"dbx: warning: plugins go on as they were: {error.message}")
            self._stamp = stamp
            return
        self._stamp = stamp
        if self._names:
            wanted = {name: plugin for name, plugin in wanted.items() if name.lower() in self._names}
        for name, worker in list(self._workers.items()):
            if wanted.get(name) != worker.plugin:
                worker.end()
                worker.join()
                self._ended.append(self._workers.pop(name))
        for name, plugin in wanted.items():
            if name not in self._workers:
                self._workers[name] = _Worker(self._session, plugin, once=self._once, stop=self._stop, say=self._say)
                self._workers[name].start()

    def _note_life(self, *, ended: bool = False) -> None:
        """Tell `status` what is going on. It is a courtesy: a full disk must not stop deliveries."""
        assert self._queue is not None  # noqa: S101 - opened by run
        at = self._session.repository.clock() // 1000
        with suppress(OSError):
            for worker in self._workers.values():
                processing, rate = (None, None) if ended else (worker.in_flight(), worker.rate())
                self._queue.note_life(worker.plugin.name, processing, rate, at)

    def _prune(self) -> None:
        assert self._queue is not None  # noqa: S101 - opened by run
        session = self._session
        values = {
            key: config.get(session.repository, session.domain, f"plugin_queue.prune.{key}")
            for key in ("done_ttl_secs", "interval_secs", "max_done_jobs")
        }
        try:
            jobs.prune(
                session.domain,
                self._queue,
                ttl_s=values["done_ttl_secs"],
                most=values["max_done_jobs"],
                interval_s=values["interval_secs"],
            )
        except OSError as error:
            self._say(f"dbx: warning: cannot prune the queue: {error.strerror}")


class _Worker(threading.Thread):
    """One plugin's thread: takes what is due, delivers it, and waits."""

    def __init__(
        self, session: Session, plugin: Plugin, *, once: bool, stop: threading.Event, say: Callable[[str], None]
    ) -> None:
        super().__init__(name=f"plugin {plugin.name}", daemon=True)
        self.plugin = plugin
        self.error: BaseException | None = None
        self._session = session
        self._once = once
        self._all = stop
        self._mine = threading.Event()
        self._woken = threading.Event()
        self._say = say
        self._feed: Feed | None = None
        self._counts = (0, 0, 0)
        self._flying: tuple[int, float] | None = None
        self._rated = (time.monotonic(), 0)

    def run(self) -> None:
        """Work until told to end; what fails in dbx itself is told, and tried again later."""
        while not self._is_ending():
            try:
                self._work(self._session.domain)
            except (DbxError, OSError) as error:
                self.error = error
                if self._once:
                    return
                self._say(f"dbx: warning: plugin '{self.plugin.name}' rests: {_text(error)}")
                self._mine.wait(_AGAIN_S)
            except BaseException as error:  # raised again by the runner, in the thread that called it
                self.error = error
                return
            else:
                self.error = None
                return

    def wake(self) -> None:
        """There may be something to do."""
        self._woken.set()

    def end(self) -> None:
        """Come to an end after the delivery in flight."""
        self._mine.set()
        self._woken.set()

    def in_flight(self) -> int | None:
        """The position that is being delivered for longer than a moment."""
        flying = self._flying
        return flying[0] if flying is not None and time.monotonic() - flying[1] >= TICK_S else None

    def counts(self) -> tuple[int, int, int]:
        """(deliveries, failed attempts, dead) so far."""
        ledger = None if self._feed is None else self._feed.ledger
        more = (0, 0, 0) if ledger is None else (ledger.delivered, ledger.failed, ledger.dead)
        return self._counts[0] + more[0], self._counts[1] + more[1], self._counts[2] + more[2]

    def rate(self) -> float:
        """Deliveries a second since it was last asked."""
        at, before = self._rated
        now, delivered = time.monotonic(), self.counts()[0]
        self._rated = (now, delivered)
        return (delivered - before) / (now - at) if now > at else 0.0

    def _is_ending(self) -> bool:
        return self._mine.is_set() or self._all.is_set()

    def _work(self, domain: Domain) -> None:
        most = config.get(self._session.repository, domain, "plugin_max_attempts")
        queue = jobs.open_queue(domain, durable=False)
        sink = open_sink(self.plugin, surroundings(self._session, self._say, self._is_ending))

        def deliver(delivery: Delivery) -> Outcome:
            self._flying = (delivery.position, time.monotonic())
            try:
                return sink.deliver(delivery)
            finally:
                self._flying = None

        self._feed = feed = Feed(domain, self.plugin, queue, max_attempts=most, chance=lambda: _draw(domain))
        try:
            while not self._is_ending():
                self._woken.clear()
                tickets = feed.take()
                for ticket in tickets:
                    if self._is_ending():
                        break
                    feed.attempt(ticket, deliver)
                if not tickets:
                    feed.save()
                    if self._once:
                        return
                    self._wait(feed)
                elif not self._once and len(tickets) < _FEW and tickets[-1].moves_cursor:
                    self._mine.wait(_REST_S)
        except Stopped:
            pass  # the runner ends; what was in flight will be delivered again
        finally:
            try:
                feed.save()
            finally:
                self._counts, self._feed = self.counts(), None
                sink.close()
                queue.close()

    def _wait(self, feed: Feed) -> None:
        """Until there may be something to do. What is committed matters not while the plugin is taken to be down."""
        due_s = feed.next_due_s()
        if feed.is_paused():
            self._mine.wait(_LOOK_S if due_s is None else min(due_s, _LOOK_S))
        else:
            self._woken.wait(due_s)


def _draw(domain: Domain) -> float:
    return int.from_bytes(domain.entropy(2), "big") / 0xFFFF


def _text(error: DbxError | OSError) -> str:
    return error.message if isinstance(error, DbxError) else error.strerror or type(error).__name__
