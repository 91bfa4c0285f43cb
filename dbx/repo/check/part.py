"""A run of blocks, checked event by event and folded as far as it goes by itself.

Merging later values over earlier ones is associative, so runs can be folded apart, by two processes, and joined.
"""

from __future__ import annotations

import marshal
from array import array
from hashlib import sha256
from itertools import chain, repeat
from operator import or_
from typing import TYPE_CHECKING, Any

from dbx.errors import Corrupt
from dbx.formats.envelope import decode_body
from dbx.model.event import ERASED, RESERVED
from dbx.repo.check.shapes import Shapes, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dbx.repo.check.blocks import Columns, Fault
    from dbx.repo.check.shapes import Block, Tokens

_HELD_BYTES = 48 * 1024 * 1024
"""Bodies are held back up to so many bytes: of what is folded together, only the last counts."""
_PACKED_BYTES = 16 * 1024 * 1024
_PACKED_BLOCKS = 192
"""So much is folded at once where states are packed: in there they are not."""
_LIVE = 40_000
"""States of more aggregates than this are packed between two foldings."""

_AT_ONCE = 16
_UNFOLDED = ""
"""Stands for the type of an event in a block that is only named, where it is not folded."""
DIGEST_BYTES = 32

Job = tuple[int, int, int, int]
"""A block: the number of its source, its kind (BLOCK or LOST), the offsets of its E frame and of its B frame or -1."""
Place = tuple[int, int, int, int | None, bytes | None]
"""Where bodies lie: the number of a source, the offsets of their E frame and of their B frame; and where they are
sealed, the position of the first of them and the domain (16 bytes)."""
Special = tuple[int, str, int, str]
"""A row that is more than an ordinary event: (row, "reserved" | "empty" | "unread", version, event type).

For body_erased the version is the one whose body is gone, 0 when the payload does not say it as it should.
"""


class NotCanonical(Exception):  # noqa: N818 - not an error: the run has to be read again, slowly
    """A body with the hash that its envelope names is not spelled as it should be."""


class Part:
    """What the blocks of a run hold, row by row, and what their events add up to, aggregate by aggregate.

    `blocks` has for each block its number of rows, the number of events that cannot be read (-1: unknown), how many
    bodies are sealed, and its faults. Aggregates are numbered in the order of their first event here.
    """

    __slots__ = (
        "_folds", "_held", "_held_bytes", "_named", "_seen", "_shapes", "_told", "blocks", "created", "extensions",
        "ids", "leaves", "names", "numbers", "specials", "states", "times", "updated", "versions",
    )  # fmt: skip

    def __init__(self, *, folds: bool = True) -> None:
        """Where it never `folds`, bodies are not held back but named, for who is told `encode_held`."""
        self._folds = folds
        self._shapes = Shapes()
        self._seen: list[int] = []
        self._held: list[Block] = []
        self._named: list[tuple[Sequence[int], Sequence[str], Place]] = []
        self._told = 0
        self.times: dict[int, str] = {}
        """The time of each aggregate's last event, of those that are not in `updated` yet."""
        self._held_bytes = 0
        self.blocks: list[tuple[int, int, int, list[tuple[Any, ...]]]] = []
        self.numbers = array("I")
        self.versions = array("q")
        self.ids = array("q")
        self.leaves: list[bytes] = []
        self.specials: list[Special] = []
        self.names: dict[str, int] = {}
        self.states: list[Tokens | bytes] = []
        self.extensions: list[Tokens] = []
        self.created: list[str] = []
        self.updated: list[str] = []

    def add(self, columns: Columns, sealed: int, place: Place) -> None:
        """The events of one more block, and where it lies. Raises NotCanonical."""
        numbers = self._number(columns.names, columns.times)
        first = len(self.numbers)
        self.numbers.extend(numbers)
        self.versions.extend(columns.versions)
        self.ids.extend(columns.ids)
        self.leaves.append(columns.leaves)
        self.blocks.append((len(numbers), 0, sealed, [tuple(fault) for fault in columns.faults]))
        self.times.update(zip(numbers, columns.times, strict=True))
        if columns.faults or columns.empty or columns.unread or not RESERVED.isdisjoint(columns.kinds):
            self._hold_special(columns, numbers, first, place)
        else:
            self._hold(numbers, columns.kinds, columns.raw, place)
        if self._held_bytes > (_PACKED_BYTES if self._packs else _HELD_BYTES):
            self.fold()

    def add_lost(self, events: int, sealed: int, faults: list[Fault]) -> None:
        """A block whose envelopes cannot be read; it held so many events (-1: unknown)."""
        self.blocks.append((0, events, sealed, [tuple(fault) for fault in faults]))

    def fold(self) -> None:
        """Fold the bodies that are held back into the states. Raises NotCanonical."""
        try:
            seen = self._shapes.fold(reversed(self._held), self.states, self.extensions, pack=self._packs)
        except Corrupt:
            raise NotCanonical from None
        self._seen = list(map(or_, seen, chain(self._seen, repeat(0))))
        self._held, self._held_bytes = [], 0

    def fold_before(self, data: bytes, read: Callable[[Place], bytes]) -> None:
        """Fold what comes before all of this, which was only named (`encode_held`). Raises NotCanonical, as `read` may.

        Aggregates are numbered as over both from then on, and events can no longer be added.
        """
        names, held = marshal.loads(data)  # noqa: S302 - from a process that forked with this one
        numbers = self._number(names, [""] * len(names))
        seen = [*self._seen, *[0] * (len(self.states) - len(self._seen))]
        at_once = _PACKED_BLOCKS if self._packs else max(1, len(held))
        try:
            for end in range(len(held), 0, -at_once):
                blocks = read_backwards(held[max(0, end - at_once) : end], numbers, read)
                seen = self._shapes.fold(blocks, self.states, self.extensions, pack=self._packs, later=seen)
        except Corrupt:
            raise NotCanonical from None
        first = set(numbers)
        order = [*numbers, *[number for number in range(len(self.states)) if number not in first]]
        known = list(self.names)
        self.names = {known[number]: n for n, number in enumerate(order)}
        self.states = [self.states[number] for number in order]
        self.extensions = [self.extensions[number] for number in order]

    @property
    def _reads_again(self) -> bool:
        """Whether bodies are only named, and read again when they are folded."""
        return not self._folds

    @property
    def _packs(self) -> bool:
        return len(self.names) > _LIVE

    def state(self, number: int) -> Tokens:
        """The state of an aggregate as far as this run knows it."""
        return unpack(self.states[number])

    def put_over(self, data: bytes) -> None:
        """Merge what this adds up to over what runs before it do, as `encode_states` made it of them.

        Aggregates are numbered as over all these runs from then on, and events can no longer be added.
        """
        names, states, extensions = marshal.loads(data)  # noqa: S302 - from a process that forked with this one
        numbers = dict(zip(names, range(len(names)), strict=True))
        for name, later, latest in zip(self.names, self.states, self.extensions, strict=True):
            number = numbers.get(name)
            if number is None:
                numbers[name] = len(numbers)
                states.append(later)
                extensions.append(latest)
                continue
            state = states[number]
            if isinstance(state, dict) and isinstance(later, dict):
                state.update(later)
            else:
                states[number] = marshal.dumps({**unpack(state), **unpack(later)})
            if latest:
                extensions[number].update(latest)
        self.names, self.states, self.extensions = numbers, states, extensions

    def encode(self) -> bytes:
        """What was added since this was last asked, but for states, as bytes for the process that asked.

        It is forgotten here: rows count from 0 again, aggregates go on being numbered.
        """
        known = self._told
        self._told = len(self.names)
        data = marshal.dumps(
            (
                self.blocks,
                self.numbers.tobytes(),
                self.versions.tobytes(),
                self.ids.tobytes(),
                self.leaves,
                self.specials,
                list(self.names)[known:],
                self.created[known:],
                self.times,
            )
        )
        self.blocks, self.leaves, self.specials = [], [], []
        self.numbers, self.versions, self.ids, self.times = array("I"), array("q"), array("q"), {}
        return data

    def encode_held(self) -> bytes:
        """Names and which bodies are to be folded, as bytes, of a part that does not fold."""
        return marshal.dumps((list(self.names), self._named))

    def encode_states(self) -> bytes:
        """Names, states and extensions as bytes, of a part that was folded to its end."""
        return marshal.dumps((list(self.names), self.states, self.extensions))

    def digest_states(self) -> bytes:
        """What `digest_of` makes of each aggregate, by number, joined."""
        render = self._shapes.render
        return b"".join(
            [
                digest_of(render(unpack(state)), render(known) if known else b"{}")
                for state, known in zip(self.states, self.extensions, strict=True)
            ]
        )

    @staticmethod
    def decode(data: memoryview) -> Part:
        """What `encode` made in a process that this one started. `names` are the aggregates that are new in it."""
        part = Part()
        found = marshal.loads(data)  # noqa: S302 - from our own child
        part.blocks, numbers, versions, ids, part.leaves, part.specials, names, part.created, part.times = found
        part.numbers.frombytes(numbers)
        part.versions.frombytes(versions)
        part.ids.frombytes(ids)
        part.names = dict.fromkeys(names, 0)
        return part

    @staticmethod
    def decode_states(data: memoryview) -> Part:
        """What `encode_states` made in a process that this one started."""
        part = Part()
        names, part.states, part.extensions = marshal.loads(data)  # noqa: S302 - from our own child
        part.names = dict.fromkeys(names, 0)
        return part

    def _number(self, names: Sequence[str], times: Sequence[str]) -> list[int]:
        known = self.names
        try:
            return [known[name] for name in names]
        except KeyError:
            pass
        numbers: list[int] = []
        for name, time in zip(names, times, strict=True):
            number = known.get(name)
            if number is None:
                number = known[name] = len(known)
                self.states.append({})
                self.extensions.append({})
                self.created.append(time)
                self.updated.append(time)
            numbers.append(number)
        return numbers

    def _hold(self, numbers: Sequence[int], kinds: Sequence[str], bodies: bytes | list[bytes], place: Place) -> None:
        if not self._folds:
            self._named.append((numbers, kinds, place))
            return
        self._held.append((numbers, kinds, bodies))
        self._held_bytes += len(bodies) if isinstance(bodies, bytes) else sum(map(len, bodies))

    def _hold_special(self, columns: Columns, numbers: list[int], first: int, place: Place) -> None:
        """Rows of which some are reserved events, or have no body that can be read."""
        marks = dict.fromkeys(columns.empty, "empty") | dict.fromkeys(columns.unread, "unread")
        held: list[tuple[int, str, bytes]] = []
        kinds = list(columns.kinds)
        for row, (number, kind, body) in enumerate(zip(numbers, columns.kinds, columns.bodies, strict=True)):
            if row in marks:
                self.specials.append((first + row, marks[row], columns.versions[row], kind))
            if kind in RESERVED:
                erased = _erased_version(body)
                version = erased if kind == ERASED else columns.versions[row]
                self.specials.append((first + row, "reserved", version, kind))
            elif body is not None:
                held.append((number, kind, body))
                continue
            kinds[row] = _UNFOLDED
        if held and self._reads_again:
            if columns.raw[-1:] != b"\n" or columns.raw.count(b"\n") != len(numbers):
                raise NotCanonical
            self._hold(numbers, kinds, columns.raw, place)
        elif held:
            of, kinds_of, bodies = zip(*held, strict=True)
            self._hold(of, kinds_of, list(bodies), place)


def read_backwards(
    held: Sequence[tuple[Sequence[int], Sequence[str], Place]],
    numbers: Sequence[int],
    read: Callable[[Place], bytes],
) -> Iterator[Block]:
    """Blocks that were named, the last one first; aggregates get other `numbers`."""
    for end in range(len(held), 0, -_AT_ONCE):
        # Some at a time are read forwards, as a file is read through a window.
        blocks: list[Block] = []
        for of, kinds, place in held[max(0, end - _AT_ONCE) : end]:
            bodies = read(place)
            if bodies.count(b"\n") != len(of):
                raise NotCanonical
            mine = [numbers[number] for number in of]
            if _UNFOLDED in kinds:
                lines = bodies.split(b"\n")
                rows = [row for row, kind in enumerate(kinds) if kind != _UNFOLDED]
                blocks.append(([mine[n] for n in rows], [kinds[n] for n in rows], [lines[n] for n in rows]))
            else:
                blocks.append((mine, kinds, bodies))
        yield from reversed(blocks)


def digest_of(state: bytes, extensions: bytes) -> bytes:
    """The hash by which states are compared between processes: SHA-256 of both canonical texts, a line each."""
    return sha256(state + b"\n" + extensions).digest()


def _erased_version(line: bytes | None) -> int:
    """The version that an event of type body_erased names, 0 where it does not. Raises NotCanonical."""
    if line is None:
        return 0
    try:
        payload = decode_body(line).payload
    except Corrupt:
        raise NotCanonical from None
    version, reason = payload.get("version"), payload.get("reason")
    if payload.keys() != {"version", "reason"} or type(version) is not int or type(reason) is not str:
        return 0
    return version
