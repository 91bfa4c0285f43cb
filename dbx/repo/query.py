"""Questions to a domain: aggregates, events, commits. Each looks at the log as it is when the question is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.errors import Corrupt, NotFound
from dbx.model.event import Aggregate
from dbx.model.missing import no_aggregate, no_version
from dbx.repo.events import decode_stored
from dbx.repo.folding import FEW, Folding, edges_agree
from dbx.repo.record import parse
from dbx.store.indexlayout import IndexDamaged
from dbx.store.indexsurvey import find_seq_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dbx.model.event import Event
    from dbx.repo.domain import Domain
    from dbx.repo.log import Entry, LogReader
    from dbx.repo.working import WorkingSet
    from dbx.store.index import Index, Row

_CHUNK = 512
_WINDOW = 250_000
"""So many positions of the log at a time are looked through for events of a type: some ten megabytes."""


def aggregate_of(row: Row) -> Aggregate:
    """A stored row as a value."""
    return Aggregate(
        row.type,
        row.id,
        row.version,
        parse(row.state),
        parse(row.extensions),
        row.root.hex(),
        row.created_at,
        row.updated_at,
        bool(row.archived),
    )


def get_aggregate(domain: Domain, aggregate_type: str, aggregate_id: str, version: int | None = None) -> Aggregate:
    """An aggregate, at its latest version or an older one. Raises NotFound."""
    if version is None:

        def latest(working: WorkingSet, _: LogReader) -> Aggregate:
            record = working.touched.get((aggregate_type, aggregate_id))
            if record is None:
                return aggregate_of(get_row(domain, working.index, aggregate_type, aggregate_id))
            if record.refold:
                domain.refold()
            return aggregate_of(record.row())

        return domain.read(latest, flush=False)
    return domain.read(
        lambda working, reader: fold_version(domain, working, reader, aggregate_type, aggregate_id, version)
    )


def list_aggregates(
    domain: Domain,
    aggregate_type: str | None = None,
    *,
    take: int = -1,
    after: tuple[str, str] | None = None,
    archived: bool | None = False,
) -> list[Aggregate]:
    """Aggregates by type and id; `after` is the (type, id) to begin behind; `archived` None takes both kinds."""
    where, values = ["1"], []
    if aggregate_type is not None:
        where.append("type = ?")
        values.append(aggregate_type)
    if after is not None:
        where.append("(type, id) > (?, ?)")
        values += after
    if archived is not None:
        where.append(f"archived = {int(archived)}")
    rows = domain.read(lambda working, _: working.index.rows(" AND ".join(where), values, "type, id", take))
    return [aggregate_of(row) for row in rows]


def iterate_aggregates(
    domain: Domain, aggregate_type: str | None = None, *, archived: bool | None = False
) -> Iterator[Aggregate]:
    """`list_aggregates` without a limit, in bounded memory."""
    after: tuple[str, str] | None = None
    while True:
        page = list_aggregates(domain, aggregate_type, take=_CHUNK, after=after, archived=archived)
        yield from page
        if len(page) < _CHUNK:
            return
        after = page[-1].aggregate_type, page[-1].aggregate_id


def find_event(domain: Domain, event_id: int) -> Event | None:
    """An event by its id."""

    def query(working: WorkingSet, reader: LogReader) -> Event | None:
        position = working.index.find_event(event_id)
        if position is None:
            return None
        found = _events(working, reader, [position])[0]
        if found.event_id != event_id:
            raise IndexDamaged(f"the index does not know where event '{event_id}' lies", hint="run 'dbx reindex'")
        return found

    return domain.read(query)


def iterate_events(
    domain: Domain,
    aggregate_type: str | None = None,
    aggregate_id: str | None = None,
    *,
    start: int = 0,
    end: int | None = None,
) -> Iterator[Event]:
    """Events in log order, from position `start` on and before `end`, in bounded memory. Raises NotFound."""
    if aggregate_type is None:
        for at, behind in _ranges(domain, start, end, _CHUNK):
            yield from events_at(domain, range(at, behind))
        return
    if aggregate_id is None:
        for at, behind in _ranges(domain, start, end, _WINDOW):
            yield from _events_of(domain, _window(domain, aggregate_type, at, behind), aggregate_type, None)
        return
    positions = domain.read(lambda working, _: positions_of(domain, working.index, aggregate_type, aggregate_id))
    chosen = [p for p in positions if p >= start and (end is None or p < end)]
    yield from _events_of(domain, chosen, aggregate_type, aggregate_id)


def _ranges(domain: Domain, start: int, end: int | None, size: int) -> Iterator[tuple[int, int]]:
    """Positions from `start` on and before `end`, in pieces, up to where the log ends when each is asked for."""
    at = start
    while True:
        upto = domain.read(lambda working, _: working.head.position)
        behind = min(at + size, upto if end is None else min(end, upto))
        if at >= behind:
            return
        yield at, behind
        at = behind


def _window(domain: Domain, aggregate_type: str, at: int, behind: int) -> list[int]:
    return domain.read(lambda working, _: working.index.positions_of_type(aggregate_type, at, behind))


def _events_of(domain: Domain, chosen: Sequence[int], aggregate_type: str, aggregate_id: str | None) -> Iterator[Event]:
    for at in range(0, len(chosen), _CHUNK):
        for event in events_at(domain, chosen[at : at + _CHUNK]):
            if event.aggregate_type != aggregate_type or aggregate_id not in (None, event.aggregate_id):
                raise IndexDamaged(
                    f"the index says that event '{event.event_id}' is another aggregate's", hint="run 'dbx reindex'"
                )
            yield event


def events_at(domain: Domain, positions: Sequence[int], *, bodies: bool = True) -> list[Event]:
    """The events at positions; without `bodies` only what their envelopes say, for which no key is needed."""
    return domain.read(lambda working, reader: _events(working, reader, positions, bodies=bodies))


def iterate_commits(domain: Domain, *, newest: bool = True, first: int = 0, last: int | None = None) -> Iterator[Entry]:
    """Commits `first`..`last` (seqs), newest first unless told otherwise."""
    top = domain.read(lambda working, _: working.head.seq)
    upper = top if last is None else min(last, top)
    seqs = range(upper, first - 1, -1) if newest else range(first, upper + 1)
    for at in range(0, len(seqs), 64):
        part = seqs[at : at + 64]
        yield from domain.read(lambda _, reader, part=part: [reader.commit(seq) for seq in part])  # type: ignore[misc]


def get_commit(domain: Domain, seq: int) -> Entry:
    """A commit by its seq. Raises NotFound."""

    def query(working: WorkingSet, reader: LogReader) -> Entry:
        if not 0 <= seq <= working.head.seq:
            raise NotFound(f"domain '{domain.name}' has no commit {seq}")
        return reader.commit(seq)

    return domain.read(query)


def verify_aggregate(domain: Domain, aggregate_type: str, aggregate_id: str) -> Aggregate:
    """Re-read, re-hash and re-fold every event of an aggregate; what that gives. Raises Corrupt where it differs."""

    def query(working: WorkingSet, reader: LogReader) -> Aggregate:
        row = get_row(domain, working.index, aggregate_type, aggregate_id)
        made = fold_version(domain, working, reader, aggregate_type, aggregate_id, row.version, afresh=True)
        stored = aggregate_of(row)
        if made != stored:
            raise Corrupt(
                f"aggregate '{aggregate_type}/{aggregate_id}' is not what its events add up to",
                hint="run 'dbx fsck'; if only the index is wrong, 'dbx reindex' mends it",
            )
        return made

    return domain.read(query)


def fold_version(
    domain: Domain,
    working: WorkingSet,
    reader: LogReader,
    aggregate_type: str,
    aggregate_id: str,
    version: int,
    *,
    afresh: bool = False,
) -> Aggregate:
    """Inside a query of `Domain.read`: an aggregate at a version, folded from its events. Raises NotFound, Corrupt.

    It begins with the nearest snapshot, unless `afresh`.
    """
    row = get_row(domain, working.index, aggregate_type, aggregate_id)
    if not 0 < version <= row.version:
        raise no_version(aggregate_type, aggregate_id, version, row.version)
    assert row.n is not None  # noqa: S101 - a stored row
    start = None
    if not afresh and version > FEW:
        from dbx.repo.nearest import find_start

        start = find_start(domain, working.index, reader, row, version)
    folding = start or Folding(aggregate_type, aggregate_id)
    for stored in reader.events(working.index.positions(row.n, folding.count + 1, version)):
        folding.add(stored)
    if not edges_agree(folding.edge, version, row):
        if start is not None:
            return fold_version(domain, working, reader, aggregate_type, aggregate_id, version, afresh=True)
        raise Corrupt(
            f"the events of aggregate '{aggregate_type}/{aggregate_id}' do not have the root that the index"
            " holds for them"
        )
    return folding.aggregate()


def get_row(domain: Domain, index: Index, aggregate_type: str, aggregate_id: str) -> Row:
    """Inside a query: the index row of an aggregate. Raises NotFound."""
    row = index.find(aggregate_type, aggregate_id)
    if row is None:
        raise no_aggregate(domain.name, aggregate_type, aggregate_id)
    return row


def positions_of(domain: Domain, index: Index, aggregate_type: str, aggregate_id: str | None) -> list[int]:
    """Inside a query: the positions of the events of an aggregate, or of a type, in order. Raises NotFound."""
    if aggregate_id is None:
        return index.positions_of_type(aggregate_type)
    row = get_row(domain, index, aggregate_type, aggregate_id)
    assert row.n is not None  # noqa: S101 - a stored row
    positions = index.positions(row.n)
    if len(positions) != row.version or positions[-1] >= index.head().position:
        raise IndexDamaged(
            f"the index does not know where the events of aggregate '{row.type}/{row.id}' lie", hint="run 'dbx reindex'"
        )
    return positions


def _events(working: WorkingSet, reader: LogReader, positions: Sequence[int], *, bodies: bool = True) -> list[Event]:
    found: list[Event] = []
    seq, first, until = -1, 0, 0
    for stored in reader.events(positions):
        if not first <= stored.position < until:
            seq, first, until = commit_range(working, stored.position)
        found.append(decode_stored(stored if bodies else stored._replace(body=b""), seq))
    return found


def commit_range(working: WorkingSet, position: int) -> tuple[int, int, int]:
    """Inside a query: (seq, first position, position behind the last) of the commit that holds a position."""
    seq = find_seq_at(working.index, position)
    if seq is None:
        raise Corrupt(f"the index does not know which commit holds event {position}", hint="run 'dbx reindex'")
    found, following = working.index.find_commit(seq), working.index.find_commit(seq + 1)
    assert found is not None  # noqa: S101 - seq_at has just found it
    return seq, found[1], working.head.position if following is None else following[1]
