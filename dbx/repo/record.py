"""A working copy of one aggregate while events are added to it: plain, mutable, and made for the hot loop."""

from __future__ import annotations

from typing import Any

from dbx.crypto import merkle
from dbx.crypto.indextree import key_of
from dbx.formats import canonical
from dbx.store.index import Row

Shape = tuple[str, ...]
"""The keys of an object, in the order they came."""
Layers = dict[Shape, str]

_MOST_LAYERS = 16


class Record:
    """`n` is the row number in the index (None for a new aggregate), `base` the version it was loaded at.

    `edge` is the right edge of the aggregate's tree. `added` are the offsets of events that were built but not taken
    over yet, `fresh` the positions of events that the index does not have yet, `staged` the offsets of events that
    were staged before.
    `prefix` is the start of every envelope of this aggregate, up to the body's hash.

    `payloads` and `metadata` are canonical texts that are to be folded into the state and the extensions. Of those with
    the same keys only the last counts, so they are kept by their keys, the latest last: most often there is one, and
    that is the state. A text costs a third of what is parsed from it, which lies scattered in memory.
    """

    __slots__ = (
        "_extensions", "_state", "added", "archived", "base", "created_at", "edge", "fresh", "id", "key", "metadata",
        "n", "payloads", "prefix", "refold", "staged", "type", "updated_at", "version",
    )  # fmt: skip

    def __init__(self, aggregate_type: str, aggregate_id: str) -> None:
        self.n: int | None = None
        self.type = aggregate_type
        self.id = aggregate_id
        self.key = b""
        self.base = 0
        self.version = 0
        self.edge: list[bytes] = []
        self._state: dict[str, Any] = {}
        self._extensions: dict[str, Any] = {}
        self.payloads: Layers = {}
        self.metadata: Layers = {}
        self.created_at = ""
        self.updated_at = ""
        self.archived = False
        self.added: list[int] = []
        self.fresh: list[int] = []
        self.refold = False
        self.staged: list[int] = []
        self.prefix = f'{{"aggregate_id":"{aggregate_id}","aggregate_type":"{aggregate_type}","body":"'

    @property
    def state(self) -> dict[str, Any]:
        """The state, to be changed in place."""
        if self.payloads:
            _fold(self._state, self.payloads)
        return self._state

    @state.setter
    def state(self, value: dict[str, Any]) -> None:
        self._state = value
        self.payloads.clear()

    @property
    def extensions(self) -> dict[str, Any]:
        """The extensions, to be changed in place."""
        if self.metadata:
            _fold(self._extensions, self.metadata)
        return self._extensions

    @extensions.setter
    def extensions(self, value: dict[str, Any]) -> None:
        self._extensions = value
        self.metadata.clear()

    def lay(self, shape: Shape, payload: str) -> None:
        """A payload and its keys, to be folded into the state."""
        _lay(self._state, self.payloads, shape, payload)

    def lay_metadata(self, shape: Shape, metadata: str) -> None:
        """An event's metadata and its keys, to be folded into the extensions."""
        _lay(self._extensions, self.metadata, shape, metadata)

    def layers(self) -> tuple[Layers, Layers]:
        """What `lay` and `lay_metadata` would have to be given, in order, to make the state and the extensions."""
        return _layers(self._state, self.payloads), _layers(self._extensions, self.metadata)

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
            _whole(self._state, self.payloads).encode(),
            _whole(self._extensions, self.metadata).encode(),
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


def _lay(folded: dict[str, Any], layers: Layers, shape: Shape, text: str) -> None:
    if shape in layers:
        del layers[shape]
    elif len(layers) >= _MOST_LAYERS:
        _fold(folded, layers)
    layers[shape] = text


def _fold(folded: dict[str, Any], layers: Layers) -> None:
    for text in layers.values():
        folded.update(canonical.scan_once(text, 0)[0])
    layers.clear()


def _layers(folded: dict[str, Any], layers: Layers) -> Layers:
    if not folded:
        return layers
    _fold(folded, layers)
    return {tuple(folded): canonical.encode_scanned(folded)}


def _whole(folded: dict[str, Any], layers: Layers) -> str:
    """The canonical text of all of it: that of the last layer, where it has every key of the others."""
    if layers:
        keys, text = next(reversed(layers.items()))
        if len(layers) == 1 and not folded:
            return text
        if set(keys) >= folded.keys() | set().union(*layers):
            return text
        _fold(folded, layers)
    return canonical.encode_scanned(folded)


def parse(text: bytes) -> dict[str, Any]:
    """A state or extensions column. Its row's checksum has been compared, so it is only parsed."""
    value, _ = canonical.scan(text.decode())
    return value  # type: ignore[no-any-return]
