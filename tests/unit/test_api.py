"""The Python API: what it promises, when it refuses, and that a refusal leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import dbx

NOW_US = 1_790_000_000_000_000
JANE = dbx.Actor("ops", "jane")


@pytest.fixture
def orders(tmp_path: Path) -> dbx.Domain:
    return dbx.init(tmp_path, clock=lambda: NOW_US).domain()


# -- repositories and domains ----------------------------------------------------------------------------------------


def test_a_repository_is_found_from_below(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    with dbx.init(tmp_path / "a", domain="sales") as made:
        made.domain().append("order", "o-1", "placed", {"total": 1})
    with dbx.open(tmp_path / "a" / "b") as found:
        assert found.path == made.path
        assert found.domains() == ["sales"]
        assert found.domain("sales").get("order", "o-1").state == {"total": 1}


def test_no_repository_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(dbx.NotFound, match="no dbx repository"):
        dbx.open(tmp_path)


def test_init_opens_what_is_there(tmp_path: Path) -> None:
    with dbx.init(tmp_path) as first:
        first.domain().append("order", "o-1", "placed", {})
    with dbx.init(tmp_path) as again:
        assert again.domain().get("order", "o-1").version == 1


def test_domains_are_apart(tmp_path: Path) -> None:
    with dbx.init(tmp_path) as repository:
        other = repository.create_domain("other")
        other.append("order", "o-1", "placed", {})
        assert repository.domains() == ["default", "other"]
        assert repository.domain().find("order", "o-1") is None
        assert repository.domain("other") is other
        assert repository.domain().name == "default"
        assert repository.domain().id != other.id
        with pytest.raises(dbx.Conflict, match="exists already"):
            repository.create_domain("other")
        with pytest.raises(dbx.NotFound, match="does not exist"):
            repository.domain("third")
        with pytest.raises(dbx.Invalid):
            repository.create_domain("Third Domain")


def test_what_is_closed_says_so(tmp_path: Path) -> None:
    repository = dbx.init(tmp_path)
    with repository.domain() as domain:
        domain.append("order", "o-1", "placed", {})
    with pytest.raises(dbx.UsageError, match="domain 'default' has been closed"):
        domain.append("order", "o-1", "placed", {})
    with pytest.raises(dbx.UsageError, match="closed"):
        domain.events()
    assert repository.domain().get("order", "o-1").version == 1
    repository.close()
    repository.close()
    with pytest.raises(dbx.UsageError, match=r"repository '.*' has been closed"):
        repository.domain()
    with pytest.raises(dbx.UsageError, match="closed"):
        repository.domains()


# -- one event -------------------------------------------------------------------------------------------------------


def test_an_event_comes_back_as_it_was_stored(orders: dbx.Domain) -> None:
    event = orders.append(
        "order", "o-17", "order.placed", {"total": "49.50", "lines": [1.0, None]},
        metadata={"@source": "web"}, note="by telephone", actor=JANE, message="the first",
    )  # fmt: skip
    assert event == orders.event(event.event_id) == next(orders.events())
    assert (event.aggregate_type, event.aggregate_id, event.event_type) == ("order", "o-17", "order_placed")
    assert (event.version, event.position, event.commit) == (1, 0, 0)
    assert event.payload == {"total": "49.50", "lines": [1, None]}
    assert (event.metadata, event.note, event.issued_by) == ({"@source": "web"}, "by telephone", JANE)
    assert event.created_at == "2026-09-21T14:13:20.000000Z"
    head = orders.head
    assert head is not None
    assert (head.message, head.actor, head.count, head.index) == ("the first", JANE, 1, orders.root())


def test_names_with_quotes_come_back(orders: dbx.Domain) -> None:
    actor = dbx.Actor('o"ps', "j\\ane")
    assert orders.append("order", "o-1", "placed", {"a": 'x"y'}, actor=actor).issued_by == actor
    assert next(orders.events()).issued_by == actor


def test_given_times_and_ids_are_kept(orders: dbx.Domain) -> None:
    moment = datetime(2020, 2, 29, 1, 0, tzinfo=timezone(timedelta(hours=1)))
    first = orders.append("order", "o-1", "placed", {}, created_at=moment, event_id=77)
    second = orders.append("order", "o-1", "paid", {}, created_at="2020-02-29T00:00:01Z")
    assert (first.created_at, first.event_id) == ("2020-02-29T00:00:00.000000Z", 77)
    assert second.created_at == "2020-02-29T00:00:01.000000Z"
    assert orders.event("77") == orders.event(77) == first


def test_what_the_caller_changes_later_changes_nothing(orders: dbx.Domain) -> None:
    payload: dict[str, Any] = {"lines": [{"n": 1}]}
    event = orders.append("order", "o-1", "placed", payload)
    payload["lines"][0]["n"] = 2
    assert event.payload is not None
    event.payload["lines"].append(3)
    orders.get("order", "o-1").state["lines"].append(4)
    assert orders.get("order", "o-1").state == {"lines": [{"n": 1}]} == orders.verify("order", "o-1").state


def test_versions_are_expected(orders: dbx.Domain) -> None:
    orders.append("order", "o-1", "placed", {}, expected_version=0)
    orders.append("order", "o-1", "paid", {}, expected_version=1)
    with pytest.raises(dbx.Conflict, match="is at version 2, not 1") as caught:
        orders.append("order", "o-1", "paid", {}, expected_version=1)
    assert caught.value.details == {"expected": 1, "version": 2}
    with pytest.raises(dbx.NotFound, match="does not exist"):
        orders.append("order", "o-2", "placed", {}, create=False)
    orders.append("order", "o-1", "paid", {}, create=False)
    assert [a.version for a in orders.list()] == [3]


REFUSED: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("aggregate type", ("Order", "o-1", "placed", {}), {}),
    ("aggregate type", (["order"], "o-1", "placed", {}), {}),
    ("aggregate id", ("order", "o 1", "placed", {}), {}),
    ("aggregate id", ("order", 17, "placed", {}), {}),
    ("event type", ("order", "o-1", "Placed!", {}), {}),
    ("reserved", ("order", "o-1", "aggregate_archived", {}), {}),
    ("payload", ("order", "o-1", "placed", ["a"]), {}),
    ("payload", ("order", "o-1", "placed", None), {}),
    ("payload", ("order", "o-1", "placed", {"a": float("nan")}), {}),
    ("payload", ("order", "o-1", "placed", {"a": 2**53}), {}),
    ("payload", ("order", "o-1", "placed", {"a": "\ud800"}), {}),
    ("payload", ("order", "o-1", "placed", {"a": object()}), {}),
    ("payload", ("order", "o-1", "placed", {1: "a"}), {}),
    ("payload", ("order", "o-1", "placed", {"a": "x" * 300_000}), {}),
    ("metadata", ("order", "o-1", "placed", {}), {"metadata": {"source": 1}}),
    ("metadata", ("order", "o-1", "placed", {}), {"metadata": ["@a"]}),
    ("note", ("order", "o-1", "placed", {}), {"note": "n" * 129}),
    ("expected_version", ("order", "o-1", "placed", {}), {"expected_version": -1}),
    ("expected_version", ("order", "o-1", "placed", {}), {"expected_version": "1"}),
    ("time", ("order", "o-1", "placed", {}), {"created_at": "yesterday"}),
    ("time", ("order", "o-1", "placed", {}), {"created_at": datetime(2020, 1, 1)}),  # noqa: DTZ001
    ("event id", ("order", "o-1", "placed", {}), {"event_id": -1}),
    ("actor", ("order", "o-1", "placed", {}), {"actor": dbx.Actor("", "jane")}),
    ("message", ("order", "o-1", "placed", {}), {"message": "m" * 40_000}),
    ("message", ("order", "o-1", "placed", {}), {"message": "\ud800"}),
]


@pytest.mark.parametrize(("word", "arguments", "options"), REFUSED)
def test_a_refusal_leaves_nothing_behind(
    orders: dbx.Domain, word: str, arguments: tuple[Any, ...], options: dict[str, Any]
) -> None:
    orders.append("order", "o-0", "placed", {"a": 1})
    before = orders.root(), orders.head
    with pytest.raises(dbx.Invalid, match=word):
        orders.append(*arguments, **options)
    assert (orders.root(), orders.head) == before
    assert [a.aggregate_id for a in orders.list()] == ["o-0"]
    assert orders.append("order", "o-1", "placed", {}).version == 1


def test_an_id_is_given_once(orders: dbx.Domain) -> None:
    orders.append("order", "o-1", "placed", {}, event_id=77)
    with pytest.raises(dbx.Conflict, match="'77' is taken"):
        orders.append("order", "o-1", "placed", {}, event_id=77)
    assert orders.append("order", "o-1", "placed", {}).version == 2


# -- batches ---------------------------------------------------------------------------------------------------------


def test_a_batch_is_one_commit(orders: dbx.Domain) -> None:
    with orders.batch("two orders", actor=JANE) as batch:
        batch.append("order", "o-1", "placed", {"a": 1}, expected_version=0)
        batch.append("order", "o-1", "paid", {"b": 2}, expected_version=1, note="cash")
        batch.append("order", "o-2", "placed", {}, metadata={"@source": "web"})
        assert len(batch) == 3
        assert orders.head is None
    assert batch.commit == orders.head
    assert batch.commit is not None
    assert (batch.commit.count, batch.commit.message, batch.commit.actor) == (3, "two orders", JANE)
    assert batch.events == list(orders.events())
    assert [e.version for e in batch.events] == [1, 2, 1]
    assert orders.get("order", "o-1").state == {"a": 1, "b": 2}


def test_an_exception_commits_nothing(orders: dbx.Domain) -> None:
    with pytest.raises(ZeroDivisionError), orders.batch() as batch:  # noqa: PT012 - the block is what is tested
        batch.append("order", "o-1", "placed", {})
        batch.append("order", "o-1", "placed", {"a": 1 / 0})
    assert (orders.head, batch.commit, batch.events) == (None, None, [])
    assert orders.find("order", "o-1") is None


def test_an_empty_batch_commits_nothing(orders: dbx.Domain) -> None:
    with orders.batch("nothing") as batch:
        pass
    assert (orders.head, batch.commit) == (None, None)
    with pytest.raises(dbx.UsageError, match="over"):
        batch.append("order", "o-1", "placed", {})


def test_a_batch_is_refused_whole(orders: dbx.Domain) -> None:
    batch = orders.batch()
    batch.append("order", "o-1", "placed", {})
    batch.append("order", "o-1", "paid", {}, expected_version=7)
    with pytest.raises(dbx.Conflict, match=r"event 2 of the batch is refused, and nothing was committed"), batch:
        pass
    assert (orders.head, orders.find("order", "o-1")) == (None, None)
    batch = orders.batch()
    batch.append("Order", "o-1", "placed", {})
    batch.append("order", "o 1", "paid", {})
    with pytest.raises(dbx.Invalid, match=r"event 1 .*, and 1 more"), batch:
        pass
    with pytest.raises(dbx.NotFound), orders.batch(create=False) as batch:
        batch.append("order", "o-1", "placed", {})
    assert orders.head is None


def test_a_large_batch(orders: dbx.Domain) -> None:
    with orders.batch() as batch:
        for n in range(3000):
            batch.append("order", f"o-{n % 7}", "placed", {"n": n, "text": "x" * 400})
    assert [e.payload["n"] for e in orders.events("order", "o-3") if e.payload] == list(range(3, 3000, 7))
    assert orders.append("order", "o-3", "paid", {}).position == 3000


# -- reading ---------------------------------------------------------------------------------------------------------


def test_questions(orders: dbx.Domain) -> None:
    assert (list(orders.events()), list(orders.commits()), list(orders.list()), orders.head) == ([], [], [], None)
    empty = orders.root()
    for n in range(5):
        orders.append("order", "o-1", "counted", {"n": n, f"k{n}": True})
    orders.append("person", "p-1", "born", {"name": "Ann"})
    assert orders.root() != empty
    assert orders.get("order", "o-1", 2).state == {"n": 1, "k0": True, "k1": True}
    assert orders.get("order", "o-1") == orders.get("order", "o-1", 5) == orders.verify("order", "o-1")
    assert orders.find("order", "o-1", 6) is None
    assert [e.position for e in orders.events(start=4)] == [4, 5]
    assert [e.aggregate_id for e in orders.events("person")] == ["p-1"]
    assert [e.version for e in orders.events("order", "o-1", start=3)] == [4, 5]
    assert [a.aggregate_type for a in orders.list()] == ["order", "person"]
    assert [a.aggregate_id for a in orders.list("person")] == ["p-1"]
    assert list(orders.list(archived=True)) == []
    assert [c.seq for c in orders.commits()] == [5, 4, 3, 2, 1, 0]
    assert [c.seq for c in orders.commits(newest_first=False)] == [0, 1, 2, 3, 4, 5]
    parents = [c.parent for c in orders.commits()]
    assert parents == [*[c.id for c in orders.commits()][1:], None]


def test_what_is_not_there(orders: dbx.Domain) -> None:
    for question in (
        lambda: orders.get("order", "o-1"),
        lambda: orders.verify("order", "o-1"),
        lambda: list(orders.events("order", "o-1")),
        lambda: orders.event(5),
    ):
        with pytest.raises(dbx.NotFound):
            question()
    assert list(orders.events("order")) == []
    with pytest.raises(dbx.UsageError, match="type and its id"):
        orders.events(id="o-1")
    with pytest.raises(dbx.Invalid, match="event id"):
        orders.event("one")


def test_another_reader_sees_it_at_once(tmp_path: Path) -> None:
    with dbx.init(tmp_path) as writing, dbx.open(tmp_path) as reading:
        for n in range(1, 20):
            event = writing.domain().append("order", "o-1", "counted", {"n": n})
            assert reading.domain().get("order", "o-1").version == n
            assert reading.domain().root() == writing.domain().root()
            assert reading.domain().event(event.event_id) == event


# -- many at a time --------------------------------------------------------------------------------------------------


def test_threads_append_at_the_same_time(orders: dbx.Domain) -> None:
    threads, each = 8, 40
    failed: list[BaseException] = []
    seen: list[dbx.Event] = []

    def work(number: int) -> None:
        try:
            for n in range(each):
                seen.append(orders.append("order", f"own-{number}", "counted", {"n": n}, expected_version=n))
                seen.append(orders.append("order", "shared", "counted", {f"{number}": n}))
                with pytest.raises(dbx.Conflict):
                    orders.append("order", "shared", "counted", {}, expected_version=0)
                with pytest.raises(dbx.Invalid):
                    orders.append("order", "shared", "counted", {}, message="\ud800")
                assert orders.get("order", f"own-{number}").version == n + 1
        except BaseException as error:
            failed.append(error)

    running = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert failed == []
    stored = list(orders.events())
    assert sorted(seen, key=lambda e: e.position) == stored
    assert [e.position for e in stored] == list(range(2 * threads * each))
    assert len({e.event_id for e in stored}) == len(stored)
    assert orders.verify("order", "shared").state == {str(n): each - 1 for n in range(threads)}
    assert len(list(orders.commits())) == len(stored)


WORKER = """
import sys, dbx
path, name, goal = sys.argv[1], sys.argv[2], int(sys.argv[3])
won = 0
with dbx.open(path) as repository:
    domain = repository.domain()
    while True:
        found = domain.find("counter", "c")
        version = found.version if found else 0
        if version >= goal:
            break
        try:
            domain.append("counter", "c", "counted", {"n": version, name: won}, expected_version=version)
            won += 1
        except dbx.Conflict:
            continue
print(won)
"""


def test_two_processes_count_together(tmp_path: Path) -> None:
    dbx.init(tmp_path).close()
    goal = 120
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(tmp_path), name, str(goal)], stdout=subprocess.PIPE, text=True
        )
        for name in ("a", "b")
    ]
    won = [int(process.communicate(timeout=120)[0]) for process in running]
    assert [process.returncode for process in running] == [0, 0]
    with dbx.open(tmp_path) as repository:
        counter = repository.domain().verify("counter", "c")
        assert counter.version == sum(won) == goal
        assert counter.state["n"] == goal - 1
        assert [e.payload["n"] for e in repository.domain().events() if e.payload] == list(range(goal))
        assert len({e.event_id for e in repository.domain().events()}) == goal


# -- the package -----------------------------------------------------------------------------------------------------


def test_importing_the_package_loads_nothing() -> None:
    script = "import sys; before = set(sys.modules); import dbx; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["dbx"]


def test_everything_promised_is_there() -> None:
    from dbx import api

    assert set(dbx.__all__) == {*api.__all__, "__version__"}
    for name in dbx.__all__:
        assert getattr(dbx, name) is not None
    assert set(dbx.__all__) <= set(dir(dbx))
    with pytest.raises(AttributeError, match="no attribute 'push'"):
        dbx.push  # noqa: B018


def test_the_clock_is_the_callers(tmp_path: Path) -> None:
    moment = datetime(2030, 1, 2, tzinfo=UTC)
    with dbx.init(tmp_path, clock=lambda: int(moment.timestamp() * 1_000_000)) as repository:
        assert repository.domain().append("order", "o-1", "placed", {}).created_at == "2030-01-02T00:00:00.000000Z"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_repository_of_another_user_is_opened_only_where_it_is_trusted(tmp_path: Path) -> None:
    dbx.init(tmp_path).close()
    inside = tmp_path / ".dbx"
    os.chown(inside, 65534, 65534)
    with pytest.raises(dbx.Denied):
        dbx.open(tmp_path)
    with pytest.raises(dbx.Denied):
        dbx.open(tmp_path, safe=[tmp_path / "other"])
    for safe in ([inside], [str(inside)], ["*"]):
        with dbx.open(tmp_path, safe=safe) as repository:
            assert repository.domains() == ["default"]


def test_a_repository_that_seals_is_opened_with_its_key(tmp_path: Path) -> None:
    from dbx.errors import Invalid, KeyFailure
    from dbx.repo.vault.keyring import set_dek
    from dbx.store.fs import Directory

    dbx.init(tmp_path).close()
    key = bytes(range(32))
    set_dek(
        Directory(str(tmp_path / ".dbx")), key, store=False, clock=lambda: 1_790_000_000_000_000, entropy=os.urandom
    )
    with dbx.open(tmp_path, dek=key) as repository:
        repository.domain().append("order", "o-1", "order_placed", {"total": 1})
    with dbx.open(tmp_path, dek=key) as repository:
        assert repository.domain().get("order", "o-1").state == {"total": 1}
    with dbx.open(tmp_path) as repository, pytest.raises(KeyFailure):
        repository.domain().get("order", "o-1")
    with pytest.raises(Invalid):
        dbx.open(tmp_path, dek=b"short")
