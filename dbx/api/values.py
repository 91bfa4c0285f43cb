"""What goes into the engine, and commits and refusals as they come out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dbx.formats import canonical
from dbx.formats.envelope import Actor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dbx.errors import DbxError
    from dbx.formats.commit import Commit as _Commit
    from dbx.repo.log import Entry
    from dbx.repo.single import Draft


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit: `count` events from `position` on, which became history together.

    Hashes are 64 hex digits: `id` its own, `parent` that of the commit before it (None for the first), `events` the
    root over its events, `index` the root over every aggregate of the domain after it. `seq` counts commits from 0.
    """

    id: str
    seq: int
    parent: str | None
    time: str
    actor: Actor | None
    message: str | None
    count: int
    position: int
    events: str
    index: str
    domain: str


def item_of(
    aggregate_type: str,
    aggregate_id: str,
    event_type: str,
    payload: Mapping[str, Any],
    metadata: Mapping[str, Any] | None,
    note: str | None,
    expected_version: int | None,
    created_at: str | datetime | None,
    event_id: int | None,
) -> dict[str, Any]:
    """The object that the engine takes. What the caller changes in a payload afterwards does not change the event."""
    item: dict[str, Any] = {
        "aggregate_type": aggregate_type,
        "aggregate_id": aggregate_id,
        "event_type": event_type,
        "payload": canonical.normalise(_plain(payload), what="the payload"),
    }
    if metadata is not None:
        item["metadata"] = canonical.normalise(_plain(metadata), what="the metadata")
    if note is not None:
        item["note"] = note
    if expected_version is not None:
        item["expected_version"] = expected_version
    if created_at is not None:
        item["created_at"] = created_at.isoformat() if isinstance(created_at, datetime) else created_at
    if event_id is not None:
        item["event_id"] = event_id
    return item


def item_of_draft(draft: Draft) -> dict[str, Any]:
    """The object that the engine takes, of an event that was prepared already."""
    item: dict[str, Any] = {
        "aggregate_type": draft.type,
        "aggregate_id": draft.id,
        "event_type": draft.event_type,
        "payload": draft.payload,
    }
    if draft.metadata:
        item["metadata"] = draft.metadata
    if draft.expected_version is not None:
        item["expected_version"] = draft.expected_version
    return item


def _plain(mapping: Mapping[str, Any]) -> Any:
    return mapping if type(mapping) is dict else dict(mapping) if hasattr(mapping, "keys") else mapping


def refusal_of_batch(error: DbxError) -> DbxError:
    """The refusal of a batch, in the words of one who has no lines."""
    lines = error.details.get("lines")
    if not lines:
        return error
    first, more = lines[0], f", and {len(lines) - 1} more" if len(lines) > 1 else ""
    return type(error)(
        f"event {first['line']} of the batch is refused, and nothing was committed: {first['message']}{more}",
        hint=error.hint,
        details={"events": lines},
    )


def commit_of(entry: Entry) -> Commit:
    """A commit of the log."""
    return commit_from(entry.commit, entry.id.hex())


def commit_from(c: _Commit, commit_id: str) -> Commit:
    """A commit and its id."""
    actor = None if c.actor is None else Actor(c.actor.group, c.actor.user)
    return Commit(
        commit_id, c.seq, c.parent, c.time, actor, c.message, c.count, c.position, c.events, c.index, c.domain
    )
