"""One connection of a client: request after request, each with limits on its size and on our patience."""

from __future__ import annotations

import io
import re
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from dbx.errors import DbxError, Invalid
from dbx.formats import wire
from dbx.formats.httphead import END, MAX_HEAD_BYTES, Head, parse_head
from dbx.remotes.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Application = Callable[[Mapping[str, Any], Callable[..., Any]], Iterable[bytes]]
    Log = Callable[[str], None]

PIECE_BYTES = 64 * 1024
DRAIN_BYTES = 1 << 20
MIN_BYTES_S = 1024
"""A body that comes more slowly keeps others out."""
_METHODS = ("GET", "HEAD", "POST")
_PHRASES = {400: "Bad Request", 405: "Method Not Allowed", 408: "Request Timeout", 411: "Length Required"}
_PHRASES |= {431: "Request Header Fields Too Large", 500: "Internal Server Error", 503: "Service Unavailable"}
_is_path = re.compile(r"/[!-~]*").fullmatch


class Limits(NamedTuple):
    """Seconds: `idle_s` until a request begins, `head_s` for its head, `silence_s` without a byte of it or room for one
    of the answer, `request_s` for all of it, `drain_s` for what is left of a refused one."""

    idle_s: float = 60.0
    head_s: float = 15.0
    silence_s: float = 30.0
    request_s: float = 3600.0
    drain_s: float = 5.0


class Stream(Protocol):
    """Two directions of bytes. `recv` gives at least one byte, none at the end; both raise OSError, TimeoutError."""

    def recv(self, size: int, timeout_s: float) -> bytes:
        """Bytes that came."""

    def send(self, data: bytes | memoryview, timeout_s: float) -> None:
        """Send all of it."""


class Turn(Protocol):
    """What a connection asks its server."""

    def wait(self) -> bool:
        """Wait for the right to run a request; False where none comes in time."""

    def done(self) -> None:
        """Give it back."""

    @property
    def ending(self) -> bool:
        """Whether the server takes no more requests."""


class Refused(Exception):  # noqa: N818 - the client's error, as a status
    """A request that no application sees."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Connection:
    """Serves one client until it goes, is refused, or the server ends."""

    def __init__(
        self,
        stream: Stream,
        peer: str,
        application: Application,
        log: Log,
        turn: Turn,
        *,
        limits: Limits,
        scheme: str = "http",
        idle: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._stream = stream
        self._peer = peer
        self._application = application
        self._log = log
        self._turn = turn
        self._limits = limits
        self._scheme = scheme
        self._idle = idle
        self._buffer = b""
        self._keeps_open = True

    def run(self) -> None:
        """Serve. Whatever a client does ends here and nowhere else."""
        try:
            while self._keeps_open and not self._turn.ending and (head := self._head()) is not None:
                self._answer(head)
        except Refused as refused:
            self._refuse(refused)
        except OSError:
            return  # whoever asked has gone, or was too slow

    # -- reading ---------------------------------------------------------------------------------------------------

    def _head(self) -> Head | None:
        """The next request's head; None where the client has no more."""
        self._idle(True)
        try:
            now = time.monotonic()
            deadline = now + (self._limits.head_s if self._buffer else self._limits.idle_s)
            seen = 0
            while (end := self._buffer.find(END, max(0, seen - len(END)), MAX_HEAD_BYTES + len(END))) < 0:
                seen = len(self._buffer)
                if len(self._buffer) > MAX_HEAD_BYTES:
                    raise Refused(431, "the request's head is larger than it may be")
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                data = self._stream.recv(PIECE_BYTES, left)
                if not data:
                    return None
                if not self._buffer:
                    deadline = time.monotonic() + self._limits.head_s
                self._buffer += data
        except TimeoutError:
            if not self._buffer:
                return None
            raise Refused(408, "the request's head came too slowly") from None
        finally:
            self._idle(False)
        data, self._buffer = self._buffer[:end], self._buffer[end + len(END) :]
        try:
            return parse_head(data)
        except Invalid as error:
            raise Refused(400, error.message) from None

    def _take(self, size: int, timeout_s: float) -> bytes:
        if self._buffer:
            data, self._buffer = self._buffer[:size], self._buffer[size:]
            return data
        data = self._stream.recv(min(size, PIECE_BYTES), timeout_s)
        if not data:
            raise ConnectionError("the client has gone")
        return data

    # -- answering -------------------------------------------------------------------------------------------------

    def _answer(self, head: Head) -> None:
        began = time.monotonic()
        if head.method not in _METHODS:
            raise Refused(405, "there is no such method here")
        if head.length is None:
            raise Refused(411, "a request must say how long it is")
        if not _is_path(head.target):
            raise Refused(400, "the request's target is no path")
        self._keeps_open = head.keeps_open
        wants_word = head.minor > 0 and head.fields.get("expect", "").lower() == "100-continue"
        body = _Body(self, head.length, began + self._limits.request_s, self._limits.silence_s, wants_word=wants_word)
        sender = _Sender(self, head, began + self._limits.request_s)
        if not self._turn.wait():
            raise Refused(503, "too many requests at once")
        path = head.target.partition("?")[0]
        try:
            self._run(head, body, sender)
        finally:
            self._turn.done()
            took_ms = (time.monotonic() - began) * 1000
            self._log(f"{self._peer} {head.method} {path[:200]} {sender.status} {sender.count} {took_ms:.0f}ms")
        if wants_word and body.left and not body.was_asked:
            self._keeps_open = False  # it may send the body, or not
        elif self._keeps_open or body.left:
            self._keeps_open = body.drain(self._limits.drain_s) and self._keeps_open

    def _run(self, head: Head, body: _Body, sender: _Sender) -> None:
        result: Iterable[bytes] = ()
        try:
            result = self._application(self._environ(head, body), sender.start)
            for block in result:
                sender.write(block)
            sender.finish()
        except OSError:
            self._keeps_open = False
            raise
        except Exception as error:
            # The names of what went wrong and where; what was at hand may be somebody's secret.
            self._log(f"a request failed: {_place(error)}")
            self._keeps_open = False
            if sender.has_begun:
                return
            sender.fail()
        finally:
            if hasattr(result, "close"):
                result.close()

    def _environ(self, head: Head, body: _Body) -> dict[str, Any]:
        path, _, query = head.target.partition("?")
        return {
            "REQUEST_METHOD": head.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_LENGTH": str(head.length),
            "REMOTE_ADDR": self._peer,
            "HTTP_AUTHORIZATION": head.fields.get("authorization", ""),
            "SERVER_PROTOCOL": f"HTTP/1.{head.minor}",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": self._scheme,
            "wsgi.input": body,
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }

    def _refuse(self, refused: Refused) -> None:
        """Tell the client why, and read what it still sends, so that it can hear it."""
        data = wire.encode_refusal(
            wire.Refusal("invalid" if refused.status < 500 else "locked", refused.message, None, {})
        )
        self._log(f"{self._peer} - - {refused.status} {len(data)} refused: {refused.message}")
        lines = [f"HTTP/1.1 {refused.status} {_PHRASES[refused.status]}", "Content-Type: application/json"]
        lines += [f"Content-Length: {len(data)}", "Connection: close"]
        lines += ["Allow: GET, HEAD, POST"] if refused.status == 405 else []
        lines += ["Retry-After: 1"] if refused.status == 503 else []
        try:
            self._stream.send("".join(f"{line}\r\n" for line in [*lines, ""]).encode() + data, self._limits.drain_s)
            deadline = time.monotonic() + self._limits.drain_s
            left = DRAIN_BYTES
            while left > 0 and (wait_s := deadline - time.monotonic()) > 0:
                came = self._stream.recv(PIECE_BYTES, min(wait_s, 0.5))
                if not came:
                    return
                left -= len(came)
        except OSError:
            return


class _Body:
    """The body of a request, and nothing behind it."""

    def __init__(
        self, connection: Connection, length: int, deadline: float, silence_s: float, *, wants_word: bool
    ) -> None:
        self._connection = connection
        self._pace = Pace(deadline, silence_s, int(MIN_BYTES_S * silence_s))
        self._wants_word = wants_word
        self.was_asked = False
        self.left = length

    def read(self, size: int = -1) -> bytes:
        """At most so many bytes; fewer only where no more came for now. Raises OSError."""
        want = self.left if size < 0 else min(size, self.left)
        if not want:
            return b""
        if self._wants_word and not self.was_asked:
            self._connection._stream.send(b"HTTP/1.1 100 Continue\r\n\r\n", self._pace.patience())
        self.was_asked = True
        if size < 0:
            return b"".join(iter(lambda: self.read(PIECE_BYTES), b""))
        began = time.monotonic()
        data = self._connection._take(want, self._pace.patience())
        self._pace.came(len(data), time.monotonic() - began)
        self.left -= len(data)
        return data

    def drain(self, drain_s: float) -> bool:
        """Read what is left of a refused request; False where that is too much, or takes too long."""
        if self.left > DRAIN_BYTES:
            return False
        self._pace = Pace(time.monotonic() + drain_s, drain_s)
        try:
            while self.left:
                self.read(PIECE_BYTES)
        except OSError:
            return False
        return True


class _Sender:
    """An answer on its way: with its length, in chunks, or until the connection closes."""

    def __init__(self, connection: Connection, head: Head, deadline: float) -> None:
        self._connection = connection
        self._head = head
        self._deadline = deadline
        self._pending: tuple[str, list[tuple[str, str]]] | None = None
        self._is_chunked = False
        self._left: int | None = None
        self.has_begun = False
        self.status = "-"
        self.count = 0

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        """WSGI's start_response."""
        self._pending = (status, headers)
        return self.write

    def write(self, data: bytes) -> None:
        """A part of the answer."""
        self._begin()
        if not data:
            return
        if self._left is not None:
            if len(data) > self._left:
                raise ConnectionError("the answer is longer than it said")
            self._left -= len(data)
        self.count += len(data)
        if self._head.method == "HEAD":
            return
        view = memoryview(data)
        for at in range(0, len(view), PIECE_BYTES):
            piece = view[at : at + PIECE_BYTES]
            self._send(b"%x\r\n%b\r\n" % (len(piece), bytes(piece)) if self._is_chunked else piece)

    def finish(self) -> None:
        """The end of it."""
        self._begin()
        if self._is_chunked and self._head.method != "HEAD":
            self._send(b"0\r\n\r\n")
        if self._left and self._head.method != "HEAD":
            raise ConnectionError("the answer is shorter than it said")

    def fail(self) -> None:
        """An answer for a request that failed in a way nobody thought of."""
        data = wire.encode_refusal(wire.Refusal("internal", "the server failed: this is a bug in dbx", None, {}))
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(data)))]
        self.start(f"500 {_PHRASES[500]}", headers)
        self.write(data)
        self.finish()

    def _begin(self) -> None:
        if self._pending is None:
            return
        (status, headers), self._pending = self._pending, None
        self.status = status.partition(" ")[0]
        self.has_begun = True
        length = next((value for name, value in headers if name.lower() == "content-length"), None)
        lines = [f"HTTP/1.1 {status}", "Server: dbx", *(f"{name}: {value}" for name, value in headers)]
        if length is not None:
            self._left = int(length)
        elif self._head.minor:
            self._is_chunked = True
            lines.append("Transfer-Encoding: chunked")
        else:
            self._connection._keeps_open = False
        if self._connection._turn.ending:
            self._connection._keeps_open = False
        if not self._connection._keeps_open:
            lines.append("Connection: close")
        elif not self._head.minor:
            lines.append("Connection: keep-alive")
        self._send("".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1"))

    def _send(self, data: bytes | memoryview) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("it took longer than it may")
        self._connection._stream.send(data, min(left, self._connection._limits.silence_s))


def _place(error: Exception) -> str:
    if isinstance(error, DbxError):
        return error.message
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f" at {trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
    return f"{type(error).__name__}{where}"
