"""index.db in one long write transaction, for commits that are checked before they are believed.

Everything is written into the transaction as it is worked out, so that memory stays flat; others see nothing of it
until `keep`, and after a crash, or without `keep`, nothing of it was ever there.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from dbx.store.index import Index, MovedIndex
from dbx.store.sealedrows import MASKED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from dbx.crypto.vault import Vault
    from dbx.store.ahead import Ahead
    from dbx.store.indexlayout import Head


_BY_NAME_OR_TIME = (
    "SELECT name, sql FROM sqlite_master WHERE name IN ('aggregate_name', 'aggregate_updated', 'aggregate_archived')"
)
_CACHE = "PRAGMA cache_size=-8000"
"""Rows come in the order of their keys, and beside them other things need the room: 8 MB instead of 32."""


class HeldIndex(Index):
    """A connection of its own whose writes nest in one transaction, begun on top of `base`. Raises MovedIndex.

    With `before_writing` it only reads at first, what stands at `base`, and keeps nobody from writing. When something
    is to be written that is called, to take the writer's lock, and the transaction begins: where the index has moved
    meanwhile, that raises MovedIndex.
    """

    def __init__(
        self, path: str, base: Head, vault: Vault | None = None, *, before_writing: Callable[[], None] | None = None
    ) -> None:
        super().__init__(path, vault)
        self._base = base
        self._before_writing = before_writing
        self._pages: set[bytes] | None = None
        masks = vault is not None and vault.is_locked
        try:
            self._begin("BEGIN IMMEDIATE" if before_writing is None else "BEGIN")
            # In an index that begins empty, which pages there are is known without asking.
            self._pages = set() if self.one("SELECT 1 FROM page LIMIT 1") is None else None
            if masks:
                self.hold()
                self.set_meta(MASKED, 1)  # what is written without the key lacks its states
        except BaseException:
            self.close()
            raise

    def hold(self) -> None:
        """From now on nobody else writes. Raises as `before_writing`, and MovedIndex."""
        before_writing, self._before_writing = self._before_writing, None
        if before_writing is not None:
            self._db.rollback()
            before_writing()
            super().close()
            super().__init__(self.path, self.vault)  # the file that is there now: it may be another one
            self._begin("BEGIN IMMEDIATE")

    def _begin(self, statement: str) -> None:
        with self._guard():
            self._db.execute(_CACHE).close()
            self._db.execute(statement)
        if self.head() != self._base:
            raise MovedIndex("the index was brought forward by another process")

    @contextmanager
    def write(self, base: Head | None, ahead: Ahead | None = None) -> Iterator[Index]:
        """Within the transaction that is open already. On an error all of it is lost."""
        self.hold()
        with self._guard():
            if ahead is not None:
                ahead.wait()
            if base is not None and self.head() != base:
                raise MovedIndex("the index is not where it was")
            try:
                yield self
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def filling(self) -> Iterator[None]:
        """As `Index.filling`: in an empty table, rows go in without what finds them by name or by time.

        Sorting all of them in the end takes half the time of putting each in its place.
        """
        self.hold()
        indexes = [] if self.last_n() else self.all(_BY_NAME_OR_TIME)
        with self._guard():
            for name, _ in indexes:
                self._db.execute(f"DROP INDEX {name}")
        yield  # on an error all of the transaction is lost, this included
        with self._guard():
            for _, sql in indexes:
                self._db.execute(sql)

    def read_page(self, prefix: bytes) -> bytes | None:
        """For the index tree. A clone asks for many that are not there."""
        return super().read_page(prefix) if self._pages is None or prefix in self._pages else None

    def put_pages(self, pages: Iterable[tuple[bytes, bytes]]) -> None:
        """Pages of the index tree, inside `write`."""
        kept = list(pages)
        if self._pages is not None:
            self._pages.update(prefix for prefix, _ in kept)
        super().put_pages(kept)

    def keep(self) -> None:
        """Let others see it."""
        with self._guard():
            self._db.execute("COMMIT")

    def close(self) -> None:
        """Close it; what was not kept is gone. Safe to call twice, and where `hold` could not open the file again."""
        with suppress(sqlite3.ProgrammingError):  # it is closed
            if self._db.in_transaction:
                self._db.rollback()
        super().close()

    # -- going back ------------------------------------------------------------------------------------------------

    def forget_commits(self, seq: int, position: int) -> None:
        """Drop what belongs to commits behind `seq` and to events from `position` on, but for their aggregates."""
        execute = self._db.execute
        with self._guard():
            execute("DELETE FROM log WHERE seq > ?", (seq,))
            execute("DELETE FROM block WHERE position >= ?", (position,))
            execute("DELETE FROM commits WHERE seq > ?", (seq,))
            execute("DELETE FROM run WHERE position >= ?", (position,))
            # How many aggregates there are was noted while there were more.
            execute("DELETE FROM meta WHERE name = 'counted'")
            # A run may begin before and reach beyond.
            execute("UPDATE run SET count = ? - position WHERE position + count > ?", (position, position))

    def drop_aggregate(self, n: int) -> None:
        """Drop an aggregate, of which nothing is left."""
        with self._guard():
            self._db.execute("DELETE FROM aggregate WHERE n = ?", (n,))
            self._db.execute("DELETE FROM chain WHERE aggregate = ?", (n,))

    def replace_chain(self, n: int, positions: list[int]) -> None:
        """Put the positions of an aggregate's events, from version 1 on, in the place of those it has."""
        with self._guard():
            self._db.execute("DELETE FROM chain WHERE aggregate = ?", (n,))
            self.put_chains((n, at + 1, positions[at : at + 128]) for at in range(0, len(positions), 128))

    def drop_thin_pages(self, keys: Iterable[bytes], most: int) -> None:
        """Drop the pages of the index tree above these keys below which no more than `most` aggregates are left."""
        with self._guard():
            for key in keys:
                nibbles = [n for byte in key for n in (byte >> 4, byte & 15)]
                for depth in range(len(nibbles)):
                    prefix = bytes(nibbles[:depth])
                    if self.read_page(prefix) is None:
                        break
                    if self._leaves_below(prefix, most + 1) <= most:
                        # Where few share the beginning of a prefix, fewer share more of it.
                        self._db.execute("DELETE FROM page WHERE prefix BETWEEN ? AND ?", (prefix, prefix + b"\x10"))
                        break

    def _leaves_below(self, prefix: bytes, most: int) -> int:
        """How many aggregates have a key that begins with these nibbles, counted up to `most`."""
        text = "".join(f"{nibble:x}" for nibble in prefix)
        low, high = bytes.fromhex(text.ljust(64, "0")), bytes.fromhex(text.ljust(64, "f"))
        counted = "SELECT count(*) FROM (SELECT 1 FROM aggregate WHERE key BETWEEN ? AND ? LIMIT ?)"
        return int(self.one(counted, low, high, most)[0])

    def commit_ids(self) -> Iterator[bytes]:
        """The ids of all commits, in order."""
        with self._guard():
            for (commit_id,) in self._db.execute("SELECT id FROM log ORDER BY seq"):
                yield commit_id
