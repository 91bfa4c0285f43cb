"""queue.db holds what failed and how far each plugin is, and refuses what it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbx.errors import Corrupt
from dbx.store.queue import Queue
from dbx.store.queuelayout import DEAD, PENDING, Job, Lane, QueueUnavailable


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(str(tmp_path / "queue.db"))


def lane(position: int, aggregate: str = "a", plugin: str = "p") -> Lane:
    return Lane(plugin, "t", aggregate, position, PENDING, 1, 5, "e", 1, 0, 7)


def job(position: int, status: str = DEAD, plugin: str = "p") -> Job:
    return Job(plugin, position, "t", "a", 7, status, 1, 5, "e", 0)


def test_a_plugin_that_begins_anew_is_a_new_one(queue: Queue) -> None:
    with queue.write():
        queue.set_cursor("p", 5)
        queue.put_lane(lane(3))
        queue.put_job(job(1))
        queue.add_done("p", 0, 4, 5, 9)
        queue.put_mark("p", 4, b"x")
        queue.put_job(job(2, plugin="other"))
    with queue.write():
        queue.start_anew("p", 9)
    assert queue.find_cursor("p") is not None
    assert (queue.lanes("p"), queue.jobs("p"), queue.count_done("p"), queue.marks("p")) == ([], [], 0, [])
    assert len(queue.jobs()) == 1
    assert queue.lowest() == 2


def test_a_transaction_that_fails_leaves_nothing(queue: Queue) -> None:
    def fail() -> None:
        with queue.write():
            queue.set_cursor("p", 1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert queue.find_cursor("p") is None


def test_rewinding_forgets_what_lay_behind(queue: Queue) -> None:
    with queue.write():
        queue.set_cursor("p", 50)
        for n in (5, 30):
            queue.put_lane(lane(n, f"a{n}"))
            queue.put_job(job(n))
            queue.put_mark("p", n, bytes([n]))
        queue.rewind("p", 20)
    assert [found.position for found in queue.lanes("p")] == [5]
    assert [found.position for found in queue.jobs("p")] == [5]
    assert queue.marks("p") == [(5, b"\x05")]
    found = queue.find_cursor("p")
    assert found is not None
    assert found.position == 20


def test_marks_grow_thin_with_their_age(queue: Queue) -> None:
    for n in range(2000):
        queue.put_mark("p", n, b"x")
    kept = [position for position, _ in queue.marks("p")]
    assert kept[0] == 1999
    assert len(kept) < 40
    for age in (1, 10, 100, 1000):  # some mark is at most about three times as old as anything taken back
        assert any(age <= 1999 - position <= 3 * age + 3 for position in kept), age


def test_done_is_trimmed_from_the_oldest(queue: Queue) -> None:
    for at in range(5):
        queue.add_done("p", at * 10, at * 10 + 9, 10, at)
    with queue.write():
        assert queue.trim_done(25) == 25
    assert queue.count_done("p") == 25
    with queue.write():
        assert queue.clear_done(4) == 15
        assert queue.clear_done(100) == 10
    assert queue.count_done("p") == 0


def test_only_what_others_write_is_a_change(tmp_path: Path, queue: Queue) -> None:
    assert queue.changed()
    queue.set_cursor("p", 1)
    assert not queue.changed()
    other = Queue(str(tmp_path / "queue.db"))
    other.set_cursor("p", 2)
    assert queue.changed()
    assert not queue.changed()


def test_errors_are_rewritten_everywhere(tmp_path: Path, queue: Queue) -> None:
    with queue.write():
        queue.set_cursor("p", 1)
        queue.note_error("p", "canary", 1)
        queue.put_lane(lane(1)._replace(error="canary"))
        queue.put_job(job(1)._replace(error="canary"))
    queue.rewrite_errors(lambda _: "covered")
    queue.close()
    for file in tmp_path.iterdir():
        assert b"canary" not in file.read_bytes()


@pytest.mark.parametrize("data", [b"no database at all", b"SQLite format 3\0" + b"\xff" * 200])
def test_a_file_that_is_none(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "queue.db"
    path.write_bytes(data)
    with pytest.raises(Corrupt, match="cannot be read"):
        Queue(str(path))


def test_a_newer_one(tmp_path: Path, queue: Queue) -> None:
    queue.run("PRAGMA user_version=99")
    with pytest.raises(Corrupt, match="newer dbx"):
        Queue(str(tmp_path / "queue.db"))


def test_one_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(QueueUnavailable):
        Queue(str(tmp_path / "missing" / "queue.db"))
