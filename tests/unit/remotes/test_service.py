"""What a server does with bad clients: spoilt bundles, cut pushes, two at once, its own death."""

from __future__ import annotations

import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dbx.repo.domain import Domain
from dbx.repo.replica import offer as offers
from tests.history import append, fill
from tests.unit.remotes.contract import assert_sound, grow, head, opened
from tests.unit.remotes.test_http_lies import BUNDLES

DBX = os.path.join(os.path.dirname(sys.executable), "dbx")


class Machine:
    """Commands and servers in directories below one."""

    def __init__(self, where: Path) -> None:
        self.where = where
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(where), "LANG": "C.UTF-8"}
        self.servers: list[subprocess.Popen[bytes]] = []

    def serve(self, path: Path, *options: str) -> str:
        server = subprocess.Popen(
            [DBX, "serve", "--port", "0", "--json", "--quiet", *options],
            cwd=path,
            stdout=subprocess.PIPE,
            env=self.environment,
        )
        self.servers.append(server)
        assert server.stdout is not None
        return str(json.loads(server.stdout.readline())["url"])

    def start(self, path: Path, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [DBX, *arguments],
            cwd=path,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )

    def run(self, path: Path, *arguments: str, **options: Any) -> tuple[int, str]:
        process = self.start(path, *arguments, **options)
        out, err = process.communicate(timeout=60)
        assert b"Traceback" not in err, err
        return process.returncode, (out + err).decode()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    yield made
    for server in made.servers:
        server.kill()
        server.wait(20)


@pytest.fixture
def far(tmp_path: Path) -> Path:
    path = tmp_path / "far"
    path.mkdir()
    fill(path)
    return path


def clone(machine: Machine, url: str, name: str) -> Path:
    path = machine.where / name
    path.mkdir()
    status, said = machine.run(path, "clone", f"{url}/default")
    assert status == 0, said
    return path


def bundle_behind(near: Path, seq: int) -> bytes:
    with opened(near) as domain, offers.offering(domain, offers.point_at(domain, seq)) as offer:
        return b"".join(offer.blocks())


def post(url: str, data: bytes, length: int | None = None) -> tuple[int, dict[str, Any]]:
    host = url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=20)
    try:
        connection.request("POST", "/default/dbx/v1/bundle", data, {"Content-Length": str(length or len(data))})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def wait_for_no_quarantine(path: Path) -> None:
    quarantine = path / ".dbx/domains/default/quarantine"
    deadline = time.monotonic() + 20
    while quarantine.exists() and any(quarantine.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_spoilt_bundles_are_refused(machine: Machine, far: Path) -> None:
    url = machine.serve(far)
    near = clone(machine, url, "near")
    grow(near, "o-1", "o-9")
    good = bundle_behind(near, 2)
    before = head(far)
    for name, spoil in BUNDLES.items():
        data = spoil(good)
        if data == good or not data:
            continue
        status, answer = post(url, data)
        if name.startswith("flipped") and status == 200:
            break  # a bit that nobody reads; what came is what was sent
        assert status == 422, (name, answer)
        assert answer["error"]["type"] == "corrupt"
        assert head(far) == before
    wait_for_no_quarantine(far)
    assert_sound(far)


def test_a_push_that_is_cut_leaves_nothing(machine: Machine, far: Path) -> None:
    url = machine.serve(far)
    near = clone(machine, url, "near")
    grow(near, "o-1", "o-9")
    data, before = bundle_behind(near, 2), head(far)
    host, port = url.removeprefix("http://").split(":")
    for part in (100, 600, len(data) // 2, len(data) - 100):
        with socket.create_connection((host, int(port))) as connection:
            request = f"POST /default/dbx/v1/bundle HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n"
            connection.sendall(request.encode() + data[:part])
    wait_for_no_quarantine(far)
    assert head(far) == before
    assert machine.run(near, "push")[0] == 0
    assert head(far) == head(near)
    assert_sound(far)


def test_a_server_that_dies_meanwhile(machine: Machine, far: Path) -> None:
    url = machine.serve(far)
    near = clone(machine, url, "near")
    grow(near, "o-1", "o-9")
    data, before = bundle_behind(near, 2), head(far)
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        request = f"POST /default/dbx/v1/bundle HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n"
        connection.sendall(request.encode() + data[:-600])
        deadline = time.monotonic() + 20
        while not list((far / ".dbx/domains/default").glob("quarantine/*/segments/*.seg")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        machine.servers[-1].send_signal(signal.SIGKILL)
        machine.servers[-1].wait(20)
    assert head(far) == before
    assert_sound(far)
    status, said = machine.run(near, "push")
    assert status == 8, said
    url = machine.serve(far)
    assert machine.run(near, "remote", "set-url", "origin", f"{url}/default")[0] == 0
    assert machine.run(near, "push")[0] == 0
    assert head(far) == head(near)
    wait_for_no_quarantine(far)
    assert_sound(far)


def test_of_two_pushes_at_once_one_wins_and_the_other_is_told(machine: Machine, far: Path) -> None:
    url = machine.serve(far)
    paths = [clone(machine, url, name) for name in ("one", "two", "three")]
    for path in paths:
        grow(path, f"o-{path.name}")
    pushes = [machine.start(path, "push") for path in paths]
    outcomes = [(push.communicate(timeout=60), push.returncode) for push in pushes]
    assert sorted(status for _, status in outcomes) == [0, 4, 4], outcomes
    assert_sound(far)
    for path, (_, status) in zip(paths, outcomes, strict=True):
        if status:
            assert machine.run(path, "pull")[0] == 0
            assert machine.run(path, "push")[0] == 0
    assert head(far).seq == 5
    assert_sound(far)
    for path in paths:
        assert machine.run(path, "pull")[0] == 0
        assert head(path) == head(far)
        assert_sound(path)


def test_a_read_only_server_takes_in_nothing(machine: Machine, far: Path) -> None:
    url = machine.serve(far, "--read-only")
    near = clone(machine, url, "near")
    grow(near, "o-1")
    status, said = machine.run(near, "push")
    assert status == 6
    assert "read only" in said
    assert machine.run(near, "push", "--aggregate", "order")[0] == 6
    assert head(far).seq == 2


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_strangers_may_not_write(machine: Machine, far: Path, host: str) -> None:
    status, said = machine.run(far, "serve", "--host", host, "--port", "0")
    assert status == 6
    assert "--read-only" in said


def test_a_full_disk_on_our_side_changes_nothing(machine: Machine, far: Path) -> None:
    url = machine.serve(far)
    near = clone(machine, url, "near")
    for n in range(40):
        grow(far, *[f"o-{n}-{m}" for m in range(20)])
    before = head(near)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (16_000, 16_000))

    status, said = machine.run(near, "pull", preexec_fn=limit)
    assert status == 1, said
    assert head(near) == before
    assert_sound(near)
    assert machine.run(near, "pull")[0] == 0
    assert head(near) == head(far)
    assert_sound(near)


def test_a_clone_that_is_cut_goes_on_where_it_was(machine: Machine, far: Path) -> None:
    for n in range(3):
        grow(far, *[f"o-{n}-{m}" for m in range(60 * (n + 1))])
        with opened(far) as domain:
            _seal(domain)

    def limit() -> None:
        # The first segment fits, the largest does not.
        sizes = sorted(path.stat().st_size for path in (far / ".dbx/domains/default/segments").iterdir())
        resource.setrlimit(resource.RLIMIT_FSIZE, (sizes[-1] - 1, sizes[-1] - 1))

    url = machine.serve(far)
    near = machine.where / "near"
    near.mkdir()
    status, said = machine.run(near, "clone", f"{url}/default", "copy", preexec_fn=limit)
    assert status == 1, said
    hidden = near / ".dbx/domains/.clone-copy/quarantine/clone/segments"
    kept = {path.name for path in hidden.glob("*.seg")}
    assert kept
    status, said = machine.run(near, "clone", f"{url}/default", "copy", "--json")
    assert status == 0, said
    assert json.loads(said)["resumed"] > 0
    assert not hidden.exists()
    assert_sound(near)


def _seal(domain: Domain) -> None:
    with offers.offering(domain, offers.START):
        return


def test_stdio_serves_one_connection(machine: Machine, far: Path) -> None:
    process = machine.start(far, "serve", "--stdio", stdin=subprocess.PIPE)
    request = b"GET /default/dbx/v1/describe HTTP/1.1\r\nHost: x\r\n\r\n"
    out, err = process.communicate(request * 2, timeout=30)
    assert process.returncode == 0
    assert err == b""
    assert out.count(b"HTTP/1.1 200 OK") == 2
    assert out.count(head(far).commit.encode()) == 2


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/healthz", 200),
        ("GET", "/", 404),
        ("GET", "/../etc/passwd", 404),
        ("GET", "/Default/dbx/v1/describe", 400),
        ("GET", "/nix/dbx/v1/describe", 404),
        ("GET", "/default/dbx/v1/nothing", 404),
        ("GET", "/default/dbx/v1/commits?seqs=-1", 400),
        ("GET", "/default/dbx/v1/commits?seqs=" + ",".join("1" * 65), 400),
        ("GET", "/default/dbx/v1/commits?seqs=1&seqs=2", 400),
        ("GET", "/default/dbx/v1/bundle?after=x", 400),
        ("GET", f"/default/dbx/v1/bundle?after=1:{'0' * 64}:2", 409),
        ("GET", "/default/dbx/v1/bundle?after=&schemas=..", 400),
        ("GET", "/default/dbx/v1/roots?type=../x", 400),
        ("POST", "/default/dbx/v1/describe", 404),
        ("POST", "/default/dbx/v1/prefixes", 422),
        ("DELETE", "/default/dbx/v1/describe", 405),
    ],
)
def test_what_is_asked_wrong_is_refused(machine: Machine, far: Path, method: str, path: str, status: int) -> None:
    connection = http.client.HTTPConnection(machine.serve(far).removeprefix("http://"), timeout=20)
    connection.request(method, path, b"x" if method == "POST" else None)
    assert connection.getresponse().status == status
    connection.close()


@pytest.mark.parametrize("file", ["domains/default/domain.yaml", "config.yaml"])
def test_settings_that_the_server_cannot_read_are_its_own_fault(machine: Machine, far: Path, file: str) -> None:
    url = machine.serve(far)
    (far / ".dbx" / file).write_text("x: [")
    status, said = machine.run(machine.where, "clone", f"{url}/default")
    assert (status, "the server cannot read its own settings" in said) == (8, True), said
    assert str(far) not in said
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
    connection.request("GET", "/default/dbx/v1/describe")
    assert connection.getresponse().status == 500
    connection.close()


def test_appends_of_others_go_on(machine: Machine, far: Path) -> None:
    url = machine.serve(far)
    near = clone(machine, url, "near")
    with opened(far) as domain:
        append(domain, "o-9")
    assert machine.run(near, "pull")[0] == 0
    assert head(near) == head(far)
