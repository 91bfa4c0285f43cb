"""Where to begin to fold an aggregate at an older version: the nearest snapshot that the events bear out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.crypto import merkle
from dbx.repo.folding import FEW, edges_agree
from dbx.repo.snapshotfile import NAME, folding_of, snapshots_of
from dbx.store.snapshots import SnapshotsDamaged, SnapshotsUnavailable, checked_snapshot

if TYPE_CHECKING:
    from dbx.repo.domain import Domain
    from dbx.repo.folding import Folding
    from dbx.repo.log import LogReader
    from dbx.store.index import Index, Row

_TRIED = 4


def find_start(domain: Domain, index: Index, reader: LogReader, row: Row, version: int) -> Folding | None:
    """The nearest snapshot of an aggregate that is not above a version, as something to fold on; None without one.

    A snapshot is believed when its checksum fits, its edge has its root, the edge agrees with what the index holds of
    the aggregate's tree, and the log has the very event that was its last. Any other is passed over.
    """
    if version <= FEW or (domain.snapshots is None and not domain.directory.exists(NAME)):
        return None
    assert row.n is not None  # noqa: S101 - a stored row
    try:
        file = snapshots_of(domain)
        found = file.find() if file.is_trusted else None
        candidates = [] if found is None else found.nearest(row.type, row.id, version, _TRIED)
    except (SnapshotsDamaged, SnapshotsUnavailable):
        return None
    for values in candidates:
        try:
            folding = folding_of(checked_snapshot(values, domain.vault))
        except SnapshotsDamaged:
            continue
        if folding is None or not edges_agree(folding.edge, folding.count, row):
            continue
        places = index.positions(row.n, folding.count, folding.count)
        if len(places) == 1 and all(merkle.leaf_hash(s.envelope) == folding.leaf for s in reader.events(places)):
            return folding
    return None
