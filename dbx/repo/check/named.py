"""A run of blocks with more bodies than are held back at once: they are folded at its end, read again from the file.

Folding piece by piece, as they come, would take apart each aggregate once for each piece. Backwards from the end each
field is taken from the last event that has it, and all other events cost a comparison.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from dbx.errors import Corrupt
from dbx.repo.check.part import NotCanonical, Part, read_backwards

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dbx.repo.check.part import Place

_AT_ONCE = 192


class NamedPart(Part):
    """A part that keeps of bodies, until it is told to fold, only where they lie."""

    __slots__ = ("_kinds", "_places", "_read")

    def __init__(self, read: Callable[[Place], bytes]) -> None:
        """`read` reads the bodies of a block again. It may raise NotCanonical."""
        super().__init__()
        self._read = read
        self._kinds: dict[str, int] = {}
        self._places: list[tuple[array[int], array[int], Place]] = []

    def fold(self) -> None:
        """Fold the bodies of all blocks into the states. Raises NotCanonical."""
        places, self._places = self._places, []
        if not places:
            return
        kinds, same = list(self._kinds), range(len(self.states))
        seen = [0] * len(self.states)
        try:
            for end in range(len(places), 0, -_AT_ONCE):
                some = places[max(0, end - _AT_ONCE) : end]
                named = [(numbers, [kinds[n] for n in of], place) for numbers, of, place in some]
                blocks = read_backwards(named, same, self._read)
                seen = self._shapes.fold(blocks, self.states, self.extensions, pack=self._packs, later=seen)
        except Corrupt:
            raise NotCanonical from None
        self._seen = seen

    @property
    def _reads_again(self) -> bool:
        return True

    def _hold(self, numbers: Sequence[int], kinds: Sequence[str], bodies: bytes | list[bytes], place: Place) -> None:
        known = self._kinds
        try:
            of = array("I", [known[kind] for kind in kinds])
        except KeyError:
            of = array("I", [known.setdefault(kind, len(known)) for kind in kinds])
        self._places.append((array("I", numbers), of, place))
