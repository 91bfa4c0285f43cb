"""snapshots.db: a local SQLite database of aggregates as they were at some of their versions.

It belongs to one copy of a domain: no clone or fork has it. Nothing that is asked of the log depends on it. Each row
has a checksum, so that a flipped bit is not believed, and what is deleted is overwritten. Times are the text of events,
hashes are raw.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.errors import Corrupt
from dbx.store.database import Database, Layout
from dbx.store.sealedrows import EXTENSIONS, STATE, open_text, place_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from dbx.crypto.vault import Vault

_SCHEMA = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "CREATE TABLE snapshot (id INTEGER PRIMARY KEY, type TEXT NOT NULL, aggregate TEXT NOT NULL,"
    " version INTEGER NOT NULL, root BLOB NOT NULL, edge BLOB NOT NULL, leaf BLOB NOT NULL, state BLOB NOT NULL,"
    " extensions BLOB NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL, archived INTEGER NOT NULL,"
    " taken_at TEXT NOT NULL, comment TEXT, automatic INTEGER NOT NULL, checksum BLOB NOT NULL,"
    " emptied INTEGER NOT NULL DEFAULT 0)",
    "CREATE INDEX snapshot_name ON snapshot (type, aggregate, version)",
    "CREATE INDEX snapshot_emptied ON snapshot (emptied) WHERE emptied = 1",
    "CREATE UNIQUE INDEX snapshot_automatic ON snapshot (type, aggregate, version) WHERE automatic = 1",
)
_COLUMNS = (
    "id, type, aggregate, version, root, edge, leaf, state, extensions, created_at, updated_at, archived, taken_at,"
    " comment, automatic"
)
_SIZE = "length(state) + length(extensions) + length(edge) + length(coalesce(comment, '')) + 256"
_DELETED_AT_ONCE = 500


class SnapshotsDamaged(Corrupt):
    """snapshots.db, or a row of it, does not add up. What it holds can be made again from the log."""


class SnapshotsUnavailable(OSError):
    """snapshots.db cannot be opened or written: no permission, a full disk, another process for too long."""


_LAYOUT = Layout(
    1,
    _SCHEMA,
    ("synchronous=FULL", "secure_delete=ON"),
    shrinks=True,
    damaged=SnapshotsDamaged,
    unavailable=SnapshotsUnavailable,
    hint="snapshots are copies of what the log holds: remove the file, and take them again",
    file="snapshots.db",
)


class SnapshotRow(NamedTuple):
    """A snapshot. `edge` is the right edge of the aggregate's tree at that version, `leaf` the last of its leaves."""

    id: int
    type: str
    aggregate: str
    version: int
    root: bytes
    edge: bytes
    leaf: bytes
    state: bytes
    extensions: bytes
    created_at: str
    updated_at: str
    archived: int
    taken_at: str
    comment: str | None
    automatic: int

    def checksum(self) -> bytes:
        """Eight bytes that a row changed by accident does not have."""
        parts = (
            f"{self.id} {self.type}/{self.aggregate} {self.version} {self.created_at} {self.updated_at} {self.archived}"
            f" {self.taken_at} {self.automatic} {len(self.edge)} {len(self.state)} {self.comment!r}"
        ).encode("utf-8", "surrogatepass")
        return sha256(b"".join((parts, self.root, self.edge, self.leaf, self.state, self.extensions))).digest()[:8]

    def size_bytes(self) -> int:
        """About how many bytes it takes in the file."""
        return len(self.state) + len(self.extensions) + len(self.edge) + len(self.comment or "") + 256


class Snapshots(Database):
    """A connection to snapshots.db. Raises SnapshotsDamaged or SnapshotsUnavailable.

    With `read_only` the file must be there and is not changed, whatever is in it.
    """

    def __init__(
        self, path: str, vault: Vault | None = None, *, timeout_s: float = 10.0, read_only: bool = False
    ) -> None:
        super().__init__(path, _LAYOUT, timeout_s=timeout_s, read_only=read_only)
        self._vault = vault

    def write(self) -> AbstractContextManager[None]:
        """A write transaction: all or nothing, durable when it ends."""
        return self.transaction()

    def put(self, row: SnapshotRow) -> None:
        """Add a snapshot, sealed where the vault seals, or put it in the place of the one with its id.

        An automatic one of the same version is replaced as well.

        Inside `write`.
        """
        row = _sealed(row, self._vault)
        with self._guard():
            self._db.execute(
                f"INSERT OR REPLACE INTO snapshot ({_COLUMNS}, checksum) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                (*row, row.checksum()),
            )

    def has_automatic(self, aggregate_type: str, aggregate: str, version: int, leaf: bytes) -> bool:
        """Whether there is an automatic snapshot of a version whose last event is this one."""
        sql = "SELECT leaf FROM snapshot WHERE automatic = 1 AND type = ? AND aggregate = ? AND version = ?"
        return (leaf,) in self.all(sql, aggregate_type, aggregate, version)

    def find(self, snapshot_id: int) -> SnapshotRow | None:
        """One snapshot. Raises SnapshotsDamaged when its checksum does not fit."""
        found = self.all(f"SELECT {_COLUMNS}, checksum FROM snapshot WHERE id = ?", snapshot_id)
        return checked_snapshot(found[0], self._vault) if found else None

    def rows(
        self,
        aggregate_type: str | None = None,
        aggregate: str | None = None,
        version: int | None = None,
        *,
        after: tuple[str, str, int, int] = ("", "", 0, -1),
        take: int = -1,
    ) -> list[SnapshotRow]:
        """Snapshots by type, id, version and own id, beginning behind `after`, those four of a snapshot."""
        where, values = ["(type, aggregate, version, id) > (?, ?, ?, ?)"], list[Any](after)
        for column, value in (("type", aggregate_type), ("aggregate", aggregate), ("version", version)):
            if value is not None:
                where.append(f"{column} = ?")
                values.append(value)
        sql = (
            f"SELECT {_COLUMNS}, checksum FROM snapshot WHERE {' AND '.join(where)}"
            " ORDER BY type, aggregate, version, id LIMIT ?"
        )
        return [checked_snapshot(found, self._vault) for found in self.all(sql, *values, take)]

    def nearest(self, aggregate_type: str, aggregate: str, version: int, take: int) -> list[tuple[Any, ...]]:
        """The last few snapshots of an aggregate that are not above a version, unchecked, the highest version first."""
        return self.all(
            f"SELECT {_COLUMNS}, checksum FROM snapshot WHERE type = ? AND aggregate = ? AND version <= ?"
            " AND emptied = 0"
            " ORDER BY version DESC, id DESC LIMIT ?",
            aggregate_type, aggregate, version, take,
        )  # fmt: skip

    def outlines(self, aggregate_type: str | None = None, aggregate: str | None = None) -> list[tuple[Any, ...]]:
        """(id, type, aggregate, version, taken_at, bytes) of snapshots: all, of a type, or of one aggregate."""
        return self.all(
            f"SELECT id, type, aggregate, version, taken_at, {_SIZE} FROM snapshot"
            " WHERE (?1 IS NULL OR type = ?1) AND (?2 IS NULL OR aggregate = ?2)",
            aggregate_type, aggregate,
        )  # fmt: skip

    def empty(self, aggregate_type: str, aggregate: str) -> None:
        """Overwrite the states of an aggregate's snapshots, durably: they held what was erased meanwhile."""
        with self.write():
            self._db.execute(
                "UPDATE snapshot SET emptied = 1, state = x'', extensions = x'' WHERE type = ? AND aggregate = ?",
                (aggregate_type, aggregate),
            )
        self.shrink()

    def emptied(self, take: int) -> list[tuple[int, str, str, int, str, str | None, int]]:
        """(id, type, aggregate, version, taken_at, comment, automatic) of snapshots that are to be made anew."""
        return self.all(
            "SELECT id, type, aggregate, version, taken_at, comment, automatic FROM snapshot WHERE emptied = 1 LIMIT ?",
            take,
        )

    def delete(self, ids: Sequence[int]) -> None:
        """Remove snapshots, inside `write`."""
        with self._guard():
            for at in range(0, len(ids), _DELETED_AT_ONCE):
                part = ids[at : at + _DELETED_AT_ONCE]
                self._db.execute(f"DELETE FROM snapshot WHERE id IN ({','.join('?' * len(part))})", part)

    def complaints(self) -> list[str]:
        """What SQLite's own check finds, nothing when all is well."""
        return [found[0] for found in self.all("PRAGMA integrity_check(20)") if found[0] != "ok"]

    def stored(self) -> Iterator[tuple[Any, ...]]:
        """Every snapshot that was not emptied, unchecked, in pages."""
        last = -1
        while page := self.all(
            f"SELECT {_COLUMNS}, checksum FROM snapshot WHERE emptied = 0 AND id > ? ORDER BY id LIMIT 100", last
        ):
            yield from page
            last = page[-1][0]

    def reseal(self) -> int:
        """Seal every snapshot anew, one by one; how many. The old bytes are overwritten. Raises KeyFailure."""
        count = 0
        for values in self.stored():
            with self.write():
                self.put(checked_snapshot(values, self._vault))
            count += 1
        self.shrink()
        return count

    def shrink(self) -> bool:
        """Give the room of what was deleted back to the file system, and leave nothing of it in the log of writes.

        False where somebody else is reading, so that something may be left there.
        """
        with self._guard():
            self._db.executescript("PRAGMA incremental_vacuum").close()
            return not self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]


def checked_snapshot(values: Sequence[Any], vault: Vault | None = None) -> SnapshotRow:
    """A row from its columns, opened where it is sealed and the key there.

    Raises SnapshotsDamaged when its checksum does not fit.
    """
    row = SnapshotRow(*values[:15])
    try:
        sound = row.checksum() == values[15]
    except (TypeError, UnicodeError):  # one bit makes a text of a blob
        sound = False
    if sound:
        return _opened(row, vault)
    raise SnapshotsDamaged(
        f"snapshot '{row.id}' is damaged: its checksum does not fit",
        hint=f"remove those of the aggregate with 'dbx snapshots prune {row.type} {row.aggregate} --keep-last 0'",
        details={"snapshot_id": str(row.id)},
    )


def _key(row: SnapshotRow) -> bytes:
    """Binds what is sealed to the aggregate, and to being a snapshot."""
    return sha256(f"snapshot {row.type}/{row.aggregate}".encode()).digest()


def _sealed(row: SnapshotRow, vault: Vault | None) -> SnapshotRow:
    if vault is None or not vault.seals:
        return row
    key = _key(row)
    return row._replace(
        state=vault.seal_text(row.state, place_of(key, row.version, STATE)),
        extensions=vault.seal_text(row.extensions, place_of(key, row.version, EXTENSIONS)),
    )


def _opened(row: SnapshotRow, vault: Vault | None) -> SnapshotRow:
    key = _key(row)
    return row._replace(
        state=open_text(row.state, key, row.version, STATE, vault),
        extensions=open_text(row.extensions, key, row.version, EXTENSIONS, vault),
    )
