"""What is staged: look at it, commit it, drop it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbx.errors import Conflict, Corrupt
from dbx.repo.batch import commit, staging

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dbx.formats.commit import Commit
    from dbx.model.event import Event
    from dbx.ops.session import Session


@dataclass(frozen=True, slots=True)
class StagedEvent:
    """A staged event, and the version its aggregate must still have when it is committed."""

    event: Event
    base_version: int


def count_staged(session: Session) -> int | None:
    """How many events are staged; None when the staging file is damaged."""
    try:
        batch = staging.find_batch(session.domain)
    except (Corrupt, Conflict):
        return None
    return batch.events if batch else 0


def list_staged(session: Session, aggregate_type: str | None = None) -> Iterator[StagedEvent]:
    """The staged events in order, of one type or of all."""
    bases: dict[tuple[str, str], int] = {}
    for event in staging.staged_events(session.domain):
        if aggregate_type in (None, event.aggregate_type):
            name = (event.aggregate_type, event.aggregate_id)
            yield StagedEvent(event, bases.setdefault(name, event.version - 1))


def commit_staged(
    session: Session, *, message: str | None = None, progress: Callable[[int], None] | None = None
) -> tuple[Commit, str] | None:
    """Commit all staged events: (the commit, its id in hex), None when nothing is staged.

    `progress` is told of events as they are written. Raises Conflict when an aggregate has moved since.
    """
    return commit.commit_staged(session.domain, actor=session.actor, message=message, progress=progress)


def check_staged(session: Session) -> int:
    """How many events `commit_staged` would commit now; raises what it would raise."""
    return commit.check_staged(session.domain)


def clear_staged(session: Session) -> None:
    """Drop all staged events, or whatever a damaged staging file holds."""
    staging.clear(session.domain)
