"""The reference: an event store of one sqlite3 table, as one writes it in an afternoon.

`python store.py import DATABASE JSONL...` writes every line in one transaction, each row with a SHA-256 over the row
before it and its own canonical JSON. `python store.py verify DATABASE` follows the chain, folds every aggregate's state
and prints how many events it saw.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from hashlib import sha256
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TABLE = """CREATE TABLE event (
  position INTEGER PRIMARY KEY, aggregate_type TEXT NOT NULL, aggregate_id TEXT NOT NULL, version INTEGER NOT NULL,
  event_type TEXT NOT NULL, body TEXT NOT NULL, hash BLOB NOT NULL, UNIQUE (aggregate_type, aggregate_id, version))"""
_INSERT = "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)"

Row = tuple[int, str, str, int, str, str, bytes]


def connect(path: str) -> sqlite3.Connection:
    """A connection that is durable at every commit, with the table in place."""
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA journal_mode=WAL").close()
    database.execute("PRAGMA synchronous=FULL").close()
    if not database.execute("SELECT 1 FROM sqlite_master").fetchone():
        database.execute(_TABLE)
    return database


class Chain:
    """Makes rows of events, each bound to the row before it."""

    def __init__(self) -> None:
        self._encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode
        self._versions: dict[tuple[str, str], int] = {}
        self._last = b""
        self._position = 0

    def row(self, event: dict[str, Any]) -> Row:
        """The next row."""
        name = (event["aggregate_type"], event["aggregate_id"])
        version = self._versions[name] = self._versions.get(name, 0) + 1
        body = self._encode(event)
        self._last = sha256(self._last + body.encode()).digest()
        self._position += 1
        return self._position, *name, version, event["event_type"], body, self._last


def append(database: sqlite3.Connection, row: Row) -> None:
    """One row, one durable transaction."""
    database.execute(_INSERT, row)


def import_lines(path: str, files: Sequence[str]) -> None:
    """Every line of files of events, in one transaction."""
    database = connect(path)
    chain = Chain()

    def rows() -> Iterator[Row]:
        for name in files:
            with open(name, encoding="utf-8") as file:
                for line in file:
                    yield chain.row(json.loads(line))

    database.execute("BEGIN IMMEDIATE")
    database.executemany(_INSERT, rows())
    database.execute("COMMIT")
    database.close()


def verify(path: str) -> int:
    """Follow the chain and fold every state; how many events there are."""
    database = connect(path)
    last = b""
    count = 0
    states: dict[tuple[str, str], dict[str, Any]] = {}
    found = database.execute("SELECT aggregate_type, aggregate_id, body, hash FROM event ORDER BY position")
    for aggregate_type, aggregate_id, body, digest in found:
        last = sha256(last + body.encode()).digest()
        if last != digest:
            raise SystemExit(f"the chain breaks behind event {count}")
        states.setdefault((aggregate_type, aggregate_id), {}).update(json.loads(body)["payload"])
        count += 1
    return count


if __name__ == "__main__":
    if sys.argv[1] == "import":
        import_lines(sys.argv[2], sys.argv[3:])
    else:
        print(verify(sys.argv[2]))
