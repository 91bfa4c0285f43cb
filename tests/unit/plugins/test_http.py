"""Web hooks against servers that are down, slow, wrong or hostile."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from dbx.errors import RemoteFailure
from dbx.model.plugin import HttpConfig
from dbx.plugins.http import HttpSink
from tests.unit.plugins.surroundings import around, delivery, listener, read_request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def sink(port: int, *, timeout_s: float = 5.0, path: str = "/hook", **more: Any) -> HttpSink:
    config = HttpConfig(f"http://127.0.0.1:{port}{path}", (), None, "eventdbx", True, timeout_s)
    return HttpSink(config, around(**more))


def answering(*answers: bytes, seen: list[bytes] | None = None) -> Callable[[socket.socket], None]:
    """Each connection gets these answers, one after the other."""

    def serve(connected: socket.socket) -> None:
        for answer in answers:
            request = read_request(connected)
            if not request:
                return
            if seen is not None:
                seen.append(request)
            connected.sendall(answer)

    return serve


def reset(connected: socket.socket) -> None:
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_the_connection_is_kept() -> None:
    seen: list[bytes] = []
    count = 0

    def serve(connected: socket.socket) -> None:
        nonlocal count
        count += 1
        answering(*[OK] * 9, seen=seen)(connected)

    with listener(serve) as port:
        target = sink(port)
        assert all(target.deliver(delivery(n)).ok for n in range(9))
        target.close()
    assert (count, len(seen)) == (1, 9)
    assert b"Idempotency-Key: dddddddd/hook/3\r\n" in seen[3]


def test_a_connection_that_was_closed_meanwhile_is_made_anew() -> None:
    with listener(answering(OK)) as port:
        target = sink(port)
        for n in range(3):
            assert target.deliver(delivery(n)).ok
            time.sleep(0.05)


def test_bytes_that_nobody_asked_for_do_not_answer_the_next_request() -> None:
    with listener(answering(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as port:
        target = sink(port)
        assert target.deliver(delivery(1)).ok
        assert target.deliver(delivery(2)).ok  # over another connection


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\nboom", "http plugin request failed (500): boom"),
        (b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nboom\r\n0\r\n\r\n", "(500): boom"),
        (b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", "http plugin request failed (404)"),
        (b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n", "would change the request"),
        (b"HTTP/1.1 307 No\r\nLocation: http://127.0.0.2/\r\nContent-Length: 0\r\n\r\n", "another host"),
        (b"HTTP/1.1 308 No\r\nLocation: https://127.0.0.1/\r\nContent-Length: 0\r\n\r\n", "another host"),
        (b"HTTP/1.1 307 No\r\nLocation: //169.254.169.254/x\r\nContent-Length: 0\r\n\r\n", "another host"),
        (b"HTTP/1.1 307 No\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n", "another host"),
        (b"HTTP/1.1 307 No\r\nContent-Length: 0\r\n\r\n", "to nowhere"),
        (b"nonsense\r\n\r\n", "status line"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", "no number"),
        (b"HTTP/1.1 200 OK\r\n: x\r\n\r\n", "a header of it is none"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "no length"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 40_000, "longer than"),
        (b"HTTP/1.1 100 Go\r\n\r\n" * 20, "informational"),
    ],
)
def test_what_is_no_success(answer: bytes, said: str) -> None:
    with listener(answering(answer)) as port:
        outcome = sink(port).deliver(delivery())
    assert not outcome.ok
    assert outcome.retry
    assert said in (outcome.error or "")


def test_a_redirect_on_the_same_host_is_followed() -> None:
    seen: list[bytes] = []
    there = b"HTTP/1.1 307 There\r\nLocation: /there?x=1\r\nContent-Length: 0\r\n\r\n"
    with listener(answering(there, OK, seen=seen)) as port:
        assert sink(port).deliver(delivery()).ok
    assert seen[1].startswith(b"POST /there?x=1 HTTP/1.1\r\n")
    assert seen[0].partition(b"\r\n\r\n")[2] == seen[1].partition(b"\r\n\r\n")[2]


def test_redirects_in_a_circle_end() -> None:
    again = b"HTTP/1.1 307 Again\r\nLocation: /hook\r\nContent-Length: 0\r\n\r\n"
    with listener(answering(*[again] * 9)) as port:
        outcome = sink(port).deliver(delivery())
    assert "redirected more than 3 times" in (outcome.error or "")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(b"7", 7.0), (b"Mon, 23 Nov 2026 07:42:30 GMT", pytest.approx(29.9, abs=0.1)), (b"soon", None), (b"-5", None),
     (b"999999999", 86_400.0), (b"Mon, 23 Nov 2020 07:42:30 GMT", 0.0)],
)  # fmt: skip
def test_retry_after(value: bytes, seconds: object) -> None:
    with listener(answering(b"HTTP/1.1 429 Slow\r\nRetry-After: " + value + b"\r\nContent-Length: 0\r\n\r\n")) as port:
        outcome = sink(port).deliver(delivery())
    assert outcome.retry_after_s == seconds


def test_nobody_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    outcome = sink(port).deliver(delivery())
    assert (outcome.ok, outcome.reached, outcome.error) == (
        False, False, "http plugin request failed: connection refused",
    )  # fmt: skip
    with pytest.raises(RemoteFailure, match="cannot reach"):
        sink(port).check()


@pytest.mark.parametrize("dribble", [False, True])
def test_a_server_that_hangs_or_drips_costs_one_deadline(dribble: bool) -> None:
    ended = threading.Event()

    def serve(connected: socket.socket) -> None:
        read_request(connected)
        while not ended.wait(0.05):
            if dribble:
                connected.sendall(b"H" if ended.is_set() else b"HTTP/1.1 200 OK\r\n"[:1])

    with listener(serve) as port:
        began = time.monotonic()
        outcome = sink(port, timeout_s=0.4).deliver(delivery())
        took = time.monotonic() - began
        ended.set()
    assert not outcome.ok
    assert not outcome.reached
    assert 0.3 < took < 3
    assert "timed out" in (outcome.error or "")


def test_a_reset_in_the_middle_of_the_reply() -> None:
    def serve(connected: socket.socket) -> None:
        read_request(connected)
        connected.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        time.sleep(0.1)
        reset(connected)

    with listener(serve) as port:
        outcome = sink(port).deliver(delivery())
    assert not outcome.ok
    assert outcome.reached


def test_a_huge_reply_is_not_read() -> None:
    sent = 0

    def serve(connected: socket.socket) -> None:
        nonlocal sent
        read_request(connected)
        connected.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
        for _ in range(1000):
            connected.sendall(b"x" * 1_000_000)
            sent += 1_000_000

    with listener(serve) as port:
        target = sink(port)
        assert target.deliver(delivery()).ok  # the status said so; the rest is nobody's business
        target.close()
        time.sleep(0.2)
    assert sent < 50_000_000


def test_a_reply_without_end_is_not_waited_for() -> None:
    def serve(connected: socket.socket) -> None:
        read_request(connected)
        connected.sendall(b"HTTP/1.1 200 OK\r\n\r\nand so on")
        time.sleep(2)

    with listener(serve) as port:
        began = time.monotonic()
        assert sink(port).deliver(delivery()).ok
        assert time.monotonic() - began < 1.5


def test_a_name_that_leads_to_a_private_address_is_refused() -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.7", "fe80::1"], ["::ffff:127.0.0.1"], ["64:ff9b::7f00:1"], []])
    config = HttpConfig("http://rebind.example/", timeout_s=1.0)
    target = HttpSink(config, around(lookup=lambda *_: next(answers)))
    for _ in range(5):
        outcome = target.deliver(delivery())
        assert not outcome.ok
        assert "refused" in (outcome.error or "")


def test_the_address_that_was_checked_is_the_one_that_is_used() -> None:
    """A name that answers differently each time is asked once for each connection."""
    asked: list[str] = []

    def lookup(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    seen: list[bytes] = []
    with listener(answering(OK, OK, seen=seen)) as port:
        config = HttpConfig(f"http://rebind.example:{port}/", (), None, "eventdbx", True, 2.0)
        target = HttpSink(config, around(lookup=lookup))
        assert target.deliver(delivery(1)).ok
        assert target.deliver(delivery(2)).ok
    assert asked == ["rebind.example"]
    assert b"Host: rebind.example:" in seen[0]


def test_a_look_up_that_hangs_costs_one_deadline() -> None:
    ended = threading.Event()

    def lookup(host: str, port: int) -> list[str]:
        ended.wait(10)
        return []

    began = time.monotonic()
    outcome = HttpSink(HttpConfig("http://slow.example/", timeout_s=0.3), around(lookup=lookup)).deliver(delivery())
    ended.set()
    assert not outcome.reached
    assert "timed out" in (outcome.error or "")
    assert time.monotonic() - began < 3


def test_check_asks_with_head() -> None:
    seen: list[bytes] = []
    with listener(answering(b"HTTP/1.1 204 No\r\n\r\n", seen=seen)) as port:
        sink(port).check()
    assert seen[0].startswith(b"HEAD /hook HTTP/1.1\r\n")
    with listener(answering(b"HTTP/1.1 405 No\r\nContent-Length: 5\r\n\r\n")) as port:
        sink(port).check()
    with listener(answering(b"HTTP/1.1 500 No\r\nContent-Length: 5\r\n\r\n")) as port, pytest.raises(RemoteFailure):
        sink(port).check()


def test_a_certificate_that_nobody_signed_is_refused() -> None:
    with listener(lambda connected: connected.sendall(b"no tls here")) as port:
        config = HttpConfig(f"https://127.0.0.1:{port}/", (), None, "eventdbx", True, 2.0)
        outcome = HttpSink(config, around()).deliver(delivery())
    assert not outcome.ok
