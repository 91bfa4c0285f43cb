"""The index made anew: from a damaged one, beside a good one, and where history was lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dbx.errors import Corrupt
from dbx.formats.envelope import Actor
from dbx.repo import query
from dbx.repo.upkeep.reindex import LostAggregate, reindex
from tests.history import append, cut_journal, fill, open_repository

ANN = Actor("ops", "ann")


def domain_path(path: Path) -> Path:
    return path / ".dbx" / "domains" / "default"


def leftovers(path: Path) -> list[str]:
    return [name for name in os.listdir(domain_path(path)) if name.startswith(".tmp-")]


def test_a_new_index_says_what_the_old_one_said(tmp_path: Path) -> None:
    ids = fill(tmp_path, 4)
    domain = open_repository(tmp_path).domain()
    before = query.list_aggregates(domain)
    inode = os.stat(domain_path(tmp_path) / "index.db").st_ino
    told: list[int] = []
    done = reindex(domain, actor=ANN, progress=told.append)
    assert done[:4] == (3, ids[-1], 8, 5)
    assert done.loss is None
    assert query.list_aggregates(domain) == before
    assert os.stat(domain_path(tmp_path) / "index.db").st_ino != inode
    assert leftovers(tmp_path) == []
    append(domain, "o-9")
    assert query.get_aggregate(open_repository(tmp_path).domain(), "order", "o-9").version == 1


@pytest.mark.parametrize("damage", [b"", b"no database at all" * 1000])
def test_a_damaged_index_is_replaced(tmp_path: Path, damage: bytes) -> None:
    fill(tmp_path)
    for old in domain_path(tmp_path).glob("index.db*"):
        old.unlink()
    (domain_path(tmp_path) / "index.db").write_bytes(damage)
    done = reindex(open_repository(tmp_path).domain(), actor=ANN)
    assert (done.seq, done.events, done.aggregates, done.loss) == (2, 6, 4, None)


def test_damage_in_the_log_leaves_the_old_index(tmp_path: Path) -> None:
    fill(tmp_path, 40)
    (journal,) = domain_path(tmp_path).glob("journal-*")
    data = bytearray(journal.read_bytes())
    data[len(data.rstrip(b"\0")) // 2] ^= 1
    journal.write_bytes(data)
    before = (domain_path(tmp_path) / "index.db").read_bytes()
    with pytest.raises(Corrupt):
        reindex(open_repository(tmp_path).domain(), actor=ANN, accept_loss=True)
    assert (domain_path(tmp_path) / "index.db").read_bytes() == before
    assert leftovers(tmp_path) == []


def test_lost_commits_are_refused_and_named(tmp_path: Path) -> None:
    ids = fill(tmp_path, 5)
    cut_journal(domain_path(tmp_path), 3)
    domain = open_repository(tmp_path).domain()
    for _ in range(2):
        with pytest.raises(Corrupt, match="ends with commit 2, but commits up to 4 with 4 events were there") as caught:
            reindex(domain, actor=ANN)
        assert caught.value.details == {"first": 3, "last": 4, "last_commit": ids[4], "events": 4, "aggregates": 3}
    # The index that knew of them is still there, and still says so.
    with pytest.raises(Corrupt, match="ends at byte"):
        domain.sync()


def test_an_accepted_loss_is_in_the_reflog_and_history_goes_on(tmp_path: Path) -> None:
    ids = fill(tmp_path, 5)
    cut_journal(domain_path(tmp_path), 3)
    domain = open_repository(tmp_path).domain()
    done = reindex(domain, actor=ANN, accept_loss=True)
    assert (done.seq, done.commit, done.events) == (2, ids[2], 6)
    assert done.loss is not None
    assert (done.loss.commits, done.loss.events, done.loss.aggregate_count) == (2, 4, 3)
    assert sorted(done.loss.aggregates or []) == [
        LostAggregate("order", "all", 5, 3),
        LostAggregate("order", "o-3", 1, 0),
        LostAggregate("order", "o-4", 1, 0),
    ]
    last = domain.reflog.last()
    assert last is not None
    assert (last.old, last.new, last.seq, last.actor) == (ids[4], ids[2], 2, ANN)
    assert last.reason == "reindex --accept-loss: commits 3 to 4 are lost"
    append(domain, "o-9")
    again = open_repository(tmp_path).domain()
    assert again.sync().head.seq == 3
    assert query.get_aggregate(again, "order", "all").version == 3


def test_what_only_the_reflog_knows_is_lost_too(tmp_path: Path) -> None:
    ids = fill(tmp_path, 3)
    for name in ("index.db", "index.db-wal", "index.db-shm"):
        (domain_path(tmp_path) / name).unlink(missing_ok=True)
    (journal,) = domain_path(tmp_path).glob("journal-*")
    journal.unlink()
    domain = open_repository(tmp_path).domain()
    for _ in range(2):
        with pytest.raises(Corrupt, match="the reflog knows commit 2") as caught:
            domain.sync()
        assert caught.value.hint is not None
        assert "--accept-loss" in caught.value.hint
    with pytest.raises(Corrupt, match="ends with commit -1, but commits up to 2 were there before"):
        reindex(domain, actor=ANN)
    done = reindex(domain, actor=None, accept_loss=True)
    assert done.loss is not None
    assert (done.seq, done.commit, done.loss.last_commit, done.loss.events) == (-1, None, ids[2], None)
    assert query.list_aggregates(domain) == []
    append(domain, "o-1")
    assert open_repository(tmp_path).domain().sync().head.seq == 0
