"""One HTTP/1.1 request and its reply on a connected socket (RFC 9112): bounded in bytes and in time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

    from dbx.plugins.connect import Deadline

MAX_HEAD_BYTES = 32 * 1024
MAX_BODY_BYTES = 64 * 1024
_MAX_INFORMATIONAL = 8
_match_status = re.compile(rb"HTTP/1\.([01]) ([0-9]{3})(?: [^\r\n]*)?").fullmatch
_match_length = re.compile(r"[0-9]{1,18}").fullmatch
_match_chunk = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?").fullmatch


class Malformed(Exception):  # noqa: N818 - it is told as an attempt that failed
    """A reply that is not HTTP."""


class Reply(NamedTuple):
    """A reply. `headers` have lower-case names; of `body` only the first bytes are kept.

    `reusable`: all of it was read, and the other side keeps the connection.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    reusable: bool


def make_request(method: str, target: str, host: str, headers: Sequence[tuple[str, str]], body: bytes | None) -> bytes:
    """The bytes of a request. Names and values of headers are the caller's to have checked."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii") + (body or b"")


def _is_empty(error: OSError) -> bool:
    """Whether reading without waiting failed because there is nothing to read: TLS has a word of its own for that."""
    if isinstance(error, BlockingIOError):
        return True
    import ssl

    return isinstance(error, ssl.SSLWantReadError)


class Exchange:
    """A connection that requests go over, one at a time."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self._buffer = b""

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def is_idle(self) -> bool:
        """Whether nothing has come since the last reply: neither bytes nor the end, as from a server that hung up."""
        if self._buffer:
            return False
        self.socket.setblocking(False)
        try:
            self.socket.recv(1)
        except OSError as error:
            return _is_empty(error)
        return False

    def ask(self, request: bytes, *, has_body: bool, deadline: Deadline) -> Reply:
        """Send a request and read its reply. Raises OSError, Malformed."""
        left = memoryview(request)
        while left:
            # Not sendall: over TLS it would begin its time-out anew with each record.
            self.socket.settimeout(deadline.left_s())
            left = left[self.socket.send(left) :]
        for _ in range(_MAX_INFORMATIONAL):
            minor, status, headers = self._read_head(deadline)
            if status >= 200:
                break
        else:
            raise Malformed("it sends one informational reply after the other")
        keeps = headers.get("connection", "").lower() != "close" and minor == 1
        if not has_body or status in (204, 304):
            return Reply(status, headers, b"", keeps)
        body, whole = self._read_body(headers, deadline)
        return Reply(status, headers, body, keeps and whole)

    def _read_head(self, deadline: Deadline) -> tuple[int, int, dict[str, str]]:
        while b"\r\n\r\n" not in self._buffer:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise Malformed(f"its head is longer than {MAX_HEAD_BYTES} bytes")
            self._more(deadline)
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        found = _match_status(first)
        if found is None:
            raise Malformed("it does not begin with a status line")
        headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon or not name or name != name.strip():
                raise Malformed("a header of it is none")
            headers[name.lower()] = value.strip()
        return int(found[1]), int(found[2]), headers

    def _read_body(self, headers: Mapping[str, str], deadline: Deadline) -> tuple[bytes, bool]:
        """(the first bytes of the body, whether all of it was read)."""
        if "transfer-encoding" in headers:
            if headers["transfer-encoding"].lower() != "chunked":
                return b"", False
            return self._read_chunks(deadline)
        if "content-length" in headers:
            length = headers["content-length"]
            if not _match_length(length):
                raise Malformed("its length is no number")
            size = int(length)
            body = self._take(min(size, MAX_BODY_BYTES), deadline)
            return body, size <= MAX_BODY_BYTES
        return b"", False  # it ends when the other side hangs up: nobody waits for that

    def _read_chunks(self, deadline: Deadline) -> tuple[bytes, bool]:
        body = b""
        while True:
            found = _match_chunk(self._line(deadline))
            if found is None:
                raise Malformed("a chunk of it has no length")
            size = int(found[1], 16)
            if size == 0:
                break
            if len(body) + size > MAX_BODY_BYTES:
                return body, False
            body += self._take(size, deadline)
            if self._take(2, deadline) != b"\r\n":
                raise Malformed("a chunk of it is longer than it says")
        for _ in range(100):
            if not self._line(deadline):
                return body, True
        return body, False

    def _line(self, deadline: Deadline) -> bytes:
        while b"\r\n" not in self._buffer:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise Malformed("a line of it does not end")
            self._more(deadline)
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def _take(self, size: int, deadline: Deadline) -> bytes:
        while len(self._buffer) < size:
            self._more(deadline)
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def _more(self, deadline: Deadline) -> None:
        self.socket.settimeout(deadline.left_s())
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionResetError("the connection was closed in the middle")
        self._buffer += data
