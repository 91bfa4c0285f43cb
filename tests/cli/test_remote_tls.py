"""A server that does not prove who it is, is refused: status 8, a sentence that says why, a hint, and nothing sent."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.certificates import Certificate, issue
from tests.cli.conftest import Outcome, Runner
from tests.unit.remotes.web import web_server

CANARY = "canary-token"


class Case:
    """A server's certificate, whom the client trusts, and why the client refuses."""

    def __init__(self, make: Callable[[Path, Certificate], Certificate], why: str, *, trusted: bool = True) -> None:
        self.make = make
        self.why = why
        self.trusted = trusted


CASES = {
    "self-signed": Case(lambda at, ca: issue(at, "self", "127.0.0.1"), "self-signed certificate"),
    "of nobody we know": Case(
        lambda at, ca: issue(at, "server", "127.0.0.1", by=issue(at, "other")), "unable to get local issuer certificate"
    ),
    "of an authority that is not trusted": Case(
        lambda at, ca: issue(at, "server", "127.0.0.1", by=ca), "unable to get local issuer certificate", trusted=False
    ),
    "for another address": Case(
        lambda at, ca: issue(at, "server", "127.0.0.2", by=ca), "IP address mismatch, certificate is not valid for"
    ),
    "for another name": Case(
        lambda at, ca: issue(at, "server", "events.example", by=ca), "IP address mismatch, certificate is not valid for"
    ),
    "expired": Case(lambda at, ca: issue(at, "server", "127.0.0.1", by=ca, days=(-9, -1)), "certificate has expired"),
    "not valid yet": Case(
        lambda at, ca: issue(at, "server", "127.0.0.1", by=ca, days=(1, 9)), "certificate is not yet valid"
    ),
    "of a server that signs for others": Case(
        lambda at, ca: issue(at, "below", "127.0.0.1", by=issue(at, "server", "127.0.0.1", by=ca)), "certificate"
    ),
}


@pytest.fixture
def authority(tmp_path: Path) -> Certificate:
    return issue(tmp_path, "authority")


@pytest.fixture
def far(run: Runner) -> Path:
    path = run.cwd.parent / "far"
    run.ok("init", str(path))
    run.ok("aggregate", "apply", "order", "o-1", "placed", "--create", cwd=path)
    return path


@pytest.fixture
def serve(run: Runner, far: Path) -> Iterator[Callable[..., str]]:
    """Starts `dbx serve`; its URL."""
    started: list[subprocess.Popen[bytes]] = []

    def start(found: Certificate | None) -> str:
        tls = [] if found is None else ["--cert", str(found.cert), "--key", str(found.key)]
        words = ("serve", "--port", "0", "--json", "--quiet", *tls)
        process = run.start(*words, cwd=far, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        started.append(process)
        assert process.stdout is not None
        return str(json.loads(process.stdout.readline())["url"])

    yield start
    for process in started:
        process.terminate()
        process.wait(20)


@contextmanager
def listening(found: Certificate, answer: bytes = b"") -> Iterator[tuple[int, list[bytes]]]:
    """A TLS server that takes all it is sent, and always says the same: its port, and what came through."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(found.cert, found.key)
    came: list[bytes] = []
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)

        def take() -> None:
            while not stop.is_set():
                try:
                    raw, _ = listener.accept()
                    raw.settimeout(5)
                    with context.wrap_socket(raw, server_side=True) as connection:
                        came.append(connection.recv(65536))
                        connection.sendall(answer)
                except OSError:
                    continue

        thread = threading.Thread(target=take)
        thread.start()
        try:
            yield listener.getsockname()[1], came
        finally:
            stop.set()
            thread.join()


def trusting(found: Certificate) -> dict[str, str]:
    # A variable that some programs take as leave not to look changes nothing.
    return {"SSL_CERT_FILE": str(found.cert), "PYTHONHTTPSVERIFY": "0"}


def assert_refused(outcome: Outcome, url: str, why: str) -> None:
    error = outcome.error
    assert (error["status"], error["type"]) == (8, "remote"), outcome
    assert error["message"].startswith(f"'{url}' does not prove who it is: ")
    assert why.lower() in error["message"].lower()
    assert not error["message"].endswith(".")
    assert (
        error["hint"] == "its certificate must be valid for that name, and of a trusted authority (see SSL_CERT_FILE)"
    )
    assert CANARY not in outcome.stderr


@pytest.mark.parametrize("name", CASES)
def test_a_certificate_that_proves_nothing(
    run: Runner, far: Path, serve: Callable[..., str], tmp_path: Path, authority: Certificate, name: str
) -> None:
    case = CASES[name]
    found = case.make(tmp_path, authority)
    env = trusting(authority if case.trusted else issue(tmp_path, "stranger"))
    url = f"{serve(found)}/default"
    assert_refused(run("clone", url, "--token", CANARY, "--json", env=env), url, case.why)
    assert list(run.cwd.iterdir()) == []
    run.ok("init")
    run.ok("aggregate", "apply", "order", "o-2", "placed", "--create")
    run.ok("remote", "add", "origin", url)
    before = run.ok("root", "--json").json
    for command in (("fetch",), ("pull",), ("push",), ("remote", "check"), ("watch", "--run-once")):
        assert_refused(run(*command, "--token", CANARY, "--json", env=env), url, case.why)
    assert run.ok("root", "--json").json == before
    said = run("pull", env=env).stderr.splitlines()
    assert [line.split(":")[:2] for line in said] == [["dbx", " error"], ["dbx", " hint"]]
    run.ok("fsck")
    run.ok("fsck", cwd=far)


@pytest.mark.parametrize("name", ["self-signed", "for another address", "expired"])
def test_files_behind_such_a_server(run: Runner, far: Path, tmp_path: Path, authority: Certificate, name: str) -> None:
    case = CASES[name]
    found = case.make(tmp_path, authority)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(found.cert, found.key)
    with web_server(far, tls=context) as web:
        url = f"static+{web.url}"
        assert_refused(run("clone", url, "--token", CANARY, "--json", env=trusting(authority)), url, case.why)
        assert web.asked == []
    assert list(run.cwd.iterdir()) == []


def test_nothing_is_sent_to_who_proves_nothing(run: Runner, tmp_path: Path, authority: Certificate) -> None:
    with listening(issue(tmp_path, "server", "127.0.0.1", by=authority)) as (port, came):
        for host in ("localhost", "127.0.0.1"):
            url = f"https://{host}:{port}/default"
            outcome = run("clone", url, "--token", CANARY, "--timeout", "2", env=trusting(authority))
            assert outcome.status == 8
            assert CANARY not in outcome.stderr
    # The certificate is that of the address, and not of the name: only by the address a request was sent at all.
    (sent,) = came
    assert f"Bearer {CANARY}".encode() in sent
    assert b"Host: 127.0.0.1:" in sent


@pytest.mark.parametrize("scheme", ["https", "static+https"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_from_tls_no_way_leads_to_plain(
    run: Runner, far: Path, serve: Callable[..., str], tmp_path: Path, authority: Certificate, scheme: str, host: str
) -> None:
    """Not even to the same host, and to a server that has what is asked for."""
    plain = serve(None).replace("127.0.0.1", host)
    answer = f"HTTP/1.1 301 Moved\r\nLocation: {plain}/default/dbx/v1/describe\r\nContent-Length: 0\r\n\r\n"
    with listening(issue(tmp_path, "server", "127.0.0.1", by=authority), answer.encode()) as (port, _):
        url = f"{scheme}://127.0.0.1:{port}/default"
        error = run("clone", url, "--token", CANARY, "--json", env=trusting(authority)).error
    assert (error["status"], error["type"]) == (8, "remote")
    assert error["message"] == f"'{url}' redirects to another address, which is not followed"
    assert list(run.cwd.iterdir()) == []


def test_one_that_does_is_believed(
    run: Runner, far: Path, serve: Callable[..., str], tmp_path: Path, authority: Certificate
) -> None:
    url = serve(issue(tmp_path, "server", "127.0.0.1", "localhost", by=authority))
    env = {"SSL_CERT_FILE": str(authority.cert)}
    run.ok("clone", f"{url}/default", env=env)
    run.ok("aggregate", "apply", "order", "o-2", "placed", "--create")
    run.ok("remote", "set-url", "origin", f"{url.replace('127.0.0.1', 'localhost')}/default")
    assert run.ok("push", "--json", env=env).json["commits"] == 1
    run.ok("fsck", cwd=far)


def test_plain_and_tls_are_not_taken_for_each_other(
    run: Runner, serve: Callable[..., str], tmp_path: Path, authority: Certificate
) -> None:
    env = {"SSL_CERT_FILE": str(authority.cert)}
    tls, plain = serve(issue(tmp_path, "server", "127.0.0.1", by=authority)), serve(None)
    for url in (tls.replace("https:", "http:"), plain.replace("http:", "https:")):
        error = run("clone", f"{url}/default", "--json", "--timeout", "2", env=env).error
        assert (error["status"], error["hint"] is not None) == (8, True)
        assert list(run.cwd.iterdir()) == []
