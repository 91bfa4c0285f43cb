"""The index tree of a domain (dbx-format(5)) whole in memory, for whoever follows a history commit by commit.

`IndexTree` keeps pages and buckets, so that any domain fits; a change of one key hashes its bucket anew. Here a change
hashes the nodes above its key and no others, and those above several keys once. That takes some 600 bytes for each key.

The tree is a heap: entry 1 is the root, entry i joins entries 2i and 2i+1, and the last level has a slot for each
beginning of a key, twice as many as keys or more. Most slots have one key or none.
"""

from __future__ import annotations

from bisect import insort
from hashlib import sha256
from typing import TYPE_CHECKING

from dbx.crypto.indextree import EMPTY, root_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_FEWEST_BITS = 8
_NODE = [bytes((1, d)) for d in range(64)]
_NOTHING = b""


class KeyTree:
    """The index tree over the keys that were given to it. Keys and leaf hashes are 32 bytes; no key is ever removed."""

    def __init__(self) -> None:
        self._leaves: dict[bytes, bytes] = {}
        self._make_room(_FEWEST_BITS)

    def __len__(self) -> int:
        return len(self._leaves)

    @property
    def root(self) -> bytes:
        """The index root."""
        return self._heap[1] or EMPTY

    def update(self, changes: Mapping[bytes, bytes]) -> bytes:
        """Set the leaf hash of each key; the new root."""
        self._leaves.update(changes)
        if len(self._leaves) > 1 << self._bits >> 1:
            self._make_room((2 * len(self._leaves)).bit_length())
            changes = self._leaves
        heap, digest = self._heap, sha256
        above = self._put(changes)
        for d in range(self._bits - 1, -1, -1):
            node = _NODE[d]
            for i in above:
                left, right = heap[i + i], heap[i + i + 1]
                heap[i] = digest(node + left + right).digest() if left and right else left or right
            above = {i >> 1 for i in above}
        return self.root

    def _make_room(self, bits: int) -> None:
        """Begin again with an empty heap that has a slot for every beginning of `bits` bits, 1 .. 63."""
        self._bits = bits
        self._heap = [_NOTHING] * (2 << bits)
        self._keys: list[bytes | None] = [None] * (1 << bits)  # of each slot its key, _NOTHING where it has several
        self._shared: dict[int, list[bytes]] = {}

    def _put(self, changes: Mapping[bytes, bytes]) -> set[int]:
        """Set the hashes of the slots of these keys; the entries right above them."""
        heap, keys, leaves = self._heap, self._keys, self._leaves
        shift, first = 64 - self._bits, 1 << self._bits
        above: set[int] = set()
        shared: set[int] = set()
        for key, leaf in changes.items():
            slot = int.from_bytes(key[:8], "big") >> shift
            above.add(first + slot >> 1)
            known = keys[slot]
            if known is None:
                keys[slot] = key
            elif known != key:
                together = self._shared.setdefault(slot, [known])
                if key not in together:
                    insort(together, key)
                keys[slot] = _NOTHING
                shared.add(slot)
                continue
            heap[first + slot] = leaf
        for slot in shared:
            heap[first + slot] = root_of((key, leaves[key]) for key in self._shared[slot])
        return above
