"""Take back the last move of a ref on this machine, as long as it has not been shared."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from dbx.ops import audit
from dbx.repo.refs import undo as repo_undo
from dbx.repo.refs.undo import Step
from dbx.repo.replica.shared import find_shared

if TYPE_CHECKING:
    from dbx.ops.session import Session

__all__ = ["Step", "plan_undo", "undo"]


def plan_undo(session: Session) -> tuple[str, Step]:
    """(domain, what `undo` would do). Raises Failure for nothing to take back, Conflict for what may not be."""
    domain = session.domain
    return domain.name, repo_undo.plan_undo(domain, find_shared=partial(find_shared, session.repository, domain))


def undo(session: Session, step: Step) -> None:
    """Do what `plan_undo` told. Raises Conflict where something has moved since; Locked."""
    domain = session.domain
    repo_undo.undo(domain, step, actor=session.actor, find_shared=partial(find_shared, session.repository, domain))
    details = {"kind": step.kind, "ref": step.ref, "old": step.old, "new": step.new, "commits": step.commits}
    audit.note(session, "ref.undo", details, domain=domain.name)
