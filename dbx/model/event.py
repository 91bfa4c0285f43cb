"""Events, aggregates and the fold from one to the other. Values only: nothing here knows a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dbx.formats.envelope import Actor

ARCHIVED = "aggregate_archived"
RESTORED = "aggregate_restored"
ERASED = "body_erased"
RESERVED = frozenset((ARCHIVED, RESTORED, ERASED))


class Event(NamedTuple):
    """A stored event. `payload` and `metadata` are None when the body was erased; hashes are hex.

    `position` counts events of the domain from 0, `commit` is the seq of the commit that holds it.
    """

    aggregate_type: str
    aggregate_id: str
    version: int
    event_type: str
    event_id: int
    created_at: str
    issued_by: Actor | None
    payload: dict[str, Any] | None
    metadata: dict[str, Any] | None
    note: str | None
    hash: str
    position: int
    commit: int


class Aggregate(NamedTuple):
    """An aggregate at one version: what folding its events gives. `root` is the hex root of its tree."""

    aggregate_type: str
    aggregate_id: str
    version: int
    state: dict[str, Any]
    extensions: dict[str, Any]
    root: str
    created_at: str
    updated_at: str
    archived: bool


def fold(
    state: dict[str, Any],
    extensions: dict[str, Any],
    event_type: str,
    payload: Mapping[str, Any] | None,
    metadata: Mapping[str, Any] | None,
) -> None:
    """Apply one event: top-level keys merge shallowly, nested values are replaced, JSON types stay (cli.md 1).

    Metadata merges into the extensions the same way, keys as given. Reserved events and erased bodies change neither.
    """
    if payload is not None and event_type not in RESERVED:
        state.update(payload)
    if metadata and event_type not in RESERVED:
        extensions.update(metadata)
