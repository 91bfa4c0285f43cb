"""A working copy of one aggregate while events are added to it: plain, mutable, and made for the hot loop."""

from __future__ import annotations

from typing import Any

from dbx.crypto import merkle
from dbx.crypto.indextree import key_of
from dbx.formats import canonical
from dbx.store.index import Row


class Record:
    """`n` is the row number in the index (None for a new aggregate), `base` the version it was loaded at.

    `edge` is the right edge of the aggregate's tree. `added` are the offsets of events that were built but not taken
    over yet, `fresh` the positions of events that the index does not have yet, `staged` the offsets of events that
    were staged before.
    `prefix` is the start of every envelope of this aggregate, up to the body's hash.
    """

    __slots__ = (
        "added", "archived", "base", "created_at", "edge", "extensions", "fresh", "id", "key", "n", "prefix",
        "refold", "staged", "state", "type", "updated_at", "version",
    )  # fmt: skip

    def __init__(self, aggregate_type: str, aggregate_id: str) -> None:
        self.n: int | None = None
        self.type = aggregate_type
        self.id = aggregate_id
        self.key = b""
        self.base = 0
        self.version = 0
        self.edge: list[bytes] = []
        self.state: dict[str, Any] = {}
        self.extensions: dict[str, Any] = {}
        self.created_at = ""
        self.updated_at = ""
        self.archived = False
        self.added: list[int] = []
        self.fresh: list[int] = []
        self.refold = False
        self.staged: list[int] = []
        self.prefix = f'{{"aggregate_id":"{aggregate_id}","aggregate_type":"{aggregate_type}","body":"'

    def root(self) -> bytes:
        """The root of the aggregate's tree."""
        return merkle.edge_root(self.edge)

    def row(self) -> Row:
        """The row of the index that holds this record."""
        return Row(
            self.n,
            self.type,
            self.id,
            self.key or key_of(self.type, self.id),
            self.version,
            merkle.edge_root(self.edge),
            b"".join(self.edge),
            canonical.encode_scanned(self.state).encode(),
            canonical.encode_scanned(self.extensions).encode(),
            self.created_at,
            self.updated_at,
            int(self.archived),
        )


def record_of(row: Row) -> Record:
    """A record from a stored row."""
    record = Record(row.type, row.id)
    record.n = row.n
    record.key = row.key
    record.base = record.version = row.version
    record.edge = merkle.decode_edge(row.edge, row.version)
    record.state = parse(row.state)
    record.extensions = parse(row.extensions)
    record.created_at = row.created_at
    record.updated_at = row.updated_at
    record.archived = bool(row.archived)
    return record


def parse(text: bytes) -> dict[str, Any]:
    """A state or extensions column. Its row's checksum has been compared, so it is only parsed."""
    value, _ = canonical.scan(text.decode())
    return value  # type: ignore[no-any-return]
