"""The staged half of the index: what aggregates will be, and how that becomes what they are."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbx.crypto.indextree import key_of, leaf_hash
from dbx.store import stagedindex
from dbx.store.index import Index, IndexDamaged, Row
from dbx.store.stagedindex import Batch


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    made = Index(str(tmp_path / "index.db"))
    yield made
    made.close()


def row(n: int | None, name: str, version: int) -> Row:
    key = key_of("order", name)
    return Row(n, "order", name, key, version, b"r" * 32, b"e" * 32, b"{}", b"{}", "2026-01-01", "2026-01-02", 0)


def test_the_batch(index: Index) -> None:
    assert stagedindex.get_batch(index) is None
    batch = Batch("11111111-1111-4111-8111-111111111111", 900, 7, 2**60, "abc:def", (b"a" * 32, b"b" * 32, b"c" * 32))
    with index.write(None):
        stagedindex.set_batch(index, batch)
    assert stagedindex.get_batch(index) == batch
    index.set_meta("staging", "a|b")
    with pytest.raises(IndexDamaged, match="what is staged"):
        stagedindex.get_batch(index)


def test_staged_rows_are_kept_apart_and_replaced(index: Index) -> None:
    with index.write(None):
        index.put_rows([row(1, "a", 2)])
        stagedindex.put_staged(index, [(row(1, "a", 3), 2, [0]), (row(None, "b", 1), 0, [1])])
        stagedindex.put_staged(index, [(row(1, "a", 4), 2, [0, 2])])
    assert stagedindex.find_staged(index, "order", "a") == (row(1, "a", 4), 2, [0, 2])
    assert stagedindex.find_staged(index, "order", "b") == (row(None, "b", 1), 0, [1])
    assert stagedindex.find_staged(index, "order", "c") is None
    assert index.find("order", "a") == row(1, "a", 2)
    assert index.find("order", "b") is None
    assert index.has_type("order")
    assert stagedindex.count_staged(index) == 2
    assert stagedindex.staged_leaves(index) == {
        key_of("order", name): leaf_hash(key_of("order", name), version, b"r" * 32)
        for name, version in (("a", 4), ("b", 1))
    }
    with index.write(None):
        stagedindex.clear_staged(index)
    assert (stagedindex.count_staged(index), stagedindex.get_batch(index)) == (0, None)


def test_a_changed_row_is_not_believed(index: Index) -> None:
    with index.write(None):
        stagedindex.put_staged(index, [(row(None, "a", 1), 0, [0])])
    with sqlite3.connect(index.path) as db:
        db.execute("UPDATE staged SET version = 2")
    db.close()
    with pytest.raises(IndexDamaged, match="staged row of aggregate 'order/a'"):
        stagedindex.find_staged(index, "order", "a")
    assert stagedindex.staged_leaves(index)
    for damage in ("zeroblob(40)", "leaf || x'00'", "substr(leaf, 1, 39)", "''", "CAST('a' AS TEXT)", "x'00' || leaf"):
        with sqlite3.connect(index.path) as db:
            db.execute(f"UPDATE staged SET leaf = {damage}")
        db.close()
        with pytest.raises(IndexDamaged, match="leaf of a staged aggregate is damaged"):
            stagedindex.staged_leaves(index)


def test_aggregates_that_moved(index: Index) -> None:
    with index.write(None):
        index.put_rows([row(1, "a", 2), row(2, "b", 5), row(3, "c", 1)])
        stagedindex.put_staged(
            index,
            [
                (row(1, "a", 3), 2, [0]),
                (row(2, "b", 5), 4, [1]),
                (row(None, "c", 1), 0, [2]),
                (row(None, "d", 1), 0, [3]),
            ],
        )
    assert stagedindex.moved_aggregates(index, 9) == [("order", "b", 4, 5), ("order", "c", 0, 1)]
    assert stagedindex.moved_aggregates(index, 1) == [("order", "b", 4, 5)]


def test_ids_that_were_taken(index: Index) -> None:
    with index.write(None):
        index.put_runs([(100, 10, 0)])
        stagedindex.put_staged_runs(index, [(50, 1, 0), (104, 1, 1), (110, 1, 2), (109, 1, 3)])
    assert sorted(stagedindex.taken_ids(index, 9)) == [104, 109]
    assert index.runs_between(50, 50, staged=True)
    assert not index.runs_between(51, 103, staged=True)


def test_runs_that_were_taken_in_part(index: Index) -> None:
    with index.write(None):
        index.put_runs([(100, 10, 0)])
        stagedindex.put_staged_runs(index, [(95, 6, 0)])
    assert stagedindex.taken_ids(index, 9)


def test_what_is_staged_becomes_the_latest(index: Index) -> None:
    with index.write(None):
        index.put_rows([row(1, "a", 2)])
        index.put_chain(1, 1, [0, 1])
        index.put_runs([(10, 2, 0)])
        stagedindex.put_staged(index, [(row(1, "a", 4), 2, [0, 2]), (row(None, "b", 1), 0, [1])])
        stagedindex.put_staged_runs(index, [(20, 3, 0)])
        stagedindex.set_batch(index, Batch("x", 1, 3, 22, "", (b"a" * 32, b"b" * 32)))
        stagedindex.adopt_staged(index, 2)
    assert index.find("order", "a") == row(1, "a", 4)
    found = index.find("order", "b")
    assert found is not None
    assert found.n not in (None, 1)
    assert found == row(found.n, "b", 1)
    assert (index.positions(1), index.positions(found.n or 0)) == ([0, 1, 2, 4], [3])
    assert [index.find_event(n) for n in (11, 20, 22, 23)] == [1, 2, 4, None]
    assert (stagedindex.count_staged(index), stagedindex.get_batch(index)) == (0, None)
