"""Merkle trees of RFC 9162 §2.1 over SHA-256: roots, the growing right edge, inclusion and consistency proofs.

Everywhere here a leaf is a leaf hash (32 bytes, see `leaf_hash`), and a size is a count of leaves, 0 .. 2^64-1.

The right edge of a tree is the list of the roots of its perfect subtrees, largest first: one for each bit set in its
size. It is all that is needed to append and to know the root. Its size is kept beside it by the caller.

What makes trees and proofs raises ValueError when the caller asks for the impossible. What verifies a proof answers
False to every malformed one and never raises: proofs come from strangers.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from dbx.errors import Corrupt

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

EMPTY = sha256(b"").digest()
"""The root of no leaves."""

HASH_BYTES = 32
SIZE_LIMIT = 1 << 64


def leaf_hash(data: bytes) -> bytes:
    """H(0x00 || data), the leaf of an entry."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """H(0x01 || left || right), the node above two others."""
    return sha256(b"\x01" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The tree head of RFC 9162 §2.1.1. Hashes once for each leaf but one."""
    # Level by level, a last node without a sibling rising unchanged: the same tree as splitting at powers of two, and
    # a third cheaper in CPython than a call for each node, because a level is one comprehension.
    digest = sha256
    nodes = leaves
    while (count := len(nodes)) > 1:
        pairs = iter(nodes)
        above = [digest(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=False)]
        if count & 1:
            above.append(nodes[-1])
        nodes = above
    return nodes[0] if nodes else EMPTY


def joined_root(leaves: bytes) -> bytes:
    """`root` of leaves in one piece, one behind the other: a slice for two of them is less work than two objects."""
    digest = sha256
    end = len(leaves)
    if end <= HASH_BYTES:
        return leaves or EMPTY
    nodes = [digest(b"\x01" + leaves[at : at + 64]).digest() for at in range(0, end - HASH_BYTES, 64)]
    if end & HASH_BYTES:
        nodes.append(leaves[-HASH_BYTES:])
    return root(nodes)


def append(edge: list[bytes], size: int, leaf: bytes) -> None:
    """Make `edge`, that of a tree of `size` leaves, the edge of that tree with one leaf more."""
    _check_edge(edge, size)
    kept = len(edge)
    while size & 1:
        kept -= 1
        leaf = sha256(b"\x01" + edge[kept] + leaf).digest()
        size >>= 1
    edge[kept:] = (leaf,)


def extend(edge: list[bytes], size: int, leaves: Iterable[bytes]) -> None:
    """Make `edge`, that of a tree of `size` leaves, the edge of that tree with `leaves` after them."""
    # A plain stack, popped once for each bit that counting up clears. Most trees that grow are small aggregates, and
    # there it beats going level by level as `root` does by a third; on a copy, so that a failure leaves the edge whole.
    _check_edge(edge, size)
    digest = sha256
    grown = edge[:]
    push, pop = grown.append, grown.pop
    for leaf in leaves:
        node = leaf
        carry = size
        while carry & 1:
            node = digest(b"\x01" + pop() + node).digest()
            carry >>= 1
        push(node)
        size += 1
    edge[:] = grown


def subtrees(start: int, leaves: Sequence[bytes]) -> list[tuple[int, bytes]]:
    """The roots of the perfect subtrees that leaves make from index `start` on, as (height, root), left to right.

    They are the fewest: who knows the edge of the leaves before has them grow it by `graft`.
    """
    digest = sha256
    left: list[tuple[int, bytes]] = []
    right: list[tuple[int, bytes]] = []
    nodes = list(leaves)
    height = 0
    while nodes:
        if start & 1:
            left.append((height, nodes.pop(0)))
            start += 1
        if len(nodes) & 1:
            right.append((height, nodes.pop()))
        pairs = iter(nodes)
        nodes = [digest(b"\x01" + one + other).digest() for one, other in zip(pairs, pairs, strict=True)]
        start >>= 1
        height += 1
    right.reverse()
    return left + right


def graft(edge: list[bytes], size: int, trees: Iterable[tuple[int, bytes]]) -> int:
    """Make `edge`, that of a tree of `size` leaves, the edge of that tree with `subtrees` after it; its new size.

    Raises ValueError when a subtree does not fit there.
    """
    _check_edge(edge, size)
    for height, tree in trees:
        carry, rest = divmod(size, 1 << height)
        if rest:
            raise ValueError(f"no subtree of height {height} fits behind {size} leaves")
        node = tree
        while carry & 1:
            node = sha256(b"\x01" + edge.pop() + node).digest()
            carry >>= 1
        edge.append(node)
        size += 1 << height
    return size


def edge_root(edge: Sequence[bytes]) -> bytes:
    """The root of the tree whose right edge this is; `EMPTY` of an empty edge."""
    if not edge:
        return EMPTY
    node = edge[-1]
    for at in range(len(edge) - 2, -1, -1):
        node = sha256(b"\x01" + edge[at] + node).digest()
    return node


def joined_edge_root(edge: bytes) -> bytes:
    """`edge_root` of an edge whose hashes are joined, as `encode_edge` does."""
    node = edge[-HASH_BYTES:] or EMPTY
    for at in range(len(edge) - 2 * HASH_BYTES, -1, -HASH_BYTES):
        node = sha256(b"\x01" + edge[at : at + HASH_BYTES] + node).digest()
    return node


def encode_edge(edge: Sequence[bytes]) -> bytes:
    """The hashes one after the other, largest subtree first."""
    return b"".join(edge)


def decode_edge(data: bytes, size: int) -> list[bytes]:
    """The right edge of a tree of `size` leaves. Raises Corrupt unless `data` is 32 bytes for each bit set in it."""
    if not 0 <= size < SIZE_LIMIT:
        raise Corrupt(f"the tree size {size} is not between 0 and 2^64-1")
    if len(data) != HASH_BYTES * size.bit_count():
        expected = HASH_BYTES * size.bit_count()
        raise Corrupt(f"the right edge of {size} leaves has {len(data)} bytes instead of {expected}")
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


def prove_inclusion(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """PATH(index, leaves) of RFC 9162 §2.1.3.1: the siblings of leaf `index` from the bottom up.

    Raises ValueError unless 0 <= index < len(leaves).
    """
    low, high = 0, len(leaves)
    if not 0 <= index < high:
        raise ValueError(f"no leaf {index} in a tree of {high} leaves")
    proof: list[bytes] = []
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            proof.append(root(leaves[middle:high]))
            high = middle
        else:
            proof.append(root(leaves[low:middle]))
            low = middle
    proof.reverse()
    return proof


def prove_consistency(leaves: Sequence[bytes], first: int) -> list[bytes]:
    """PROOF(first, leaves) of RFC 9162 §2.1.4.1: that the tree of the first `first` leaves grew into that of all.

    Empty when `first` is all of them. Raises ValueError unless 1 <= first <= len(leaves): growth from nothing is not
    something that a proof can show.
    """
    low, high = 0, len(leaves)
    if not 1 <= first <= high:
        raise ValueError(f"no consistency proof from {first} to {high} leaves")
    proof: list[bytes] = []
    while first != high:
        middle = low + _split(high - low)
        if first <= middle:
            proof.append(root(leaves[middle:high]))
            high = middle
        else:
            proof.append(root(leaves[low:middle]))
            low = middle
    if low:
        # The verifier knows the root of a first tree that is itself a subtree; any other subtree has to be told.
        proof.append(root(leaves[low:high]))
    proof.reverse()
    return proof


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `proof` shows `leaf` at `index` in the tree of `size` leaves and root `root` (RFC 9162 §2.1.3.2).

    A root does not fix its tree's size: take size and root from the same trusted place.
    """
    if not (0 <= index < size < SIZE_LIMIT and _are_hashes((leaf, root)) and _are_hashes(proof)):
        return False
    node, last = leaf, size - 1
    for sibling in proof:
        if last == 0:
            return False
        if index & 1 or index == last:
            node = node_hash(sibling, node)
            while index and not index & 1:
                index >>= 1
                last >>= 1
        else:
            node = node_hash(node, sibling)
        index >>= 1
        last >>= 1
    return last == 0 and node == root


def verify_consistency(first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the tree of `second` leaves begins with that of `first` leaves (RFC 9162 §2.1.4.2).

    False for `first` 0: every tree begins with the empty one, so nothing would be shown about the second root.
    """
    if not (1 <= first <= second < SIZE_LIMIT and _are_hashes((first_root, second_root)) and _are_hashes(proof)):
        return False
    if first == second:
        return not proof and first_root == second_root
    path = [first_root, *proof] if first & (first - 1) == 0 else proof
    if not proof:
        return False
    # Below the lowest bit clear in first - 1 both trees are one perfect subtree, where the path begins.
    height = ((first - 1) ^ first).bit_length() - 1
    index, last = (first - 1) >> height, (second - 1) >> height
    old = new = path[0]
    for at in range(1, len(path)):
        if last == 0:
            return False
        other = path[at]
        if index & 1 or index == last:
            old = node_hash(other, old)
            new = node_hash(other, new)
            while index and not index & 1:
                index >>= 1
                last >>= 1
        else:
            new = node_hash(new, other)
        index >>= 1
        last >>= 1
    return last == 0 and old == first_root and new == second_root


def _split(size: int) -> int:
    """The largest power of two smaller than `size`, which is at least 2."""
    return 1 << (size - 1).bit_length() - 1


def _are_hashes(values: Sequence[bytes]) -> bool:
    return all(isinstance(value, bytes) and len(value) == HASH_BYTES for value in values)


def _check_edge(edge: list[bytes], size: int) -> None:
    if size < 0 or len(edge) != size.bit_count():
        raise ValueError(f"{len(edge)} hashes are not the right edge of {size} leaves")
