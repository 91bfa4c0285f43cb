"""A SQLite file of this package: opened, laid out the first time, asked and written, each error as one of ours.

Derived and local files only (index.db, snapshots.db, queue.db): nothing that is true lies in them alone. All are in WAL
mode. `user_version` says how a file is laid out; 0 is one that holds nothing yet.
"""

from __future__ import annotations

import errno
import sqlite3
import time
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dbx.errors import Corrupt
    from dbx.store.ahead import Ahead
    from dbx.store.fs import Directory

# With rw the last one to close leaves no files behind; a read-only disk allows ro, or the file alone.
READING = ("mode=rw", "mode=ro", "immutable=1")
MEMORY = ":memory:"
_PAUSE_S = 0.002
# What SQLite says when it is not the file's fault.
_NOT_THE_FILE = ("locked", "full", "readonly", "unable to open", "disk I/O")


class Layout(NamedTuple):
    """What is particular to one kind of file.

    `number` is its user_version (1 or more) and `schema` the statements that make it. `pragmas` are set at each open.
    With `shrinks` the file gives room back (auto_vacuum=INCREMENTAL), which only an empty file can be told.
    """

    number: int
    schema: tuple[str, ...]
    pragmas: tuple[str, ...]
    shrinks: bool
    damaged: type[Corrupt]
    unavailable: type[OSError]
    hint: str | None = None
    file: str | None = None


def place(directory: Directory, name: str) -> int:
    """Make the file of a database where there is none, 0600 and no link; its inode.

    SQLite gives the files that it puts beside it the same mode. One that is there is never opened but by SQLite: who
    closes a descriptor of a file takes away all POSIX locks that his process has on it, so that another process might
    remove the write-ahead log under a connection. Raises Corrupt for links and special files.
    """
    while True:
        try:
            return directory.stat(name).st_ino
        except FileNotFoundError:
            with suppress(FileExistsError):
                directory.make_file(name)


class Database:
    """A connection to a SQLite file. Every sqlite3 error comes out as one of the two that the layout names.

    With `read_only` the file must be there and is not changed, whatever is in it.
    """

    def __init__(self, path: str, layout: Layout, *, timeout_s: float = 10.0, read_only: bool = False) -> None:
        self.path = path
        self._layout = layout
        self._timeout_s = timeout_s
        with self._guard():
            if read_only:
                self._db = _open_reading(path, timeout_s)
            else:
                self._db = sqlite3.connect(path, timeout=timeout_s, isolation_level=None, check_same_thread=False)
            try:
                if read_only:
                    self._check_layout(self._db.execute("PRAGMA user_version").fetchone()[0])
                else:
                    self._prepare()
            except BaseException:
                self._db.close()
                raise

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def _prepare(self) -> None:
        execute = self._db.execute
        number = execute("PRAGMA user_version").fetchone()[0]
        if number == 0 and self._layout.shrinks:  # in a file that is not empty it has no effect, and writes to it
            execute("PRAGMA auto_vacuum=INCREMENTAL").close()
        if self.path != MEMORY and execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            self._keep_a_log()
        for pragma in self._layout.pragmas:
            execute(f"PRAGMA {pragma}").close()
        if number:
            self._check_layout(number)
            return
        with self.transaction():
            if execute("PRAGMA user_version").fetchone()[0] == 0:  # else another process was faster
                for statement in self._layout.schema:
                    execute(statement)
                execute(f"PRAGMA user_version={self._layout.number}")

    def _keep_a_log(self) -> None:
        """To WAL mode. Where others open a new file at the same time, SQLite does not wait for them, so we do."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                self._db.execute("PRAGMA journal_mode=WAL").close()
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() >= deadline:
                    raise
            time.sleep(_PAUSE_S)

    def _check_layout(self, number: int) -> None:
        if number > self._layout.number:
            raise self._layout.damaged(f"'{self.path}' was written by a newer dbx", hint="upgrade dbx")
        if number < self._layout.number:
            raise self._damaged("it has no tables" if number == 0 else f"its layout {number} is that of an older dbx")

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            text = str(error)
            if any(word in text for word in _NOT_THE_FILE):
                raise self._layout.unavailable(errno.EIO, f"SQLite says: {text}", self.path) from error
            raise self._damaged(text) from error
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            raise self._damaged(str(error)) from error

    def _damaged(self, why: str) -> Corrupt:
        layout = self._layout
        details = {"file": layout.file} if layout.file else {}
        return layout.damaged(f"'{self.path}' cannot be read: {why}", hint=layout.hint, details=details)

    def all(self, sql: str, *values: Any) -> list[Any]:
        """Every row of a query."""
        with self._guard():
            return self._db.execute(sql, values).fetchall()

    def one(self, sql: str, *values: Any) -> Any:
        """The first row of a query, None for none."""
        with self._guard():
            return self._db.execute(sql, values).fetchone()

    def run(self, sql: str, *values: Any) -> int:
        """A statement; how many rows it concerned."""
        with self._guard():
            return self._db.execute(sql, values).rowcount

    def many(self, sql: str, values: Iterable[Sequence[Any]]) -> None:
        """A statement for each of the values, inside a transaction."""
        with self._guard():
            self._db.executemany(sql, values)

    @contextmanager
    def transaction(self, ahead: Ahead | None = None) -> Iterator[None]:
        """What is written inside is written as a whole, or not at all; what was written `ahead` belongs to it."""
        with self._guard():
            try:
                if ahead is None:
                    self.begin()
                else:
                    ahead.wait()
                yield
                self._db.execute("COMMIT")
            except BaseException:
                self.abandon()
                raise

    def begin(self) -> None:
        """Begin a transaction."""
        with self._guard():
            self._db.execute("BEGIN IMMEDIATE")

    def abandon(self) -> None:
        """End a transaction, if there is one, as if it had never been."""
        with self._guard():
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def get_meta(self, name: str) -> Any:
        """A named value, None when it was never set."""
        found = self.one("SELECT value FROM meta WHERE name = ?", name)
        return None if found is None else found[0]

    def set_meta(self, name: str, value: Any) -> None:
        """Inside or outside a transaction."""
        self.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", name, value)

    def stamp(self) -> int:
        """A number that changes whenever another connection has written to the file."""
        return int(self.one("PRAGMA data_version")[0])


def _open_reading(path: str, timeout_s: float) -> sqlite3.Connection:
    """A connection that writes nothing. Raises what sqlite3 raises."""
    from urllib.parse import quote

    for mode in READING:
        database = sqlite3.connect(f"file:{quote(path)}?{mode}", uri=True, isolation_level=None, timeout=timeout_s)
        try:
            database.execute("PRAGMA query_only=ON").close()
            database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            database.close()
            if mode == READING[-1]:
                raise
        except BaseException:
            database.close()
            raise
        else:
            return database
    raise ValueError(f"no way to open '{path}'")  # pragma: no cover - the last one raises


def find_complaint(path: str, *, timeout_s: float = 10.0) -> str | None:
    """The first thing that SQLite's own check of a database finds, None when all is well. Nothing is written."""
    try:
        with closing(_open_reading(path, timeout_s)) as database:
            found = database.execute("PRAGMA integrity_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if found == "ok" else str(found)
