"""How snapshots look, and which of them a command is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbx.cli.render import pairs
from dbx.cli.subject import refuse_rest
from dbx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbx.model.snapshot import Snapshot
    from dbx.ops.veil import Veil


def snapshot_value(snapshot: Snapshot, veil: Veil) -> dict[str, Any]:
    """The JSON shape of a snapshot, as EventDBX has it, without the fields that are hidden."""
    state = veil.cover(snapshot.aggregate).state
    return {**_outline(snapshot), "state": state, "merkle_root": snapshot.aggregate.root}


def snapshot_line(value: dict[str, Any]) -> str:
    """A snapshot on one line."""
    shown = ("snapshot_id", "aggregate_type", "aggregate_id", "version", "created_at", "comment")
    return pairs((key, value[key]) for key in shown)


def take_scope(
    words: Sequence[str], aggregate_type: str | None, aggregate_id: str | None
) -> tuple[str | None, str | None]:
    """(type, id) of `[TYPE [ID]]`, each by word or by option. Raises UsageError."""
    rest = list(words)
    kind = aggregate_type or (rest.pop(0) if rest else None)
    name = aggregate_id or (rest.pop(0) if rest else None)
    refuse_rest(rest)
    if kind is None and name is not None:
        raise UsageError("'--aggregate-id' needs the type", hint="an aggregate is named by its type and its id")
    return kind, name


def _outline(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "snapshot_id": str(snapshot.id),
        "aggregate_type": snapshot.aggregate.aggregate_type,
        "aggregate_id": snapshot.aggregate.aggregate_id,
        "version": snapshot.aggregate.version,
        "created_at": snapshot.created_at,
        "comment": snapshot.comment,
        "automatic": snapshot.automatic,
    }
