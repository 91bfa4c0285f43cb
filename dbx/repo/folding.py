"""An aggregate in the making: its events are added one by one, each checked against its place and its body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbx.crypto import merkle
from dbx.crypto.prefix import perfect_subtrees
from dbx.errors import Corrupt
from dbx.model.event import ARCHIVED, RESTORED, Aggregate, fold
from dbx.repo.events import decode_stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbx.repo.log import Stored
    from dbx.store.index import Row

FEW = 16
"""So few events are folded before anybody looks for a snapshot."""


class Folding:
    """The aggregate that `count` events make so far; `leaf` is the last one's. Begins with none, or with a snapshot."""

    __slots__ = (
        "archived", "count", "created_at", "edge", "extensions", "id", "leaf", "state", "type", "updated_at",
    )  # fmt: skip

    def __init__(self, aggregate_type: str, aggregate_id: str) -> None:
        self.type = aggregate_type
        self.id = aggregate_id
        self.count = 0
        self.state: dict[str, Any] = {}
        self.extensions: dict[str, Any] = {}
        self.edge: list[bytes] = []
        self.leaf = b""
        self.archived = False
        self.created_at = self.updated_at = ""

    def add(self, stored: Stored) -> None:
        """Take the next event. Raises Corrupt when it is another one, or its body is not the one it names."""
        event = decode_stored(stored, 0)
        if (event.aggregate_type, event.aggregate_id, event.version) != (self.type, self.id, self.count + 1):
            raise Corrupt(
                f"the event at position {stored.position} is not version {self.count + 1} of '{self.type}/{self.id}'"
            )
        self.leaf = merkle.leaf_hash(stored.envelope)
        merkle.append(self.edge, self.count, self.leaf)
        self.count += 1
        fold(self.state, self.extensions, event.event_type, event.payload, event.metadata)
        if event.event_type in (ARCHIVED, RESTORED):
            self.archived = event.event_type == ARCHIVED
        self.created_at = self.created_at or event.created_at
        self.updated_at = event.created_at

    @property
    def root(self) -> bytes:
        """The root of its tree."""
        return merkle.edge_root(self.edge)

    def aggregate(self) -> Aggregate:
        """What it is at this version."""
        return Aggregate(
            self.type,
            self.id,
            self.count,
            dict(self.state),
            dict(self.extensions),
            self.root.hex(),
            self.created_at,
            self.updated_at,
            self.archived,
        )


def edges_agree(edge: Sequence[bytes], size: int, row: Row) -> bool:
    """Whether the right edge of an older version may be one of this aggregate: what both name in the tree is alike."""
    if size > row.version:
        return False
    latest = dict(zip(perfect_subtrees(row.version), merkle.decode_edge(row.edge, row.version), strict=True))
    older = zip(perfect_subtrees(size), edge, strict=True)
    return all(latest.get(place, node) == node for place, node in older)
