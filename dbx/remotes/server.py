"""A small HTTP server for the application: threads, so many at a time, each with a limit on its patience.

For a machine of one's own, for tests, and for `dbx serve --stdio`; in front of strangers stands a production server.
"""

from __future__ import annotations

import errno
import select
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO

from dbx.errors import Failure
from dbx.formats import wire
from dbx.remotes.connection import Connection, Limits

if TYPE_CHECKING:
    import ssl

    from dbx.remotes.connection import Application, Log

MAX_CONNECTIONS = 256
MAX_RUNNING = 32
"""Requests that run at a time; others wait, so that many clients at once cost no more memory than few."""
TURN_S = 20.0
_BACKLOG = 128
_FULL = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_GONE_S = 1.0


class Turns:
    """Who may run a request now."""

    def __init__(self, running: int = MAX_RUNNING, turn_s: float = TURN_S) -> None:
        self._slots = threading.BoundedSemaphore(running)
        self._turn_s = turn_s
        self.ending = False

    def wait(self) -> bool:
        """Wait for a turn; False where none comes in time."""
        return self._slots.acquire(timeout=self._turn_s)

    def done(self) -> None:
        """Give it back."""
        self._slots.release()


_CHOOSE = dict.fromkeys((errno.EADDRINUSE, errno.EACCES), "choose another port with '--port'")


class Server:
    """The server; `serve_forever` until `shutdown`. Each connection has a thread, and there are at most so many.

    Where all are taken, the one that has waited longest for its next request makes room: who opens connections and
    says nothing on them keeps nobody out.
    """

    def __init__(
        self,
        host: str,
        port: int,
        application: Application,
        log: Log,
        tls: ssl.SSLContext | None = None,
        *,
        limits: Limits | None = None,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self._application = application
        self._log = log
        self._tls = tls
        self._limits = limits or Limits()
        self._max_connections = max_connections
        self._turns = Turns()
        self._changed = threading.Condition()
        self._open: set[socket.socket] = set()
        self._waiting: dict[socket.socket, None] = {}  # in the order in which they began to wait
        self._stopped = threading.Event()
        self._stopped.set()
        self._wake, self._waker = socket.socketpair()
        try:
            self._listener = socket.create_server(
                (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=_BACKLOG
            )
        except OSError as error:
            self._wake.close()
            self._waker.close()
            raise Failure(
                f"cannot listen on {host}:{port}: {_why(error)}",
                hint=_CHOOSE.get(error.errno or 0, "choose another address with '--host'"),
            ) from None
        self._listener.setblocking(False)
        self.server_address = self._listener.getsockname()

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self.server_address[:2]
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """Accept connections until `shutdown`. Where none can be had, it looks again every `poll_interval` seconds."""
        self._stopped.clear()
        try:
            while not self._turns.ending:
                ready, _, _ = select.select([self._listener, self._wake], [], [])
                if self._listener in ready and not self._turns.ending:
                    self._accept(poll_interval)
        finally:
            self._listener.close()
            self._stopped.set()

    def shutdown(self) -> None:
        """Accept nothing more, and let go of those who wait for a request; what runs goes on."""
        self._turns.ending = True
        with suppress(OSError):
            self._waker.send(b".")
        self._stopped.wait()
        with self._changed:
            for connection in self._waiting:
                _hang_up(connection)

    def wait_idle(self, wait_s: float) -> bool:
        """Wait until no connection is being served; whether that came about in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._open, wait_s)

    def server_close(self) -> None:
        """Close what is left."""
        self._listener.close()
        with self._changed:
            for connection in self._open:
                _hang_up(connection)
        self._wake.close()
        self._waker.close()

    # -- inside ----------------------------------------------------------------------------------------------------

    def _accept(self, pause_s: float) -> None:
        try:
            connection, address = self._listener.accept()
        except OSError as error:
            if error.errno in _FULL:
                time.sleep(pause_s)  # until somebody closes something; asking at once would be asking in vain
            return
        if not self._make_room():
            with suppress(OSError):
                connection.settimeout(0)
                connection.send(_busy())
            connection.close()
            return
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with self._changed:
            self._open.add(connection)
        try:
            threading.Thread(target=self._serve, args=(connection, str(address[0])), daemon=True).start()
        except RuntimeError:  # no more threads
            self._forget(connection)

    def _make_room(self) -> bool:
        with self._changed:
            if len(self._open) < self._max_connections:
                return True
            oldest = next(iter(self._waiting), None)
            if oldest is None:
                return False
            del self._waiting[oldest]
            _hang_up(oldest)
            return self._changed.wait_for(lambda: len(self._open) < self._max_connections, _GONE_S)

    def _serve(self, connection: socket.socket, peer: str) -> None:
        def idle(waits: bool) -> None:
            with self._changed:
                if waits:
                    self._waiting[connection] = None
                    if self._turns.ending:
                        _hang_up(connection)
                else:
                    self._waiting.pop(connection, None)

        scheme = "http" if self._tls is None else "https"
        served = Connection(
            _SocketStream(connection),
            peer,
            self._application,
            self._log,
            self._turns,
            limits=self._limits,
            scheme=scheme,
            idle=idle,
        )
        try:
            with suppress(OSError):  # no handshake, or the client has gone
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._tls is not None:
                    idle(True)
                    _shake_hands(connection, self._limits.head_s)
                served.run()
        finally:
            self._forget(connection)

    def _forget(self, connection: socket.socket) -> None:
        with self._changed:
            self._open.discard(connection)
            self._waiting.pop(connection, None)
            self._changed.notify_all()
        connection.close()


class _SocketStream:
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def recv(self, size: int, timeout_s: float) -> bytes:
        self._connection.settimeout(max(timeout_s, 0.001))
        return self._connection.recv(size)

    def send(self, data: bytes | memoryview, timeout_s: float) -> None:
        self._connection.settimeout(max(timeout_s, 0.001))
        self._connection.sendall(data)


class _FileStream:
    """Two files, as ssh gives them; ssh itself notices when the other side has gone."""

    def __init__(self, source: BinaryIO, target: BinaryIO) -> None:
        self._source = source
        self._target = target

    def recv(self, size: int, timeout_s: float) -> bytes:
        read1 = getattr(self._source, "read1", self._source.read)
        data: bytes = read1(size)
        return data

    def send(self, data: bytes | memoryview, timeout_s: float) -> None:
        self._target.write(data)
        self._target.flush()


def serve_stdio(application: Application, source: BinaryIO, target: BinaryIO) -> None:
    """Serve one connection whose two ends are files, until the other side closes it."""
    Connection(_FileStream(source, target), "stdio", application, lambda _: None, Turns(), limits=Limits()).run()


def _shake_hands(connection: Any, timeout_s: float) -> None:
    connection.settimeout(timeout_s)
    connection.do_handshake()


def _hang_up(connection: socket.socket) -> None:
    """End a connection that another thread may be reading: that thread sees the end of it."""
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)  # not TLS's own, which is not for two threads


def _busy() -> bytes:
    refusal = wire.Refusal("locked", "the server has too many connections", "try again in a moment", {})
    data = wire.encode_refusal(refusal)
    lines = ["HTTP/1.1 503 Service Unavailable", "Content-Type: application/json", f"Content-Length: {len(data)}"]
    return "".join(f"{line}\r\n" for line in [*lines, "Connection: close", "Retry-After: 1", ""]).encode() + data


def _why(error: OSError) -> str:
    """What the system says, without the address that Python adds."""
    return (error.strerror or str(error)).partition(" (while attempting")[0].lower()
