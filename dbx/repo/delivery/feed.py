"""One plugin's way along the log of a domain: which deliveries are next.

Order: the events of an aggregate go one after the other, each when the one before is settled: delivered, dead, or not
for this plugin. Across aggregates there is none: while one waits for another attempt, the others go on.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from dbx.crypto.merkle import leaf_hash
from dbx.formats.envelope import decode_envelope
from dbx.model.plugin import PRIORITIES
from dbx.repo.delivery.deliveries import DeliveryMaker
from dbx.repo.delivery.jobs import ERROR_PLACE, first_since
from dbx.repo.delivery.ledger import HIGH, LOW, NORMAL, Ledger, Ticket
from dbx.repo.vault.secrets import seal_text
from dbx.store.queuelayout import AHEAD, PENDING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dbx.formats.envelope import Envelope
    from dbx.model.delivery import Delivery, Outcome
    from dbx.model.plugin import Plugin
    from dbx.repo.domain import Domain
    from dbx.repo.log import LogReader, Stored
    from dbx.repo.working import WorkingSet
    from dbx.store.queue import Queue

BATCH = 64


class Feed:
    """The way of one plugin. Used by one thread, with a queue connection of its own."""

    def __init__(
        self,
        domain: Domain,
        plugin: Plugin,
        queue: Queue,
        *,
        max_attempts: int,
        chance: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`chance` draws the jitter, from 0 to 1."""
        self._domain = domain
        self._queue = queue
        self._maker = DeliveryMaker(domain, plugin)
        self._publishes = False
        self.plugin = plugin
        self.ledger = Ledger(
            plugin,
            queue,
            max_attempts=max_attempts,
            chance=chance,
            now=lambda: domain.clock() // 1000,
            monotonic=monotonic,
            keep_error=lambda text: seal_text(domain.vault, text, ERROR_PLACE),
        )

    def take(self) -> list[Ticket]:
        """What can be delivered now, in order; nothing where nothing is due. Attempt each, in this order."""
        while True:
            tickets, moved = self._domain.read(self._take)
            if tickets or not moved:
                return tickets

    def attempt(self, ticket: Ticket, deliver: Callable[[Delivery], Outcome]) -> Outcome | None:
        """Deliver what a ticket is for, and write down what became of it (Ledger.attempt)."""
        return self.ledger.attempt(ticket, deliver)

    def save(self) -> None:
        """Write down how far it is."""
        self.ledger.save()

    def is_paused(self) -> bool:
        """Whether nothing new is tried for now: the plugin seems to be down, or has asked for a pause."""
        return self.ledger.now() < self.ledger.not_before or self.ledger.is_paused()

    def next_due_s(self) -> float | None:
        """In how many seconds something is to be tried again; None while nothing is."""
        times = [lane.next_at for lane in self.ledger.lanes.values() if lane.status == PENDING]
        job_at = self._queue.next_job_at(self.plugin.name)
        if job_at is not None:
            times.append(job_at)
        now, not_before = self.ledger.now(), self.ledger.not_before
        if not_before > now:
            times = [max(at, not_before) for at in times] or [not_before]
        return max(0.0, (min(times) - now) / 1000) if times else None

    def _take(self, working: WorkingSet, reader: LogReader) -> tuple[list[Ticket], bool]:
        """(tickets, whether there may be more even though there are none)."""
        ledger = self.ledger
        if ledger.load(lambda: first_since(self._domain, working, reader, self.plugin.created_at)):
            self._maker.forget()
        self._check_history(working, reader)
        if ledger.now() < ledger.not_before:
            return [], False
        self._publishes = self._queue.has_publish()
        tickets = self._due_jobs(working, reader) or self._due_lanes(working, reader, NORMAL)
        if tickets:
            return tickets, False
        if ledger.cursor < working.head.position and not ledger.is_paused():
            if self._publishes and ledger.cursor + 1 < working.head.position:
                tickets = self._urgent(working, reader)
                if tickets:
                    return tickets, False
            return self._sweep(working, reader), True
        return self._due_lanes(working, reader, LOW), False

    def _check_history(self, working: WorkingSet, reader: LogReader) -> None:
        """Whether the last event that the cursor passed is still where it was; else go back to the last one that is."""
        ledger, head = self.ledger, working.head.position
        if ledger.cursor == 0:
            return
        if ledger.cursor <= head:
            leaf = _leaf_at(reader, ledger.cursor - 1)
            if ledger.leaf in (None, leaf):
                ledger.leaf = leaf
                return
        back = first_since(self._domain, working, reader, self.plugin.created_at)
        for position, leaf in self._queue.marks(self.plugin.name):
            if position < head and _leaf_at(reader, position) == leaf:
                back = position + 1
                break
        ledger.rewind(min(back, head))
        self._maker.forget()

    def _due_jobs(self, working: WorkingSet, reader: LogReader) -> list[Ticket]:
        tickets = []
        for job in self._queue.due_jobs(self.plugin.name, self.ledger.now()):
            if job.position >= working.head.position:
                self._queue.drop_job(self.plugin.name, job.position)  # it was taken back
                continue
            (stored,) = reader.events([job.position])
            tickets.append(self._ticket(working, reader, stored, attempt=job.attempts + 1)._replace(job=job))
        return tickets

    def _due_lanes(self, working: WorkingSet, reader: LogReader, priority: int) -> list[Ticket]:
        """The events of the most urgent aggregates whose time has come, about BATCH of them."""
        ledger = self.ledger
        now = ledger.now()
        due = [x for x in ledger.lanes.values() if x.status == PENDING and x.next_at <= now and x.priority >= priority]
        tickets: list[Ticket] = []
        for lane in sorted(due, key=lambda lane: (-lane.priority, lane.position)):
            row = working.index.find(lane.type, lane.aggregate)
            places = [] if row is None or row.n is None else working.index.positions(row.n)
            behind = max(ledger.cursor, lane.position + 1)
            left = [place for place in places if lane.position <= place < behind][:BATCH]
            for n, stored in enumerate(reader.events(left)):
                attempt = lane.attempts + 1 if n == 0 else 1
                tickets.append(self._ticket(working, reader, stored, attempt=attempt, late=True)._replace(lane=lane))
            if not left:
                ledger.drop(lane)
            if len(tickets) >= BATCH:
                break
        return tickets

    def _urgent(self, working: WorkingSet, reader: LogReader) -> list[Ticket]:
        """The events of an aggregate up to the first one that has high priority here and is not yet settled."""
        ledger = self.ledger
        for leaf, event_id, text in self._queue.urgent(ledger.cursor):
            mine = _target(text, self.plugin.name)
            position = working.index.find_event(event_id)
            if mine is None or mine[1] != HIGH or position is None or position < ledger.cursor:
                continue
            (stored,) = reader.events([position])
            envelope = decode_envelope(stored.envelope)
            key = (envelope.aggregate_type, envelope.aggregate_id)
            lane = ledger.lanes.get(key)
            if leaf_hash(stored.envelope) != leaf or (lane is not None and lane.status != AHEAD):
                continue
            first = max(ledger.cursor, lane.position if lane is not None else 0)
            row = working.index.find(*key)
            if first > position or row is None or row.n is None:
                continue
            places = [place for place in working.index.positions(row.n) if first <= place <= position]
            found = reader.events(places[:BATCH])
            return [self._ticket(working, reader, s, late=True)._replace(urgent=True) for s in found]
        return []

    def _sweep(self, working: WorkingSet, reader: LogReader) -> list[Ticket]:
        """What the cursor meets next. What is not to be delivered from here is passed over."""
        end = min(self.ledger.cursor + BATCH, working.head.position)
        tickets: list[Ticket] = []
        for stored in reader.events(range(self.ledger.cursor, end)):
            envelope = decode_envelope(stored.envelope)
            if self.ledger.blocks((envelope.aggregate_type, envelope.aggregate_id), stored.position):
                continue
            ticket = self._ticket(working, reader, stored, envelope=envelope)
            if ticket.delivery is not None or ticket.defer:
                if tickets:
                    tickets[-1] = tickets[-1]._replace(upto=stored.position)
                tickets.append(ticket)
        if tickets:
            self.ledger.move(tickets[0].position)
            tickets[-1] = tickets[-1]._replace(upto=end)
        else:
            self.ledger.move(end)
        return tickets

    def _ticket(
        self,
        working: WorkingSet,
        reader: LogReader,
        stored: Stored,
        *,
        attempt: int = 1,
        late: bool = False,
        envelope: Envelope | None = None,
    ) -> Ticket:
        """`late`: what was put off is due now."""
        envelope = envelope or decode_envelope(stored.envelope)
        leaf = leaf_hash(stored.envelope)
        key = (envelope.aggregate_type, envelope.aggregate_id)
        ticket = Ticket(stored.position, key, envelope.event_id, leaf, None)
        mode, priority = None, NORMAL
        if self._publishes:
            text = self._queue.find_publish([leaf]).get(leaf)
            if text is not None:
                mine = _target(text, self.plugin.name)
                if mine is None:
                    return ticket
                mode, priority = mine
        if priority == LOW and not late and attempt == 1 and stored.position + 1 < working.head.position:
            return ticket._replace(defer=True)
        return ticket._replace(delivery=self._maker.make(working, reader, stored, mode=mode, attempt=attempt))


def _leaf_at(reader: LogReader, position: int) -> bytes:
    (stored,) = reader.events([position])
    return leaf_hash(stored.envelope)


def _target(text: str, plugin: str) -> tuple[str | None, int] | None:
    """(mode, priority) of a plugin in what `--publish` said; None where it is not named."""
    targets: Iterable[Sequence[Any]] = json.loads(text)
    for name, mode, priority in targets:
        if name == plugin:
            return mode, PRIORITIES.index(priority)
    return None
