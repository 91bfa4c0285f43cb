"""One hash over everything that a domain holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.ops.source import parse_source
from dbx.repo.query import resolve
from dbx.repo.survey import Root, get_root

if TYPE_CHECKING:
    from dbx.ops.session import Session

__all__ = ["Root", "root"]


def root(session: Session, source: str | None) -> tuple[str, Root]:
    """(domain, its index root) of `DOMAIN[@REF]`, or of the session's domain. Raises NotFound, Invalid."""
    name, ref = (None, None) if source is None else parse_source(source)
    domain = session.domain if name is None else session.repository.domain(name)
    return domain.name, get_root(domain, None if ref is None else resolve(domain, ref))
