"""Tidy a domain's files up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.ops import audit
from dbx.repo.delivery.jobs import reseal_errors
from dbx.repo.delivery.plugins import reseal_plugins
from dbx.repo.replica.remoteconfig import reseal_tokens
from dbx.repo.security.tokens import reseal_cli_token
from dbx.repo.upkeep.gc import Collected, collect
from dbx.repo.upkeep.reseal import Resealed, reseal

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.ops.session import Session

__all__ = ["Collected", "Resealed", "collect_garbage", "reseal_domain"]


def collect_garbage(
    session: Session, *, dry_run: bool = False, progress: Callable[[int], None] | None = None
) -> Collected:
    """Seal the journal, merge small segments, drop what nothing names. Raises Locked, Corrupt."""
    session.repository.sweep()
    return collect(session.domain, dry_run=dry_run, progress=progress)


def reseal_domain(session: Session, *, progress: Callable[[int], None] | None = None) -> Resealed:
    """Seal everything in a domain with the latest data key. Raises Conflict, KeyFailure, Locked, Corrupt."""
    session.repository.sweep()
    if session.domain.vault.seals and not session.domain.vault.is_locked:
        reseal_plugins(session.repository)
        reseal_cli_token(session.repository)
        reseal_errors(session.domain)
    done = reseal(session.domain, actor=session.actor, progress=progress)
    reseal_tokens(session.repository)
    audit.note(session, "gc.reseal", {"segments": done.segments, "staged": done.staged}, domain=session.domain.name)
    return done
