"""Secrets in files of a workspace: plain where it seals nothing, bound to their place where it does."""

from __future__ import annotations

import pytest

from dbx.crypto.vault import Vault
from dbx.errors import Corrupt, KeyFailure
from dbx.repo.vault.secrets import SEALED, is_current, seal_bytes, seal_text, unseal_bytes, unseal_text

ID = b"k" * 8


@pytest.fixture
def vault() -> Vault:
    vault = Vault()
    vault.put({ID: b"1" * 32}, ID, is_sealed=True)
    return vault


def test_nothing_is_sealed_without_a_key_to_seal_with() -> None:
    plain = Vault()
    assert seal_text(plain, "token", "credentials x") == "token"
    assert seal_bytes(plain, b"token", "queue 1") == b"token"
    assert is_current(plain, "token")


def test_a_secret_opens_in_its_place(vault: Vault) -> None:
    stored = seal_text(vault, "töken", "credentials x")
    assert stored.startswith(SEALED)
    assert "töken" not in stored
    assert unseal_text(vault, stored, "credentials x") == "töken"
    assert unseal_text(vault, "plain", "credentials x") == "plain"
    assert is_current(vault, stored)
    assert not is_current(vault, "plain")
    with pytest.raises(Corrupt):
        unseal_text(vault, stored, "credentials y")
    for bad in (SEALED, SEALED + "!", SEALED + "AAAA", stored[:-4]):
        with pytest.raises(Corrupt):
            unseal_text(vault, bad, "credentials x")
    raw = seal_bytes(vault, b'{"a":1}', "queue 1")
    assert unseal_bytes(vault, raw, "queue 1") == b'{"a":1}'
    with pytest.raises(Corrupt):
        unseal_bytes(vault, raw, "queue 2")


def test_an_older_key_opens_but_is_not_current(vault: Vault) -> None:
    stored = seal_text(vault, "s", "p")
    vault.put({ID: b"1" * 32, b"n" * 8: b"2" * 32}, b"n" * 8, is_sealed=True)
    assert unseal_text(vault, stored, "p") == "s"
    assert not is_current(vault, stored)


def test_without_the_dek(vault: Vault) -> None:
    stored = seal_text(vault, "s", "p")
    locked = Vault()
    locked.put({}, b"", is_sealed=True)
    with pytest.raises(KeyFailure):
        unseal_text(locked, stored, "p")
    with pytest.raises(KeyFailure):
        seal_text(locked, "s", "p")
