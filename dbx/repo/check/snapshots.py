"""snapshots.db: that SQLite can read it, and that each snapshot is as it was written.

Whether the events bear them out is asked by 'snapshots verify'.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.crypto.vault import is_sealed
from dbx.errors import Corrupt
from dbx.repo.snapshotfile import NAME, folding_of
from dbx.store.snapshots import Snapshots, SnapshotsDamaged, SnapshotsUnavailable, checked_snapshot

if TYPE_CHECKING:
    from dbx.crypto.vault import Vault
    from dbx.repo.check.finding import Findings
    from dbx.store.fs import Directory


def check_snapshots(directory: Directory, findings: Findings, vault: Vault | None = None, *, quick: bool) -> None:
    """All of them; with `quick` only the file as such."""
    try:
        if not directory.stat(NAME).st_size:
            findings.note("snapshots.empty", "it is empty: it was never finished", NAME)
            return
    except FileNotFoundError:
        return
    except Corrupt as error:
        findings.error("snapshots", error.message, NAME)
        return
    try:
        snapshots = Snapshots(directory.path_of(NAME), vault, read_only=True)
    except SnapshotsUnavailable as error:
        findings.warn("snapshots", f"it could not be looked at: {error.strerror}", NAME)
        return
    except SnapshotsDamaged as error:
        findings.error("snapshots", error.message, NAME)
        return
    try:
        for complaint in snapshots.complaints():
            findings.error("snapshots", f"SQLite says: {complaint}", NAME)
        if not quick:
            _check_rows(snapshots, findings, vault)
    except (SnapshotsDamaged, SnapshotsUnavailable) as error:
        findings.error("snapshots", str(error), NAME)
    finally:
        snapshots.close()


def _check_rows(snapshots: Snapshots, findings: Findings, vault: Vault | None) -> None:
    sealed = 0
    for values in snapshots.stored():
        what: dict[str, int | str] = {"snapshot_id": str(values[0])}
        try:
            row = checked_snapshot(values, vault)
        except Corrupt as error:
            findings.error("snapshots.checksum", error.message, NAME, None, what)
            continue
        if is_sealed(row.state) or is_sealed(row.extensions):
            sealed += 1
        elif folding_of(row) is None:
            what |= {"aggregate_type": row.type, "aggregate_id": row.aggregate, "version": row.version}
            sentence = f"snapshot '{row.id}' has an edge or a state that does not fit together"
            findings.error("snapshots.row", sentence, NAME, None, what)
    if sealed:
        findings.note("snapshots.sealed", f"{sealed} snapshots could not be checked without the key", NAME)
