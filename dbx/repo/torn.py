"""Copies of interrupted writes, `journal.torn-<time>`: kept for whoever wants to know what was lost, and sealed.

What they hold was never acknowledged, so nothing reads them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.crypto.vault import MARK
from dbx.store.journal import MAX_BYTES, TORN

if TYPE_CHECKING:
    from dbx.crypto.vault import Vault
    from dbx.store.fs import Directory

_PLACE = b"dbx1J"


def write_torn(directory: Directory, vault: Vault, stamp: str, data: bytes) -> None:
    """Keep the bytes of an interrupted write, durably. Raises KeyFailure."""
    name = f"{TORN}{stamp}"
    directory.write(name, vault.seal_text(data, _place(name)) if vault.seals else data)


def reseal_torn(directory: Directory, vault: Vault) -> None:
    """Seal every copy under the current key."""
    for name in directory.names():
        if not name.startswith(TORN):
            continue
        data = directory.read(name, 2 * MAX_BYTES)
        if not data.startswith(MARK + vault.current):
            directory.write(name, vault.seal_text(vault.open_text(data, _place(name)), _place(name)))


def _place(name: str) -> bytes:
    return _PLACE + name.encode()
