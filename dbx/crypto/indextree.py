"""The index tree: a path-compressed binary Merkle trie over every aggregate of a domain (dbx-format(5)).

The hash of a subtree depends only on the set of (key, leaf) below it, so any partition into pages gives the same
root. Here a page covers four bits: it holds the hashes of the up to sixteen subtrees below a prefix, and exists where
more than `BUCKET` leaves share that prefix. Below that, the leaves themselves (a bucket) are read. An update of k keys
touches O(k log n) hashes, and every page or bucket that is read is checked against the hash its parent holds for it.

A prefix is a `bytes` of nibbles, one per byte (0..15), most significant first.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, Protocol

from dbx.crypto.bucket import EMPTY as EMPTY
from dbx.crypto.bucket import NODE, Bucket
from dbx.crypto.bucket import Item as Item
from dbx.crypto.bucket import node_hash as node_hash
from dbx.crypto.bucket import root_of as root_of
from dbx.errors import Corrupt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BUCKET = 16
_CACHE_LIMIT = 20_000
_FEW_CHANGES = 64
_ONE_BYTE = [bytes((n,)) for n in range(16)]
_LEVELS = [tuple(NODE[d] for d in range(4 * depth + 3, 4 * depth - 1, -1)) for depth in range(64)]
"""What is hashed before the two below each node of a page, from its foot up, by the depth of the page."""

Step = tuple[int, bytes]  # (d, hash of the sibling)


class TreeMismatch(Corrupt):
    """A stored page or bucket does not have the hash its parent holds for it: the derived index is stale or damaged."""


class Reader(Protocol):
    """Where pages and leaves are kept."""

    def read_page(self, prefix: bytes) -> bytes | None:
        """The encoded page at a prefix, or None where there is none."""

    def read_leaves(self, prefix: bytes) -> list[Item]:
        """Every (key, leaf hash) whose key begins with the prefix, in key order. Asked only where there is no page."""


class Proof(NamedTuple):
    """The path from a leaf up to the root. For a key that is absent, the leaf is the one to which its bits lead."""

    key: bytes
    path: tuple[Step, ...]


def key_of(aggregate_type: str, aggregate_id: str) -> bytes:
    """The 32-byte key of an aggregate: H(type || "/" || id)."""
    return sha256(f"{aggregate_type}/{aggregate_id}".encode()).digest()


def leaf_hash(key: bytes, version: int, root: bytes) -> bytes:
    """H(0x00 || key || u64(version) || aggregate root)."""
    return sha256(b"\x00" + key + version.to_bytes(8, "big") + root).digest()


class _Page:
    """Sixteen subtrees as a heap: entry 16+n is the subtree of nibble n, entry i joins entries 2i and 2i+1."""

    __slots__ = ("depth", "heap")

    def __init__(self, depth: int, slots: list[bytes | None]) -> None:
        self.depth = depth
        self.heap: list[bytes | None] = [*([None] * 16), *slots]
        for i in range(15, 0, -1):
            self._join(i)

    def _join(self, i: int) -> None:
        left, right = self.heap[2 * i], self.heap[2 * i + 1]
        if left is None or right is None:
            self.heap[i] = right if left is None else left
        else:
            self.heap[i] = node_hash(4 * self.depth + i.bit_length() - 1, left, right)

    def set_slots(self, slots: Mapping[int, bytes | None]) -> None:
        todo = set()
        for nibble, value in slots.items():
            self.heap[16 + nibble] = value
            todo.add((16 + nibble) >> 1)
        while todo:
            for i in todo:
                self._join(i)
            todo = {i >> 1 for i in todo if i > 1}

    def encode(self) -> bytes:
        return encode_page([slot or b"" for slot in self.heap[16:]])


def encode_page(slots: Sequence[bytes]) -> bytes:
    """A page as it is stored: a bit for each of the sixteen subtrees that is not empty, and their hashes."""
    bitmap = sum(1 << n for n, slot in enumerate(slots) if slot)
    return bitmap.to_bytes(2, "big") + b"".join(slots)


def _decode_page(data: bytes, depth: int) -> _Page:
    bitmap = int.from_bytes(data[:2], "big")
    if len(data) != 2 + 32 * bitmap.bit_count():
        raise TreeMismatch("a page of the index tree has a wrong length")
    slots: list[bytes | None] = [None] * 16
    at = 2
    for nibble in range(16):
        if bitmap >> nibble & 1:
            slots[nibble] = data[at : at + 32]
            at += 32
    return _Page(depth, slots)


def _nibble(key: bytes, depth: int) -> int:
    byte = key[depth >> 1]
    return byte & 15 if depth & 1 else byte >> 4


class IndexTree:
    """The index tree of a domain over a reader, with its pages cached and its changes held back until they are taken.

    Raises TreeMismatch whenever what the reader gives does not add up to the root.
    """

    def __init__(self, reader: Reader, root: bytes) -> None:
        self._reader = reader
        self.root = root
        self._pages: dict[bytes, _Page | None] = {}
        self._buckets: dict[bytes, Bucket] = {}
        self._dirty: set[bytes] = set()

    def update(self, changes: Mapping[bytes, bytes | None], *, keep: bool | None = None) -> bytes:
        """Set the leaf hash of each key (None removes it); returns the new root. Keys are 32 bytes.

        Without `keep` (by default after more than 64 changes at once) the caller must write `take_pages()` and its
        leaves before it updates again.
        """
        if len(changes) == 1:
            ((key, leaf),) = changes.items()
            if leaf is not None:
                self.root = self._set(key, leaf)
                return self.root
        if changes:
            before = None if self.root == EMPTY else self.root
            kept = len(changes) <= _FEW_CHANGES if keep is None else keep
            after = self._update(b"", sorted(changes.items()), before, keep=kept)
            self.root = EMPTY if after is None else after
        return self.root

    def take_pages(self) -> list[tuple[bytes, bytes]]:
        """The pages that changed since the last call, encoded: (prefix, page)."""
        taken = [(prefix, page.encode()) for prefix in self._dirty if (page := self._pages[prefix]) is not None]
        self._dirty.clear()
        if len(self._pages) + len(self._buckets) > _CACHE_LIMIT:
            self._pages.clear()
            self._buckets.clear()
        return taken

    def slots(self, prefix: bytes, expected: bytes) -> list[bytes | None] | None:
        """The hashes of the sixteen subtrees below a prefix whose own hash is `expected`; None where a bucket is."""
        if len(self._pages) > _CACHE_LIMIT and not self._dirty:
            self._pages.clear()
        page = self._page(prefix, expected)
        return None if page is None else page.heap[16:]

    def leaves(self, prefix: bytes, expected: bytes) -> list[Item]:
        """The bucket at a prefix whose own hash is `expected`, in key order."""
        return sorted(self._bucket(prefix, expected, keep=False).leaves.items())

    def prove(self, key: bytes) -> Proof | None:
        """The path of a key, or of the leaf to which its bits lead; None when there are no aggregates at all."""
        if self.root == EMPTY:
            return None
        path: list[Step] = []  # from the root down
        prefix = b""
        expected = self.root
        while (page := self._page(prefix, expected)) is not None:
            i = 1
            for level in range(4):
                left, right = page.heap[2 * i], page.heap[2 * i + 1]
                d = 4 * page.depth + level
                bit = key[d >> 3] >> (7 - (d & 7)) & 1
                if left is not None and right is not None:
                    path.append((d, left if bit else right))
                    i = 2 * i + bit
                else:
                    i = 2 * i + (left is None)
            prefix += bytes((i - 16,))
            slot = page.heap[i]
            if slot is None:  # pragma: no cover - a page always has a child
                raise TreeMismatch("a page of the index tree is empty")
            expected = slot
        items = sorted(self._bucket(prefix, expected, keep=True).leaves.items())
        while len(items) > 1:
            first, last = int.from_bytes(items[0][0], "big"), int.from_bytes(items[-1][0], "big")
            d = 256 - (first ^ last).bit_length()
            cut = next(n for n, (k, _) in enumerate(items) if k[d >> 3] >> (7 - (d & 7)) & 1)
            if key[d >> 3] >> (7 - (d & 7)) & 1:
                path.append((d, root_of(items[:cut])))
                items = items[cut:]
            else:
                path.append((d, root_of(items[cut:])))
                items = items[:cut]
        return Proof(items[0][0], tuple(reversed(path)))

    def _set(self, key: bytes, leaf: bytes) -> bytes:
        """`_update` of one key, without its lists and calls: what a single append pays."""
        pages, dirty, buckets = self._pages, self._dirty, self._buckets
        path: list[tuple[list[bytes | None], int]] = []  # the heap of each page from the root down, and the slot
        expected = None if self.root == EMPTY else self.root
        prefix = b""
        depth = 0
        while prefix not in buckets:
            page = pages.get(prefix) or self._page(prefix, expected)
            if page is None:
                self._bucket(prefix, expected, keep=True)
                break
            slot = 16 + (key[depth >> 1] & 15 if depth & 1 else key[depth >> 1] >> 4)
            path.append((page.heap, slot))
            dirty.add(prefix)
            expected = page.heap[slot]
            prefix += _ONE_BYTE[slot - 16]
            depth += 1
        bucket = buckets[prefix]
        if key in bucket.leaves:
            current = bucket.replace(key, leaf)
        else:
            bucket.change(key, leaf)
            current = self._settle(prefix, bucket, keep=True)
        for heap, slot in reversed(path):
            depth -= 1
            i = slot
            heap[i] = current
            for node in _LEVELS[depth]:
                sibling = heap[i ^ 1]
                if sibling is not None:
                    current = sha256(node + (sibling + current if i & 1 else current + sibling)).digest()
                i >>= 1
                heap[i] = current
        return current

    def _page(self, prefix: bytes, expected: bytes | None) -> _Page | None:
        if prefix in self._pages:
            return self._pages[prefix]
        data = self._reader.read_page(prefix)
        page = None if data is None else _decode_page(data, len(prefix))
        if page is not None and page.heap[1] != expected:
            raise TreeMismatch("a page of the index tree does not have the hash its parent holds")
        if page is not None:
            self._pages[prefix] = page
        return page

    def _bucket(self, prefix: bytes, expected: bytes | None, *, keep: bool) -> Bucket:
        bucket = self._buckets.get(prefix)
        if bucket is None:
            items = self._reader.read_leaves(prefix)
            if (root_of(items) if items else None) != expected:
                raise TreeMismatch("the aggregates of the index do not have the hash the index tree holds for them")
            bucket = Bucket(dict(items))
            if keep:
                self._buckets[prefix] = bucket
        return bucket

    def _update(
        self, prefix: bytes, changes: list[tuple[bytes, bytes | None]], expected: bytes | None, *, keep: bool
    ) -> bytes | None:
        page = self._page(prefix, expected)
        if page is None:
            bucket = self._bucket(prefix, expected, keep=keep)
            for key, leaf in changes:
                bucket.change(key, leaf)
            return self._settle(prefix, bucket, keep=keep) if bucket.leaves else None
        depth = len(prefix)
        groups: dict[int, list[tuple[bytes, bytes | None]]] = {}
        for change in changes:
            groups.setdefault(_nibble(change[0], depth), []).append(change)
        page.set_slots(
            {
                nibble: self._update(prefix + bytes((nibble,)), group, page.heap[16 + nibble], keep=keep)
                for nibble, group in groups.items()
            }
        )
        self._dirty.add(prefix)
        return page.heap[1]

    def _settle(self, prefix: bytes, bucket: Bucket, *, keep: bool) -> bytes:
        """The hash of a bucket that was changed; where it has grown too large, it becomes a page."""
        if len(bucket.leaves) <= BUCKET or len(prefix) == 64:
            return bucket.root()
        self._buckets.pop(prefix, None)
        return self._build(prefix, sorted(bucket.leaves.items()), keep=keep)

    def _build(self, prefix: bytes, items: list[Item], *, keep: bool) -> bytes:
        """A fresh subtree where no pages are stored yet."""
        if len(items) <= BUCKET:
            if keep:
                self._buckets[prefix] = Bucket(dict(items))
            return root_of(items)
        depth = len(prefix)
        groups: dict[int, list[Item]] = {}
        for item in items:
            groups.setdefault(_nibble(item[0], depth), []).append(item)
        slots: list[bytes | None] = [None] * 16
        for nibble, group in groups.items():
            slots[nibble] = self._build(prefix + bytes((nibble,)), group, keep=keep)
        page = _Page(depth, slots)
        self._pages[prefix] = page
        self._dirty.add(prefix)
        root = page.heap[1]
        if root is None:  # pragma: no cover - more than BUCKET items lie below
            raise TreeMismatch("a page of the index tree is empty")
        return root


def verify_presence(key: bytes, version: int, root: bytes, path: Sequence[Step], index_root: bytes) -> bool:
    """Whether the path proves that the aggregate stands in the index with this version and root. Never raises."""
    if len(key) != 32 or len(root) != 32 or not 0 < version < 2**64:
        return False
    current = leaf_hash(key, version, root)
    last = 256
    for d, sibling in path:
        if not 0 <= d < last or len(sibling) != 32:
            return False
        last = d
        bit = key[d >> 3] >> (7 - (d & 7)) & 1
        current = node_hash(d, sibling, current) if bit else node_hash(d, current, sibling)
    return current == index_root


def verify_absence(
    absent: bytes, key: bytes, version: int, root: bytes, path: Sequence[Step], index_root: bytes
) -> bool:
    """Whether the path of another leaf proves `absent` to be absent: its bits lead to that leaf. Never raises."""
    if len(absent) != 32 or absent == key or not verify_presence(key, version, root, path, index_root):
        return False
    return all((absent[d >> 3] ^ key[d >> 3]) >> (7 - (d & 7)) & 1 == 0 for d, _ in path)
