"""Automatic snapshots: of every aggregate that reached a multiple of its threshold, with its state at that version.

They are taken after the commit, which they can neither fail nor undo. A position in snapshots.db says how far they are
taken: what a crash or an error left out is caught up after the next commit, or when somebody asks for snapshots. Where
no threshold is set, nothing of this happens.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from dbx.errors import DbxError
from dbx.model.snapshot import auto_comment
from dbx.model.snowflake import MAX_WORKER, draw
from dbx.model.time import format_time
from dbx.repo.folding import Folding
from dbx.repo.nearest import find_start
from dbx.repo.query import get_row
from dbx.repo.snapshotfile import row_of, snapshots_of
from dbx.repo.thresholds import threshold_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbx.repo.domain import Domain
    from dbx.repo.log import LogReader
    from dbx.repo.transaction import Committed
    from dbx.repo.working import WorkingSet
    from dbx.store.snapshots import SnapshotRow, Snapshots

_EVENTS = 50_000
"""So many events are looked through at a time, and what is due among them is taken in one transaction."""
_NOTED = 100_000
"""How far the position in the file may lag behind when nothing was due."""
_CURSOR = "cursor"
_IDS = "ids"


def after_commit(domain: Domain, position: int, committed: Sequence[Committed] = ()) -> None:
    """Take what is due. Call it when a commit is durable and the writer's lock released; it raises nothing.

    `position` is that of the first event that was committed; `committed` are the commits, if they are at hand: where
    nothing in them is due, nothing is read or written.
    """
    file = snapshots_of(domain)
    with suppress(DbxError, OSError), domain.mutex:
        if committed and file.done == position and not _is_due(domain, committed):
            last = committed[-1].commit
            if last.position + last.count - (file.noted or 0) < _NOTED:
                file.done = last.position + last.count
                return
        take_due(domain, first=position)


def take_due(domain: Domain, *, first: int | None = None) -> int:
    """Take every automatic snapshot that is due up to the head; how many were.

    A domain that never had one begins at position `first`, or at its head: what was there before is not taken.
    """
    file = snapshots_of(domain)
    thresholds = Thresholds(domain)
    taken = 0
    with domain.mutex:
        head = domain.read(lambda working, _: working.head.position)
        snapshots = file.make()
        cursor = snapshots.get_meta(_CURSOR)
        at = (head if first is None else first) if cursor is None else int(cursor)
        # Commits that were taken back are no longer there, and others may have come in their place.
        at = min(at, head if first is None else first)
        while True:
            end = min(head, at + _EVENTS)
            rows = _fold_due(domain, at, end, thresholds) if at < end else []
            if rows or end != cursor:
                with snapshots.write():
                    taken += _put(domain, snapshots, rows)
                    snapshots.set_meta(_CURSOR, end)
            at = end
            if at >= head:
                break
        file.done = file.noted = head
    return taken


def begin_here(domain: Domain) -> None:
    """From now on thresholds hold: what is there already is not due. Call it when the first one is set.

    The setting stands even where this cannot be noted: then what came meanwhile is taken as well.
    """
    with suppress(DbxError, OSError), domain.mutex:
        snapshots = snapshots_of(domain).find()
        if snapshots is not None:
            snapshots.set_meta(_CURSOR, domain.read(lambda working, _: working.head.position))


class Thresholds:
    """The threshold of each type, asked once."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._known: dict[str, int] = {}

    def is_due(self, aggregate_type: str, version: int) -> bool:
        """Whether a snapshot of this version is due."""
        threshold = self._known.get(aggregate_type)
        if threshold is None:
            threshold = self._known[aggregate_type] = threshold_of(self._domain, aggregate_type) or 0
        return threshold > 0 and version % threshold == 0


def draw_ids(domain: Domain, snapshots: Snapshots, count: int) -> list[int]:
    """Ids for new snapshots, increasing; inside `Snapshots.write`."""
    text = str(snapshots.get_meta(_IDS) or "")
    worker, _, last = text.partition("|")
    number = int(worker) if worker else int.from_bytes(domain.entropy(2), "big") & MAX_WORKER
    runs = draw(domain.clock(), number, int(last) if last else None, count)
    ids = [first + n for first, length in runs for n in range(length)]
    if ids:
        snapshots.set_meta(_IDS, f"{number}|{ids[-1]}")
    return ids


def _is_due(domain: Domain, committed: Sequence[Committed]) -> bool:
    file = snapshots_of(domain)
    # has_thresholds has just looked whether the rules in force are still the same.
    if file.thresholds is None or file.thresholds[0] is not domain.thresholds:
        file.thresholds = domain.thresholds, Thresholds(domain)
    thresholds = file.thresholds[1]
    for one in committed:
        for envelope in one.envelopes:
            aggregate_type, _, version = _place(envelope)
            if thresholds.is_due(aggregate_type, version):
                return True
    return False


def _place(envelope: bytes) -> tuple[str, str, int]:
    """(type, id, version) of an envelope."""
    parts = envelope.decode().split('"')
    return parts[7], parts[3], int(parts[-1][1:-1])


def _fold_due(domain: Domain, start: int, end: int, thresholds: Thresholds) -> list[SnapshotRow]:
    """What is due among the events of positions `start` to, without it, `end`: rows without id and time."""

    def query(working: WorkingSet, reader: LogReader) -> list[SnapshotRow]:
        due: dict[tuple[str, str], list[int]] = {}
        for stored in reader.events(range(start, end)):
            aggregate_type, aggregate_id, version = _place(stored.envelope)
            if thresholds.is_due(aggregate_type, version):
                due.setdefault((aggregate_type, aggregate_id), []).append(version)
        return _fold_versions(domain, working, reader, due)

    return domain.read(query)


def _fold_versions(
    domain: Domain, working: WorkingSet, reader: LogReader, due: dict[tuple[str, str], list[int]]
) -> list[SnapshotRow]:
    """Fold each aggregate up to the versions due, all of them in one pass over the log."""
    places: list[tuple[int, Folding]] = []
    wanted: dict[tuple[str, str], set[int]] = {}
    for name, versions in due.items():
        row = get_row(domain, working.index, *name)
        assert row.n is not None  # noqa: S101 - a stored row
        folding = find_start(domain, working.index, reader, row, versions[0] - 1) or Folding(*name)
        wanted[name] = set(versions)
        places += [(at, folding) for at in working.index.positions(row.n, folding.count + 1, versions[-1])]
    places.sort(key=lambda place: place[0])
    rows: list[SnapshotRow] = []
    for stored, (_, folding) in zip(reader.events([at for at, _ in places]), places, strict=True):
        folding.add(stored)
        if folding.count in wanted[folding.type, folding.id]:
            # Made a row at once: the folding goes on from here.
            rows.append(row_of(folding, 0, "", auto_comment(folding.count), automatic=True))
    return rows


def _put(domain: Domain, snapshots: Snapshots, rows: Sequence[SnapshotRow]) -> int:
    """Add those that are not there yet, from another process that was faster."""
    now = format_time(domain.clock())
    fresh = [row for row in rows if not snapshots.has_automatic(row.type, row.aggregate, row.version, row.leaf)]
    for row, number in zip(fresh, draw_ids(domain, snapshots, len(fresh)), strict=True):
        snapshots.put(row._replace(id=number, taken_at=now))
    return len(fresh)
