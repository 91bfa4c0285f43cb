"""What events that are being taken in add up to, column by column, until the index takes it over.

Aggregates are numbered as they are met. Bodies are folded at the end, the last one first: what later ones overwrite is
compared with its shape, and not taken apart. So a million events take a few hundred bytes for each aggregate, and eight
for each of them.
"""

from __future__ import annotations

from array import array
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
from dbx.repo.replica.held import HeldBlock, HeldBodies

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dbx.crypto.vault import Vault
    from dbx.repo.check.blocks import Columns
    from dbx.repo.check.shapes import Tokens
    from dbx.repo.replica.held import Locate, Place
    from dbx.repo.replica.roots import Follower
    from dbx.repo.working import WorkingSet
    from dbx.store.index import Row

Layout = tuple[bytes, ...]
"""The members of a state and of its extensions, in the order in which they came."""

_NEXT = b"\n"  # no canonical text holds it
_HELD_BYTES = 12 * 1024 * 1024
_STATE_BYTES = 48 * 1024 * 1024
_MANY_EVENTS = 1_500_000
_MANY_AGGREGATES = 150_000
_AT_ONCE = 1024


class Tally:
    """Aggregates by number: their rows of the index, what has come since, and which are archived.

    With `loose`, an aggregate that is met for the first time is believed to be where its first event says. `vault`
    opens bodies that are read again.
    """

    def __init__(self, working: WorkingSet, *, vault: Vault | None = None, loose: bool = False) -> None:
        self._working = working
        self._vault = vault
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
        self._kinds = array("I")
        self._kind_numbers: dict[str, int] = {}
        self._held = HeldBodies(self._vault)
        self._sizes: list[int] = []
        self._size = 0
        self._states: list[bytes] = []  # texts of members, and of each aggregate which they are
        self._layouts: list[Layout] = []
        self._known_layouts: dict[Layout, Layout] = {}
        self._masked: set[int] = set()
        self._erased: set[int] = set()
        self.versions: list[int] = []
        self.archived: set[int] = set()

    @property
    def is_large(self) -> bool:
        """Whether it is time to pour it out.

        How large states will be is not known before they are folded: as large as the largest body of each, or more.
        """
        return (
            len(self._numbers) >= _MANY_EVENTS
            or len(self.versions) >= _MANY_AGGREGATES
            or self._size >= _STATE_BYTES
            or self._held.size >= _HELD_BYTES
        )

    def __len__(self) -> int:
        """How many aggregates it holds."""
        return len(self.versions)

    def find(self, aggregate_type: str, aggregate_id: str) -> int | None:
        """The number of an aggregate that was met."""
        return self._names.get(join_name(aggregate_type, aggregate_id))

    def take(
        self,
        events: Columns,
        bodies: Sequence[bytes] | None,
        roots: Follower,
        locate: Locate,
        place: Place | None = None,
    ) -> list[int]:
        """Events that come next, right by themselves; the numbers of their aggregates, of which new ones are made known
        to `roots`. `bodies` is None where nobody here can read them; with a `place` they are read again there.

        Raises Corrupt for a version that does not follow, SealedAway where states cannot do without the bodies.
        """
        known = self._names
        try:
            numbers = [known[name] for name in events.names]
        except KeyError:
            self._meet(events, roots)
            numbers = [known[name] for name in events.names]
        versions = self.versions
        first = len(self._numbers)
        position = self._first + first
        for row, (number, version) in enumerate(zip(numbers, events.versions, strict=True)):
            versions[number] = expected = versions[number] + 1
            if version != expected:
                raise Corrupt(f"the event at position {position + row} is not version {expected} of its aggregate")
        self._numbers.extend(numbers)
        self._updated.update(zip(numbers, events.times, strict=True))
        self._working.note_ids(events.ids, position)
        if not RESERVED.isdisjoint(events.kinds):
            self._erased.update(n for n, kind in zip(numbers, events.kinds, strict=True) if kind == ERASED)
        self._hold(first, numbers, events, bodies, locate, place)
        return numbers

    def pour(self, roots: Follower, *, is_last: bool) -> Iterator[list[Record]]:
        """Everything that came, as records of the working set, some at a time: whoever asks for more has written them.

        Then all of it is forgotten, here and by `roots`, which is stopped the last time. Raises WrongRoot, and Corrupt
        for a body that is not spelled as it should be.
        """
        self._fold()
        self._render()
        names, versions = list(self._names), self.versions
        starts, positions = self._positions()
        # In the order of their keys, as they lie in the pages of the index tree.
        touched = sorted(self._updated, key=self._keys.__getitem__)
        edges = roots.collect()  # only now: whoever follows them takes longer
        if is_last:
            roots.stop()  # what follows needs its room
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
            self._sizes.append(0)
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
        self._sizes[number] = size = len(row.state) + len(row.extensions)
        self._size += size
        if row.archived:
            self.archived.add(number)
        if is_sealed(row.state) or is_sealed(row.extensions):
            self._masked.add(number)

    def _hold(
        self,
        first: int,
        numbers: list[int],
        events: Columns,
        bodies: Sequence[bytes] | None,
        locate: Locate,
        place: Place | None,
    ) -> None:
        """Let the bodies be folded at the end. Raises SealedAway, Corrupt."""
        kinds, known = events.kinds, self._kind_numbers
        try:
            self._kinds.extend([known[kind] for kind in kinds])
        except KeyError:
            self._kinds.extend([known.setdefault(kind, len(known)) for kind in kinds])
        if bodies is None:
            if not may_mask(self._working.index):
                raise SealedAway
            self._masked.update(n for n, kind in zip(numbers, kinds, strict=True) if kind not in RESERVED)
            return
        sizes, more = self._sizes, 0
        for number, size in zip(numbers, map(len, bodies), strict=True):
            if size > sizes[number]:
                more += size - sizes[number]
                sizes[number] = size
        self._size += more
        has_reserved = not RESERVED.isdisjoint(kinds)
        if has_reserved:
            for kind, body in zip(kinds, bodies, strict=True):
                if kind in RESERVED and body:
                    decode_body(body)  # which nobody folds, and so nobody would look at
        has_special = has_reserved or bool(events.empty)
        self._held.hold(HeldBlock(first, len(numbers), len(events.raw), place or bodies, has_special, locate))

    def _fold(self) -> None:
        """Fold the bodies that are held into states, those of each aggregate backwards. Raises Corrupt."""
        count = len(self.versions)
        self._states, self._layouts, seen = [b""] * count, [()] * count, [0] * count
        kinds = list(self._kind_numbers)
        for blocks in self._held.backwards(self._first):
            near: dict[int, Tokens] = {}

            def take(number: int, near: dict[int, Tokens] = near) -> Tokens:
                tokens = near.get(number)
                if tokens is None:
                    tokens = near[number] = self._get_tokens(number)
                return tokens

            for block, lines in blocks:
                end = block.first + block.events
                of, what = self._numbers[block.first : end], [kinds[n] for n in self._kinds[block.first : end]]
                try:
                    self._shapes.put_under(*_ordinary(block, of, what, lines), seen, take)
                except Corrupt:
                    self._blame()
                    raise
            for number, tokens in near.items():
                self._put_tokens(number, tokens)
        self._held, self._kinds, self._sizes = HeldBodies(self._vault), array("I"), []

    def _render(self) -> None:
        """Make the texts of states and extensions of what was folded."""
        render, rows = self._shapes.render, self._rows
        for number, layout in enumerate(self._layouts):
            if layout:
                tokens = self._get_tokens(number)
                if number in rows and number not in self._masked:
                    row = rows[number]
                    tokens = {**join_tokens(_tokens(row.state), _tokens(row.extensions)), **tokens}
                state, extensions = split_tokens(tokens)
                self._states[number] = render(state) + _NEXT + render(extensions)
        self._layouts = []

    def _blame(self) -> None:
        """Raise Corrupt for the first body that is held and wrong."""
        for block, lines in self._held.forwards(self._first):
            for body in lines:
                try:
                    if body:
                        decode_body(body)
                except Corrupt as error:
                    raise block.locate(error) from None

    def _get_tokens(self, number: int) -> Tokens:
        """What is known of the members of an aggregate's state and extensions."""
        layout = self._layouts[number]
        return dict(zip(layout, self._states[number].split(_NEXT), strict=True)) if layout else {}

    def _put_tokens(self, number: int, tokens: Tokens) -> None:
        """Pack them."""
        if len(self._layouts[number]) != len(tokens):  # else nothing was added
            layout = tuple(tokens)
            self._layouts[number] = self._known_layouts.setdefault(layout, layout)
            self._states[number] = _NEXT.join(tokens.values())

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
        elif self._states[number]:
            record.load(*self._states[number].split(_NEXT))
            self._states[number] = b""  # what follows needs the room
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


def _ordinary(
    block: HeldBlock, numbers: Sequence[int], kinds: Sequence[str], lines: Sequence[bytes]
) -> tuple[Sequence[int], Sequence[str], Sequence[bytes]]:
    """The events of a block that are folded."""
    if not block.has_special:
        return numbers, kinds, lines
    rows = [row for row, kind in enumerate(kinds) if kind not in RESERVED and lines[row]]
    return [numbers[n] for n in rows], [kinds[n] for n in rows], [lines[n] for n in rows]


def _tokens(text: bytes) -> Tokens:
    encode = canonical.encode_scanned
    return {key.encode(): encode(value).encode() for key, value in parse(text).items()}
