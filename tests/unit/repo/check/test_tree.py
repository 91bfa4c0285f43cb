"""The trees of all aggregates: versions in order, gaps, index roots and pages."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import pytest

from dbx.crypto import merkle
from dbx.crypto.indextree import key_of, leaf_hash, root_of
from dbx.repo.check.blocks import join_name
from dbx.repo.check.join import Aggregates
from dbx.repo.check.tree import AggregateTree

LEAVES = b"".join(sha256(b"%d" % n).digest() for n in range(100))


@pytest.fixture
def tree() -> AggregateTree:
    return grown(3)


def grown(count: int) -> AggregateTree:
    aggregates = Aggregates()
    tree = AggregateTree(aggregates)
    for n in range(count):
        aggregates.names[join_name("order", f"o-{n}")] = n
        tree.grow()
    return tree


def root(events: Sequence[Sequence[int]]) -> bytes:
    """The index root where each aggregate has the events of these leaves."""
    items = []
    for number, rows in enumerate(events):
        if rows:
            key = key_of("order", f"o-{number}")
            found = merkle.root([LEAVES[32 * row : 32 * row + 32] for row in rows])
            items.append((key, leaf_hash(key, len(rows), found)))
    return root_of(sorted(items))


@pytest.mark.parametrize("numbers", [[0, 1, 2], [0, 0, 1, 0, 1], [2]])
def test_events_in_order(tree: AggregateTree, numbers: list[int]) -> None:
    events: list[list[int]] = [[], [], []]
    versions = []
    for row, number in enumerate(numbers):
        events[number].append(row)
        versions.append(len(events[number]))
    assert tree.add(numbers, versions, LEAVES[: 32 * len(numbers)]) == len(numbers)
    assert tree.close() == root(events)
    assert tree.versions == [len(rows) for rows in events]


def test_aggregates_that_come_later() -> None:
    aggregates = Aggregates()
    tree = AggregateTree(aggregates)
    for n in range(3):
        aggregates.names[join_name("order", f"o-{n}")] = n
        tree.grow()
        assert tree.add([n], [1], LEAVES[32 * n : 32 * n + 32]) == 1
        assert tree.close() == root([[row] for row in range(n + 1)])
        assert tree.name(n) == join_name("order", f"o-{n}")


# Forged: the sums are right, and so is the last version of each.
@pytest.mark.parametrize(
    ("numbers", "versions", "jump"),
    [
        ([0, 1, 2], [1, 2, 1], 1),
        ([0, 0, 0], [2, 1, 3], 0),
        ([0, 0, 0], [1, 3, 2], 1),
        ([0, 1, 0], [1, 1, 1], 2),
        ([0, 1, 1], [1, 1, 3], 2),
        ([1, 1], [0, 2], 0),
    ],
)
def test_the_first_version_that_does_not_follow(
    tree: AggregateTree, numbers: list[int], versions: list[int], jump: int
) -> None:
    assert tree.add(numbers, versions, LEAVES[: 32 * len(numbers)]) == jump
    assert sum(tree.versions) == jump, "what comes before it was added"


def test_it_goes_on_behind_a_gap(tree: AggregateTree) -> None:
    numbers, versions = [0, 1, 1, 0, 2], [1, 6, 7, 2, 1]
    assert tree.add(numbers, versions, LEAVES[:160]) == 1
    tree.jump(1, 6)
    assert tree.add(numbers, versions, LEAVES[:160], 2) == 5
    assert tree.versions == [2, 7, 1]
    assert [len(edge) for edge in tree.edges] == [32, 96, 32]
    assert merkle.joined_edge_root(tree.edges[0]) == merkle.root([LEAVES[:32], LEAVES[96:128]])
    assert (tree.broken, tree.sure, tree.close()) == ({1}, False, None)


def test_pages_are_those_of_all_aggregates() -> None:
    tree = grown(60)
    assert tree.add(list(range(60)), [1] * 60, LEAVES[: 60 * 32]) == 60
    tree.close()
    assert list(tree.keys) == [key_of("order", f"o-{n}") for n in range(60)]
    pages = tree.take_pages()
    assert b"" in pages
    assert not tree.take_pages(), "the memory was given back"
