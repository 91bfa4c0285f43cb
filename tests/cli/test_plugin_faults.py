"""Endpoints that misbehave, on real sockets and as real programs: the queue grows, others go on, and status says why.

For each of them: the event is pending after its first attempt, dead after its last, and delivered once all is well.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Runner
from tests.hook import Hook

At = Callable[[socket.socket], None]


@contextmanager
def endpoint(serve: At) -> Iterator[int]:
    """A port where each connection is served in a thread of its own, and closed when that returns."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    made, _ = server.accept()
                    threading.Thread(target=run, args=(made,), daemon=True).start()

        def run(made: socket.socket) -> None:
            made.settimeout(20)
            with made, suppress(OSError):
                serve(made)

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


def read_request(made: socket.socket) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        more = made.recv(65536)
        if not more:
            return
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    (size,) = (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    while len(body) < size:
        body += made.recv(65536)


def says(answer: bytes, *, then: At = lambda _: None) -> At:
    def serve(made: socket.socket) -> None:
        read_request(made)
        made.sendall(answer)
        then(made)

    return serve


def hang(made: socket.socket) -> None:
    made.recv(1 << 20)
    time.sleep(15)


def reset(made: socket.socket) -> None:
    time.sleep(0.05)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def drip(made: socket.socket) -> None:
    made.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        made.sendall(b"X: y\r\n")
        time.sleep(0.1)


def flood(made: socket.socket) -> None:
    while True:
        made.sendall(b"X: " + b"y" * 65536)


def head(status: str, *lines: str) -> bytes:
    return "\r\n".join((f"HTTP/1.1 {status}", *lines, "", "")).encode()


FAULTS: dict[str, tuple[At, str]] = {
    "500": (says(head("500 No", "Content-Length: 4") + b"boom"), "failed (500): boom"),
    "500 with control characters": (says(head("500 No", "Content-Length: 6") + b"\x1b[2J\nx"), "failed (500):"),
    "404": (says(head("404 No", "Content-Length: 0")), "failed (404)"),
    "hangs": (hang, "timed out"),
    "drips": (says(b"", then=drip), "timed out"),
    "hangs up": (says(b""), "closed"),
    "resets": (says(b"", then=reset), "reset"),
    "resets in the body": (says(head("200 OK", "Content-Length: 99") + b"half", then=reset), "reset"),
    "hangs up in the body": (says(head("200 OK", "Content-Length: 99") + b"half"), "closed"),
    "floods its head": (says(b"HTTP/1.1 200 OK\r\n", then=flood), "longer than"),
    "says nonsense": (says(b"SSH-2.0-x\r\n\r\n"), "status line"),
    "redirects inside": (says(head("307 See", "Location: http://169.254.169.254/latest/")), "another host"),
    "redirects to a file": (says(head("308 See", "Location: file:///etc/passwd")), "another host"),
    "redirects in a way that loses the body": (says(head("302 See", "Location: /x")), "would change the request"),
}


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.close()


@pytest.fixture
def shop(run: Runner, hook: Hook) -> Runner:
    """A domain with a plugin that is well, for others to be beside."""
    run.ok("init")
    run.ok("plugin", "config", "http", "--name", "well", "--endpoint", hook.url, "--allow-private")
    return run


def state(run: Runner, name: str) -> Any:
    (found,) = run.ok("plugin", "status", name, "--json").json
    return found


def check_fault(run: Runner, hook: Hook, said: str) -> None:
    """The plugin `ill` fails in the way that `said` tells, and nothing else does."""
    run.ok("config", "plugin_max_attempts", "2")
    run.ok("aggregate", "create", "order", "o-1", "--event", "placed", "--field", "secret=canary")
    at = "2027-01-01T00:0{}:00Z"
    for attempt in (1, 2):
        run.ok("plugin", "run", "--once", env={"DBX_NOW": at.format(attempt)})
        found = state(run, "ill")
        assert said in found["last_error"]
        assert found["last_error"].isprintable()
        assert "canary" not in found["last_error"]
        assert (found["pending"], found["dead"]) == ((1, 0) if attempt == 1 else (0, 1))
        queue = run.ok("queue", "--json").json["jobs"]
        (job,) = queue["pending"] if attempt == 1 else queue["dead"]
        assert (job["attempts"], said in job["last_error"]) == (attempt, True)
    assert [body["event"]["aggregate_id"] for body in hook.bodies()] == ["o-1"]
    assert (state(run, "well")["done"], state(run, "well")["last_error"]) == (1, None)
    run.ok("fsck")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_server_that_misbehaves(shop: Runner, hook: Hook, fault: str) -> None:
    serve, said = FAULTS[fault]
    with endpoint(serve) as port:
        url = f"http://127.0.0.1:{port}/"
        words = ("--name", "ill", "--allow-private", "--timeout", "1", "--payload", "extensions-only")
        shop.ok("plugin", "config", "http", "--endpoint", url, *words)
        check_fault(shop, hook, said)
    shop.ok("plugin", "config", "http", "--endpoint", hook.url, *words)
    shop.ok("queue", "retry", "--all")
    shop.ok("plugin", "run", "--once")
    assert (state(shop, "ill")["done"], state(shop, "ill")["dead"]) == (1, 0)


def test_nobody_answers(shop: Runner, hook: Hook) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    shop.ok("plugin", "config", "tcp", "--name", "ill", "--host", "127.0.0.1", "--port", str(port), "--allow-private")
    check_fault(shop, hook, "connection refused")


@pytest.mark.parametrize(
    ("answer", "earliest"),
    [("120", "00:02:00"), ("Fri, 01 Jan 2027 00:05:00 GMT", "00:05:00"), ("Thu, 01 Jan 1970 00:00:00 GMT", "00:00:01"),
     ("99999999999999999999", "00:00:01"), ("999999999", "2027-01-02T00:00:00"), ("-5", "00:00:01"),
     ("soon", "00:00:01"), ("", "00:00:01"), ("1e9", "00:00:01")],
)  # fmt: skip
def test_retry_after_is_taken_as_far_as_it_makes_sense(shop: Runner, hook: Hook, answer: str, earliest: str) -> None:
    shop.ok("plugin", "config", "http", "--name", "busy", "--endpoint", hook.url, "--allow-private")
    shop.ok("aggregate", "create", "order", "o-1", "--event", "placed")
    hook.status, hook.headers = (lambda _: 429), {"Retry-After": answer}
    shop.ok("plugin", "run", "busy", "--once", env={"DBX_NOW": "2027-01-01T00:00:00Z"})
    (job,) = shop.ok("queue", "--json").json["jobs"]["pending"]
    assert earliest in job["next_retry_at"]


KEEP = "import json, os, signal, sys, time\nopen(sys.argv[1], 'a').write(f'{os.getpid()} ')\n"
PROGRAMS = {
    "exits": ("sys.exit(3)", "ended (with status 3)"),
    "exits with a word": ("print('x: no memory', file=sys.stderr); sys.exit(1)", "(with status 1): x: no memory"),
    "dies": ("os.kill(os.getpid(), 11)", "ended (by SIGSEGV)"),
    "floods": ("while True: print('flood')", "acknowledges nothing"),
    "floods without end of line": ("while True: sys.stdout.write('x' * 9999)", "more than 65536 bytes"),
    "writes garbage": ("while True: os.write(1, b'\\xff\\x00\\n{]\\n')", "acknowledges nothing"),
    "acknowledges another": ("sys.stdin.readline(); print('{\"delivery_id\":\"x\",\"ok\":true}', flush=True); "
                             "time.sleep(60)", "what it was not sent"),
    "hangs": ("time.sleep(60)", "no acknowledgement within 1 s"),
    "ignores SIGTERM": ("signal.signal(15, signal.SIG_IGN); time.sleep(60)", "no acknowledgement within 1 s"),
    "closes its input": ("os.close(0); time.sleep(60)", "process plugin "),
    "says no": ("for l in sys.stdin: print(json.dumps({'delivery_id': json.loads(l)['delivery_id'], 'ok': False, "
                "'error': 'not\\ntoday'}), flush=True)", "not today"),
}  # fmt: skip


@pytest.mark.parametrize("fault", PROGRAMS)
def test_a_program_that_misbehaves(shop: Runner, hook: Hook, tmp_path: Path, fault: str) -> None:
    body, said = PROGRAMS[fault]
    program, pids = tmp_path / "program.py", tmp_path / "pids"
    program.write_text(KEEP + body + "\n")
    words = ("--name", "ill", "--timeout", "1", "--arg", "python3", "--arg", str(program), "--arg", str(pids))
    shop.ok("plugin", "config", "process", "/usr/bin/env", *words)
    check_fault(shop, hook, said)
    started = [int(pid) for pid in pids.read_text().split()]
    assert len(started) == 2
    for pid in started:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_program_that_is_gone(shop: Runner, hook: Hook, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    shop.ok("plugin", "config", "process", str(program), "--name", "ill")
    program.unlink()
    check_fault(shop, hook, "cannot be started: no such file or directory")


def test_a_file_that_cannot_be_written(shop: Runner, hook: Hook, tmp_path: Path) -> None:
    shop.ok("plugin", "config", "log", "--name", "ill", "--file", str(tmp_path / "none" / "log"))
    check_fault(shop, hook, "log plugin cannot write: no such file or directory")


def test_a_name_that_leads_inside_is_not_followed(shop: Runner, hook: Hook) -> None:
    """`localhost` is refused when it is configured; what any other name leads to shows when it is looked up."""
    shop.ok("plugin", "config", "http", "--name", "ill", "--endpoint", f"http://{socket.gethostname()}:9/")
    shop.ok("aggregate", "create", "order", "o-1", "--event", "placed")
    shop.ok("plugin", "run", "--once")
    error = state(shop, "ill")["last_error"]
    assert "refused" in error or "cannot look up" in error
