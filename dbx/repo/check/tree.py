"""The trees of all aggregates, and the index tree over them, as the log is followed commit by commit."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from dbx.crypto.indextree import EMPTY, IndexTree, key_of, leaf_hash
from dbx.crypto.merkle import joined_edge_root
from dbx.repo.check.blocks import split_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dbx.repo.check.join import Aggregates

_MANY = 64
_OFTEN = 4096


class MemoryReader:
    """Where an IndexTree keeps its pages and leaves while a check runs."""

    def __init__(self) -> None:
        self.pages: dict[bytes, bytes] = {}
        self.leaves: dict[bytes, bytes] = {}
        self._keys: list[bytes] = []
        self._fresh: list[bytes] = []

    def put(self, changes: dict[bytes, bytes | None]) -> None:
        """The leaves that an update has set."""
        leaves = self.leaves
        for key, leaf in changes.items():
            if leaf is not None:
                if key not in leaves:
                    self._fresh.append(key)
                leaves[key] = leaf

    def read_page(self, prefix: bytes) -> bytes | None:
        """For the tree."""
        return self.pages.get(prefix)

    def read_leaves(self, prefix: bytes) -> list[tuple[bytes, bytes]]:
        """For the tree."""
        if self._fresh:
            self._keys += self._fresh
            self._keys.sort()
            self._fresh = []
        text = "".join(f"{nibble:x}" for nibble in prefix)
        low, high = bytes.fromhex(text.ljust(64, "0")), bytes.fromhex(text.ljust(64, "f"))
        keys = self._keys
        at = bisect_left(keys, low)
        found = []
        while at < len(keys) and keys[at] <= high:
            found.append((keys[at], self.leaves[keys[at]]))
            at += 1
        return found


class AggregateTree:
    """By number: version, right edge (joined) and root of each aggregate. Those in `broken` have no root that means
    anything."""

    def __init__(self, aggregates: Aggregates) -> None:
        self._aggregates = aggregates
        self._names: list[str] = []
        self._reader = MemoryReader()
        self._tree = IndexTree(self._reader, EMPTY)
        self._updates = 0
        self.versions: list[int] = []
        self.edges: list[bytes] = []
        self.roots: list[bytes] = []
        self.keys: list[bytes] = []
        self.broken: set[int] = set()
        self.sure = True

    @property
    def root(self) -> bytes | None:
        """The index root, None when it can no longer be known."""
        return self._tree.root if self.sure else None

    def grow(self, count: int) -> None:
        """Make room for so many aggregates."""
        more = count - len(self.versions)
        if more > 0:
            self.versions += [0] * more
            self.edges += [b""] * more
            self.roots += [b""] * more
            self.keys += [b""] * more

    def give_up(self) -> None:
        """Damage has made the index root unknowable."""
        self.sure = False

    def name(self, number: int) -> str:
        """The name of an aggregate."""
        if number >= len(self._names):
            self._names = list(self._aggregates.names)
        return self._names[number]

    def put(self, touched: Iterable[int]) -> bytes | None:
        """Bring the index tree forward to these aggregates; its root, None when that is no longer known."""
        if not self.sure:
            return None
        versions, edges, roots, keys = self.versions, self.edges, self.roots, self.keys
        changes: dict[bytes, bytes | None] = {}
        for number in touched:
            key = keys[number]
            if not key:
                key = keys[number] = key_of(*split_name(self.name(number)))
            root = roots[number] = joined_edge_root(edges[number])
            changes[key] = leaf_hash(key, versions[number], root)
        found = self._tree.update(changes)
        self._reader.put(changes)
        self._updates += 1
        if len(changes) > _MANY or self._updates % _OFTEN == 0:
            self._keep_pages()
        return found

    def pages(self) -> dict[bytes, bytes]:
        """The pages of the index tree, by prefix."""
        self._keep_pages()
        return self._reader.pages

    def _keep_pages(self) -> None:
        self._reader.pages.update(self._tree.take_pages())
