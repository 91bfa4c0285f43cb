"""queue.db: a local SQLite database of how far each plugin has come along the log, and of what failed on the way.

The log is the queue. So an event that waits has no row here: the cursor of a plugin says which position comes next, and
all below it is settled, except for what lanes and jobs name (store/queuelayout.py).

WAL and synchronous=NORMAL: a power cut may take the last transactions, in which case events are delivered again. What
`--publish` says is the exception: it is written with synchronous=FULL. Times are milliseconds since the Unix epoch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbx.store.database import Database
from dbx.store.queuelayout import DURABLE, RELAXED, TABLES, Cursor, Job, Lane, pause_of, replays_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager


class Queue(Database):
    """A connection to queue.db. Raises QueueDamaged or QueueUnavailable."""

    def __init__(self, path: str, *, timeout_s: float = 10.0, durable: bool = False) -> None:
        """`durable`: what is written is on disk when a transaction ends."""
        super().__init__(path, DURABLE if durable else RELAXED, timeout_s=timeout_s)
        self._stamp = -1

    def write(self) -> AbstractContextManager[None]:
        """A write transaction: all or nothing."""
        return self.transaction()

    def changed(self) -> bool:
        """Whether another connection has written since this was last asked; True the first time."""
        before, self._stamp = self._stamp, self.stamp()
        return self._stamp != before

    # -- how far -------------------------------------------------------------------------------------------------------

    def find_cursor(self, plugin: str) -> Cursor | None:
        """How far a plugin is, None before it was first looked at here."""
        found = self.all("SELECT * FROM cursor WHERE plugin = ?", plugin)
        return Cursor(*found[0]) if found else None

    def set_cursor(self, plugin: str, position: int) -> None:
        """Where a plugin goes on."""
        self.run(
            "INSERT INTO cursor (plugin, position) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET position = ?2",
            plugin, position,
        )  # fmt: skip

    def note_delivered(self, plugin: str, at: int) -> None:
        """When something was last delivered."""
        self.run("UPDATE cursor SET delivered_at = ? WHERE plugin = ?", at, plugin)

    def note_error(self, plugin: str, error: str, at: int) -> None:
        """The last thing that went wrong, for `status`."""
        self.run("UPDATE cursor SET error = ?, error_at = ? WHERE plugin = ?", error, at, plugin)

    def note_life(self, plugin: str, processing: int | None, rate: float | None, at: int) -> None:
        """What the runner is at: the position in flight, and deliveries a second."""
        self.run(
            "UPDATE cursor SET processing = ?, rate = ?, seen_at = ? WHERE plugin = ?", processing, rate, at, plugin
        )

    def start_anew(self, plugin: str, position: int) -> None:
        """A plugin that begins at a position; whatever was known of one of its name is forgotten. Inside `write`."""
        self.forget(plugin)
        self.set_cursor(plugin, position)

    def forget(self, plugin: str) -> None:
        """Remove everything about a plugin. Inside `write`."""
        for table in TABLES:
            self.run(f"DELETE FROM {table} WHERE plugin = ?", plugin)
        self.drop_meta(pause_of(plugin))
        for name in self.metas(replays_of(plugin)):
            self.drop_meta(name)

    def lowest(self) -> int | None:
        """The lowest position that some plugin has not settled, dead letters included; None without plugins."""
        found: int | None = self.all(
            "SELECT min(position) FROM (SELECT position FROM cursor UNION ALL SELECT position FROM lane"
            " UNION ALL SELECT position FROM job)"
        )[0][0]
        return found

    # -- beside the cursor ---------------------------------------------------------------------------------------------

    def lanes(self, plugin: str | None = None) -> list[Lane]:
        """Aggregates beside the cursor, by position."""
        found = self.all("SELECT * FROM lane WHERE ?1 IS NULL OR plugin = ?1 ORDER BY position, plugin", plugin)
        return [Lane(*row) for row in found]

    def put_lane(self, lane: Lane) -> None:
        """Add or replace the lane of an aggregate."""
        self.run("INSERT OR REPLACE INTO lane VALUES (?,?,?,?,?,?,?,?,?,?,?)", *lane)

    def drop_lane(self, lane: Lane) -> None:
        """The aggregate follows the cursor again."""
        self.run(
            "DELETE FROM lane WHERE plugin = ? AND type = ? AND aggregate = ?", lane.plugin, lane.type, lane.aggregate
        )

    def jobs(self, plugin: str | None = None, status: str | None = None) -> list[Job]:
        """Single events beside the cursor, by position."""
        found = self.all(
            "SELECT * FROM job WHERE (?1 IS NULL OR plugin = ?1) AND (?2 IS NULL OR status = ?2)"
            " ORDER BY position, plugin",
            plugin, status,
        )  # fmt: skip
        return [Job(*row) for row in found]

    def count_jobs(self, plugin: str, status: str) -> int:
        """How many there are."""
        return int(self.all("SELECT count(*) FROM job WHERE plugin = ? AND status = ?", plugin, status)[0][0])

    def due_jobs(self, plugin: str, now: int) -> list[Job]:
        """Some of those that are to be tried by now."""
        sql = "SELECT * FROM job WHERE plugin = ? AND status = 'pending' AND next_at <= ? ORDER BY position LIMIT 64"
        return [Job(*row) for row in self.all(sql, plugin, now)]

    def next_job_at(self, plugin: str) -> int | None:
        """When the next one is to be tried."""
        found = self.all("SELECT min(next_at) FROM job WHERE plugin = ? AND status = 'pending'", plugin)[0][0]
        return None if found is None else int(found)

    def put_job(self, job: Job) -> None:
        """Add or replace a job."""
        self.run("INSERT OR REPLACE INTO job VALUES (?,?,?,?,?,?,?,?,?,?)", *job)

    def drop_job(self, plugin: str, position: int) -> None:
        """It was delivered, or given up."""
        self.run("DELETE FROM job WHERE plugin = ? AND position = ?", plugin, position)

    # -- what is done --------------------------------------------------------------------------------------------------

    def add_done(self, plugin: str, first: int, last: int, count: int, at: int) -> None:
        """Note deliveries between two positions."""
        self.run("INSERT INTO done VALUES (?, ?, ?, ?, ?)", plugin, first, last, count, at)

    def count_done(self, plugin: str) -> int:
        """How many deliveries are noted."""
        return int(self.all("SELECT coalesce(sum(count), 0) FROM done WHERE plugin = ?", plugin)[0][0])

    def count_done_before(self, at: int) -> int:
        """How many deliveries are noted that were made before a time."""
        return int(self.all("SELECT coalesce(sum(count), 0) FROM done WHERE at < ?", at)[0][0])

    def clear_done(self, before: int) -> int:
        """Forget deliveries that were made before a time; how many. Inside `write`."""
        count = self.count_done_before(before)
        self.run("DELETE FROM done WHERE at < ?", before)
        return count

    def trim_done(self, most: int) -> int:
        """Forget the oldest deliveries, so that at most so many stay; how many. Inside `write`."""
        kept = removed = 0
        for rowid, count in self.all("SELECT rowid, count FROM done ORDER BY at DESC, rowid DESC"):
            left = max(0, min(count, most - kept))
            kept += left
            removed += count - left
            if left == 0:
                self.run("DELETE FROM done WHERE rowid = ?", rowid)
            elif left < count:
                self.run("UPDATE done SET count = ? WHERE rowid = ?", left, rowid)
        return removed

    # -- history that was taken back -----------------------------------------------------------------------------------

    def marks(self, plugin: str) -> list[tuple[int, bytes]]:
        """(position, hash of the event there) of some events that were passed, the last first."""
        return self.all("SELECT position, hash FROM mark WHERE plugin = ? ORDER BY position DESC", plugin)

    def put_mark(self, plugin: str, position: int, event_hash: bytes) -> None:
        """Remember an event that was passed; of older ones fewer and fewer are kept."""
        positions = [found[0] for found in self.all("SELECT position FROM mark WHERE plugin = ? ORDER BY 1", plugin)]
        for gone in _superfluous(positions, position):
            self.run("DELETE FROM mark WHERE plugin = ? AND position = ?", plugin, gone)
        self.run("INSERT OR REPLACE INTO mark VALUES (?, ?, ?)", plugin, position, event_hash)

    def rewind(self, plugin: str, position: int) -> None:
        """Go back to a position: what was known of later ones is of a history that was taken back. Inside `write`."""
        self.set_cursor(plugin, position)
        for table in ("lane", "job", "mark"):
            self.run(f"DELETE FROM {table} WHERE plugin = ? AND position >= ?", plugin, position)
        self.run("UPDATE lane SET position = min(position, ?) WHERE plugin = ?", position, plugin)

    # -- what --publish said -------------------------------------------------------------------------------------------

    def put_publish(self, event_hash: bytes, event_id: int, position: int, targets: str, urgent: int, at: int) -> None:
        """What was said about an event that is about to be committed."""
        self.run(
            "INSERT OR REPLACE INTO publish VALUES (?,?,?,?,?,?)", event_hash, event_id, position, targets, urgent, at
        )

    def has_publish(self) -> bool:
        """Whether anything was said at all."""
        return bool(self.all("SELECT 1 FROM publish LIMIT 1"))

    def find_publish(self, hashes: Sequence[bytes]) -> dict[bytes, str]:
        """What was said about some events, by their hashes."""
        found: dict[bytes, str] = {}
        for at in range(0, len(hashes), 500):
            part = hashes[at : at + 500]
            sql = f"SELECT hash, targets FROM publish WHERE hash IN ({','.join('?' * len(part))})"
            found.update(self.all(sql, *part))
        return found

    def urgent(self, position: int) -> list[tuple[bytes, int, str]]:
        """(hash, event id, targets) of events with high priority, from a position on."""
        return self.all(
            "SELECT hash, event_id, targets FROM publish WHERE urgent = 1 AND position >= ?"
            " ORDER BY position LIMIT 256",
            position,
        )

    def old_publish(self, before: int) -> list[tuple[bytes, int]]:
        """(hash, event id) of what was said before a time."""
        return self.all("SELECT hash, event_id FROM publish WHERE at < ? LIMIT 10000", before)

    def drop_publish(self, hashes: Sequence[bytes]) -> None:
        """Forget what was said about some events."""
        for event_hash in hashes:
            self.run("DELETE FROM publish WHERE hash = ?", event_hash)

    def rewrite_errors(self, rewrite: Callable[[str], str]) -> None:
        """Put another text in the place of each error, and leave nothing of the old one behind."""
        with self.write():
            for table in ("cursor", "lane", "job"):
                for (text,) in self.all(f"SELECT DISTINCT error FROM {table} WHERE error IS NOT NULL"):
                    self.run(f"UPDATE {table} SET error = ? WHERE error = ?", rewrite(text), text)
        with self._guard():
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()

    # -- other values --------------------------------------------------------------------------------------------------

    def drop_meta(self, name: str) -> None:
        """Forget a named value."""
        self.run("DELETE FROM meta WHERE name = ?", name)

    def metas(self, prefix: str) -> dict[str, Any]:
        """The named values whose names begin so, by name."""
        return dict(self.all("SELECT name, value FROM meta WHERE substr(name, 1, length(?1)) = ?1 ORDER BY 1", prefix))


def _superfluous(positions: list[int], now: int) -> list[int]:
    """Which marks can go: of those that are about as far behind, by powers of two, the two oldest stay."""
    seen: dict[int, int] = {}
    gone = []
    for position in positions:
        distance = (now - position).bit_length()
        seen[distance] = seen.get(distance, 0) + 1
        if seen[distance] > 2:
            gone.append(position)
    return gone
