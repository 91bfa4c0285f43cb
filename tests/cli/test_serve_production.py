"""What dbx-serve(1) says of production servers, as it stands there: gunicorn, and nginx before it."""

from __future__ import annotations

import http.client
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Runner
from tests.cli.test_serve_tokens import certificate
from tests.manual.examples import blocks, page

NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
GUNICORN = os.path.join(os.path.dirname(sys.executable), "gunicorn")


def example(name: str) -> str:
    """The example of the page that begins with a word."""
    (found,) = (block for block in blocks(page("dbx-serve.1").lines) if block[0].startswith(name))
    return "\n".join(found) + "\n"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None
        assert time.monotonic() < deadline
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return


@pytest.fixture
def far(run: Runner) -> Path:
    path = run.cwd.parent / "far"
    run.ok("init", str(path))
    for n in range(3):
        run.ok("aggregate", "apply", "order", f"o-{n}", "placed", "--create", "--field", "a=b", cwd=path)
    return path


@pytest.fixture
def gunicorn(run: Runner, far: Path) -> Iterator[int]:
    """The port of gunicorn, started as the page says."""
    port = free_port()
    words = shlex.split(example("gunicorn").replace("/srv/flights", str(far)).replace("8000", str(port)))
    environment = run.environment()
    process = subprocess.Popen(
        [GUNICORN, *words[1:]], env=environment, stderr=(run.cwd.parent / "gunicorn.log").open("wb")
    )
    try:
        wait_for(port, process)
        yield port
    finally:
        process.terminate()
        assert process.wait(60) == 0


@pytest.fixture
def nginx(run: Runner, gunicorn: int, tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """The port of nginx before it, with the page's configuration, and its certificate."""
    if NGINX is None:
        warnings.warn("nginx is not installed: what the manual says of it is NOT tried", stacklevel=1)
        pytest.skip("nginx is not installed: apt-get install nginx-light")
    cert, key = certificate(tmp_path)
    port = free_port()
    server = example("server {")
    changes = (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("/etc/ssl/events.pem", str(cert)),
        ("/etc/ssl/events.key", str(key)),
        ("127.0.0.1:8000", f"127.0.0.1:{gunicorn}"),
    )
    for old, new in changes:
        assert old in server
        server = server.replace(old, new)
    temporary = "".join(f"{what}_temp_path {tmp_path}/{what};\n" for what in ("client_body", "proxy"))
    temporary += "".join(f"{what}_temp_path {tmp_path}/{what};\n" for what in ("fastcgi", "scgi", "uwsgi"))
    text = f"daemon off; pid {tmp_path}/nginx.pid; error_log {tmp_path}/nginx.log; events {{}}\n"
    text += f"http {{ access_log off; {temporary} {server} }}\n"
    (tmp_path / "nginx.conf").write_text(text)
    process = subprocess.Popen([NGINX, "-c", str(tmp_path / "nginx.conf"), "-p", str(tmp_path)])
    try:
        wait_for(port, process)
        yield port, cert
    finally:
        process.terminate()
        assert process.wait(60) == 0


def fetch(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_gunicorn_serves_and_counts(run: Runner, far: Path, gunicorn: int) -> None:
    url = f"http://127.0.0.1:{gunicorn}/default"
    run.ok("clone", url)
    assert run.ok("root").stdout == run.ok("root", cwd=far).stdout
    assert fetch(gunicorn, "/healthz") == (200, "ok\n")
    status, text = fetch(gunicorn, "/metrics")
    assert status == 200
    assert 'dbx_domain_head_seq{domain="default"} 2\n' in text
    for path in ("/..%2f..%2fetc/passwd", "/%2e%2e/dbx/v1/describe", "/default%00/dbx/v1/describe"):
        assert fetch(gunicorn, path)[0] in (400, 404)
    run.ok("aggregate", "apply", "order", "o-9", "placed", "--create", "--field", "a=b")
    refused = run("push")
    assert refused.status == 6
    assert "read only" in refused.stderr


def test_behind_nginx_with_tls_and_a_token(run: Runner, far: Path, nginx: tuple[int, Path]) -> None:
    port, cert = nginx
    words = ("token", "generate", "-g", "ops", "-u", "jane", "--action", "*.*", "--json")
    token = run.ok(*words, cwd=far).json["token"]
    url = f"https://127.0.0.1:{port}/default"
    trusting = {"SSL_CERT_FILE": str(cert)}
    assert run("clone", url, env={"DBX_TOKEN": token}).status == 8  # nobody vouches for the certificate
    assert run("clone", url, env=trusting).status == 6
    run.ok("clone", url, env={**trusting, "DBX_TOKEN": token})
    # More than the megabyte that nginx takes in by itself, and more than it keeps in memory.
    noise = os.urandom(1_500_000).hex()
    lines = "".join(
        f'{{"aggregate_type":"order","aggregate_id":"big-{n}","event_type":"placed",'
        f'"payload":{{"text":"{noise[n * 30_000 : (n + 1) * 30_000]}"}}}}\n'
        for n in range(100)
    )
    run.ok("aggregate", "apply", "--stage", "--from", "-", stdin=lines)
    run.ok("commit")
    run.ok("push", env={**trusting, "DBX_TOKEN": token})
    assert run.ok("root").stdout == run.ok("root", cwd=far).stdout
    run.ok("fsck", cwd=far)
    run.ok("aggregate", "apply", "order", "o-7", "placed", "--create", "--field", "a=b", cwd=far)
    run.ok("pull", env={**trusting, "DBX_TOKEN": token})
    assert run.ok("root").stdout == run.ok("root", cwd=far).stdout
