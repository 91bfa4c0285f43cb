"""The events of the log as a whole: each in its place, and the Merkle roots that every commit names.

What is found is told once: where damage makes later comparisons meaningless, they are left out, and a note says so.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING

from dbx.crypto import merkle
from dbx.model.event import ARCHIVED, ERASED, RESTORED
from dbx.repo.check.blocks import UNKNOWN, split_name
from dbx.repo.check.tree import AggregateTree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.formats.commit import Commit
    from dbx.repo.check.chain import Log
    from dbx.repo.check.finding import Findings
    from dbx.repo.check.join import Aggregates, BlockRows

_HASH = merkle.HASH_BYTES
_CHUNK = _HASH << 16


class _Root:
    """The root over the leaves of one commit, in bounded memory: of whole chunks only the roots are kept."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._leaves = bytearray()

    def add(self, leaves: bytes) -> None:
        self._leaves += leaves
        while len(self._leaves) >= _CHUNK:
            self._chunks.append(merkle.joined_root(bytes(self._leaves[:_CHUNK])))
            del self._leaves[:_CHUNK]

    def take(self) -> bytes:
        """The root; empty again afterwards."""
        if self._leaves or not self._chunks:
            self._chunks.append(merkle.joined_root(bytes(self._leaves)))
        root = merkle.root(self._chunks)
        self._chunks, self._leaves = [], bytearray()
        return root


class History:
    """The events of a log as they are met, in order."""

    def __init__(self, log: Log, aggregates: Aggregates, findings: Findings, *, redacted: bool) -> None:
        self.log = log
        self.aggregates = aggregates
        self.findings = findings
        self.redacted = redacted
        self.tree = AggregateTree(aggregates)
        self.position = 0
        self.sealed = 0
        self.whole = True
        self.unfolded: set[int] = set()
        self.archived: set[int] = set()
        self.places: list[tuple[int, str, int]] = []
        self._erased: dict[tuple[int, int], tuple[str, int, int]] = {}
        self._empty: dict[tuple[int, int], tuple[str, int, int]] = {}
        self._root = _Root()
        self._file = ""
        self._offset = 0
        self._first = 0

    def group(self, blocks: Iterator[tuple[int, BlockRows]], commits: list[tuple[Commit, bytes]], file: str) -> None:
        """The blocks before a C frame, as (offset, rows), and the commits in it: they must cover the same events."""
        self._file = file
        waiting = iter(commits)
        commit, need, sure = self._next(waiting)
        if commit is not None and commit.position > self.position and not self.whole:
            # Events of commits that were lost.
            need, commit, waiting, sure = commit.position - self.position, None, iter(commits), False
        for offset, rows in blocks:
            self._offset, self._first = offset, self.position
            self.places.append((self.position, file, offset))
            self._tell(rows)
            start, count = 0, len(rows.numbers)
            if rows.lost:
                self.whole = sure = False
                self.tree.give_up()
                self.position += max(rows.lost, 0)
                need -= max(rows.lost, 0)
            while start < count or (need <= 0 and commit is not None):
                take = min(max(need, 0), count - start) if commit is not None or need > 0 else count - start
                if take:
                    self._follow(rows, start, start + take)
                start += take
                need -= take
                if need <= 0 and (commit is not None or need == 0):
                    self._finish(commit, sure and need == 0)
                    commit, more, sure = self._next(waiting)
                    need += more
        if need > 0 or commit is not None:
            self._miss(commit, need, commits)
        elif need < 0:
            self._miss(None, need, commits)
        if commits:
            last = commits[-1][0]
            self.position = last.position + last.count

    def lose(self) -> None:
        """Events or commits were lost: from here on less can be compared."""
        self.whole = False
        self.tree.give_up()

    def _next(self, waiting: Iterator[tuple[Commit, bytes]]) -> tuple[Commit | None, int, bool]:
        found = next(waiting, None)
        return (None, 0, self.whole) if found is None else (found[0], found[0].count, self.whole)

    def _miss(self, commit: Commit | None, need: int, commits: list[tuple[Commit, bytes]]) -> None:
        """Events and commits do not cover each other."""
        self._root.take()
        if self.whole:
            seq = commit.seq if commit else commits[-1][0].seq if commits else len(self.log.ids)
            sentence = (
                f"commit {seq} counts {need} events more than there are before it"
                if need > 0
                else f"{-need} events before commit {seq} belong to no commit"
            )
            self.findings.error("commit.count", sentence, self._file, self.log.places[-1][2], {"seq": seq})
        self.whole = False
        self.tree.give_up()

    def _finish(self, commit: Commit | None, sure: bool) -> None:
        """Every event of a commit was met: compare the two roots that it names."""
        root = self._root.take()
        if commit is None:
            self.tree.close()
            return
        offset = self.log.places[-1][2]
        what: dict[str, int | str] = {
            "seq": commit.seq,
            "position": commit.position,
            "last_position": commit.position + commit.count - 1,
        }
        if sure and root.hex() != commit.events:
            events = f"the events at positions {commit.position} to {commit.position + commit.count - 1}"
            if commit.count == 1:
                events = f"the event at position {commit.position}"
            self.findings.error(
                "commit.events", f"{events} are not those that commit {commit.seq} names", self._file, offset, what
            )
            self.tree.give_up()
        found = self.tree.close()
        if found is not None and found.hex() != commit.index:
            sentence = f"the index root that commit {commit.seq} names is not that of the aggregates"
            self.findings.error("commit.index", sentence, self._file, offset, what)
            self.tree.give_up()

    def _follow(self, rows: BlockRows, start: int, end: int) -> None:
        """Rows `start` to `end` of a block: versions without gaps, and each aggregate's tree."""
        leaves = rows.leaves[start * _HASH : end * _HASH]
        self._root.add(leaves)
        specials = [special for special in rows.specials if start <= special[0] < end]
        if specials or self.archived or self.aggregates.unknown >= 0:
            self._watch(rows, start, end, specials)
        self.tree.grow()
        numbers, versions = rows.numbers[start:end], rows.versions[start:end]
        at = self.tree.add(numbers, versions, leaves)
        while at < len(numbers):
            self._jump(rows, start + at)
            at = self.tree.add(numbers, versions, leaves, at + 1)
        self.position += end - start

    def _jump(self, rows: BlockRows, row: int) -> None:
        """The version of an event does not follow the one before it."""
        number, version = rows.numbers[row], rows.versions[row]
        size = self.tree.versions[number]
        if number == self.aggregates.unknown:
            self.tree.give_up()
            self.whole = False
            return
        if self.whole or version <= size:
            what = self._event(rows, row)
            name = f"{what['aggregate_type']}/{what['aggregate_id']}"
            sentence = f"event '{what['event_id']}' is version {version} of '{name}', where {size + 1} should come"
            self.findings.error("event.version", sentence, self._file, self._offset, what)
        self.tree.jump(number, version)

    def _event(self, rows: BlockRows, row: int) -> dict[str, int | str]:
        what: dict[str, int | str] = {}
        name = self.name(rows.numbers[row])
        if name != UNKNOWN:
            what["aggregate_type"], what["aggregate_id"] = split_name(name)
            what |= {"version": rows.versions[row], "event_id": str(rows.ids[row])}
        return what | {"position": self._first + row}

    def name(self, number: int) -> str:
        """The name of an aggregate by its number."""
        return self.tree.name(number)

    def _tell(self, rows: BlockRows) -> None:
        """What was found in the block by itself."""
        self.sealed += rows.sealed
        lost_bodies = rows.sealed
        for fault in rows.faults:
            what = dict(fault.what)
            sentence = fault.message
            if fault.row >= 0:
                what["position"] = self.position + fault.row
                if not fault.what:
                    sentence += f" (position {what['position']})"
            self.findings.error(fault.code, sentence, self._file, self._offset, what)
            self.whole = self.whole and fault.code != "block"
        unread = [row for row, mark, *_ in rows.specials if mark == "unread"]
        self.unfolded.update(rows.numbers[row] for row in unread)
        if rows.lost:
            self._tell_range("the envelopes", rows.lost)
        elif unread and not lost_bodies and not any(fault.code == "event.body" for fault in rows.faults):
            self._tell_range("the bodies", len(unread))

    def _tell_range(self, lost: str, count: int) -> None:
        """Which positions a frame held that cannot be read."""
        first, what = self.position, {"position": self.position}
        if count < 0:
            sentence = f"{lost} of the events from position {first} on are lost; how many is not known"
        else:
            what["last_position"] = first + count - 1
            sentence = f"{lost} of the events at positions {first} to {first + count - 1} are lost"
        self.findings.error("event.lost", sentence, self._file, self._offset, dict(what))

    def _watch(self, rows: BlockRows, start: int, end: int, specials: list[tuple[int, str, int, str]]) -> None:
        """Reserved events, missing bodies, and events of archived aggregates."""
        marks: dict[int, list[tuple[int, str, int, str]]] = {}
        for special in specials:
            marks.setdefault(special[0], []).append(special)
        archived = self.archived
        for row in range(start, end):
            number = rows.numbers[row]
            found = marks.get(row, ())
            kind = next((special[3] for special in found if special[1] == "reserved"), "")
            if number in archived and kind not in (RESTORED, ERASED):
                what = self._event(rows, row)
                sentence = f"event '{what.get('event_id', '?')}' was added to an archived aggregate"
                self.findings.error("event.archived", sentence, self._file, self._offset, what)
            for _, mark, version, _ in found:
                place = (self._file, self._offset, self._first + row)
                if mark == "empty":
                    self._empty[number, version] = place
                elif mark == "reserved" and kind == ERASED:
                    self._erase(rows, row, version, place)
            if kind == ARCHIVED:
                archived.add(number)
            elif kind == RESTORED:
                archived.discard(number)

    def _erase(self, rows: BlockRows, row: int, version: int, place: tuple[str, int, int]) -> None:
        unread = any(special[0] == row and special[1] != "reserved" for special in rows.specials)
        if 0 < version < rows.versions[row]:
            self._erased[rows.numbers[row], version] = place
        elif not unread:
            what = self._event(rows, row)
            sentence = f"event '{what['event_id']}' erases a body, but does not name an earlier version and a reason"
            self.findings.error("event.erased", sentence, self._file, self._offset, what)

    def finish(self) -> None:
        """What can only be said at the end: bodies that are missing, or still there, and event ids used twice."""
        for (number, version), (file, offset, position) in self._empty.items():
            if (number, version) not in self._erased and not self.redacted:
                self.unfolded.add(number)
                kind, name = split_name(self.name(number))
                what: dict[str, int | str] = {"aggregate_type": kind, "aggregate_id": name, "version": version}
                sentence = f"version {version} of '{kind}/{name}' has no body, and no event says that it was erased"
                self.findings.error("event.empty", sentence, file, offset, what | {"position": position})
        if not self.sealed and self.whole:
            for (number, version), (file, offset, _) in self._erased.items():
                if (number, version) not in self._empty:
                    kind, name = split_name(self.name(number))
                    sentence = f"the body of version {version} of '{kind}/{name}' was erased, but is still here"
                    self.findings.warn("event.erased", sentence, file, offset)
        self._find_twins()

    def _find_twins(self) -> None:
        ids, numbers = self.aggregates.ids, self.aggregates.numbers
        ordered = sorted(ids)
        twins = {first for first, second in pairwise(ordered) if first == second}
        if not twins:
            return
        del ordered
        seen: set[int] = set()
        for row, event_id in enumerate(ids):
            if event_id not in twins or numbers[row] == self.aggregates.unknown:
                continue
            if event_id in seen:
                kind, name = split_name(self.name(numbers[row]))
                what: dict[str, int | str] = {"aggregate_type": kind, "aggregate_id": name, "event_id": str(event_id)}
                place = self._place(row)
                sentence = f"event id '{event_id}' of '{kind}/{name}' is that of an earlier event"
                self.findings.error("event.id", sentence, *place, what | {"position": row})
            seen.add(event_id)

    def _place(self, row: int) -> tuple[str, int]:
        """The file and the offset of the block that holds a row."""
        at = bisect_right(self.places, row, key=lambda place: place[0]) - 1
        return self.places[max(at, 0)][1:]
