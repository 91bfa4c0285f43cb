"""The index tree of a domain (dbx-format(5)) whole in memory, for whoever follows a history commit by commit.

`IndexTree` keeps pages and buckets, so that any domain fits; a change of one key hashes its bucket anew. Here a change
hashes the nodes above its key and no others, and those above several keys once. That takes some 300 bytes for each key.

The tree is a heap of hashes in one piece: entry 1 is the root, entry i joins entries 2i and 2i+1, and the last level
has a slot for each beginning of a key, twice as many as keys or more. Most slots have one key or none.
"""

from __future__ import annotations

import struct
from bisect import insort
from hashlib import sha256
from typing import TYPE_CHECKING

from dbx.crypto.indextree import EMPTY, root_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_FEWEST_BITS = 8
_NODE = [bytes((1, d)) for d in range(64)]
_SEVERAL = b""
_LEFT, _RIGHT, _BOTH = 1, 2, 3
_put_hash = struct.Struct("32s").pack_into
_get_hash = struct.Struct("32s").unpack_from
_get_pair = struct.Struct("64s").unpack_from


class KeyTree:
    """The index tree over the keys that were given to it. Keys and leaf hashes are 32 bytes; no key is ever removed."""

    def __init__(self) -> None:
        self._make_room(_FEWEST_BITS)

    def __len__(self) -> int:
        return self._count

    @property
    def root(self) -> bytes:
        """The index root."""
        return bytes(self._heap[32:64]) if self._count else EMPTY

    def update(self, changes: Mapping[bytes, bytes]) -> bytes:
        """Set the leaf hash of each key; the new root."""
        room = 2 * (self._count + len(changes))
        if room > 1 << self._bits:
            leaves = dict(self._leaves())
            self._make_room(room.bit_length())
            changes = {**leaves, **changes}
        above = self._put(changes.items())
        heap, sides, digest, put, get_hash, get_pair = self._heap, self._sides, sha256, _put_hash, _get_hash, _get_pair
        for d in range(self._bits - 1, -1, -1):
            node = _NODE[d]
            for i in above:
                if sides[i] == _BOTH:
                    put(heap, i << 5, digest(node + get_pair(heap, i << 6)[0]).digest())
                else:
                    put(heap, i << 5, get_hash(heap, (i << 6) + (sides[i] >> 1 << 5))[0])
            above = {i >> 1 for i in above}
        return self.root

    def _make_room(self, bits: int) -> None:
        """Begin with an empty heap that has a slot for every beginning of `bits` bits, 1 .. 63."""
        self._bits = bits
        self._count = 0
        self._heap = bytearray(64 << bits)
        self._sides = bytearray(1 << bits)  # of each entry above the slots, on which sides it has keys
        self._keys: list[bytes | None] = [None] * (1 << bits)  # of each slot its key, or _SEVERAL
        self._shared: dict[int, list[tuple[bytes, bytes]]] = {}

    def _put(self, changes: Iterable[tuple[bytes, bytes]]) -> set[int]:
        """Set the hashes of the slots of these keys; the entries right above them."""
        heap, keys, put = self._heap, self._keys, _put_hash
        shift, first = 64 - self._bits, 1 << self._bits
        above: set[int] = set()
        for key, leaf in changes:
            slot = int.from_bytes(key[:8], "big") >> shift
            i = first + slot
            above.add(i >> 1)
            known = keys[slot]
            if known is None:
                keys[slot] = key
                self._count += 1
                self._open(i)
            elif known != key:
                put(heap, i << 5, self._share(slot, key, leaf))
                continue
            put(heap, i << 5, leaf)
        return above

    def _open(self, i: int) -> None:
        """There is a key below an entry: tell those above it that do not know."""
        sides = self._sides
        while i > 1:
            above, side = i >> 1, _RIGHT if i & 1 else _LEFT
            before = sides[above]
            sides[above] = before | side
            if before:
                return
            i = above

    def _share(self, slot: int, key: bytes, leaf: bytes) -> bytes:
        """Set the leaf hash of a key in a slot that has another one; the hash over them."""
        items = self._shared.get(slot)
        if items is None:
            at = ((1 << self._bits) + slot) << 5
            known = self._keys[slot]
            assert known is not None  # noqa: S101 - asked before
            items = self._shared[slot] = [(known, bytes(self._heap[at : at + 32]))]
            self._keys[slot] = _SEVERAL
        place = next((n for n, item in enumerate(items) if item[0] == key), None)
        if place is None:
            insort(items, (key, leaf))
            self._count += 1
        else:
            items[place] = key, leaf
        return root_of(items)

    def _leaves(self) -> Iterable[tuple[bytes, bytes]]:
        """Every key with its leaf hash."""
        at = 32 << self._bits
        for slot, key in enumerate(self._keys):
            if key:
                yield key, bytes(self._heap[at + (slot << 5) : at + (slot << 5) + 32])
            elif key is not None:
                yield from self._shared[slot]
