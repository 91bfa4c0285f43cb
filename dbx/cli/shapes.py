"""The JSON shapes of what commands print: one spelling for an event, an aggregate and a commit everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbx.formats.commit import Commit
    from dbx.model.event import Aggregate, Event
    from dbx.ops.tag import Tag
    from dbx.repo.log import Entry


def event_value(event: Event) -> dict[str, Any]:
    """An event. Its first nine members are those that `apply --stage --from` takes, but for `version` and `issued_by`.

    `seq` is the commit's, None while staged as is `position`; when the body was erased, payload and metadata are null,
    and `redacted` is there and true.
    """
    value: dict[str, Any] = {
        "aggregate_type": event.aggregate_type,
        "aggregate_id": event.aggregate_id,
        "version": event.version,
        "event_type": event.event_type,
        "event_id": str(event.event_id),
        "created_at": event.created_at,
        "issued_by": None,
        "payload": event.payload,
        "metadata": event.metadata,
    }
    if event.payload is None:
        value["redacted"] = True
    if event.issued_by is not None:
        value["issued_by"] = {"group": event.issued_by.group, "user": event.issued_by.user}
    if event.note:
        value["note"] = event.note
    value["hash"] = event.hash
    stored = event.commit >= 0
    value["position"] = event.position if stored else None
    value["seq"] = event.commit if stored else None
    return value


def aggregate_value(aggregate: Aggregate) -> dict[str, Any]:
    """An aggregate, its extensions inline as EventDBX has them: their keys begin with '@', so they meet no other."""
    return {
        "aggregate_type": aggregate.aggregate_type,
        "aggregate_id": aggregate.aggregate_id,
        "version": aggregate.version,
        "state": aggregate.state,
        "merkle_root": aggregate.root,
        "created_at": aggregate.created_at,
        "updated_at": aggregate.updated_at,
        "archived": aggregate.archived,
        **aggregate.extensions,
    }


def commit_value(commit: Commit, commit_id: str) -> dict[str, Any]:
    """A commit: its id, and the members of its line (format.md §5)."""
    actor: dict[str, Any] | None = None
    if commit.actor is not None:
        actor = {"group": commit.actor.group, "user": commit.actor.user}
        if commit.actor.token is not None:
            actor["token"] = commit.actor.token
    return {
        "id": commit_id,
        "seq": commit.seq,
        "parent": commit.parent,
        "time": commit.time,
        "actor": actor,
        "message": commit.message,
        "count": commit.count,
        "position": commit.position,
        "events": commit.events,
        "index": commit.index,
        "batch": commit.batch,
        "schema": commit.schema,
        "domain": commit.domain,
    }


def head_value(entry: Entry | None) -> dict[str, Any] | None:
    """The commit a domain stands at, in short; None before the first."""
    if entry is None:
        return None
    commit = entry.commit
    return {"id": entry.id.hex(), "seq": commit.seq, "time": commit.time, "message": commit.message}


def tag_value(tag: Tag) -> dict[str, Any]:
    """A tag; what its reflog does not tell is null."""
    by = tag.actor
    return {
        "name": tag.name,
        "commit": tag.commit_id or None,
        "seq": tag.seq if tag.commit_id else None,
        "signed": tag.signed,
        "message": tag.message,
        "tagged_at": tag.tagged_at,
        "actor": None if by is None else {"group": by.group, "user": by.user},
    }
