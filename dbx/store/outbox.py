"""Messages to another process that need not wait until it reads them."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from dbx.store.descriptor import write_all

if TYPE_CHECKING:
    from collections.abc import Iterable


class Outbox:
    """What is to be written to a pipe, in order, by a thread: who reads it may be busy himself for a while.

    With `most`, whoever puts more than so many bytes waits until fewer are left.
    """

    def __init__(self, fd: int, *, most: int | None = None) -> None:
        self._fd = fd
        self._most = most
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._is_closed = False
        self._error: OSError | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def put(self, data: bytes) -> None:
        """Write this when its turn comes. Raises OSError where something before could not be written."""
        with self._changed:
            while self._most is not None and self._bytes > self._most and self._error is None:
                self._changed.wait()
            if self._error is not None:
                raise self._error
            self._waiting.append(data)
            self._bytes += len(data)
            self._changed.notify_all()

    def close(self) -> None:
        """Wait until all is written. Raises OSError."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            for data in self._take():
                write_all(self._fd, data)
        except OSError as error:  # told to whoever puts the next one, or closes
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _take(self) -> Iterable[bytes]:
        """What waits, until it is closed."""
        while True:
            with self._changed:
                while not self._waiting and not self._is_closed:
                    self._changed.wait()
                if not self._waiting:
                    return
                data = self._waiting.popleft()
            yield data
            with self._changed:
                self._bytes -= len(data)
                self._changed.notify_all()
