"""Look at aggregates, and at commits, as they were at an older commit or at one that a remote showed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.repo.reading import past
from dbx.repo.reading.revision import resolve_revision

if TYPE_CHECKING:
    from dbx.model.event import Aggregate
    from dbx.ops.session import Session
    from dbx.repo.domain import Domain
    from dbx.repo.reading.revision import Revision


def locate(domain: Domain, ref: str) -> tuple[Domain, Revision]:
    """The commit that a ref names, and whose history has it: ours, or what a remote showed behind it.

    Raises NotFound, Invalid.
    """
    if "/" in ref:
        from dbx.repo.compare.fetched import find_fetched

        fetched = find_fetched(domain, ref)
        if fetched is not None:
            return fetched[0], resolve_revision(*fetched)
    return domain, resolve_revision(domain, ref)


def first_behind(domain: Domain, ref: str, other: Domain) -> int:
    """The seq of the first commit of `other` that is not in the history which ends with what `ref` names in `domain`.

    `other` is the domain itself, or a history that `locate` gave. Raises NotFound, Invalid.
    """
    whose, revision = locate(domain, ref)
    if whose is other:
        return revision.seq + 1
    from dbx.repo.compare.fetched import find_common_seq

    return min(revision.seq, find_common_seq(domain, other if whose is domain else whose)) + 1


def get_aggregate_at(session: Session, aggregate_type: str, aggregate_id: str, ref: str) -> Aggregate:
    """An aggregate as it was at the commit that `ref` names. Raises NotFound, Invalid."""
    domain, revision = locate(session.domain, ref)
    return past.get_aggregate_at(domain, aggregate_type, aggregate_id, revision)
