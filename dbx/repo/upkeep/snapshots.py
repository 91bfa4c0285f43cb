"""Snapshots of one copy of a domain: take, list, compare with the events, remove. None of it is history."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Corrupt, NotFound
from dbx.model.missing import no_version
from dbx.model.snapshot import Outline, Policy, Snapshot
from dbx.model.time import format_time, parse_time
from dbx.repo.autosnapshot import draw_ids, take_due
from dbx.repo.folding import Folding, edges_agree
from dbx.repo.nearest import find_start
from dbx.repo.query import get_row
from dbx.repo.snapshotfile import row_of, snapshot_of, snapshots_of
from dbx.repo.thresholds import has_thresholds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.repo.domain import Domain
    from dbx.repo.log import LogReader
    from dbx.repo.working import WorkingSet
    from dbx.store.snapshots import SnapshotRow, Snapshots

_PAGE = 256


class Pruned(NamedTuple):
    """Which snapshots went, how many bytes they took, and how many stayed."""

    snapshots: list[Outline]
    freed_bytes: int
    kept: int


def take_snapshot(
    domain: Domain, aggregate_type: str, aggregate_id: str, version: int | None = None, comment: str | None = None
) -> Snapshot:
    """A snapshot of an aggregate at its latest version or an older one, on disk when this returns. Raises NotFound."""
    folding = _fold(domain, aggregate_type, aggregate_id, version)
    with domain.mutex:
        snapshots = snapshots_of(domain).make()
        with snapshots.write():
            (number,) = draw_ids(domain, snapshots, 1)
            row = row_of(folding, number, format_time(domain.clock()), comment, automatic=False)
            snapshots.put(row)
    return snapshot_of(row)


def list_snapshots(
    domain: Domain, aggregate_type: str | None = None, aggregate_id: str | None = None, version: int | None = None
) -> Iterator[Snapshot]:
    """Snapshots by type, id and version, in bounded memory; none of an aggregate that does not exist."""
    return map(snapshot_of, _rows(domain, aggregate_type, aggregate_id, version))


def get_snapshot(domain: Domain, snapshot_id: int) -> Snapshot:
    """A snapshot by its id. Raises NotFound, and Corrupt when it is damaged."""
    return snapshot_of(_find(domain, snapshot_id))


def verify_snapshots(
    domain: Domain, aggregate_type: str | None = None, aggregate_id: str | None = None
) -> Iterator[tuple[Snapshot, Corrupt | None]]:
    """Every snapshot with what is wrong with it, if anything is: each aggregate is folded from its first event."""
    folding: Folding | None = None
    for row in _rows(domain, aggregate_type, aggregate_id, None):
        if folding is None or (folding.type, folding.id) != (row.type, row.aggregate):
            folding = Folding(row.type, row.aggregate)
        fault = _compare(domain, row, folding)
        yield snapshot_of(row), fault
        if fault is not None:
            folding = None


def verify_snapshot(domain: Domain, snapshot_id: int) -> Snapshot:
    """One snapshot, compared with the events. Raises NotFound, and Corrupt where it differs."""
    row = _find(domain, snapshot_id)
    fault = _compare(domain, row, Folding(row.type, row.aggregate))
    if fault is not None:
        raise fault
    return snapshot_of(row)


def prune_snapshots(
    domain: Domain,
    policy: Policy,
    aggregate_type: str | None = None,
    aggregate_id: str | None = None,
    *,
    dry_run: bool = False,
) -> Pruned:
    """Remove what the policy gives up, all or none of it, overwriting it. With `dry_run`: what would be removed."""
    with domain.mutex:
        snapshots = snapshots_of(domain).find()
        if snapshots is None:
            return Pruned([], 0, 0)
        found = [
            Outline(number, kind, name, version, parse_time(taken_at), size)
            for number, kind, name, version, taken_at, size in snapshots.outlines(aggregate_type, aggregate_id)
        ]
        chosen = policy.choose(found, domain.clock())
        if chosen and not dry_run:
            with snapshots.write():
                snapshots.delete([one.id for one in chosen])
            snapshots.shrink()
    return Pruned(chosen, sum(one.size_bytes for one in chosen), len(found) - len(chosen))


def refill_emptied(domain: Domain) -> int:
    """Make snapshots anew whose state was overwritten because an event lost its body; how many. Raises Corrupt."""
    made = 0
    with domain.mutex:
        snapshots = snapshots_of(domain).find()
        while snapshots is not None and (emptied := snapshots.emptied(_PAGE)):
            for number, kind, name, version, taken_at, comment, automatic in emptied:
                folding = _fold(domain, kind, name, version)
                row = row_of(folding, number, taken_at, comment, automatic=bool(automatic))
                with snapshots.write():
                    snapshots.put(row)
                made += 1
    return made


# -- inside ------------------------------------------------------------------------------------------------------------


def _open(domain: Domain) -> Snapshots | None:
    """The snapshots, after what is due was taken and what was emptied made anew."""
    if has_thresholds(domain):
        take_due(domain)
    refill_emptied(domain)
    return snapshots_of(domain).find()


def _rows(
    domain: Domain, aggregate_type: str | None, aggregate_id: str | None, version: int | None
) -> Iterator[SnapshotRow]:
    after = ("", "", 0, -1)
    with domain.mutex:
        snapshots = _open(domain)
    while snapshots is not None:
        with domain.mutex:
            page = snapshots.rows(aggregate_type, aggregate_id, version, after=after, take=_PAGE)
        yield from page
        if len(page) < _PAGE:
            return
        last = page[-1]
        after = last.type, last.aggregate, last.version, last.id


def _find(domain: Domain, snapshot_id: int) -> SnapshotRow:
    with domain.mutex:
        snapshots = _open(domain)
        row = None if snapshots is None else snapshots.find(snapshot_id)
    if row is None:
        raise NotFound(f"snapshot {snapshot_id} not found", hint="see 'dbx snapshots list'")
    return row


def _fold(domain: Domain, aggregate_type: str, aggregate_id: str, version: int | None) -> Folding:
    def query(working: WorkingSet, reader: LogReader) -> Folding:
        row = get_row(domain, working.index, aggregate_type, aggregate_id)
        last = row.version if version is None else version
        if not 0 < last <= row.version:
            raise no_version(aggregate_type, aggregate_id, last, row.version)
        assert row.n is not None  # noqa: S101 - a stored row
        start = find_start(domain, working.index, reader, row, last)
        for folding in (start, Folding(aggregate_type, aggregate_id)):
            if folding is not None:
                _extend(working, reader, row.n, folding, last)
                if edges_agree(folding.edge, last, row):
                    return folding
        raise Corrupt(
            f"the events of aggregate '{aggregate_type}/{aggregate_id}' do not have the root that the index holds",
            hint="run 'dbx fsck'",
        )

    return domain.read(query)


def _extend(working: WorkingSet, reader: LogReader, n: int, folding: Folding, version: int) -> None:
    for stored in reader.events(working.index.positions(n, folding.count + 1, version)):
        folding.add(stored)


def _compare(domain: Domain, row: SnapshotRow, folding: Folding) -> Corrupt | None:
    """What is wrong with a snapshot. `folding`, which is not beyond its version, is brought there."""

    def query(working: WorkingSet, reader: LogReader) -> int:
        found = working.index.find(row.type, row.aggregate)
        if found is None or found.version < row.version or found.n is None:
            return 0 if found is None else found.version
        _extend(working, reader, found.n, folding, row.version)
        return found.version

    latest = domain.read(query)
    name = f"'{row.type}/{row.aggregate}' at version {row.version}"
    if latest < row.version:
        return _fault(row, f"{name}: the aggregate has only {latest} versions")
    made = row_of(folding, row.id, row.taken_at, row.comment, automatic=bool(row.automatic))
    wrong = [field for field in made._fields if getattr(made, field) != getattr(row, field)]
    if not wrong:
        return None
    return _fault(row, f"{name}: its {', '.join(wrong)} differ from what the events add up to")


def _fault(row: SnapshotRow, why: str) -> Corrupt:
    return Corrupt(
        f"snapshot '{row.id}' of {why}",
        hint=f"it is passed over; remove it with 'dbx snapshots prune {row.type} {row.aggregate} --keep-last 0'",
        details={"snapshot_id": str(row.id)},
    )
