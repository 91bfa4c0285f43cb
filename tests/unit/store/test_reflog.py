"""The reflog on disk: evidence that interrupted and damaged lines do not spoil."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbx.errors import Corrupt
from dbx.formats.envelope import Actor
from dbx.formats.reflog import ReflogEntry
from dbx.store.fs import Directory
from dbx.store.lock import Lock
from dbx.store.reflog import Reflog

NAME = "logs/refs/heads/main"


def entry(seq: int) -> ReflogEntry:
    old = f"{seq:064x}" if seq else None
    return ReflogEntry(old, f"{seq + 1:064x}", seq, "2026-11-23T07:42:00.123456Z", Actor("ops", "jane"), "commit")


@pytest.fixture
def reflog(tmp_path: Path) -> Reflog:
    return Reflog(Directory(str(tmp_path)), "refs/heads/main")


def test_entries_come_back(tmp_path: Path, reflog: Reflog) -> None:
    assert (reflog.last(), reflog.read()) == (None, [])
    reflog.append([entry(0), entry(1)])
    reflog.append([entry(2)])
    reflog.close()
    reflog.append([entry(3)])
    assert reflog.read() == [entry(n) for n in range(4)]
    assert reflog.last() == entry(3)
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600
    reflog.close()


@pytest.mark.parametrize("left", [b"0123", b"\0" * 20, b"\0" * 40_000, b"x" * 20_000])
@pytest.mark.parametrize("before", [0, 2])
def test_what_an_interruption_left_is_passed_over_and_cut_off(
    tmp_path: Path, reflog: Reflog, left: bytes, before: int
) -> None:
    reflog.append([entry(n) for n in range(before)])
    reflog.close()
    with (tmp_path / NAME).open("ab") as file:
        file.write(left)
    if len(left) < 10_000:
        assert reflog.last() == (entry(before - 1) if before else None)
    assert reflog.read() == [entry(n) for n in range(before)]
    reflog.append([entry(9)])
    reflog.close()
    assert reflog.read() == [*[entry(n) for n in range(before)], entry(9)]
    assert reflog.last() == entry(9)


def test_a_damaged_line_is_told_when_all_are_read_and_hides_no_other(tmp_path: Path, reflog: Reflog) -> None:
    reflog.append([entry(0), entry(1)])
    reflog.close()
    data = bytearray((tmp_path / NAME).read_bytes())
    data[-40] ^= 0x80
    (tmp_path / NAME).write_bytes(data)
    assert reflog.last() == entry(0)
    with pytest.raises(Corrupt, match=f"'{NAME}' is damaged"):
        reflog.read()


def test_a_long_reflog(reflog: Reflog) -> None:
    reflog.append([entry(n) for n in range(1000)])
    assert reflog.last() == entry(999)
    assert len(reflog.read()) == 1000
    reflog.close()


def test_entries_that_are_held_are_written_with_the_next_or_when_they_are_many(tmp_path: Path, reflog: Reflog) -> None:
    reflog.append([entry(0)])
    reflog.hold([entry(1)])
    assert reflog.holds
    assert reflog.last() == entry(0)
    reflog.append([entry(2)])
    assert not reflog.holds
    for n in range(3, 66):
        reflog.hold([entry(n)])
    assert reflog.last() == entry(2)
    reflog.hold([entry(66)])
    assert reflog.read() == [entry(n) for n in range(67)]
    reflog.hold([entry(67)])
    mine, other = (Lock(Directory(str(tmp_path)), "lock") for _ in range(2))
    other.acquire(0)
    reflog.settle(mine)
    assert not reflog.holds
    assert reflog.last() == entry(66)
    other.close()
    reflog.hold([entry(68)])
    reflog.settle(mine)
    assert not mine.held
    assert reflog.last() == entry(68)
    reflog.close()
    mine.close()


def test_newest_first_is_the_same_backwards(tmp_path: Path) -> None:
    log = Reflog(Directory(str(tmp_path)), "refs/heads/main")
    assert list(log.newest()) == []
    entries = [entry(n)._replace(reason="x" * (n * 7 % 900 + 1)) for n in range(400)]
    log.append(entries[:1], durable=True)
    log.append(entries[1:])
    assert list(log.newest()) == log.read()[::-1] == entries[::-1]
    path = tmp_path / "logs" / "refs" / "heads" / "main"
    whole = path.read_bytes()
    for cut in (1, 50, len(whole) - 10):
        path.write_bytes(whole[:cut])
        assert list(log.newest()) == log.read()[::-1]
    path.write_bytes(whole[:200].replace(b"commit", b"\0\0\0\0\0\0") + whole[200:])
    assert list(log.newest()) == log.read()[::-1]


def test_what_is_held_is_forgotten_where_others_have_written(tmp_path: Path, reflog: Reflog) -> None:
    reflog.append([entry(0)])
    reflog.hold([entry(1), entry(2)])
    other = Reflog(Directory(str(tmp_path)), "refs/heads/main")
    undone = entry(0)._replace(old=entry(2).new, new=entry(0).new, reason="undo: 2 commits")
    other.append([undone], durable=True)
    lock = Lock(Directory(str(tmp_path)), "lock")
    reflog.settle(lock)
    assert reflog.read() == [entry(0), undone]
    reflog.hold([entry(1)])
    reflog.append([entry(2)])
    assert reflog.read() == [entry(0), undone, entry(1), entry(2)]
    for each in (reflog, other, lock):
        each.close()
