"""A working copy of one aggregate while events are added to it: plain, mutable, and made for the hot loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbx.crypto import merkle
from dbx.crypto.indextree import key_of
from dbx.crypto.vault import NEED_KEY, UNKNOWN, is_sealed
from dbx.errors import KeyFailure
from dbx.formats import canonical
from dbx.model.event import ARCHIVED, ERASED
from dbx.store.index import Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Shape = str
"""A text that stands for the keys of an object, in the order they came: see `shape_of`."""
Layers = dict[Shape, str]
Folded = dict[str, Any] | bytes
"""A state or extensions: parsed, or as the index stores it; b"" for {}."""

MERGED: Shape = ""
"""Stands for whatever keys: the shape of layers that were joined, in which a key may come twice and counts as it comes
last."""
_MOST_LAYERS = 16


def shape_of(keys: Iterable[str]) -> Shape:
    """The shape of an object with these keys. A text and no tuple, because its hash is worked out only once."""
    return canonical.encode_scanned(list(keys))


class Record:
    """`n` is the row number in the index (None for a new aggregate), `base` the version it was loaded at.

    `edge` is the right edge of the aggregate's tree. `added` are the offsets of events that were built but not taken
    over yet, `fresh` the positions of events that the index does not have yet, `staged` the offsets of events that
    were staged before.

    `payloads` and `metadata` are canonical texts that are to be folded into the state and the extensions. Of those with
    the same keys only the last counts, so they are kept by their keys, the latest last: most often there is one, and
    that is the state. A text costs a third of what is parsed from it, which lies scattered in memory; so what they are
    folded into is not parsed either until it must be.
    """

    __slots__ = (
        "_extensions", "_state", "added", "archived", "base", "created_at", "edge", "fresh", "id", "key", "metadata",
        "n", "payloads", "refold", "staged", "type", "updated_at", "version",
    )  # fmt: skip

    def __init__(self, aggregate_type: str, aggregate_id: str) -> None:
        self.n: int | None = None
        self.type = aggregate_type
        self.id = aggregate_id
        self.key = b""
        self.base = 0
        self.version = 0
        self.edge: list[bytes] = []
        self._state: Folded = b""
        self._extensions: Folded = b""
        self.payloads: Layers = {}
        self.metadata: Layers = {}
        self.created_at = ""
        self.updated_at = ""
        self.archived = False
        self.added: list[int] = []
        self.fresh: list[int] = []
        self.refold = False
        self.staged: Sequence[int] = ()

    @property
    def state(self) -> dict[str, Any]:
        """The state, to be changed in place."""
        folded = self._state = _parsed(self._state)
        _fold(folded, self.payloads)
        return folded

    @state.setter
    def state(self, value: dict[str, Any]) -> None:
        self._state = value
        self.payloads.clear()

    @property
    def extensions(self) -> dict[str, Any]:
        """The extensions, to be changed in place."""
        folded = self._extensions = _parsed(self._extensions)
        _fold(folded, self.metadata)
        return folded

    @extensions.setter
    def extensions(self, value: dict[str, Any]) -> None:
        self._extensions = value
        self.metadata.clear()

    @property
    def is_masked(self) -> bool:
        """Whether nobody here can know the state and the extensions: the key is missing."""
        return any(isinstance(text, bytes) and is_sealed(text) for text in (self._state, self._extensions))

    def mask(self) -> None:
        """An event came whose body cannot be read: the state and the extensions are no longer known."""
        self._state = self._extensions = UNKNOWN
        self.payloads.clear()
        self.metadata.clear()

    def load(self, state: bytes, extensions: bytes) -> None:
        """Take over the stored texts of state and extensions."""
        self._state, self._extensions = state, extensions

    def lay(self, shape: Shape, payload: str) -> None:
        """A payload and its keys, to be folded into the state."""
        layers = self.payloads
        if len(layers) != 1 or shape not in layers:
            layers.pop(shape, None)
        layers[shape] = payload
        if len(layers) > _MOST_LAYERS:
            _ = self.state

    def lay_metadata(self, shape: Shape, metadata: str) -> None:
        """An event's metadata and its keys, to be folded into the extensions."""
        layers = self.metadata
        if len(layers) != 1 or shape not in layers:
            layers.pop(shape, None)
        layers[shape] = metadata
        if len(layers) > _MOST_LAYERS:
            _ = self.extensions

    def merged(self) -> tuple[tuple[Shape, str], tuple[Shape, str]]:
        """What another record must be given by `lay`, and by `lay_metadata`, to be as if it had all that this one has.

        The text is "" where there is nothing.
        """
        return _merged(self._state, self.payloads), _merged(self._extensions, self.metadata)

    def reserve(self, event_type: str) -> None:
        """Take in an event of a reserved type."""
        if event_type == ERASED:
            self.refold = True
        else:
            self.archived = event_type == ARCHIVED

    def root(self) -> bytes:
        """The root of the aggregate's tree."""
        return merkle.edge_root(self.edge)

    def settle(self) -> tuple[bytes, bytes]:
        """The texts of state and extensions as the index holds them, which is what is kept of both from now on."""
        state = self._state = _whole(self._state, self.payloads)
        extensions = self._extensions = _whole(self._extensions, self.metadata)
        return state, extensions

    def row(self) -> Row:
        """The row of the index that holds this record."""
        state, extensions = self.settle()
        return Row(
            self.n,
            self.type,
            self.id,
            self.key or key_of(self.type, self.id),
            self.version,
            merkle.edge_root(self.edge),
            b"".join(self.edge),
            state,
            extensions,
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
    record.load(row.state, row.extensions)
    record.created_at = row.created_at
    record.updated_at = row.updated_at
    record.archived = bool(row.archived)
    return record


def _parsed(folded: Folded) -> dict[str, Any]:
    if isinstance(folded, dict):
        return folded
    return parse(folded) if folded else {}


def _fold(folded: dict[str, Any], layers: Layers) -> None:
    if layers:
        folded.update(canonical.scan_once(_joined(layers.values()), 0)[0])
        layers.clear()


def _joined(texts: Iterable[str]) -> str:
    """The members of all objects as one: whose parser keeps the last of those with the same key."""
    return "{" + ",".join([text[1:-1] for text in texts if text != "{}"]) + "}"


def _merged(folded: Folded, layers: Layers) -> tuple[Shape, str]:
    if not folded:
        return next(iter(layers.items()), (MERGED, "")) if len(layers) < 2 else (MERGED, _joined(layers.values()))
    return MERGED, _joined([canonical.encode_scanned(_parsed(folded)), *layers.values()])


def _whole(folded: Folded, layers: Layers) -> bytes:
    """The canonical text of all of it. No layer stays."""
    if not layers:
        if isinstance(folded, bytes):
            return folded or b"{}"
        return canonical.encode_scanned(folded).encode()
    shape, text = next(iter(layers.items()))
    if folded or len(layers) > 1 or shape == MERGED:
        whole = _parsed(folded)
        whole.update(canonical.scan_canonical(_joined(layers.values()), 0)[0])
        text = canonical.encode_scanned(whole)
    layers.clear()
    return text.encode()


def parse(text: bytes) -> dict[str, Any]:
    """A state or extensions column. Its row's checksum has been compared, so it is only parsed.

    Raises KeyFailure for one that is sealed still.
    """
    if is_sealed(text):
        raise KeyFailure("the state is sealed, and the key (DEK) is missing", hint=NEED_KEY)
    value, _ = canonical.scan(text.decode())
    return value  # type: ignore[no-any-return]
