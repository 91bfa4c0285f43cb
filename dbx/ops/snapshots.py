"""Snapshots: take, list, look at, compare with the events, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.model import names
from dbx.model.snapshot import Policy, Snapshot, check_comment, parse_snapshot_id
from dbx.repo.upkeep import snapshots

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.errors import Corrupt
    from dbx.ops.session import Session
    from dbx.repo.upkeep.snapshots import Pruned

__all__ = ["Policy", "Snapshot"]


def create_snapshot(
    session: Session, aggregate_type: str, aggregate_id: str, *, version: int | None = None, comment: str | None = None
) -> Snapshot:
    """Take a snapshot of an aggregate, at its latest version or an older one. Raises NotFound, Invalid."""
    if comment is not None:
        check_comment(comment)
    return snapshots.take_snapshot(session.domain, aggregate_type, aggregate_id, version, comment or None)


def list_snapshots(
    session: Session, aggregate_type: str | None = None, aggregate_id: str | None = None, version: int | None = None
) -> Iterator[Snapshot]:
    """Snapshots by type, id and version."""
    _check(aggregate_type, aggregate_id)
    return snapshots.list_snapshots(session.domain, aggregate_type, aggregate_id, version)


def get_snapshot(session: Session, snapshot_id: str) -> Snapshot:
    """A snapshot by its id. Raises NotFound; Invalid for what is no id."""
    return snapshots.get_snapshot(session.domain, parse_snapshot_id(snapshot_id))


def verify_snapshot(session: Session, snapshot_id: str) -> Snapshot:
    """Compare one snapshot with the events. Raises NotFound, and Corrupt where it differs."""
    return snapshots.verify_snapshot(session.domain, parse_snapshot_id(snapshot_id))


def verify_snapshots(
    session: Session, aggregate_type: str | None = None, aggregate_id: str | None = None
) -> Iterator[tuple[Snapshot, Corrupt | None]]:
    """Compare snapshots with the events: each, and what is wrong with it or None."""
    _check(aggregate_type, aggregate_id)
    return snapshots.verify_snapshots(session.domain, aggregate_type, aggregate_id)


def prune_snapshots(
    session: Session,
    policy: Policy,
    aggregate_type: str | None = None,
    aggregate_id: str | None = None,
    *,
    dry_run: bool = False,
) -> Pruned:
    """Remove the snapshots that a policy gives up; with `dry_run` only say which."""
    _check(aggregate_type, aggregate_id)
    return snapshots.prune_snapshots(session.domain, policy, aggregate_type, aggregate_id, dry_run=dry_run)


def _check(aggregate_type: str | None, aggregate_id: str | None) -> None:
    if aggregate_type is not None:
        names.check_type(aggregate_type)
    if aggregate_id is not None:
        names.check_id(aggregate_id)
