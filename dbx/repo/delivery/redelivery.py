"""Delivering again what is in the log: which events, in its order, and the bookmark of how far that has come.

A replay has nothing to do with the cursor of its plugin, nor with what `--publish` said. Its bookmark is a named value
in queue.db, so that one that was cut off goes on where it stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.crypto.merkle import leaf_hash
from dbx.errors import Conflict, Invalid, NotFound
from dbx.formats import canonical
from dbx.formats.envelope import decode_envelope
from dbx.model.missing import no_version
from dbx.repo.delivery.deliveries import DeliveryMaker
from dbx.repo.query import positions_of
from dbx.store.lock import Lock
from dbx.store.queuelayout import QueueDamaged, replays_of
from dbx.store.scanindex import count_events, find_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dbx.model.delivery import Delivery
    from dbx.model.plugin import Plugin
    from dbx.repo.domain import Domain
    from dbx.repo.log import LogReader, Stored
    from dbx.repo.working import WorkingSet
    from dbx.store.queue import Queue

LOCK = "replay.lock"
BATCH = 64
KEPT_DAYS = 30
"""A replay that nobody takes up again for so long is forgotten."""
_WINDOW = 250_000
"""So many positions of the log at a time are looked through for events of a type."""


class Wanted(NamedTuple):
    """Which events: of a type, or of one aggregate; from a version on; created at `since` (as events have it) or later.

    Without an id those of archived aggregates only with `archived`.
    """

    aggregate_type: str
    aggregate_id: str | None = None
    from_version: int = 1
    since: str | None = None
    archived: bool = False


class Bookmark(NamedTuple):
    """How far a replay is: `position` is the next to look at, `leaf` the hash of the event before it, None for none.

    `seen` events were looked at, `delivered` were delivered. `since` is the time that it began with, `at` when it was
    written, in milliseconds since the Unix epoch.
    """

    position: int = 0
    leaf: str | None = None
    seen: int = 0
    delivered: int = 0
    since: str | None = None
    at: int = 0


class Step(NamedTuple):
    """An event that was looked at. Without a delivery it is none of those that are wanted.

    `aggregate` is the number of its aggregate in the index.
    """

    position: int
    leaf: bytes
    event_id: int
    aggregate: int
    delivery: Delivery | None


class Redelivery:
    """The events of one replay, from a bookmark up to the head of the log as it is when this is made."""

    def __init__(self, domain: Domain, plugin: Plugin, wanted: Wanted, begin: Bookmark) -> None:
        """Raises NotFound where there is no such aggregate, version or type."""
        self._domain = domain
        self._wanted = wanted
        self._maker = DeliveryMaker(domain, plugin, replay=True)
        self._start = begin.position
        self._last = None if begin.leaf is None else (begin.position - 1, bytes.fromhex(begin.leaf))
        self._chosen: Sequence[int] = ()
        self.end = self.total = 0
        """`end`: the position behind the last. `total`: how many events will have been looked at then."""
        self.is_hidden = False
        """Whether the plugin gets nothing of the type, because its schema hides it."""
        domain.read(self._survey)

    def batches(self) -> Iterator[list[Step]]:
        """The events in the order of the log, a few at a time. Raises Conflict where commits are taken back."""
        for positions in self._windows():
            for at in range(0, len(positions), BATCH):
                chunk = positions[at : at + BATCH]
                steps = self._domain.read(lambda working, reader, chunk=chunk: self._steps(working, reader, chunk))  # type: ignore[misc]
                self._last = (steps[-1].position, steps[-1].leaf)
                yield steps

    def _survey(self, working: WorkingSet, _: LogReader) -> None:
        wanted, index = self._wanted, working.index
        self.end = working.head.position
        self.is_hidden = self._maker.hides(wanted.aggregate_type)
        if wanted.aggregate_id is None:
            if not index.has_type(wanted.aggregate_type) and not self._is_declared():
                raise NotFound(
                    f"domain '{self._domain.name}' has no aggregates of type '{wanted.aggregate_type}'",
                    hint="see 'dbx aggregate list'",
                )
            self.total = count_events(index, wanted.aggregate_type)
            return
        positions = positions_of(self._domain, index, wanted.aggregate_type, wanted.aggregate_id)
        if wanted.from_version > len(positions):
            raise no_version(wanted.aggregate_type, wanted.aggregate_id, wanted.from_version, len(positions))
        positions = positions[wanted.from_version - 1 :]
        self._chosen = [position for position in positions if position >= self._start]
        self.total = len(positions)

    def _is_declared(self) -> bool:
        from dbx.repo.schema.schemas import find_types

        return self._wanted.aggregate_type in find_types(self._domain.directory)

    def _windows(self) -> Iterator[Sequence[int]]:
        if self._wanted.aggregate_id is not None:
            yield self._chosen
            return
        kind = self._wanted.aggregate_type
        for at in range(self._start, self.end, _WINDOW):
            behind = min(at + _WINDOW, self.end)
            yield self._domain.read(
                lambda working, _, at=at, behind=behind: working.index.positions_of_type(kind, at, behind)  # type: ignore[misc]
            )

    def _steps(self, working: WorkingSet, reader: LogReader, chunk: Sequence[int]) -> list[Step]:
        head = working.head.position
        if chunk[-1] >= head or not (self._last is None or is_at(reader, head, *self._last)):
            raise Conflict(
                "commits were taken back while the replay went along them", hint="run it again: it begins anew"
            )
        return [self._step(working, reader, stored) for stored in reader.events(chunk)]

    def _step(self, working: WorkingSet, reader: LogReader, stored: Stored) -> Step:
        wanted = self._wanted
        envelope = decode_envelope(stored.envelope)
        number, archived = find_number(working.index, envelope.aggregate_type, envelope.aggregate_id) or (0, False)
        meant = (
            envelope.version >= wanted.from_version
            and (wanted.since is None or envelope.created_at >= wanted.since)
            and (wanted.aggregate_id is not None or wanted.archived or not archived)
        )
        delivery = self._maker.make(working, reader, stored) if meant else None
        if delivery is not None and delivery.is_empty:
            delivery = None
        return Step(stored.position, leaf_hash(stored.envelope), envelope.event_id, number, delivery)


def is_at(reader: LogReader, head: int, position: int, leaf: bytes) -> bool:
    """Inside a query: whether an event is still where it was."""
    if position >= head:
        return False
    (stored,) = reader.events([position])
    return leaf_hash(stored.envelope) == leaf


def replay_lock(domain: Domain) -> Lock:
    """The lock of whoever replays in a domain; acquire it."""
    return Lock(domain.directory, LOCK)


# -- bookmarks ---------------------------------------------------------------------------------------------------------


def bookmark_name(plugin: str, *what: Any) -> str:
    """What a bookmark is kept under: the plugin, and all that makes this replay another than others."""
    return replays_of(plugin) + canonical.encode_text(list(what))


def find_bookmark(domain: Domain, queue: Queue, name: str) -> tuple[Bookmark | None, bool]:
    """(the bookmark, None for none that holds; whether there is one that does not, because history was taken back)."""
    text = queue.get_meta(name)
    if text is None:
        return None, False
    found = _parse(queue, text)
    if _is_old(domain, found):
        return None, False
    if found.leaf is None:
        return found, False
    leaf = bytes.fromhex(found.leaf)
    holds = domain.read(lambda working, reader: is_at(reader, working.head.position, found.position - 1, leaf))
    return (found, False) if holds else (None, True)


def put_bookmark(domain: Domain, queue: Queue, name: str, bookmark: Bookmark) -> None:
    """Write down how far a replay is, now."""
    queue.set_meta(name, canonical.encode_text(bookmark._replace(at=domain.clock() // 1000)._asdict()))


def drop_bookmark(queue: Queue, name: str) -> None:
    """A replay has come to its end, or begins anew."""
    queue.drop_meta(name)


def drop_old_bookmarks(domain: Domain, queue: Queue, plugin: str) -> None:
    """Forget the replays to a plugin that nobody has taken up again for KEPT_DAYS."""
    for name, text in queue.metas(replays_of(plugin)).items():
        if _is_old(domain, _parse(queue, text)):
            queue.drop_meta(name)


def list_bookmarks(domain: Domain, queue: Queue, plugin: str) -> list[tuple[list[Any], Bookmark]]:
    """(what `bookmark_name` was given behind the plugin, the bookmark) of all replays to a plugin that were cut off."""
    prefix = replays_of(plugin)
    found = [(name, _parse(queue, text)) for name, text in queue.metas(prefix).items()]
    return [
        (canonical.loads(name[len(prefix) :], what="a bookmark"), mark)
        for name, mark in found
        if not _is_old(domain, mark)
    ]


def _is_old(domain: Domain, bookmark: Bookmark) -> bool:
    return domain.clock() // 1000 - bookmark.at > KEPT_DAYS * 86_400_000


def _parse(queue: Queue, text: Any) -> Bookmark:
    try:
        found = Bookmark(**canonical.loads(text, what="a bookmark"))
        bytes.fromhex(found.leaf or "")
        if not all(type(number) is int for number in (found.position, found.seen, found.delivered, found.at)):
            raise ValueError("a number is none")
    except (Invalid, TypeError, ValueError) as error:
        raise QueueDamaged(f"a bookmark in '{queue.path}' cannot be read", hint="say --restart") from error
    return found
