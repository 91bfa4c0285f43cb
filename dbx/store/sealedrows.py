"""States and extensions as index.db holds them in a workspace that seals: each bound to its aggregate and version.

An empty object stays as it is: it tells no more than the length of its sealed form would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.crypto.vault import UNKNOWN, is_sealed
from dbx.errors import KeyFailure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dbx.crypto.vault import Vault
    from dbx.store.indexlayout import Row

EMPTY = b"{}"
STATE = b"s"
EXTENSIONS = b"e"
MASKED = "masked"
"""The note in an index that states may be missing from it."""
_PLACE = b"dbx1S"


def seal_rows(rows: Iterable[Row], vault: Vault | None) -> Iterator[Row]:
    """Rows to be stored. Without the key their texts are left out, which `UNKNOWN` says."""
    if vault is None or not vault.seals:
        yield from rows
        return
    is_locked = vault.is_locked
    for row in rows:
        state, extensions = (
            text
            if text == EMPTY
            else UNKNOWN
            if is_locked
            else vault.seal_text(text, place_of(row.key, row.version, column))
            for text, column in ((row.state, STATE), (row.extensions, EXTENSIONS))
        )
        yield row._replace(state=state, extensions=extensions)


def open_row(row: Row, vault: Vault | None) -> Row:
    """A stored row with its texts opened; those whose key is not there stay sealed. Raises Corrupt."""
    state = open_text(row.state, row.key, row.version, STATE, vault)
    extensions = open_text(row.extensions, row.key, row.version, EXTENSIONS, vault)
    return row._replace(state=state, extensions=extensions)


def open_text(text: bytes, key: bytes, version: int, column: bytes, vault: Vault | None) -> bytes:
    """A state or extensions of an aggregate at a version; sealed where its key is not there. Raises Corrupt."""
    if vault is None or not is_sealed(text) or text == UNKNOWN:
        return text
    try:
        return vault.open_text(text, place_of(key, version, column))
    except KeyFailure:
        if not vault.is_locked:
            raise
        return text


def place_of(key: bytes, version: int, column: bytes) -> bytes:
    """Where a text belongs, as additional data."""
    return b"".join((_PLACE, key, version.to_bytes(8, "big"), column))
