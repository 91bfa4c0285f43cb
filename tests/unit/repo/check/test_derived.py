"""index.db: what is wrong in it is found, and told apart from damage to history."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from dbx.repo.check import parallel
from dbx.store.indexlayout import COLUMNS, Row
from tests.unit.repo.check.build import append, check, codes, copy, fill, item, open_repository

CHANGES = {
    "version": ("UPDATE aggregate SET version = version + 1 WHERE id = 'o-1'", {"index.row"}),
    "state": ("UPDATE aggregate SET state = '{\"total\":99}' WHERE id = 'o-1'", {"index.row"}),
    "kind": ("UPDATE chain SET positions = 5 WHERE aggregate = 1", {"index"}),
    "time": ("UPDATE aggregate SET updated_at = created_at WHERE id = 'all'", {"index.row"}),
    "archived": ("UPDATE aggregate SET archived = 1 - archived WHERE id = 'o-2'", {"index.row"}),
    "missing row": ("DELETE FROM aggregate WHERE id = 'o-1'", {"index.row"}),
    "extra row": (
        "INSERT INTO aggregate SELECT 9999, type, 'ghost', zeroblob(32), version, root, edge, state, extensions,"
        " created_at, updated_at, archived, checksum FROM aggregate WHERE id = 'o-1'",
        {"index.row"},
    ),
    "chain": ("DELETE FROM chain WHERE aggregate = (SELECT n FROM aggregate WHERE id = 'all')", {"index.chain"}),
    "wrong chain": ("UPDATE chain SET base = base + 1 WHERE aggregate = 1", {"index.chain"}),
    "run": ("UPDATE run SET first = first + 1 WHERE position = 0", {"index.run"}),
    "no run": ("DELETE FROM run WHERE position = (SELECT max(position) FROM run)", {"index.run"}),
    "log": ("UPDATE log SET id = zeroblob(32) WHERE seq = 2", {"index.log"}),
    "batch": ("UPDATE log SET batch = NULL", {"index.log"}),
    "short log": ("DELETE FROM log WHERE seq = 2", {"index.log"}),
    "block": ("UPDATE block SET offset = offset + 1 WHERE position = 0", {"index.place"}),
    "no block": ("DELETE FROM block WHERE position = (SELECT max(position) FROM block)", {"index.place"}),
    "commits": ("UPDATE commits SET file = 'segments/x.seg' WHERE seq = 0", {"index.place"}),
    "page": ("DELETE FROM page", {"index.page"}),
    "wrong page": ("UPDATE page SET slots = zeroblob(length(slots))", {"index.page"}),
    "staged": ("UPDATE staged SET version = version + 1", {"index.staged"}),
    "no staged": ("DELETE FROM staged", {"index.staged"}),
    "head": ("UPDATE meta SET value = 'nonsense' WHERE name = 'head'", {"index.head"}),
    "edge": ("UPDATE meta SET value = zeroblob(length(value)) WHERE name = 'edge'", {"index.head"}),
    "root": (
        "UPDATE meta SET value = substr(value, 1, 70) || CASE substr(value, 71, 1) WHEN 'a' THEN 'b' ELSE 'a' END"
        " || substr(value, 72) WHERE name = 'head'",
        {"index.head"},
    ),
    "layout": ("PRAGMA user_version = 99", {"index"}),
}


def change(path: Path, statement: str) -> None:
    database = sqlite3.connect(path / "index.db")
    with database:
        assert database.execute(statement).rowcount != 0
    database.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("name", CHANGES)
def test_a_row_that_was_changed(whole: Path, tmp_path: Path, name: str) -> None:
    path = copy(whole, tmp_path / "copy")
    statement, expected = CHANGES[name]
    change(path, statement)
    report = check(path)
    assert codes(report) == expected, report.findings
    assert {f.file for f in report.findings if f.severity == "error"} == {"index.db"}


def test_a_state_with_a_good_checksum(whole: Path, tmp_path: Path) -> None:
    """A bug, not an accident, would write this."""
    for column, value, code in (
        (8, b'{"city":"Oslo"}', "index.state"),
        (9, b'{"@by":"me"}', "index.state"),
        (6, b"\1" * 32, "index.row"),
    ):
        path = copy(whole, tmp_path / "copy")
        database = sqlite3.connect(path / "index.db")
        row = list(database.execute(f"SELECT {COLUMNS} FROM aggregate WHERE id = 'o-1'").fetchone())
        row[column - 1] = value
        row[12] = Row(*row[:12]).checksum()
        marks = ",".join("?" * 13)
        with database:
            database.execute(f"INSERT OR REPLACE INTO aggregate ({COLUMNS}) VALUES ({marks})", row)
        database.close()
        (finding,) = [f for f in check(path).findings if f.severity == "error"]
        assert finding.code == code
        assert finding.what == {"aggregate_type": "order", "aggregate_id": "o-1"}


@pytest.mark.parametrize("staged", [False, True])
def test_a_wrong_state_is_named_by_any_number_of_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, staged: bool
) -> None:
    """Other processes tell only hashes, unless something is staged; where one is wrong, all is done again."""
    monkeypatch.setattr(parallel, "_SMALL", 0)
    path = fill(tmp_path, staged=staged)
    for column, what in ((7, "the state of"), (8, "the extensions of")):
        spoilt = copy(path, tmp_path / "copy")
        database = sqlite3.connect(spoilt / "index.db")
        row = list(database.execute(f"SELECT {COLUMNS} FROM aggregate WHERE id = 'o-2'").fetchone())
        row[column] = b'{"total":1}'
        row[12] = Row(*row[:12]).checksum()
        with database:
            database.execute(f"INSERT OR REPLACE INTO aggregate ({COLUMNS}) VALUES ({','.join('?' * 13)})", row)
        database.close()
        reports = [check(spoilt, processes=processes) for processes in (1, 2, 4)]
        assert reports[0] == reports[1] == reports[2]
        (finding,) = [f for f in reports[0].findings if f.severity == "error"]
        assert (finding.code, finding.what["aggregate_id"]) == ("index.state", "o-2")
        assert what in finding.message


@pytest.mark.parametrize("data", [b"", b"SQLite format 3\0" + bytes(84), b"no database", bytes(8192)])
def test_no_database(whole: Path, tmp_path: Path, data: bytes) -> None:
    path = copy(whole, tmp_path / "copy")
    for file in path.glob("index.db*"):
        file.unlink()
    (path / "index.db").write_bytes(data)
    assert codes(check(path)) == ({"index"} if data else set())


def test_a_lagging_index_is_compared_as_far_as_it_goes(tmp_path: Path) -> None:
    """Rows, locators and pages of an index that lacks the last commits."""
    repository = open_repository(tmp_path / "work")
    domain = repository.domain()
    path = Path(domain.directory.path)
    append(domain, *[item(f"a-{n}") for n in range(100)])
    domain.close()
    shutil.copy(path / "index.db", tmp_path / "old.db")
    domain = repository.domain()
    append(domain, item("a-1"), item("new"))
    repository.close()
    for statement, expected in (
        ("SELECT 1", set()),
        ("DELETE FROM aggregate WHERE id = 'a-7'", {"index.row", "index.page"}),
        ("UPDATE aggregate SET created_at = updated_at || 'x' WHERE id = 'a-7'", {"index.row"}),
        ("DELETE FROM page WHERE prefix = x''", {"index.page"}),
        ("DELETE FROM chain WHERE aggregate = 7", {"index.chain"}),
        ("UPDATE run SET count = count - 1", {"index.run"}),
        ("DELETE FROM log", {"index.log"}),
        ("DELETE FROM block", {"index.place"}),
    ):
        shutil.copy(tmp_path / "old.db", path / "index.db")
        if statement != "SELECT 1":
            change(path, statement)
        report = check(path)
        assert codes(report) == expected, (statement, report.findings)
        assert [f.code for f in report.findings if f.severity == "note"] == ["index.behind"]
