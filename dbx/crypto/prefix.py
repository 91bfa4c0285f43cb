"""How far two RFC 9162 trees begin alike, found by comparing the roots of their perfect subtrees.

A perfect subtree is named by its height and its index: it holds the leaves index << height up to, without it,
(index + 1) << height. Two trees are alike as far as their perfect subtrees are, so the first leaf in which they differ
takes a number of comparisons that grows with the logarithm of their size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from dbx.crypto import merkle

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Subtrees(Protocol):
    """A tree that can be asked for the roots of its perfect subtrees."""

    def subtree(self, height: int, index: int) -> bytes:
        """The root of a perfect subtree, all of which lies within the tree."""


def perfect_subtrees(size: int) -> Iterator[tuple[int, int]]:
    """(height, index) of the perfect subtrees that make up a tree, largest first: one for each bit of its size."""
    at = 0
    for height in range(size.bit_length() - 1, -1, -1):
        if size >> height & 1:
            yield height, at >> height
            at += 1 << height


def common_size(a: Subtrees, b: Subtrees, size: int) -> int:
    """How many leaves two trees of at least `size` leaves begin with alike, 0 .. `size`."""
    for height, index in perfect_subtrees(size):
        if a.subtree(height, index) != b.subtree(height, index):
            return _descend(a, b, height, index)
    return size


def _descend(a: Subtrees, b: Subtrees, height: int, index: int) -> int:
    """The first leaf that differs below a perfect subtree that does."""
    while height:
        height -= 1
        index <<= 1
        if a.subtree(height, index) == b.subtree(height, index):
            index += 1
    return index


class MissingLeaves(Exception):  # noqa: N818 - not an error: read these, then ask again
    """A tree was asked for a subtree whose leaves it was not given yet."""

    def __init__(self, tree: PartialTree, first: int) -> None:
        super().__init__(first)
        self.tree = tree
        self.first = first


class PartialTree:
    """A tree of which the right edge is known, and leaves as far as they were asked for.

    `name` is the owner's. Raises MissingLeaves for what it would have to read.
    """

    __slots__ = ("_first", "_known", "_leaves", "name", "size")

    def __init__(self, name: object, size: int, edge: Sequence[bytes]) -> None:
        self.name = name
        self.size = size
        self._known = dict(zip(perfect_subtrees(size), edge, strict=True))
        self._first = size
        self._leaves: Sequence[bytes] = ()

    def give(self, first: int, leaves: Sequence[bytes]) -> None:
        """The leaves from index `first` on, instead of those given before."""
        self._first = first
        self._leaves = leaves

    def subtree(self, height: int, index: int) -> bytes:
        """The root of a perfect subtree."""
        place = height, index
        found = self._known.get(place)
        if found is None:
            first, last = index << height, (index + 1) << height
            if not self._first <= first or last > self._first + len(self._leaves):
                raise MissingLeaves(self, first)
            found = self._known[place] = merkle.root(self._leaves[first - self._first : last - self._first])
        return found

    def edge(self, size: int) -> list[bytes]:
        """The right edge of the tree of the first `size` leaves."""
        return [self.subtree(height, index) for height, index in perfect_subtrees(size)]

    def root(self, size: int) -> bytes:
        """The root of the tree of the first `size` leaves."""
        return merkle.edge_root(self.edge(size))


def start_of_run(leaf: int, size: int) -> int:
    """The first leaf of that one of a tree's perfect subtrees that holds a leaf: where to begin to read."""
    for height, index in perfect_subtrees(size):
        if leaf < (index + 1) << height:
            return index << height
    raise ValueError(f"no leaf {leaf} in a tree of {size} leaves")
