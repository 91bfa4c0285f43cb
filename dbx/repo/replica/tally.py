"""What events that are being taken in add up to, column by column, until the index takes it over.

Aggregates are numbered as they are met. Bodies are held back and folded aggregate by aggregate; between two foldings
states are packed. So a million events take a few hundred bytes for each aggregate, and four for each of them.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from typing import TYPE_CHECKING

from dbx.crypto.indextree import key_of
from dbx.crypto.merkle import decode_edge
from dbx.crypto.vault import is_sealed
from dbx.errors import Corrupt
from dbx.formats import canonical
from dbx.formats.envelope import decode_body
from dbx.model.event import ERASED, RESERVED
from dbx.repo.check.blocks import join_name, split_name
from dbx.repo.check.shapes import Shapes, join_tokens, split_tokens
from dbx.repo.masks import SealedAway, may_mask
from dbx.repo.record import Record, parse, record_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dbx.repo.check.blocks import Columns
    from dbx.repo.check.shapes import Tokens
    from dbx.repo.replica.roots import Follower
    from dbx.repo.working import WorkingSet
    from dbx.store.index import Row

    Locate = Callable[[Corrupt], Corrupt]
    """Says in an error where the block lies that it is about."""

Layout = tuple[bytes, ...]
"""The members of a state and of its extensions, in the order in which they came."""

_NEXT = b"\n"  # no canonical text holds it
_HELD_BYTES = 12 * 1024 * 1024
_STATE_BYTES = 64 * 1024 * 1024
_MANY_EVENTS = 1_000_000
_MANY_AGGREGATES = 150_000
_AT_ONCE = 1024


class Tally:
    """Aggregates by number: their rows of the index, what has come since, and which are archived.

    With `loose`, an aggregate that is met for the first time is believed to be where its first event says.
    """

    def __init__(self, working: WorkingSet, *, loose: bool = False) -> None:
        self._working = working
        self._loose = loose
        self._shapes = Shapes()
        self._is_new = working.indexed.seq < 0
        """Whether the index knows no aggregate that is not known here."""
        self._first = working.head.position
        self._begin()

    def _begin(self) -> None:
        self._names: dict[str, int] = {}
        self._rows: dict[int, Row] = {}
        self._keys: list[bytes] = []
        self._created: list[str] = []
        self._updated: dict[int, str] = {}
        self._numbers = array("I")
        self._states: list[bytes | None] = []  # texts of members, and of each aggregate which they are
        self._layouts: list[Layout] = []
        self._known_layouts: dict[Layout, Layout] = {}
        self._state_bytes = 0
        self._of: list[int] = []
        self._held: list[bytes] = []
        self._kinds: list[str] = []
        self._held_bytes = 0
        self._places: list[tuple[int, Locate]] = []
        self._masked: set[int] = set()
        self._erased: set[int] = set()
        self.versions: list[int] = []
        self.archived: set[int] = set()

    @property
    def is_large(self) -> bool:
        """Whether it is time to pour it out."""
        return (
            len(self._numbers) >= _MANY_EVENTS
            or len(self.versions) >= _MANY_AGGREGATES
            or self._state_bytes >= _STATE_BYTES
        )

    def __len__(self) -> int:
        """How many aggregates it holds."""
        return len(self.versions)

    def find(self, aggregate_type: str, aggregate_id: str) -> int | None:
        """The number of an aggregate that was met."""
        return self._names.get(join_name(aggregate_type, aggregate_id))

    def take(self, events: Columns, bodies: Sequence[bytes] | None, roots: Follower, locate: Locate) -> list[int]:
        """Events that come next, right by themselves; the numbers of their aggregates, of which new ones are made known
        to `roots`. `bodies` is None where nobody here can read them.

        Raises Corrupt for a version that does not follow, SealedAway where states cannot do without the bodies.
        """
        known = self._names
        try:
            numbers = [known[name] for name in events.names]
        except KeyError:
            self._meet(events, roots)
            numbers = [known[name] for name in events.names]
        versions = self.versions
        position = self._first + len(self._numbers)
        for row, (number, version) in enumerate(zip(numbers, events.versions, strict=True)):
            versions[number] = expected = versions[number] + 1
            if version != expected:
                raise Corrupt(f"the event at position {position + row} is not version {expected} of its aggregate")
        self._numbers.extend(numbers)
        self._updated.update(zip(numbers, events.times, strict=True))
        self._working.note_ids(events.ids, position)
        self._hold(numbers, events, bodies, locate)
        return numbers

    def fold_if_full(self) -> None:
        """Fold once many bodies are held back. Raises as `fold`."""
        if self._held_bytes > _HELD_BYTES:
            self.fold()

    def fold(self) -> None:
        """Fold the bodies that are held back into the states. Raises Corrupt for one that is not spelled as it should
        be."""
        # What belongs together is read together.
        rows = sorted(range(len(self._held)), key=self._of.__getitem__)
        rows.reverse()
        try:
            self._shapes.merge(rows, self._of, self._kinds, self._held, self._get_tokens, self._put_tokens)
        except Corrupt:
            self._blame()
            raise
        self._of, self._held, self._kinds, self._places = [], [], [], []
        self._held_bytes = 0

    def pour(self, roots: Follower, *, is_last: bool) -> Iterator[list[Record]]:
        """Everything that came, as records of the working set, some at a time: whoever asks for more has written them.

        Then all of it is forgotten, here and by `roots`, which is stopped the last time. Raises as `fold`, WrongRoot.
        """
        self.fold()
        edges = roots.collect()
        if is_last:
            roots.stop()  # what follows needs its room
        names, versions = list(self._names), self.versions
        starts, positions = self._positions()
        # In the order of their keys, as they lie in the pages of the index tree.
        touched = sorted(self._updated, key=self._keys.__getitem__)
        for at in range(0, len(touched), _AT_ONCE):
            records = []
            for number in touched[at : at + _AT_ONCE]:
                record = self._record(number, *split_name(names[number]))
                record.version = versions[number]
                record.edge = decode_edge(edges[number], record.version)
                record.fresh = [self._first + row for row in positions[starts[number] : starts[number + 1]]]
                records.append(record)
            yield records
        self._is_new = False
        self._first += len(self._numbers)
        self._begin()

    @property
    def erased(self) -> Iterator[tuple[str, str]]:
        """The aggregates (type, id) of which an event has lost its body."""
        names = list(self._names) if self._erased else []
        return (split_name(names[number]) for number in self._erased)

    def _meet(self, events: Columns, roots: Follower) -> None:
        """Number the aggregates that are new here."""
        known, index = self._names, self._working.index
        versions: list[int] = []
        edges: list[bytes] = []
        first = len(self.versions)
        for name, version, time in zip(events.names, events.versions, events.times, strict=True):
            if name in known:
                continue
            number = known[name] = len(known)
            kind, identifier = split_name(name)
            self._keys.append(key_of(kind, identifier))
            self._created.append(time)
            self._states.append(None)
            self._layouts.append(())
            row = None if self._is_new else index.find(kind, identifier)
            if row is not None:
                versions.append(row.version)
                edges.append(row.edge)
                self._remember(number, row)
            elif self._loose:
                versions.append(version - 1)
                edges.append(b"\0" * 32 * (version - 1).bit_count())
            else:
                versions.append(0)
                edges.append(b"")
        self.versions += versions
        roots.meet(self._keys[first:], versions, edges)

    def _remember(self, number: int, row: Row) -> None:
        self._rows[number] = row
        self._state_bytes += len(row.state) + len(row.extensions)
        if row.archived:
            self.archived.add(number)
        if is_sealed(row.state) or is_sealed(row.extensions):
            self._masked.add(number)

    def _hold(self, numbers: list[int], events: Columns, bodies: Sequence[bytes] | None, locate: Locate) -> None:
        kinds = events.kinds
        if not RESERVED.isdisjoint(kinds):
            self._erased.update(number for number, kind in zip(numbers, kinds, strict=True) if kind == ERASED)
        if bodies is None:
            if not may_mask(self._working.index):
                raise SealedAway
            self._masked.update(n for n, kind in zip(numbers, kinds, strict=True) if kind not in RESERVED)
            return
        self._places.append((len(self._held), locate))
        if events.empty or not RESERVED.isdisjoint(kinds):
            for kind, body in zip(kinds, bodies, strict=True):
                if kind in RESERVED and body:
                    decode_body(body)  # which nobody folds, and so nobody would look at
            rows = [row for row, kind in enumerate(kinds) if kind not in RESERVED and bodies[row]]
            numbers, kinds, bodies = [numbers[n] for n in rows], [kinds[n] for n in rows], [bodies[n] for n in rows]
        self._of += numbers
        self._kinds += kinds
        self._held += bodies
        self._held_bytes += sum(map(len, bodies))

    def _get_tokens(self, number: int) -> Tokens:
        """The members of an aggregate's state and extensions so far."""
        text = self._states[number]
        if text is not None:
            layout = self._layouts[number]
            return dict(zip(layout, text.split(_NEXT), strict=True)) if layout else {}
        row = self._rows.get(number)
        if row is None or number in self._masked:
            return {}
        return join_tokens(_tokens(row.state), _tokens(row.extensions))

    def _put_tokens(self, number: int, tokens: Tokens) -> None:
        """Pack them."""
        before = self._states[number]
        if before is None or len(self._layouts[number]) != len(tokens):
            layout = tuple(tokens)  # else members kept their places, and no new ones came behind
            self._layouts[number] = self._known_layouts.setdefault(layout, layout)
        text = self._states[number] = _NEXT.join(tokens.values())
        self._state_bytes += len(text) - (0 if before is None else len(before))

    def _blame(self) -> None:
        """Raise Corrupt for the first body that is held back and wrong."""
        for row, body in enumerate(self._held):
            try:
                decode_body(body)
            except Corrupt as error:
                at = bisect_right(self._places, row, key=lambda place: place[0]) - 1
                raise self._places[at][1](error) from None

    def _record(self, number: int, kind: str, identifier: str) -> Record:
        """What the aggregate has become, but for its tree and the places of its events."""
        row = self._rows.get(number)
        record = Record(kind, identifier) if row is None else record_of(row)
        record.key = self._keys[number]
        record.created_at = record.created_at or self._created[number]
        record.updated_at = self._updated[number]
        record.archived = number in self.archived
        if number in self._masked:
            record.mask()
        elif self._states[number] is not None:
            state, extensions = split_tokens(self._get_tokens(number))
            self._states[number] = None  # what follows needs the room
            record.load(self._shapes.render(state), self._shapes.render(extensions))
        return record

    def _positions(self) -> tuple[list[int], array[int]]:
        """The rows of all events sorted by aggregate, and where those of each begin among them."""
        starts = [0] * (len(self.versions) + 1)
        for number, count in Counter(self._numbers).items():
            starts[number + 1] = count
        for number in range(len(self.versions)):
            starts[number + 1] += starts[number]
        ends = starts[:]
        rows = array("I", bytes(4 * len(self._numbers)))
        for row, number in enumerate(self._numbers):
            at = ends[number]
            rows[at] = row
            ends[number] = at + 1
        return starts, rows


def _tokens(text: bytes) -> Tokens:
    encode = canonical.encode_scanned
    return {key.encode(): encode(value).encode() for key, value in parse(text).items()}
