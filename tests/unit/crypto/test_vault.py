"""Sealed bytes open with their key and in their place only; a wrong key is told from damage."""

from __future__ import annotations

import hmac
import itertools
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dbx.crypto.seal import Unsealable
from dbx.crypto.vault import (
    BLOCK_EXTRA_BYTES,
    COUNT_STEP,
    MARK,
    UNKNOWN,
    Vault,
    check_value,
    is_sealed,
    unwrap_key,
    wrap_key,
)
from dbx.errors import Corrupt, KeyFailure

ID, OTHER = b"k" * 8, b"o" * 8
KEYS = {ID: b"1" * 32, OTHER: b"2" * 32}
DOMAIN = bytes(range(16))


class Counting(Vault):
    """Draws the nonces it is given, and remembers what was counted."""

    def __init__(self, nonces: list[bytes]) -> None:
        super().__init__(lambda size: nonces.pop(0))
        self.counted: list[bytes] = []

    def count(self, key_id: bytes) -> None:
        self.counted.append(key_id)


def vault_of(current: bytes = ID) -> Vault:
    vault = Vault()
    vault.put(KEYS, current, is_sealed=True)
    return vault


def test_a_block_has_the_form_that_the_format_gives_it() -> None:
    stored = vault_of().seal_block(b"bodies\n", DOMAIN, 1040)
    assert stored[:8] == ID
    assert len(stored) == len(b"bodies\n") + BLOCK_EXTRA_BYTES
    place = b"dbx1B" + DOMAIN + (1040).to_bytes(8, "big") + ID
    assert AESGCM(KEYS[ID]).decrypt(stored[8:20], stored[20:], place) == b"bodies\n"


def test_a_block_opens_in_its_place_only() -> None:
    vault = vault_of()
    stored = vault.seal_block(b"bodies\n", DOMAIN, 7)
    assert vault.open_block(stored, DOMAIN, 7) == b"bodies\n"
    for domain, position in ((DOMAIN, 8), (DOMAIN[::-1], 7)):
        with pytest.raises(Corrupt):
            vault.open_block(stored, domain, position)
    swapped = OTHER + stored[8:]
    with pytest.raises(Corrupt):
        vault.open_block(swapped, DOMAIN, 7)


def test_every_bit_of_a_sealed_block_counts() -> None:
    vault = vault_of()
    stored = vault.seal_block(b"b\n", DOMAIN, 0)
    for at, bit in itertools.product(range(len(stored)), range(8)):
        flipped = bytearray(stored)
        flipped[at] ^= 1 << bit
        with pytest.raises((Corrupt, KeyFailure)) as caught:
            vault.open_block(bytes(flipped), DOMAIN, 0)
        assert isinstance(caught.value, KeyFailure if at < 8 else Corrupt)


def test_older_keys_open_what_they_sealed() -> None:
    stored = vault_of(ID).seal_block(b"b\n", DOMAIN, 0)
    assert vault_of(OTHER).open_block(stored, DOMAIN, 0) == b"b\n"
    assert vault_of(ID).is_current(stored)
    assert not vault_of(OTHER).is_current(stored)


def test_texts_are_sealed_for_their_place_and_not_twice() -> None:
    vault = vault_of()
    text = vault.seal_text(b'{"a":1}', b"place")
    assert text.startswith(MARK + ID)
    assert is_sealed(text)
    assert vault.seal_text(text, b"other") == text
    assert vault.open_text(text, b"place") == b'{"a":1}'
    assert vault.open_text(b'{"a":1}', b"place") == b'{"a":1}'
    with pytest.raises(Corrupt):
        vault.open_text(text, b"other")
    local = hmac.digest(KEYS[ID], b"dbx1L", "sha256")
    assert AESGCM(local).decrypt(text[9:21], text[21:], b"place") == b'{"a":1}'
    with pytest.raises(Corrupt):  # no text passes for a block
        vault.open_block(text[1:], DOMAIN, 0)


def test_without_the_key() -> None:
    sealed = vault_of().seal_text(b"{}", b"p")
    stored = vault_of().seal_block(b"b\n", DOMAIN, 0)
    vault = Vault()
    vault.put({}, b"", is_sealed=True)
    assert vault.seals
    assert vault.is_locked
    acts: list[Callable[[], bytes]] = [
        lambda: vault.open_text(sealed, b"p"),
        lambda: vault.open_text(UNKNOWN, b"p"),
        lambda: vault.open_block(stored, DOMAIN, 0),
        lambda: vault.seal_text(b"{}", b"p"),
        lambda: vault.seal_block(b"b\n", DOMAIN, 0),
    ]
    for act in acts:
        with pytest.raises(KeyFailure, match="missing"):
            act()


def test_a_data_key_that_is_not_in_the_keyring() -> None:
    vault = Vault()
    vault.put({OTHER: KEYS[OTHER]}, OTHER, is_sealed=True)
    with pytest.raises(KeyFailure, match=f"no data key '{ID.hex()}'"):
        vault.open_block(vault_of().seal_block(b"b\n", DOMAIN, 0), DOMAIN, 0)


def test_a_workspace_that_seals_nothing() -> None:
    vault = Vault()
    assert not vault.seals
    assert not vault.is_locked
    assert vault.current == b""


def test_uses_are_counted_by_a_sample_of_nonces() -> None:
    nonces = [number.to_bytes(12, "big") for number in range(2 * COUNT_STEP)]
    vault = Counting(nonces)
    vault.put(KEYS, ID, is_sealed=True)
    for _ in range(2 * COUNT_STEP):
        vault.seal_text(b"{}", b"")
    assert vault.counted == [ID, ID]


def test_wrapping() -> None:
    dek = b"d" * 32
    wrapped = wrap_key(dek, ID, KEYS[ID], b"n" * 12)
    assert wrapped[:12] == b"n" * 12
    assert AESGCM(dek).decrypt(wrapped[:12], wrapped[12:], b"dbx1K" + ID) == KEYS[ID]
    assert unwrap_key(dek, ID, wrapped) == KEYS[ID]
    for args in ((b"e" * 32, ID, wrapped), (dek, OTHER, wrapped), (dek, ID, wrapped[:-1]), (dek, ID, b"")):
        with pytest.raises(Unsealable):
            unwrap_key(*args)
    assert len(check_value(dek)) == 8
    assert check_value(dek) != check_value(b"e" * 32)
