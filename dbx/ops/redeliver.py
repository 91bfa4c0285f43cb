"""Replay: send a plugin once more what is in the log, beside what it is sent anyway."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Conflict, Locked, NotFound, RemoteFailure
from dbx.model.plugin import Plugin, backoff_s, check_mode
from dbx.model.time import format_time, parse_moment
from dbx.ops import audit
from dbx.ops.plugin import check_active, check_whole, get_plugin, surroundings
from dbx.plugins.base import open_sink, written
from dbx.repo import config
from dbx.repo.delivery import jobs
from dbx.repo.delivery import plugins as files
from dbx.repo.delivery.ledger import BREAK_AFTER, MAX_WAIT_S, SAVE_S
from dbx.repo.delivery.redelivery import (
    Bookmark,
    Redelivery,
    Wanted,
    bookmark_name,
    drop_bookmark,
    drop_old_bookmarks,
    find_bookmark,
    list_bookmarks,
    put_bookmark,
    replay_lock,
)
from dbx.repo.outfile import writing_outside

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.model.delivery import Delivery, Outcome
    from dbx.ops.session import Session
    from dbx.plugins.base import Sink
    from dbx.repo.delivery.jobs import Queue
    from dbx.repo.delivery.redelivery import Step

MIN_RATE = 0.001
"""Deliveries a second: fewer than about one in a quarter of an hour is a mistake."""
MAX_TOLD = 100
"""So many of the events that could not be delivered are named in the result."""


class Asked(NamedTuple):
    """What to replay, as people write it: `payload_mode` None is the plugin's own, `since` a time or how long ago."""

    aggregate_type: str
    aggregate_id: str | None = None
    payload_mode: str | None = None
    from_version: int = 1
    since: str | None = None
    archived: bool = False


class How(NamedTuple):
    """`rate` bounds the deliveries a second; `dry_run` only counts; `to_file` writes what would be sent instead.

    `restart` begins anew where an earlier one was cut off.
    """

    rate: float | None = None
    dry_run: bool = False
    to_file: str | None = None
    restart: bool = False


class Watcher(NamedTuple):
    """Who looks on: `begin` is told how many events there are to look at and how many were before, `advance` of more.

    `resume` is told how many deliveries were made before, `say` gets lines.
    """

    begin: Callable[[int, int], None]
    advance: Callable[[int], None]
    resume: Callable[[int], None]
    say: Callable[[str], None]


class Failed(NamedTuple):
    """An event that could not be delivered, and why."""

    delivery: Delivery
    attempts: int
    error: str


class Replayed(NamedTuple):
    """What was done. `events` were delivered (with --dry-run or --to-file: would be), of so many `aggregates`.

    `earlier` were delivered before this one went on; `failed` names at most MAX_TOLD of those that could not be.
    """

    plugin: Plugin
    events: int
    aggregates: int
    earlier: int
    failures: int
    failed: list[Failed]


class Unfinished(NamedTuple):
    """A replay that was cut off after so many deliveries."""

    asked: Asked
    delivered: int


def replay(session: Session, name: str, asked: Asked, how: How, watcher: Watcher) -> Replayed:
    """Deliver the events of a type or of an aggregate to a plugin, in the order of the log, with the state at each.

    What cannot be delivered is tried again as in the queue, then left out, or ends the replay where the plugin holds
    dead events. Raises NotFound, Invalid; Conflict for a plugin that gets no events; RemoteFailure where it has to
    stop; Locked while another replay goes on. After those it goes on where it stopped when it is asked for again.
    """
    plugin = get_plugin(session, name)
    check_active(plugin)
    if asked.payload_mode is not None:
        plugin = replace(plugin, payload_mode=check_mode(asked.payload_mode))
        check_whole(plugin)
    domain = session.domain
    since = None if asked.since is None else format_time(parse_moment(asked.since, domain.clock()))
    wanted = Wanted(asked.aggregate_type, asked.aggregate_id, asked.from_version, since, asked.archived)
    if how.to_file is not None:
        return _write(session, plugin, wanted, how.to_file, watcher)
    with ExitStack() as stack:
        if not how.dry_run:
            stack.callback(_lock(session))
        place = _Place(session, stack.enter_context(jobs.opened_queue(domain, durable=False)), plugin, asked)
        begin = place.begin(wanted, anew=how.restart, watcher=watcher)
        wanted = wanted._replace(since=begin.since)
        going = _survey(session, plugin, wanted, begin, watcher)
        count = _Count()
        if how.dry_run:
            for steps in going.batches():
                for step in steps:
                    count.add(step)
                watcher.advance(len(steps))
            return Replayed(plugin, count.events, count.aggregates, begin.delivered, 0, [])
        of = {"aggregate_type": asked.aggregate_type, "aggregate_id": asked.aggregate_id}
        audit.note(session, "plugin.replay", {"plugin": plugin.name, **of}, domain=domain.name)
        sink = open_sink(plugin, surroundings(session, watcher.say))
        stack.callback(sink.close)
        place.settle(begin)
        return _Player(session, place, sink, how.rate, watcher, begin).play(going)


def unfinished(session: Session, plugin: Plugin) -> list[Unfinished]:
    """The replays to a plugin that were cut off and can go on."""
    if not jobs.has_queue(session.domain):
        return []
    with jobs.opened_queue(session.domain, durable=False) as queue:
        return [
            Unfinished(Asked(*what), found.delivered)
            for what, found in list_bookmarks(session.domain, queue, plugin.name)
        ]


def _survey(session: Session, plugin: Plugin, wanted: Wanted, begin: Bookmark, watcher: Watcher) -> Redelivery:
    going = Redelivery(session.domain, plugin, wanted, begin)
    if going.is_hidden:
        watcher.say(
            f"dbx: hint: the schema hides type '{wanted.aggregate_type}': "
            f"plugin '{plugin.name}' gets none of it unless it is configured with --include-hidden"
        )
    watcher.begin(going.total, begin.seen)
    return going


def _write(session: Session, plugin: Plugin, wanted: Wanted, path: str, watcher: Watcher) -> Replayed:
    """All of it into a file, which is there when it is whole."""
    going = _survey(session, plugin, wanted, Bookmark(), watcher)
    count = _Count()
    with writing_outside(path) as file:
        for steps in going.batches():
            for step in steps:
                count.add(step)
            file.write(b"".join(written(plugin, step.delivery) for step in steps if step.delivery is not None))
            watcher.advance(len(steps))
    return Replayed(plugin, count.events, count.aggregates, 0, 0, [])


def _lock(session: Session) -> Callable[[], None]:
    """Be the one that replays in the domain; what to call in the end. Raises Locked."""
    lock = replay_lock(session.domain)
    try:
        lock.acquire(session.repository.wait_s)
    except Locked as error:
        raise Locked(
            f"process {error.details.get('pid')} replays in domain '{session.domain.name}' already",
            hint="wait until it has ended: there is one replay at a time",
            details=error.details,
        ) from None
    return lock.close


class _Count:
    """How many deliveries, and of how many aggregates: a bit for each aggregate of the domain."""

    def __init__(self) -> None:
        self.events = self.aggregates = 0
        self._bits = bytearray()

    def add(self, step: Step) -> None:
        """Count a step that has a delivery."""
        if step.delivery is None:
            return
        self.events += 1
        at, bit = step.aggregate >> 3, 1 << (step.aggregate & 7)
        if at >= len(self._bits):
            self._bits.extend(bytes(at + 1024 - len(self._bits)))
        if not self._bits[at] & bit:
            self._bits[at] |= bit
            self.aggregates += 1


class _Place:
    """Where a replay stands, in queue.db: one for each plugin and whatever else was asked for, but the rate."""

    def __init__(self, session: Session, queue: Queue, plugin: Plugin, asked: Asked) -> None:
        self._domain = session.domain
        self._queue = queue
        what = asked._replace(payload_mode=plugin.payload_mode)
        self._name = bookmark_name(plugin.name, *what)
        self.plugin = plugin

    def begin(self, wanted: Wanted, *, anew: bool, watcher: Watcher) -> Bookmark:
        """Where to go on. A time that was told as how long ago is the one of the first time."""
        if anew:
            return Bookmark(since=wanted.since)
        found, astray = find_bookmark(self._domain, self._queue, self._name)
        if astray:
            watcher.say("dbx: commits were taken back since this replay was cut off: it begins anew")
        if found is None:
            return Bookmark(since=wanted.since)
        watcher.resume(found.delivered)
        return found

    def settle(self, begin: Bookmark) -> None:
        """Forget what does not hold any more, now that it is about to begin."""
        if not begin.position:
            self.forget()
        drop_old_bookmarks(self._domain, self._queue, self.plugin.name)

    def save(self, bookmark: Bookmark) -> None:
        """Write down how far it is."""
        put_bookmark(self._domain, self._queue, self._name, bookmark)

    def forget(self) -> None:
        """It has come to its end."""
        drop_bookmark(self._queue, self._name)


class _Player:
    """Delivers, and keeps the bookmark. What is behind the bookmark was delivered, or left out on purpose."""

    def __init__(
        self, session: Session, place: _Place, sink: Sink, rate: float | None, watcher: Watcher, begin: Bookmark
    ) -> None:
        self._session = session
        self._place = place
        self._sink = sink
        self._gap_s = 0.0 if rate is None else 1.0 / rate
        self._watcher = watcher
        self._begin = self._mark = self._saved = begin
        self._max_attempts = config.get(session.repository, session.domain, "plugin_max_attempts")
        self._count = _Count()
        self._failures: list[Failed] = []
        self._failed = self._in_a_row = self._seen = 0
        self._next_at = self._looked_at = time.monotonic()
        self._plugins = files.stamp_plugins(session.repository)

    def play(self, going: Redelivery) -> Replayed:
        """Go to the end, or raise."""
        try:
            for steps in going.batches():
                for step in steps:
                    self._do(step)
                    self._watcher.advance(1)
        except BaseException:
            self._save()
            raise
        # Not saved before: whoever dies here leaves a bookmark that is not at the end, so nothing is ever left out.
        self._place.forget()
        plugin, begin, count = self._place.plugin, self._begin, self._count
        return Replayed(plugin, count.events, count.aggregates, begin.delivered, self._failed, self._failures)

    def _do(self, step: Step) -> None:
        if step.delivery is not None:
            self._wait_for_turn()
        if time.monotonic() - self._looked_at >= SAVE_S:
            self._look()
        if step.delivery is not None:
            outcome, attempts = self._attempt(step.delivery)
            if outcome.ok:
                self._in_a_row = 0
                self._count.add(step)
            else:
                self._fail(step.delivery, outcome, attempts)
        self._seen += 1
        if not self._in_a_row:
            # Events that fail one behind the other may mean that the plugin is down: the mark stays before them.
            done, begin = self._count.events, self._begin
            self._mark = Bookmark(
                step.position + 1, step.leaf.hex(), begin.seen + self._seen, begin.delivered + done, begin.since
            )

    def _wait_for_turn(self) -> None:
        """Keep to the rate."""
        now = time.monotonic()
        if self._next_at - now >= SAVE_S:
            self._save()
        if self._next_at > now:
            time.sleep(self._next_at - now)
        self._next_at = max(self._next_at, now) + self._gap_s

    def _attempt(self, delivery: Delivery) -> tuple[Outcome, int]:
        """The outcome of the last attempt, and how many there were."""
        attempt = 1
        while True:
            outcome = self._sink.deliver(delivery if attempt == 1 else replace(delivery, attempt=attempt))
            given_up = not outcome.retry or attempt >= self._max_attempts
            # Where nobody answers at the very beginning nobody is waited for.
            if outcome.ok or given_up or not (outcome.reached or self._count.events):
                return outcome, attempt
            chance = int.from_bytes(self._session.domain.entropy(2), "big") / 0xFFFF
            wait_s = max(backoff_s(attempt, chance), min(outcome.retry_after_s or 0.0, MAX_WAIT_S))
            self._watcher.say(
                f"dbx: attempt {attempt} of {self._max_attempts} failed: {outcome.error}; the next in {wait_s:.1f} s"
            )
            self._save()
            time.sleep(wait_s)
            self._look()
            attempt += 1

    def _fail(self, delivery: Delivery, outcome: Outcome, attempts: int) -> None:
        """Leave an event out, or stop. Raises RemoteFailure."""
        self._in_a_row += 1
        error = outcome.error or "it failed"
        plugin = self._place.plugin
        if plugin.on_dead == "skip" and outcome.reached and self._in_a_row < BREAK_AFTER:
            self._failed += 1
            if len(self._failures) < MAX_TOLD:
                self._failures.append(Failed(delivery, attempts, error))
            self._watcher.say(f"dbx: event '{delivery.event_id}' is left out: {error}")
            return
        raise RemoteFailure(
            f"the replay to '{plugin.name}' stopped at event '{delivery.event_id}': {error}",
            hint="run the same command again to go on there, or with --restart to begin anew",
            details={
                "delivered": self._count.events,
                "delivery_id": delivery.id,
                "event_id": str(delivery.event_id),
                "aggregate_type": delivery.aggregate_type,
                "aggregate_id": delivery.aggregate_id,
                "version": delivery.version,
            },
        )

    def _save(self) -> None:
        if self._mark != self._saved:
            self._place.save(self._mark)
            self._saved = self._mark

    def _look(self) -> None:
        """Save, and see that the plugin was neither disabled nor removed nor configured anew. Raises Conflict."""
        self._save()
        self._looked_at = time.monotonic()
        repository, before = self._session.repository, self._place.plugin
        stamp = files.stamp_plugins(repository)
        if stamp == self._plugins:
            return
        self._plugins = stamp
        try:
            now: Plugin | None = files.get_plugin(repository, before.name)
        except NotFound:
            now = None
        if now is None or replace(now, payload_mode=before.payload_mode) != before:
            raise Conflict(
                f"plugin '{before.name}' was changed while the replay went on",
                hint="run the same command again to go on where it stopped",
            )
