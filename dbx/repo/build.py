"""From checked input to events: versions, ids, envelopes and the trees of their aggregates."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

from dbx.errors import Conflict, NotFound
from dbx.formats.envelope import issuer_text
from dbx.model import snowflake
from dbx.model.event import ERASED, RESERVED, RESTORED
from dbx.repo.intake import Intake, TooManyFaults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dbx.formats.envelope import Actor
    from dbx.model.entropy import Entropy
    from dbx.repo.intake import Item
    from dbx.repo.record import Record
    from dbx.repo.rules import Rules

Existence = Literal["any", "new", "known"]

DRAIN = 2048
_HELD_BYTES = 2 * 1024 * 1024
_SEQUENCE_BITS = 12
_SEQUENCE = (1 << _SEQUENCE_BITS) - 1
_NEXT_MS = (1 << 22) - _SEQUENCE


class Builder(Intake):
    """Builds the events of one transaction on top of what `find` knows of each aggregate.

    `is_taken` says whether an event has any of the ids from the first to the last, `is_kept` whether one has them that
    may be committed later: neither is drawn.

    After `add`, `envelopes`, `bodies` and `leaves` hold what was built since they were last drained; `records` every
    aggregate touched; `runs` the ids as (first, count, offset). Offsets count the events of this builder from 0.
    """

    def __init__(
        self,
        *,
        find: Callable[[str, str], Record | None],
        has_type: Callable[[str], bool],
        is_taken: Callable[[int, int], bool],
        is_kept: Callable[[int, int], bool] | None = None,
        now_us: int,
        now: str,
        worker: int,
        last_id: int,
        issued_by: Actor | None,
        entropy: Entropy,
        existence: Existence = "any",
        reserved: bool = False,
        rules: Rules | None = None,
        max_faults: int = 100,
    ) -> None:
        super().__init__(
            find=find,
            has_type=has_type,
            now=now,
            entropy=entropy,
            reserved=reserved,
            rules=rules,
            max_faults=max_faults,
        )
        self._is_taken = is_taken
        self._is_kept = is_kept
        self._id = snowflake.first_id(now_us, worker, last_id or None)
        self._free = self._id - 1
        self._existence = existence
        self._is_guarded = existence != "any"
        self.attribute_to(issued_by)
        self._given: dict[int, int] = {}
        self._given_lanes: set[int] = set()
        self._given_runs: set[int] = set()
        self.envelopes: list[bytes] = []
        self.bodies: list[bytes] = []
        self.leaves: list[bytes] = []
        self.runs: list[tuple[int, int, int]] = []
        self.count = 0
        self._held = bytearray()
        self._settled = 0

    def attribute_to(self, issued_by: Actor | None) -> None:
        """Who issued the events that come next. Of imports, who makes the items says so between two of them."""
        by = "" if issued_by is None else f',"issued_by":{issuer_text(issued_by)}'
        self.suffix = f'"{by},"version":'

    @property
    def given(self) -> int:
        """How many ids came with their events."""
        return len(self._given)

    @property
    def last_drawn(self) -> int:
        """No id up to here will be drawn again."""
        return self._id - 1

    def add(self, items: Iterable[Item], drain: Callable[[], None] | None) -> None:
        """Check and build. `drain` is called whenever DRAIN events have come together; it empties the three lists.

        Raises TooManyFaults.
        """
        envelopes, bodies, leaves = self.envelopes, self.bodies, self.leaves
        digest, event_id, free, offset, run_start = sha256, self._id, self._free, self.count, self.count
        for record, event_type, shape, payload, meta_shape, metadata, body, body_hash, created_at, given in self.check(
            items
        ):
            version = record.version + 1
            if given is None:
                if event_id > free:
                    if offset > run_start:
                        self.runs.append((event_id - (offset - run_start), offset - run_start, run_start))
                    run_start = offset
                    event_id, free = self._find_free(event_id)
                number = event_id
                event_id += 1
            else:
                number = given
                if offset > run_start:
                    self.runs.append((event_id - (offset - run_start), offset - run_start, run_start))
                self._add_given_run(number, offset)
                run_start = offset + 1
                if event_id <= number <= free:
                    free = event_id - 1
            envelope = (
                f'{{"aggregate_id":"{record.id}","aggregate_type":"{record.type}","body":"{body_hash}",'
                f'"created_at":"{created_at}",'
                f'"event_id":"{number}","event_type":"{event_type}{self.suffix}{version}}}'
            ).encode()
            envelopes.append(envelope)
            bodies.append(body)
            leaves.append(digest(b"\x00" + envelope).digest())
            record.version = version
            record.updated_at = created_at
            record.added.append(offset)
            if version == 1:
                record.created_at = created_at
            if event_type in RESERVED:
                record.reserve(event_type)
            else:
                record.lay(shape, payload)
                if metadata:
                    record.lay_metadata(meta_shape, metadata)
            offset += 1
            if drain is not None and len(envelopes) >= DRAIN:
                self._hold(leaves)
                drain()
        if offset > run_start:
            self.runs.append((event_id - (offset - run_start), offset - run_start, run_start))
        self._hold(leaves)
        self.settle()
        self._id, self._free, self.count = event_id, free, offset

    def refuse(self) -> None:
        """Raise what was found, if anything was, and what shows only at the end."""
        try:
            if self._given and len(self.faults) < self._max_faults:
                self._check_given()
        except TooManyFaults:
            pass  # as many as are wanted
        super().refuse()

    def meet(self, names: Iterable[tuple[str, str, str]]) -> list[Record]:
        """The records of aggregates (type, space, id) that another process met. Raises what makes one unfit."""
        by_type = self._by_type
        found: list[Record] = []
        for kind, _, name in names:
            by_id = by_type.get(kind)
            found.append((by_id and by_id.get(name)) or self._load(kind, name))
        return found

    def draw(self, count: int) -> list[tuple[int, int, int]]:
        """The ids of the next `count` events, which will be taken, as runs."""
        runs: list[tuple[int, int, int]] = []
        offset = self.count
        while count:
            if self._id > self._free:
                self._id, self._free = self._find_free(self._id)
            length = min(count, self._free + 1 - self._id)
            runs.append((self._id, length, offset))
            self._id += length
            offset += length
            count -= length
        self.runs += runs
        return runs

    def take(self, records: Sequence[Record], leaves: bytes) -> None:
        """Events that another process built: for each its aggregate and, joined, its leaf. All else is in place.

        After the last of them, `settle` must be called.
        """
        offset = self.count
        for record in records:
            record.version += 1
            record.added.append(offset)
            offset += 1
        self.count = offset
        self._held += leaves
        if len(self._held) >= _HELD_BYTES:
            self.settle()

    def _hold(self, leaves: list[bytes]) -> None:
        self._held += b"".join(leaves)
        if len(self._held) >= _HELD_BYTES:
            self.settle()

    def settle(self) -> None:
        """Grow the trees of the aggregates by the leaves that were held back.

        Aggregate by aggregate, because their trees are scattered in memory: that is a third of the time of growing them
        event by event.
        """
        digest, first = sha256, self._settled
        held = bytes(self._held)
        for by_id in self._by_type.values():
            for record in by_id.values():
                added = record.added
                if not added or added[-1] < first:
                    continue
                if added[0] < first:
                    added = added[bisect_left(added, first) :]
                edge, size = record.edge, record.version - len(added)
                for offset in added:
                    at = 32 * (offset - first)
                    leaf = held[at : at + 32]
                    carry = size
                    while carry & 1:
                        leaf = digest(b"\x01" + edge.pop() + leaf).digest()
                        carry >>= 1
                    edge.append(leaf)
                    size += 1
        self._settled += len(held) // 32
        self._held.clear()

    def _expect(self, record: Record, version: int) -> None:
        if version != record.version:
            raise Conflict(
                f"aggregate '{record.type}/{record.id}' is at version {record.version}, not {version}",
                details={"expected": version, "version": record.version},
            )

    def _guard(self, record: Record, event_type: str) -> None:
        name = f"aggregate '{record.type}/{record.id}'"
        if self._existence == "new" and record.version:
            raise Conflict(f"{name} exists already", hint="append to it with 'dbx aggregate apply'")
        if self._existence == "known" and not record.version:
            raise NotFound(f"{name} does not exist", hint="create it with 'dbx aggregate create', or add '--create'")
        if record.archived and event_type not in (RESTORED, ERASED):
            raise Conflict(
                f"{name} is archived and takes no events",
                hint=f"run 'dbx aggregate restore {record.type} {record.id}' first",
            )

    def _take_given(self, event_id: int, line: int) -> None:
        if event_id in self._given:
            raise Conflict(f"event id '{event_id}' is given twice, first in line {self._given[event_id]}")
        if self._is_taken(event_id, event_id):
            raise Conflict(f"event id '{event_id}' is taken by an event of this domain")
        self._given[event_id] = line
        self._given_lanes.add(event_id >> _SEQUENCE_BITS)

    def _find_free(self, event_id: int) -> tuple[int, int]:
        """The first and the last of some ids in a row that no event has, not before `event_id`.

        Of a millisecond in which any of what is left is taken, nothing is drawn: so this is asked once for each.
        """
        while True:
            last = event_id | _SEQUENCE
            if (
                event_id >> _SEQUENCE_BITS not in self._given_lanes
                and not self._is_taken(event_id, last)
                and not (self._is_kept and self._is_kept(event_id, last))
            ):
                return event_id, last
            event_id = last + _NEXT_MS

    def _add_given_run(self, event_id: int, offset: int) -> None:
        runs = self.runs
        at = len(runs) - 1
        if at in self._given_runs and runs[at][0] + runs[at][1] == event_id and runs[at][2] + runs[at][1] == offset:
            runs[at] = (runs[at][0], runs[at][1] + 1, runs[at][2])
        else:
            self._given_runs.add(at + 1)
            runs.append((event_id, 1, offset))

    def _check_given(self) -> None:
        """Given ids against those drawn in this very batch."""
        drawn = [run[:2] for n, run in enumerate(self.runs) if n not in self._given_runs]
        firsts = [first for first, _ in drawn]
        for number, line in self._given.items():
            at = bisect_right(firsts, number) - 1
            if at >= 0 and number < sum(drawn[at]):
                self.add_fault(line, Conflict(f"event id '{number}' was drawn for another event of this batch"))
