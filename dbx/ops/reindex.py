"""Build the index anew from the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.repo.upkeep.reindex import Loss, Reindexed
from dbx.repo.upkeep.reindex import reindex as rebuild

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.ops.session import Session

__all__ = ["Loss", "Reindexed", "reindex"]


def reindex(
    session: Session, *, accept_loss: bool = False, progress: Callable[[int], None] | None = None
) -> tuple[str, Reindexed]:
    """(domain, what its new index holds). Raises Corrupt, also for lost commits without `accept_loss`; Locked."""
    domain = session.domain
    return domain.name, rebuild(domain, actor=session.actor, accept_loss=accept_loss, progress=progress)
