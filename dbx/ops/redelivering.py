"""The way of a replay: one delivery after the other, at its rate, and the bookmark of how far that has come."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Conflict, NotFound, RemoteFailure
from dbx.model.plugin import Plugin, backoff_s
from dbx.repo import config
from dbx.repo.delivery import plugins as files
from dbx.repo.delivery.ledger import BREAK_AFTER, MAX_WAIT_S, SAVE_S
from dbx.repo.delivery.redelivery import (
    Bookmark,
    bookmark_name,
    drop_bookmark,
    drop_old_bookmarks,
    find_bookmark,
    put_bookmark,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.model.delivery import Delivery, Outcome
    from dbx.ops.session import Session
    from dbx.plugins.base import Sink
    from dbx.repo.delivery.jobs import Queue
    from dbx.repo.delivery.redelivery import Redelivery, Step, Wanted

_REST_S = 1.0
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

    delivery_id: str
    event_id: int
    position: int
    aggregate_type: str
    aggregate_id: str
    version: int
    attempts: int
    error: str


class Count:
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


class Place:
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


class Player:
    """Delivers, and keeps the bookmark. What is behind the bookmark was delivered, or left out on purpose."""

    def __init__(
        self, session: Session, place: Place, sink: Sink, rate: float | None, watcher: Watcher, begin: Bookmark
    ) -> None:
        self._session = session
        self._place = place
        self._sink = sink
        self._gap_s = 0.0 if rate is None else 1.0 / rate
        self._watcher = watcher
        self._begin = self._mark = self._saved = begin
        self._max_attempts = config.get(session.repository, session.domain, "plugin_max_attempts")
        self.count = Count()
        self.failed: list[Failed] = []
        self.failures = self._in_a_row = self._seen = 0
        self._next_at = self._looked_at = time.monotonic()
        self._plugins = files.stamp_plugins(session.repository)

    def play(self, going: Redelivery) -> None:
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

    def _do(self, step: Step) -> None:
        if step.delivery is not None:
            self._wait_for_turn()
        if time.monotonic() - self._looked_at >= SAVE_S:
            self._look()
        if step.delivery is not None:
            outcome, attempts = self._attempt(step.delivery)
            if outcome.ok:
                self._in_a_row = 0
                self.count.add(step)
            else:
                self._fail(step.delivery, outcome, attempts)
        self._seen += 1
        if not self._in_a_row:
            # Events that fail one behind the other may mean that the plugin is down: the mark stays before them.
            done, begin = self.count.events, self._begin
            self._mark = Bookmark(
                step.position + 1, step.leaf.hex(), begin.seen + self._seen, begin.delivered + done, begin.since
            )

    def _wait_for_turn(self) -> None:
        """Keep to the rate."""
        now = time.monotonic()
        if self._next_at - now >= SAVE_S:
            self._save()
        self._rest(self._next_at - now)
        self._next_at = max(self._next_at, now) + self._gap_s

    def _rest(self, seconds: float) -> None:
        """Wait, and notice meanwhile what becomes of the plugin."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _REST_S))
            if left > _REST_S:
                self._look()

    def _attempt(self, delivery: Delivery) -> tuple[Outcome, int]:
        """The outcome of the last attempt, and how many there were."""
        attempt = 1
        while True:
            outcome = self._sink.deliver(delivery if attempt == 1 else replace(delivery, attempt=attempt))
            given_up = not outcome.retry or attempt >= self._max_attempts
            # Where nobody answers at the very beginning nobody is waited for.
            if outcome.ok or given_up or not (outcome.reached or self.count.events):
                return outcome, attempt
            chance = int.from_bytes(self._session.domain.entropy(2), "big") / 0xFFFF
            wait_s = max(backoff_s(attempt, chance), min(outcome.retry_after_s or 0.0, MAX_WAIT_S))
            self._watcher.say(
                f"dbx: attempt {attempt} of {self._max_attempts} failed: {outcome.error}; the next in {wait_s:.1f} s"
            )
            self._save()
            self._rest(wait_s)
            self._look()
            attempt += 1

    def _fail(self, delivery: Delivery, outcome: Outcome, attempts: int) -> None:
        """Leave an event out, or stop. Raises RemoteFailure."""
        self._in_a_row += 1
        error = outcome.error or "it failed"
        plugin = self._place.plugin
        if plugin.on_dead == "skip" and outcome.reached and self._in_a_row < BREAK_AFTER:
            self.failures += 1
            if len(self.failed) < MAX_TOLD:
                of = (delivery.aggregate_type, delivery.aggregate_id, delivery.version)
                self.failed.append(Failed(delivery.id, delivery.event_id, delivery.position, *of, attempts, error))
            self._watcher.say(f"dbx: event '{delivery.event_id}' is left out: {error}")
            return
        raise RemoteFailure(
            f"the replay to '{plugin.name}' stopped at event '{delivery.event_id}': {error}",
            hint="run the same command again to go on there, or with --restart to begin anew",
            details={
                "delivered": self.count.events,
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
        self._looked_at = time.monotonic()
        repository, before = self._session.repository, self._place.plugin
        stamp = files.stamp_plugins(repository)
        if stamp == self._plugins:
            self._save()
            return
        self._plugins = stamp
        try:
            now: Plugin | None = files.get_plugin(repository, before.name)
        except NotFound:
            now = None
        if now is None or now.created_at != before.created_at:
            # What is removed leaves nothing behind, also not what was saved in that very moment.
            self._saved = self._mark
            self._place.forget()
        if now is None or replace(now, payload_mode=before.payload_mode) != before:
            raise Conflict(
                f"plugin '{before.name}' was changed while the replay went on",
                hint="run the same command again to go on where it stopped",
            )
