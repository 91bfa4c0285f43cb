"""Where a domain stands, and what is staged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.repo.upkeep.survey import survey

if TYPE_CHECKING:
    from dbx.ops.session import Session
    from dbx.repo.upkeep.survey import Survey


def status(session: Session) -> tuple[str, Survey]:
    """(domain, where it stands). The work does not grow with the domain. Raises NotFound, Corrupt."""
    domain = session.domain
    return domain.name, survey(domain)
