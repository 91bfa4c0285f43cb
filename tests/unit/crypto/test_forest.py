"""Aggregates that grow event by event: the index root after each commit, against the plain functions."""

from __future__ import annotations

import random
from hashlib import sha256

import pytest

from dbx.crypto import merkle
from dbx.crypto.forest import Forest, Tree
from dbx.crypto.indextree import EMPTY, IndexTree, Item, leaf_hash, root_of
from dbx.crypto.keytree import KeyTree


class Nothing:
    """An index that is empty."""

    def read_page(self, prefix: bytes) -> bytes | None:
        return None

    def read_leaves(self, prefix: bytes) -> list[Item]:
        return []


@pytest.mark.parametrize("tree", [KeyTree(), IndexTree(Nothing(), EMPTY)])
def test_the_root_after_each_commit_is_that_of_all_aggregates(tree: Tree) -> None:
    draw = random.Random(7)
    forest = Forest(tree)
    histories: list[list[bytes]] = []
    for commit in range(60):
        forest.meet([sha256(b"key %d" % commit).digest()], [0], [b""])
        histories.append([])
        numbers = [draw.randrange(len(histories)) for _ in range(draw.randrange(1, 40))]
        leaves = [draw.randbytes(32) for _ in numbers]
        for number, leaf in zip(numbers, leaves, strict=True):
            histories[number].append(leaf)
        half = len(numbers) // 2
        forest.add(numbers[:half], b"".join(leaves[:half]))
        forest.add(numbers[half:], b"".join(leaves[half:]))
        items = [
            (forest.keys[n], leaf_hash(forest.keys[n], len(events), merkle.root(events)))
            for n, events in enumerate(histories)
            if events
        ]
        assert forest.close() == root_of(sorted(items))
    assert forest.versions == [len(events) for events in histories]
    for number, events in enumerate(histories):
        if events:
            assert forest.root_of(number) == merkle.root(events)


def test_aggregates_go_on_from_where_they_were() -> None:
    leaves = [sha256(b"%d" % n).digest() for n in range(11)]
    edge: list[bytes] = []
    merkle.extend(edge, 0, leaves[:7])
    forest = Forest(KeyTree())
    key = sha256(b"key").digest()
    forest.meet([key], [7], [b"".join(edge)])
    forest.add([0] * 4, b"".join(leaves[7:]))
    assert forest.close() == leaf_hash(key, 11, merkle.root(leaves))
