"""Look at aggregates as they were at an older commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.ops.aggregates import parse_cursor
from dbx.repo import past
from dbx.repo.revision import resolve_revision

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.model.event import Aggregate
    from dbx.ops.session import Session


def get_aggregate_at(session: Session, aggregate_type: str, aggregate_id: str, ref: str) -> Aggregate:
    """An aggregate as it was at the commit that `ref` names. Raises NotFound, Invalid."""
    domain = session.domain
    return past.get_aggregate_at(domain, aggregate_type, aggregate_id, resolve_revision(domain, ref))


def list_aggregates_at(
    session: Session,
    ref: str,
    aggregate_type: str | None = None,
    *,
    cursor: str | None = None,
    archived: bool | None = False,
) -> Iterator[Aggregate]:
    """As `aggregates.list_aggregates`, but as it was at the commit that `ref` names. Raises NotFound, Invalid."""
    domain = session.domain
    after = None if cursor is None else parse_cursor(cursor)
    revision = resolve_revision(domain, ref)
    return past.iterate_aggregates_at(domain, revision, aggregate_type, after=after, archived=archived)
