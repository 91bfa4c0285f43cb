"""The queue of a domain: what waits, what is dead, trying it again and forgetting it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.ops.plugin import list_plugins
from dbx.repo.delivery import jobs
from dbx.repo.delivery.jobs import QueueState

if TYPE_CHECKING:
    from dbx.ops.session import Session


def show_queue(session: Session) -> QueueState:
    """How the plugins of the workspace stand in the domain."""
    plugins = list_plugins(session)
    return jobs.survey(session.domain, plugins) if plugins else QueueState([], [], None)


def retry(session: Session, event: str | None = None) -> tuple[int, int]:
    """Let dead jobs be tried again: all, or those of an event. (retried, still dead)."""
    return jobs.retry(session.domain, list_plugins(session), event)


def count_dead(session: Session) -> int:
    """How many jobs are dead."""
    return jobs.count_dead(session.domain)


def clear(session: Session) -> int:
    """Give up on all dead jobs; how many."""
    return jobs.clear_dead(session.domain)


def count_done(session: Session, older_than_s: int) -> int:
    """How many jobs were done longer ago."""
    return jobs.count_done(session.domain, older_than_s)


def clear_done(session: Session, older_than_s: int) -> int:
    """Forget jobs that were done longer ago; how many."""
    return jobs.clear_done(session.domain, older_than_s)
