"""A copy of an SQLite database as it is at one moment, while others may write to it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from urllib.parse import quote


def copy_database(source: str, target: str) -> bool:
    """Copy the database at `source` into the new file `target`; False where it is damaged."""
    try:
        with (
            closing(sqlite3.connect(f"file:{quote(source)}?mode=ro", uri=True)) as there,
            closing(sqlite3.connect(target)) as here,
        ):
            there.backup(here)
            here.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.DatabaseError:
        return False
    return True
