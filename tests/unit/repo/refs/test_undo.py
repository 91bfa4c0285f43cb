"""Taking back while others look on, and when little is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbx.errors import Conflict, Corrupt, Failure
from dbx.formats.envelope import Actor
from dbx.repo import query
from dbx.repo.domain import Domain
from dbx.repo.reading.past import version_at
from dbx.repo.reading.revision import get_revision
from dbx.repo.refs.undo import plan_undo, undo
from dbx.repo.upkeep.reindex import reindex
from dbx.repo.writer import Append, Appender
from tests.history import append, fill, item, open_repository

JANE = Actor("ops", "jane")


def take_back(domain: Domain) -> None:
    undo(domain, plan_undo(domain), actor=JANE)


def seqs(domain: Domain) -> list[int]:
    return [entry.commit.seq for entry in query.iterate_commits(domain)]


def test_another_process_sees_it_and_goes_on(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    mine, other = (open_repository(tmp_path).domain() for _ in range(2))
    assert seqs(other) == [2, 1, 0]
    append(other, "held")  # its reflog line and its index may still be in memory
    take_back(mine)
    assert seqs(other) == seqs(mine) == [2, 1, 0]
    append(other, "more")
    assert seqs(mine) == [3, 2, 1, 0]
    other.close()
    assert open_repository(tmp_path).domain().reflog.last() is not None
    assert seqs(open_repository(tmp_path).domain()) == [3, 2, 1, 0]


def test_an_index_that_follows_what_was_taken_back_is_made_anew(tmp_path: Path) -> None:
    fill(tmp_path, 4)
    directory = tmp_path / ".dbx" / "domains" / "default"
    domain = open_repository(tmp_path).domain()
    domain.read(lambda working, _: working.head)
    domain.close()
    stale = (directory / "index.db").read_bytes()
    domain = open_repository(tmp_path).domain()
    take_back(domain)
    domain.close()

    def put_back() -> Domain:
        for name in ("index.db-wal", "index.db-shm"):
            (directory / name).unlink(missing_ok=True)
        (directory / "index.db").write_bytes(stale)
        return open_repository(tmp_path).domain()

    domain = put_back()
    assert seqs(domain) == [2, 1, 0]
    domain.close()
    domain = put_back()
    assert reindex(domain, actor=JANE).loss is None
    domain.close()
    domain = put_back()
    append(domain, "new")
    assert seqs(domain) == [3, 2, 1, 0]
    domain.close()
    assert seqs(put_back()) == [3, 2, 1, 0]


def test_what_was_looked_at_must_still_be_last(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    domain = open_repository(tmp_path).domain()
    step = plan_undo(domain)
    append(domain, "new")
    with pytest.raises(Conflict, match="meanwhile"):
        undo(domain, step, actor=JANE)
    assert seqs(domain) == [2, 1, 0]


def test_without_a_reflog_the_last_commit_is_the_last_command(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    log = tmp_path / ".dbx/domains/default/logs/refs/heads/main"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:1]))
    domain = open_repository(tmp_path).domain()
    step = plan_undo(domain)
    assert (step.first, step.last, step.seq) == (2, 2, 1)
    take_back(domain)
    assert seqs(domain) == [1, 0]


def test_a_line_that_no_move_followed_is_passed_over(tmp_path: Path) -> None:
    # As a crash leaves it between the line and the move.
    fill(tmp_path, 3)
    domain = open_repository(tmp_path).domain()
    step = plan_undo(domain)
    from dbx.repo.refs.undo import _line

    domain.reflog.append([_line(domain, step, JANE, "undo: 1 commit with 2 events")], durable=True)
    assert plan_undo(domain) == step
    take_back(domain)
    assert seqs(domain) == [1, 0]


def test_a_commit_of_many_events_in_many_segments(tmp_path: Path) -> None:
    domain = open_repository(tmp_path).domain()
    big = [item(f"o-{n}", noise="x" * 100_000) for n in range(30)]
    append(domain, "first", "o-3")
    Appender(domain).append(Append(big, issued_by=None))
    Appender(domain).append(Append(big, issued_by=None))
    before = query.list_aggregates(domain)
    take_back(domain)
    assert version_at(domain, "order", "o-3", get_revision(domain, 1)) == 2
    take_back(domain)
    assert query.list_aggregates(domain) == before
    assert query.verify_aggregate(domain, "order", "o-3").version == 3


def test_nothing_and_what_is_gone(tmp_path: Path) -> None:
    domain = open_repository(tmp_path).domain()
    with pytest.raises(Failure, match="nothing to take back"):
        plan_undo(domain)


def test_a_log_that_is_cut_off_is_still_damage(tmp_path: Path) -> None:
    from tests.history import cut_journal

    fill(tmp_path, 4)
    domain = open_repository(tmp_path).domain()
    take_back(domain)
    for name in "ab":
        append(domain, name)
    domain.close()
    cut_journal(tmp_path / ".dbx/domains/default", 1)
    with pytest.raises(Corrupt, match="were indexed up to"):
        seqs(open_repository(tmp_path).domain())


def test_the_index_goes_back_to_what_it_was(tmp_path: Path) -> None:
    """Against one made anew, page by page: undoing adds, advances and archives, over many aggregates."""
    from dbx.repo.check.domain import check_domain

    domain = open_repository(tmp_path).domain()
    append(domain, *(f"o-{n}" for n in range(300)))
    append(domain, *(f"o-{n}" for n in range(0, 300, 3)))
    for names in ([f"n-{n}" for n in range(200)], ["o-1", "o-1", "x", "o-299"], [f"o-{n}" for n in range(0, 40)]):
        before = query.list_aggregates(domain, archived=None), seqs(domain)
        append(domain, *names)
        appended = domain.index().get_meta("ids.append")
        take_back(domain)
        assert (query.list_aggregates(domain, archived=None), seqs(domain)) == before
        assert domain.index().get_meta("ids.append") == appended
        domain.close()
        report = check_domain(domain.directory, domain.name)
        assert (report.errors, report.warnings) == (0, 0), report.findings
        domain = open_repository(tmp_path).domain()
    assert len(before[0]) == 300


def test_little_is_made_anew_for_a_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    domain = open_repository(tmp_path).domain()
    append(domain, *(f"o-{n}" for n in range(100)))
    append(domain, "o-1")
    rebuilt: list[Exception] = []
    monkeypatch.setattr(Domain, "rebuild", lambda _, error: rebuilt.append(error))
    take_back(domain)
    assert rebuilt == []
    assert seqs(domain) == [0]


def test_commits_that_were_made_anew_stay(tmp_path: Path) -> None:
    ids = fill(tmp_path, 2)
    domain = open_repository(tmp_path).domain()
    step = plan_undo(domain)
    from dbx.formats.reflog import ReflogEntry

    # As a pull does that puts our commits on top of a remote's.
    moved = ReflogEntry("0" * 63 + "1", ids[1], 1, "2026-11-23T07:42:00.123456Z", JANE, "pull: from origin")
    domain.reflog.append([moved], durable=True)
    with pytest.raises(Conflict, match="which is not in the history: pull: from origin"):
        plan_undo(domain)
    assert step.new == ids[0]
