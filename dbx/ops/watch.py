"""Notice commits as they are made, by whichever process."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING

from watchdog.events import EVENT_TYPE_CREATED, EVENT_TYPE_MODIFIED, EVENT_TYPE_MOVED, FileSystemEventHandler
from watchdog.observers import Observer

if TYPE_CHECKING:
    from types import TracebackType

    from watchdog.events import FileSystemEvent
    from watchdog.observers.api import BaseObserver

# It warns of changes that come while a watch is being closed. Without a handler logging would print that on stderr.
logging.getLogger("watchdog").addHandler(logging.NullHandler())

_CHANGES = frozenset((EVENT_TYPE_CREATED, EVENT_TYPE_MODIFIED, EVENT_TYPE_MOVED))
_POLL_S = 0.5
"""How often to look where the system does not tell: its watches are used up, or a disk is another machine's."""


class CommitWatch:
    """Watches a domain's directory from when it is entered until it is left.

    A commit writes to the journal, or moves the ref. What else is written there, as index.db is, tells nobody anything.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._changed = threading.Event()
        self._observer: BaseObserver | None = None

    def __enter__(self) -> CommitWatch:
        observer, noticing = Observer(), _Noticing(self._changed)
        try:
            observer.schedule(noticing, self._directory, recursive=False)
            heads = os.path.join(self._directory, "refs", "heads")
            if os.path.isdir(heads):
                observer.schedule(noticing, heads, recursive=False)
            observer.start()
        except OSError:
            return self  # no watches are left
        self._observer = observer
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()

    def wait_for_commit(self, timeout_s: float) -> bool:
        """Wait until something may have been committed since this was last asked, at most so long. Whether it was."""
        if self._observer is None:
            threading.Event().wait(min(timeout_s, _POLL_S))
            return True
        changed = self._changed.wait(timeout_s)
        self._changed.clear()
        return changed


class _Noticing(FileSystemEventHandler):
    def __init__(self, changed: threading.Event) -> None:
        self._changed = changed

    def dispatch(self, event: FileSystemEvent) -> None:
        if not self._changed.is_set() and event.event_type in _CHANGES and not event.is_directory:
            for path in (event.src_path, event.dest_path):
                name = os.path.basename(os.fsdecode(path))
                if name.startswith("journal") or name == "main":
                    self._changed.set()


def wait_for_commit(directory: str, timeout_s: float) -> bool:
    """Wait for a commit in a domain's directory, at most so long; whether there may have been one.

    What is committed between two calls is missed: who waits again and again uses a CommitWatch.
    """
    with CommitWatch(directory) as watch:
        return watch.wait_for_commit(timeout_s)
