"""Runs of blocks put together again: one numbering of aggregates, one state for each, and the blocks in log order."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

from dbx.repo.check.blocks import UNKNOWN, Fault
from dbx.repo.check.parallel import Again
from dbx.repo.check.part import Part
from dbx.repo.check.shapes import Shapes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dbx.repo.check.parallel import Parts
    from dbx.repo.check.part import Special


class BlockRows(NamedTuple):
    """The events of one block, in log order. `lost` is how many it held when none can be read, -1 for unknown.
    `leaves` are their leaf hashes, joined.

    Rows in `specials` count within the block, as do those of `faults`.
    """

    numbers: Sequence[int]
    versions: Sequence[int]
    ids: Sequence[int]
    leaves: bytes
    lost: int
    sealed: int
    faults: list[Fault]
    specials: list[Special]


class Aggregates:
    """What all events add up to, by the number of an aggregate; `numbers` and `ids` are by row of the log.

    Where several processes check, the last of them knows the states, and tells their hashes, or all of them.
    """

    __slots__ = (
        "_digests", "_folded", "_shapes", "_waiting", "created", "ids", "names", "numbers", "unknown", "updated",
    )  # fmt: skip

    def __init__(self) -> None:
        self._shapes = Shapes()
        self._folded = Part()
        self._digests: bytes | None = None
        self._waiting: Parts | None = None
        self.names: dict[str, int] = {}
        self.created: list[str] = []
        self.updated: list[str] = []
        self.numbers = array("I")
        self.ids = array("q")
        self.unknown = -1
        """The number that stands for aggregates whose envelopes cannot be read; -1 for none."""

    def state(self, number: int) -> bytes:
        """The state of an aggregate, as canonical text. Raises Again where only hashes were told."""
        return self._shapes.render(self._told().state(number))

    def extension(self, number: int) -> bytes:
        """The extensions of an aggregate, as canonical text. Raises as `state`."""
        found = self._told().extensions[number]
        return self._shapes.render(found) if found else b"{}"

    def digests(self) -> bytes:
        """What `part.digest_of` makes of the state and the extensions of each aggregate, by number, joined."""
        self.settle()
        return self._folded.digest_states() if self._digests is None else self._digests

    def blocks(self, parts: Parts) -> Iterator[BlockRows]:
        """Every block; the first run's while the other runs are still being checked.

        States follow when they are asked for, or `settle` is called; `parts` must be open until then.
        """
        self._folded = own = parts.own()
        self.names, self.created, self.updated = own.names, own.created, own.updated
        parts.pass_on(own)
        for number, time in own.times.items():
            self.updated[number] = time
        yield from self._take(own, own.numbers)
        numbers: dict[int, list[int]] = {}
        for run, piece in parts.others():
            mine = numbers.setdefault(run, [])
            self._merge_names(piece, mine)
            yield from self._take(piece, array("I", [mine[number] for number in piece.numbers]))
        self._waiting = parts if parts.are_several else None

    def settle(self) -> None:
        """Wait for what the other runs add up to. Raises as `Parts.states`."""
        if self._waiting is not None:
            parts, self._waiting = self._waiting, None
            found = parts.states()
            if isinstance(found, Part):
                self._folded = found
            else:
                self._digests = found

    def _told(self) -> Part:
        self.settle()
        if self._digests is not None:
            raise Again
        return self._folded

    def _take(self, part: Part, numbers: array[int]) -> Iterator[BlockRows]:
        self.unknown = self.names.get(UNKNOWN, -1)
        self.numbers.extend(numbers)
        self.ids.extend(part.ids)
        specials = iter(part.specials)
        special = next(specials, None)
        row = at = 0
        for count, lost, sealed, faults in part.blocks:
            end = row + count
            blob = b"" if not count else part.leaves[at]
            if count:
                part.leaves[at] = b""
                at += 1
            mine: list[Special] = []
            while special is not None and special[0] < end:
                mine.append((special[0] - row, *special[1:]))
                special = next(specials, None)
            yield BlockRows(
                numbers[row:end],
                part.versions[row:end],
                part.ids[row:end],
                blob,
                lost,
                sealed,
                [Fault(*fault) for fault in faults],
                mine,
            )
            row = end

    def _merge_names(self, piece: Part, numbers: list[int]) -> None:
        """Add our numbers of the aggregates that are new in a piece of a later run."""
        names = self.names
        for name, created in zip(piece.names, piece.created, strict=True):
            number = names.get(name)
            if number is None:
                number = names[name] = len(names)
                self.created.append(created)
                self.updated.append(created)
            numbers.append(number)
        for other, time in piece.times.items():
            self.updated[numbers[other]] = time
