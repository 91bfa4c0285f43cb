"""Runs of blocks put together again: one numbering of aggregates, one state for each, and the blocks in log order."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

from dbx.repo.check.blocks import UNKNOWN, Fault
from dbx.repo.check.shapes import Shapes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dbx.repo.check.parallel import Parts
    from dbx.repo.check.part import Part, Special
    from dbx.repo.check.shapes import Tokens


class BlockRows(NamedTuple):
    """The events of one block, in log order. `lost` is how many it held when none can be read, -1 for unknown.

    Rows in `specials` count within the block, as do those of `faults`.
    """

    numbers: Sequence[int]
    versions: Sequence[int]
    ids: Sequence[int]
    leaves: list[bytes]
    lost: int
    sealed: int
    faults: list[Fault]
    specials: list[Special]


class Aggregates:
    """What all events add up to, by the number of an aggregate; `numbers` and `ids` are by row of the log."""

    __slots__ = (
        "_shapes", "_waiting", "created", "extensions", "ids", "names", "numbers", "parts", "states", "unknown",
        "updated",
    )  # fmt: skip

    def __init__(self) -> None:
        self._shapes = Shapes()
        self.names: dict[str, int] = {}
        self.states: list[Tokens | bytes] = []
        self.extensions: list[Tokens] = []
        self.created: list[str] = []
        self.updated: list[str] = []
        self.numbers = array("I")
        self.ids = array("q")
        self.parts: list[Part] = []
        self._waiting: tuple[Parts, dict[int, list[int]]] | None = None
        self.unknown = -1
        """The number that stands for aggregates whose envelopes cannot be read; -1 for none."""

    def state(self, number: int) -> bytes:
        """The state of an aggregate, as canonical text."""
        self.settle()
        return self._shapes.render(self.parts[0].state(number))

    def extension(self, number: int) -> bytes:
        """The extensions of an aggregate, as canonical text."""
        self.settle()
        found = self.extensions[number]
        return self._shapes.render(found) if found else b"{}"

    def blocks(self, parts: Parts) -> Iterator[BlockRows]:
        """Every block; the first run's while the other runs are still being checked.

        States follow when they are asked for, or `settle` is called; `parts` must be open until then.
        """
        yield from self._take(parts.own())
        numbers: dict[int, list[int]] = {}
        for run, piece in parts.others():
            mine = numbers.setdefault(run, [])
            self._merge_names(piece, mine)
            yield from self._take(piece, mine)
        self._waiting = parts, numbers

    def settle(self) -> None:
        """Wait for the states of the other runs. Raises as `Parts.states`."""
        if self._waiting is not None:
            (parts, numbers), self._waiting = self._waiting, None
            for run, part in enumerate(parts.states()):
                self._merge_states(part, numbers[run])

    def _take(self, part: Part, new_numbers: list[int] | None = None) -> Iterator[BlockRows]:
        if new_numbers is None:
            self.parts.append(part)
            self.names, self.states, self.extensions = part.names, part.states, part.extensions
            self.created, self.updated = part.created, part.updated
            for number, time in part.times.items():
                self.updated[number] = time
            numbers = part.numbers
        else:
            numbers = array("I", [new_numbers[number] for number in part.numbers])
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
                [blob[n : n + 32] for n in range(0, len(blob), 32)],
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
                self.states.append({})
                self.extensions.append({})
                self.created.append(created)
                self.updated.append(created)
            numbers.append(number)
        for other, time in piece.times.items():
            self.updated[numbers[other]] = time

    def _merge_states(self, part: Part, numbers: list[int]) -> None:
        """Fold a later run over what there is."""
        first, states, extensions = self.parts[0], self.states, self.extensions
        for other, number in enumerate(numbers):
            state = states[number]
            if not state:
                states[number] = part.states[other]
            elif isinstance(state, bytes):
                first.update_packed(number, part.state(other))
            else:
                state.update(part.state(other))
            extensions[number].update(part.extensions[other])
        part.states, part.extensions = [], []
