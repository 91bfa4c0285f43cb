"""Append one event at once, as a commit of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbx.model.event import Aggregate
from dbx.ops.stage import stage_event
from dbx.repo.rehearsal import rehearse
from dbx.repo.writer import Append, Appender

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dbx.model.event import Event
    from dbx.ops.session import Session
    from dbx.repo.build import Existence


def append_event(
    session: Session,
    item: dict[str, Any],
    *,
    existence: Existence = "known",
    message: str | None = None,
    dry_run: bool = False,
    reserved: bool = False,
    plan: Callable[[], list[dict[str, Any]]] | None = None,
    publish: Sequence[str] = (),
) -> Event:
    """Append the event that `item` describes (members as in `apply --from`). Raises Invalid, Conflict, NotFound.

    With `dry_run` it is the event that would have been, its id and time included; nothing is written.
    Types that are `reserved` are for dbx itself; `plan` gives, under the lock, what goes before it in the same commit.
    `publish` has what --publish says, PLUGIN[:MODE[:PRIORITY]], checked before anything is written.
    """
    request = Append([item], issued_by=session.actor, message=message, existence=existence, reserved=reserved)
    request.plan = plan
    if publish:
        from dbx.repo.delivery.publishes import check_targets, recorder

        request.announce = recorder(session.domain, check_targets(session.repository, publish))
    if dry_run:
        return rehearse(session.domain, request)[-1]
    return Appender(session.domain).append(request).events()[-1]


def create_aggregate(
    session: Session,
    item: dict[str, Any],
    *,
    message: str | None = None,
    stage: bool = False,
    dry_run: bool = False,
    publish: Sequence[str] = (),
) -> Aggregate:
    """Append or stage the first event of an aggregate. Raises Conflict where it has one."""
    if stage:
        event = stage_event(session, item, existence="new", dry_run=dry_run)
    else:
        event = append_event(session, item, existence="new", message=message, dry_run=dry_run, publish=publish)
    # One event: its payload is the state, its leaf is the root.
    return Aggregate(
        event.aggregate_type,
        event.aggregate_id,
        event.version,
        event.payload or {},
        event.metadata or {},
        event.hash,
        event.created_at,
        event.created_at,
        archived=False,
    )
