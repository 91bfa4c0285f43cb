"""The tables of index.db, and the values that go in and out of them."""

from __future__ import annotations

import struct
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.errors import Corrupt, DbxError
from dbx.store.database import Layout
from dbx.store.sealedrows import open_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbx.crypto.vault import Vault

NUMBER = 2
TABLES = ("meta", "aggregate", "chain", "page", "run", "log", "block", "commits", "staged", "staged_run")
_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE aggregate (n INTEGER PRIMARY KEY, type TEXT NOT NULL, id TEXT NOT NULL, key BLOB NOT NULL,
  version INTEGER NOT NULL, root BLOB NOT NULL, edge BLOB NOT NULL, state BLOB NOT NULL, extensions BLOB NOT NULL,
  created_at TEXT NOT NULL, updated_at TEXT NOT NULL, archived INTEGER NOT NULL, checksum BLOB NOT NULL);
CREATE UNIQUE INDEX aggregate_name ON aggregate (type, id);
CREATE UNIQUE INDEX aggregate_key ON aggregate (key);
CREATE INDEX aggregate_updated ON aggregate (updated_at, type, id);
CREATE INDEX aggregate_archived ON aggregate (type, id) WHERE archived;
CREATE TABLE chain (aggregate INTEGER, version INTEGER, base INTEGER NOT NULL, positions BLOB NOT NULL,
  PRIMARY KEY (aggregate, version)) WITHOUT ROWID;
CREATE TABLE page (prefix BLOB PRIMARY KEY, slots BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE run (first INTEGER PRIMARY KEY, count INTEGER NOT NULL, position INTEGER NOT NULL);
CREATE TABLE log (seq INTEGER PRIMARY KEY, id BLOB NOT NULL, position INTEGER NOT NULL, batch TEXT);
CREATE INDEX log_id ON log (id);
CREATE UNIQUE INDEX log_batch ON log (batch) WHERE batch IS NOT NULL;
CREATE TABLE block (position INTEGER PRIMARY KEY, file TEXT NOT NULL, offset INTEGER NOT NULL);
CREATE TABLE commits (seq INTEGER PRIMARY KEY, file TEXT NOT NULL, offset INTEGER NOT NULL);
CREATE TABLE staged (n INTEGER PRIMARY KEY, aggregate INTEGER, type TEXT NOT NULL, id TEXT NOT NULL, key BLOB NOT NULL,
  base INTEGER NOT NULL, version INTEGER NOT NULL, root BLOB NOT NULL, edge BLOB NOT NULL, state BLOB NOT NULL,
  extensions BLOB NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL, archived INTEGER NOT NULL,
  checksum BLOB NOT NULL, positions BLOB NOT NULL, leaf BLOB NOT NULL);
CREATE UNIQUE INDEX staged_name ON staged (type, id);
CREATE TABLE staged_run (first INTEGER PRIMARY KEY, count INTEGER NOT NULL, position INTEGER NOT NULL);
"""


class IndexUnavailable(OSError):
    """index.db cannot be opened or written: no permission, a full disk, another process for too long."""


class MovedIndex(DbxError):
    """Another process brought the index forward first: look again."""


class IndexDamaged(Corrupt):
    """index.db does not add up. It is derived: rebuild it."""


LAYOUT = Layout(
    NUMBER,
    tuple(_SCHEMA.split(";\n")[:-1]),
    ("synchronous=NORMAL", "cache_size=-32000"),
    shrinks=True,
    damaged=IndexDamaged,
    unavailable=IndexUnavailable,
)


class Row(NamedTuple):
    """An aggregate at its latest version. `n` is None until it is stored; `edge` is the right edge of its tree."""

    n: int | None
    type: str
    id: str
    key: bytes
    version: int
    root: bytes
    edge: bytes
    state: bytes
    extensions: bytes
    created_at: str
    updated_at: str
    archived: int

    def checksum(self) -> bytes:
        """Eight bytes that a row changed by accident does not have."""
        return checksum_of(self)


def checksum_of(row: Any) -> bytes:
    """The checksum of a row whose first columns are those of `Row`. Raises TypeError for values that cannot be."""
    _, kind, name, key, version, root, edge, state, extensions, created, updated, archived = row[:12]
    text = f"{kind}/{name} {version} {created} {updated} {archived} {len(state)} ".encode()
    return sha256(b"".join((key, root, edge, text, state, extensions))).digest()[:8]


class Head(NamedTuple):
    """Up to where the index follows the log; seq is -1 and commit empty before the first commit.

    `manifest` names the manifest the locators are good for ('' for none), `journal` the journal ('' for none) and
    `journal_end` the offset behind its last commit that is indexed.
    """

    seq: int
    commit: bytes
    position: int
    root: bytes
    edge: bytes
    manifest: str
    journal: str
    journal_end: int


COLUMNS = "n, type, id, key, version, root, edge, state, extensions, created_at, updated_at, archived, checksum"


def unpack_positions(packed: bytes) -> tuple[int, ...]:
    """The numbers of a chain. Raises IndexDamaged."""
    try:
        return struct.unpack(f"<{len(packed) // 4}I", packed)
    except (struct.error, TypeError) as error:
        raise IndexDamaged("a chain of positions in the index is damaged", hint="run 'dbx reindex'") from error


def checked_row(values: Sequence[Any], vault: Vault | None = None) -> Row:
    """A row from its columns, what is sealed in it opened. Raises IndexDamaged when its checksum does not fit."""
    row = Row(*values[:12])
    with suppress(TypeError):  # one bit makes a text of a blob
        if row.checksum() == values[12]:
            return row if vault is None else open_row(row, vault)
    raise IndexDamaged(f"the index row of aggregate '{row.type}/{row.id}' is damaged", hint="run 'dbx reindex'")


def head_checksum(text: str, edge: bytes) -> bytes:
    """Eight bytes that a head changed by accident does not have."""
    return sha256(text.encode() + edge).digest()[:8]
