"""What is whole is found to be whole, however it came about, and counted right."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from dbx.crypto import merkle
from dbx.formats import segment
from dbx.repo import query
from dbx.repo.batch.commit import commit_staged
from dbx.repo.batch.staging import clear, stage
from dbx.repo.check import parallel, part
from dbx.repo.check.domain import check_domain
from dbx.repo.domain import Domain
from dbx.repo.upkeep.fork import fork_domain
from dbx.repo.upkeep.gc import collect
from dbx.repo.vault.keyring import set_dek
from tests.unit.repo.check.build import (
    JANE,
    append,
    check,
    collect_without_merging,
    fill,
    item,
    only,
    open_repository,
    read_segment,
    spoil_journal,
    write_segment,
)


def test_a_domain_without_commits(tmp_path: Path) -> None:
    report = check(fill(tmp_path, sealed=False, journal=False, staged=False))
    assert report.clean
    assert (report.events, report.aggregates, report.commits, report.segments) == (0, 0, 0, 0)
    assert report.commit is None
    assert report.log == merkle.EMPTY.hex()


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_every_kind_of_file(tmp_path: Path, processes: int) -> None:
    path = fill(tmp_path)
    report = check(path, processes=processes)
    assert report.clean, report.findings
    assert {f.severity for f in report.findings} <= {"note"}
    assert (report.events, report.commits, report.segments) == (39, 7, 2)
    domain = open_repository(tmp_path).domain()
    entry = query.get_commit(domain, 6)
    assert report.commit == entry.id.hex()
    assert report.index == entry.commit.index
    assert report.aggregates == domain.sync().index.count()[0]
    assert report.log == merkle.root([query.get_commit(domain, seq).id for seq in range(7)]).hex()
    domain.close()


def test_nothing_is_changed(tmp_path: Path) -> None:
    path = fill(tmp_path)
    before = {f: (f.read_bytes(), f.stat().st_mtime_ns) for f in path.rglob("*") if f.is_file()}
    check(path)
    assert {f: (f.read_bytes(), f.stat().st_mtime_ns) for f in path.rglob("*") if f.is_file()} == before


def test_quick_looks_at_no_event(tmp_path: Path) -> None:
    path = fill(tmp_path)
    report = check(path, quick=True)
    assert report.clean
    assert (report.events, report.aggregates, report.commits) == (39, None, 7)


def test_after_each_step_of_a_life(tmp_path: Path) -> None:
    repository = open_repository(tmp_path)
    domain = repository.domain()
    path = Path(domain.directory.path)

    def sound() -> None:
        assert not [f for f in check(path).findings if f.severity != "note"]

    append(domain, item("a"))
    sound()
    stage(domain, [(n, item(f"b-{n % 7}", metadata={"@n": n}), None) for n in range(1, 50)], issued_by=JANE)
    sound()
    stage(domain, [(1, item("a"), None)], issued_by=None)
    sound()
    commit_staged(domain, actor=JANE, message="staged")
    sound()
    append(domain, item("a", "aggregate_archived", payload={}), reserved=True)
    append(domain, item("a", "aggregate_restored", payload={}), reserved=True)
    append(domain, item("a", payload={"total": None}))
    sound()
    collect(domain)
    sound()
    append(domain, item("c"), item("c"), item("c"))
    collect(domain)
    sound()
    stage(domain, [(1, item("z"), None)], issued_by=JANE)
    clear(domain)
    sound()
    fork = fork_domain(repository, "fork", domain, None)
    assert is_sound(fork)
    append(fork, item("a"), item("new"))
    assert is_sound(fork)
    inside = fork_domain(repository, "inside", domain, 3)
    append(inside, item("a"))
    assert is_sound(inside)
    repository.close()
    sound()


def is_sound(domain: Domain) -> bool:
    report = check_domain(domain.directory, domain.name)
    assert not report.errors, report.findings
    return report.events == domain.sync().head.position


def test_an_index_that_lags_is_a_note(tmp_path: Path) -> None:
    repository = open_repository(tmp_path)
    domain = repository.domain()
    path = Path(domain.directory.path)
    append(domain, item("a"), item("b"))
    append(domain, item("c"))
    domain.close()
    shutil.copy(path / "index.db", tmp_path / "old.db")
    domain = repository.domain()
    append(domain, item("b"), item("d"))
    repository.close()
    shutil.copy(tmp_path / "old.db", path / "index.db")
    report = check(path)
    assert [(f.severity, f.code) for f in report.findings] == [("note", "index.behind")]
    for file in path.glob("index.db*"):
        file.unlink()
    report = check(path)
    assert [(f.severity, f.code) for f in report.findings] == [("note", "index.missing")]
    assert not (path / "index.db").exists()


def test_a_torn_write_is_a_warning(tmp_path: Path) -> None:
    path = fill(tmp_path)
    journal = only(path, "journal-*")
    whole = journal.read_bytes()
    for tail in (b"E", whole[200:300], b"garbage" * 100, bytes(5000) + b"x"):
        journal.write_bytes(whole + tail)
        report = check(path)
        assert report.clean
        assert [f.code for f in report.findings if f.severity == "warning"] == ["journal.torn"]
        assert next(f.offset for f in report.findings if f.code == "journal.torn") == len(whole)
    journal.write_bytes(whole + bytes(100_000))
    assert not [f for f in check(path).findings if f.severity != "note"]


def test_a_body_that_was_erased(tmp_path: Path) -> None:
    path = fill(tmp_path, sealed=False, journal=False, staged=False)
    domain = open_repository(tmp_path).domain()
    append(domain, item("a"), item("a", payload={"secret": 1}))
    append(domain, item("a", "body_erased", payload={"version": 2, "reason": "asked"}), reserved=True)
    domain.close()
    report = check(path)
    found = [(f.severity, f.code) for f in report.findings]
    assert sorted(found) == [("warning", "erasing"), ("warning", "event.erased")]
    (path / "erasing").unlink()
    assert [(f.severity, f.code) for f in check(path).findings] == [("warning", "event.erased")]
    rewrite_without_body(path)
    assert [(f.severity, f.code) for f in check(path).findings] == [("note", "index.missing")]


def rewrite_without_body(path: Path) -> None:
    """Make the journal again with version 2 of the first block's aggregate erased."""
    journal = only(path, "journal-*")
    data = journal.read_bytes().rstrip(b"\0")
    _, raw, _ = segment.decode_frame(data, 8, 8)
    frames = read_segment(data)
    bodies = next(lines for kind, lines in frames if kind == segment.B)
    bodies[1] = b""
    journal.write_bytes(write_segment(segment.decode_header(raw), frames))
    for file in path.glob("index.db*"):
        file.unlink()


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_a_repository_that_cannot_be_written(tmp_path: Path) -> None:
    path = fill(tmp_path)
    for folder in [path, *[p for p in path.rglob("*") if p.is_dir()]]:
        folder.chmod(0o500)
    try:
        assert check(path).clean
    finally:
        for folder in [path, *[p for p in path.rglob("*") if p.is_dir()]]:
            folder.chmod(0o700)


def test_memory_is_given_back_where_there_are_many_aggregates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fill(tmp_path)
    expected = check(path)
    monkeypatch.setattr(part, "_LIVE", 5)
    monkeypatch.setattr(part, "_HELD_BYTES", 1000)
    assert check(path) == expected


def test_the_report_is_the_same_for_any_number_of_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_SMALL", 0)
    path = fill(tmp_path)
    spoilt = spoil_journal(path, tmp_path / "spoilt")
    for where in (path, spoilt):
        assert check(where, processes=1) == check(where, processes=2) == check(where, processes=4)
    assert not check(spoilt).clean


def test_progress_counts_every_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_SMALL", 0)
    path = fill(tmp_path)
    for processes in (1, 3):
        begun: list[int] = []
        done: list[int] = []
        check(path, processes=processes, begin=begun.append, progress=done.append)
        assert (begun, sum(done)) == ([39], 39)


def test_runs_that_meet_the_same_aggregates_in_another_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_SMALL", 0)
    domain = open_repository(tmp_path).domain()
    for names in ("abcd", "badc", "dcba", "cadb", "acbd", "dbca"):
        append(domain, *[item(name, payload={"by": names, name: 1}) for name in names])
    domain.close()
    path = Path(domain.directory.path)
    for processes in (1, 2, 3, 6):
        report = check(path, processes=processes)
        assert not report.findings
        assert (report.events, report.aggregates) == (24, 4)


def test_events_that_are_staged_while_others_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then states are asked for of which only hashes were told."""
    monkeypatch.setattr(parallel, "_SMALL", 0)
    domain = open_repository(tmp_path).domain()
    for name in "abc":
        append(domain, item(name), item("all", payload={"n": name}))
        collect_without_merging(domain)
    stage(domain, [(1, item("all"), None)], issued_by=JANE)
    domain.close()
    path = Path(domain.directory.path)
    expected = check(path)
    assert expected.clean
    (path / "staging.jsonl").rename(tmp_path / "elsewhere")
    begun: list[int] = []

    def stage_now(events: int) -> None:
        if (tmp_path / "elsewhere").exists():
            (tmp_path / "elsewhere").rename(path / "staging.jsonl")

    assert check(path, processes=2, begin=begun.append, progress=stage_now) == expected
    assert begun == [6, 6]


def test_sealed_bodies_are_opened_by_any_number_of_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_SMALL", 0)
    repository = open_repository(tmp_path)
    domain = repository.domain()
    append(domain, item("plain"))
    set_dek(repository.directory, bytes(range(32)), store=True, clock=repository.clock, entropy=repository.entropy)
    for n in range(8):
        append(domain, item("all", payload={"n": n}), item(f"o-{n}"))
        append(domain, item("all", payload={"n": -n}, metadata={"@by": "till"}))
        collect_without_merging(domain)
    path = Path(domain.directory.path)
    reports = [check(path, processes=processes, vault=repository.vault) for processes in (1, 2, 3, 5)]
    repository.close()
    assert all(report == reports[0] for report in reports)
    assert reports[0].clean
    assert reports[0].sealed == 0
    assert check(path, processes=2).sealed == 25
