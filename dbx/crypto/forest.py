"""The trees of many aggregates that grow event by event, and the index tree over them after each commit."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

from dbx.crypto.merkle import edge_root

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

HASH_BYTES = 32


class Tree(Protocol):
    """An index tree: `IndexTree`, or `KeyTree`."""

    @property
    def root(self) -> bytes:
        """The index root."""

    def update(self, changes: Mapping[bytes, bytes]) -> bytes:
        """Set the leaf hash of each key; the new root."""


class Forest:
    """Aggregates by number, in the order in which they were met: each one's key, its version, and the right edge of its
    tree, its hashes joined."""

    __slots__ = ("_touched", "edges", "keys", "tree", "versions")

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.keys: list[bytes] = []
        self.versions: list[int] = []
        self.edges: list[bytes] = []
        self._touched: set[int] = set()

    def meet(self, keys: Iterable[bytes], versions: Iterable[int], edges: Iterable[bytes]) -> None:
        """The aggregates that come next are these, as they are before their next event."""
        self.keys += keys
        self.versions += versions
        self.edges += edges

    def add(self, numbers: Sequence[int], leaves: bytes) -> None:
        """Events of the commit that is going on: their aggregates, and their leaf hashes joined."""
        digest, edges, versions = sha256, self.edges, self.versions
        at = 0
        for number in numbers:
            node = leaves[at : at + HASH_BYTES]
            at += HASH_BYTES
            size = versions[number]
            versions[number] = size + 1
            edge = edges[number]
            if size & 1:
                end = len(edge)
                while size & 1:
                    end -= HASH_BYTES
                    node = digest(b"\x01" + edge[end : end + HASH_BYTES] + node).digest()
                    size >>= 1
                edge = edge[:end]
            edges[number] = edge + node
        self._touched.update(numbers)

    def close(self) -> bytes:
        """The commit ends here: the index root after it."""
        digest, keys, versions, edges = sha256, self.keys, self.versions, self.edges
        changes: dict[bytes, bytes] = {}
        for number in self._touched:
            edge = edges[number]
            node = edge[-HASH_BYTES:]
            for at in range(len(edge) - 2 * HASH_BYTES, -1, -HASH_BYTES):
                node = digest(b"\x01" + edge[at : at + HASH_BYTES] + node).digest()
            key = keys[number]
            changes[key] = digest(b"\0" + key + versions[number].to_bytes(8, "big") + node).digest()
        self._touched.clear()
        return self.tree.update(changes)

    def root_of(self, number: int) -> bytes:
        """The root of an aggregate's tree."""
        edge = self.edges[number]
        return edge_root([edge[at : at + HASH_BYTES] for at in range(0, len(edge), HASH_BYTES)])
