"""snapshots.db of an open domain: opened when it is needed, and rows to values and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.crypto import merkle
from dbx.errors import Corrupt, Invalid
from dbx.formats import canonical
from dbx.model.event import Aggregate
from dbx.model.snapshot import Snapshot
from dbx.repo.folding import Folding
from dbx.repo.record import parse
from dbx.store.database import place
from dbx.store.snapshots import SnapshotRow, Snapshots

if TYPE_CHECKING:
    from dbx.crypto.vault import Vault
    from dbx.repo.autosnapshot import Thresholds
    from dbx.repo.domain import Domain
    from dbx.store.fs import Directory

NAME = "snapshots.db"


class SnapshotFile:
    """The snapshots of one open domain.

    `done` is the position up to which this process knows that automatic snapshots are taken, `noted` the one that the
    file has; None before it asked. `is_trusted` says that reads may begin with them. `thresholds` are those that were
    found when the first of the two was in force.
    """

    def __init__(self, directory: Directory, vault: Vault | None = None) -> None:
        self._directory = directory
        self._vault = vault
        self._db: Snapshots | None = None
        self._inode = 0
        self.done: int | None = None
        self.noted: int | None = None
        self.is_trusted = True
        self.thresholds: tuple[object, Thresholds] | None = None

    def find(self) -> Snapshots | None:
        """The database; None when no snapshot was ever taken here."""
        try:
            inode = self._directory.stat(NAME).st_ino
        except FileNotFoundError:
            self.close()
            return None
        return self._open(inode)

    def make(self) -> Snapshots:
        """The database, made if need be."""
        return self._open(place(self._directory, NAME))

    def close(self) -> None:
        """Close it."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _open(self, inode: int) -> Snapshots:
        if self._db is None or self._inode != inode:
            self.close()
            self._db = Snapshots(self._directory.path_of(NAME), self._vault)
            self._inode = inode
        return self._db


def snapshots_of(domain: Domain) -> SnapshotFile:
    """The snapshots of an open domain; closed with it."""
    if domain.snapshots is None:
        domain.snapshots = SnapshotFile(domain.directory, domain.vault)
    return domain.snapshots


def snapshot_of(row: SnapshotRow) -> Snapshot:
    """A checked row as a value."""
    return Snapshot(
        row.id,
        Aggregate(
            row.type,
            row.aggregate,
            row.version,
            parse(row.state),
            parse(row.extensions),
            row.root.hex(),
            row.created_at,
            row.updated_at,
            bool(row.archived),
        ),
        row.taken_at,
        row.comment,
        bool(row.automatic),
        row.size_bytes(),
    )


def row_of(folding: Folding, snapshot_id: int, taken_at: str, comment: str | None, *, automatic: bool) -> SnapshotRow:
    """The row of a snapshot of what was folded."""
    return SnapshotRow(
        snapshot_id,
        folding.type,
        folding.id,
        folding.count,
        folding.root,
        b"".join(folding.edge),
        folding.leaf,
        canonical.encode_scanned(folding.state).encode(),
        canonical.encode_scanned(folding.extensions).encode(),
        folding.created_at,
        folding.updated_at,
        int(folding.archived),
        taken_at,
        comment,
        int(automatic),
    )


def folding_of(row: SnapshotRow) -> Folding | None:
    """A snapshot to fold further events onto; None where it does not fit together."""
    folding = Folding(row.type, row.aggregate)
    try:
        folding.edge = merkle.decode_edge(row.edge, row.version)
        folding.state, folding.extensions = parse(row.state), parse(row.extensions)
    except (Corrupt, Invalid, UnicodeDecodeError):
        return None
    if folding.root != row.root:
        return None
    folding.count, folding.leaf = row.version, row.leaf
    folding.created_at, folding.updated_at = row.created_at, row.updated_at
    folding.archived = bool(row.archived)
    return folding
