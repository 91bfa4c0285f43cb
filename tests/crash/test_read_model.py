"""SIGKILL of the read model in fixtures/plugins, and of the runner that feeds it: each event counts exactly once."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from dbx.model.plugin import Plugin, ProcessConfig
from dbx.plugins.base import Surroundings
from dbx.plugins.process import ProcessSink
from dbx.repo import query
from dbx.repo.delivery import jobs
from dbx.repo.delivery.feed import Feed
from dbx.repo.repository import Repository
from dbx.repo.writer import Append, Appender
from tests.crash import strace, world
from tests.crash.world import append, item, make

PROGRAM = Path(__file__).resolve().parents[2] / "fixtures" / "plugins" / "read_model.py"
EVENTS = 9
AGGREGATES = 4
CALLS = ("pwrite64", "write", "fdatasync", "fsync", "ftruncate", "unlink")


def modelled(path: Path) -> tuple[dict[tuple[str, str], tuple[int, str]], int]:
    """Version and state of each aggregate, and how many events were counted."""
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT type, id, version, root FROM aggregate").fetchall()
        (count,) = database.execute("SELECT coalesce(sum(events), 0) FROM day").fetchone()
    return {(row[0], row[1]): (row[2], row[3]) for row in rows}, count


def held(where: Path) -> dict[tuple[str, str], tuple[int, str]]:
    with closing(world.open_repository(where)) as repository:
        found = query.iterate_aggregates(repository.domain(), archived=None)
        return {(one.aggregate_type, one.aggregate_id): (one.version, one.root) for one in found}


class Feeding:
    """The events of a domain on their way to the read model, by a clock that is set and not waited for."""

    def __init__(self, where: Path) -> None:
        self.now_us = 1_800_000_000_000_000
        self.where = where
        self.path = where / "model.db"
        self.repository, _ = Repository.init(str(where / "work"), clock=lambda: self.now_us)
        self.domain = self.repository.domain()
        jobs.start_plugin(self.domain, "model")
        for n in range(EVENTS):
            Appender(self.domain).append(Append([item(n, f"o-{n % AGGREGATES}")], issued_by=None))

    def deliver(self, prefix: Sequence[str] = ()) -> int:
        """Deliver what is due through the program, started with a prefix; how many attempts failed."""
        command, *args = (*prefix, sys.executable, str(PROGRAM), str(self.path))
        config = ProcessConfig(command, tuple(args))
        plugin = Plugin("model", config, "2020-01-01T00:00:00.000000Z", payload_mode="state-only")
        around = Surroundings(lambda _: None, lambda: "2026-11-23T07:42:00.123456Z", str(self.where), "shop")
        sink = ProcessSink("model", config, around)
        queue = jobs.open_queue(self.domain, durable=False)
        feed = Feed(self.domain, plugin, queue, max_attempts=100, chance=lambda: 0.0)
        try:
            while tickets := feed.take():
                for ticket in tickets:
                    feed.attempt(ticket, sink.deliver)
                    if prefix and feed.ledger.failed:
                        return feed.ledger.failed
            return feed.ledger.failed
        finally:
            feed.save()
            sink.close()
            queue.close()

    def start_over(self) -> None:
        """As if nothing had been delivered yet."""
        for path in self.where.glob("model.db*"):
            path.unlink()
        with jobs.opened_queue(self.domain) as queue, queue.write():
            queue.start_anew("model", 0)


@pytest.fixture
def feeding(where: Path) -> Iterator[Feeding]:
    made = Feeding(where)
    yield made
    made.repository.close()


def test_kill_of_the_program_before_each_call_that_writes(feeding: Feeding, needs_strace: None) -> None:
    assert strace.STRACE is not None
    log = feeding.where / "calls"
    feeding.deliver([strace.STRACE, "-qq", "-o", str(log), "-e", f"trace={','.join(CALLS)}", "--"])
    names = [line.partition("(")[0] for line in log.read_text().splitlines()]
    whole = held(feeding.where)
    killed = 0
    for name in CALLS:
        for number in range(1, names.count(name) + 1):
            feeding.start_over()
            inject = f"inject={name}:signal=KILL:when={number}"
            killed += feeding.deliver(
                [strace.STRACE, "-qq", "-o", os.devnull, "-e", f"trace={name}", "-e", inject, "--"]
            )
            if feeding.path.exists():
                with closing(sqlite3.connect(feeding.path)) as database:
                    tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
                if tables == 2:
                    states, count = modelled(feeding.path)
                    assert sum(version for version, _ in states.values()) == count, (name, number)
            feeding.now_us += 60_000_000
            assert feeding.deliver() == 0
            assert modelled(feeding.path) == (whole, EVENTS), (name, number)
    assert killed > EVENTS * 3


# A program that does what the read model does, and at one moment kills the runner, itself, or both.
KILLER = """
import importlib.util, json, os, signal, sys
spec = importlib.util.spec_from_file_location("read_model", {program!r})
model = importlib.util.module_from_spec(spec)
spec.loader.exec_module(model)
number, moment, victims = int(sys.argv[2]), sys.argv[3], sys.argv[4]
def strike(now, n):
    if (now, n) == (moment, number):
        if victims != "itself":
            os.kill(os.getppid(), signal.SIGKILL)
        if victims != "runner":
            os.kill(os.getpid(), signal.SIGKILL)
database = model.connect(sys.argv[1])
for n, line in enumerate(sys.stdin, 1):
    delivery = json.loads(line)
    strike("before", n)
    answer = {{"delivery_id": delivery["delivery_id"], **model.take(database, delivery)}}
    strike("between", n)
    os.write(1, json.dumps(answer).encode() + b"\\n")
    strike("behind", n)
"""


def _configure(where: Path, *args: str) -> None:
    command = ["plugin", "config", "process", "/usr/bin/env", "--name", "model", "--payload", "state-only"]
    outcome = strace.run((*command, *(part for arg in ("python3", *args) for part in ("--arg", arg))), where)
    assert outcome.status == 0, outcome


def _killed(where: Path, database: Path, number: int, strike: tuple[str, str], command: Sequence[str]) -> None:
    """Run a command that is killed with the delivery of that number, and configure the read model again."""
    killer = where / "killer.py"
    killer.write_text(KILLER.format(program=str(PROGRAM)))
    _configure(where, str(killer), str(database), str(number), *strike)
    process = subprocess.run(
        [strace.DBX, *command],
        cwd=where / "work",
        env=strace.environment(where / "home"),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert process.returncode == -9, process
    _configure(where, str(PROGRAM), str(database))


@pytest.mark.parametrize("moment", ["before", "between", "behind"])
@pytest.mark.parametrize("victims", ["runner", "both"])
def test_kill_of_the_runner(where: Path, moment: str, victims: str) -> None:
    make(where)
    database = where / "model.db"
    _configure(where, str(PROGRAM), str(database))
    total = 0
    for number in (1, 2, 17, 40):
        append(where, [item(total + n, f"o-{n % AGGREGATES}") for n in range(40)], each=False)
        total += 40
        _killed(where, database, number, (moment, victims), ("plugin", "run", "--once"))
        again = strace.run(("plugin", "run", "--once", "--json"), where)
        assert again.status == 0, again
        assert '"failed":0' in again.stdout.replace(" ", ""), again
        assert modelled(database) == (held(where), total)


@pytest.mark.parametrize("moment", ["before", "between", "behind"])
def test_kill_of_a_replay_that_makes_it_anew(where: Path, moment: str) -> None:
    make(where)
    append(where, [item(n, f"o-{n % AGGREGATES}") for n in range(60)], each=False)
    database = where / "model.db"
    _configure(where, str(PROGRAM), str(database))
    command = ("plugin", "replay", "model", "order")
    for number in (1, 20, 7):
        _killed(where, database, number, (moment, "both"), command)
    again = strace.run(command, where)
    assert again.status == 0, again
    assert modelled(database) == (held(where), 60)
