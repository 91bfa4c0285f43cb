"""Staging: events are checked, encoded and hashed now, and become history later, all at once.

A staged event is complete: version, id, time, actor and salt are drawn when it is staged. Committing writes exactly
these bytes, so all it must find out is whether an aggregate has moved since.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from dbx.crypto import merkle
from dbx.crypto.indextree import TreeMismatch
from dbx.errors import Conflict, Corrupt, NotFound
from dbx.formats import staging
from dbx.model.time import format_time
from dbx.repo.batch.stagedhalf import SINCE, agree, drop_staging, mending, note
from dbx.repo.build import Builder, Existence
from dbx.repo.enforcement import find_rules, note_checked
from dbx.repo.events import decode_own, decode_stored
from dbx.repo.intake import TooManyFaults
from dbx.repo.log import Stored
from dbx.repo.record import Record, record_of
from dbx.store import stagedindex
from dbx.store.index import IndexDamaged
from dbx.store.section import Section
from dbx.store.staging import NAME, chain_seal, find_header, read_blocks, read_events, sealed_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from dbx.formats.envelope import Actor
    from dbx.model.event import Event
    from dbx.repo.batch.bulk import SecondHalf
    from dbx.repo.domain import Domain
    from dbx.repo.intake import Item
    from dbx.store.stagedindex import Batch

T = TypeVar("T")
_TRIES = 8


class StagedResult(NamedTuple):
    """What one staging command added, and what is staged now."""

    batch: str
    events: int
    aggregates: int
    total: int
    last: Event | None


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
        for _ in range(_TRIES):
            with suppress(FileNotFoundError):  # committed or dropped since it was last looked at
                return mending(domain, lambda: _find_batch(domain))
        return None


def _find_batch(domain: Domain) -> Batch | None:
    index = domain.sync().index
    found = find_header(domain.directory)
    if found is None or index.find_batch(found[0].batch) is not None:
        return None
    header, size = found
    batch = stagedindex.get_batch(index)
    if batch is not None and batch.follows(header.batch, size, header.seal):
        return batch
    end = sealed_size(domain.directory)
    if end == header.size:
        return None
    events = sum(block.events for block in read_blocks(domain.directory, end, batch=header.batch))
    return stagedindex.Batch(header.batch, end, events, 0, "", ())


def staged_since(domain: Domain, batch: Batch) -> int:
    """When the first event of a batch was staged, in microseconds since the Unix epoch.

    Where a rebuilt index no longer knows, it is when the last one was.
    """
    with domain.mutex:
        text = mending(domain, lambda: domain.sync().index.get_meta(SINCE))
    if isinstance(text, str) and text.startswith(f"{batch.id}|"):
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
    with staging_locked(domain):
        ground = _Ground(domain)
        batch = ground.batch
        now_us = domain.clock()
        rules = find_rules(domain)
        worker, last = ground.ask(lambda: domain.draw_from(ground.index, "stage"))
        if batch is not None:
            last = max(last, batch.last_id)
        builder = Builder(
            find=ground.find,
            has_type=lambda kind: ground.ask(lambda: ground.index.has_type(kind)),
            is_taken=ground.is_taken,
            now_us=now_us,
            now=format_time(now_us),
            worker=worker,
            last_id=last,
            issued_by=issued_by,
            entropy=domain.entropy,
            existence=existence,
            reserved=reserved,
            rules=rules,
            max_faults=max_faults,
        )
        if second is not None:
            stagedindex.spare_memory(ground.index)
        header = b""
        if batch is None:
            header = staging.encode_header(new_uuid(domain.entropy(16)), domain.id)
        section = Section(domain.directory, header=header, at=batch.size if batch else 0, vault=domain.vault)
        tree = Tree(list(batch.edge) if batch else [], batch.events if batch else 0)
        try:
            tail = _fill(builder, section, tree, items(builder) if callable(items) else items, second)
            if not builder.count or dry_run:
                name = batch.id if batch else ""
                return StagedResult(name, builder.count, len(builder.records), batch.events if batch else 0, tail)
            end = section.finish()
        finally:
            section.discard()
        name = batch.id if batch else staging.decode_header(header)[0]
        offset = batch.events if batch else 0
        seals = chain_seal(batch.seals if batch else "", section.seal)
        after = stagedindex.Batch(name, end, offset + builder.count, builder.last_drawn, seals, tuple(tree.edge))
        since_us = now_us if batch is None else None
        records = ground.numbered(builder.records)
        note(domain, ground.index, after, records, builder.runs, offset=offset, worker=worker, since_us=since_us)
        if rules is not None:
            note_checked(ground.index, rules, batch, after)
        return StagedResult(name, builder.count, len(builder.records), after.events, tail)


def find_record(domain: Domain, aggregate_type: str, aggregate_id: str) -> Record | None:
    """An aggregate as it will be once what is staged is committed. Raises Conflict if it has moved since."""
    with staging_locked(domain):
        return _Ground(domain).find(aggregate_type, aggregate_id)


def unstage(domain: Domain, aggregate_type: str, aggregate_id: str) -> int:
    """Drop the staged events of an aggregate that is not committed; how many those were.

    The others stay as they are. Raises Conflict where the aggregate has committed events, NotFound where there is none.
    """
    name = f"aggregate '{aggregate_type}/{aggregate_id}'"
    with staging_locked(domain):
        ground = _Ground(domain)
        if ground.ask(lambda: ground.index.find(aggregate_type, aggregate_id)) is not None:
            raise Conflict(
                f"{name} cannot be removed: it has committed events",
                hint=f"hide it with 'dbx aggregate archive {aggregate_type} {aggregate_id}'",
            )
        batch, record = ground.batch, ground.find(aggregate_type, aggregate_id)
        if batch is None or record is None:
            raise NotFound(f"{name} does not exist in domain '{domain.name}', and none is staged")
        dropped = record.version
        if dropped == batch.events:
            drop_staging(domain, ground.index)
            return dropped
        section = Section(domain.directory, header=staging.encode_header(batch.id, domain.id), vault=domain.vault)
        start = f'{{"aggregate_id":"{aggregate_id}","aggregate_type":"{aggregate_type}",'.encode()
        try:
            for lines in read_events(domain.directory, batch.size, batch=batch.id, vault=domain.vault):
                kept = [pair for pair in lines if not pair[0].startswith(start)]
                section.add([envelope for envelope, _ in kept], [body for _, body in kept])
            section.finish()
        finally:
            section.discard()
        # The file is what counts; the staged half of the index no longer fits it and is made anew.
        agree(domain, ground.index)
        return dropped


def clear(domain: Domain) -> int:
    """Drop everything that is staged; how many events that were."""
    with staging_locked(domain):
        try:
            batch = find_batch(domain)
        except Corrupt:  # which is what it is dropped for
            batch = mending(domain, lambda: stagedindex.get_batch(domain.sync().index))
        drop_staging(domain, domain.sync().index)
        return batch.events if batch else 0


def staged_events(domain: Domain) -> Iterator[Event]:
    """The staged events, in order, with positions counted within the batch and commit -1."""
    position = 0
    for lines in _staged_pairs(domain):
        for envelope, body in lines:
            yield decode_stored(Stored(position, envelope, body), -1)
            position += 1


def _staged_pairs(domain: Domain) -> Iterator[list[tuple[bytes, bytes]]]:
    for _ in range(_TRIES):
        batch = find_batch(domain)
        if batch is None:
            return
        parts = read_events(domain.directory, batch.size, batch=batch.id, vault=domain.vault)
        try:
            first = next(parts)  # from here on the file is open, whatever becomes of its name
        except FileNotFoundError:
            continue
        yield first
        yield from parts
        return


class Tree:
    """The tree over all staged events, which is to be the "events" of their commit: its right edge, and its size."""

    def __init__(self, edge: list[bytes], size: int) -> None:
        self.edge = edge
        self.size = size

    def add(self, leaves: Sequence[bytes]) -> None:
        """Leaves, in order."""
        self.graft(merkle.subtrees(self.size, leaves))

    def graft(self, trees: Iterable[tuple[int, bytes]]) -> None:
        """What `merkle.subtrees` made of the next leaves."""
        self.size = merkle.graft(self.edge, self.size, trees)


class _Ground:
    """What a section is built on: the log, and what was staged before. Where the index is damaged, it is made anew."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._mended = False
        mending(domain, self._load)

    def _load(self) -> None:
        self._domain.sync()
        self._domain.flush()
        self.index = self._domain.sync().index
        self.batch = agree(self._domain, self.index)

    def ask(self, question: Callable[[], T]) -> T:
        """What the index says."""
        try:
            return question()
        except (IndexDamaged, TreeMismatch) as error:
            if self._mended:
                raise
            self._mended = True
            self._domain.rebuild(error)
            self._load()
            return question()

    def find(self, aggregate_type: str, aggregate_id: str) -> Record | None:
        """The record of an aggregate as it will be once what is staged is committed. Raises Conflict if it moved."""
        return self.ask(lambda: self._find(aggregate_type, aggregate_id))

    def is_taken(self, low: int, high: int) -> bool:
        """Whether an event, committed or staged, has any of the ids low..high."""
        return self.ask(lambda: self.index.runs_between(low, high) or self.index.runs_between(low, high, staged=True))

    def numbered(self, records: list[Record]) -> list[Record]:
        """The records with the row numbers of the index as it is now: one that was made anew may have others."""
        if self._mended:
            for record in records:
                row = self.index.find(record.type, record.id)
                record.n = None if row is None else row.n
        return records

    def _find(self, aggregate_type: str, aggregate_id: str) -> Record | None:
        stored = self.index.find(aggregate_type, aggregate_id)
        if self.batch is not None:
            staged = stagedindex.find_staged(self.index, aggregate_type, aggregate_id)
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


def _fill(
    builder: Builder, section: Section, tree: Tree, items: Iterable[Item], second: SecondHalf | None
) -> Event | None:
    last: tuple[bytes, bytes] | None = None

    def drain() -> None:
        nonlocal last
        if builder.envelopes:
            if not builder.faults:
                section.add(builder.envelopes, builder.bodies)
                tree.add(builder.leaves)
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
            joined = second.join(builder, section, tree)
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


def new_uuid(random: bytes) -> str:
    """A version 4 UUID (RFC 9562 §5.4) from 16 random bytes."""
    value = int.from_bytes(random, "big") & ~(0xF << 76) & ~(0x3 << 62) | (0x4 << 76) | (0x2 << 62)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
