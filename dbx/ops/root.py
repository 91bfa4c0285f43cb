"""One hash over everything that a domain holds, and a file of every aggregate's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.errors import NotFound
from dbx.ops.source import parse_source
from dbx.repo.revision import resolve_revision
from dbx.repo.survey import Root, get_root

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.ops.session import Session
    from dbx.repo.domain import Domain
    from dbx.repo.rootfile import Exported

__all__ = ["Root", "export", "root"]


def root(session: Session, source: str | None) -> tuple[str, Root]:
    """(domain, its index root) of `DOMAIN[@REF]` or `REF`, or of the session's domain.

    What could be either is a domain's name where there is such a domain. Raises NotFound, Invalid.
    """
    domain, seq = _find(session, source)
    return domain.name, get_root(domain, seq)


def export(session: Session, source: str | None, target: str | Callable[[bytes], object]) -> tuple[str, Exported]:
    """Write a root file to a path, whole or not at all, or by a function: (domain, what was written).

    `source` is as for `root`. Raises NotFound, Invalid, Failure.
    """
    from dbx.repo.rootfile import export_roots, export_roots_to

    domain, seq = _find(session, source)
    if isinstance(target, str):
        return domain.name, export_roots_to(domain, target, seq)
    return domain.name, export_roots(domain, target, seq)


def _find(session: Session, source: str | None) -> tuple[Domain, int | None]:
    if source is None:
        return session.domain, None
    repository = session.repository
    if "@" not in source and source not in repository.domain_names():
        return session.domain, _seq_of_ref(session, source)
    name, ref = parse_source(source)
    domain = session.domain if name is None else repository.domain(name)
    return domain, None if ref is None else resolve_revision(domain, ref).seq


def _seq_of_ref(session: Session, ref: str) -> int:
    try:
        return resolve_revision(session.domain, ref).seq
    except NotFound as error:
        raise NotFound(error.message, hint=f"there is no domain '{ref}' either; see 'dbx domain list'") from None
