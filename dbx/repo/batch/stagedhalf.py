"""Keeping the staged half of the index in step with staging.jsonl: the file decides.

The half remembers what the file's seals said when it was made. Where the file says something else, or the half is lost
or damaged, it is made again from the events in the file, each checked as if it came from a stranger: somebody may have
edited the file and sealed it anew.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from dbx.crypto import merkle
from dbx.crypto.indextree import TreeMismatch
from dbx.errors import Conflict, Corrupt
from dbx.model.event import ARCHIVED, ERASED, RESTORED, fold
from dbx.repo.events import decode_stored
from dbx.repo.log import Stored
from dbx.repo.record import Record, record_of
from dbx.store import stagedindex
from dbx.store.index import IndexDamaged, IndexUnavailable
from dbx.store.staging import NAME, find_header, read_events, scan_seals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dbx.repo.domain import Domain
    from dbx.store.index import Index
    from dbx.store.stagedindex import Batch
    from dbx.store.staging import Seals

T = TypeVar("T")
SINCE = "staged_since"
_WORKER_SHIFT = 12
_MAX_WORKER = 1023


def mending(domain: Domain, act: Callable[[], T]) -> T:
    """What `act` gives; where it meets damage of the index, what it gives after that was made anew."""
    try:
        return act()
    except (IndexDamaged, TreeMismatch) as error:
        domain.rebuild(error)
        return act()


def agree(domain: Domain, index: Index, *, anew: bool = False) -> Batch | None:
    """What is staged, the staged half of the index following the file, whichever of them a crash left behind.

    With `anew` it is made again even if it seems to follow. The staging lock must be held. Raises Corrupt, Conflict.
    """
    found = find_header(domain.directory)
    batch = stagedindex.get_batch(index)
    if found is None:
        if batch is not None:
            with index.write(None):
                stagedindex.clear_staged(index)
        return None
    header, size = found
    if header.domain != domain.id:
        raise Conflict(f"'{NAME}' was staged for another domain", hint="look at it, then drop it with 'dbx reset'")
    if index.find_batch(header.batch) is not None:
        drop_staging(domain, index)  # committed already; the crash came before this
        return None
    if batch is not None and not anew and batch.follows(header.batch, size, header.seal):
        return batch
    seals = scan_seals(domain.directory)
    if batch is not None and not anew and (batch.id, batch.size, batch.seals) == (header.batch, *seals):
        return batch
    if seals.end == header.size:
        with index.write(None):
            stagedindex.clear_staged(index)
        domain.directory.remove(NAME)
        return None
    return _restage(domain, index, header.batch, seals)


def drop_staging(domain: Domain, index: Index) -> None:
    """Remove the staging file, durably, and what the index holds of it. The staging lock must be held."""
    domain.directory.remove(NAME)
    # Derived: where it cannot be cleared it no longer agrees with the file, and is made anew when it is next looked at.
    with suppress(IndexUnavailable, IndexDamaged), index.write(None):
        stagedindex.clear_staged(index)


def note(
    domain: Domain,
    index: Index,
    batch: Batch,
    records: Iterable[Record],
    runs: list[tuple[int, int, int]],
    *,
    offset: int,
    worker: int,
    since_us: int | None = None,
) -> None:
    """Bring the staged half forward to a section that is in the file. Where it cannot be written, it is made later."""
    try:
        with index.write(None):
            stagedindex.put_staged(
                index,
                (
                    (record.row(), record.base, [*record.staged, *map(offset.__add__, record.added)])
                    for record in records
                ),
            )
            stagedindex.put_staged_runs(index, [(first, count, offset + n) for first, count, n in runs])
            stagedindex.set_batch(index, batch)
            index.set_meta("ids.stage", f"{worker}|{batch.last_id}")
            if since_us is not None:
                index.set_meta(SINCE, f"{batch.id}|{since_us}")
    except IndexUnavailable:
        return
    except IndexDamaged as error:
        domain.rebuild(error)
        return
    domain.drawn["stage"] = (worker, batch.last_id)
    domain.records_moved()


def _restage(domain: Domain, index: Index, name: str, seals: Seals) -> Batch:
    """Make the staged half from the staging file."""
    with index.write(None):
        stagedindex.clear_staged(index)
    records: dict[tuple[str, str], Record] = {}
    ids: list[int] = []
    edge: list[bytes] = []
    worker, last = domain.draw_from(index, "stage")
    for lines in read_events(domain.directory, seals.end, vault=domain.vault):
        for envelope, body in lines:
            try:
                ids.append(_refold(index, records, envelope, body, len(ids)))
                merkle.append(edge, len(ids) - 1, merkle.leaf_hash(envelope))
            except IndexDamaged:
                raise
            except Corrupt as error:
                raise _unfit(len(ids), error.message) from None
    runs = _runs_of(ids)
    mine = [event_id for event_id in ids if event_id >> _WORKER_SHIFT & _MAX_WORKER == worker]
    batch = stagedindex.Batch(name, seals.end, len(ids), max([last, *mine]), seals.seals, tuple(edge))
    note(domain, index, batch, list(records.values()), runs, offset=0, worker=worker)
    return batch


def _refold(index: Index, records: dict[tuple[str, str], Record], line: bytes, body_line: bytes, offset: int) -> int:
    """Add a staged event to its record; its event id. An aggregate that moved keeps its base: the commit refuses it."""
    event = decode_stored(Stored(offset, line, body_line), -1)
    if event.payload is None or event.event_type == ERASED:
        raise Corrupt("it has no body, or says that another has none")
    name = (event.aggregate_type, event.aggregate_id)
    record = records.get(name)
    if record is None:
        row = index.find(*name)
        record = records[name] = Record(*name) if row is None else record_of(row)
        if record.version != event.version - 1:
            record.base = record.version = event.version - 1
            record.edge = [b""] * record.version.bit_count()
    if event.version != record.version + 1:
        raise Corrupt(f"it is version {event.version} of its aggregate where {record.version + 1} should come")
    if all(record.edge):
        merkle.append(record.edge, record.version, merkle.leaf_hash(line))
    record.version = event.version
    record.created_at = record.created_at or event.created_at
    record.updated_at = event.created_at
    record.added.append(offset)
    if event.event_type in (ARCHIVED, RESTORED):
        record.archived = event.event_type == ARCHIVED
    fold(record.state, record.extensions, event.event_type, event.payload, event.metadata)
    return event.event_id


def _runs_of(ids: list[int]) -> list[tuple[int, int, int]]:
    """(first, count, offset) of consecutive ids. Raises Corrupt when two are the same."""
    if len(set(ids)) != len(ids):
        seen: set[int] = set()
        for offset, event_id in enumerate(ids):
            if event_id in seen:
                raise _unfit(offset, f"event id '{event_id}' was given to another one before")
            seen.add(event_id)
    runs: list[tuple[int, int, int]] = []
    for offset, event_id in enumerate(ids):
        if runs and runs[-1][0] + runs[-1][1] == event_id:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1, runs[-1][2])
        else:
            runs.append((event_id, 1, offset))
    return runs


def _unfit(offset: int, sentence: str) -> Corrupt:
    return Corrupt(
        f"'{NAME}' is damaged: staged event {offset + 1} cannot be committed: {sentence}",
        hint="look at it, then drop it with 'dbx reset'",
        details={"file": NAME, "event": offset + 1},
    )
