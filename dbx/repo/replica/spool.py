"""What comes over a network, kept on the disk until all of it is there: nobody waits for a slow sender with a lock."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from dbx.errors import Corrupt
from dbx.store.fs import read_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dbx.crypto.vault import Vault
    from dbx.store.fs import Directory

_PLACE = b"dbx1S"
_PLAIN = b"="
_SIZE_BYTES = 8
_AT_ONCE = 256 * 1024


@contextmanager
def spooled(directory: Directory, read: Callable[[int], bytes], vault: Vault) -> Iterator[Iterator[bytes]]:
    """All that `read` gives of so many bytes at most, none at the end: in pieces, once it has all been read.

    They lie in a file of `directory` under a name that nobody looks for, sealed where the vault seals.
    """
    temporary = directory.temporary()
    try:
        count = 0
        while piece := read(_AT_ONCE):
            # The mark keeps a piece from looking sealed already.
            data = vault.seal_text(_PLAIN + piece, _PLACE) if vault.seals else _PLAIN + piece
            temporary.write(len(data).to_bytes(_SIZE_BYTES, "big") + data)
            count += 1
        yield _again(temporary.fd, count, vault)
    finally:
        temporary.discard()


def _again(fd: int, count: int, vault: Vault) -> Iterator[bytes]:
    at = 0
    for _ in range(count):
        size = int.from_bytes(_read(fd, _SIZE_BYTES, at), "big")
        yield vault.open_text(_read(fd, size, at + _SIZE_BYTES), _PLACE)[len(_PLAIN) :]
        at += _SIZE_BYTES + size


def _read(fd: int, size: int, at: int) -> bytes:
    data = read_at(fd, size, at)
    if len(data) != size:
        raise Corrupt("what was received has changed on the disk")
    return data
