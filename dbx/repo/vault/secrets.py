"""Secrets that a workspace keeps in its own files: credentials of remotes, plugins' secrets, payloads in queues.

Sealed with the current data key and bound to a place, which the caller names once and for all: moved to another one a
secret does not open. In a workspace that seals nothing they are plain, and become sealed when they are next written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.crypto.vault import MARK
from dbx.errors import Corrupt
from dbx.formats.base64text import encode_base64, find_base64

if TYPE_CHECKING:
    from dbx.crypto.vault import Vault

SEALED = "sealed:"
"""Begins a secret that is sealed, where a file holds text."""


def seal_bytes(vault: Vault, data: bytes, place: str) -> bytes:
    """What to store for `data`, which does not begin with a byte 1: sealed where the workspace seals.

    Raises KeyFailure.
    """
    return vault.seal_text(data, _place(place)) if vault.seals else data


def unseal_bytes(vault: Vault, stored: bytes, place: str) -> bytes:
    """What `seal_bytes` was given. Raises KeyFailure without the key, Corrupt for damage or another place."""
    return vault.open_text(stored, _place(place)) if stored.startswith(MARK) else stored


def seal_text(vault: Vault, text: str, place: str) -> str:
    """What to store for a text in a file of text. Raises KeyFailure."""
    if not vault.seals:
        return text
    return SEALED + encode_base64(vault.seal_text(text.encode(), _place(place)))


def unseal_text(vault: Vault, stored: str, place: str) -> str:
    """What `seal_text` was given. Raises KeyFailure without the key, Corrupt for damage or another place."""
    if not stored.startswith(SEALED):
        return stored
    data = find_base64(stored.removeprefix(SEALED))
    if data is None or not data.startswith(MARK):
        raise Corrupt("a sealed secret is damaged")
    return vault.open_text(data, _place(place)).decode()


def is_current(vault: Vault, stored: str) -> bool:
    """Whether a stored text is as it would be stored now: `gc --reseal` writes the others anew."""
    data = find_base64(stored.removeprefix(SEALED)) if stored.startswith(SEALED) else b""
    return not vault.seals or bool(data and data.startswith(MARK + vault.current))


def _place(place: str) -> bytes:
    return b"dbx1P" + place.encode()
