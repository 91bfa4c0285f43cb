"""The data keys of a workspace on disk, and the DEK that opens them.

keys/keyring.yaml     every data key, wrapped by the DEK
keys/dek              the DEK in base64, where it is stored; else it comes from the environment each time
keys/dek.next         the DEK of a rotation that was interrupted: it counts where keyring.yaml was wrapped with it
keys/uses-<key id>    a byte for every 4096 uses of a data key, on average

A keyring that is there makes everything sealed that is written from then on.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from dbx.crypto.seal import (
    KEY_BYTES,
    NONCE_BYTES,
    SALT_BYTES,
    SCRYPT_N,
    SCRYPT_P,
    SCRYPT_R,
    Unsealable,
    key_from_passphrase,
)
from dbx.crypto.vault import COUNT_STEP, KEY_ID_BYTES, Vault, check_value, unwrap_key, wrap_key
from dbx.errors import Conflict, Corrupt, DbxError, Invalid, KeyFailure, NotFound
from dbx.formats.base64text import encode_base64, find_base64
from dbx.formats.keyring import MAX_BYTES, ExportedKeyring, Keyring, WrappedKey, decode_keyring, encode_keyring
from dbx.model.time import format_time
from dbx.store.descriptor import write_all
from dbx.store.lock import Lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dbx.model.entropy import Entropy
    from dbx.model.time import Clock
    from dbx.store.fs import Directory

    FindDek = Callable[[], bytes | None]

KEYS = "keys"
KEYRING = f"{KEYS}/keyring.yaml"
DEK = f"{KEYS}/dek"
NEXT_DEK = f"{KEYS}/dek.next"
MOST_USES = 1 << 30
"""A data key is replaced after so many uses, half of what format.md allows: they are counted by a sample."""
_MAX_DEK_BYTES = 256
_WRONG = "take the one that was set with 'dbx config --dek', or with 'dbx key rotate --dek'"


class KeyringState(NamedTuple):
    """What there is: the ids of the data keys, oldest first, whether the DEK is stored, and whether one was found."""

    keys: tuple[WrappedKey, ...]
    is_stored: bool
    is_open: bool


def parse_dek(text: str) -> bytes:
    """A DEK from base64. Raises Invalid, never with the text in it."""
    dek = find_base64(text.strip())
    if dek is None or len(dek) != KEY_BYTES:
        raise Invalid("a DEK is 32 bytes in base64", hint="make one with 'dbx key generate --dek'")
    return dek


class KeyringVault(Vault):
    """The vault of a workspace. `find_dek` gives the DEK of the environment, None where there is none."""

    def __init__(self, directory: Directory, find_dek: FindDek, *, entropy: Entropy, clock: Clock) -> None:
        super().__init__(entropy)
        self._directory = directory
        self.find_dek = find_dek
        self._clock = clock
        self._path = directory.path_of(KEYRING)
        self._seen: tuple[int, int, int] | None = None

    def refresh(self) -> None:
        """Read the keyring again where it has changed."""
        try:
            found = os.stat(self._path, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            if self._seen is not None:
                self._seen = None
                self.put({}, b"", is_sealed=False)
            return
        seen = (found.st_ino, found.st_mtime_ns, found.st_size)
        if seen == self._seen:
            return
        keyring = read_keyring(self._directory)
        if keyring is None:
            return
        dek = self._choose(keyring)
        keys = {} if dek is None else open_keys(keyring, dek)
        self.put(keys, keyring.keys[-1].id if keys else b"", is_sealed=True)
        self._seen = seen if keys else None  # who has no key may be given one
        if keys and self._uses(keyring.keys[-1].id) >= MOST_USES:
            with suppress(DbxError, OSError):  # it may go on for as long again
                rotate_data_key(self._directory, self, clock=self._clock, entropy=self._entropy, replaces=self.current)

    def count(self, key_id: bytes) -> None:
        """Note COUNT_STEP uses of a key. Nobody waits for the disk: what a power cut loses does not matter."""
        with suppress(OSError, DbxError):
            fd = self._directory.open_write(_uses_name(key_id), create=True)
            try:
                size = os.fstat(fd).st_size
                write_all(fd, b".", size)
            finally:
                os.close(fd)
            if (size + 1) * COUNT_STEP >= MOST_USES:
                self._seen = None  # the next one to look replaces the key

    def dek_of(self, keyring: Keyring) -> bytes:
        """The DEK that opens the keyring. Raises KeyFailure."""
        dek = self._choose(keyring)
        if dek is None:
            raise self.missing()
        open_keys(keyring, dek)
        return dek

    def _choose(self, keyring: Keyring) -> bytes | None:
        """The DEK of the environment, else the one that is stored. Raises KeyFailure."""
        given = self.find_dek()
        if given is not None:
            return given
        stored = [dek for dek in (read_dek(self._directory, name) for name in (DEK, NEXT_DEK)) if dek is not None]
        for dek in stored:
            if check_value(dek) == keyring.check:
                return dek
        return stored[0] if stored else None

    def _uses(self, key_id: bytes) -> int:
        try:
            return self._directory.stat(_uses_name(key_id)).st_size * COUNT_STEP
        except FileNotFoundError:
            return 0


def open_keys(keyring: Keyring, dek: bytes) -> dict[bytes, bytes]:
    """The data keys by their ids. Raises KeyFailure for a wrong DEK, Corrupt where the DEK is right but a key damaged.

    The DEK is right where the check value is its own, or where it opens any key.
    """
    keys: dict[bytes, bytes] = {}
    damaged: list[bytes] = []
    for key in keyring.keys:
        try:
            keys[key.id] = unwrap_key(dek, key.id, key.wrapped)
        except Unsealable:
            damaged.append(key.id)
    is_checked = check_value(dek) == keyring.check
    if not is_checked and not keys:
        raise KeyFailure("the key (DEK) is not the one that the data keys were wrapped with", hint=_WRONG)
    if damaged or not is_checked or not keys:
        what = f"data key '{damaged[0].hex()}'" if damaged else "the check value" if keys else "the list of keys"
        raise Corrupt(
            f"'{KEYRING}' is damaged: {what} is not as it was written",
            hint="bring the file back from a copy",
            details={"file": KEYRING},
        )
    return keys


def read_keyring(directory: Directory) -> Keyring | None:
    """keyring.yaml; None where nothing is sealed. Raises Corrupt."""
    data = directory.find(KEYRING, MAX_BYTES)
    if data is None:
        return None
    keyring = decode_keyring(data, directory.path_of(KEYRING))
    if not keyring.keys:
        raise Corrupt(f"'{KEYRING}' is damaged: it has no key", details={"file": KEYRING})
    return keyring


def read_dek(directory: Directory, name: str = DEK) -> bytes | None:
    """A DEK that is stored, None for none. Raises KeyFailure where others can read it, or where it is none."""
    try:
        data = directory.read_secret(name, _MAX_DEK_BYTES)
    except FileNotFoundError:
        return None
    try:
        return parse_dek(data.decode("utf-8", "replace"))
    except Invalid:
        raise KeyFailure(f"'{directory.path_of(name)}' does not hold 32 bytes in base64") from None


def state_of(directory: Directory, vault: Vault) -> KeyringState | None:
    """What a workspace has; None where nothing is sealed. Raises KeyFailure, Corrupt."""
    keyring = read_keyring(directory)
    if keyring is None:
        return None
    return KeyringState(keyring.keys, directory.exists(DEK), not vault.is_locked)


def data_key_ids(directory: Directory) -> frozenset[bytes]:
    """The ids of all data keys, for which no DEK is needed. Raises Corrupt."""
    keyring = read_keyring(directory)
    return frozenset() if keyring is None else frozenset(key.id for key in keyring.keys)


def set_dek(directory: Directory, dek: bytes, *, store: bool, clock: Clock, entropy: Entropy) -> KeyringState:
    """Seal from now on, or where that is so already, store the DEK or no longer store it.

    Raises KeyFailure for a DEK that is not the one of the keyring.
    """
    with _changing(directory):
        keyring = read_keyring(directory)
        if keyring is not None:
            try:
                open_keys(keyring, dek)
            except KeyFailure as error:
                hint = "to seal with another one from now on, run 'dbx key rotate --dek'"
                raise KeyFailure(error.message, hint=hint) from None
        # The DEK first: after a crash in between it is of no use yet, but no data key is ever without it.
        if store:
            directory.write(DEK, encode_base64(dek).encode() + b"\n")
        if keyring is None:
            keyring = Keyring(check_value(dek), (_draw(dek, clock, entropy),))
            directory.write(KEYRING, encode_keyring(keyring))
        if not store:
            directory.remove(DEK)
        directory.remove(NEXT_DEK)
        return KeyringState(keyring.keys, store, is_open=True)


def rotate_dek(directory: Directory, vault: KeyringVault, new: bytes, *, store: bool, entropy: Entropy) -> None:
    """Wrap every data key with another DEK; what was sealed stays as it is. Raises KeyFailure, NotFound.

    The new DEK is stored beside the old one before anything is wrapped with it: a crash leaves one that opens.
    """
    with _changing(directory):
        keyring = _get_keyring(directory)
        keys = open_keys(keyring, vault.dek_of(keyring))
        if store:
            directory.write(NEXT_DEK, encode_base64(new).encode() + b"\n")
        wrapped = tuple(
            key._replace(wrapped=wrap_key(new, key.id, keys[key.id], entropy(NONCE_BYTES))) for key in keyring.keys
        )
        directory.write(KEYRING, encode_keyring(Keyring(check_value(new), wrapped)))
        if store:
            directory.rename(NEXT_DEK, DEK)
        else:
            directory.remove(DEK)
            directory.remove(NEXT_DEK)


def rotate_data_key(
    directory: Directory, vault: KeyringVault, *, clock: Clock, entropy: Entropy, replaces: bytes | None = None
) -> WrappedKey:
    """Begin a new data key, with which everything is sealed from now on; the others stay to read with.

    With `replaces`, only while that is still the latest. Raises KeyFailure, NotFound.
    """
    with _changing(directory):
        keyring = _get_keyring(directory)
        if replaces is not None and keyring.keys[-1].id != replaces:
            return keyring.keys[-1]
        key = _draw(vault.dek_of(keyring), clock, entropy)
        directory.write(KEYRING, encode_keyring(keyring._replace(keys=(*keyring.keys, key))))
        return key


def export_keyring(directory: Directory, vault: KeyringVault, passphrase: bytes, entropy: Entropy) -> ExportedKeyring:
    """Every data key for another workspace, wrapped by a key from the passphrase. Raises KeyFailure, NotFound."""
    keyring = _get_keyring(directory)
    keys = open_keys(keyring, vault.dek_of(keyring))
    salt = entropy(SALT_BYTES)
    wrapping = key_from_passphrase(passphrase, salt)
    wrapped = tuple(
        key._replace(wrapped=wrap_key(wrapping, key.id, keys[key.id], entropy(NONCE_BYTES))) for key in keyring.keys
    )
    return ExportedKeyring(salt, SCRYPT_N, SCRYPT_R, SCRYPT_P, Keyring(check_value(wrapping), wrapped))


def import_keyring(
    directory: Directory,
    vault: KeyringVault,
    export: ExportedKeyring,
    passphrase: bytes,
    *,
    dek: bytes | None,
    entropy: Entropy,
) -> int:
    """Take over the data keys of another workspace, its latest one to seal with; how many were new.

    Where nothing was sealed here, they are wrapped with `dek`, which is stored. Raises KeyFailure for a wrong
    passphrase, Conflict where a key of the same id is another one.
    """
    try:
        wrapping = key_from_passphrase(passphrase, export.salt, n=export.n, r=export.r, p=export.p)
    except ValueError:
        raise Invalid("the exported keyring asks for more work than is good") from None
    try:
        theirs = open_keys(export.keyring, wrapping)
    except KeyFailure:
        raise KeyFailure("the passphrase is not the one that the keyring was exported with") from None
    with _changing(directory):
        keyring = read_keyring(directory)
        mine: dict[bytes, bytes] = {}
        if keyring is not None:
            dek = vault.dek_of(keyring)
            mine = open_keys(keyring, dek)
        elif dek is None:
            raise KeyFailure("there is no key (DEK) to keep the imported keys with", hint="give one with --dek")
        assert dek is not None  # noqa: S101 - the one or the other
        for key_id in mine.keys() & theirs.keys():
            if mine[key_id] != theirs[key_id]:
                raise Conflict(f"data key '{key_id.hex()}' is another one here")
        fresh = [key for key in export.keyring.keys if key.id not in mine]
        wrapped = tuple(
            key._replace(wrapped=wrap_key(dek, key.id, theirs[key.id], entropy(NONCE_BYTES))) for key in fresh
        )
        known = () if keyring is None else keyring.keys
        if keyring is None:
            directory.write(DEK, encode_base64(dek).encode() + b"\n")
        if fresh:
            directory.write(KEYRING, encode_keyring(Keyring(check_value(dek), (*known, *wrapped))))
        return len(fresh)


def _get_keyring(directory: Directory) -> Keyring:
    keyring = read_keyring(directory)
    if keyring is None:
        raise NotFound("nothing is sealed in this workspace", hint="set a key with 'dbx config --dek'")
    return keyring


def _draw(dek: bytes, clock: Clock, entropy: Entropy) -> WrappedKey:
    key_id, data_key = entropy(KEY_ID_BYTES), entropy(KEY_BYTES)
    return WrappedKey(key_id, format_time(clock()), wrap_key(dek, key_id, data_key, entropy(NONCE_BYTES)))


def _uses_name(key_id: bytes) -> str:
    return f"{KEYS}/uses-{key_id.hex()}"


@contextmanager
def _changing(directory: Directory) -> Iterator[None]:
    """The keys' own lock: writers hold that of their domain when they find that a data key is used up."""
    directory.make(KEYS)
    lock = Lock(directory, f"{KEYS}/lock")
    lock.acquire(10.0)
    try:
        yield
    finally:
        lock.close()
