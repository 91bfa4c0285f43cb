"""SIGKILL at every point of what plugins have to do with: nothing is lost, skipped, or said of another event."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dbx.repo import query
from dbx.repo.delivery import jobs
from tests.crash import strace, world
from tests.crash.conftest import Templates
from tests.crash.scenarios import Scenario
from tests.crash.world import append, item, make, tidy


def _with_plugin(where: Path) -> None:
    make(where)
    append(where, [item(n) for n in range(5)])
    tidy(where)
    outcome = strace.run(("plugin", "config", "log", "--name", "audit", "--file", "audit.log"), where)
    assert outcome.status == 0, outcome


PUBLISH = Scenario(
    "publish",
    ("aggregate", "apply", "order", "o-1", "order_paid", "--publish", "audit:event-only:high"),
    _with_plugin,
    repeats=True,
)


def test_what_publish_says_is_there_whenever_the_event_is(templates: Templates, needs_strace: None) -> None:
    template = templates.get(PUBLISH)
    calls = [call for call in strace.telling(template.calls) if "index.db" not in call.text]
    committed = 0
    for number, call in enumerate(calls):
        with templates.copy(template.path) as trial:
            strace.run_killed(PUBLISH.argv, trial, call)
            repository = world.open_repository(trial)
            try:
                domain = repository.domain()
                end = domain.read(lambda working, _: working.head.position)
                events = query.events_at(domain, range(5, end))
                said: dict[bytes, str] = {}
                if events:
                    with jobs.opened_queue(domain) as queue:
                        said = queue.find_publish([bytes.fromhex(event.hash) for event in events])
            finally:
                repository.close()
            assert len(said) == len(events), f"killed before call {number}: {call}"
            committed += len(events)
            done = strace.run(("plugin", "run", "--once"), trial)
            assert done.status == 0, (done, call)
            log = template.path / "work" / "audit.log"  # as it was configured
            assert (len(log.read_text().splitlines()) if log.exists() else 0) == len(events)
            log.unlink(missing_ok=True)
    assert 0 < committed < len(calls)


class Counting:
    """A web server that counts deliveries, and may kill a process right after it has answered one."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.order: list[tuple[str, int]] = []
        self.kill_after = -1
        self.victim: subprocess.Popen[bytes] | None = None
        self.killed = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))["event"]
                outer.seen[self.headers["Idempotency-Key"]] += 1
                outer.order.append((body["aggregate_id"], body["version"]))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                self.wfile.flush()
                if len(outer.order) == outer.kill_after and outer.victim is not None:
                    os.kill(outer.victim.pid, signal.SIGKILL)
                    outer.killed.set()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


@pytest.fixture
def counting() -> Iterator[Counting]:
    made = Counting()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.mark.parametrize("at", [1, 2, 40, 130])
def test_kill_between_the_reply_and_the_cursor(where: Path, counting: Counting, at: int) -> None:
    make(where)
    outcome = strace.run(
        ("plugin", "config", "http", "--name", "hook", "--endpoint", counting.url, "--allow-private"), where
    )
    assert outcome.status == 0, outcome
    append(where, [item(n, f"o-{n % 7}") for n in range(150)], each=False)
    counting.kill_after = at
    process = subprocess.Popen(
        [strace.DBX, "plugin", "run", "--once"],
        cwd=where / "work",
        env=strace.environment(where / "home"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    counting.victim = process
    assert counting.killed.wait(30)
    assert process.wait(30) == -signal.SIGKILL
    time.sleep(0.1)
    before = len(counting.order)
    assert before >= at
    again = strace.run(("plugin", "run", "--once"), where)
    assert again.status == 0, again
    # All of them, each under one id; what is delivered twice is what the cursor had not noted.
    assert len(counting.seen) == 150
    assert max(counting.seen.values()) <= 2
    for name in {name for name, _ in counting.order[before:]}:
        versions = [version for found, version in counting.order[before:] if found == name]
        assert versions == sorted(versions)
        first = [version for found, version in counting.order[:before] if found == name]
        assert versions[0] <= (first[-1] if first else 0) + 1
    shown = json.loads(strace.run(("queue", "--json"), where).stdout)
    assert (shown["pending"], shown["dead"]) == (0, 0)


def test_a_commit_does_not_even_look_at_plugins(where: Path, needs_strace: None) -> None:
    make(where)
    for n in range(10):
        outcome = strace.run(
            ("plugin", "config", "http", "--name", f"p{n}", "--endpoint", "https://example.org/"), where
        )
        assert outcome.status == 0, outcome
    names = "openat,newfstatat,stat,lstat,connect,socket,write,pwrite64"
    log = where / "calls"
    for command, file in (
        (("aggregate", "create", "order", "o-1", "--event", "order_placed"), "journal-"),
        (("aggregate", "apply", "order", "o-1", "order_paid", "--stage"), "staging.jsonl"),
        (("commit",), "staging.jsonl"),
        (("plugin", "list"), "plugins.yaml"),  # what is looked for would be found
    ):
        outcome = strace.run(command, where, options=["-y", "-o", str(log), "-e", f"trace={names}"])
        assert outcome.status == 0, outcome
        calls = log.read_text(errors="replace")
        assert file in calls, command
        if command[0] != "plugin":
            assert "plugins.yaml" not in calls
            assert "queue." not in calls
            assert "AF_INET" not in calls
