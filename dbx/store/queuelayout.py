"""What queue.db holds: its tables, and a row of each as a value.

    cursor   plugin → position, the first that it has not come to
    lane     an aggregate that does not follow the cursor: its first position that is not settled, and why
    job      a dead letter, or one that is to be tried again by itself
    done     stretches of positions that were delivered, for counting
    mark     the hashes of some events that the cursor has passed, to notice when history was taken back
    publish  what `--publish` said about an event, by the event's hash; written before the event is
    meta     named values: how long a plugin asked to be left alone, and the bookmarks of replays

Times are milliseconds since the Unix epoch.
"""

from __future__ import annotations

from typing import NamedTuple

from dbx.errors import Corrupt
from dbx.store.database import Layout

NAME = "queue.db"
_NUMBER = 1
PENDING = "pending"
DEAD = "dead"
AHEAD = "ahead"
_SCHEMA = (
    "CREATE TABLE cursor (plugin TEXT PRIMARY KEY, position INTEGER NOT NULL, delivered_at INTEGER, error TEXT,"
    " error_at INTEGER, processing INTEGER, rate REAL, seen_at INTEGER) WITHOUT ROWID",
    "CREATE TABLE lane (plugin TEXT NOT NULL, type TEXT NOT NULL, aggregate TEXT NOT NULL, position INTEGER NOT NULL,"
    " status TEXT NOT NULL, attempts INTEGER NOT NULL, next_at INTEGER NOT NULL, error TEXT, priority INTEGER NOT NULL,"
    " since INTEGER NOT NULL, event_id INTEGER, PRIMARY KEY (plugin, type, aggregate)) WITHOUT ROWID",
    "CREATE TABLE job (plugin TEXT NOT NULL, position INTEGER NOT NULL, type TEXT NOT NULL, aggregate TEXT NOT NULL,"
    " event_id INTEGER, status TEXT NOT NULL, attempts INTEGER NOT NULL, next_at INTEGER NOT NULL, error TEXT,"
    " since INTEGER NOT NULL, PRIMARY KEY (plugin, position)) WITHOUT ROWID",
    "CREATE TABLE done (plugin TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL,"
    " at INTEGER NOT NULL)",
    "CREATE INDEX done_at ON done (at)",
    "CREATE TABLE mark (plugin TEXT NOT NULL, position INTEGER NOT NULL, hash BLOB NOT NULL,"
    " PRIMARY KEY (plugin, position)) WITHOUT ROWID",
    "CREATE TABLE publish (hash BLOB PRIMARY KEY, event_id INTEGER NOT NULL, position INTEGER NOT NULL,"
    " targets TEXT NOT NULL, urgent INTEGER NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX publish_urgent ON publish (position) WHERE urgent = 1",
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
)
TABLES = ("cursor", "lane", "job", "done", "mark")


def pause_of(plugin: str) -> str:
    """The name of the value that says until when nothing is sent to a plugin."""
    return f"pause {plugin}"


def replays_of(plugin: str) -> str:
    """What the names of a plugin's bookmarks begin with."""
    return f"replay {plugin} "


class QueueDamaged(Corrupt):
    """queue.db does not add up."""


class QueueUnavailable(OSError):
    """queue.db cannot be opened or written: no permission, a full disk, another process for too long."""


# A power cut may take the last transactions.
RELAXED = Layout(
    _NUMBER,
    _SCHEMA,
    ("synchronous=NORMAL", "secure_delete=ON"),
    shrinks=False,
    damaged=QueueDamaged,
    unavailable=QueueUnavailable,
    hint="remove the file: plugins then get everything since they were configured once more",
    file=NAME,
)
# What was written is on disk when a transaction ends.
DURABLE = RELAXED._replace(pragmas=("synchronous=FULL", "secure_delete=ON"))


class Cursor(NamedTuple):
    """How far a plugin is: `position` is the next. Times are None for what never was."""

    plugin: str
    position: int
    delivered_at: int | None = None
    error: str | None = None
    error_at: int | None = None
    processing: int | None = None
    rate: float | None = None
    seen_at: int | None = None


class Lane(NamedTuple):
    """An aggregate beside the cursor. All its positions below `position` are settled.

    PENDING: that one is tried at `next_at`; DEAD: nothing goes on until somebody says so; AHEAD: it is the cursor that
    has to catch up.
    """

    plugin: str
    type: str
    aggregate: str
    position: int
    status: str
    attempts: int
    next_at: int
    error: str | None
    priority: int
    since: int
    event_id: int | None


class Job(NamedTuple):
    """One event beside the cursor: DEAD, or PENDING when it is to be tried again."""

    plugin: str
    position: int
    type: str
    aggregate: str
    event_id: int | None
    status: str
    attempts: int
    next_at: int
    error: str | None
    since: int
