"""A request and its reply on one connection: bounded, whatever comes back."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbx.plugins.connect import Deadline
from dbx.plugins.exchange import MAX_BODY_BYTES, Exchange, Malformed, Reply


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Wire:
    """Stands for a connected socket: what is sent is taken a little at a time, and each call takes some time."""

    def __init__(
        self, reply: bytes, *, clock: Clock, step_s: float = 0.0, takes: int = 1 << 20, gives: int = 7
    ) -> None:
        self.sent = b""
        self._reply = reply
        self._clock = clock
        self._step_s = step_s
        self._takes = takes
        self._gives = gives

    def settimeout(self, left_s: float) -> None:
        assert left_s > 0

    def send(self, data: memoryview) -> int:
        self._clock.now += self._step_s
        self.sent += bytes(data[: self._takes])
        return min(len(data), self._takes)

    def recv(self, size: int) -> bytes:
        self._clock.now += self._step_s
        data, self._reply = self._reply[: self._gives], self._reply[self._gives :]
        return data

    def close(self) -> None:
        """Nothing is kept."""


def ask(reply: bytes, request: bytes = b"POST", **more: float) -> Callable[[], Reply]:
    clock = Clock()
    wire = Wire(reply, clock=clock, **more)  # type: ignore[arg-type]

    def run() -> Reply:
        exchange = Exchange(wire)  # type: ignore[arg-type]
        try:
            return exchange.ask(request, has_body=True, deadline=Deadline(5.0, clock))
        finally:
            assert clock.now <= 5.0 + more.get("step_s", 0.0)

    return run


def test_a_request_goes_out_whole() -> None:
    wire = Wire(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", clock=Clock(), takes=3)
    reply = Exchange(wire).ask(b"x" * 1000, has_body=True, deadline=Deadline(5.0, Clock()))  # type: ignore[arg-type]
    assert (reply.status, reply.reusable, wire.sent) == (200, True, b"x" * 1000)


def test_one_who_takes_a_request_drop_by_drop_costs_one_deadline() -> None:
    with pytest.raises(TimeoutError):
        ask(b"", b"x" * 10_000, step_s=0.5, takes=1)()


def test_one_who_answers_drop_by_drop_costs_one_deadline() -> None:
    with pytest.raises(TimeoutError):
        ask(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100, step_s=0.5, gives=1)()


_PIECES = st.sampled_from(
    [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 429 x\r\n", b"HTTP/1.1 100 x\r\n\r\n", b"Content-Length: ", b"5", b"-5",
     b"\r\n", b"99999999999999999", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"0\r\n\r\n",
     b"ffffffff\r\n", b"3\r\nabc\r\n", b";x", b": ", b" ", b"\xff\xb2", b"\x00", b"\r\n\r\n", b"hello"]
)  # fmt: skip


@given(st.lists(st.one_of(_PIECES, st.binary(max_size=9)), max_size=12).map(b"".join), st.booleans())
def test_whatever_comes_back_is_a_reply_or_told(data: bytes, begins_well: bool) -> None:
    try:
        reply = ask(b"HTTP/1.1 200 OK\r\n" * begins_well + data)()
    except (OSError, Malformed):
        return
    assert 200 <= reply.status <= 999
    assert len(reply.body) <= MAX_BODY_BYTES


def test_idle_is_told_from_bytes_that_nobody_asked_for() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        exchange = Exchange(ours)
        assert exchange.is_idle()
        theirs.send(b"x")
        assert not exchange.is_idle()
        theirs.close()
        assert not exchange.is_idle()
