"""Who set each field of an aggregate, and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbx.model.blame import Blame, Field
from dbx.ops.past import locate
from dbx.ops.veil import Veil
from dbx.repo import query
from dbx.repo.reading import past

if TYPE_CHECKING:
    from dbx.ops.session import Session

__all__ = ["Blamed", "Field", "blame"]


@dataclass(frozen=True, slots=True)
class Blamed:
    """The fields of an aggregate at a version; `erased` are the versions whose bodies were erased."""

    aggregate_type: str
    aggregate_id: str
    version: int
    fields: list[Field]
    erased: list[int]


def blame(
    session: Session,
    aggregate_type: str,
    aggregate_id: str,
    *,
    fields: tuple[str, ...] = (),
    version: int | None = None,
    at: str | None = None,
    include_hidden: bool = False,
) -> Blamed:
    """The events that set an aggregate's fields, or those at dotted paths; at a version, or at the commit of a ref.

    Raises NotFound for an aggregate, a version or a field that is not there, Invalid for a ref.
    """
    domain = session.domain
    if at is not None:
        domain, revision = locate(domain, at)
        found = past.get_aggregate_at(domain, aggregate_type, aggregate_id, revision)
    else:
        found = query.get_aggregate(domain, aggregate_type, aggregate_id, version)
    known = Blame(fields)
    for event in query.iterate_events(domain, aggregate_type, aggregate_id):
        if event.version > found.version:
            break
        known.take(event)
    veil = Veil(session, lifted=include_hidden)
    shown = [field for field in known.fields() if not veil.hides(aggregate_type, field.path[0])]
    return Blamed(aggregate_type, aggregate_id, found.version, shown, known.erased)
