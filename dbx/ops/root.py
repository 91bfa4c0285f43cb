"""One hash over everything that a domain holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.errors import NotFound
from dbx.ops.source import parse_source
from dbx.repo.revision import resolve_revision
from dbx.repo.survey import Root, get_root

if TYPE_CHECKING:
    from dbx.ops.session import Session

__all__ = ["Root", "root"]


def root(session: Session, source: str | None) -> tuple[str, Root]:
    """(domain, its index root) of `DOMAIN[@REF]` or `REF`, or of the session's domain.

    What could be either is a domain's name where there is such a domain. Raises NotFound, Invalid.
    """
    if source is None:
        return session.domain.name, get_root(session.domain)
    repository = session.repository
    if "@" not in source and source not in repository.domain_names():
        return _root_of_ref(session, source)
    name, ref = parse_source(source)
    domain = session.domain if name is None else repository.domain(name)
    return domain.name, get_root(domain, None if ref is None else resolve_revision(domain, ref).seq)


def _root_of_ref(session: Session, ref: str) -> tuple[str, Root]:
    domain = session.domain
    try:
        found = resolve_revision(domain, ref)
    except NotFound as error:
        raise NotFound(error.message, hint=f"there is no domain '{ref}' either; see 'dbx domain list'") from None
    return domain.name, get_root(domain, found.seq)
