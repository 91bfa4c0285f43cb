"""An open domain: its index follows the log whoever writes, and is made again whatever happens to it."""

from __future__ import annotations

import itertools
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dbx.errors import Corrupt, NotFound
from dbx.repo import query
from dbx.repo.batch.commit import commit_staged
from dbx.repo.batch.staging import stage, staged_events
from dbx.repo.domain import Domain
from dbx.repo.repository import Repository
from dbx.repo.upkeep.gc import collect
from dbx.repo.writer import Append, Appender
from tests.history import START_US, append, item, open_repository
from tests.oracle import agrees, at_once

SECONDS = 1.0


def now_us() -> int:
    return time.time_ns() // 1000


def again(path: Path) -> Repository:
    """The repository opened as another process would."""
    ticks = itertools.count(START_US + 10**12, 1_000_000)
    return Repository(str(path / ".dbx"), clock=lambda: next(ticks), wait_s=5)


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    with closing(open_repository(tmp_path)) as opened:
        yield opened


@pytest.fixture
def domain(repository: Repository) -> Domain:
    return repository.domain()


@pytest.fixture
def other(tmp_path: Path, repository: Repository) -> Iterator[Domain]:
    """The same domain, opened a second time."""
    with closing(again(tmp_path)) as opened:
        yield opened.domain()


# -- several who look and write ---------------------------------------------------------------------------------------


def test_a_reader_catches_up_with_what_a_writer_has_not_indexed(domain: Domain, other: Domain) -> None:
    for n in range(5):
        append(domain, f"o-{n}", "all")
        agrees(other)
    agrees(domain)


def test_the_writer_goes_on_after_a_reader_brought_the_index_forward(domain: Domain, other: Domain) -> None:
    for n in range(4):
        append(domain, "o-1")
        agrees(other)
        append(domain, f"new-{n}")
    stage(domain, [(1, item("s"), None)], issued_by=None)
    append(domain, "o-1")
    agrees(other)
    assert commit_staged(domain, actor=None) is not None
    append(domain, "o-1")
    agrees(other)
    collect(domain)
    append(domain, "o-1")
    agrees(other)
    agrees(domain)


def test_two_objects_of_one_domain_take_turns(domain: Domain, other: Domain) -> None:
    for n in range(6):
        append(domain if n % 2 else other, "o-1")
        assert query.get_aggregate(other if n % 2 else domain, "order", "o-1").version == n + 1
    collect(other)
    append(domain, "o-1")
    collect(domain)
    append(other, "o-1")
    assert agrees(domain) == agrees(other)


def test_a_cached_block_is_not_taken_for_one_that_sealing_cut_anew(domain: Domain) -> None:
    append(domain, "o-1")
    list(query.iterate_events(domain))
    append(domain, "o-1")
    collect(domain)
    assert [event.version for event in query.iterate_events(domain)] == [1, 2]


def _write(path: Path, mark: str) -> None:
    with closing(Repository(str(path / ".dbx"), clock=now_us, wait_s=20)) as opened:
        until = time.monotonic() + SECONDS
        for n in itertools.count():
            payload = {"aggregate_type": "order", "aggregate_id": f"o-{n % 4}", "event_type": "placed"}
            request = Append([{**payload, "payload": {"mark": f"{mark}-{n}"}}], issued_by=None)
            Appender(opened.domain()).append(request)
            if time.monotonic() > until:
                return


def _read(path: Path) -> None:
    with closing(Repository(str(path / ".dbx"), clock=now_us, wait_s=20)) as opened:
        domain = opened.domain()
        until = time.monotonic() + SECONDS
        seen = 0
        while time.monotonic() < until:
            found = query.get_aggregate(domain, "order", "o-1")
            assert found.version >= seen
            seen = found.version
            versions = [event.version for event in query.iterate_events(domain, "order", "o-1")]
            assert versions == list(range(1, len(versions) + 1))
            assert len(versions) >= seen
            assert len(query.list_aggregates(domain)) >= 1
            list(itertools.islice(query.iterate_commits(domain), 3))


def _stage_and_commit(path: Path, mark: str) -> None:
    with closing(Repository(str(path / ".dbx"), clock=now_us, wait_s=20)) as opened:
        domain = opened.domain()
        until = time.monotonic() + SECONDS
        for n in itertools.count():
            stage(domain, [(1, item(f"{mark}-{n}", mark=f"{mark}-{n}"), None)], issued_by=None)
            if n % 2:
                commit_staged(domain, actor=None)
            if time.monotonic() > until:
                commit_staged(domain, actor=None)
                return


def _collect(path: Path) -> None:
    with closing(Repository(str(path / ".dbx"), clock=now_us, wait_s=20)) as opened:
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            collect(opened.domain())
            time.sleep(0.02)


def _open_often(path: Path) -> None:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        with closing(Repository(str(path / ".dbx"), clock=now_us, wait_s=20)) as opened:
            append(opened.domain(), "o-2")


@pytest.mark.parametrize("works", ["wwrr", "wsrs", "wgrr", "wolr"])
def test_nobody_is_told_of_damage_while_others_write(tmp_path: Path, works: str) -> None:
    with closing(open_repository(tmp_path)) as repository:
        append(repository.domain(), "o-1")
    chosen = {
        "w": lambda n: lambda: _write(tmp_path, f"w{n}"),
        "r": lambda n: lambda: _read(tmp_path),
        "s": lambda n: lambda: _stage_and_commit(tmp_path, f"s{n}"),
        "g": lambda n: lambda: _collect(tmp_path),
        "o": lambda n: lambda: _open_often(tmp_path),
        "l": lambda n: lambda: _lose_the_index(tmp_path),
    }
    at_once(*[chosen[work](n) for n, work in enumerate(works)])
    with closing(again(tmp_path)) as repository:
        log = agrees(repository.domain())
    marks = [body["payload"].get("mark") for _, body in log.events if body]
    for n in [n for n, work in enumerate(works) if work == "w"]:
        mine = [mark for mark in marks if mark and mark.startswith(f"w{n}-")]
        assert mine == [f"w{n}-{at}" for at in range(len(mine))]
        assert mine


def _lose_the_index(path: Path) -> None:
    """Somebody who deletes the index again and again."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        for suffix in ("-wal", "-shm", ""):
            (path / f".dbx/domains/default/index.db{suffix}").unlink(missing_ok=True)
        time.sleep(0.05)


def test_threads_read_while_others_append(domain: Domain) -> None:
    from concurrent.futures import ThreadPoolExecutor

    appender = Appender(domain)

    def write(n: int) -> None:
        appender.append(Append([item(f"o-{n % 3}", n=n)], issued_by=None))

    def look(_: int) -> None:
        list(query.iterate_events(domain))
        list(query.iterate_aggregates(domain))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda n: look(n) if n % 3 == 0 else write(n), range(120)))
    assert len(agrees(domain).events) == 80


# -- an index that is lost, old, strange or damaged -------------------------------------------------------------------


def _history(repository: Repository) -> Path:
    domain = repository.domain()
    for n in range(12):
        append(domain, f"o-{n % 5}", "all")
    collect(domain)
    for n in range(12):
        append(domain, f"o-{n % 5}", f"p-{n}")
    path = Path(domain.directory.path)
    repository.close()
    return path


def test_an_index_cut_short_anywhere_is_made_again(tmp_path: Path, repository: Repository) -> None:
    index = _history(repository) / "index.db"
    whole = index.read_bytes()
    for size in (0, 1, 15, 16, 100, 4095, 4096, 20_000, len(whole) // 2, len(whole) - 1):
        index.write_bytes(whole[:size])
        with closing(again(tmp_path)) as opened:
            agrees(opened.domain())


@pytest.mark.parametrize("content", [b"x" * 10_000, b"SQLite format 3\0" + b"\xff" * 8176])
def test_an_index_of_anything_is_made_again(tmp_path: Path, repository: Repository, content: bytes) -> None:
    path = _history(repository)
    (path / "index.db").write_bytes(content)
    with closing(again(tmp_path)) as opened:
        agrees(opened.domain())
        append(opened.domain(), "o-1")
        agrees(opened.domain())


@pytest.mark.parametrize("when", [0, 1, 5, 11, 12, 13])
def test_an_index_from_earlier_catches_up(tmp_path: Path, repository: Repository, when: int) -> None:
    domain = repository.domain()
    path = Path(domain.directory.path)
    for n in range(14):
        if n == when:
            domain.close()
            if when == 0:
                query.list_aggregates(domain)
                domain.close()
            shutil.copy(path / "index.db", tmp_path / "earlier.db")
        append(domain, f"o-{n % 5}", "all")
        if n == 11:
            collect(domain)
    repository.close()
    shutil.copy(tmp_path / "earlier.db", path / "index.db")
    with closing(again(tmp_path)) as opened:
        append(opened.domain(), "all")
        agrees(opened.domain())


def test_an_index_deleted_under_a_long_lived_domain(domain: Domain, other: Domain) -> None:
    for n in range(3):
        append(domain, "o-1", f"o-{n}")
        Path(domain.directory.path_of("index.db")).unlink()
        agrees(other)
        agrees(domain)


def test_a_long_lived_domain_works_with_the_index_that_is_there(domain: Domain, other: Domain) -> None:
    append(domain, "o-1")
    agrees(domain)
    Path(domain.directory.path_of("index.db")).unlink()
    append(other, "o-2")
    agrees(other)
    agrees(domain)
    append(domain, "o-3")
    agrees(domain)
    assert domain.index().head() == domain.sync().head
    assert other.index().head() == domain.sync().head


def test_a_domain_deleted_under_a_long_lived_one_is_not_found(repository: Repository, tmp_path: Path) -> None:
    domain = repository.create_domain("b")
    append(domain, "o-1")
    with closing(again(tmp_path)) as opened:
        opened.delete_domain("b")
    with pytest.raises((NotFound, FileNotFoundError)):
        append(domain, "o-1")
    with pytest.raises(NotFound):
        query.list_aggregates(domain)
    assert not os.path.exists(domain.directory.path)


def test_closing_never_fails_what_was_committed(tmp_path: Path, repository: Repository) -> None:
    domain = repository.domain()
    append(domain, "o-1")
    index = Path(domain.directory.path_of("index.db"))
    index.write_bytes(b"\xff" * index.stat().st_size)
    repository.close()
    with closing(again(tmp_path)) as opened:
        assert len(agrees(opened.domain()).commits) == 1


def test_history_that_was_cut_off_is_damage_until_it_is_accepted(tmp_path: Path, repository: Repository) -> None:
    from tests.history import cut_journal

    for _ in range(3):
        append(repository.domain(), "o-1")
    repository.close()
    path = tmp_path / ".dbx/domains/default"
    cut_journal(path, 2)
    with closing(again(tmp_path)) as opened:
        for _ in range(2):
            with pytest.raises(Corrupt, match="commit"):
                query.list_aggregates(opened.domain())
        with pytest.raises(Corrupt, match="commit"):
            append(opened.domain(), "o-1")
    (path / "index.db").unlink()
    with closing(again(tmp_path)) as opened, pytest.raises(Corrupt, match="the reflog knows commit 2"):
        append(opened.domain(), "o-1")


def test_staged_events_survive_the_index(tmp_path: Path, domain: Domain, repository: Repository) -> None:
    append(domain, "s")
    stage(domain, [(1, item("s"), None), (2, item("t"), None)], issued_by=None)
    before = list(staged_events(domain))
    repository.close()
    Path(domain.directory.path_of("index.db")).unlink()
    with closing(again(tmp_path)) as opened:
        assert list(staged_events(opened.domain())) == before
        stage(opened.domain(), [(1, item("t"), None)], issued_by=None)
        assert commit_staged(opened.domain(), actor=None)
        assert [e["version"] for e, _ in agrees(opened.domain()).events] == [1, 2, 1, 2]


def test_an_index_of_another_domain_is_made_again(tmp_path: Path, repository: Repository) -> None:
    default, longer, empty = repository.domain(), repository.create_domain("longer"), repository.create_domain("empty")
    for n in range(3):
        append(default, f"a-{n}", "all")
    for n in range(9):
        append(longer, f"b-{n}", "all")
    paths = {name: Path(repository.path) / "domains" / name / "index.db" for name in ("default", "longer", "empty")}
    assert empty.sync().head.seq == -1
    repository.close()
    before = {name: path.read_bytes() for name, path in paths.items()}
    for name, mine in (("default", "longer"), ("longer", "empty"), ("empty", "default")):
        paths[name].write_bytes(before[mine])
    with closing(again(tmp_path)) as opened:
        for name in paths:
            agrees(opened.domain(name))
            append(opened.domain(name), "all")
            agrees(opened.domain(name))
