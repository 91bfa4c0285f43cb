"""A server that lies: it speaks the protocol, and spoils what it says as it is told."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dbx.remotes.server import Server
from dbx.remotes.service import anybody, make_application

Spoil = Callable[[str, bytes], bytes]
"""What becomes of an answer: (the request's path, its bytes) -> its bytes."""


@contextmanager
def lying(path: Path, spoil: Spoil, redirect: Callable[[str], str | None] = lambda path: None) -> Iterator[str]:
    """A server of the repository at a path; its address. `redirect` says of a request's path where to send it."""
    honest = make_application(str(path / ".dbx"), gate=anybody)

    def application(environ, start_response):  # type: ignore[no-untyped-def]
        elsewhere = redirect(environ["PATH_INFO"])
        if elsewhere is not None:
            start_response("307 Temporary Redirect", [("Location", elsewhere), ("Content-Length", "0")])
            return [b""]
        said = []
        answer = honest(environ, lambda status, headers: said.append((status, headers)))
        try:
            data = b"".join(answer)
        finally:
            if hasattr(answer, "close"):
                answer.close()
        data = spoil(environ["PATH_INFO"], data)
        status, headers = said[0]
        kept = [(name, value) for name, value in headers if name != "Content-Length"]
        start_response(status, [*kept, ("Content-Length", str(len(data)))])
        return [data]

    server = Server("127.0.0.1", 0, application, lambda line: None)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"{server.url}/default"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def raw_server(answer: Callable[[socket.socket, bytes], None]) -> Iterator[str]:
    """A server that does with a connection and the request's head whatever it likes; its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(20)
                try:
                    head = b""
                    while b"\r\n\r\n" not in head and (data := connection.recv(65536)):
                        head += data
                    answer(connection, head)
                except OSError:
                    continue  # the client has given up, as it should

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/default"
    finally:
        stop.set()
        thread.join()
        listener.close()


def drip(connection: socket.socket, head: bytes, *, pause_s: float = 0.05, for_s: float = 30.0) -> None:
    """An answer that comes a byte at a time, and never ends."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
    end = time.monotonic() + for_s
    while time.monotonic() < end:
        connection.sendall(b" ")
        time.sleep(pause_s)
