"""List, show and rename domains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.ops import audit
from dbx.repo.upkeep.survey import count_archived, measure, survey

if TYPE_CHECKING:
    from dbx.ops.session import Session
    from dbx.repo.upkeep.survey import Survey


class Listed(NamedTuple):
    """A domain and whether it is checked out."""

    domain: str
    active: bool


class Shown(NamedTuple):
    """Everything about a domain. `forked_from` has domain, commit and seq; `bytes` is the size of all its files."""

    domain: str
    id: str
    active: bool
    path: str
    created_at: str
    forked_from: dict[str, Any] | None
    survey: Survey
    archived: int
    bytes: int


def list_domains(session: Session) -> list[Listed]:
    """Every domain, sorted by name."""
    active = session.repository.active
    return [Listed(name, name == active) for name in session.repository.domain_names()]


def show_domain(session: Session, name: str | None) -> Shown:
    """One domain, that of the session by default. Raises NotFound, Corrupt."""
    domain = session.domain if name is None else session.repository.domain(name)
    found = survey(domain)
    return Shown(
        domain.name,
        domain.id,
        domain.name == session.repository.active,
        domain.directory.path,
        domain.file.created_at,
        domain.file.forked_from,
        found,
        count_archived(domain),
        measure(domain),
    )


def rename_domain(session: Session, old: str, new: str) -> bool:
    """Give a domain another name; whether it is the checked-out one. Raises NotFound, Conflict."""
    active = session.repository.active == old
    session.repository.rename_domain(old, new)
    audit.note(session, "domain.rename", {"old": old}, domain=new)
    return active
