"""What is asked of an index that may be anything."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from dbx.store.indexlayout import IndexDamaged
from dbx.store.readindex import IndexSnapshot
from tests.unit.repo.check.build import fill


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return fill(tmp_path) / "index.db"


def aggregates(file: Path) -> int:
    snapshot = IndexSnapshot(str(file))
    try:
        return snapshot.aggregates()
    finally:
        snapshot.close()


def change(file: Path, sql: str) -> None:
    database = sqlite3.connect(file)
    database.execute(sql)
    database.commit()
    database.close()


def test_about_how_many_aggregates_there_are(file: Path) -> None:
    database = sqlite3.connect(file)
    (count,) = database.execute("SELECT count(*) FROM aggregate").fetchone()
    database.close()
    assert count <= aggregates(file) <= count + 2, "those that are staged have numbers too"
    change(file, "DELETE FROM aggregate")
    assert aggregates(file) == -1


def test_an_index_without_the_table(file: Path) -> None:
    change(file, "DROP TABLE aggregate")
    with pytest.raises(IndexDamaged):
        aggregates(file)
