"""Each delivery is a line over a connection of its own."""

from __future__ import annotations

import json
import socket
import struct
import time

import pytest

from dbx.errors import RemoteFailure
from dbx.model.plugin import TcpConfig
from dbx.plugins.tcp import TcpSink
from tests.unit.plugins.surroundings import around, delivery, listener


def sink(port: int) -> TcpSink:
    return TcpSink(TcpConfig("127.0.0.1", port, allow_private=True, timeout_s=2.0), around())


def test_a_delivery_is_one_line() -> None:
    got: list[bytes] = []

    def serve(connected: socket.socket) -> None:
        with connected.makefile("rb") as file:
            got.append(file.read())

    with listener(serve) as port:
        target = sink(port)
        target.check()
        for n in range(3):
            assert target.deliver(delivery(n, parts={"event": {"note": "a\nb"}})).ok
        time.sleep(0.1)
    lines = [line for line in got if line]
    assert len(lines) == 3
    assert all(line.count(b"\n") == 1 and json.loads(line) for line in lines)


def test_a_listener_that_keeps_the_connection_is_not_waited_for() -> None:
    with listener(lambda connected: time.sleep(3)) as port:
        began = time.monotonic()
        assert sink(port).deliver(delivery()).ok
        assert time.monotonic() - began < 1.5


def test_a_listener_that_resets_has_not_taken_it() -> None:
    def serve(connected: socket.socket) -> None:
        connected.recv(1)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with listener(serve) as port:
        outcome = sink(port).deliver(delivery())
    assert not outcome.ok
    assert outcome.reached


def test_nobody_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    outcome = sink(port).deliver(delivery())
    assert (outcome.ok, outcome.reached) == (False, False)
    with pytest.raises(RemoteFailure):
        sink(port).check()


def test_a_private_address_is_refused() -> None:
    target = TcpSink(TcpConfig("inside.example", 80), around(lookup=lambda *_: ["192.168.1.1"]))
    outcome = target.deliver(delivery())
    assert (outcome.ok, outcome.error) == (False, "tcp plugin refused: '192.168.1.1' is a private address")
