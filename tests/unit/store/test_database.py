"""A SQLite file is laid out once, written whole or not at all, and whatever is wrong with it has a name of ours."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path
from threading import Barrier, Thread

import pytest

from dbx.errors import Corrupt
from dbx.store.database import MEMORY, Database, Layout, place
from dbx.store.fs import Directory


class Damaged(Corrupt):
    """It does not add up."""


class UnavailableError(OSError):
    """It cannot be reached."""


LAYOUT = Layout(
    2,
    ("CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID", "CREATE TABLE t (n INTEGER PRIMARY KEY)"),
    ("synchronous=NORMAL",),
    shrinks=True,
    damaged=Damaged,
    unavailable=UnavailableError,
    hint="do something",
    file="x.db",
)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "x.db")


def test_it_is_laid_out_when_it_is_new_and_found_again(path: str) -> None:
    first = Database(path, LAYOUT)
    first.set_meta("a", b"1")
    first.close()
    again = Database(path, LAYOUT)
    assert (again.get_meta("a"), again.get_meta("b")) == (b"1", None)
    assert again.one("PRAGMA user_version") == (2,)
    assert again.one("PRAGMA journal_mode") == ("wal",)
    assert again.one("PRAGMA auto_vacuum") == (2,)
    again.close()


def test_in_memory_nothing_is_written() -> None:
    database = Database(MEMORY, LAYOUT)
    assert database.run("INSERT INTO t VALUES (1)") == 1
    assert database.all("SELECT n FROM t") == [(1,)]


def test_many_that_open_it_at_once_lay_it_out_once(path: str) -> None:
    gate, opened = Barrier(8), []

    def work() -> None:
        gate.wait()
        opened.append(Database(path, LAYOUT))

    threads = [Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [database.one("SELECT count(*) FROM t") for database in opened] == [(0,)] * 8
    for database in opened:
        database.close()


def test_a_transaction_that_fails_leaves_nothing(path: str) -> None:
    database = Database(path, LAYOUT)

    def fail() -> None:
        with database.transaction():
            database.many("INSERT INTO t VALUES (?)", [(1,), (2,)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.transaction():
        database.run("INSERT INTO t VALUES (3)")
    assert database.all("SELECT n FROM t") == [(3,)]
    database.close()


def test_the_stamp_tells_of_others_only(path: str) -> None:
    ours, theirs = Database(path, LAYOUT), Database(path, LAYOUT)
    before = ours.stamp()
    ours.set_meta("a", 1)
    assert ours.stamp() == before
    theirs.set_meta("a", 2)
    assert ours.stamp() != before
    ours.close()
    theirs.close()


@pytest.mark.parametrize(
    ("number", "message", "hint"),
    [(3, "was written by a newer dbx", "upgrade dbx"), (1, "its layout 1 is that of an older dbx", "do something")],
)
def test_another_layout_is_refused(path: str, number: int, message: str, hint: str) -> None:
    Database(path, LAYOUT).close()
    with sqlite3.connect(path) as raw:
        raw.execute(f"PRAGMA user_version={number}")
    raw.close()
    with pytest.raises(Damaged, match=message) as caught:
        Database(path, LAYOUT)
    assert caught.value.hint == hint


def test_a_file_that_is_none_is_damaged(path: str) -> None:
    Path(path).write_bytes(b"not a database at all, and longer than the header of one" * 40)
    with pytest.raises(Damaged, match="cannot be read: file is not a database") as caught:
        Database(path, LAYOUT)
    assert caught.value.details == {"file": "x.db"}


def test_a_table_that_is_gone_is_damage(path: str) -> None:
    database = Database(path, LAYOUT)
    with pytest.raises(Damaged, match="no such table"):
        database.all("SELECT * FROM other")
    database.close()


def test_one_that_others_hold_is_no_damage(path: str) -> None:
    holder, waiting = Database(path, LAYOUT), Database(path, LAYOUT, timeout_s=0.01)
    with holder.transaction(), pytest.raises(UnavailableError, match="locked"), waiting.transaction():
        pass
    holder.close()
    waiting.close()


def test_reading_makes_no_file_and_changes_none(path: str) -> None:
    with pytest.raises(UnavailableError, match="unable to open"):
        Database(path, LAYOUT, read_only=True)
    assert not Path(path).exists()
    Path(path).touch()
    with pytest.raises(Damaged, match="it has no tables"):
        Database(path, LAYOUT, read_only=True)
    assert Path(path).read_bytes() == b""
    Path(path).unlink()
    Database(path, LAYOUT).close()
    reader = Database(path, LAYOUT, read_only=True)
    with pytest.raises(UnavailableError, match="readonly"):
        reader.set_meta("a", 1)
    reader.close()


HOLDER = """
import sys
from dbx.store.database import Database, place
from dbx.store.fs import Directory
from tests.unit.store.test_database import LAYOUT

directory = Directory(sys.argv[1])
place(directory, "x.db")
ours = Database(directory.path_of("x.db"), LAYOUT)
ours.set_meta("a", 1)
for _ in range(2):  # as others in this process do, who are done with it sooner
    place(directory, "x.db")
    directory.stat("x.db")
    Database(directory.path_of("x.db"), LAYOUT).close()
print("ready", flush=True)
sys.stdin.readline()
ours.set_meta("b", 2)
print("written", flush=True)
sys.stdin.readline()
"""


def test_placing_it_again_takes_no_locks_away(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        other = Database(str(tmp_path / "x.db"), LAYOUT)
        assert other.get_meta("a") == 1
        other.close()  # the last one to close removes the log of writes: it must not believe that it is the last
        assert (tmp_path / "x.db-wal").exists()
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "written\n"
        again = Database(str(tmp_path / "x.db"), LAYOUT)
        assert again.get_meta("b") == 2
        again.close()
        holder.stdin.write("\n")
    assert holder.returncode == 0


def test_a_file_is_placed_for_its_owner_alone_and_no_link_is_followed(tmp_path: Path) -> None:
    directory = Directory(str(tmp_path))
    inode = place(directory, "x.db")
    assert (tmp_path / "x.db").stat().st_ino == inode == place(directory, "x.db")
    assert (tmp_path / "x.db").stat().st_mode & 0o777 == 0o600
    (tmp_path / "link.db").symlink_to("x.db")
    (tmp_path / "dangling.db").symlink_to("nothing")
    for name in ("link.db", "dangling.db"):
        with pytest.raises(Corrupt, match="is a symbolic link"):
            place(directory, name)
    assert not (tmp_path / "nothing").exists()
