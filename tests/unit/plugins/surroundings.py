"""What sinks get in tests, a delivery, and listeners on loopback that behave badly."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from dbx.model.delivery import Delivery, Where
from dbx.plugins.base import Surroundings


def around(**more: Any) -> Surroundings:
    said: list[str] = more.pop("said", [])
    return Surroundings(said.append, lambda: "2026-11-23T07:42:00.123456Z", "/", "shop", "d" * 8, **more)


def delivery(position: int = 1, aggregate_id: str = "o-1", **more: Any) -> Delivery:
    parts = more.pop("parts", {"event": {"payload": {"n": 1}}, "state": {"state": {"n": 1}}})
    return Delivery(
        Where("d" * 8, "shop", "hook"), position, "order", aggregate_id, 1, "placed", 7, "all", parts, **more
    )


@contextmanager
def listener(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port where each connection is served by `serve`, in a thread of its own, and closed when that returns."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        ended = threading.Event()

        def accept() -> None:
            while not ended.is_set():
                with suppress(TimeoutError):
                    made, _ = server.accept()
                    threading.Thread(target=run, args=(made,), daemon=True).start()

        def run(made: socket.socket) -> None:
            made.settimeout(10)
            with made, suppress(OSError):
                serve(made)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            ended.set()
            thread.join()


def read_request(connected: socket.socket) -> bytes:
    """The head and the body of one request; empty when the other side hangs up."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connected.recv(65536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            size = int(line.partition(b":")[2])
            while len(body) < size:
                body += connected.recv(65536)
    return head + b"\r\n\r\n" + body
