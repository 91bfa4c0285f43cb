"""The index tree against its definition, written down as slowly and plainly as format.md states it."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbx.crypto import indextree
from dbx.crypto.indextree import EMPTY, IndexTree, leaf_hash, verify_absence, verify_presence
from dbx.crypto.keytree import KeyTree


def bit(key: bytes, d: int) -> int:
    return int(f"{int.from_bytes(key, 'big'):0256b}"[d])


def definition(leaves: dict[bytes, bytes]) -> bytes:
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return next(iter(leaves.values()))
    d = next(d for d in range(256) if len({bit(key, d) for key in leaves}) == 2)
    zero = {key: leaf for key, leaf in leaves.items() if bit(key, d) == 0}
    one = {key: leaf for key, leaf in leaves.items() if bit(key, d) == 1}
    return sha256(b"\x01" + bytes([d]) + definition(zero) + definition(one)).digest()


class Memory:
    """Pages and leaves in dictionaries."""

    def __init__(self) -> None:
        self.pages: dict[bytes, bytes] = {}
        self.leaves: dict[bytes, bytes] = {}

    def read_page(self, prefix: bytes) -> bytes | None:
        return self.pages.get(prefix)

    def read_leaves(self, prefix: bytes) -> list[tuple[bytes, bytes]]:
        text = "".join(f"{nibble:x}" for nibble in prefix)
        return sorted(item for item in self.leaves.items() if item[0].hex().startswith(text))


# Few distinct leading bytes, so that prefixes collide and buckets split.
keys = st.builds(
    lambda head, tail: head + sha256(tail).digest()[len(head) :],
    st.sampled_from([b"", b"\x00", b"\x01\x02", b"\xff" * 5, b"\x01\x02\x03\x04"]),
    st.binary(max_size=3),
)
rounds = st.lists(st.dictionaries(keys, st.one_of(st.none(), st.integers(1, 9)), max_size=60), max_size=6)


@settings(max_examples=150, deadline=None)
@given(rounds, st.booleans())
def test_any_sequence_of_updates_gives_the_root_of_the_definition(
    steps: list[dict[bytes, int | None]], warm: bool
) -> None:
    memory = Memory()
    tree = IndexTree(memory, EMPTY)
    for step in steps:
        changes = {k: None if v is None else leaf_hash(k, v, sha256(k).digest()) for k, v in step.items()}
        root = tree.update(changes)
        for key, leaf in changes.items():
            if leaf is None:
                memory.leaves.pop(key, None)
            else:
                memory.leaves[key] = leaf
        assert root == definition(memory.leaves)
        memory.pages.update(tree.take_pages())
        if not warm:
            tree = IndexTree(memory, root)


steps_of_few = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 39), st.integers(1, 9)).map(lambda pair: dict([pair])),
        st.dictionaries(st.integers(0, 39), st.one_of(st.none(), st.integers(1, 9)), max_size=4),
    ),
    max_size=60,
)


@settings(max_examples=100, deadline=None)
@given(st.lists(keys, min_size=40, max_size=40, unique=True), steps_of_few)
def test_aggregates_that_move_one_by_one_and_together(pool: list[bytes], steps: list[dict[int, int | None]]) -> None:
    tree = IndexTree(Memory(), EMPTY)  # everything stays in its caches
    leaves: dict[bytes, bytes] = {}
    for step in steps:
        changes = {pool[n]: None if v is None else leaf_hash(pool[n], v, pool[n]) for n, v in step.items()}
        for key, leaf in changes.items():
            if leaf is None:
                leaves.pop(key, None)
            else:
                leaves[key] = leaf
        assert tree.update(changes) == definition(leaves)


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(keys, st.integers(1, 2**40), min_size=1, max_size=80), keys, st.data())
def test_presence_and_absence_are_proven_and_nothing_else(
    versions: dict[bytes, int], probe: bytes, data: st.DataObject
) -> None:
    memory = Memory()
    memory.leaves = {key: leaf_hash(key, version, sha256(key).digest()) for key, version in versions.items()}
    tree = IndexTree(Memory(), EMPTY)
    root = tree.update(dict(memory.leaves))
    memory.pages.update(tree.take_pages())
    tree = IndexTree(memory, root)

    key = data.draw(st.sampled_from(sorted(versions)))
    proof = tree.prove(key)
    assert proof is not None
    assert proof.key == key
    assert [d for d, _ in proof.path] == sorted({d for d, _ in proof.path}, reverse=True)
    good = (versions[key], sha256(key).digest(), proof.path)
    assert verify_presence(key, *good, root)
    assert not verify_presence(key, good[0] + 1, good[1], good[2], root)
    assert not verify_presence(key, good[0], sha256(b"x").digest(), good[2], root)
    assert not verify_presence(key, *good, sha256(b"y").digest())
    assert not verify_absence(key, key, *good, root)
    for n in range(len(proof.path)):
        d, sibling = proof.path[n]
        flipped = bytes([sibling[0] ^ 1]) + sibling[1:]
        for step in (
            (d, flipped),
            (d + 1, sibling),
            (d - 1, sibling),
            (d, sibling[:-1]),
            (256, sibling),
            (-1, sibling),
        ):
            assert not verify_presence(key, good[0], good[1], (*proof.path[:n], step, *proof.path[n + 1 :]), root)

    other = tree.prove(probe)
    assert other is not None
    if probe in versions:
        assert other.key == probe
    else:
        leaf = (other.key, versions[other.key], sha256(other.key).digest(), other.path)
        assert verify_absence(probe, *leaf, root)
        if other.path:  # a shorter path ends at a node and proves nothing
            assert not verify_absence(probe, *leaf[:3], other.path[1:], root)


def test_the_empty_index_and_one_aggregate() -> None:
    tree = IndexTree(Memory(), EMPTY)
    assert tree.update({}) == sha256(b"").digest()
    assert tree.prove(b"\0" * 32) is None
    key = indextree.key_of("order", "o-17")
    assert key == sha256(b"order/o-17").digest()
    leaf = leaf_hash(key, 3, b"\x05" * 32)
    assert leaf == sha256(b"\x00" + key + (3).to_bytes(8, "big") + b"\x05" * 32).digest()
    assert tree.update({key: leaf}) == leaf


def test_a_damaged_page_or_bucket_is_noticed() -> None:
    memory = Memory()
    tree = IndexTree(Memory(), EMPTY)
    memory.leaves = {sha256(bytes([n])).digest(): sha256(b"leaf%d" % n).digest() for n in range(200)}
    root = tree.update(dict(memory.leaves))
    memory.pages.update(tree.take_pages())
    key = sorted(memory.leaves)[7]
    change = {key: sha256(b"new").digest()}
    for prefix, page in memory.pages.items():
        if prefix in (b"", bytes([key[0] >> 4])):
            broken = Memory()
            broken.leaves = memory.leaves
            broken.pages = {**memory.pages, prefix: page[:-1] + bytes([page[-1] ^ 1])}
            try:
                IndexTree(broken, root).update(dict(change))
            except indextree.TreeMismatch:
                continue
            raise AssertionError("a flipped bit in a page was believed")
    stale = Memory()
    stale.pages = memory.pages
    stale.leaves = {**memory.leaves, key: sha256(b"stale").digest()}
    try:
        IndexTree(stale, root).update(dict(change))
    except indextree.TreeMismatch:
        return
    raise AssertionError("a stale leaf was believed")


@settings(max_examples=150, deadline=None)
@given(rounds)
def test_the_tree_in_memory_gives_the_root_of_the_definition_too(steps: list[dict[bytes, int | None]]) -> None:
    tree = KeyTree()
    leaves: dict[bytes, bytes] = {}
    assert tree.root == EMPTY
    for step in steps:
        changes = {key: leaf_hash(key, version or 10, sha256(key).digest()) for key, version in step.items()}
        leaves |= changes
        assert tree.update(changes) == tree.root == definition(leaves)
        assert len(tree) == len(leaves)


def test_the_tree_in_memory_makes_room_as_keys_come() -> None:
    tree = KeyTree()
    leaves: dict[bytes, bytes] = {}
    for first in range(0, 3000, 60):
        # New keys, and some that were there before.
        numbers = range(max(first - 20, 0), first + 60)
        changes = {sha256(b"%d" % n).digest(): sha256(b"%d at %d" % (n, first)).digest() for n in numbers}
        leaves |= changes
        assert tree.update(changes) == indextree.root_of(sorted(leaves.items()))


@pytest.mark.parametrize("count", [0, 1, 16, 17, 100, 129, 1000])
@pytest.mark.parametrize("zeros", [0, 1, 2, 9, 31])
def test_the_tree_in_memory_has_the_pages_that_are_stored(count: int, zeros: int) -> None:
    # Keys that begin alike share slots, and have pages below them.
    some = [sha256(b"%d" % n).digest() for n in range(count)]
    leaves = {bytes(zeros) + key[zeros:]: sha256(key).digest() for key in some} | {key: key for key in some[:40]}
    items = list(leaves.items())
    stored = IndexTree(Memory(), EMPTY)
    stored.update(dict(items))
    tree = KeyTree()
    for at in range(0, len(items), 300):
        tree.update(dict(items[at : at + 300]))
    assert tree.root == stored.root
    assert dict(tree.pages()) == dict(stored.take_pages())
