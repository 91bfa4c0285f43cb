"""Which keys two index trees hold differently, by descending only where their hashes differ.

The hash of a subtree depends on nothing but the leaves below it, and each leaf binds its key (indextree): so the two
trees need not be kept the same way. One may lie in pages, the other in a sorted list. What is equal is never read, so
the work grows with the number of differences and the depth of the trees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from dbx.crypto.indextree import BUCKET, EMPTY, root_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dbx.crypto.indextree import IndexTree, Item

_HALF = 16
_DEPTH = 64


class Change(NamedTuple):
    """A key whose leaf hashes differ; None where the tree has no such key."""

    key: bytes
    a: bytes | None
    b: bytes | None


class Subtree(Protocol):
    """What lies below a prefix of nibbles; never nothing."""

    @property
    def hash(self) -> bytes:
        """Its hash in the tree."""

    def items(self) -> Sequence[Item] | None:
        """Its leaves in key order, where they are few; None where its children should be asked."""

    def children(self) -> Sequence[Subtree | None]:
        """The sixteen subtrees one nibble further down."""


def differing(a: Subtree | None, b: Subtree | None) -> Iterator[Change]:
    """The keys that are in one of the two only, or with different leaves, in key order. None is the empty tree."""
    if a is None or b is None:
        if a is not None:
            yield from (Change(key, leaf, None) for key, leaf in _leaves(a))
        if b is not None:
            yield from (Change(key, None, leaf) for key, leaf in _leaves(b))
        return
    if a.hash == b.hash:
        return
    mine, theirs = a.items(), b.items()
    if mine is not None and theirs is not None:
        yield from _merge(dict(mine), dict(theirs))
        return
    for left, right in zip(a.children(), b.children(), strict=True):
        yield from differing(left, right)


def tree_view(tree: IndexTree) -> Subtree | None:
    """A tree that is kept in pages."""
    return None if tree.root == EMPTY else _Paged(tree, b"", tree.root)


def list_view(items: Sequence[Item]) -> Subtree | None:
    """A tree over items sorted by key, without repeats."""
    return _Listed(items, 0, len(items), 0) if items else None


def _leaves(tree: Subtree) -> Iterator[Item]:
    found = tree.items()
    if found is not None:
        yield from found
        return
    for child in tree.children():
        if child is not None:
            yield from _leaves(child)


def _merge(a: dict[bytes, bytes], b: dict[bytes, bytes]) -> Iterator[Change]:
    for key in sorted(a.keys() | b.keys()):
        mine, theirs = a.get(key), b.get(key)
        if mine != theirs:
            yield Change(key, mine, theirs)


def _nibble(key: bytes, depth: int) -> int:
    byte = key[depth >> 1]
    return byte & 15 if depth & 1 else byte >> 4


class _Paged:
    """A subtree of an IndexTree."""

    __slots__ = ("_prefix", "_tree", "hash")

    def __init__(self, tree: IndexTree, prefix: bytes, expected: bytes) -> None:
        self._tree = tree
        self._prefix = prefix
        self.hash = expected

    def items(self) -> Sequence[Item] | None:
        if self._tree.slots(self._prefix, self.hash) is not None:
            return None
        return self._tree.leaves(self._prefix, self.hash)

    def children(self) -> Sequence[Subtree | None]:
        slots = self._tree.slots(self._prefix, self.hash)
        if slots is None:
            return _listed_children(self._tree.leaves(self._prefix, self.hash), 0, None, len(self._prefix))
        return [
            None if slot is None else _Paged(self._tree, self._prefix + bytes((nibble,)), slot)
            for nibble, slot in enumerate(slots)
        ]


class _Listed:
    """A run of a sorted list; `depth` counts the nibbles that its keys share."""

    __slots__ = ("_depth", "_first", "_hash", "_items", "_last")

    def __init__(self, items: Sequence[Item], first: int, last: int, depth: int) -> None:
        self._items = items
        self._first = first
        self._last = last
        self._depth = depth
        self._hash: bytes | None = None

    @property
    def hash(self) -> bytes:
        if self._hash is None:
            self._hash = root_of(self._items[self._first : self._last])
        return self._hash

    def items(self) -> Sequence[Item] | None:
        if self._last - self._first > BUCKET and self._depth < _DEPTH:
            return None
        return self._items[self._first : self._last]

    def children(self) -> Sequence[Subtree | None]:
        return _listed_children(self._items, self._first, self._last, self._depth)


def _listed_children(items: Sequence[Item], first: int, last: int | None, depth: int) -> list[Subtree | None]:
    children: list[Subtree | None] = []
    at, end = first, len(items) if last is None else last
    for nibble in range(_HALF):
        cut = _first_above(items, at, end, depth, nibble)
        children.append(_Listed(items, at, cut, depth + 1) if cut > at else None)
        at = cut
    return children


def _first_above(items: Sequence[Item], low: int, high: int, depth: int, nibble: int) -> int:
    """The index of the first item whose nibble at `depth` is above; all of them share what stands before."""
    while low < high:
        middle = (low + high) // 2
        if _nibble(items[middle][0], depth) <= nibble:
            low = middle + 1
        else:
            high = middle
    return low
