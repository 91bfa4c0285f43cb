"""Look at aggregates as they were at an older commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.repo.reading import past
from dbx.repo.reading.revision import resolve_revision

if TYPE_CHECKING:
    from dbx.model.event import Aggregate
    from dbx.ops.session import Session


def get_aggregate_at(session: Session, aggregate_type: str, aggregate_id: str, ref: str) -> Aggregate:
    """An aggregate as it was at the commit that `ref` names. Raises NotFound, Invalid."""
    domain = session.domain
    return past.get_aggregate_at(domain, aggregate_type, aggregate_id, resolve_revision(domain, ref))
