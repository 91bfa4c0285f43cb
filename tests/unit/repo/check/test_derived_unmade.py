"""An index whose maker was interrupted is no damage, however far it came before its first table."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dbx.store.indexlayout import NUMBER
from tests.unit.repo.check.build import check, fill


@pytest.mark.parametrize("pragma", ["user_version=0", "journal_mode=WAL", "auto_vacuum=INCREMENTAL"])
def test_an_index_without_tables_is_a_note(tmp_path: Path, pragma: str) -> None:
    path = fill(tmp_path)
    for file in path.glob("index.db*"):
        file.unlink()
    with closing(sqlite3.connect(path / "index.db")) as half:
        half.execute(f"PRAGMA {pragma}")
        half.execute("VACUUM")
    assert (path / "index.db").stat().st_size
    report = check(path)
    assert report.clean
    assert [(f.severity, f.code) for f in report.findings if f.file == "index.db"] == [("note", "index.missing")]


def test_an_index_that_lost_a_table_is_damage(tmp_path: Path) -> None:
    path = fill(tmp_path)
    with closing(sqlite3.connect(path / "index.db")) as index:
        index.execute("DROP TABLE meta")
        index.commit()
    assert not check(path).clean


@pytest.mark.parametrize(("layout", "clean"), [(NUMBER - 1, True), (NUMBER + 1, False), (0, False)])
def test_an_index_of_an_earlier_version_is_made_anew(tmp_path: Path, layout: int, clean: bool) -> None:
    path = fill(tmp_path)
    with closing(sqlite3.connect(path / "index.db")) as index:
        index.execute(f"PRAGMA user_version={layout}")
    report = check(path)
    assert report.clean == clean
    assert [f.code for f in report.findings if f.file == "index.db"] == ["index.old" if clean else "index"]
