from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbx.crypto import merkle
from dbx.crypto.lazytree import LazyTree

LEAVES = [merkle.leaf_hash(str(n).encode()) for n in range(2100)]
SIZES = st.one_of(st.integers(1, 40), st.sampled_from([255, 256, 257, 511, 512, 513, 1024, 1025, 2048, 2100]))


@settings(deadline=None)
@given(st.data())
def test_the_definition(data: st.DataObject) -> None:
    tree = LazyTree(lambda first, last: LEAVES[first:last])
    for _ in range(3):
        size = data.draw(SIZES)
        index = data.draw(st.integers(0, size - 1))
        first = data.draw(st.integers(1, size))
        assert tree.root(size) == merkle.root(LEAVES[:size])
        assert tree.prove_inclusion(index, size) == merkle.prove_inclusion(LEAVES[:size], index)
        assert tree.prove_consistency(first, size) == merkle.prove_consistency(LEAVES[:size], first)


def test_what_was_read_is_not_read_again() -> None:
    read: list[int] = []

    def leaves(first: int, last: int) -> list[bytes]:
        read.append(last - first)
        return LEAVES[first:last]

    tree = LazyTree(leaves)
    tree.root(2048)
    assert sum(read) == 2048
    read.clear()
    tree.prove_inclusion(1000, 2048)
    assert sum(read) < 512
    assert tree.root(0) == merkle.EMPTY


def test_impossible_questions() -> None:
    tree = LazyTree(lambda first, last: LEAVES[first:last])
    for question in (
        lambda: tree.prove_inclusion(3, 3),
        lambda: tree.prove_inclusion(-1, 3),
        lambda: tree.prove_consistency(0, 3),
        lambda: tree.prove_consistency(4, 3),
        lambda: LazyTree(lambda first, last: []).root(1),
    ):
        with pytest.raises(ValueError):
            question()
