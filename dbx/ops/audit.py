"""The audit trail of a workspace: look at it, verify it, sign its head; and add to it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from dbx.model.time import format_time, parse_moment
from dbx.repo.outfile import write_outside
from dbx.repo.security import audit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dbx.formats.audit import AuditEntry
    from dbx.formats.checkpoint import Checkpoint
    from dbx.ops.session import Session
    from dbx.repo.security.audit import Verified


def list_entries(session: Session, *, newest: int | None = None, since: str | None = None) -> Iterable[AuditEntry]:
    """Lines, oldest first: the newest so many, and none from before a time. Raises Corrupt, Invalid."""
    found: Iterable[AuditEntry] = audit.iterate(session.repository)
    if since is not None:
        start = format_time(parse_moment(since, session.repository.clock()))
        found = (one for one in found if one.time >= start)
    return found if newest is None else deque(found, maxlen=newest)


def verify_trail(session: Session) -> Verified:
    """Whether the trail is what was written. Raises Corrupt."""
    return audit.verify(session.repository)


def make_checkpoint(session: Session, *, sign: bool, out: str | None) -> tuple[Checkpoint, bytes, str | None]:
    """(the head as a checkpoint, its bytes, who signed); also written to the file `out`. Raises Corrupt, KeyFailure."""
    made = audit.checkpoint(session.repository, sign=sign)
    if out is not None:
        write_outside(out, made[1])
    return made


def note(session: Session, event: str, details: dict[str, Any], *, domain: str | None = None) -> None:
    """Add what this session did to the trail, durably. Raises Corrupt where the trail was cut off."""
    audit.record(session.repository, session.actor, event, details, domain=domain, token=session.token_id)
