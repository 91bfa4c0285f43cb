"""Comparing trees: what is found by descending is what looking at everything finds."""

from __future__ import annotations

from hashlib import sha256

from hypothesis import given, settings
from hypothesis import strategies as st

from dbx.crypto import merkle
from dbx.crypto.indextree import EMPTY, IndexTree, leaf_hash, root_of
from dbx.crypto.prefix import MissingLeaves, PartialTree, common_size, perfect_subtrees, start_of_run
from dbx.crypto.treediff import Change, differing, list_view, tree_view

Items = dict[bytes, bytes]

# Few distinct beginnings, so that keys share long prefixes and buckets split.
keys = st.builds(
    lambda head, tail: head + sha256(tail).digest()[len(head) :],
    st.sampled_from([b"", b"\x00", b"\x01\x02", b"\xff" * 5, b"\x01\x02\x03\x04"]),
    st.binary(max_size=3),
)
# A leaf binds its key: what the comparison relies on, and what format.md says of it.
trees = st.dictionaries(keys, st.integers(1, 3), max_size=80).map(
    lambda versions: {key: leaf_hash(key, version, sha256(key).digest()) for key, version in versions.items()}
)


class Memory:
    """Pages and leaves in dictionaries."""

    def __init__(self, leaves: Items) -> None:
        self.read = 0
        self.leaves: Items = {}
        self.pages: dict[bytes, bytes] = {}
        tree = IndexTree(self, EMPTY)
        self.root = tree.update(dict(leaves))
        self.pages = dict(tree.take_pages())
        self.leaves = leaves
        self.read = 0

    def read_page(self, prefix: bytes) -> bytes | None:
        self.read += 1
        return self.pages.get(prefix)

    def read_leaves(self, prefix: bytes) -> list[tuple[bytes, bytes]]:
        text = "".join(f"{nibble:x}" for nibble in prefix)
        return sorted(item for item in self.leaves.items() if item[0].hex().startswith(text))


def by_looking_at_all(a: Items, b: Items) -> list[Change]:
    return [Change(key, a.get(key), b.get(key)) for key in sorted(a.keys() | b.keys()) if a.get(key) != b.get(key)]


@settings(max_examples=200, deadline=None)
@given(trees, trees, st.booleans(), st.booleans(), st.booleans())
def test_the_differing_keys_are_found_whatever_keeps_the_trees(
    a: Items, other: Items, related: bool, is_a_paged: bool, is_b_paged: bool
) -> None:
    b = {**a, **other} if related else other

    def view(items: Items, paged: bool):  # type: ignore[no-untyped-def]
        memory = Memory(items)
        return tree_view(IndexTree(memory, memory.root)) if paged else list_view(sorted(items.items()))

    left, right = view(a, is_a_paged), view(b, is_b_paged)
    assert list(differing(left, right)) == by_looking_at_all(a, b)
    for items, tree in ((a, left), (b, right)):
        assert (EMPTY if tree is None else tree.hash) == root_of(sorted(items.items()))


def test_what_is_equal_is_not_read() -> None:
    a = {sha256(b"%d" % n).digest(): b"x" * 32 for n in range(5000)}
    b = {**a, sha256(b"7").digest(): b"y" * 32}
    mine, theirs = Memory(a), Memory(b)
    trees = IndexTree(mine, mine.root), IndexTree(theirs, theirs.root)
    assert len(list(differing(tree_view(trees[0]), tree_view(trees[1])))) == 1
    assert mine.read <= 5
    assert theirs.read <= 5
    assert list(differing(tree_view(trees[0]), tree_view(trees[0]))) == []


class Whole:
    """A tree all of whose leaves are there."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.leaves = leaves
        self.asked = 0

    def subtree(self, height: int, index: int) -> bytes:
        self.asked += 1
        found = self.leaves[index << height : (index + 1) << height]
        assert len(found) == 1 << height, "outside of the tree"
        return merkle.root(found)


histories = st.lists(st.integers(0, 2), max_size=70).map(lambda ns: [bytes((n,)) * 32 for n in ns])


def by_walking(a: list[bytes], b: list[bytes]) -> int:
    size = min(len(a), len(b))
    return next((n for n in range(size) if a[n] != b[n]), size)


@settings(max_examples=300, deadline=None)
@given(histories, histories, histories)
def test_two_histories_part_where_walking_finds_it(start: list[bytes], a: list[bytes], b: list[bytes]) -> None:
    mine, theirs = start + a, start + b
    size = min(len(mine), len(theirs))
    assert common_size(Whole(mine), Whole(theirs), size) == by_walking(mine, theirs)


def test_few_questions_are_asked() -> None:
    a = [n.to_bytes(32, "big") for n in range(100_000)]
    b = [*a[:54_321], *(b"\xff" + leaf[1:] for leaf in a[54_321:])]
    mine, theirs = Whole(a), Whole(b)
    assert common_size(mine, theirs, len(a)) == 54_321
    assert mine.asked == theirs.asked <= 40


@settings(max_examples=300, deadline=None)
@given(histories, histories, histories)
def test_trees_of_which_the_edge_is_known_ask_for_what_they_lack(
    start: list[bytes], a: list[bytes], b: list[bytes]
) -> None:
    whole = start + a, start + b
    size = min(map(len, whole))
    parts = []
    for name, leaves in enumerate(whole):
        edge: list[bytes] = []
        merkle.extend(edge, 0, leaves)
        parts.append(PartialTree(name, len(leaves), edge))
    rounds = 0
    while True:
        try:
            found = common_size(parts[0], parts[1], size)
            break
        except MissingLeaves as lack:
            rounds += 1
            first = start_of_run(lack.first, size)
            lack.tree.give(first, whole[lack.tree.name][first:size])  # type: ignore[index]
    assert found == by_walking(*whole)
    assert rounds <= 4
    if whole[0] == whole[1]:
        assert rounds == 0


@settings(max_examples=100, deadline=None)
@given(histories, st.data())
def test_an_older_root_follows_from_the_edge_and_some_leaves(leaves: list[bytes], data: st.DataObject) -> None:
    size = data.draw(st.integers(0, len(leaves)))
    edge: list[bytes] = []
    merkle.extend(edge, 0, leaves)
    tree = PartialTree("x", len(leaves), edge)
    while True:
        try:
            assert tree.root(size) == merkle.root(leaves[:size])
            return
        except MissingLeaves as lack:
            first = start_of_run(lack.first, size)
            tree.give(first, leaves[first:size])


def test_perfect_subtrees_cover_a_tree_without_gaps() -> None:
    for size in range(200):
        at = 0
        for height, index in perfect_subtrees(size):
            assert index << height == at
            at += 1 << height
        assert at == size
