"""Change an aggregate from what it is now: patch its state, archive and restore it, remove one that is only staged.

What is read and what is written belong together: the event names the version that was read, and where another one came
first it is read and made again.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.errors import Conflict
from dbx.formats import canonical
from dbx.model.event import ARCHIVED, RESTORED
from dbx.model.jsonpatch import patched_payload
from dbx.model.missing import no_aggregate
from dbx.model.references import Reference
from dbx.ops.append import append_event
from dbx.ops.stage import stage_event
from dbx.repo import query
from dbx.repo.batch import staging
from dbx.repo.schema.referrers import plan_archive

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.model.event import Aggregate, Event
    from dbx.ops.session import Session

_TRIES = 16


class Manner(NamedTuple):
    """How an event is written: at once or staged, with a message for its commit, or as a rehearsal only.

    `expected_version` is what the aggregate must be at, staged events counted where it is staged; None for anything.
    `publish` has what --publish says.
    """

    stage: bool = False
    message: str | None = None
    dry_run: bool = False
    expected_version: int | None = None
    publish: tuple[str, ...] = ()


class Archived(NamedTuple):
    """An aggregate that is archived, or is not, now; `event` says so, None where it was so before."""

    aggregate_type: str
    aggregate_id: str
    version: int
    archived: bool
    event: Event | None


def patch_aggregate(session: Session, item: dict[str, Any], patch: Any, manner: Manner) -> Event:
    """Append the event `item`, whose payload is what the patch (RFC 6902) makes of the state.

    With `manner.stage` that is the state once what is staged is committed. Raises Invalid for a patch that cannot be
    applied, NotFound, Conflict.
    """

    def make(current: Aggregate) -> dict[str, Any]:
        # State and patch were sound by themselves; put into one another they may nest too deeply.
        payload = canonical.normalise(patched_payload(current.state, patch), what="the patched payload")
        return {**item, "payload": payload}

    event = _change(session, item["aggregate_type"], item["aggregate_id"], make, manner)[1]
    assert event is not None  # noqa: S101 - `make` gives one
    return event


def set_archived(
    session: Session, aggregate_type: str, aggregate_id: str, *, archived: bool, comment: str | None, manner: Manner
) -> Archived:
    """Archive or restore an aggregate; where it is so already nothing is written. Raises NotFound, Conflict.

    Before it is archived, references to it are set to null where their columns say so, in the same commit.
    """
    item: dict[str, Any] = {
        "aggregate_type": aggregate_type,
        "aggregate_id": aggregate_id,
        "event_type": ARCHIVED if archived else RESTORED,
        "payload": {},
    }
    if comment is not None:
        item["note"] = comment

    def make(current: Aggregate) -> dict[str, Any] | None:
        return None if current.archived is archived else item

    plan = None
    if archived:
        target = Reference(session.domain.file.called, aggregate_type, aggregate_id)
        plan = partial(plan_archive, session.domain, target)
    current, event = _change(session, aggregate_type, aggregate_id, make, manner, reserved=True, plan=plan)
    version = current.version if event is None else event.version
    return Archived(aggregate_type, aggregate_id, version, archived, event)


def remove_staged(session: Session, aggregate_type: str, aggregate_id: str) -> int:
    """Drop the staged events of an aggregate that has no others; how many. Raises Conflict, NotFound."""
    return staging.unstage(session.domain, aggregate_type, aggregate_id)


def _change(
    session: Session,
    aggregate_type: str,
    aggregate_id: str,
    make: Callable[[Aggregate], dict[str, Any] | None],
    manner: Manner,
    *,
    reserved: bool = False,
    plan: Callable[[], list[dict[str, Any]]] | None = None,
) -> tuple[Aggregate, Event | None]:
    """(the aggregate as it was, the event that was written, None where `make` wants none)."""
    for left in range(_TRIES, 0, -1):
        current = _current(session, aggregate_type, aggregate_id, staged=manner.stage)
        if manner.expected_version not in (None, current.version):
            raise Conflict(
                f"aggregate '{aggregate_type}/{aggregate_id}' is at version {current.version}, not"
                f" {manner.expected_version}",
                details={"expected": manner.expected_version, "version": current.version},
            )
        item = make(current)
        if item is None:
            return current, None
        item = {**item, "expected_version": current.version}
        try:
            if manner.stage:
                return current, stage_event(session, item, dry_run=manner.dry_run, reserved=reserved, plan=plan)
            return current, append_event(
                session,
                item,
                message=manner.message,
                dry_run=manner.dry_run,
                reserved=reserved,
                plan=plan,
                publish=manner.publish,
            )
        except Conflict:
            now = _current(session, aggregate_type, aggregate_id, staged=manner.stage)
            if left == 1 or now.version == current.version:
                raise  # nobody came first: it is something else
    raise AssertionError


def _current(session: Session, aggregate_type: str, aggregate_id: str, *, staged: bool) -> Aggregate:
    domain = session.domain
    if not staged:
        return query.get_aggregate(domain, aggregate_type, aggregate_id)
    record = staging.find_record(domain, aggregate_type, aggregate_id)
    if record is None:
        raise no_aggregate(domain.name, aggregate_type, aggregate_id)
    return query.aggregate_of(record.row())
