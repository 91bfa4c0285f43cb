"""What a process holds of a domain in memory, ahead of index.db: records, locators, the head, and how they get there.

Everything here follows from the log, so it can be dropped at any moment and made again from index.db and the journal.
"""

from __future__ import annotations

from bisect import bisect_left
from hashlib import sha256
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from dbx.crypto import merkle
from dbx.crypto.indextree import EMPTY, IndexTree, key_of, leaf_hash
from dbx.errors import Corrupt
from dbx.formats import canonical
from dbx.model.event import RESERVED
from dbx.repo.masks import SealedAway, may_mask
from dbx.repo.record import Record, record_of
from dbx.store import stagedindex
from dbx.store.index import Head, IndexDamaged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dbx.formats.commit import Commit
    from dbx.store.ahead import Ahead
    from dbx.store.index import Index

_RECORDS = 20_000
_LONG_CHAIN = 16


class WorkingSet:
    """Records and locators that go beyond the index, up to `head`."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.indexed = index.head()
        self.head = self.indexed
        self.edge = merkle.decode_edge(self.indexed.edge, self.indexed.seq + 1)
        self.tree = IndexTree(index, self.indexed.root)
        self.records: dict[tuple[str, str], Record] = {}
        self.touched: dict[tuple[str, str], Record] = {}
        self._runs: list[tuple[int, int, int]] = []
        self._last_ids: tuple[int, int] | None = None
        self._counted = 0
        self._log: list[tuple[int, bytes, int, str | None]] = []
        self._blocks: dict[str, tuple[list[tuple[int, int]], list[tuple[int, int]]]] = {}
        self._dropped: list[str] = []

    @property
    def pending(self) -> int:
        """How many commits are not in the index yet."""
        return len(self._log)

    @property
    def pending_events(self) -> int:
        """How many events are not in the index yet."""
        return self.head.position - self.indexed.position

    def find(self, aggregate_type: str, aggregate_id: str) -> Record | None:
        """The record of an aggregate as of `head`."""
        name = (aggregate_type, aggregate_id)
        record = self.records.get(name)
        if record is None:
            row = self.index.find(aggregate_type, aggregate_id)
            if row is None:
                return None
            record = self.records[name] = record_of(row)
        return record

    def has_type(self, aggregate_type: str) -> bool:
        """Whether records of a type may exist: asked once per transaction and type."""
        return bool(self.touched) or self.index.has_type(aggregate_type)

    def is_taken(self, low: int, high: int) -> bool:
        """Whether an event, as of `head`, has any of the ids low..high. Those that are drawn are mostly the latest."""
        runs = self._runs
        last, staged = self._last_ids or stagedindex.last_ids(self.index)
        for first, count, _ in runs[self._counted :]:
            last = max(last, first + count - 1)
        self._counted = len(runs)
        self._last_ids = last, staged
        if low > last:
            return False
        return any(first <= high and first + count > low for first, count, _ in runs) or self.index.runs_between(
            low, high
        )

    def is_staged(self, low: int, high: int) -> bool:
        """Whether a staged event had any of the ids low..high when this was first asked."""
        if self._last_ids is None:
            self._last_ids = stagedindex.last_ids(self.index)
        return low <= self._last_ids[1] and self.index.runs_between(low, high, staged=True)

    def forget(self) -> None:
        """Events came without their records in memory: forget what is only remembered, and which ids are the last."""
        self.records = dict(self.touched)
        self._last_ids = None
        self._counted = 0

    def update_tree(self, records: Sequence[Record]) -> bytes:
        """Bring the index tree forward to these records; the new root."""
        changes: dict[bytes, bytes | None] = {}
        for record in records:
            if not record.key:
                record.key = key_of(record.type, record.id)
            changes[record.key] = leaf_hash(record.key, record.version, record.root())
        return self.tree.update(changes)

    def adopt(self, records: Sequence[Record], first_position: int, runs: Sequence[tuple[int, int, int]]) -> None:
        """Take over built records, whose offsets count from `first_position`, and their id runs."""
        for record in records:
            record.fresh += [first_position + offset for offset in record.added]
            record.added = []
            name = (record.type, record.id)
            self.records[name] = self.touched[name] = record
        self._runs += [(first, count, first_position + offset) for first, count, offset in runs]

    def note_ids(self, ids: Sequence[int], position: int) -> None:
        """The ids of events from `position` on, as runs."""
        runs = self._runs
        breaks = [n for n in range(1, len(ids)) if ids[n] != ids[n - 1] + 1]
        for at, end in pairwise([0, *breaks, len(ids)]):
            first, count, start = runs[-1] if runs else (0, 0, 0)
            if count and (first + count, start + count) == (ids[at], position + at):
                runs[-1] = first, count + end - at, start
            else:
                runs.append((ids[at], end - at, position + at))

    def advance(self, commit: Commit, commit_id: bytes) -> None:
        """The head is now this commit; its events have been adopted and the tree updated."""
        seq = commit.seq
        merkle.append(self.edge, seq, commit_id)
        self._log.append((seq, commit_id, commit.position, commit.batch))
        head = self.head
        self.head = Head(
            seq,
            commit_id,
            commit.position + commit.count,
            bytes.fromhex(commit.index),
            b"".join(self.edge),
            head.manifest,
            head.journal,
            head.journal_end,
        )

    def locate(self, file: str, blocks: Sequence[tuple[int, int]], frames: Sequence[tuple[int, int]]) -> None:
        """Blocks and C frames of a file, as (first position, offset) and (first seq, offset)."""
        known = self._blocks.setdefault(file, ([], []))
        known[0].extend(blocks)
        known[1].extend(frames)

    def drop_file(self, file: str) -> None:
        """The locators of a file are good no longer."""
        self._blocks.pop(file, None)
        self._dropped.append(file)

    def find_block(self, position: int) -> tuple[int, str, int] | None:
        """(first position, file, offset) of the block that holds a position, also if the index does not know it yet."""
        found = self.index.find_block(position)
        if found is not None and found[1] in self._dropped:
            found = None
        for file, (blocks, _) in self._blocks.items():
            n = bisect_left(blocks, (position + 1, 0)) - 1
            if n >= 0 and (found is None or blocks[n][0] >= found[0]):
                found = blocks[n][0], file, blocks[n][1]
        return found

    def find_commit_frame(self, seq: int) -> tuple[int, str, int] | None:
        """(first seq, file, offset) of the C frame that holds a commit, if the index knows it."""
        return self.index.find_commit_frame(seq)

    def position_of(self, seq: int) -> int:
        """The position of the first event of a commit."""
        for known, _, position, _ in self._log:
            if known == seq:
                return position
        found = self.index.find_commit(seq)
        if found is None:
            raise Corrupt(f"commit {seq} is not in the index", hint="run 'dbx reindex'")
        return found[1]

    def move(self, *, manifest: str | None = None, journal: str | None = None, journal_end: int | None = None) -> None:
        """Note which files the locators are good for."""
        head = self.head
        self.head = Head(
            head.seq,
            head.commit,
            head.position,
            head.root,
            head.edge,
            head.manifest if manifest is None else manifest,
            head.journal if journal is None else journal,
            head.journal_end if journal_end is None else journal_end,
        )

    def pending_runs(self) -> Sequence[tuple[int, int, int]]:
        """The event ids that are not in the index yet, as runs of (first id, count, position)."""
        return self._runs

    @property
    def is_ahead(self) -> bool:
        """Whether there is anything to flush."""
        return self.head != self.indexed or bool(self.touched or self._blocks or self._dropped)

    def flush(self, *, also: Callable[[Index], None] | None = None, ahead: Ahead | None = None) -> None:
        """Write all of it to the index in one transaction. Raises MovedIndex when another process was there first.

        `also` writes more within the transaction, `ahead` did so before.
        """
        if not self.is_ahead and also is None:
            return
        index = self.index
        with index.write(self.indexed, ahead):
            self._write_records()
            index.put_pages(self.tree.take_pages())
            index.put_runs(self._runs)
            index.put_log(self._log)
            self._note_ids()
            for file in self._dropped:
                index.drop_file(file)
            for file, (blocks, frames) in self._blocks.items():
                index.put_blocks(file, blocks, frames)
            if also is not None:
                also(index)
            index.set_head(self.head)
        self.indexed = self.head
        self._counted = 0
        for record in self.touched.values():
            record.fresh = []
            record.base = record.version
        for done in (self.touched, self._runs, self._log, self._blocks, self._dropped):
            done.clear()
        if len(self.records) > _RECORDS:
            self.records.clear()

    def _write_records(self) -> None:
        """Rows and chains of the touched aggregates; new ones get their row numbers."""
        index = self.index
        last = index.last_n()
        fresh: list[tuple[int, int, list[int]]] = []
        new: list[Record] = []
        known: list[Record] = []
        for record in self.touched.values():
            first = record.version - len(record.fresh) + 1
            if record.n is None:
                last += 1
                record.n = last
                new.append(record)
                fresh.append((last, first, record.fresh))
                continue
            known.append(record)
            if len(record.fresh) >= _LONG_CHAIN:
                fresh.append((record.n, first, record.fresh))
            elif record.fresh:  # none where a record is only folded again
                index.put_chain(record.n, first, record.fresh)
        index.put_rows(record.row() for record in new)
        index.update_rows(record.row() for record in known)
        index.put_chains(fresh)

    def _note_ids(self) -> None:
        """Remember the last id of this clone's own worker, however its events came to be replayed."""
        drawn = get_drawn(self.index, "append")
        if drawn is not None:
            worker, last = drawn
            mine = [first + count - 1 for first, count, _ in self._runs if first >> 12 & 1023 == worker]
            if mine and max(mine) > last:
                self.index.set_meta("ids.append", f"{worker}|{max(mine)}")


def get_drawn(index: Index, kind: str) -> tuple[int, int] | None:
    """(worker, last id) of the event ids drawn for "append" or "stage"; None before the first."""
    text = index.get_meta(f"ids.{kind}")
    if not text:
        return None
    try:
        worker, last = map(int, text.split("|"))
    except (ValueError, AttributeError, TypeError) as error:
        raise IndexDamaged("the index does not say which event ids were drawn", hint="run 'dbx reindex'") from error
    return worker, last


def fold_events(
    working: WorkingSet, envelopes: Sequence[bytes], bodies: Sequence[bytes] | None, position: int
) -> list[bytes]:
    """Replay events from `position` on into the working set; their leaves. For catching up and for rebuilding.

    Checks that versions have no gaps and that each body has its hash. Raises Corrupt naming the event.
    """
    if bodies is None and not may_mask(working.index):
        raise SealedAway
    leaves: list[bytes] = []
    records, touched, find = working.records, working.touched, working.find
    runs = working._runs
    run = runs[-1] if runs else (0, 0, 0)
    for envelope, body in zip(envelopes, bodies if bodies is not None else [b""] * len(envelopes), strict=True):
        parts = envelope.decode().split('"')
        aggregate_id, aggregate_type, created_at, event_type = parts[3], parts[7], parts[15], parts[23]
        name = (aggregate_type, aggregate_id)
        record = records.get(name) or find(aggregate_type, aggregate_id)
        if record is None:
            record = records[name] = Record(aggregate_type, aggregate_id)
        version = record.version + 1
        if parts[-1] != f":{version}}}":
            raise Corrupt(f"the event at position {position} is not version {version} of its aggregate")
        leaf = sha256(b"\x00" + envelope).digest()
        leaves.append(leaf)
        size = record.version
        edge = record.edge
        while size & 1:
            leaf = sha256(b"\x01" + edge.pop() + leaf).digest()
            size >>= 1
        edge.append(leaf)
        record.version = version
        record.updated_at = created_at
        record.fresh.append(position)
        touched[name] = record
        if version == 1:
            record.created_at = created_at
        if event_type in RESERVED:
            record.reserve(event_type)
        elif bodies is None:
            record.mask()
        elif body and not record.is_masked:
            if sha256(body).hexdigest() != parts[11]:
                raise Corrupt(f"the body of the event at position {position} is not the one its envelope names")
            value: Any = canonical.scan(body.decode())[0]
            record.state.update(value["payload"])
            if "metadata" in value:
                record.extensions.update(value["metadata"])
        event_id = int(parts[19])
        if run[0] + run[1] == event_id and run[2] + run[1] == position and run[1]:
            run = runs[-1] = (run[0], run[1] + 1, run[2])
        else:
            run = (event_id, 1, position)
            runs.append(run)
        position += 1
    return leaves


def empty_head() -> Head:
    """The head of a domain without commits."""
    return Head(-1, b"", 0, EMPTY, b"", "", "", 0)
