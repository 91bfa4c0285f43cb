"""Staging: events are checked, encoded and hashed now, and become history later, all at once.

A staged event is complete: version, id, time, actor and salt are drawn when it is staged. Committing writes exactly
these bytes, so all it must find out is whether an aggregate has moved since.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from dbx.crypto import merkle
from dbx.errors import Conflict, Corrupt
from dbx.formats import staging
from dbx.model.event import ARCHIVED, RESTORED, fold
from dbx.model.time import format_time
from dbx.repo.build import Builder, Existence
from dbx.repo.events import decode_own, decode_stored
from dbx.repo.intake import TooManyFaults
from dbx.repo.log import Stored
from dbx.repo.record import Record, record_of
from dbx.store import stagedindex
from dbx.store.index import IndexDamaged, IndexUnavailable
from dbx.store.staging import NAME, Section, find_header, read_events, sealed_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from dbx.formats.envelope import Actor
    from dbx.model.event import Event
    from dbx.repo.bulk import SecondHalf
    from dbx.repo.domain import Domain
    from dbx.repo.intake import Item
    from dbx.store.index import Index
    from dbx.store.stagedindex import Batch

_SINCE = "staged_since"


class StagedResult(NamedTuple):
    """What one staging command added, and what is staged now."""

    batch: str
    events: int
    aggregates: int
    total: int
    last: Event | None


@contextmanager
def staging_area(domain: Domain) -> Iterator[tuple[Index, Batch | None]]:
    """The staging lock, the index at the log's head, and what is staged, the index agreeing with the file."""
    with staging_locked(domain):
        domain.sync()
        domain.flush()
        index = domain.sync().index
        yield index, agree(domain, index)


@contextmanager
def staging_locked(domain: Domain) -> Iterator[None]:
    """The staging lock. Who needs the writer's lock too takes it after this one."""
    with domain.mutex:
        domain.staging_lock.acquire(domain.wait_s)
        try:
            yield
        finally:
            domain.staging_lock.release()


def find_batch(domain: Domain) -> Batch | None:
    """What is staged, without waiting for anybody; None for nothing."""
    with domain.mutex:
        index = domain.sync().index
        found = find_header(domain.directory)
        if found is None or index.find_batch(found[0].batch) is not None:
            return None
        batch = stagedindex.get_batch(index)
        if batch is not None and (batch.id, batch.size) == (found[0].batch, found[1]):
            return batch
        end = sealed_size(domain.directory)
        if end == found[0].size:
            return None
        events = sum(map(len, read_events(domain.directory, end)))
        return stagedindex.Batch(found[0].batch, end, events, 0, 0)


def staged_since(domain: Domain, batch: Batch) -> int:
    """When the first event of a batch was staged, in microseconds since the Unix epoch.

    Where a rebuilt index no longer knows, it is when the last one was.
    """
    with domain.mutex:
        text = domain.sync().index.get_meta(_SINCE)
    if text and text.startswith(f"{batch.id}|"):
        return int(text.partition("|")[2])
    fd = domain.directory.open_read(NAME)
    try:
        return os.fstat(fd).st_mtime_ns // 1000
    finally:
        os.close(fd)


def stage(
    domain: Domain,
    items: Iterable[Item] | Callable[[Builder], Iterable[Item]],
    *,
    issued_by: Actor | None,
    existence: Existence = "any",
    reserved: bool = False,
    max_faults: int = 100,
    dry_run: bool = False,
    second: SecondHalf | None = None,
) -> StagedResult:
    """Check, build and stage events: all of them or none.

    `items` are (line number, object, raw text or None), or a function that makes them and may report faults to the
    builder it is given; `second` is what follows them. Raises Invalid, Conflict or NotFound with every fault found.
    """
    with staging_area(domain) as (index, batch):
        now_us = domain.clock()
        worker, last = domain.draw_from(index, "stage")
        if batch is not None:
            last = max(last, batch.last_id)
        builder = Builder(
            find=lambda kind, name: _find(index, batch, kind, name),
            has_type=index.has_type,
            is_taken=lambda event_id: _is_taken(index, event_id),
            now_us=now_us,
            now=format_time(now_us),
            worker=worker,
            last_id=last,
            issued_by=issued_by,
            entropy=domain.entropy,
            existence=existence,
            reserved=reserved,
            max_faults=max_faults,
        )
        header = b""
        if batch is None:
            header = staging.encode_header(new_uuid(domain.entropy(16)), domain.id)
        section = Section(domain.directory, header=header, at=batch.size if batch else 0)
        try:
            tail = _fill(builder, section, items(builder) if callable(items) else items, second)
            if not builder.count or dry_run:
                name = batch.id if batch else ""
                return StagedResult(name, builder.count, len(builder.records), batch.events if batch else 0, tail)
            end = section.finish()
        finally:
            section.discard()
        name = batch.id if batch else staging.decode_header(header)[0]
        offset = batch.events if batch else 0
        given = (batch.given if batch else 0) + builder.given
        after = stagedindex.Batch(name, end, offset + builder.count, builder.last_drawn, given)
        since_us = now_us if batch is None else None
        _note(domain, index, after, builder.records, builder.runs, offset, worker, since_us)
        return StagedResult(name, builder.count, len(builder.records), after.events, tail)


def clear(domain: Domain) -> int:
    """Drop everything that is staged; how many events that were."""
    with staging_locked(domain):
        try:
            batch = find_batch(domain)
        except Corrupt:  # which is what it is dropped for
            batch = stagedindex.get_batch(domain.sync().index)
        drop_staging(domain, domain.sync().index)
        return batch.events if batch else 0


def staged_events(domain: Domain) -> Iterator[Event]:
    """The staged events, in order, with positions counted within the batch and commit -1."""
    batch = find_batch(domain)
    if batch is None:
        return
    position = 0
    for lines in read_events(domain.directory, batch.size):
        for line in lines:
            envelope, body = staging.split_line(line)
            yield decode_stored(Stored(position, envelope, body), -1)
            position += 1


def drop_staging(domain: Domain, index: Index) -> None:
    """Remove the staging file, durably, and what the index holds of it. The staging lock must be held."""
    domain.directory.remove(NAME)
    try:
        with index.write(None):
            stagedindex.clear_staged(index)
    except (IndexUnavailable, IndexDamaged):
        return  # derived: it no longer agrees with the file and is made anew when it is next looked at


def _fill(builder: Builder, section: Section, items: Iterable[Item], second: SecondHalf | None) -> Event | None:
    last: tuple[bytes, bytes] | None = None

    def drain() -> None:
        nonlocal last
        if builder.envelopes:
            if not builder.faults:
                section.add(builder.envelopes, builder.bodies)
            last = (builder.envelopes[-1], builder.bodies[-1])
            builder.envelopes.clear()
            builder.bodies.clear()
            builder.leaves.clear()
        if second is not None:
            second.watch(builder)

    try:
        if second is not None:
            second.start(builder, section)
        builder.add(items, drain)
        drain()
        if second is not None:
            joined = second.join(builder, section)
            if joined is None:
                second.stop()
                builder.add(second.items(builder), drain)
                drain()
            last = joined or last
    except TooManyFaults:
        pass  # `refuse` tells what was found
    finally:
        if second is not None:
            second.stop()
    builder.refuse()
    return None if last is None else decode_own(Stored(builder.count - 1, *last), -1)


def _find(index: Index, batch: Batch | None, aggregate_type: str, aggregate_id: str) -> Record | None:
    stored = index.find(aggregate_type, aggregate_id)
    if batch is not None:
        staged = stagedindex.find_staged(index, aggregate_type, aggregate_id)
        if staged is not None:
            row, base, offsets = staged
            version = 0 if stored is None else stored.version
            if version != base:
                raise moved([(aggregate_type, aggregate_id, base, version)])
            record = record_of(row)
            record.base = base
            record.staged = offsets
            return record
    return None if stored is None else record_of(stored)


def moved(found: list[tuple[str, str, int, int]]) -> Conflict:
    """What to say of aggregates that are no longer at the version their staged events were based on."""
    kind, name, base, version = found[0]
    others = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return Conflict(
        f"aggregate '{kind}/{name}' is at version {version}, but events were staged on version {base}{others}",
        hint="nothing was committed; see 'dbx staged', drop them with 'dbx reset' and stage again",
        details={
            "aggregates": [
                {"aggregate_type": kind, "aggregate_id": name, "staged_on": base, "version": version}
                for kind, name, base, version in found
            ]
        },
    )


def _is_taken(index: Index, event_id: int) -> bool:
    return index.find_event(event_id) is not None or index.runs_between(event_id, event_id, staged=True)


def _note(
    domain: Domain,
    index: Index,
    batch: Batch,
    records: list[Record],
    runs: list[tuple[int, int, int]],
    offset: int,
    worker: int,
    since_us: int | None = None,
) -> None:
    """Bring the staged half of the index forward. It is derived: where it cannot be written, it is made anew later."""
    try:
        with index.write(None):
            stagedindex.put_staged(
                index,
                (
                    (record.row(), record.base, [*record.staged, *[offset + n for n in record.added]])
                    for record in records
                ),
            )
            stagedindex.put_staged_runs(index, [(first, count, offset + n) for first, count, n in runs])
            stagedindex.set_batch(index, batch)
            index.set_meta("ids.stage", f"{worker}|{batch.last_id}")
            if since_us is not None:
                index.set_meta(_SINCE, f"{batch.id}|{since_us}")
    except IndexUnavailable:
        return
    domain.drawn["stage"] = (worker, batch.last_id)


def agree(domain: Domain, index: Index) -> Batch | None:
    """Make the staged half of the index follow the staging file, whichever of them a crash left behind."""
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
    if batch is not None and (batch.id, batch.size) == (header.batch, size):
        return batch
    end = sealed_size(domain.directory)
    if batch is not None and (batch.id, batch.size) == (header.batch, end):
        return batch
    return _restage(domain, index, header.batch, header.size, end)


def _restage(domain: Domain, index: Index, name: str, start: int, end: int) -> Batch | None:
    """Make the staged half of the index from the staging file."""
    with index.write(None):
        stagedindex.clear_staged(index)
    if end == start:
        domain.directory.remove(NAME)
        return None
    records: dict[tuple[str, str], Record] = {}
    runs: list[tuple[int, int, int]] = []
    count = 0
    last = 0
    worker, drawn = domain.draw_from(index, "stage")
    for lines in read_events(domain.directory, end):
        for line in lines:
            envelope, body = staging.split_line(line)
            event_id = _refold(index, records, envelope, body, count)
            runs.append((event_id, 1, count))
            if event_id >> 12 & 1023 == worker:
                last = max(last, event_id)
            count += 1
    batch = stagedindex.Batch(name, end, count, max(last, drawn), count)
    _note(domain, index, batch, list(records.values()), runs, 0, worker)
    return batch


def _refold(index: Index, records: dict[tuple[str, str], Record], line: bytes, body_line: bytes, offset: int) -> int:
    """Add a staged event to its record; its event id. An aggregate that moved keeps its base: the commit refuses it."""
    event = decode_stored(Stored(offset, line, body_line), -1)
    name = (event.aggregate_type, event.aggregate_id)
    record = records.get(name)
    if record is None:
        row = index.find(*name)
        record = records[name] = Record(*name) if row is None else record_of(row)
        if record.version != event.version - 1:
            record.base = record.version = event.version - 1
            record.edge = [b""] * record.version.bit_count()
    leaf = merkle.leaf_hash(line)
    if all(record.edge):
        merkle.append(record.edge, record.version, leaf)
    record.version = event.version
    record.created_at = record.created_at or event.created_at
    record.updated_at = event.created_at
    record.added.append(offset)
    if event.event_type in (ARCHIVED, RESTORED):
        record.archived = event.event_type == ARCHIVED
    fold(record.state, record.extensions, event.event_type, event.payload, event.metadata)
    return event.event_id


def new_uuid(random: bytes) -> str:
    """A version 4 UUID (RFC 9562 §5.4) from 16 random bytes."""
    value = int.from_bytes(random, "big") & ~(0xF << 76) & ~(0x3 << 62) | (0x4 << 76) | (0x2 << 62)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
