"""Transactions: all or nothing, durable when acknowledged, and never failed by what is derived."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from dbx.errors import Conflict, Corrupt, DbxError, Invalid, NotFound
from dbx.formats.envelope import Actor
from dbx.repo import query
from dbx.repo.domain import Domain
from dbx.repo.repository import Repository
from dbx.repo.upkeep.gc import collect
from dbx.repo.writer import Append, Appender
from dbx.store.journal import scan
from dbx.store.segments import Commits, FrameReader
from tests.history import START_US, append, item, open_repository
from tests.oracle import agrees

JANE = Actor("ops", "jane")


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    with closing(open_repository(tmp_path)) as opened:
        yield opened


@pytest.fixture
def domain(repository: Repository) -> Domain:
    return repository.domain()


def commit(domain: Domain, *items: dict[str, Any], **options: Any) -> list[int]:
    """The event ids of one transaction."""
    return [e.event_id for e in Appender(domain).append(Append(items, issued_by=JANE, **options)).events()]


def standing(path: Path) -> Repository:
    """The repository with a clock that stands."""
    return Repository.init(str(path), clock=lambda: START_US)[0]


# -- a transaction -----------------------------------------------------------------------------------------------------


def test_what_is_returned_is_what_is_read(domain: Domain) -> None:
    sent = item("o-1", note_="x", nested={"a": [1, 2.5, None, True, "é"]}) | {"metadata": {"@by": "me"}, "note": "hm"}
    done = Appender(domain).append(Append([sent, item("o-2")], issued_by=JANE, message="two"))
    assert done.events() == list(query.iterate_events(domain))
    assert query.get_commit(domain, 0).commit == done.commit
    assert (done.commit.message, done.commit.count, done.commit.batch) == ("two", 2, None)
    agrees(domain)


def test_a_transaction_without_events_is_refused() -> None:
    with pytest.raises(Invalid, match="at least one event"):
        Append([], issued_by=None)


@pytest.mark.parametrize("bad", [{"event_type": "No"}, {"payload": 3}, {"expected_version": 7}, {"surplus": 1}])
def test_nothing_of_a_refused_transaction_stays(domain: Domain, bad: dict[str, Any]) -> None:
    append(domain, "o-1")
    before = agrees(domain)
    with pytest.raises(DbxError, match="so nothing was stored"):
        commit(domain, item("o-1", a=1), item("o-2", a=1), item("o-1") | bad)
    assert agrees(domain) == before
    assert query.get_aggregate(domain, "order", "o-1").state == {}
    append(domain, "o-1", "o-2")
    assert [e["version"] for e, _ in agrees(domain).events] == [1, 2, 1]


def test_expected_versions_count_the_events_before_them(domain: Domain) -> None:
    commit(domain, *[item("o-1") | {"expected_version": n} for n in range(3)])
    for wrong in (0, 2, 4):
        with pytest.raises(Conflict, match=f"is at version 3, not {wrong}") as caught:
            commit(domain, item("o-1") | {"expected_version": wrong})
        assert caught.value.details == {"expected": wrong, "version": 3}
    commit(domain, item("o-1") | {"expected_version": 3})
    agrees(domain)


def test_existence(domain: Domain) -> None:
    with pytest.raises(NotFound, match="'order/o-1' does not exist"):
        commit(domain, item("o-1"), existence="known")
    commit(domain, item("o-1"), existence="new")
    with pytest.raises(Conflict, match="exists already"):
        commit(domain, item("o-1"), existence="new")
    commit(domain, item("o-1"), existence="known")
    assert agrees(domain).events[-1][0]["version"] == 2


def test_archived_aggregates_take_no_events_until_restored(domain: Domain) -> None:
    append(domain, "o-1", "o-2")
    commit(domain, item("o-1", "aggregate_archived"), reserved=True)
    with pytest.raises(Conflict, match="is archived and takes no events"):
        append(domain, "o-1")
    with pytest.raises(Invalid, match="reserved"):
        commit(domain, item("o-1", "aggregate_restored"))
    assert [a.aggregate_id for a in query.list_aggregates(domain)] == ["o-2"]
    assert query.get_aggregate(domain, "order", "o-1").archived
    domain.close()
    commit(domain, item("o-1", "aggregate_restored"), item("o-1", n=1), reserved=True)
    assert not query.get_aggregate(domain, "order", "o-1").archived
    assert query.get_aggregate(domain, "order", "o-1", 2).archived
    agrees(domain)


# -- limits ------------------------------------------------------------------------------------------------------------


def _string_payload(size: int) -> dict[str, str]:
    return {"x": "y" * (size - len('{"x":""}'))}


@pytest.mark.parametrize(
    ("fits", "over"),
    [
        ({"payload": _string_payload(262_144)}, {"payload": _string_payload(262_145)}),
        ({"payload": {"x": "é" * 131_068}}, {"payload": {"x": "é" * 131_069}}),
        ({"metadata": {"@x": "y" * (65_536 - 9)}}, {"metadata": {"@x": "y" * (65_536 - 8)}}),
        ({"note": "é" * 128}, {"note": "é" * 129}),
        ({"aggregate_id": "i" * 128}, {"aggregate_id": "i" * 129}),
        ({"aggregate_type": "t" * 64}, {"aggregate_type": "t" * 65}),
        ({"event_type": "e" * 128}, {"event_type": "e" * 129}),
        ({"aggregate_id": "a/b:c@d+e~f-g.h"}, {"aggregate_id": "a b"}),
        ({"event_id": 2**63 - 1}, {"event_id": 2**63}),
    ],
)
def test_what_just_fits_and_what_does_not(domain: Domain, fits: dict[str, Any], over: dict[str, Any]) -> None:
    before = agrees(domain)
    with pytest.raises(Invalid):
        commit(domain, item("o-1") | over)
    assert agrees(domain) == before
    commit(domain, item("o-1") | fits)
    assert len(agrees(domain).events) == 1


def test_a_payload_nests_64_deep(domain: Domain) -> None:
    def nested(depth: int) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for _ in range(depth - 1):
            value = {"a": value}
        return value

    commit(domain, item("o-1") | {"payload": nested(64)})
    for depth in (5000, 200_000):
        with pytest.raises(Invalid):
            commit(domain, item("o-1") | {"payload": nested(depth)})
    assert len(list(query.iterate_events(domain))) == 1


def test_messages_and_actors_of_any_text(domain: Domain) -> None:
    for actor in (Actor("a:b c%", "x y\u2028z\u00a0:"), Actor('"\\', "é" * 128)):
        Appender(domain).append(Append([item("o-1")], issued_by=actor, message="two\nlines\t\u2028 '\"\\"))
    assert [entry.actor for entry in domain.reflog.read()] == [Actor("a:b c%", "x y\u2028z\u00a0:"), actor]
    agrees(domain)


def test_a_commit_line_that_is_too_long_concerns_its_own_transaction(domain: Domain) -> None:
    append(domain, "o-1")
    requests = [Append([item(f"o-{n}")], issued_by=JANE, message='"' * 32_768 if n == 2 else "m") for n in range(4)]
    appender = Appender(domain)
    _hold(domain, appender, requests)
    assert [request.error is None for request in requests] == [True, True, False, True]
    assert isinstance(requests[2].error, Invalid)
    assert len(agrees(domain).commits) == 4


def _hold(domain: Domain, appender: Appender, requests: list[Append]) -> None:
    """Send requests from threads while the domain is busy, so that most of them form one group."""

    def send(request: Append) -> None:
        with suppress(DbxError):
            appender.append(request)

    with ThreadPoolExecutor(len(requests)) as pool, domain.mutex:
        for request in requests:
            pool.submit(send, request)
            _wait_for(lambda: bool(appender._queue) or appender._leader is not None)


def _wait_for(condition: Any) -> None:
    for _ in range(2000):
        if condition():
            return
        threading.Event().wait(0.001)


# -- threads -----------------------------------------------------------------------------------------------------------


def test_threads_share_writes_and_each_gets_its_own_answer(domain: Domain) -> None:
    appender = Appender(domain)
    outcomes: list[Any] = [None] * 96

    def work(n: int) -> None:
        sent = item(f"o-{n % 5}", n=n)
        if n % 4 == 1:
            sent["expected_version"] = 10_000
        if n % 8 == 2:
            sent["event_type"] = "Not A Name"
        try:
            outcomes[n] = appender.append(Append([sent] * (3 if n % 16 == 5 else 1), issued_by=JANE))
        except DbxError as error:
            outcomes[n] = error

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(96)))
    log = agrees(domain)
    good = [done for done in outcomes if not isinstance(done, DbxError)]
    assert {done.id for done in good} == set(log.commit_ids)
    for n, done in enumerate(outcomes):
        if n % 4 == 1:
            assert isinstance(done, Conflict)
        elif n % 8 == 2:
            assert isinstance(done, Invalid)
        else:
            assert [event.payload for event in done.events()] == [{"n": n}]
    assert len(good) == 96 - 24 - 12


def test_a_leader_waits_for_as_many_as_there_were(domain: Domain) -> None:
    append(domain, "o-1")
    appender = Appender(domain)
    appender._expected, appender._patience_s = 3, 20.0
    start = time.monotonic()
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda n: appender.append(Append([item(f"o-{n}")], issued_by=JANE)), range(3)))
    appender.append(Append([item("o-1")], issued_by=JANE))  # waits in vain, and not for long
    assert time.monotonic() - start < 15
    assert appender._expected == 1
    name = domain.sync().head.journal
    domain.close()
    fd = domain.directory.open_read(name)
    reader = FrameReader(fd, name)
    items = scan(reader, reader.header()[1]).items
    os.close(fd)
    assert [len(one.lines) for one in items if isinstance(one, Commits)] == [1, 3, 1]
    agrees(domain)


class Interrupted(BaseException):
    """As KeyboardInterrupt, which pytest would take for its own."""


@contextmanager
def interrupted_soon() -> Iterator[None]:
    def interrupt(_signal: int, _frame: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("ahead", [0, 1])
def test_who_is_interrupted_while_waiting_keeps_nobody_waiting(domain: Domain, ahead: int) -> None:
    append(domain, "o-1")
    appender = Appender(domain)
    begun, over = threading.Event(), threading.Event()

    def occupy() -> None:
        with domain.mutex:
            begun.set()
            over.wait(10)

    with ThreadPoolExecutor(4) as pool:
        occupied = pool.submit(occupy)
        begun.wait(10)
        # With nobody ahead it is the leader itself that is interrupted.
        others = [pool.submit(appender.append, Append([item("o-2")], issued_by=JANE)) for _ in range(ahead)]
        _wait_for(lambda: (appender._leader is not None) == bool(ahead))
        with pytest.raises(Interrupted), interrupted_soon():
            appender.append(Append([item("o-3")], issued_by=JANE))
        others.append(pool.submit(appender.append, Append([item("o-4")], issued_by=JANE)))
        over.set()
        occupied.result(10)
        assert all(other.result(10) for other in others)
    assert [e["aggregate_id"] for e, _ in agrees(domain).events] == ["o-1", *["o-2"] * ahead, "o-4"]
    append(domain, "o-1")


def test_a_group_fails_as_one_when_the_disk_does(domain: Domain, tmp_path: Path) -> None:
    append(domain, "o-1")
    domain.close()
    journal = next(Path(domain.directory.path).glob("journal-0-*"))
    damaged = bytearray(journal.read_bytes())
    append(domain, "o-1")
    domain.close()
    damaged = bytearray(journal.read_bytes())
    damaged[120] ^= 1
    journal.write_bytes(damaged)
    appender = Appender(domain)
    requests = [Append([item("o-1", n=n)], issued_by=None) for n in range(4)]
    _hold(domain, appender, requests)
    assert all(isinstance(request.error, Corrupt) for request in requests)
    assert bytes(damaged) == journal.read_bytes()


# -- event ids ---------------------------------------------------------------------------------------------------------


def test_ids_increase_while_the_clock_stands(tmp_path: Path) -> None:
    ids: list[int] = []
    for _ in range(3):
        with closing(standing(tmp_path)) as opened:
            ids += commit(opened.domain(), item("o-1"), item("o-2"))
            with closing(standing(tmp_path)) as other:
                ids += commit(other.domain(), item("o-1"))
            ids += commit(opened.domain(), item("o-1"))
    assert ids == sorted(set(ids))
    with closing(standing(tmp_path)) as opened:
        agrees(opened.domain())


def test_ids_increase_when_the_clock_goes_back(tmp_path: Path) -> None:
    now = [START_US]
    with closing(Repository.init(str(tmp_path), clock=lambda: now[0])[0]) as opened:
        ids = commit(opened.domain(), item("o-1"))
        for step in (-1, -3_600_000_000, 5, -10):
            now[0] += step
            ids += commit(opened.domain(), item("o-1"))
    assert ids == sorted(set(ids))


def test_ids_stay_unique_when_the_index_is_lost(tmp_path: Path) -> None:
    for _ in range(4):
        with closing(standing(tmp_path)) as opened:
            commit(opened.domain(), *[item(f"o-{n}") for n in range(5)])
            agrees(opened.domain())
        (tmp_path / ".dbx/domains/default/index.db").unlink()
    with closing(standing(tmp_path)) as opened:
        agrees(opened.domain())


def test_ids_of_one_worker_after_its_index_was_lost(tmp_path: Path) -> None:
    """The same worker is drawn again: entropy gives the same bytes."""
    for _ in range(3):
        with closing(Repository.init(str(tmp_path), clock=lambda: START_US, entropy=bytes)[0]) as opened:
            commit(opened.domain(), item("o-1"), item("o-2"))
            agrees(opened.domain())
        (tmp_path / ".dbx/domains/default/index.db").unlink()


def test_more_ids_than_a_millisecond_has(tmp_path: Path) -> None:
    with closing(standing(tmp_path)) as opened:
        ids = commit(opened.domain(), *[item("o-1", n=n) for n in range(4500)])
        ids += commit(opened.domain(), item("o-1"))
        assert ids == sorted(set(ids))
        assert len(ids) == 4501
        agrees(opened.domain())


def test_given_ids_are_taken_once(domain: Domain) -> None:
    assert commit(domain, item("o-1") | {"event_id": 7}, item("o-1") | {"event_id": "9"}) == [7, 9]
    drawn = commit(domain, item("o-1"))[0]
    for taken in (7, "9", drawn):
        with pytest.raises(Conflict, match="is taken by an event"):
            commit(domain, item("o-1") | {"event_id": taken})
    with pytest.raises(Conflict, match="is given twice, first in line 1"):
        commit(domain, item("o-1") | {"event_id": 11}, item("o-1") | {"event_id": 11})
    commit(domain, item("o-1") | {"event_id": 11})
    agrees(domain)


def test_a_given_id_that_is_drawn_in_the_same_batch_is_refused(tmp_path: Path) -> None:
    with closing(standing(tmp_path)) as opened:
        last = commit(opened.domain(), item("o-1"))[0]
        with pytest.raises(Conflict, match="was drawn for another event"):
            commit(opened.domain(), item("o-1"), item("o-1"), item("o-1") | {"event_id": last + 2})
        agrees(opened.domain())


# -- what is derived never fails a commit ------------------------------------------------------------------------------


def _every_page_damaged(index: Path, n: int) -> None:
    """Flip a bit in every page of the index but the first."""
    data = bytearray(index.read_bytes())
    for at in range(4096 + n, len(data), 4096):
        data[at] ^= 0x10
    index.write_bytes(data)


@pytest.mark.parametrize("at", [0, 3, 8, 100, 2000, 4000, 4090])
def test_an_index_damaged_in_every_page_is_made_again_by_an_append(tmp_path: Path, at: int) -> None:
    index = tmp_path / ".dbx/domains/default/index.db"
    with closing(open_repository(tmp_path)) as opened:
        for n in range(20):
            append(opened.domain(), f"o-{n}", "all")
    _every_page_damaged(index, at)
    with closing(open_repository(tmp_path)) as opened:
        append(opened.domain(), "all", "o-3", "new")
        agrees(opened.domain())


def test_an_index_damaged_under_a_long_lived_writer(domain: Domain) -> None:
    index = Path(domain.directory.path_of("index.db"))
    for n in range(30):
        append(domain, f"o-{n}", "all")
    domain.close()
    append(domain, "all")
    _every_page_damaged(index, 2000)
    for n in range(5):
        append(domain, f"o-{n}", "all")
    agrees(domain)


def test_a_reflog_that_cannot_be_written_fails_no_commit(domain: Domain) -> None:
    log = Path(domain.directory.path_of("logs/refs/heads/main"))
    log.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(log)
    with pytest.raises(Corrupt, match="not a regular file"):
        append(domain, "o-1")  # whoever looks at it says so, before anything is written
    log.unlink()
    append(domain, "o-1")
    log.unlink()
    domain.reflog.close()
    log.mkdir()
    done = Appender(domain).append(Append([item("o-2")], issued_by=None))
    log.rmdir()
    assert done.id == agrees(domain).commit_ids[-1]


# -- the journal -------------------------------------------------------------------------------------------------------


def test_a_commit_torn_anywhere_is_absent_or_whole(tmp_path: Path) -> None:
    with closing(open_repository(tmp_path)) as opened:
        append(opened.domain(), "o-1")
        path = Path(opened.domain().directory.path)
        journal = next(path.glob("journal-0-*"))
        before = journal.read_bytes()
        (path / "logs/refs/heads/main").rename(tmp_path / "reflog")
        append(opened.domain(), "o-1", "o-2")
    after = journal.read_bytes()
    for size in [*range(len(before), len(after), 41), len(before) + 1, len(after) - 1, len(after)]:
        for name in ("index.db", "logs/refs/heads/main"):
            (path / name).unlink(missing_ok=True)
        for torn in path.glob("journal.torn-*"):
            torn.unlink()
        journal.write_bytes(after[:size])
        whole = size == len(after)
        with closing(open_repository(tmp_path)) as opened:
            append(opened.domain(), "o-3")
            log = agrees(opened.domain())
        assert len(log.commits) == (3 if whole else 2)
        kept = list(path.glob("journal.torn-*"))
        assert [torn.read_bytes() for torn in kept] == (
            [after[len(before) : size]] if len(before) < size and not whole else []
        )


@pytest.mark.parametrize("zeros", [1, 5000])
def test_a_torn_commit_in_preallocated_zeros(tmp_path: Path, zeros: int) -> None:
    with closing(open_repository(tmp_path)) as opened:
        append(opened.domain(), "o-1")
        journal = next(Path(opened.domain().directory.path).glob("journal-0-*"))
    whole = journal.read_bytes()
    journal.write_bytes(whole + b"E" + bytes(10) + b"x" + bytes(zeros))
    with closing(open_repository(tmp_path)) as opened:
        assert opened.domain().sync().head.seq == 0
        append(opened.domain(), "o-2")
        assert not agrees(opened.domain()).torn


def test_damage_before_a_whole_commit_refuses_writers_and_spares_readers(tmp_path: Path) -> None:
    with closing(open_repository(tmp_path)) as opened:
        for n in range(4):
            append(opened.domain(), f"o-{n}")
        path = Path(opened.domain().directory.path)
    journal = next(path.glob("journal-0-*"))
    data = bytearray(journal.read_bytes())
    at = data.index(b'"o-2"')
    data[at + 1] ^= 1
    journal.write_bytes(data)
    with closing(open_repository(tmp_path)) as opened:
        domain = opened.domain()
        assert query.get_aggregate(domain, "order", "o-2").version == 1
        assert [e.aggregate_id for e in query.iterate_events(domain, "order", "o-1")] == ["o-1"]
        with pytest.raises(Corrupt, match=r"journal-0-0+' is damaged at byte"):
            list(query.iterate_events(domain, "order", "o-2"))
        for _ in range(2):
            with pytest.raises(Corrupt, match=r"journal-0-0+' is damaged at byte") as caught:
                append(domain, "o-9")
            assert caught.value.details["file"] == journal.name
            assert isinstance(caught.value.details["offset"], int)
        assert query.get_aggregate(domain, "order", "o-3").version == 1
    assert journal.read_bytes() == bytes(data)


def test_a_journal_that_is_gone_is_damage(tmp_path: Path) -> None:
    with closing(open_repository(tmp_path)) as opened:
        append(opened.domain(), "o-1")
        path = Path(opened.domain().directory.path)
        next(path.glob("journal-0-*")).unlink()
        with pytest.raises(Corrupt, match="ends with"):
            append(opened.domain(), "o-1")
    assert not list(path.glob("journal-0-*"))


def test_a_journal_behind_what_the_ref_knows_is_never_thrown_away(tmp_path: Path) -> None:
    with closing(open_repository(tmp_path)) as opened:
        append(opened.domain(), "o-1")
        collect(opened.domain())
        path = Path(opened.domain().directory.path)
        ref = (path / "refs/heads/main").read_bytes()
        commit(opened.domain(), *[item("o-1", x="z" * 900) for _ in range(1400)])  # a segment at once
        append(opened.domain(), "o-1")
    (path / "refs/heads/main").write_bytes(ref)
    for name in ("index.db", "logs/refs/heads/main"):
        (path / name).unlink()
    before = sorted(os.listdir(path / "segments"))
    with closing(open_repository(tmp_path)) as opened:
        for act in (lambda domain: append(domain, "o-2"), collect):
            with pytest.raises(Corrupt, match=r"'journal-2-[0-9a-f]+' continues a later commit"):
                act(opened.domain())
    assert len(list(path.glob("journal-2-*"))) == 1
    assert sorted(os.listdir(path / "segments")) == before


def test_the_reflog_is_whole_once_a_domain_is_closed(tmp_path: Path) -> None:
    with closing(open_repository(tmp_path)) as opened:
        domain = opened.domain()
        for n in range(40):
            Appender(domain).append(Append([item("o-1", n=n)], issued_by=None))
        assert domain.reflog.holds
    with closing(open_repository(tmp_path)) as opened:
        assert [entry.seq for entry in opened.domain().reflog.read()] == list(range(40))


def test_the_reflog_stays_in_order_when_another_process_comes_between(tmp_path: Path) -> None:
    with closing(open_repository(tmp_path)) as opened:
        appender = Appender(opened.domain())
        for n in range(40):
            appender.append(Append([item("o-1", n=n)], issued_by=None))
        with closing(open_repository(tmp_path)) as other:
            Appender(other.domain()).append(Append([item("o-2")], issued_by=None))
        appender.append(Append([item("o-1")], issued_by=None))
    with closing(open_repository(tmp_path)) as opened:
        told = [entry.seq for entry in opened.domain().reflog.read()]
        assert told == sorted(told)
        assert told[-2:] == [40, 41]
