"""Put events into the staging area: one, or many from a stream of JSON lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbx.repo.batch import staging

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dbx.model.event import Event
    from dbx.ops.session import Session
    from dbx.repo.batch.staging import StagedResult
    from dbx.repo.build import Builder, Existence
    from dbx.repo.intake import Item


def stage_event(
    session: Session,
    item: dict[str, Any],
    *,
    existence: Existence = "known",
    dry_run: bool = False,
    reserved: bool = False,
    plan: Callable[[], list[dict[str, Any]]] | None = None,
) -> Event:
    """Stage the event that `item` describes (members as in `apply --from`). Raises Invalid, Conflict, NotFound.

    `plan` gives, under the lock, what is staged before it.
    """

    def items(_builder: Builder) -> Iterable[Item]:
        return [(0, one, None) for one in ([] if plan is None else plan())] + [(0, item, None)]

    done = staging.stage(
        session.domain,
        items,
        issued_by=session.actor,
        existence=existence,
        dry_run=dry_run,
        reserved=reserved,
    )
    assert done.last is not None  # noqa: S101 - one event was given, and it was not refused
    return done.last


def stage_lines(
    session: Session,
    read: Callable[[int], bytes],
    *,
    file: int | None = None,
    max_errors: int = 100,
    dry_run: bool = False,
    progress: Callable[[int], None] | None = None,
) -> StagedResult:
    """Stage a stream of JSON lines, plain or gzip: all events, or none.

    `read(n)` gives at most n bytes, none at the end; `progress` is told how many came. `file` is a descriptor of the
    same bytes, if they are a file: then both cores work on it. Raises Invalid or Conflict, whose details hold the
    faults found, `max_errors` at most, as `lines`.
    """
    from dbx.repo.batch import bulk

    return bulk.stage_lines(
        session.domain,
        read,
        file=file,
        issued_by=session.actor,
        max_faults=max_errors,
        dry_run=dry_run,
        progress=progress,
    )
