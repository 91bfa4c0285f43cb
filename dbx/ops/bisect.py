"""Since when a condition holds for an aggregate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.model.filter import parse_aggregate_filter
from dbx.repo.reading.bisect import Bisected, bisect_versions

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.ops.session import Session

__all__ = ["Bisected", "bisect"]


def bisect(
    session: Session,
    aggregate_type: str,
    aggregate_id: str,
    expression: str,
    *,
    linear: bool = False,
    progress: Callable[[int], None] = lambda events: None,
) -> Bisected:
    """The first version for which a filter expression holds. Halving, or with `linear` one version after the other.

    Raises Invalid with the place in the expression, NotFound.
    """
    wanted = parse_aggregate_filter(expression)
    return bisect_versions(
        session.domain, aggregate_type, aggregate_id, wanted.matches, linear=linear, progress=progress
    )
