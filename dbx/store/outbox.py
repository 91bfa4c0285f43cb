"""Messages to another process that need not wait until it reads them."""

from __future__ import annotations

import threading
from queue import SimpleQueue

from dbx.store.descriptor import write_all


class Outbox:
    """What is to be written to a pipe, in order, by a thread: who reads it may be busy himself for a while."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._waiting: SimpleQueue[bytes | None] = SimpleQueue()
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def put(self, data: bytes) -> None:
        """Write this when its turn comes. Raises OSError where something before could not be written."""
        if self._error is not None:
            raise self._error
        self._waiting.put(data)

    def close(self) -> None:
        """Wait until all is written. Raises OSError."""
        self._waiting.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while (data := self._waiting.get()) is not None:
                write_all(self._fd, data)
        except OSError as error:  # told to whoever puts the next one, or closes
            self._error = error
