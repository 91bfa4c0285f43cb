"""How slow the other side of a connection may be: no long silence, no dripping, and an end to all of it."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket

MIN_BYTES = 1024
"""So many bytes must come in each stretch of the time-out, once an answer has begun."""


class Pace:
    """The rules for one connection; times in seconds, `deadline` by the monotonic clock. Only waiting counts.

    `min_bytes` must come in each stretch of `timeout_s`.
    """

    def __init__(self, deadline: float, timeout_s: float, min_bytes: int = MIN_BYTES) -> None:
        self._min_bytes = min_bytes
        self._deadline = deadline
        self._timeout_s = timeout_s
        self._first_s = timeout_s
        self._has_begun = False
        self._waited_s = 0.0
        self._bytes = 0

    def expect(self, first_s: float) -> None:
        """A request goes out: its answer may take `first_s` to begin."""
        self._first_s = max(first_s, self._timeout_s)
        self._has_begun = False

    def patience(self) -> float:
        """How long the next bytes may take. Raises TimeoutError where they come too late, or too few."""
        now = time.monotonic()
        if now >= self._deadline:
            raise TimeoutError("it took longer than it may")
        if self._has_begun and self._waited_s >= self._timeout_s:
            if self._bytes < self._min_bytes:
                raise TimeoutError("it came too slowly")
            self._waited_s, self._bytes = 0.0, 0
        return min(self._timeout_s if self._has_begun else self._first_s, self._deadline - now)

    def came(self, count: int, waited_s: float) -> None:
        """Bytes have come, and were waited for."""
        if not self._has_begun:
            self._has_begun, self._waited_s, self._bytes = True, 0.0, 0
        self._waited_s += waited_s
        self._bytes += count


class PacedSocket:
    """What http.client needs of a socket, every wait of which is bounded."""

    def __init__(self, sock: socket.socket, pace: Pace) -> None:
        self._sock = sock
        self._pace = pace

    def makefile(self, mode: str, *_: Any) -> io.BufferedReader:
        """A file that reads from it."""
        return io.BufferedReader(_PacedFile(self._sock.makefile("rb", 0), self._sock, self._pace))

    def sendall(self, data: bytes) -> None:
        """Send, within the time-out."""
        self._sock.settimeout(max(self._pace.patience(), 1.0))
        self._sock.sendall(data)

    def close(self) -> None:
        """Close it."""
        self._sock.close()


class _PacedFile(io.RawIOBase):
    def __init__(self, file: Any, sock: socket.socket, pace: Pace) -> None:
        super().__init__()
        self._file = file
        self._sock = sock
        self._pace = pace

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._pace.patience())
        began = time.monotonic()
        count = int(self._file.readinto(buffer) or 0)
        self._pace.came(count, time.monotonic() - began)
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
