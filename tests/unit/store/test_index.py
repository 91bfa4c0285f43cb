"""index.db: written all or nothing on top of what was read, and never believed when it does not add up."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dbx.crypto.indextree import key_of
from dbx.store.index import Head, Index, IndexDamaged, IndexUnavailable, MovedIndex, Row
from dbx.store.indexlayout import NUMBER
from dbx.store.indexsurvey import find_seq_at


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    made = Index(str(tmp_path / "index.db"))
    yield made
    made.close()


@pytest.fixture
def other(tmp_path: Path, index: Index) -> Iterator[Index]:
    made = Index(str(tmp_path / "index.db"), timeout_s=0.05)
    yield made
    made.close()


def head(seq: int) -> Head:
    return Head(seq, bytes([seq]) * 32, seq + 1, b"r" * 32, b"e" * 32, "ab" * 32, "journal-0-x", 100)


def row(n: int | None, name: str, version: int = 1) -> Row:
    key = key_of("order", name)
    return Row(n, "order", name, key, version, b"r" * 32, b"e" * 32, b'{"a":1}', b"{}", "2026-01-01", "2026-01-02", 0)


def damage(index: Index, sql: str) -> None:
    with sqlite3.connect(index.path) as db:
        db.execute(sql)
    db.close()


def test_an_empty_index(index: Index) -> None:
    assert index.head().seq == -1
    assert (index.find("order", "o-1"), index.count(), index.types(), index.last_n()) == (None, (0, 0), [], 0)
    assert (index.find_block(0), index.find_commit_frame(0), find_seq_at(index, 0), index.find_event(1)) == (None,) * 4
    assert index.last_id_of(3) is None
    assert index.check() == []


def test_opening_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    with closing(Index(str(path))) as made, closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA auto_vacuum").fetchone() == (2,)  # incremental
        assert made.head().seq == -1
    before = path.read_bytes()
    with closing(Index(str(path))) as again:
        again.head()
        wal = Path(f"{path}-wal")
        assert not wal.exists() or wal.stat().st_size == 0
    assert path.read_bytes() == before


def test_a_write_is_all_or_nothing(index: Index, other: Index) -> None:
    def fail() -> None:
        with index.write(index.head()):
            index.put_rows([row(1, "o-1")])
            index.set_head(head(0))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (index.find("order", "o-1"), index.head().seq) == (None, -1)
    with index.write(index.head()):
        index.put_rows([row(1, "o-1")])
        index.set_head(head(0))
        assert other.find("order", "o-1") is None
    assert other.find("order", "o-1") == row(1, "o-1")
    assert other.head() == head(0)


def test_who_is_slower_is_told(index: Index, other: Index) -> None:
    base = index.head()
    with other.write(base):
        other.set_head(head(0))
    with pytest.raises(MovedIndex), index.write(base):
        raise AssertionError
    with index.write(head(0)):
        index.set_head(head(1))
    with pytest.raises(IndexUnavailable, match="locked"), index.write(head(1)), other.write(head(1)):
        raise AssertionError


def test_a_snapshot_stands_still(index: Index, other: Index) -> None:
    with other.write(None):
        other.put_rows([row(1, "o-1")])
        other.set_head(head(0))
    before = index.stamp()
    with index.snapshot(head(0)):
        with other.write(head(0)):
            other.put_rows([row(2, "o-2")])
            other.set_head(head(1))
        assert index.find("order", "o-2") is None
        assert index.head() == head(0)
    assert index.stamp() != before
    assert index.find("order", "o-2") == row(2, "o-2")
    with pytest.raises(MovedIndex), index.snapshot(head(0)):
        raise AssertionError
    with index.snapshot(head(1)):
        pass
    with pytest.raises(KeyError), index.snapshot(head(1)):
        raise KeyError
    with index.write(head(1)):  # no transaction was left open
        index.set_head(head(2))


def test_rows(index: Index) -> None:
    with index.write(None):
        index.put_rows([row(1, "b"), row(2, "a"), row(3, "c")._replace(archived=1)])
    assert [found.id for found in index.rows()] == ["a", "b", "c"]
    assert [found.id for found in index.rows("archived = 0", (), "n DESC", 1)] == ["a"]
    assert (index.count(), index.types(), index.last_n()) == ((3, 1), [("order", 3)], 3)
    assert (index.has_type("order"), index.has_type("user")) == (True, False)
    with index.write(None):
        index.update_rows([row(2, "a", 7)])
    assert index.find("order", "a") == row(2, "a", 7)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE aggregate SET version = 2",
        "UPDATE aggregate SET state = '{\"a\":2}'",
        "UPDATE aggregate SET id = 'o-2'",
        "UPDATE aggregate SET type = 'orders'",
        "UPDATE aggregate SET archived = 1",
        "UPDATE aggregate SET updated_at = '2027'",
        "UPDATE aggregate SET root = zeroblob(32)",
        "UPDATE aggregate SET edge = zeroblob(32)",
        "UPDATE aggregate SET checksum = zeroblob(8)",
    ],
)
def test_a_changed_row_is_not_believed(index: Index, sql: str) -> None:
    with index.write(None):
        index.put_rows([row(1, "o-1")])
    damage(index, sql)
    with pytest.raises(IndexDamaged, match="is damaged"):
        index.rows()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE meta SET value = replace(value, '100', '101') WHERE name = 'head'",
        "UPDATE meta SET value = 'x' WHERE name = 'head'",
        "UPDATE meta SET value = zeroblob(32) WHERE name = 'edge'",
        "UPDATE meta SET value = 5 WHERE name = 'edge'",
        "DELETE FROM meta WHERE name = 'edge'",
        "DELETE FROM meta WHERE name = 'head'",
        "DELETE FROM meta WHERE name = 'head.sum'",
        "DROP TABLE meta",
    ],
)
def test_a_changed_head_is_not_believed(index: Index, sql: str) -> None:
    with index.write(None):
        index.set_head(head(3))
    damage(index, sql)
    with pytest.raises(IndexDamaged):
        index.head()


def test_chains(index: Index) -> None:
    expected: list[int] = []
    version = 1
    for n in range(300):
        positions = [n * 10 + at for at in range(n % 5 + 1)]
        with index.write(None):
            index.put_chain(4, version, positions)
        version += len(positions)
        expected += positions
    with index.write(None):
        index.put_chain(4, version, [2**40])  # too far away for four bytes
    expected.append(2**40)
    assert index.positions(4) == expected
    for first, last in ((1, 1), (5, 9), (130, 140), (1, 900), (901, 901), (900, 950), (10**6, 10**6)):
        assert index.positions(4, first, last) == expected[first - 1 : last]
    assert index.positions(5) == []
    with index.write(None):
        index.put_rows([row(4, "o-4"), row(9, "o-9")])
        index.put_chains([(9, 1, [7, 2**32 + 6])])
    assert index.positions_of_type("order") == sorted([*expected, 7, 2**32 + 6])
    damage(index, "UPDATE chain SET positions = x'010203' WHERE aggregate = 9")
    with pytest.raises(IndexDamaged, match="chain"):
        index.positions(9)


def test_ids_and_commits(index: Index) -> None:
    with index.write(None):
        index.put_runs([(100, 5, 0), (50, 1, 5), (3 << 12, 10, 6)])
        index.put_log([(0, b"\xab" * 32, 0, None), (1, b"\xab" + b"\xcd" * 31, 5, "batch")])
    assert [index.find_event(n) for n in (49, 50, 51, 99, 100, 104, 105)] == [None, 5, None, None, 0, 4, None]
    assert [index.runs_between(*pair) for pair in ((51, 99), (104, 104), (0, 49), (51, 100))] == [
        False,
        True,
        False,
        True,
    ]
    assert (index.last_id_of(3), index.last_id_of(0)) == ((3 << 12) + 9, 104)
    assert index.find_commits("abab") == [(0, b"\xab" * 32)]
    assert [seq for seq, _ in index.find_commits("ab")] == [0, 1]
    assert (index.find_batch("batch"), index.find_batch("none")) == (1, None)
    assert [find_seq_at(index, at) for at in (0, 4, 5, 99)] == [0, 0, 1, 1]
    assert (index.find_commit(1), index.find_commit(2)) == ((b"\xab" + b"\xcd" * 31, 5), None)


def test_locators(index: Index) -> None:
    with index.write(None):
        index.put_blocks("a", [(0, 10), (5, 20)], [(0, 15)])
        index.put_blocks("b", [(9, 10)], [(2, 30)])
    assert [index.find_block(at) for at in (0, 4, 5, 8, 9, 99)] == [
        (0, "a", 10), (0, "a", 10), (5, "a", 20), (5, "a", 20), (9, "b", 10), (9, "b", 10)
    ]  # fmt: skip
    assert [index.find_commit_frame(seq) for seq in (1, 2)] == [(0, "a", 15), (2, "b", 30)]
    assert sorted(index.files()) == ["a", "b"]
    with index.write(None):
        index.drop_file("a")
    assert (index.find_block(4), index.files()) == (None, ["b"])


def test_clearing(index: Index, other: Index) -> None:
    with index.write(None):
        index.put_rows([row(1, "o-1")])
        index.set_head(head(3))
        index.set_meta("x", "y")
    index.clear()
    assert (other.head().seq, other.get_meta("x"), other.count()) == (-1, None, (0, 0))
    index.compact()


def test_a_file_that_is_no_index(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"not a database, but long enough to be one" * 200)
    with pytest.raises(IndexDamaged, match=r"x\.db"):
        Index(str(tmp_path / "x.db"))


def test_an_index_of_another_layout_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    Index(str(path)).close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version={NUMBER + 1}")
    db.close()
    with pytest.raises(IndexDamaged, match=f"layout {NUMBER + 1} of another version"):
        Index(str(path))


def test_an_index_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(IndexUnavailable, match="unable to open"):
        Index(str(tmp_path / "none/index.db"))


def test_many_open_a_new_index_at_once(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda _: Index(str(tmp_path / "index.db")), range(6)))
    assert {index.head().seq for index in made} == {-1}
    for index in made:
        index.close()
