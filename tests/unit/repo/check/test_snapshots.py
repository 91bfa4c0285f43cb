"""fsck looks at snapshots.db, names what is damaged, and changes nothing."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest

from dbx.repo.check.finding import Findings
from dbx.repo.check.snapshots import check_snapshots
from dbx.repo.domain import Domain
from dbx.repo.upkeep.snapshots import take_snapshot
from tests.history import append, open_repository


@pytest.fixture
def domain(tmp_path: Path) -> Domain:
    repository = open_repository(tmp_path)
    domain = repository.domain()
    append(domain, *["a"] * 30)
    for version in range(1, 31):
        take_snapshot(domain, "order", "a", version, "x" * 200)
    repository.close()
    return domain


def check(domain: Domain, *, quick: bool = False) -> list[tuple[str, str]]:
    findings = Findings()
    check_snapshots(domain.directory, findings, quick=quick)
    return [(one.severity, one.code) for one in findings.kept]


def change(domain: Domain, sql: str) -> None:
    database = sqlite3.connect(domain.directory.path_of("snapshots.db"))
    with database:
        database.execute(sql)
    database.close()


def test_what_is_sound(domain: Domain) -> None:
    path = Path(domain.directory.path_of("snapshots.db"))
    before = path.read_bytes()
    assert check(domain) == check(domain, quick=True) == []
    assert path.read_bytes() == before
    change(domain, "UPDATE snapshot SET emptied = 1, state = x'' WHERE version = 3")
    assert check(domain) == []
    path.unlink()
    assert check(domain) == []
    path.write_bytes(b"")
    assert check(domain) == [("note", "snapshots.empty")]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE snapshot SET state = '{}x' WHERE version = 7",
        "UPDATE snapshot SET comment = 'y' WHERE version = 7",
        "UPDATE snapshot SET taken_at = '2026' WHERE version = 7",
        "UPDATE snapshot SET root = zeroblob(32) WHERE version = 7",
    ],
)
def test_a_changed_row_is_named(domain: Domain, sql: str) -> None:
    change(domain, sql)
    assert check(domain) == [("error", "snapshots.checksum")]
    assert check(domain, quick=True) == []


def test_bytes_that_are_wrong(domain: Domain) -> None:
    path = Path(domain.directory.path_of("snapshots.db"))
    good = path.read_bytes()
    source = random.Random(9)
    rows = [at for at in range(0, len(good), 37) if good[at : at + 1] == b"x"]  # within comments
    for at in source.sample(rows, 20):
        path.write_bytes(good[:at] + b"y" + good[at + 1 :])
        assert [severity for severity, _ in check(domain)] == ["error"], at
    for bad in (good[: len(good) // 2], b"rubbish" * 500, b"\0" * len(good), good[:100]):
        path.write_bytes(bad)
        assert {severity for severity, _ in check(domain)} == {"error"}


def test_a_link_or_a_newer_layout(domain: Domain, tmp_path: Path) -> None:
    path = Path(domain.directory.path_of("snapshots.db"))
    change(domain, "PRAGMA user_version = 2")
    assert check(domain) == [("error", "snapshots")]
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert check(domain) == [("error", "snapshots")]
