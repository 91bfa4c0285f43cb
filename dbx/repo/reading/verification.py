"""Verify many aggregates in few passes over the log, whose blocks hold the events of many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbx.crypto import merkle
from dbx.errors import Corrupt
from dbx.model.event import ARCHIVED, RESTORED, Aggregate, fold
from dbx.repo.events import decode_stored
from dbx.repo.query import aggregate_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.model.event import Event
    from dbx.repo.domain import Domain
    from dbx.repo.log import LogReader, Stored
    from dbx.repo.working import WorkingSet

_PAGE = 4096


class _Made:
    """An aggregate as its events make it, and the first thing that was wrong with them."""

    __slots__ = ("archived", "count", "created_at", "edge", "extensions", "fault", "state", "stored", "updated_at")

    def __init__(self, stored: Aggregate) -> None:
        self.stored = stored
        self.count = 0
        self.edge: list[bytes] = []
        self.state: dict[str, Any] = {}
        self.extensions: dict[str, Any] = {}
        self.created_at = self.updated_at = ""
        self.archived = False
        self.fault: Corrupt | None = None

    def add(self, stored: Stored) -> None:
        """Take the next event."""
        event = decode_stored(stored, 0)
        due = (self.stored.aggregate_type, self.stored.aggregate_id, self.count + 1)
        if (event.aggregate_type, event.aggregate_id, event.version) != due:
            raise Corrupt(f"the event at position {stored.position} is not version {due[2]} of '{due[0]}/{due[1]}'")
        merkle.append(self.edge, self.count, merkle.leaf_hash(stored.envelope))
        self.count += 1
        self._fold(event)

    def _fold(self, event: Event) -> None:
        fold(self.state, self.extensions, event.event_type, event.payload, event.metadata)
        if event.event_type in (ARCHIVED, RESTORED):
            self.archived = event.event_type == ARCHIVED
        self.created_at = self.created_at or event.created_at
        self.updated_at = event.created_at

    def judge(self) -> Corrupt | None:
        """What is wrong, if anything is."""
        if self.fault is not None:
            return self.fault
        made = Aggregate(
            self.stored.aggregate_type,
            self.stored.aggregate_id,
            self.count,
            self.state,
            self.extensions,
            merkle.edge_root(self.edge).hex(),
            self.created_at,
            self.updated_at,
            self.archived,
        )
        if made == self.stored:
            return None
        return Corrupt(
            f"aggregate '{made.aggregate_type}/{made.aggregate_id}' is not what its events add up to",
            hint="run 'dbx fsck'; if only the index is wrong, 'dbx reindex' mends it",
        )


def verify_aggregates(domain: Domain, aggregate_type: str | None = None) -> Iterator[tuple[Aggregate, Corrupt | None]]:
    """Every aggregate, archived ones too, by type and id: (as the index has it, what is wrong or None)."""
    after: tuple[str, str] | None = None
    while True:
        page = domain.read(
            lambda working, reader, after=after: _verify_page(working, reader, aggregate_type, after)  # type: ignore[misc]
        )
        for made in page:
            yield made.stored, made.judge()
        if len(page) < _PAGE:
            return
        after = page[-1].stored.aggregate_type, page[-1].stored.aggregate_id


def _verify_page(
    working: WorkingSet, reader: LogReader, aggregate_type: str | None, after: tuple[str, str] | None
) -> list[_Made]:
    where, values = ["1"], []
    if aggregate_type is not None:
        where.append("type = ?")
        values.append(aggregate_type)
    if after is not None:
        where.append("(type, id) > (?, ?)")
        values += after
    page: list[_Made] = []
    due: list[tuple[int, _Made]] = []
    for row in working.index.rows(" AND ".join(where), values, "type, id", _PAGE):
        assert row.n is not None  # noqa: S101 - a stored row
        made = _Made(aggregate_of(row))
        page.append(made)
        due += [(position, made) for position in working.index.positions(row.n)]
    due.sort(key=lambda item: item[0])
    at = 0
    while at < len(due):
        # A fault ends the reader's run; the next one begins behind it.
        try:
            for stored in reader.events([position for position, _ in due[at:]]):
                made = due[at][1]
                if made.fault is None:
                    made.add(stored)
                at += 1
        except Corrupt as fault:
            due[at][1].fault = fault
            at += 1
    return page
