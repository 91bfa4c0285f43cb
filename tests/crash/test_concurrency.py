"""Many processes at once, one of them stopped, one killed: every acknowledged event once, no version missing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from dbx.repo import query
from tests.crash import strace, world
from tests.crash.test_kill import assert_sound

WRITERS = 6
EACH = 8


def payloads(where: Path) -> list[str]:
    with closing(world.open_repository(where)) as repository:
        return [event.payload["mark"] for event in query.iterate_events(repository.domain()) if event.payload]


def assert_no_gaps(where: Path) -> None:
    with closing(world.open_repository(where)) as repository:
        seen: Counter[str] = Counter()
        for event in query.iterate_events(repository.domain()):
            seen[event.aggregate_id] += 1
            assert event.version == seen[event.aggregate_id]


def apply(where: Path, aggregate: str, mark: str, *more: str) -> strace.Outcome:
    argv = ("aggregate", "apply", "order", aggregate, "marked", "--create", "--field", f"mark={mark}", *more)
    return strace.run(argv, where)


def test_many_writers(where: Path) -> None:
    world.make(where)

    def write(writer: int) -> list[str]:
        done = []
        for n in range(EACH):
            mark = f"{writer}-{n}"
            outcome = apply(where, f"o-{n % 3}", mark)
            assert outcome.status == 0, outcome
            done.append(mark)
        return done

    with ThreadPoolExecutor(WRITERS) as pool:
        acknowledged = [mark for marks in pool.map(write, range(WRITERS)) for mark in marks]
    assert sorted(payloads(where)) == sorted(acknowledged)
    assert_no_gaps(where)
    assert_sound(where)


def test_writers_and_readers_and_gc(where: Path) -> None:
    """Readers and housekeeping beside writers: nobody fails, nobody sees less than before."""
    world.make(where)
    stop = threading.Event()
    counts: list[int] = []

    def look() -> None:
        while not stop.is_set():
            outcome = strace.run(["status", "--json"], where)
            assert outcome.status == 0, outcome
            counts.append(json.loads(outcome.stdout)["events"])

    def tidy() -> None:
        while not stop.is_set():
            outcome = strace.run(["gc"], where)
            assert outcome.status == 0, outcome

    with ThreadPoolExecutor(4) as pool:
        others = [pool.submit(look), pool.submit(tidy)]
        try:
            writers = [
                pool.submit(lambda w=w: [apply(where, "o-1", f"{w}-{n}").status for n in range(10)]) for w in range(2)
            ]
            assert [status for writer in writers for status in writer.result()] == [0] * 20
        finally:
            stop.set()
        for other in others:
            other.result()
    assert counts == sorted(counts)
    assert len(payloads(where)) == 20
    assert_no_gaps(where)
    assert_sound(where)


HOLD = """
import sys, time
from tests.crash import world
from pathlib import Path
repository = world.open_repository(Path(sys.argv[1]))
domain = repository.domain()
domain.lock.acquire(1)
domain.staging_lock.acquire(1)
print("held", flush=True)
time.sleep(60)
"""


def hold(where: Path) -> subprocess.Popen[bytes]:
    """A process that holds the domain's locks."""
    root = Path(world.__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(where)], stdout=subprocess.PIPE, env=environment)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    return holder


def test_a_stopped_writer_is_named_and_a_dead_one_is_no_obstacle(where: Path) -> None:
    world.make(where)
    assert apply(where, "o-1", "first").status == 0
    world.stage_items(where, [world.item(1)])
    holder = hold(where)
    try:
        holder.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        for argv in (
            ("aggregate", "apply", "order", "o-1", "marked", "--field", "mark=second"),
            ("aggregate", "apply", "order", "o-1", "marked", "--field", "mark=second", "--stage"),
            ("commit",),
            ("gc",),
            ("reindex",),
        ):
            outcome = strace.run([*argv, "--wait", "0.3"], where)
            assert outcome.status == 9, (argv, outcome)
            assert f"process {holder.pid}" in outcome.stderr
            error = json.loads(strace.run([*argv, "--wait", "0", "--json"], where).stderr)["error"]
            assert (error["type"], error["status"], error["details"]["pid"]) == ("locked", 9, holder.pid)
        assert time.monotonic() - began < 30
        # Readers never wait.
        assert strace.run(["status"], where, timeout_s=20).status == 0
        assert strace.run(["aggregate", "get", "order", "o-1"], where, timeout_s=20).status == 0
        waiting = threading.Thread(target=apply, args=(where, "o-1", "patient"))
        waiting.start()
        holder.kill()
        waiting.join(15)
        assert not waiting.is_alive()
    finally:
        holder.kill()
        holder.wait()
    assert payloads(where) == ["first", "patient"]
    assert apply(where, "o-1", "third").status == 0
    assert_no_gaps(where)


def test_writers_are_killed_all_the_time(where: Path) -> None:
    """Of writers that die at any moment, what they acknowledged is there once, and nothing is there twice."""
    world.make(where)
    acknowledged: list[str] = []
    tried: list[str] = []

    def write(writer: int) -> None:
        for n in range(10):
            mark = f"{writer}-{n}"
            tried.append(mark)
            argv = [strace.DBX, "aggregate", "apply", "order", "o-1", "marked", "--create", "--field", f"mark={mark}"]
            process = subprocess.Popen(
                argv,
                cwd=where / "work",
                env=strace.environment(where / "home"),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            if n % 2:
                time.sleep(0.05 + 0.013 * ((writer * 7 + n) % 11))
                process.kill()
            if process.wait() == 0:
                acknowledged.append(mark)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    stored = Counter(payloads(where))
    assert set(acknowledged) <= set(stored) <= set(tried)
    assert set(stored.values()) == {1}
    assert_no_gaps(where)
    assert_sound(where)


def test_two_shells_stage_and_one_commits(where: Path) -> None:
    """Each batch is whole, none is lost, none is there twice."""
    world.make(where)
    size = 5
    for shell in range(2):
        for n in range(8):
            lines = [
                {
                    "aggregate_type": "order",
                    "aggregate_id": f"s{shell}-{n}",
                    "event_type": "marked",
                    "payload": {"mark": f"{shell}-{n}-{k}"},
                }
                for k in range(size)
            ]
            (where / "work" / f"{shell}-{n}.jsonl").write_text(world.lines(lines))
    done = threading.Event()

    def stage(shell: int) -> None:
        for n in range(8):
            outcome = strace.run(["aggregate", "apply", "--stage", "--from", f"{shell}-{n}.jsonl"], where)
            assert outcome.status == 0, outcome

    def commit() -> None:
        while not done.is_set():
            outcome = strace.run(["commit", "-m", "some"], where)
            assert outcome.status == 0, outcome

    with ThreadPoolExecutor(3) as pool:
        committing = pool.submit(commit)
        try:
            list(pool.map(stage, range(2)))
        finally:
            done.set()
        committing.result()
    assert strace.run(["commit"], where).status == 0
    marks = payloads(where)
    assert sorted(marks) == sorted(f"{shell}-{n}-{k}" for shell in range(2) for n in range(8) for k in range(size))
    for at in range(0, len(marks), size):
        batch, _, first = marks[at].rpartition("-")
        assert first == "0"
        assert marks[at : at + size] == [f"{batch}-{k}" for k in range(size)]
    assert world.observe(where).domains["default"].staged == ()
    assert_sound(where)


@pytest.mark.parametrize("argv", [("init",), ("checkout", "-c", "new")], ids=["init", "checkout-create"])
def test_two_of_the_same_at_once(where: Path, argv: tuple[str, ...]) -> None:
    if argv != ("init",):
        world.make(where)
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda _: strace.run(argv, where), range(4)))
    assert all(outcome.status in (0, 4) for outcome in outcomes), outcomes
    assert any(outcome.status == 0 for outcome in outcomes)
    assert world.observe(where).active == ("default" if argv == ("init",) else "new")
    assert not [name for name in os.listdir(where / "work/.dbx/domains") if name.startswith(".")]
    assert_sound(where)
