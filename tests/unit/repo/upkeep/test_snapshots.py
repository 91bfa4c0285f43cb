"""Snapshots hold what the events add up to, and no read believes one that does not."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest

from dbx.errors import Corrupt, NotFound
from dbx.model.event import ERASED
from dbx.model.snapshot import Policy
from dbx.repo import config
from dbx.repo.domain import Domain
from dbx.repo.query import get_aggregate
from dbx.repo.upkeep.snapshots import (
    get_snapshot,
    list_snapshots,
    prune_snapshots,
    refill_emptied,
    take_snapshot,
    verify_snapshot,
    verify_snapshots,
)
from dbx.repo.writer import Append, Appender
from tests.history import append, item, open_repository


def grow(domain: Domain, count: int, name: str = "o-1") -> None:
    source = random.Random(count)
    Appender(domain).append(
        Append([item(name, n=n, **{f"k{source.randrange(9)}": [n]}) for n in range(count)], issued_by=None)
    )


@pytest.fixture
def domain(tmp_path: Path) -> Domain:
    domain = open_repository(tmp_path).domain()
    grow(domain, 60)
    return domain


def change(domain: Domain, sql: str, *values: object) -> None:
    domain.close()
    database = sqlite3.connect(domain.directory.path_of("snapshots.db"))
    with database:
        database.execute(sql, values)
    database.close()


def test_a_snapshot_is_the_aggregate_at_its_version(domain: Domain) -> None:
    latest = take_snapshot(domain, "order", "o-1", comment="now")
    older = take_snapshot(domain, "order", "o-1", 33)
    assert latest.aggregate == get_aggregate(domain, "order", "o-1")
    assert (latest.comment, latest.automatic, older.comment) == ("now", False, None)
    assert older.id > latest.id
    assert older.aggregate == get_aggregate(domain, "order", "o-1", 33)
    assert list(list_snapshots(domain)) == [older, latest]
    assert list(list_snapshots(domain, "order", "o-1", 33)) == [older]
    assert list(list_snapshots(domain, "order", "o")) == list(list_snapshots(domain, "orde")) == []
    assert get_snapshot(domain, older.id) == older
    assert verify_snapshot(domain, older.id) == older
    assert [fault for _, fault in verify_snapshots(domain)] == [None, None]


def test_what_is_not_there(domain: Domain) -> None:
    with pytest.raises(NotFound, match="does not exist"):
        take_snapshot(domain, "order", "none")
    for version in (61, 0):
        with pytest.raises(NotFound, match="its latest is 60"):
            take_snapshot(domain, "order", "o-1", version)
    assert not domain.directory.exists("snapshots.db")
    with pytest.raises(NotFound, match="snapshot 7 not found"):
        get_snapshot(domain, 7)
    assert list(list_snapshots(domain)) == []
    assert prune_snapshots(domain, Policy(keep_last=0)) == ([], 0, 0)


def test_many_are_listed_page_by_page(domain: Domain) -> None:
    for n in range(600):
        take_snapshot(domain, "order", "o-1", n % 60 + 1)
    found = [one.aggregate.version for one in list_snapshots(domain)]
    assert found == sorted(found)
    assert len(found) == 600


# -- reading from them -------------------------------------------------------------------------------------------------


class Counted:
    """Counts the events that a read decodes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from dbx.repo import folding

        self.count = 0
        original = folding.decode_stored

        def decode(*arguments):  # type: ignore[no-untyped-def]
            self.count += 1
            return original(*arguments)

        monkeypatch.setattr(folding, "decode_stored", decode)


def test_an_older_version_begins_with_the_nearest_snapshot(domain: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = {n: get_aggregate(domain, "order", "o-1", n) for n in range(1, 61)}
    for version in (20, 40, 41):
        take_snapshot(domain, "order", "o-1", version)
    counted = Counted(monkeypatch)
    for version, expected in truth.items():
        counted.count = 0
        assert get_aggregate(domain, "order", "o-1", version) == expected
        nearest = max((n for n in (0, 20, 40, 41) if n <= version), default=0)
        assert counted.count == version - nearest


BAD = [
    "UPDATE snapshot SET state = '{\"n\":99}'",
    "UPDATE snapshot SET checksum = x'00'",
    "UPDATE snapshot SET root = zeroblob(32)",
    "UPDATE snapshot SET edge = x''",
    "UPDATE snapshot SET leaf = zeroblob(32)",
    "UPDATE snapshot SET version = version - 1",
    "UPDATE snapshot SET archived = 1",
    "UPDATE snapshot SET state = CAST(state AS TEXT)",
]


@pytest.mark.parametrize("sql", BAD)
def test_a_bad_snapshot_is_passed_over_and_named(domain: Domain, sql: str) -> None:
    truth = [get_aggregate(domain, "order", "o-1", n) for n in (40, 50, 60)]
    good = take_snapshot(domain, "order", "o-1", 20)
    bad = take_snapshot(domain, "order", "o-1", 40)
    change(domain, f"{sql} WHERE id = ?", bad.id)
    assert [get_aggregate(domain, "order", "o-1", n) for n in (40, 50, 60)] == truth
    with pytest.raises(Corrupt, match=str(bad.id)):
        get_snapshot(domain, bad.id)
    with pytest.raises(Corrupt, match=str(bad.id)):
        list(list_snapshots(domain))
    assert get_snapshot(domain, good.id) == good
    prune_snapshots(domain, Policy(keep_last=0), "order", "o-1")
    assert list(list_snapshots(domain)) == []


def forge(domain: Domain, snapshot_id: int, **changes: object) -> None:
    """Change a snapshot and make its checksum anew, as nobody does by accident."""
    from dbx.store.snapshots import Snapshots

    domain.close()
    database = Snapshots(domain.directory.path_of("snapshots.db"))
    row = database.find(snapshot_id)
    assert row is not None
    with database.write():
        database.put(row._replace(**changes))  # type: ignore[arg-type]
    database.close()


def test_one_of_another_history_is_passed_over_and_verify_names_it(domain: Domain, tmp_path: Path) -> None:
    other = open_repository(tmp_path / "other").domain()
    grow(other, 60)
    truth = get_aggregate(domain, "order", "o-1", 50)
    theirs = take_snapshot(other, "order", "o-1", 40)
    other.close()
    domain.close()
    path = Path(other.directory.path_of("snapshots.db"))
    Path(domain.directory.path_of("snapshots.db")).write_bytes(path.read_bytes())
    assert get_aggregate(domain, "order", "o-1", 50) == truth
    ((_, fault),) = verify_snapshots(domain)
    assert fault is not None
    assert str(theirs.id) in fault.message
    assert "root" in fault.message


def test_verify_finds_a_forged_state(domain: Domain) -> None:
    take_snapshot(domain, "order", "o-1", 20)
    bad = take_snapshot(domain, "order", "o-1", 40)
    take_snapshot(domain, "order", "o-1", 50)
    forge(domain, bad.id, state=b'{"n":1}')
    assert [fault is None for _, fault in verify_snapshots(domain)] == [True, False, True]
    with pytest.raises(Corrupt, match=f"'{bad.id}' of 'order/o-1' at version 40: its state differ"):
        verify_snapshot(domain, bad.id)
    forge(domain, bad.id, version=99)
    assert "has only 60 versions" in str([fault for _, fault in verify_snapshots(domain) if fault])


@pytest.mark.parametrize("data", [b"", b"rubbish" * 1000, b"SQLite format 3\0" + b"\0" * 4096])
def test_a_file_that_is_none_does_not_stop_a_read(domain: Domain, data: bytes) -> None:
    truth = get_aggregate(domain, "order", "o-1", 50)
    Path(domain.directory.path_of("snapshots.db")).write_bytes(data)
    assert get_aggregate(domain, "order", "o-1", 50) == truth
    if data:
        with pytest.raises(Corrupt, match=r"snapshots\.db"):
            list(list_snapshots(domain))


def test_a_link_is_refused(domain: Domain, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"")
    Path(domain.directory.path_of("snapshots.db")).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Corrupt, match="symbolic link"):
        take_snapshot(domain, "order", "o-1")


# -- pruning and erasing -----------------------------------------------------------------------------------------------


def test_what_is_pruned_is_gone_from_the_disk(domain: Domain) -> None:
    Appender(domain).append(Append([item("o-2", secret="canary-" * 2000)], issued_by=None))
    take_snapshot(domain, "order", "o-1", 10)
    take_snapshot(domain, "order", "o-2")
    said = prune_snapshots(domain, Policy(larger_than=5000), dry_run=True)
    path = Path(domain.directory.path_of("snapshots.db"))
    assert len(list(list_snapshots(domain))) == 2
    done = prune_snapshots(domain, Policy(larger_than=5000))
    assert done == said
    assert (len(done.snapshots), done.kept, done.freed_bytes > 14_000) == (1, 1, True)
    domain.close()
    assert not any(b"canary" in one.read_bytes() for one in path.parent.glob("snapshots.db*"))
    assert path.stat().st_size < 40_000


def test_an_erased_body_goes_from_the_snapshots_as_well(domain: Domain) -> None:
    Appender(domain).append(Append([item("o-2", secret="canary" * 50, keep=n) for n in range(20)], issued_by=None))
    config.change(open_repository(Path(domain.directory.path).parents[2]), domain, {"snapshot_threshold": 1000})
    mine = take_snapshot(domain, "order", "o-2", 18, "mine")
    assert mine.aggregate.state["secret"].startswith("canary")
    file = domain.snapshots
    assert file is not None
    snapshots = file.find()
    assert snapshots is not None
    # What replaying does with every aggregate that lost a body (repo.refold).
    working = domain.sync()
    record = working.find("order", "o-2")
    assert record is not None
    from dbx.repo.refold import refold_record

    refold_record(domain, working, record)
    path = Path(domain.directory.path_of("snapshots.db"))
    assert not any(b"canary" in one.read_bytes() for one in path.parent.glob("snapshots.db*"))
    assert get_aggregate(domain, "order", "o-2", 19).version == 19
    assert refill_emptied(domain) == 1
    assert refill_emptied(domain) == 0
    assert get_snapshot(domain, mine.id) == mine
    assert ERASED == "body_erased"


def test_a_snapshot_of_an_archived_aggregate(domain: Domain) -> None:
    Appender(domain).append(
        Append(
            [{"aggregate_type": "order", "aggregate_id": "o-1", "event_type": "aggregate_archived", "payload": {}}],
            issued_by=None,
            reserved=True,
        )
    )
    assert take_snapshot(domain, "order", "o-1").aggregate.archived
    append(domain, "x")
    assert verify_snapshot(domain, next(iter(list_snapshots(domain))).id).aggregate.version == 61
