"""A Merkle tree of RFC 9162 over leaves that lie somewhere else: roots and proofs that read no more than they need.

The reader is one function, (first, last) to the leaf hashes first..last-1. Roots of perfect subtrees of `WIDTH` leaves
and more are kept, so that the first question costs a hash for each leaf and every other one some hundred.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.crypto.merkle import EMPTY, node_hash
from dbx.crypto.merkle import root as root_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WIDTH = 256


class LazyTree:
    """The trees over the first n of a reader's leaves, for any n. The reader answers the same for ever."""

    def __init__(self, read: Callable[[int, int], Sequence[bytes]]) -> None:
        self._read = read
        self._known: dict[tuple[int, int], bytes] = {}

    def root(self, size: int) -> bytes:
        """The root of the tree of the first `size` leaves."""
        return self._node(0, size) if size else EMPTY

    def subtree(self, level: int, number: int) -> bytes:
        """The root of perfect subtree `number` of 2^level leaves; all of them must be there."""
        return self._node(number << level, (number + 1) << level)

    def prove_inclusion(self, index: int, size: int) -> list[bytes]:
        """The path of leaf `index` in the tree of `size` leaves (RFC 9162 §2.1.3.1); 0 <= index < size."""
        if not 0 <= index < size:
            raise ValueError(f"no leaf {index} in a tree of {size} leaves")
        proof: list[bytes] = []
        low, high = 0, size
        while high - low > 1:
            middle = low + _split(high - low)
            if index < middle:
                proof.append(self._node(middle, high))
                high = middle
            else:
                proof.append(self._node(low, middle))
                low = middle
        proof.reverse()
        return proof

    def prove_consistency(self, first: int, second: int) -> list[bytes]:
        """That the tree of `first` leaves grew into that of `second` (RFC 9162 §2.1.4.1); 1 <= first <= second."""
        if not 1 <= first <= second:
            raise ValueError(f"no consistency proof from {first} to {second} leaves")
        proof: list[bytes] = []
        low, high = 0, second
        while first != high:
            middle = low + _split(high - low)
            if first <= middle:
                proof.append(self._node(middle, high))
                high = middle
            else:
                proof.append(self._node(low, middle))
                low = middle
        if low:
            proof.append(self._node(low, high))
        proof.reverse()
        return proof

    def _node(self, low: int, high: int) -> bytes:
        known = self._known.get((low, high))
        if known is not None:
            return known
        if high - low <= WIDTH:
            leaves = self._read(low, high)
            if len(leaves) != high - low:
                raise ValueError(f"the reader gave {len(leaves)} leaves for {high - low}")
            node = root_of(leaves)
        else:
            middle = low + _split(high - low)
            node = node_hash(self._node(low, middle), self._node(middle, high))
        if high - low >= WIDTH and (high - low).bit_count() == 1:
            self._known[low, high] = node
        return node


def _split(size: int) -> int:
    """The largest power of two smaller than `size`, which is at least 2."""
    return 1 << (size - 1).bit_length() - 1
