"""Web hooks over TLS: the connection is kept, and nothing is sent to a server that does not prove who it is."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from dbx.errors import RemoteFailure
from dbx.model.plugin import HttpConfig
from dbx.plugins.http import HttpSink
from tests.certificates import Certificate, issue
from tests.unit.plugins.surroundings import around, delivery, listener, read_request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Certificate:
    made = issue(tmp_path, "authority")
    monkeypatch.setenv("SSL_CERT_FILE", str(made.cert))
    return made


def sink(port: int, host: str = "127.0.0.1") -> HttpSink:
    config = HttpConfig(f"https://{host}:{port}/hook", (("Authorization", "canary"),), None, "eventdbx", True, 3.0)
    return HttpSink(config, around())


def tls(found: Certificate, serve: Callable[[socket.socket], None]) -> Callable[[socket.socket], None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(found.cert, found.key)

    def wrapped(made: socket.socket) -> None:
        with context.wrap_socket(made, server_side=True) as connected:
            serve(connected)

    return wrapped


def test_the_connection_is_kept(authority: Certificate, tmp_path: Path) -> None:
    connections = 0

    def serve(connected: socket.socket) -> None:
        nonlocal connections
        connections += 1
        while read_request(connected):
            connected.sendall(OK)

    with listener(tls(issue(tmp_path, "server", "127.0.0.1", by=authority), serve)) as port:
        target = sink(port)
        assert all(target.deliver(delivery(n)).ok for n in range(5))
        target.close()
    assert connections == 1


def test_one_that_was_closed_meanwhile_is_made_anew(authority: Certificate, tmp_path: Path) -> None:
    def serve(connected: socket.socket) -> None:
        read_request(connected)
        connected.sendall(OK)

    with listener(tls(issue(tmp_path, "server", "127.0.0.1", by=authority), serve)) as port:
        target = sink(port)
        assert all(target.deliver(delivery(n)).ok for n in range(3))


@pytest.mark.parametrize(
    ("names", "days", "signed", "said"),
    [
        (("elsewhere.example",), (-1, 1), True, "its certificate proves nothing: "),
        (("127.0.0.1",), (-9, -2), True, "its certificate proves nothing: certificate has expired"),
        (("127.0.0.1",), (2, 9), True, "its certificate proves nothing: certificate is not yet valid"),
        (("127.0.0.1",), (-1, 1), False, "its certificate proves nothing: "),
    ],
)
def test_a_certificate_that_proves_nothing(
    authority: Certificate, tmp_path: Path, names: tuple[str, ...], days: tuple[int, int], signed: bool, said: str
) -> None:
    came: list[bytes] = []
    found = issue(tmp_path, "server", *names, by=authority if signed else None, days=days)
    with listener(tls(found, lambda connected: came.append(connected.recv(1 << 16)))) as port:
        outcome = sink(port).deliver(delivery())
        with pytest.raises(RemoteFailure, match=said):
            sink(port).check()
    assert not outcome.ok
    assert (outcome.retry, outcome.reached) == (True, False)
    assert said in (outcome.error or "")
    assert "_ssl.c" not in (outcome.error or "")
    assert b"canary" not in b"".join(came)


def test_a_server_that_speaks_no_tls(authority: Certificate) -> None:
    came: list[bytes] = []

    def serve(connected: socket.socket) -> None:
        came.append(connected.recv(1 << 16))
        connected.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    with listener(serve) as port:
        outcome = sink(port).deliver(delivery())
    assert (outcome.ok, "no TLS: " in (outcome.error or "")) == (False, True)
    assert b"canary" not in b"".join(came)


def test_a_server_that_hangs_in_the_handshake_costs_one_deadline(authority: Certificate) -> None:
    with listener(lambda connected: connected.recv(1 << 16) and connected.recv(1)) as port:
        outcome = sink(port).deliver(delivery())
    assert "timed out" in (outcome.error or "")
    assert not outcome.reached
