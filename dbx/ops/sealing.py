"""Encryption at rest: setting and changing keys, and sealing what was written before."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dbx.crypto.seal import KEY_BYTES
from dbx.errors import UsageError
from dbx.formats.keyring import MAX_BYTES as MAX_KEYRING_BYTES
from dbx.formats.keyring import decode_export, encode_export
from dbx.ops import audit
from dbx.repo.delivery.plugins import reseal_plugins
from dbx.repo.replica.remoteconfig import reseal_tokens
from dbx.repo.security.tokens import reseal_cli_token
from dbx.repo.vault import keyring
from dbx.repo.vault.keyring import DEK, parse_dek

if TYPE_CHECKING:
    from dbx.ops.session import Session

__all__ = ["MAX_KEYRING_BYTES", "parse_dek"]


class DekSet(NamedTuple):
    """What was set: whether the DEK is stored, the id of the data key that seals, and how many there are."""

    stored: bool
    key_id: str
    keys: int


class DataKey(NamedTuple):
    """A data key as it is listed; `current` is the one that seals."""

    key_id: str
    created_at: str
    current: bool


def set_dek(session: Session, dek: bytes, *, store: bool) -> DekSet:
    """Seal from now on; or, where that is so, store the DEK or no longer store it. Raises KeyFailure."""
    repository = session.repository
    state = keyring.set_dek(repository.directory, dek, store=store, clock=repository.clock, entropy=repository.entropy)
    if not repository.vault.is_locked:
        reseal_plugins(repository)
        reseal_cli_token(repository)
        reseal_tokens(repository)
    audit.note(session, "dek.set", {"stored": state.is_stored, "key_id": state.keys[-1].id.hex()})
    return DekSet(state.is_stored, state.keys[-1].id.hex(), len(state.keys))


def rotate_dek(session: Session, new: bytes | None) -> DekSet:
    """Wrap the data keys with another DEK, a random one where none is given.

    Raises KeyFailure, NotFound, UsageError.
    """
    repository = session.repository
    store = repository.directory.exists(DEK)
    if new is None:
        if not store:
            raise UsageError(
                "the DEK is not stored here, so the new one must be given",
                hint="make one with 'dbx key generate --dek', keep it, and give it with --dek - or --dek-file",
            )
        new = repository.entropy(KEY_BYTES)
    keyring.rotate_dek(repository.directory, repository.vault, new, store=store, entropy=repository.entropy)
    found = keyring.read_keyring(repository.directory)
    assert found is not None  # noqa: S101 - it was just written
    audit.note(session, "dek.rotate", {"stored": store, "keys": len(found.keys)})
    return DekSet(store, found.keys[-1].id.hex(), len(found.keys))


def rotate_data_key(session: Session) -> DataKey:
    """Begin a new data key. Raises KeyFailure, NotFound."""
    repository = session.repository
    key = keyring.rotate_data_key(
        repository.directory, repository.vault, clock=repository.clock, entropy=repository.entropy
    )
    audit.note(session, "key.data", {"key_id": key.id.hex()})
    return DataKey(key.id.hex(), key.created_at, current=True)


def list_data_keys(session: Session) -> list[DataKey]:
    """Every data key, oldest first; none where nothing is sealed. Raises Corrupt."""
    found = keyring.read_keyring(session.repository.directory)
    keys = () if found is None else found.keys
    return [DataKey(key.id.hex(), key.created_at, key == keys[-1]) for key in keys]


def export_keyring(session: Session, passphrase: str) -> bytes:
    """The data keys for another workspace, wrapped by a passphrase. Raises KeyFailure, NotFound."""
    repository = session.repository
    export = keyring.export_keyring(repository.directory, repository.vault, passphrase.encode(), repository.entropy)
    audit.note(session, "keyring.export", {"keys": len(export.keyring.keys)})
    return encode_export(export)


def import_keyring(session: Session, data: bytes, passphrase: str, dek: bytes | None) -> int:
    """Take over the data keys of another workspace; how many were new. Raises KeyFailure, Conflict, Invalid."""
    repository = session.repository
    if dek is None and keyring.read_keyring(repository.directory) is None:
        dek = repository.entropy(KEY_BYTES)
    count = keyring.import_keyring(
        repository.directory,
        repository.vault,
        decode_export(data),
        passphrase.encode(),
        dek=dek,
        entropy=repository.entropy,
    )
    audit.note(session, "keyring.import", {"new": count})
    return count
