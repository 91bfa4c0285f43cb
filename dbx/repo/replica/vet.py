"""Checking what somebody else sent: every frame, every event, every commit, on top of a state that is known to be good.

Nothing is believed. What fsck would find, this finds before it becomes history: the shape of every envelope and body,
bodies by their hashes, versions without gaps, event ids and batches used once, the chain of commits, each commit's root
over its events, and the index root after each commit. A fault is Corrupt with `received` in its details.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from functools import partial
from itertools import chain, pairwise
from typing import TYPE_CHECKING

from dbx.crypto import merkle
from dbx.crypto.forest import HASH_BYTES
from dbx.errors import Conflict, Corrupt
from dbx.formats import segment
from dbx.repo.log import decode_entry
from dbx.repo.replica.examine import Examiner, split_leaves
from dbx.repo.replica.held import Place
from dbx.repo.replica.roots import MOST_KEYS, PagedTree, Roots, WrongRoot
from dbx.repo.replica.tally import Tally
from dbx.store.fs import read_at
from dbx.store.segments import FrameReader, SealedBodies, segment_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dbx.crypto.vault import Vault
    from dbx.formats.commit import Commit
    from dbx.formats.manifest import ManifestEntry
    from dbx.repo.log import Entry
    from dbx.repo.replica.examine import Examined
    from dbx.repo.replica.held import Locate
    from dbx.repo.replica.roots import Follower
    from dbx.repo.working import WorkingSet
    from dbx.store.fs import Directory

    Judge = Callable[[Commit, Sequence[bytes], Sequence[bytes]], None]
    """Looks at a commit, its envelopes and its bodies, and raises what speaks against them."""

_FLUSH_EVENTS = 100_000
_FLUSH_COMMITS = 50_000
_MANY_RECORDS = 20_000


class Vetting:
    """Commits that are being checked, file by file, and folded into `working` as they are found good.

    `judge` is asked of every commit, of a large one part by part; `has_schema` says whether a schema version is known
    here. `commits` and `events` count what was found good; `owed` are the aggregates whose state must be folded again,
    because an event lost its body: that can be done once the files have come to their place.

    A `loose` one does not know what came before the first commit. It believes the first version of each aggregate that
    it meets, and leaves index roots out. `roots` follows them, by default in this process in the pages of the index;
    it is stopped at the end (`with`).
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
        roots: Follower | None = None,
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
        self._schemas: set[str] = set()
        self._batches: set[str] = set()
        self._examiner = Examiner()
        self._pending = 0
        self._tally = Tally(working, vault=vault, loose=loose)
        self._roots = roots or Roots(PagedTree(working.tree))
        self._ends: list[tuple[int, Locate]] = []
        self._is_last = False
        self.owed: set[tuple[str, str]] = set()

    def __enter__(self) -> Vetting:
        return self

    def __exit__(self, *_: object) -> None:
        self._roots.stop()

    @property
    def owner(self) -> str:
        """The id of the domain that the last commit was made in."""
        return self._domain

    def take(self, directory: Directory, entry: ManifestEntry) -> None:
        """Check the segment of an entry, a file of `directory`, and fold it. Raises Corrupt, Conflict."""
        name = segment_name(entry.sha256)
        fd = directory.open_read(name)
        try:
            self._take(FrameReader(fd, name, vault=self._vault), fd, directory, entry)
        except WrongRoot as wrong:
            raise self._blame(wrong) from None
        except Corrupt as error:
            error.details.setdefault("received", True)
            raise
        finally:
            os.close(fd)

    def finish(self) -> None:
        """What can only be said at the end; then everything is written to the index, as by `flush`. Raises Corrupt."""
        if not self._redacted:
            self._examiner.check_empty()
        self._is_last = True
        self.flush(all_of_it=True)
        if not self._is_paged and not self._loose and self.working.tree.root != self.working.head.root:
            raise Corrupt("the index does not lead to the root that its last commit names", hint="run 'dbx reindex'")
        self._follow_pages()

    def examine(self, envelopes: Sequence[bytes], bodies: Sequence[bytes]) -> Examined:
        """Events for `add`, once every rule is kept that one keeps by itself. Raises Corrupt."""
        return self._examiner.examine(b"\n".join(envelopes) + b"\n", b"\n".join(bodies) + b"\n")

    def add(self, block: Examined) -> None:
        """Events of a commit that is being made here. Raises Corrupt."""
        numbers = self._take_in(block, lambda error: error)
        self._roots.add(numbers, block.events.leaves)
        if self._is_much:
            self.flush()

    def root(self) -> bytes:
        """The index root that the commit has to name which is being made here."""
        assert isinstance(self._roots, Roots)  # noqa: S101 - nothing else makes commits
        return self._roots.root()

    def standing(self, aggregate_type: str, aggregate_id: str) -> tuple[int, bytes]:
        """The version and the root of an aggregate, as far as events were added."""
        number = self._tally.find(aggregate_type, aggregate_id)
        if number is not None:
            assert isinstance(self._roots, Roots)  # noqa: S101 - as above
            return self._tally.versions[number], self._roots.root_of(number)
        record = self.working.find(aggregate_type, aggregate_id)
        return (0, merkle.root([])) if record is None else (record.version, record.root())

    def flush(self, *, all_of_it: bool = False) -> None:
        """Write what is pending to the index, once no event id turned out to be used twice. Raises Corrupt.

        In the middle of a commit, the index tree comes along as far as it goes. Aggregates whose roots are followed in
        memory are written when they have become much, or with `all_of_it`.
        """
        self._check_ids()
        try:
            self._pour(all_of_it=all_of_it)
        except WrongRoot as wrong:
            raise self._blame(wrong) from None
        except Corrupt as error:
            error.details.setdefault("received", True)
            raise
        self._pending = 0

    def _take(self, reader: FrameReader, fd: int, directory: Directory, entry: ManifestEntry) -> None:
        header, at = reader.header()
        head = self.working.head
        if (header.seq, header.parent or "", header.position) != (head.seq + 1, head.commit.hex(), head.position):
            raise reader.fault(Corrupt("it does not continue the commit before it"), 0)
        if header.seq != entry.first_seq:
            raise reader.fault(Corrupt("its header does not fit the manifest"), 0)
        self._domain = header.domain
        while at < reader.size:
            at = self._group(reader, fd, directory, at)
        if (self.working.head.seq, self.working.head.commit.hex()) != (entry.last_seq, entry.last_commit):
            raise reader.fault(Corrupt("it does not end with the commit that the manifest names"), at)

    def _group(self, reader: FrameReader, fd: int, directory: Directory, at: int) -> int:
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
            block, bodies_at = self._read(reader, at, blocks[-1][0])
            locate = partial(reader.fault, offset=at)
            start, count = 0, len(block.names)
            try:
                numbers = self._take_in(block, locate, Place(directory, reader.name, bodies_at))
                while start < count and part is not None:
                    end = min(count, start + part.left)
                    self._follow(part, block, numbers, start, end)
                    if not part.left:
                        self._close(part, locate)
                        part = self._next(waiting)
                    start = end
            except Corrupt as error:
                raise locate(error) from None
            if start < count:
                raise reader.fault(Corrupt("a frame of commits does not cover every event before it"), commits_at)
            at = block.end
            if self._is_much:
                self.working.locate(reader.name, blocks, [])
                blocks = []
                self.flush()
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

    def _read(self, reader: FrameReader, at: int, position: int) -> tuple[Examined, int]:
        """A block whose events are right by themselves, and where its bodies lie.

        Its first event stands at a position of the log.
        """
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
            return self._examiner.examine(envelopes, opened, end, parse_later=self._judge is None), bodies_at
        except Corrupt as error:
            raise reader.fault(error, at) from None

    def _take_in(self, block: Examined, locate: Locate, place: Place | None = None) -> list[int]:
        """The numbers of the aggregates of events that come next, each of which may come there."""
        numbers = self._tally.take(block.events, block.bodies, self._roots, locate, place)
        self._examiner.watch(block, numbers, self._tally.archived)
        self._pending += len(numbers)
        if self._progress:
            self._progress(len(numbers))
        return numbers

    def _follow(self, part: _Part, block: Examined, numbers: list[int], start: int, end: int) -> None:
        """Rows `start` to `end` of a block belong to a commit."""
        if self._judge is not None:
            envelopes = block.envelopes[start:end]
            bodies = [b""] * len(envelopes) if block.bodies is None else block.bodies[start:end]
            self._judge(part.entry.commit, envelopes, bodies)
        leaves = block.events.leaves[start * HASH_BYTES : end * HASH_BYTES]
        part.add(split_leaves(leaves))
        self._roots.add(numbers[start:end], leaves)

    def _close(self, part: _Part, locate: Locate) -> None:
        """Every event of a commit was met: compare the two roots that it names."""
        commit, working = part.entry.commit, self.working
        if part.root().hex() != commit.events:
            raise Corrupt(f"the events of commit {commit.seq} do not have the root it names")
        if not self._loose:
            if not self._ends or self._ends[-1][1] is not locate:
                self._ends.append((commit.seq, locate))
            self._roots.close(commit.seq, bytes.fromhex(commit.index))
        working.advance(commit, part.entry.id)
        self.commits += 1
        self.events += commit.count

    def _blame(self, wrong: WrongRoot) -> Corrupt:
        """What is wrong with a commit whose index root is another one, and where it lies."""
        at = bisect_right(self._ends, wrong.seq, key=lambda end: end[0]) - 1
        error = Corrupt(f"the index root that commit {wrong.seq} names is not that of its aggregates")
        error = self._ends[at][1](error)
        error.details.setdefault("received", True)
        return error

    @property
    def _is_paged(self) -> bool:
        """Whether the index tree is followed in its pages, so that records must follow closely."""
        return isinstance(self._roots, Roots) and isinstance(self._roots.tree, PagedTree)

    @property
    def _is_much(self) -> bool:
        """Whether it is time to flush."""
        if self._is_paged:
            return self._pending >= _FLUSH_EVENTS or len(self._tally) >= _MANY_RECORDS or self._tally.is_large
        return self._tally.is_large or self.working.pending >= _FLUSH_COMMITS

    def _follow_pages(self) -> None:
        """What is followed in memory has come to the index: go on there."""
        if self._is_paged:
            return
        self._roots.stop()
        self._roots = Roots(PagedTree(self.working.tree))

    def _check_ids(self) -> None:
        """No event id that is pending was used before. Raises Corrupt."""
        working = self.working
        runs = sorted((first, count) for first, count, _ in working.pending_runs())
        twice = next((high[0] for low, high in pairwise(runs) if low[0] + low[1] > high[0]), None)
        if runs and twice is None and working.index.runs_between(runs[0][0], runs[-1][0] + runs[-1][1] - 1):
            twice = next((n for n, count in runs if working.index.runs_between(n, n + count - 1)), None)
        if twice is not None:
            raise Corrupt(f"event id '{twice}' is that of an earlier event", details={"received": True})

    def _pour(self, *, all_of_it: bool) -> None:
        """Write to the index. Raises as `Tally.pour`."""
        working, tally = self.working, self._tally
        if all_of_it or self._is_paged or tally.is_large:
            self.owed.update(tally.erased)
            self._examiner.make_room()
            poured = tally.pour(self._roots, is_last=self._is_last)
            first = next(poured, [])  # what may be wrong shows before anything is written
            with working.index.filling():
                for records in chain([first], poured):
                    for record in records:
                        working.records[record.type, record.id] = working.touched[record.type, record.id] = record
                    if not self._is_paged:
                        working.update_tree(records)
                    working.flush()
            self._ends.clear()
            working.records.clear()
            if working.index.last_n() > MOST_KEYS:
                self._follow_pages()
        working.flush()


class _Part:
    """A commit while its events are met: how many were `taken`, and the tree over them."""

    __slots__ = ("_edge", "_leaves", "entry", "taken")

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.taken = 0
        self._edge: list[bytes] = []
        self._leaves: list[bytes] = []

    @property
    def left(self) -> int:
        """How many of its events are still to come."""
        return self.entry.commit.count - self.taken

    @property
    def position(self) -> int:
        """The position of the next one."""
        return self.entry.commit.position + self.taken

    def add(self, leaves: list[bytes]) -> None:
        """Events that come next, by their hashes."""
        if not self.taken and len(leaves) == self.left:
            self._leaves = leaves  # most commits come whole, and so their tree costs less
        else:
            merkle.extend(self._edge, self.taken, leaves)
        self.taken += len(leaves)

    def root(self) -> bytes:
        """The root over all of them."""
        return merkle.root(self._leaves) if self._leaves else merkle.edge_root(self._edge)


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
