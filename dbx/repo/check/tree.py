"""The trees of all aggregates, and the index tree over them, as the log is followed commit by commit."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from dbx.crypto.forest import HASH_BYTES, Forest
from dbx.crypto.indextree import key_of
from dbx.crypto.keytree import KeyTree
from dbx.repo.check.blocks import split_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbx.repo.check.join import Aggregates


class AggregateTree:
    """By number: key, version and right edge (joined) of each aggregate. Those in `broken` have no edge that means
    anything."""

    def __init__(self, aggregates: Aggregates) -> None:
        self._aggregates = aggregates
        self._names: list[str] = []
        self._tree = KeyTree()
        self._forest = Forest(self._tree)
        self.broken: set[int] = set()
        self.sure = True

    @property
    def keys(self) -> Sequence[bytes]:
        """The key of each aggregate."""
        return self._forest.keys

    @property
    def versions(self) -> Sequence[int]:
        """The version of each aggregate."""
        return self._forest.versions

    @property
    def edges(self) -> Sequence[bytes]:
        """The right edge of each aggregate's tree, its hashes joined."""
        return self._forest.edges

    def grow(self) -> None:
        """Make room for the aggregates that are new."""
        names, known = self._aggregates.names, len(self._forest.keys)
        if known < len(names):
            keys = [key_of(*split_name(name)) for name in islice(names, known, None)]
            self._forest.meet(keys, [0] * len(keys), [b""] * len(keys))

    def give_up(self) -> None:
        """Damage has made the index root unknowable."""
        self.sure = False

    def name(self, number: int) -> str:
        """The name of an aggregate."""
        if number >= len(self._names):
            self._names = list(self._aggregates.names)
        return self._names[number]

    def add(self, numbers: Sequence[int], versions: Sequence[int], leaves: bytes, start: int = 0) -> int:
        """Events of a commit from `start` on, up to the first whose version does not follow that of the one before it.

        Returns where that one is; the number of events when there is none.
        """
        end = self._find_jump(numbers, versions, start)
        if start or end < len(numbers):
            numbers, leaves = numbers[start:end], leaves[start * HASH_BYTES : end * HASH_BYTES]
        self._forest.add(numbers, leaves)
        return end

    def jump(self, number: int, version: int) -> None:
        """Go on behind events of an aggregate that are lost."""
        self._forest.versions[number] = version
        self._forest.edges[number] = bytes(HASH_BYTES * version.bit_count())
        self.broken.add(number)
        self.give_up()

    def close(self) -> bytes | None:
        """A commit ends here: the index root, None when it is no longer known."""
        return self._forest.close() if self.sure else None

    def take_pages(self) -> dict[bytes, bytes]:
        """The pages of the index tree, by prefix. No commit may follow: the memory of the tree is given back."""
        pages = dict(self._tree.pages())
        self._tree = self._forest.tree = KeyTree()
        return pages

    def _find_jump(self, numbers: Sequence[int], versions: Sequence[int], start: int) -> int:
        latest = self._forest.versions
        if not start and len(set(numbers)) == len(numbers):
            expected = [latest[number] + 1 for number in numbers]
            if expected == list(versions):
                return len(numbers)
        ahead: dict[int, int] = {}
        for row in range(start, len(numbers)):
            number, version = numbers[row], versions[row]
            if version != ahead.get(number, latest[number]) + 1:
                return row
            ahead[number] = version
        return len(numbers)
