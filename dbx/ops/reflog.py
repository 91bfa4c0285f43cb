"""Every move of a ref, newest first."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from dbx.repo.reading.revision import find_reflog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.formats.reflog import ReflogEntry
    from dbx.ops.session import Session

__all__ = ["list_moves"]


def list_moves(session: Session, ref: str = "HEAD", limit: int | None = None) -> tuple[str, Iterator[ReflogEntry]]:
    """(the ref's full name, its moves, newest first, at most `limit`). The work does not grow with what is not listed.

    A tag that was deleted still has its moves. Raises NotFound, Invalid.
    """
    name, reflog = find_reflog(session.domain, ref)
    return name, islice(reflog.newest(), limit)
