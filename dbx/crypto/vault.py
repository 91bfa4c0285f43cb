"""What seals the data of a workspace: its data keys, and the forms that sealed bytes have (format.md §6).

    a block of bodies    key id (8) || nonce (12) || ciphertext and tag, for its place in a segment
    anything else        0x01 || key id (8) || nonce (12) || ciphertext and tag, for a place that its file names

What is not a block is sealed with a key derived from the data key, so that neither opens in the place of the other.
A `Vault` by itself has no keys: it is that of a workspace that seals nothing.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from dbx.crypto.seal import NONCE_BYTES, TAG_BYTES, Sealer, Unsealable
from dbx.errors import Corrupt, KeyFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KEY_ID_BYTES = 8
BLOCK_EXTRA_BYTES = KEY_ID_BYTES + NONCE_BYTES + TAG_BYTES
"""By so much a sealed block is longer than what it seals."""
COUNT_STEP = 4096
MARK = b"\x01"
"""Begins a sealed text. No JSON does."""
UNKNOWN = MARK
"""In the place of a text that nobody without the key can make."""
_MASK = COUNT_STEP - 1
_BLOCK = b"dbx1B"
_WRAP = b"dbx1K"
_CHECK = b"dbx1C"
_LOCAL = b"dbx1L"
NEED_KEY = "set it with DBX_DEK, DBX_DEK_FILE or DBX_DEK_COMMAND, or store it with 'dbx config --dek'"


class _Keys(NamedTuple):
    blocks: Sealer
    texts: Sealer


def wrap_key(dek: bytes, key_id: bytes, data_key: bytes, nonce: bytes) -> bytes:
    """A data key as keyring.yaml holds it: nonce, ciphertext and tag."""
    return nonce + Sealer(dek).seal(nonce, data_key, _WRAP + key_id)


def unwrap_key(dek: bytes, key_id: bytes, wrapped: bytes) -> bytes:
    """The data key. Raises Unsealable."""
    return Sealer(dek).unseal(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], _WRAP + key_id)


def check_value(dek: bytes) -> bytes:
    """Eight bytes that tell a wrong DEK from a damaged file, and nothing else about it."""
    return _derive(dek, _CHECK)[:8]


class Vault:
    """The data keys of a workspace. One object serves a process for as long as it runs, whatever keys come meanwhile.

    `entropy` draws nonces.
    """

    def __init__(self, entropy: Callable[[int], bytes] = os.urandom) -> None:
        self._entropy = entropy
        self._keys: dict[bytes, _Keys] = {}
        self._current = b""
        self._is_sealed = False

    def refresh(self) -> None:
        """Look whether other keys are there now. Raises KeyFailure for a wrong DEK, Corrupt for a damaged keyring."""

    def count(self, key_id: bytes) -> None:
        """Some COUNT_STEP uses of a data key, on average."""

    def put(self, keys: Mapping[bytes, bytes], current: bytes, *, is_sealed: bool) -> None:
        """From now on these data keys by their ids, `current` to seal with; none while the DEK is missing."""
        for key_id in self._keys.keys() - keys.keys():
            del self._keys[key_id]
        for key_id in keys.keys() - self._keys.keys():
            local = _derive(keys[key_id], _LOCAL)
            self._keys[key_id] = _Keys(Sealer(keys[key_id]), Sealer(local))
        self._current, self._is_sealed = current, is_sealed

    @property
    def seals(self) -> bool:
        """Whether what is written now must be sealed. Looks for new keys."""
        self.refresh()
        return self._is_sealed

    @property
    def is_locked(self) -> bool:
        """Whether there are data keys, but the DEK that opens them is missing. Looks for new keys."""
        self.refresh()
        return self._is_sealed and not self._keys

    @property
    def current(self) -> bytes:
        """The id of the data key that seals, empty for none."""
        return self._current

    def seal_block(self, data: bytes, domain: bytes, position: int) -> bytes:
        """The stored bytes of a B frame. `domain` is the segment's uuid in 16 bytes. Raises KeyFailure."""
        key_id, keys, nonce = self._next()
        place = b"".join((_BLOCK, domain, position.to_bytes(8, "big"), key_id))
        return b"".join((key_id, nonce, keys.blocks.seal(nonce, data, place)))

    def open_block(self, stored: bytes, domain: bytes, position: int) -> bytes:
        """What `seal_block` sealed. Raises KeyFailure where the key is not there, Corrupt for damage."""
        key_id = stored[:KEY_ID_BYTES]
        place = b"".join((_BLOCK, domain, position.to_bytes(8, "big"), key_id))
        nonce = stored[KEY_ID_BYTES : KEY_ID_BYTES + NONCE_BYTES]
        try:
            return self._find(key_id).blocks.unseal(nonce, stored[KEY_ID_BYTES + NONCE_BYTES :], place)
        except Unsealable:
            raise Corrupt("sealed bodies were changed, or moved to another place") from None

    def seal_text(self, data: bytes, place: bytes) -> bytes:
        """`data` sealed for a place. What is sealed already stays as it is. Raises KeyFailure."""
        if data.startswith(MARK):
            return data
        key_id, keys, nonce = self._next()
        return b"".join((MARK, key_id, nonce, keys.texts.seal(nonce, data, place)))

    def open_text(self, text: bytes, place: bytes) -> bytes:
        """What `seal_text` sealed, or `text` itself where it is plain. Raises KeyFailure, Corrupt."""
        if not text.startswith(MARK):
            return text
        if text == UNKNOWN:
            raise self.missing()
        key_id = text[1 : 1 + KEY_ID_BYTES]
        nonce = text[1 + KEY_ID_BYTES : 1 + KEY_ID_BYTES + NONCE_BYTES]
        try:
            return self._find(key_id).texts.unseal(nonce, text[1 + KEY_ID_BYTES + NONCE_BYTES :], place)
        except Unsealable:
            raise Corrupt("a sealed text was changed, or moved to another place") from None

    def missing(self) -> KeyFailure:
        """What to say where the DEK is needed and not there."""
        return KeyFailure("the data is sealed, and the key (DEK) is missing", hint=NEED_KEY)

    def is_current(self, stored: bytes) -> bool:
        """Whether the stored bytes of a block are sealed with the current key."""
        return stored[:KEY_ID_BYTES] == self._current

    def _next(self) -> tuple[bytes, _Keys, bytes]:
        keys = self._keys.get(self._current)
        if keys is None:
            raise self.missing()
        nonce = self._entropy(NONCE_BYTES)
        # The nonce is random: one of so many is counted, and counts for all of them. No use needs a write of its own.
        if not int.from_bytes(nonce[-2:], "big") & _MASK:
            self.count(self._current)
        return self._current, keys, nonce

    def _find(self, key_id: bytes) -> _Keys:
        found = self._keys.get(key_id)
        if found is None:
            self.refresh()
            found = self._keys.get(key_id)
        if found is None:
            if not self._keys:
                raise self.missing()
            raise KeyFailure(
                f"the keyring has no data key '{key_id.hex()}'",
                hint="bring it with 'dbx keyring import' from where the data was sealed",
            )
        return found


def is_sealed(text: bytes) -> bool:
    """Whether a text is sealed, or stands for one that is."""
    return text.startswith(MARK)


def _derive(key: bytes, label: bytes) -> bytes:
    """HMAC-SHA-256 (RFC 2104) of a label."""
    import hmac

    return hmac.digest(key, label, "sha256")
