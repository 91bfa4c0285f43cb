"""The index tree of a domain (dbx-format(5)) whole in memory, for whoever follows a history commit by commit.

`IndexTree` keeps pages and buckets, so that any domain fits; a change of one key hashes its bucket anew. Here a change
hashes the nodes above its key and no others, and those above several keys once. That takes some 300 bytes for each key.

The tree is a heap of hashes: entry 1 is the root, entry i joins 2i and 2i+1, an entry without keys is empty, and one
with keys on one side only is what is there. The last level has a slot for each beginning of a key, twice as many as
keys or more, so that most slots have one key or none.
"""

from __future__ import annotations

from bisect import bisect_left
from hashlib import sha256
from typing import TYPE_CHECKING

from dbx.crypto.bucket import NODE
from dbx.crypto.indextree import BUCKET, EMPTY, encode_page, root_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_FEWEST_BITS = 8
_KEY_BITS = 256
_RARELY_SHARED = 3
"""So many levels below those that have a node for each changed key, few nodes are above two of them."""
_SEVERAL = b""


class _Shared:
    """The leaves of two keys or more in one slot, in their order."""

    __slots__ = ("_node", "leaves")

    def __init__(self, leaves: Mapping[bytes, bytes]) -> None:
        self.leaves = dict(sorted(leaves.items()))
        first, second = (int.from_bytes(key, "big") for key in [*self.leaves][:2])
        self._node = NODE[256 - (first ^ second).bit_length()]

    def root(self) -> bytes:
        """The root over them. Mostly there are two."""
        if len(self.leaves) > 2:
            return root_of(self.leaves.items())
        first, second = self.leaves.values()
        return sha256(self._node + first + second).digest()


class KeyTree:
    """The index tree over the keys that were given to it. Keys and leaf hashes are 32 bytes; no key is ever removed."""

    def __init__(self) -> None:
        self._make_room(_FEWEST_BITS)

    def __len__(self) -> int:
        return self._count

    @property
    def root(self) -> bytes:
        """The index root."""
        return self._heap[1] or EMPTY

    def update(self, changes: Mapping[bytes, bytes]) -> bytes:
        """Set the leaf hash of each key; the new root."""
        room = 2 * (self._count + len(changes))
        if room > 1 << self._bits:
            leaves = dict(self._leaves())
            self._make_room(room.bit_length())
            changes = {**leaves, **changes}
        heap, digest = self._heap, sha256
        shared = min(self._bits, len(changes).bit_length() + _RARELY_SHARED)
        # Far down, hardly two changed keys are below one node: each path is followed by itself, its hash in hand. Where
        # two are, the node is hashed for both, and is right when the second one has come by.
        nodes = NODE[shared : self._bits][::-1]
        above: set[int] = set()
        for slot in self._put(changes.items()):
            i, node_hash = slot, heap[slot]
            for node in nodes:
                if side := heap[i ^ 1]:
                    node_hash = digest(node + (side + node_hash if i & 1 else node_hash + side)).digest()
                i >>= 1
                heap[i] = node_hash
            above.add(i >> 1)
        for d in range(shared - 1, -1, -1):
            node = NODE[d]
            for i in above:
                left, right = heap[i + i], heap[i + i + 1]
                heap[i] = digest(node + left + right).digest() if left and right else left or right
            above = {i >> 1 for i in above}
        return self.root

    def pages(self) -> Iterator[tuple[bytes, bytes]]:
        """The pages that `IndexTree` keeps of these leaves: (prefix, page), in no order."""
        keys = [key for key, _ in self._leaves()]
        todo = [(b"", 0, 0, len(keys))]  # a prefix, as a number too, and where the keys below it begin and end
        while todo:
            prefix, number, start, end = todo.pop()
            if end - start <= BUCKET or len(prefix) == _KEY_BITS // 4:
                continue
            bits = 4 * len(prefix) + 4
            slots: list[bytes] = []
            for n in range(16 * number, 16 * number + 16):
                upper = end
                if n & 15 < 15:
                    upper = bisect_left(keys, (n + 1 << _KEY_BITS - bits).to_bytes(_KEY_BITS // 8, "big"), start, end)
                slots.append(self._heap[(1 << bits) + n] if bits <= self._bits else self._root_of(keys[start:upper]))
                todo.append((prefix + bytes((n & 15,)), n, start, upper))
                start = upper
            yield prefix, encode_page(slots)

    def _make_room(self, bits: int) -> None:
        """Begin with an empty heap that has a slot for every beginning of `bits` bits, 1 .. 63."""
        self._bits = bits
        self._count = 0
        self._heap = [b""] * (2 << bits)
        self._keys: list[bytes | None] = [None] * (1 << bits)  # of each slot its key, or _SEVERAL
        self._shared: dict[int, _Shared] = {}

    def _put(self, changes: Iterable[tuple[bytes, bytes]]) -> list[int]:
        """Set the hashes of the slots of these keys; the entries of those slots, of some twice."""
        heap, keys = self._heap, self._keys
        shift, first = 64 - self._bits, 1 << self._bits
        slots: list[int] = []
        for key, leaf in changes:
            slot = int.from_bytes(key[:8], "big") >> shift
            i = first + slot
            slots.append(i)
            known = keys[slot]
            if known == key:
                heap[i] = leaf
            elif known is None:
                keys[slot] = key
                self._count += 1
                heap[i] = leaf
            else:
                heap[i] = self._share(slot, key, leaf)
        return slots

    def _share(self, slot: int, key: bytes, leaf: bytes) -> bytes:
        """Set the leaf hash of a key in a slot that has another one; the hash over them."""
        shared = self._shared.get(slot)
        if shared is None:
            known = self._keys[slot]
            assert known is not None  # noqa: S101 - asked before
            shared = self._shared[slot] = _Shared({known: self._heap[(1 << self._bits) + slot], key: leaf})
            self._keys[slot] = _SEVERAL
            self._count += 1
        elif key not in shared.leaves:
            self._count += 1
            shared = self._shared[slot] = _Shared({**shared.leaves, key: leaf})
        shared.leaves[key] = leaf
        return shared.root()

    def _root_of(self, keys: Sequence[bytes]) -> bytes:
        """The hash over some neighbouring keys; empty for none."""
        first, shift = 1 << self._bits, 64 - self._bits
        items: list[tuple[bytes, bytes]] = []
        for key in keys:
            slot = int.from_bytes(key[:8], "big") >> shift
            shared = self._shared.get(slot)
            items.append((key, self._heap[first + slot] if shared is None else shared.leaves[key]))
        return root_of(items) if items else b""

    def _leaves(self) -> Iterable[tuple[bytes, bytes]]:
        """Every key with its leaf hash."""
        first = 1 << self._bits
        for slot, key in enumerate(self._keys):
            if key:
                yield key, self._heap[first + slot]
            elif key is not None:
                yield from self._shared[slot].leaves.items()
