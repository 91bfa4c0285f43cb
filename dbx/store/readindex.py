"""index.db as it stood at one moment, for checking: nothing is written, and writers go on meanwhile."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from dbx.store.indexlayout import COLUMNS, NUMBER, IndexDamaged

if TYPE_CHECKING:
    from collections.abc import Iterator

# With rw the last one to close leaves no files behind; a read-only disk allows ro, or the file alone.
_MODES = ("mode=rw", "mode=ro", "immutable=1")
_TABLES = {
    "aggregate": f"SELECT {COLUMNS} FROM aggregate ORDER BY n",
    "state": "SELECT n, type, id, key, version, state, extensions FROM aggregate ORDER BY n",
    "chain": "SELECT aggregate, version, base, positions FROM chain ORDER BY aggregate, version",
    "page": "SELECT prefix, slots FROM page",
    "run": "SELECT first, count, position FROM run ORDER BY position",
    "log": "SELECT seq, id, position, batch FROM log ORDER BY seq",
    "block": "SELECT position, file, offset FROM block ORDER BY position",
    "commits": "SELECT seq, file, offset FROM commits ORDER BY seq",
    "staged": "SELECT aggregate, type, id, key, version, root, edge, state, extensions, created_at, updated_at,"
    " archived, checksum, base, positions FROM staged ORDER BY n",
    "staged_run": "SELECT first, count, position FROM staged_run ORDER BY position",
}


class IndexSnapshot:
    """A read transaction on index.db. Raises IndexDamaged for whatever SQLite cannot make sense of.

    `is_unmade`: whoever made the file was interrupted before it had a table, and whoever opens it next will go on.
    `is_old`: an earlier version of dbx made it; it is made anew when it is next opened.
    `damage` is what SQLite said when the file could not be opened as a database at all; then nothing can be asked.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.is_unmade = self.is_old = False
        self.damage: str | None = None
        self._db: sqlite3.Connection | None = None
        for mode in _MODES:
            self.damage = None
            try:
                self._db = sqlite3.connect(f"file:{quote(path)}?{mode}", uri=True, isolation_level=None, timeout=10)
                self._db.execute("PRAGMA query_only=ON").close()
                self._db.execute("BEGIN").close()
                layout = self._db.execute("PRAGMA user_version").fetchone()[0]
                if layout == 0 and not self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    self.is_unmade = True
                    return
                self._db.execute("SELECT count(*) FROM meta").fetchone()
                if 0 < layout < NUMBER:
                    self.is_old = True
                elif layout != NUMBER:
                    self.damage = f"it has the layout {layout}, not {NUMBER}"
                return
            except sqlite3.OperationalError as error:
                self.damage = str(error)
            except sqlite3.DatabaseError as error:
                self.damage = str(error)
                return
        return

    def close(self) -> None:
        """Let go of the file."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def head(self) -> tuple[str, bytes] | None:
        """The texts of (head, edge), None for an index that follows no commit yet."""
        with self._guard() as db:
            found = dict(db.execute("SELECT name, value FROM meta WHERE name IN ('head', 'edge')").fetchall())
        return None if "head" not in found else (found["head"], found.get("edge", b""))

    def aggregates(self) -> int:
        """About how many aggregates there are, if the file is as it should be: the largest of their numbers, or -1."""
        with self._guard() as db:
            found = db.execute("SELECT max(n) FROM aggregate").fetchone()[0]
        return found if isinstance(found, int) else -1

    def get_meta(self, name: str) -> Any:
        """A named value, None when it was never set."""
        with self._guard() as db:
            found = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if found is None else found[0]

    def complaints(self) -> list[str]:
        """What SQLite's own integrity check finds."""
        with self._guard() as db:
            return [str(row[0]) for row in db.execute("PRAGMA integrity_check(20)") if row[0] != "ok"]

    def rows(self, table: str, size: int = 512) -> Iterator[list[Any]]:
        """Every row of a table in a useful order, in lists of at most `size`."""
        with self._guard() as db:
            cursor = db.execute(_TABLES[table])
            while found := cursor.fetchmany(size):
                yield found

    @contextmanager
    def _guard(self) -> Iterator[sqlite3.Connection]:
        if self._db is None or self.damage is not None:
            raise IndexDamaged(self.damage or "it is closed")
        try:
            yield self._db
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            raise IndexDamaged(str(error)) from error
