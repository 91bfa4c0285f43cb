"""Notice commits as they are made, by whichever process."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from contextlib import suppress
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


_MANY, _SHORT_S = 8, 0.25
"""So many commits within so short a time, and to be told of each would cost more than to look."""
_LOOK_S = 0.005
_QUIET_S = 1.0
_TICK_S = 0.02
"""What is written twice within one tick of the file system's clock may look the same; no such tick is longer."""


class CommitWatch:
    """Watches a domain's directory from when it is entered until it is left.

    A commit writes to the journal, or moves the ref. What else is written there, as index.db is, tells nobody anything.
    While commits follow each other closely it stops listening, and looks every 5 ms.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._changed = threading.Event()
        self._observer: BaseObserver | None = None
        self._noticed: deque[float] = deque(maxlen=_MANY)
        self._looking: _Looking | None = None

    def __enter__(self) -> CommitWatch:
        observer = Observer()
        try:
            self._listen(observer)
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
        end = time.monotonic() + timeout_s
        if self._looking is not None and self._look(self._observer, self._looking, end):
            return True
        changed = self._changed.wait(max(0.0, end - time.monotonic()))
        self._changed.clear()
        if changed:
            self._noticed.append(time.monotonic())
            if len(self._noticed) == _MANY and self._noticed[-1] - self._noticed[0] < _SHORT_S:
                self._looking = _Looking(self._directory)
                self._observer.unschedule_all()
        return changed

    def _listen(self, observer: BaseObserver) -> None:
        noticing = _Noticing(self._changed)
        observer.schedule(noticing, self._directory, recursive=False)
        heads = os.path.join(self._directory, "refs", "heads")
        if os.path.isdir(heads):
            observer.schedule(noticing, heads, recursive=False)

    def _look(self, observer: BaseObserver, looking: _Looking, end: float) -> bool:
        """Look until something has changed or the time is over; whether it has. Listens again when it is quiet."""
        while True:
            time.sleep(_LOOK_S)
            now = time.monotonic()
            if looking.has_changed(now):
                return True
            if now - looking.changed_at > _QUIET_S:
                self._changed.clear()
                self._noticed.clear()
                with suppress(OSError):  # no watches are left: it goes on looking
                    self._listen(observer)
                    self._looking = None
                    return looking.has_changed(time.monotonic())
                looking.changed_at = now
            if now >= end:
                return False


class _Looking:
    """Whether the ref or a journal has changed, by their times and sizes."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._ref = os.path.join(directory, "refs", "heads", "main")
        self._stamp: object = None
        self.changed_at = 0.0

    def has_changed(self, now: float) -> bool:
        """Since this was last asked; also for a tick after a change, in which another one may not be seen."""
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp, self.changed_at = stamp, now
        return now - self.changed_at <= _TICK_S

    def _look(self) -> object:
        found: list[tuple[object, ...]] = []
        with suppress(OSError), os.scandir(self._directory) as entries:
            found += [(entry.name, *_stamp(entry.path)) for entry in entries if entry.name.startswith("journal")]
        return (*_stamp(self._ref), *sorted(found, key=str))


def _stamp(path: str) -> tuple[int, ...]:
    """Nothing for what cannot be looked at: whoever reads the log says why."""
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns


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
