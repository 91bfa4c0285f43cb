"""What has become of the deliveries of one plugin: its cursor, and the aggregates beside it, in memory and in queue.db.

What moves the cursor is written every SAVE_S and at the end; what fails is written at once, with the cursor. So
whatever dies, an event is delivered again rather than never.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from dbx.model.plugin import PRIORITIES, backoff_s
from dbx.store.queuelayout import AHEAD, DEAD, PENDING, Job, Lane, pause_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.model.delivery import Delivery, Outcome
    from dbx.model.plugin import Plugin
    from dbx.store.queue import Queue

SAVE_S = 0.1
BREAK_AFTER = 8
"""So many failures in a row, and the plugin is taken to be down: nothing new is tried until something succeeds."""
MAX_WAIT_S = 86_400.0
_REMEMBERED = 16
"""So many of the events that were passed last are remembered one by one, in case commits are taken back."""
LOW, NORMAL, HIGH = range(len(PRIORITIES))


class Ticket(NamedTuple):
    """Something to deliver. `upto`: all positions below it are settled once this is, for what the cursor meets.

    `lane` and `job` say where it comes from, both None: from the cursor; `urgent`: from behind it. Without a delivery
    there is nothing to send: `defer` puts it off until nothing else is to do.
    """

    position: int
    key: tuple[str, str]
    event_id: int
    leaf: bytes
    delivery: Delivery | None
    upto: int = 0
    lane: Lane | None = None
    job: Job | None = None
    urgent: bool = False
    defer: bool = False

    @property
    def moves_cursor(self) -> bool:
        """Whether it is one that the cursor met."""
        return self.lane is None and self.job is None and not self.urgent


class Ledger:
    """The books of one plugin. Used by one thread. Times are milliseconds, `monotonic` gives seconds.

    `delivered`, `failed` and `dead` count since it was made.
    """

    def __init__(
        self,
        plugin: Plugin,
        queue: Queue,
        *,
        max_attempts: int,
        chance: Callable[[], float],
        now: Callable[[], int],
        monotonic: Callable[[], float],
        keep_error: Callable[[str], str] = lambda text: text,
    ) -> None:
        """`keep_error` makes of an error what queue.db may hold of it: it may repeat what was sent."""
        self.plugin = plugin
        self.queue = queue
        self.cursor = -1
        self.leaf: bytes | None = None
        self.lanes: dict[tuple[str, str], Lane] = {}
        self.not_before = 0
        self.delivered = self.failed = self.dead = 0
        self._max_attempts = max_attempts
        self._chance = chance
        self.now = now
        self._monotonic = monotonic
        self._keep_error = keep_error
        self._passed: deque[tuple[int, bytes]] = deque(maxlen=_REMEMBERED)
        self._saved = (-1, 0.0)
        self._done = (0, 0, 0)  # first, last, count since it was last saved
        self._failures = 0

    # -- reading and writing it ----------------------------------------------------------------------------------------

    def load(self, start: Callable[[], int]) -> bool:
        """Read what another process may have changed; `start` says where a new plugin begins. Whether it is elsewhere.

        Reads nothing while nobody else has written.
        """
        if not self.queue.changed() and self.cursor >= 0:
            return False
        name = self.plugin.name
        found = self.queue.find_cursor(name)
        moved = found is None or found.position != self._saved[0]
        if found is None:
            self.stand_at(start())
            with self.queue.write():
                self.write_cursor()
        elif moved:
            self.stand_at(found.position)
            marks = self.queue.marks(name)
            self.leaf = marks[0][1] if marks and marks[0][0] == self.cursor - 1 else None
        self.lanes = {(lane.type, lane.aggregate): lane for lane in self.queue.lanes(name)}
        self.not_before = int(self.queue.get_meta(pause_of(name)) or 0)
        return moved

    def stand_at(self, position: int) -> None:
        """Go on from a position; what was not saved is forgotten."""
        self.cursor, self.leaf, self._done = position, None, (0, 0, 0)
        self._passed.clear()
        self._saved = (position, self._monotonic())

    def rewind(self, position: int) -> None:
        """Go back: what was passed is no longer history."""
        with self.queue.write():
            self._flush_done()
            self.queue.rewind(self.plugin.name, position)
        self.stand_at(position)
        self.lanes = {(lane.type, lane.aggregate): lane for lane in self.queue.lanes(self.plugin.name)}

    def save(self) -> None:
        """Write down how far it is."""
        if self.cursor >= 0 and (self.cursor != self._saved[0] or self._done[2]):
            with self.queue.write():
                self.write_cursor()

    def write_cursor(self) -> None:
        """`save`, inside a transaction."""
        name = self.plugin.name
        self.queue.set_cursor(name, self.cursor)
        if self.leaf is not None and self.cursor:
            self._passed.append((self.cursor - 1, self.leaf))
        for position, leaf in self._passed:
            self.queue.put_mark(name, position, leaf)
        self._passed.clear()
        self._flush_done()
        for lane in [x for x in self.lanes.values() if x.status == AHEAD and x.position <= self.cursor]:
            self.drop(lane)  # the cursor has caught up
        self._saved = (self.cursor, self._monotonic())

    def move(self, position: int, leaf: bytes | None = None) -> None:
        """The cursor goes forward; `leaf` is the hash of the event before it, where that is known."""
        if position > self.cursor:
            if self.leaf is not None and self.cursor:
                self._passed.append((self.cursor - 1, self.leaf))
            self.cursor, self.leaf = position, leaf

    def put(self, lane: Lane) -> None:
        """An aggregate goes its own way."""
        self.lanes[lane.type, lane.aggregate] = lane
        self.queue.put_lane(lane)

    def drop(self, lane: Lane) -> None:
        """An aggregate follows the cursor again."""
        self.lanes.pop((lane.type, lane.aggregate), None)
        self.queue.drop_lane(lane)

    def blocks(self, key: tuple[str, str], position: int) -> bool:
        """Whether an event that the cursor meets is not to be delivered from there: it is settled, or has to wait."""
        lane = self.lanes.get(key)
        return lane is not None and (lane.status != AHEAD or position < lane.position)

    def is_paused(self) -> bool:
        """Whether the plugin seems to be down, and something is waiting to find out that it is not."""
        if self._failures < BREAK_AFTER:
            return False
        waiting = any(lane.status == PENDING and lane.attempts for lane in self.lanes.values())
        return waiting or self.queue.next_job_at(self.plugin.name) is not None

    def _flush_done(self) -> None:
        first, last, count = self._done
        if count:
            now = self.now()
            self.queue.add_done(self.plugin.name, first, last, count, now)
            self.queue.note_delivered(self.plugin.name, now)
            self._done = (0, 0, 0)

    # -- one delivery --------------------------------------------------------------------------------------------------

    def attempt(self, ticket: Ticket, deliver: Callable[[Delivery], Outcome]) -> Outcome | None:
        """Deliver what a ticket is for, and write down what became of it. None where nothing was sent.

        Call it for the tickets of one `take`, in their order; after a failure the rest of its aggregate is passed over.
        """
        lane = self.lanes.get(ticket.key)
        if ticket.lane is None and ticket.job is None and (self.now() < self.not_before or self.is_paused()):
            return None  # the cursor stays before it
        if ticket.lane is not None:
            if lane is None or lane.status == DEAD or lane.position > ticket.position or lane.next_at > self.now():
                return None  # the one before it has failed
        elif ticket.job is None and self.blocks(ticket.key, ticket.position):
            self._pass(ticket)
            return None
        if ticket.defer:
            self._put_off(ticket)
            return None
        delivery = ticket.delivery
        outcome = None if delivery is None or delivery.is_empty else deliver(delivery)
        if outcome is None or outcome.ok:
            self._succeed(ticket, counted=outcome is not None)
        else:
            self._fail(ticket, outcome)
        return outcome

    def _pass(self, ticket: Ticket) -> None:
        """The cursor moves behind a ticket of its own."""
        if ticket.moves_cursor:
            self.move(ticket.upto, ticket.leaf if ticket.upto == ticket.position + 1 else None)
            if self._monotonic() - self._saved[1] >= SAVE_S:
                self.save()

    def _succeed(self, ticket: Ticket, *, counted: bool) -> None:
        if counted:
            self._failures = 0
            self.delivered += 1
            first, last, count = self._done
            at = ticket.position
            self._done = (min(first, at), max(last, at), count + 1) if count else (at, at, 1)
        if ticket.moves_cursor:
            self._pass(ticket)
            return
        with self.queue.write():
            if ticket.job is not None:
                self.queue.drop_job(self.plugin.name, ticket.position)
            else:
                self._advance(ticket)
            self._flush_done()

    def _fail(self, ticket: Ticket, outcome: Outcome) -> None:
        now = self.now()
        self._failures += 1 if outcome.reached else BREAK_AFTER
        self.failed += 1
        came = ticket.job or ticket.lane
        again = came is not None and came.position == ticket.position
        attempts = (came.attempts if came is not None and again else 0) + 1
        error = self._keep_error(outcome.error or "failed")
        asked_s = min(outcome.retry_after_s or 0.0, MAX_WAIT_S)
        next_at = now + int(max(backoff_s(attempts, self._chance()), asked_s) * 1000)
        dead = attempts >= self._max_attempts or not outcome.retry
        self.dead += dead
        status = DEAD if dead else PENDING
        with self.queue.write():
            if asked_s:
                self.not_before = now + int(asked_s * 1000)
                self.queue.set_meta(pause_of(self.plugin.name), self.not_before)
            if ticket.job is not None:
                self.queue.put_job(ticket.job._replace(status=status, attempts=attempts, next_at=next_at, error=error))
            elif dead and self.plugin.on_dead == "skip":
                name, key = self.plugin.name, ticket.key
                self.queue.put_job(Job(name, ticket.position, *key, ticket.event_id, DEAD, attempts, 0, error, now))
                if not ticket.moves_cursor:
                    self._advance(ticket)
            else:
                since = ticket.lane.since if ticket.lane is not None and again else now
                self.put(self._lane(ticket, status, attempts, next_at, error, since))
            if ticket.moves_cursor:
                self.move(ticket.upto, ticket.leaf if ticket.upto == ticket.position + 1 else None)
            self.write_cursor()
            self.queue.note_error(self.plugin.name, error, now)

    def _advance(self, ticket: Ticket) -> None:
        """What is next of an aggregate beside the cursor lies behind this one; due at once. Inside a transaction."""
        status = AHEAD if ticket.position >= self.cursor else PENDING
        self.put(
            self._lane(ticket, status, 0, 0, None, self.now())._replace(position=ticket.position + 1, event_id=None)
        )

    def _put_off(self, ticket: Ticket) -> None:
        now = self.now()
        with self.queue.write():
            self.put(self._lane(ticket, PENDING, 0, now, None, now)._replace(priority=LOW))
            self.move(ticket.upto)
            self.write_cursor()

    def _lane(self, ticket: Ticket, status: str, attempts: int, next_at: int, error: str | None, since: int) -> Lane:
        priority = HIGH if ticket.urgent else NORMAL if ticket.lane is None else ticket.lane.priority
        name, (kind, aggregate) = self.plugin.name, ticket.key
        return Lane(
            name, kind, aggregate, ticket.position, status, attempts, next_at, error, priority, since, ticket.event_id
        )
