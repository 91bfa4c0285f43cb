"""What the built-in server does with clients that are slow, wrong, too many, or gone."""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbx.remotes.connection import DRAIN_BYTES, Limits
from dbx.remotes.server import Server
from dbx.remotes.service import anybody, make_application
from dbx.repo.replica import offer as offers
from dbx.repo.replica.histories import Wanted, give
from tests.history import append, fill
from tests.unit.remotes.contract import opened

HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
FAST = Limits(idle_s=2.0, head_s=0.6, silence_s=0.6, request_s=5.0, drain_s=0.5)


class Running:
    """A server in this process."""

    def __init__(self, application: Any, **options: Any) -> None:
        self.lines: list[str] = []
        self.server = Server("127.0.0.1", 0, application, self.lines.append, limits=FAST, **options)
        self.address = self.server.server_address
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def dial(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=20)

    def ask(self, data: bytes) -> bytes:
        """Everything that comes back until the server closes the connection."""
        with self.dial() as connection:
            try:
                connection.sendall(data)
                return read_all(connection)
            except ConnectionError:
                return b""

    def is_alive(self) -> bool:
        with self.dial() as connection:
            connection.sendall(HEALTHZ)
            return b"200 OK" in connection.recv(65536)


def read_all(connection: socket.socket) -> bytes:
    data = b""
    try:
        while came := connection.recv(65536):
            data += came
    except ConnectionError:
        pass
    return data


def read_until(connection: socket.socket, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        came = connection.recv(65536)
        assert came, data
        data += came
    return data


@pytest.fixture
def far(tmp_path: Path) -> Path:
    path = tmp_path / "far"
    path.mkdir()
    fill(path)
    return path


@pytest.fixture
def running(far: Path) -> Iterator[Running]:
    made = Running(make_application(str(far / ".dbx"), gate=anybody))
    yield made
    assert made.is_alive()
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def serving() -> Iterator[Callable[..., Running]]:
    """Servers of other applications."""
    made: list[Running] = []

    def start(application: Any, **options: Any) -> Running:
        made.append(Running(application, **options))
        return made[-1]

    yield start
    for one in made:
        one.server.shutdown()
        one.server.server_close()


def statuses(data: bytes) -> list[int]:
    return [int(part[:3]) for part in data.split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET /healthz\r\n\r\n", 400),
        (b"GET http://127.0.0.1/healthz HTTP/1.1\r\n\r\n", 400),
        (b"GET * HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT a:1 HTTP/1.1\r\n\r\n", 405),
        (b"TRACE / HTTP/1.1\r\n\r\n", 405),
        (b"DELETE /default/dbx/v1/describe HTTP/1.1\r\n\r\n", 405),
        (b"PUT /default/dbx/v1/bundle HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", 405),
        (b"X" * 40 + b" / HTTP/1.1\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST /default/dbx/v1/bundle HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n", 411),
        (b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * 80_000, 431),
        (b"GET /" + b"b" * 80_000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 101 + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000 + b"\r\n", 431),
        (b"\r\n\r\n", 400),
    ],
)
def test_what_is_no_request_is_refused_in_json(running: Running, data: bytes, status: int) -> None:
    answer = running.ask(data)
    assert statuses(answer) == [status]
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Connection: close" in head
    assert json.loads(body)["error"]["type"] == "invalid"


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/../dbx/v1/describe",
        "/%2e%2e/dbx/v1/describe",
        "/..%2fx/dbx/v1/describe",
        "//etc/passwd/dbx/v1/describe",
        "/default/../default/dbx/v1/describe",
        "/.new-x/dbx/v1/describe",
        "/con/dbx/v1/describe",
        "/default%00/dbx/v1/describe",
        "/default/dbx/v1/../../domain.yaml",
        "/default/domain.yaml",
        "/default/segments/",
        "/default/dbx/v1/healthz",
        "/default/dbx/v1/metrics",
        "/.dbx/credentials.yaml",
    ],
)
def test_no_path_leads_anywhere_else(running: Running, path: str) -> None:
    answer = running.ask(f"GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n".encode())
    (status,) = statuses(answer)
    assert status in (400, 404), answer
    assert b"root:" not in answer


def test_requests_in_a_row_and_then_garbage(running: Running) -> None:
    assert statuses(running.ask(HEALTHZ * 50 + b"garbage\r\n\r\n" + HEALTHZ)) == [200] * 50 + [400]
    smuggled = b"POST /default/dbx/v1/prefixes HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(HEALTHZ) + HEALTHZ
    assert statuses(running.ask(smuggled + b"GET / HTTP/1.0\r\n\r\n")) == [422, 404]


def test_a_head_that_drips_is_cut_off_and_keeps_nobody_out(serving: Callable[..., Running]) -> None:
    running = serving(make_application("/nowhere"), max_connections=8)
    slow = [running.dial() for _ in range(20)]
    for connection in slow:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nA: ")
    assert running.is_alive()
    began = time.monotonic()
    for connection in slow:
        try:
            for _ in range(100):
                connection.sendall(b"b")
                time.sleep(0.05)
                connection.settimeout(0.001)
                try:
                    if connection.recv(1000):
                        break
                except TimeoutError:
                    continue
        except ConnectionError:
            pass
        connection.close()
    assert time.monotonic() - began < 30
    assert running.is_alive()
    assert running.server.wait_idle(20)


def test_a_body_that_drips_or_never_comes_is_cut_off(running: Running) -> None:
    head = b"POST /default/dbx/v1/bundle HTTP/1.1\r\nContent-Length: 100000\r\n\r\n"
    with running.dial() as connection:
        connection.sendall(head)
        began = time.monotonic()
        read_all(connection)
        assert time.monotonic() - began < 10
    with running.dial() as connection:
        connection.sendall(head)
        began = time.monotonic()
        with suppress(ConnectionError):
            while time.monotonic() - began < 30:
                connection.sendall(b"x")
                time.sleep(0.05)
        assert time.monotonic() - began < 10
    assert running.server.wait_idle(20)


def test_an_answer_that_nobody_reads_is_given_up(serving: Callable[..., Running]) -> None:
    closed = threading.Event()

    class Endless:
        def __iter__(self) -> Iterator[bytes]:
            while True:
                yield b"x" * 100_000

        def close(self) -> None:
            closed.set()

    def application(environ: Any, start: Any) -> Any:
        start("200 OK", [])
        return Endless()

    running = serving(application)
    with running.dial() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert closed.wait(20)
    assert running.server.wait_idle(20)


def test_a_body_that_is_too_large_is_refused_before_it_is_read(far: Path, serving: Callable[..., Running]) -> None:
    running = serving(make_application(str(far / ".dbx"), gate=anybody, max_body_bytes=1000))
    head = b"POST /default/dbx/v1/bundle HTTP/1.1\r\nContent-Length: %d\r\n\r\n"
    for length in (1001, DRAIN_BYTES + 1, 10**16):
        answer = running.ask(head % length)
        assert statuses(answer) == [413]
        assert b"at most 1000 bytes" in answer
    assert statuses(running.ask(head % 10 + b"x" * 10 + b"GET / HTTP/1.0\r\n\r\n")) == [422, 404]


def test_who_asks_before_sending_is_answered(running: Running) -> None:
    with running.dial() as connection:
        connection.sendall(
            b"POST /default/dbx/v1/prefixes HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        )
        assert read_until(connection, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"[]")
        assert b"200 OK" in connection.recv(65536)
    refused = b"POST /nothing HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    assert statuses(running.ask(refused)) == [404]


def test_head_and_http_1_0(running: Running) -> None:
    answer = running.ask(b"HEAD /healthz HTTP/1.0\r\n\r\n")
    assert answer.endswith(b"\r\n\r\n")
    assert b"Content-Length: 3" in answer
    roots = running.ask(b"GET /default/dbx/v1/roots HTTP/1.0\r\n\r\n")
    assert b"chunked" not in roots
    assert roots.endswith(b"null\n")


def test_a_bug_is_a_500_without_what_was_at_hand(serving: Callable[..., Running]) -> None:
    def early(environ: Any, start: Any) -> Any:
        raise KeyError("canary")

    def late(environ: Any, start: Any) -> Iterator[bytes]:
        start("200 OK", [])
        yield b"some"
        raise ValueError("canary")

    def short(environ: Any, start: Any) -> Any:
        start("200 OK", [("Content-Length", "9")])
        return [b"some"]

    for application, status in ((early, 500), (late, 200), (short, 200)):
        running = serving(application)
        answer = running.ask(b"GET /?token=canary HTTP/1.1\r\nAuthorization: Bearer canary\r\n\r\n")
        assert statuses(answer) == [status]
        assert not answer.endswith(b"0\r\n\r\n")
        assert running.server.wait_idle(20)
        assert running.lines
        assert "canary" not in "".join(running.lines) + answer.decode()


def test_more_connections_than_there_may_be(serving: Callable[..., Running]) -> None:
    held, go = threading.Semaphore(0), threading.Event()

    def application(environ: Any, start: Any) -> Any:
        held.release()
        go.wait(20)
        start("200 OK", [("Content-Length", "0")])
        return []

    running = serving(application, max_connections=3)
    busy = [running.dial() for _ in range(3)]
    for connection in busy:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert held.acquire(timeout=20)
    with running.dial() as connection:
        answer = read_all(connection)
    assert statuses(answer) == [503]
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["type"] == "locked"
    go.set()
    for connection in busy:
        assert b"200 OK" in connection.recv(65536)
        connection.close()
    assert running.server.wait_idle(20)


def test_stopping_lets_what_runs_end_and_takes_nothing_new(serving: Callable[..., Running]) -> None:
    begun, go = threading.Event(), threading.Event()

    def application(environ: Any, start: Any) -> Any:
        begun.set()
        go.wait(20)
        start("200 OK", [("Content-Length", "4")])
        return [b"done"]

    running = serving(application)
    idle, busy = running.dial(), running.dial()
    busy.sendall(b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n")
    assert begun.wait(20)
    running.server.shutdown()
    assert idle.recv(10) == b""
    with pytest.raises(ConnectionError):
        running.dial()
    go.set()
    answer = read_all(busy)
    assert statuses(answer) == [200]
    assert answer.endswith(b"done")
    assert b"Connection: close" in answer
    assert running.server.wait_idle(20)
    idle.close()
    busy.close()


# -- as a process ------------------------------------------------------------------------------------------------------

DBX = os.path.join(os.path.dirname(sys.executable), "dbx")


@pytest.fixture
def start(far: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[bytes], str]]]:
    made: list[subprocess.Popen[bytes]] = []

    def run(*options: str) -> tuple[subprocess.Popen[bytes], str]:
        process = subprocess.Popen(
            [DBX, "serve", "--port", "0", "--json", *options],
            cwd=far,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "HOME": str(far)},
        )
        made.append(process)
        assert process.stdout is not None
        return process, json.loads(process.stdout.readline())["url"].removeprefix("http://")

    yield run
    for process in made:
        process.kill()
        process.communicate(timeout=20)


def get(host: str, path: str, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(host, timeout=20)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_metrics_and_the_log(start: Callable[..., Any], far: Path) -> None:
    process, host = start("--max-body", "1K")
    assert get(host, "/healthz") == (200, "ok\n")
    assert get(host, "/default/dbx/v1/describe?name=canary", Authorization="Bearer canary")[0] == 200
    assert get(host, "/canary/canary")[0] == 404
    counted = {
        f'dbx_http_requests_total{{method="GET",verb="{verb}",status="{status}"}} 1\n'
        for verb, status in (("describe", 200), ("healthz", 200), ("other", 404))
    }
    deadline = time.monotonic() + 20
    while not all(line in (text := get(host, "/metrics")[1]) for line in counted):
        assert time.monotonic() < deadline  # a request is counted once its answer is sent
    assert 'dbx_http_request_seconds_count{verb="describe"} 1\n' in text
    assert 'dbx_domain_head_seq{domain="default"} 2\n' in text
    assert 'dbx_domain_events{domain="default"} 6\n' in text
    assert "canary" not in text
    with opened(far) as domain:
        append(domain, "o-9")
    assert 'dbx_domain_head_seq{domain="default"} 3\n' in get(host, "/metrics")[1]
    connection = http.client.HTTPConnection(host, timeout=20)
    connection.request("POST", "/default/dbx/v1/bundle", b"x" * 1025)
    assert connection.getresponse().status == 413
    connection.close()
    process.terminate()
    _, said = process.communicate(timeout=40)
    assert process.returncode == 0
    lines = said.decode().splitlines()
    assert sum("GET /default/dbx/v1/describe 200" in line for line in lines) == 1
    assert all("canary" not in line or (line.endswith("ms") and "/canary/canary" in line) for line in lines)
    assert "Bearer" not in said.decode()


def test_metrics_of_plugins(start: Callable[..., Any], far: Path) -> None:
    _, host = start("--quiet")
    assert "dbx_plugin_" not in get(host, "/metrics")[1]

    def dbx(*arguments: str) -> None:
        subprocess.run([DBX, *arguments], cwd=far, capture_output=True, check=True)

    dbx("plugin", "config", "log", "--name", "audit", "--file", "audit.log")
    with opened(far) as domain:
        append(domain, "o-8")
    dbx("plugin", "run", "--once")
    labels = '{domain="default",plugin="audit"}'
    assert f"dbx_plugin_behind_events{labels} 0\n" in get(host, "/metrics")[1]
    with opened(far) as domain:
        append(domain, "o-9", "o-10")
    text = get(host, "/metrics")[1]
    assert f"dbx_plugin_behind_events{labels} 2\n" in text
    assert f"dbx_plugin_dead_events{labels} 0\n" in text
    assert f"dbx_plugin_lag_seconds{labels} " in text
    assert 'dbx_plugin_runner{domain="default"} 0\n' in text
    assert "dbx_plugins_unreadable 0\n" in text
    (far / ".dbx/plugins.yaml").write_text("plugins: [")
    text = get(host, "/metrics")[1]
    assert "dbx_plugins_unreadable 1\n" in text
    assert 'dbx_domain_events{domain="default"} 9\n' in text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_while_connections_are_open(start: Callable[..., Any], number: int) -> None:
    process, host = start("--quiet")
    name, _, port = host.partition(":")
    idle = socket.create_connection((name, int(port)), timeout=20)
    idle.sendall(HEALTHZ)
    assert b"200 OK" in idle.recv(1000)
    half = socket.create_connection((name, int(port)), timeout=20)
    half.sendall(b"GET /heal")
    began = time.monotonic()
    process.send_signal(number)
    assert process.wait(40) == 0
    assert time.monotonic() - began < 20
    idle.close()
    half.close()


@pytest.mark.parametrize("size", ["", "x", "-1", "1T", "1.5M", "G"])
def test_sizes_that_are_none(far: Path, size: str) -> None:
    done = subprocess.run(
        [DBX, "serve", "--port", "0", "--max-body", size], cwd=far, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


def test_200_clients_at_once(start: Callable[..., Any]) -> None:
    """Every answer is right, no connection is left over, and the process does not grow from one round to the next."""
    process, host = start("--quiet")
    expected = get(host, "/default/dbx/v1/describe")[1]
    wrong: list[object] = []

    def client(end: float) -> None:
        connection = http.client.HTTPConnection(host, timeout=60)
        try:
            while time.monotonic() < end:
                connection.request("GET", "/default/dbx/v1/describe")
                response = connection.getresponse()
                if (response.status, response.read().decode()) != (200, expected):
                    wrong.append(response.status)
        except OSError as error:
            wrong.append(error)
        finally:
            connection.close()

    def flood(seconds: float) -> int:
        end = time.monotonic() + seconds
        threads = [threading.Thread(target=client, args=(end,)) for _ in range(200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with open(f"/proc/{process.pid}/status") as file:
            return int(next(line for line in file if line.startswith("VmRSS")).split()[1])

    first, second = flood(3), flood(3)
    assert wrong == []
    assert second < first + 8 * 1024, (first, second)
    assert get(host, "/healthz")[0] == 200
    deadline = time.monotonic() + 20
    while len(os.listdir(f"/proc/{process.pid}/fd")) > 20:
        assert time.monotonic() < deadline
        time.sleep(0.1)


# -- random bytes ------------------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        *(
            b"GET ",
            b"POST ",
            b"/",
            b"/default/dbx/v1/",
            b"describe",
            b"bundle",
            b"commits?seqs=1",
            b" HTTP/1.1",
            b"\r\n",
        ),
        *(b"Content-Length: 5", b"Content-Length: -1", b"Transfer-Encoding: chunked", b"\r\n\r\n", b"Host: x", b"\n"),
        *(b"Expect: 100-continue", b"Connection: keep-alive", b"\x00", b"%2e%2e", b"0\r\n\r\n", HEALTHZ),
    ]
)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    path = tmp_path_factory.mktemp("far")
    fill(path)
    made = Running(make_application(str(path / ".dbx"), gate=anybody))
    yield made
    made.server.shutdown()
    made.server.server_close()


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.lists(PIECES | st.binary(max_size=40), max_size=25).map(b"".join), cuts=st.randoms())
def test_no_bytes_bring_it_down(target: Running, data: bytes, cuts: random.Random) -> None:
    """Whatever comes, in whatever pieces: there are answers or none, no failure, and the next client is served."""
    with target.dial() as connection:
        try:
            at = 0
            while at < len(data):
                step = cuts.randint(1, len(data))
                connection.sendall(data[at : at + step])
                at += step
            connection.shutdown(socket.SHUT_WR)
        except ConnectionError:
            pass
        answer = read_all(connection)
    assert all(status in (100, 200, 400, 404, 405, 408, 409, 411, 413, 422, 431) for status in statuses(answer)), answer
    assert not [line for line in target.lines if "failed" in line]
    assert target.is_alive()


# -- pushes ------------------------------------------------------------------------------------------------------------


def bundles(far: Path, where: Path, count: int) -> list[bytes]:
    """Bundles that each continue the head of a repository, in a way of their own."""
    made: list[bytes] = []
    for n in range(count):
        copy = where / f"copy-{n}"
        shutil.copytree(far, copy)
        with opened(copy) as domain:
            append(domain, f"new-{n}")
            with offers.offering(domain, offers.point_at(domain, 2)) as offer:
                made.append(b"".join(offer.blocks()))
    return made


def post(host: str, data: bytes) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        connection.request("POST", "/default/dbx/v1/bundle", data)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_of_many_pushes_at_once_one_wins(start: Callable[..., Any], far: Path, tmp_path: Path) -> None:
    _, host = start("--quiet")
    sent = bundles(far, tmp_path, 8)
    found: list[tuple[int, dict[str, Any]]] = []
    threads = [threading.Thread(target=lambda data=data: found.append(post(host, data))) for data in sent]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(status for status, _ in found) == [200] + [409] * 7
    assert all("Traceback" not in str(body) for _, body in found)
    with opened(far) as domain:
        assert domain.read(lambda working, _: working.head.seq) == 3
    assert subprocess.run([DBX, "fsck"], cwd=far, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("verb", ["bundle", "events"])
def test_a_slow_push_keeps_nobody_from_writing(start: Callable[..., Any], far: Path, tmp_path: Path, verb: str) -> None:
    _, host = start("--quiet")
    (data,) = bundles(far, tmp_path, 1)
    if verb == "events":
        with opened(tmp_path / "copy-0") as domain:
            data = b"".join(give(domain, [Wanted("order", "new-0", 0)]))
    name, _, port = host.partition(":")
    with socket.create_connection((name, int(port)), timeout=30) as connection:
        head = f"POST /default/dbx/v1/{verb} HTTP/1.1\r\nConnection: close\r\nContent-Length: {len(data)}\r\n\r\n"
        connection.sendall(head.encode() + data[: len(data) // 2])
        quarantine = far / ".dbx/domains/default/quarantine"
        deadline = time.monotonic() + 20
        while not (quarantine.exists() and any(quarantine.iterdir())):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        done = subprocess.run(
            [DBX, "aggregate", "apply", "order", "local", "placed", "--create", "--payload", "{}", "--wait", "0"],
            cwd=far,
            check=False,
        )
        assert done.returncode == 0
        connection.sendall(data[len(data) // 2 :])
        answer = read_all(connection)
    # Who pushes a history comes too late; of single aggregates none has moved.
    assert statuses(answer) == [409 if verb == "bundle" else 200]
    assert subprocess.run([DBX, "fsck"], cwd=far, capture_output=True, check=False).returncode == 0


def test_a_push_that_runs_ends_before_the_server_does(start: Callable[..., Any], far: Path, tmp_path: Path) -> None:
    process, host = start("--quiet")
    (data,) = bundles(far, tmp_path, 1)
    name, _, port = host.partition(":")
    with socket.create_connection((name, int(port)), timeout=30) as connection:
        head = b"POST /default/dbx/v1/bundle HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(data)
        connection.sendall(head + data[: len(data) // 2])
        quarantine = far / ".dbx/domains/default/quarantine"
        deadline = time.monotonic() + 20
        while not (quarantine.exists() and any(quarantine.iterdir())):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.terminate()
        while True:
            try:
                socket.create_connection((name, int(port)), timeout=5).close()
            except ConnectionError:
                break
            assert time.monotonic() < deadline + 20
        connection.sendall(data[len(data) // 2 :])
        answer = read_all(connection)
    assert statuses(answer) == [200]
    assert b"Connection: close" in answer
    assert process.wait(40) == 0
    with opened(far) as domain:
        assert domain.read(lambda working, _: working.head.seq) == 3


def test_a_push_too_large_leaves_nothing(start: Callable[..., Any], far: Path, tmp_path: Path) -> None:
    _, host = start("--quiet", "--max-body", "2000")
    (data,) = bundles(far, tmp_path, 1)
    status, body = post(host, data)
    assert (status, body["error"]["type"]) == (413, "invalid")
    with opened(far) as domain:
        assert domain.read(lambda working, _: working.head.seq) == 2
