"""Checking what somebody else sent: every frame, every event, every commit, on top of a state that is known to be good.

Nothing is believed. What fsck would find, this finds before it becomes history: the shape of every envelope and body,
bodies by their hashes, versions without gaps, event ids and batches used once, the chain of commits, each commit's root
over its events, and the index root after each commit. A fault is Corrupt with `received` in its details.
"""

from __future__ import annotations

import os
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from dbx.crypto import merkle
from dbx.errors import Conflict, Corrupt
from dbx.formats import segment
from dbx.formats.envelope import decode_body
from dbx.model.event import ARCHIVED, ERASED, RESERVED, RESTORED
from dbx.repo.check.blocks import BlockReader, read_slowly, split_name
from dbx.repo.check.shapes import Shapes
from dbx.repo.log import decode_entry
from dbx.repo.record import Record
from dbx.repo.working import fold_events
from dbx.store.fs import read_at
from dbx.store.segments import FrameReader, SealedBodies, segment_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from dbx.crypto.vault import Vault
    from dbx.formats.commit import Commit
    from dbx.formats.manifest import ManifestEntry
    from dbx.repo.log import Entry
    from dbx.repo.working import WorkingSet
    from dbx.store.fs import Directory

    Judge = Callable[[Commit, Sequence[bytes], Sequence[bytes]], None]
    """Looks at a commit, its envelopes and its bodies, and raises what speaks against them."""

_FLUSH_EVENTS = 100_000
_MANY_RECORDS = 40_000
_MANY_CHANGES = 512
_AT_ONCE = 64


class Vetting:
    """Commits that are being checked, file by file, and folded into `working` as they are found good.

    `judge` is asked of every commit, of a large one part by part; `has_schema` says whether a schema version is known
    here. `commits` and `events` count what was found good; `owed` are the aggregates whose state must be folded again,
    because an event lost its body: that can be done once the files have come to their place.

    A `loose` one does not know what came before the first commit. It believes the first version of each aggregate that
    it meets, and leaves index roots out.
    """

    def __init__(
        self,
        working: WorkingSet,
        *,
        has_schema: Callable[[str], bool],
        judge: Judge | None = None,
        redacted: bool = False,
        loose: bool = False,
        progress: Callable[[int], None] | None = None,
        vault: Vault | None = None,
    ) -> None:
        self.working = working
        self._vault = vault
        self._loose = loose
        self.commits = 0
        self.events = 0
        self._domain = ""
        self._has_schema = has_schema
        self._judge = judge
        self._redacted = redacted
        self._progress = progress
        self._blocks = BlockReader()
        self._shapes = Shapes()
        self._schemas: set[str] = set()
        self._batches: set[str] = set()
        self._empty: set[tuple[str, int]] = set()
        self._pending = 0
        self.owed: set[tuple[str, str]] = set()

    def take(self, directory: Directory, entry: ManifestEntry) -> None:
        """Check the segment of an entry, a file of `directory`, and fold it. Raises Corrupt, Conflict."""
        name = segment_name(entry.sha256)
        fd = directory.open_read(name)
        try:
            self._take(FrameReader(fd, name, vault=self._vault), fd, entry)
        except Corrupt as error:
            error.details.setdefault("received", True)
            raise
        finally:
            os.close(fd)

    def finish(self, *, is_within: bool = False) -> None:
        """What can only be said at the end; then everything is written to the index, as by `flush`. Raises Corrupt."""
        if self._empty and not self._redacted:
            name, version = min(self._empty)
            raise Corrupt(
                f"version {version} of '{'/'.join(split_name(name))}' has no body, and no event erased it",
                details={"received": True},
            )
        self.flush(is_within=is_within)

    def _take(self, reader: FrameReader, fd: int, entry: ManifestEntry) -> None:
        header, at = reader.header()
        head = self.working.head
        if (header.seq, header.parent or "", header.position) != (head.seq + 1, head.commit.hex(), head.position):
            raise reader.fault(Corrupt("it does not continue the commit before it"), 0)
        if header.seq != entry.first_seq:
            raise reader.fault(Corrupt("its header does not fit the manifest"), 0)
        self._domain = header.domain
        while at < reader.size:
            at = self._group(reader, fd, at)
        if (self.working.head.seq, self.working.head.commit.hex()) != (entry.last_seq, entry.last_commit):
            raise reader.fault(Corrupt("it does not end with the commit that the manifest names"), at)

    def _group(self, reader: FrameReader, fd: int, at: int) -> int:
        """The blocks from `at` on and the C frame behind them, which is looked at first: so one commit need not be
        held in memory. Where the next group begins."""
        commits_at = _find_commits(fd, at, reader)
        group = reader.commits(commits_at)
        frame = (self.working.head.seq + 1, commits_at)
        blocks: list[tuple[int, int]] = []
        waiting = iter(group.lines)
        part = self._next(waiting)
        while at < commits_at:
            blocks.append((self._position(part), at))
            block = self._read(reader, at, blocks[-1][0])
            start, count = 0, len(block.names)
            while start < count:
                if part is None:
                    raise reader.fault(Corrupt("a frame of commits does not cover every event before it"), commits_at)
                end = min(count, start + part.left)
                try:
                    self._fold(part, block, start, end)
                    if not part.left:
                        self._close(part)
                        part = self._next(waiting)
                except Corrupt as error:
                    raise reader.fault(error, at) from None
                start = end
            at = block.end
            if self._pending >= _FLUSH_EVENTS or len(self.working.touched) >= _MANY_RECORDS:
                self.working.locate(reader.name, blocks, [])
                blocks = []
                self.flush(is_within=part is not None and part.taken > 0)
        if part is not None:
            raise reader.fault(Corrupt("a commit counts more events than there are before it"), commits_at)
        self.working.locate(reader.name, blocks, [frame])
        return group.end

    def _position(self, part: _Part | None) -> int:
        return self.working.head.position if part is None else part.position

    def _next(self, waiting: Iterator[bytes]) -> _Part | None:
        """The next commit of a group, its line checked against the commit before it."""
        line = next(waiting, None)
        if line is None:
            return None
        entry = decode_entry(line)
        commit, head = entry.commit, self.working.head
        if (commit.seq, commit.parent or "", commit.position) != (head.seq + 1, head.commit.hex(), head.position):
            raise Corrupt(f"commit {commit.seq} does not continue the commit before it")
        if commit.domain != self._domain:
            raise Corrupt(f"commit {commit.seq} is of another domain than its file")
        if commit.batch is not None:
            if commit.batch in self._batches or self.working.index.find_batch(commit.batch) is not None:
                raise Corrupt(f"commit {commit.seq} uses the batch id of an earlier commit again")
            self._batches.add(commit.batch)
        if commit.schema is not None and commit.schema not in self._schemas:
            if not self._has_schema(commit.schema):
                raise Conflict(
                    f"commit {commit.seq} was made under the schema version {commit.schema}, which is not here",
                    hint="transfer the schemas first: 'dbx push schema' or 'dbx pull schema'",
                )
            self._schemas.add(commit.schema)
        return _Part(entry)

    def _read(self, reader: FrameReader, at: int, position: int) -> Examined:
        """A block whose events are right by themselves. Its first event stands at a position of the log."""
        frame, envelopes, bodies_at = reader.frame(at)
        if frame.kind != segment.E:
            raise reader.fault(Corrupt("a frame of envelopes was expected"), at)
        frame, bodies, end = reader.frame(bodies_at)
        if frame.kind != segment.B:
            raise reader.fault(Corrupt("a frame of bodies was expected"), bodies_at)
        if frame.flags & segment.SEALED:
            opened = reader.open_bodies(SealedBodies(frame.flags, frame.raw, bodies), bodies_at, position)
        else:
            opened = bodies
        try:
            return self.examine(envelopes, opened, end)
        except Corrupt as error:
            raise reader.fault(error, at) from None

    def examine(self, envelopes: bytes, bodies: bytes | None, end: int = 0) -> Examined:
        """The events of an E and a B frame (raw), once every rule is kept that one keeps by itself. Raises Corrupt.

        Of bodies that are sealed with a key that is not here (None) nothing is known.
        """
        if bodies is None:
            columns = read_slowly(envelopes, None)
            if columns.faults:
                raise Corrupt(columns.faults[0].message)
            return Examined(columns.names, columns.kinds, segment.split_lines(envelopes), None, end)
        return self._examine_whole(envelopes, bodies, end)

    def _examine_whole(self, envelopes: bytes, bodies: bytes, end: int) -> Examined:
        columns = self._blocks.read(envelopes, bodies)
        lines = segment.split_lines(bodies)
        if columns is None:
            columns = read_slowly(envelopes, bodies)
            if columns.faults:
                raise Corrupt(columns.faults[0].message)
        else:
            self._shapes.fold(columns.kinds, lines, {}, {})
        self._empty.update((columns.names[row], columns.versions[row]) for row in columns.empty)
        return Examined(columns.names, columns.kinds, segment.split_lines(envelopes), lines, end)

    def _fold(self, part: _Part, block: Examined, start: int, end: int) -> None:
        """Rows `start` to `end` of a block belong to a commit."""
        envelopes = block.envelopes[start:end]
        bodies = None if block.bodies is None else block.bodies[start:end]
        if self._loose:
            self._believe(envelopes)
        self.watch(block, start, end)
        if self._judge is not None:
            self._judge(part.entry.commit, envelopes, [b""] * len(envelopes) if bodies is None else bodies)
        leaves = fold_events(self.working, envelopes, bodies, part.position)
        merkle.extend(part.edge, part.taken, leaves)
        part.names.update(block.names[start:end])
        part.taken += len(leaves)
        self._pending += len(leaves)
        if self._progress:
            self._progress(len(leaves))

    def _close(self, part: _Part) -> None:
        """Every event of a commit was met: compare the two roots that it names."""
        commit, working = part.entry.commit, self.working
        if merkle.edge_root(part.edge).hex() != commit.events:
            raise Corrupt(f"the events of commit {commit.seq} do not have the root it names")
        if not self._loose and self.root_of(map(split_name, part.names)).hex() != commit.index:
            raise Corrupt(f"the index root that commit {commit.seq} names is not that of its aggregates")
        working.advance(commit, part.entry.id)
        self.commits += 1
        self.events += commit.count

    def _believe(self, envelopes: list[bytes]) -> None:
        """Take aggregates that are met for the first time for what their first event says of the ones before it."""
        for envelope in envelopes:
            parts = envelope.decode().split('"')
            kind, name, before = parts[7], parts[3], int(parts[-1][1:-1]) - 1
            if before and self.working.find(kind, name) is None:
                record = self.working.records[kind, name] = Record(kind, name)
                record.version = record.base = before
                record.edge = [b"\0" * 32] * before.bit_count()

    def root_of(self, names: Iterable[tuple[str, str]]) -> bytes:
        """The index root once these aggregates, of one commit, are as the working set has them."""
        touched = self.working.touched
        records = [record for name in names if (record := touched.get(name)) is not None]
        # What the tree takes in at once it keeps in mind only while that is little.
        if len(records) > _MANY_CHANGES:
            self.working.update_tree(records)
            self.flush()
        else:
            for at in range(0, len(records), _AT_ONCE):
                self.working.update_tree(records[at : at + _AT_ONCE])
        return self.working.tree.root

    def watch(self, block: Examined, start: int, end: int) -> None:
        """Nothing is added to an archived aggregate, and an erasure names an earlier version."""
        kinds = block.kinds[start:end]
        names = block.names[start:end]
        archived: set[str] = set()
        records, find = self.working.records, self.working.find
        for name in set(names):
            pair = split_name(name)
            found = records.get(pair) or find(*pair)
            if found is None:
                records[pair] = Record(*pair)  # so that folding need not ask for it again
            elif found.archived:
                archived.add(name)
        if not archived and RESERVED.isdisjoint(kinds):
            return
        bodies = [b""] * (end - start) if block.bodies is None else block.bodies[start:end]
        for name, kind, body in zip(names, kinds, bodies, strict=True):
            if name in archived and kind not in (RESTORED, ERASED):
                raise Corrupt(f"an event was added to the archived aggregate '{'/'.join(split_name(name))}'")
            if kind == ARCHIVED:
                archived.add(name)
            elif kind == RESTORED:
                archived.discard(name)
            elif kind == ERASED and body:
                self._empty.discard((name, _erased_version(body)))

    def flush(self, *, is_within: bool = False) -> None:
        """Write what is pending to the index, once no event id turned out to be used twice. Raises Corrupt.

        In the middle of a commit, its tree comes along as far as it goes, because records do not stay in memory.
        """
        working = self.working
        runs = sorted((first, count) for first, count, _ in working.pending_runs())
        twice = next((high[0] for low, high in pairwise(runs) if low[0] + low[1] > high[0]), None)
        for first, count in runs:
            if twice is None and working.index.runs_between(first, first + count - 1):
                twice = first
        if twice is not None:
            raise Corrupt(f"event id '{twice}' is that of an earlier event", details={"received": True})
        if is_within:
            working.update_tree(list(working.touched.values()))
        for name, record in working.touched.items():
            if record.refold:
                self.owed.add(name)
                record.refold = False
        working.flush()
        self._pending = 0


class _Part:
    """A commit while its events are met: how many were `taken`, and the edge of the tree over them."""

    __slots__ = ("edge", "entry", "names", "taken")

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.taken = 0
        self.edge: list[bytes] = []
        self.names: set[str] = set()

    @property
    def left(self) -> int:
        """How many of its events are still to come."""
        return self.entry.commit.count - self.taken

    @property
    def position(self) -> int:
        """The position of the next one."""
        return self.entry.commit.position + self.taken


class Examined(NamedTuple):
    """Events that are right by themselves, and where the frame behind theirs begins. Bodies are None while sealed."""

    names: Sequence[str]
    kinds: Sequence[str]
    envelopes: list[bytes]
    bodies: list[bytes] | None
    end: int


def _find_commits(fd: int, at: int, reader: FrameReader) -> int:
    """Where the next C frame stands, by the headers alone: every frame is read and checked in its turn."""
    while True:
        header = segment.parse_header(read_at(fd, segment.HEADER_BYTES, at), 0)
        if header is None:
            reader.frame(at)  # which says what is wrong
            raise reader.fault(Corrupt("the segment does not end with a frame of commits"), at)
        if header.kind == segment.C:
            return at
        at += segment.HEADER_BYTES + header.stored


def _erased_version(body: bytes) -> int:
    version = decode_body(body).payload.get("version")
    if type(version) is not int:
        raise Corrupt("an event erases a body, but does not name a version")
    return version
