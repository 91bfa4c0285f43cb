"""The commits of a domain, newest first."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from dbx.errors import Invalid
from dbx.model.names import quote
from dbx.repo import query
from dbx.repo.revision import resolve_revision

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.formats.commit import Commit
    from dbx.ops.session import Session


def list_commits(session: Session, wanted: str | None = None, limit: int | None = None) -> Iterator[tuple[Commit, str]]:
    """(commit, its id), newest first, at most `limit`. The work does not grow with the domain.

    `wanted` is a ref (it and what came before), or `A..B`: what came after A, up to and with B. Without an A that is
    from the beginning, without a B up to the head. Raises NotFound, Invalid.
    """
    first, last = 0, None
    if wanted is not None:
        after, dots, upto = wanted.partition("..")
        if not dots:
            after, upto = "", after
        elif ".." in upto or upto.startswith("."):
            raise Invalid(f"{quote(wanted)} is not a range of commits", hint="write A..B, A.. or ..B")
        first = resolve_revision(session.domain, after).seq + 1 if after else 0
        last = resolve_revision(session.domain, upto).seq if upto else None
    entries = query.iterate_commits(session.domain, first=first, last=last)
    return ((entry.commit, entry.id.hex()) for entry in islice(entries, limit))
