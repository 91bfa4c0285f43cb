"""A small HTTP server for the application: threads, so many at a time, each with a limit on its patience.

For a machine of one's own, for tests, and for `dbx serve --stdio`; in front of strangers stands a production server.
"""

from __future__ import annotations

import io
import socket
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, BinaryIO

from dbx.errors import Failure

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable

    Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
    Log = Callable[[str], None]

MAX_CONNECTIONS = 32
SILENCE_S = 60.0
DRAIN_BYTES = 1 << 20
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\nRetry-After: 1\r\n\r\n"


class _Handler(BaseHTTPRequestHandler):
    """One connection: request after request, each handed to the application."""

    protocol_version = "HTTP/1.1"
    server_version = "dbx"
    sys_version = ""
    timeout = SILENCE_S
    application: Application
    log: Log
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._run()

    def do_POST(self) -> None:
        self._run()

    def _run(self) -> None:
        began = time.monotonic()
        body = _Bounded(self.rfile, self.headers.get("Content-Length"))
        if "chunked" in (self.headers.get("Transfer-Encoding") or "").lower():
            self.send_error(411)
            self.close_connection = True
            return
        sent = _Sender(self)
        path, _, query = self.path.partition("?")
        environ = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_LENGTH": str(body.left),
            "REMOTE_ADDR": self.client_address[0] if self.client_address else "",
            "HTTP_AUTHORIZATION": self.headers.get("Authorization") or "",
            "SERVER_PROTOCOL": self.request_version,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": body,
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        result: Any = ()
        try:
            result = self.application(environ, sent.start)
            for block in result:
                sent.write(block)
            sent.finish()
        except OSError:
            self.close_connection = True  # whoever asked has gone
        finally:
            if hasattr(result, "close"):
                result.close()
            took_ms = (time.monotonic() - began) * 1000
            self.log(f"{self.command} {path} {sent.status} {sent.count} {took_ms:.0f}ms")
        if not body.drain():
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server gives it
        """Nothing: `log` tells of requests, without what may be secret in them."""


class _Bounded:
    """The body of a request, and nothing behind it."""

    def __init__(self, file: Any, length: str | None) -> None:
        self._file = file
        text = length or "0"
        self.left = int(text) if text.isascii() and text.isdigit() and len(text) < 18 else 0

    def read(self, size: int = -1) -> bytes:
        """At most so many bytes; fewer only where no more came for now."""
        want = self.left if size < 0 else min(size, self.left)
        data: bytes = self._file.read1(want) if want and hasattr(self._file, "read1") else self._file.read(want)
        if want and not data:
            raise ConnectionError("the client has gone")
        self.left -= len(data)
        return data

    def drain(self) -> bool:
        """Read what is left of a refused request; False where that is too much."""
        if self.left > DRAIN_BYTES:
            return False
        try:
            while self.left:
                self.read(64 * 1024)
        except OSError:
            return False
        return True


class _Sender:
    """An answer on its way: with its length, or in chunks."""

    def __init__(self, handler: _Handler) -> None:
        self._handler = handler
        self._pending: tuple[str, list[tuple[str, str]]] | None = None
        self._is_chunked = False
        self.status = "-"
        self.count = 0

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        """WSGI's start_response."""
        self._pending = (status, headers)
        return self.write

    def write(self, data: bytes) -> None:
        """A part of the answer."""
        self._send_head()
        if data:
            self.count += len(data)
            self._handler.wfile.write(b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked else data)

    def finish(self) -> None:
        """The end of it."""
        self._send_head()
        if self._is_chunked:
            self._handler.wfile.write(b"0\r\n\r\n")
        self._handler.wfile.flush()

    def _send_head(self) -> None:
        if self._pending is None:
            return
        (status, headers), self._pending = self._pending, None
        code, _, phrase = status.partition(" ")
        self.status = code
        self._handler.send_response(int(code), phrase)
        for name, value in headers:
            self._handler.send_header(name, value)
        if not any(name.lower() == "content-length" for name, _ in headers):
            self._is_chunked = True
            self._handler.send_header("Transfer-Encoding", "chunked")
        self._handler.end_headers()


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """The server; `serve_forever` until `shutdown`. At most MAX_CONNECTIONS are served at a time."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64
    block_on_close = False

    def __init__(
        self, host: str, port: int, application: Application, log: Log, tls: ssl.SSLContext | None = None
    ) -> None:
        self._tls = tls
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._slots = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._busy = 0
        self._idle = threading.Condition()
        try:
            super().__init__((host, port), _handler(application, log))
        except OSError as error:
            raise Failure(
                f"cannot listen on {host}:{port}: {(error.strerror or str(error)).lower()}",
                hint="choose another port with '--port'",
            ) from None

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self.server_address[:2]
        name = host.decode() if isinstance(host, bytes) else str(host)
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://{f'[{name}]' if ':' in name else name}:{port}"

    def get_request(self) -> tuple[Any, Any]:
        """The next connection. Its handshake is made by its own thread, when it first reads."""
        connection, address = super().get_request()
        if self._tls is None:
            return connection, address
        return self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def process_request(self, request: Any, client_address: Any) -> None:
        """A connection: a thread of its own, while there is room."""
        if not self._slots.acquire(blocking=False):
            try:
                request.sendall(_BUSY)
            finally:
                self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve it."""
        with self._idle:
            self._busy += 1
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()
            with self._idle:
                self._busy -= 1
                self._idle.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is nobody's fault here."""

    def wait_idle(self, wait_s: float) -> bool:
        """Wait until no connection is being served; whether that came about in time."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._busy, wait_s)


def serve_stdio(application: Application, source: BinaryIO, target: BinaryIO) -> None:
    """Serve one connection whose two ends are files, until the other side closes it."""
    handler = _handler(application, lambda _: None)
    _Stdio(handler, source, target)


class _Stdio:
    def __init__(self, handler: type[_Handler], source: BinaryIO, target: BinaryIO) -> None:
        made = handler.__new__(handler)
        made.rfile, made.wfile = source, target  # type: ignore[assignment]  # a buffered file, as a socket's is
        made.client_address = ("stdio", 0)
        made.close_connection = True
        made.handle()


def _handler(application: Application, log: Log) -> type[_Handler]:
    return type("Handler", (_Handler,), {"application": staticmethod(application), "log": staticmethod(log)})
