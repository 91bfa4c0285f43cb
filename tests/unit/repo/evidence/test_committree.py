from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from dbx.crypto import merkle
from dbx.errors import NotFound
from dbx.repo.evidence.committree import CommitTree
from dbx.repo.writer import Append, Appender
from dbx.store.indexlayout import IndexDamaged
from tests.history import append, item, open_repository


def test_against_the_definition(tmp_path: Path) -> None:
    domain = open_repository(tmp_path).domain()
    assert (CommitTree(domain).size, CommitTree(domain).root) == (0, merkle.EMPTY)
    ids = [bytes.fromhex(append(domain, f"o-{n}")) for n in range(21)]
    tree = CommitTree(domain)
    assert (tree.size, tree.root) == (21, merkle.root(ids))
    for size in range(22):
        assert tree.root_at(size) == merkle.root(ids[:size])
        for seq in range(size):
            assert tree.prove_inclusion(seq, size) == merkle.prove_inclusion(ids[:size], seq)
        for first in range(1, size + 1):
            assert tree.prove_consistency(first, size) == merkle.prove_consistency(ids[:size], first)


def test_large_enough_to_keep_subtrees(tmp_path: Path) -> None:
    domain = open_repository(tmp_path).domain()
    appender = Appender(domain)
    ids = [bytes.fromhex(appender.append(Append([item("o")], issued_by=None)).id) for _ in range(1300)]
    tree = CommitTree(domain)
    assert tree.root == merkle.root(ids)
    for size in (1, 255, 256, 257, 512, 1024, 1299, 1300):
        assert tree.root_at(size) == merkle.root(ids[:size])
        assert tree.prove_inclusion(size // 2, size) == merkle.prove_inclusion(ids[:size], size // 2)
        assert tree.prove_consistency(size, 1300) == merkle.prove_consistency(ids, size)


def test_what_is_not_there(tmp_path: Path) -> None:
    domain = open_repository(tmp_path).domain()
    append(domain, "a")
    append(domain, "b")
    tree = CommitTree(domain)
    append(domain, "c")
    assert tree.size == 2
    for question in (
        lambda: tree.root_at(3),
        lambda: tree.root_at(-1),
        lambda: tree.prove_inclusion(2, 3),
        lambda: tree.prove_inclusion(1, 1),
        lambda: tree.prove_consistency(0, 1),
        lambda: tree.prove_consistency(2, 1),
    ):
        with pytest.raises(NotFound):
            question()


def test_an_index_that_lies_about_ids(tmp_path: Path) -> None:
    repository = open_repository(tmp_path)
    domain = repository.domain()
    for name in "abcde":
        append(domain, name)
    path = domain.directory.path_of("index.db")
    repository.close()
    with sqlite3.connect(path) as index:
        index.execute("UPDATE log SET id = zeroblob(32) WHERE seq = 2")
    tree = CommitTree(open_repository(tmp_path).domain())
    for question in (
        lambda: tree.root_at(4),
        lambda: tree.prove_inclusion(2, 5),
        lambda: tree.prove_inclusion(0, 5),
        lambda: tree.prove_consistency(2, 5),
    ):
        with pytest.raises(IndexDamaged):
            question()
