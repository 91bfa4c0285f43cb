"""A transaction that a thread begins, while whoever will commit it is at work elsewhere."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.store.index import Index


class Ahead:
    """Does `work` on an index in a thread, in a transaction that `Index.write` takes over; it is nothing until then.

    SQLite gives up the interpreter while it works, so a thread is a second core. Nobody else may write to the index
    until the transaction was taken over or dropped.
    """

    def __init__(self, index: Index, work: Callable[[Index], None]) -> None:
        self._index = index
        self._work = work
        self._error: BaseException | None = None
        self._over = False
        self._thread = Thread(target=self._run)
        self._thread.start()

    def wait(self) -> None:
        """Wait until the work is done. Raises what went wrong with it."""
        self._thread.join()
        if self._error is not None:
            raise self._error

    def drop(self) -> None:
        """Let nothing have happened, unless the transaction was taken over. Safe to call twice."""
        self._thread.join()
        if not self._over:
            self._over = True
            self._index.abandon()

    def _run(self) -> None:
        try:
            self._index.begin()
            self._work(self._index)
        except BaseException as error:
            self._error = error  # for the thread that waits
