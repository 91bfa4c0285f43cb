"""The index tree without its pages: the hash of a node, the root over sorted leaves, and a few leaves that change.

The hash of a node binds `d`, the number of the first bit in which the keys below it differ (dbx-format(5)).
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

EMPTY = sha256(b"").digest()
"""The root of no leaves."""
NODE = [bytes((1, d)) for d in range(256)]
"""What is hashed before the two below a node, by its d."""
_LEAF = 256

Item = tuple[bytes, bytes]
"""A key and the hash of its leaf."""


def node_hash(d: int, left: bytes, right: bytes) -> bytes:
    """H(0x01 || one byte d || left || right)."""
    return sha256(b"\x01" + d.to_bytes(1, "big") + left + right).digest()


def root_of(items: Iterable[Item]) -> bytes:
    """The root over items sorted by key, without repeats. O(n) time, O(log n) memory.

    In key order the split bits of neighbours form a Cartesian tree, so one stack suffices.
    """
    source = iter(items)
    first = next(source, None)
    if first is None:
        return EMPTY
    hashes: list[bytes] = []
    splits: list[int] = []
    previous = int.from_bytes(first[0], "big")
    current = first[1]
    for key, leaf in source:
        number = int.from_bytes(key, "big")
        d = 256 - (previous ^ number).bit_length()
        while splits and splits[-1] > d:
            current = sha256(NODE[splits.pop()] + hashes.pop() + current).digest()
        hashes.append(current)
        splits.append(d)
        current = leaf
        previous = number
    while splits:
        current = sha256(NODE[splits.pop()] + hashes.pop() + current).digest()
    return current


class _Node:
    """An inner node of a bucket: `d` as in the format. A leaf has the d that no inner node has, and nobody below."""

    __slots__ = ("d", "hash", "left", "right")

    def __init__(self, d: int, digest: bytes, left: _Node | None = None, right: _Node | None = None) -> None:
        self.d = d
        self.hash = digest
        self.left = left
        self.right = right


class Bucket:
    """The leaves below a prefix without a page, by their keys.

    Once one of them is set again, the nodes above them are kept as well: then it costs the hashes on its path.
    """

    __slots__ = ("_top", "leaves")

    def __init__(self, leaves: dict[bytes, bytes]) -> None:
        self.leaves = leaves
        self._top: _Node | None = None

    def root(self) -> bytes:
        """The root over all of them."""
        return root_of(sorted(self.leaves.items()))

    def change(self, key: bytes, leaf: bytes | None) -> None:
        """Set a leaf, or take it out."""
        self._top = None
        if leaf is None:
            self.leaves.pop(key, None)
        else:
            self.leaves[key] = leaf

    def replace(self, key: bytes, leaf: bytes) -> bytes:
        """Set the hash of a leaf that is there; the new root."""
        self.leaves[key] = leaf
        top = self._top
        if top is None:
            top = self._top = _grow(sorted(self.leaves.items()))
            return top.hash
        path: list[_Node] = []
        node: Any = top  # whose d is not a leaf's has two below
        while (d := node.d) != _LEAF:
            path.append(node)
            node = node.right if key[d >> 3] >> (7 - (d & 7)) & 1 else node.left
        node.hash = leaf
        for node in reversed(path):
            node.hash = sha256(NODE[node.d] + node.left.hash + node.right.hash).digest()
        return top.hash


def _grow(items: Sequence[Item]) -> _Node:
    """The nodes over items sorted by key: at least one, without repeats."""
    first, last = int.from_bytes(items[0][0], "big"), int.from_bytes(items[-1][0], "big")
    if first == last:
        return _Node(_LEAF, items[0][1])
    d = 256 - (first ^ last).bit_length()
    cut = next(n for n, (key, _) in enumerate(items) if key[d >> 3] >> (7 - (d & 7)) & 1)
    left, right = _grow(items[:cut]), _grow(items[cut:])
    return _Node(d, node_hash(d, left.hash, right.hash), left, right)
