"""Index roots that another process compares: what it finds, and what happens when it ends too early."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator, Sequence
from hashlib import sha256

import pytest

from dbx.crypto.forest import Forest
from dbx.crypto.keytree import KeyTree
from dbx.crypto.merkle import edge_root, leaf_hash
from dbx.errors import Failure
from dbx.repo.replica.roots import RootsApart, WrongRoot

KEYS = [sha256(b"%d" % n).digest() for n in range(500)]
LEAVES = [leaf_hash(b"%d" % n) for n in range(9)]


@pytest.fixture
def apart() -> Iterator[RootsApart]:
    roots = RootsApart([])
    yield roots
    roots.stop()


def commits(forest: Forest, count: int) -> Iterator[tuple[list[int], bytes, bytes]]:
    """Events of aggregates that were met, their leaves, and the index root behind them."""
    draw = random.Random(count)
    for _ in range(count):
        numbers = draw.choices(range(len(forest.keys)), k=draw.randrange(1, 60))
        leaves = draw.randbytes(32 * len(numbers))
        forest.add(numbers, leaves)
        yield numbers, leaves, forest.close()


def tell(apart: RootsApart, given: Sequence[tuple[list[int], bytes, bytes]]) -> None:
    for seq, (numbers, leaves, index) in enumerate(given):
        apart.add(numbers, leaves)
        apart.close(seq, index)
    apart.collect()


def test_it_follows_every_commit_and_gives_the_edges(apart: RootsApart) -> None:
    forest = Forest(KeyTree())
    for first in range(0, len(KEYS), 100):
        for roots in (forest, apart):
            roots.meet(KEYS[first : first + 100], [0] * 100, [b""] * 100)
        for seq, (numbers, leaves, index) in enumerate(commits(forest, 40)):
            apart.add(numbers, leaves)
            apart.close(first + seq, index)
    assert apart.collect() == forest.edges


def test_aggregates_are_met_again_once_they_were_collected(apart: RootsApart) -> None:
    forest = Forest(KeyTree())
    forest.meet(KEYS[:1], [0], [b""])
    apart.meet(KEYS[:1], [0], [b""])
    for roots in (forest, apart):
        roots.add([0] * 5, b"".join(LEAVES[:5]))
    edges = apart.collect()  # in the middle of a commit
    assert edges == forest.edges
    apart.meet([KEYS[1], KEYS[0]], [0, 5], [b"", edges[0]])
    forest.meet(KEYS[1:2], [0], [b""])
    forest.add([0, 1, 0], b"".join(LEAVES[5:8]))
    apart.add([1, 0, 1], b"".join(LEAVES[5:8]))
    apart.close(0, forest.close())
    found = apart.collect()
    assert [found[1], found[0]] == forest.edges
    assert edge_root([found[0]]) == LEAVES[6]


@pytest.mark.parametrize("wrong", [0, 7, 199])
def test_a_wrong_root_is_told_with_its_commit(apart: RootsApart, wrong: int) -> None:
    forest = Forest(KeyTree())
    for roots in (forest, apart):
        roots.meet(KEYS, [0] * len(KEYS), [b""] * len(KEYS))
    given = [*commits(forest, 200)]
    given[wrong] = (*given[wrong][:2], bytes(32))
    with pytest.raises(WrongRoot) as caught:
        tell(apart, given)
    assert caught.value.seq == wrong


def test_it_begins_with_what_the_index_holds() -> None:
    tree = KeyTree()
    items = [(key, sha256(key).digest()) for key in KEYS]
    tree.update(dict(items))
    forest, apart = Forest(tree), RootsApart(items)
    try:
        for roots in (forest, apart):
            roots.meet(KEYS[:3], [0] * 3, [b""] * 3)
            roots.add([0, 2], b"".join(LEAVES[:2]))
        apart.close(0, forest.close())
        assert apart.collect() == forest.edges
    finally:
        apart.stop()


def test_a_process_that_died_is_a_failure_and_no_verdict(apart: RootsApart) -> None:
    apart.meet(KEYS[:1], [0], [b""])
    os.kill(apart.pid, signal.SIGKILL)
    with pytest.raises(Failure, match="has died, so nothing was taken in"):
        tell(apart, [([0] * 2000, bytes(64_000), bytes(32))] * 100)
    apart.stop()  # once more does nothing
