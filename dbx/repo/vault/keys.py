"""The signing keys of a workspace: `.dbx/keys/`, private halves 0600, public ones in `known.json`.

keys/known.json              which keys are known, own and others', since when and until when
keys/signing-<key id>.pem    the private half of an own key (PKCS#8)

The key that signs is the last own one that is still good. Keys that were rotated away keep their place, so that what
they signed in their time is still believed.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from dbx.crypto import sign
from dbx.errors import Conflict, Corrupt, Invalid, KeyFailure, NotFound
from dbx.formats.knownkeys import (
    MAX_BYTES,
    OWN,
    KnownKey,
    KnownKeys,
    decode_known_keys,
    encode_known_keys,
    rotation_text,
)
from dbx.formats.note import COSIGNATURE, ED25519, MAX_NAME_CHARS, Note, Vkey, check_key_name, format_note
from dbx.model.time import format_time
from dbx.model.trust import sign_note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.repo.repository import Repository

KEYS = "keys"
KNOWN = f"{KEYS}/known.json"
_MAX_PEM_BYTES = 16 * 1024


class SigningKey(NamedTuple):
    """A key of our own with its private half. Never printed: its repr says only whose it is."""

    vkey: Vkey
    seed: bytes

    def __repr__(self) -> str:
        return f"SigningKey({self.vkey.name}+{self.vkey.key_id.hex()})"


def read_known_keys(repository: Repository) -> KnownKeys:
    """Every key that the workspace knows. Raises Corrupt."""
    data = repository.directory.find(KNOWN, MAX_BYTES)
    if data is None:
        return KnownKeys()
    try:
        return decode_known_keys(data)
    except Corrupt as error:
        path = repository.directory.path_of(KNOWN)
        raise Corrupt(f"'{path}': {error.message}", hint=error.hint, details={"file": path}) from None


def find_signing_key(repository: Repository, algorithm: int = ED25519) -> SigningKey | None:
    """The key that signs, None while the workspace has none. Raises KeyFailure where its private half is unfit."""
    own = [key.vkey for key in read_known_keys(repository).keys if _is_current(key, algorithm)]
    return SigningKey(own[-1], _read_seed(repository, own[-1])) if own else None


def get_signing_key(repository: Repository) -> SigningKey:
    """The key that signs. Raises KeyFailure."""
    found = find_signing_key(repository)
    if found is None:
        raise KeyFailure("this workspace has no signing key", hint="make one with 'dbx key generate'")
    return found


def get_witness_key(repository: Repository) -> SigningKey:
    """The key that cosigns. Raises KeyFailure."""
    found = find_signing_key(repository, COSIGNATURE)
    if found is None:
        raise KeyFailure("this workspace has no key to cosign with", hint="make one with 'dbx key generate --witness'")
    return found


def generate_key(repository: Repository, name: str | None = None, *, witness: bool = False) -> Vkey:
    """A first key to sign, or as a witness to cosign, named after the workspace unless told otherwise.

    Raises Conflict when there is one, Invalid for a name that no key may have.
    """
    algorithm = COSIGNATURE if witness else ED25519
    with _changing(repository) as known:
        _refuse_second(known, algorithm)
        seed = repository.entropy(sign.SEED_BYTES)
        return _add(repository, known, _key_of(seed, name or workspace_name(repository), algorithm), seed)


def import_key(repository: Repository, data: bytes, name: str | None = None, passphrase: bytes | None = None) -> Vkey:
    """Take a key in PEM (PKCS#8) as the one that signs. Raises Conflict when there is one, Invalid, KeyFailure."""
    try:
        seed = sign.decode_pkcs8(data, passphrase)
    except ValueError as error:
        if b"ENCRYPTED" in data:
            raise KeyFailure("the key cannot be opened: the passphrase is missing or wrong") from None
        raise Invalid(f"this is not an Ed25519 key in PEM (PKCS#8): {error}") from None
    with _changing(repository) as known:
        _refuse_second(known, ED25519)
        return _add(repository, known, _key_of(seed, name or workspace_name(repository)), seed)


def rotate_key(repository: Repository) -> tuple[Vkey, Vkey]:
    """(old key, new key): the new one signs from now on; the old one signs that it does, and is kept."""
    with _changing(repository) as known:
        old = get_signing_key(repository)
        seed = repository.entropy(sign.SEED_BYTES)
        new = _key_of(seed, old.vkey.name)
        now = format_time(repository.clock())
        text = rotation_text(old.vkey, new, now)
        note = format_note(Note(text, (sign_note(text, old.vkey, old.seed), sign_note(text, new, seed))))
        keys = tuple(key._replace(until=now) if _is_current(key, ED25519) else key for key in known.keys)
        _add(repository, KnownKeys(keys, (*known.rotations, note)), new, seed)
    return old.vkey, new


def trust_key(repository: Repository, key: Vkey, role: str) -> None:
    """Believe what somebody else's key signs (TRUSTED), or cosigns (WITNESS). Raises Conflict when it is known."""
    with _changing(repository) as known:
        if any(one.vkey == key and one.until is None for one in known.keys):
            raise Conflict(f"the key '{key.name}' is known already", hint="see 'dbx key list'")
        added = KnownKey(key, role, format_time(repository.clock()), None)
        _write(repository, known._replace(keys=(*known.keys, added)))


def distrust_key(repository: Repository, key_id: str) -> Vkey:
    """Believe a key of somebody else no longer, from now on. Raises NotFound."""
    with _changing(repository) as known:
        found = [one for one in known.keys if one.vkey.key_id.hex() == key_id and one.role != OWN and one.until is None]
        if not found:
            raise NotFound(f"there is no trusted key '{key_id[:MAX_NAME_CHARS]}'", hint="see 'dbx key list'")
        now = format_time(repository.clock())
        keys = tuple(one._replace(until=now) if one == found[0] else one for one in known.keys)
        _write(repository, known._replace(keys=keys))
        return found[0].vkey


def read_private(repository: Repository, key_id: str | None = None) -> SigningKey:
    """An own key with its private half: the one that signs, or an older one by its id. Raises NotFound, KeyFailure."""
    if key_id is None:
        return get_signing_key(repository)
    for key in read_known_keys(repository).keys:
        if key.role == OWN and key.vkey.key_id.hex() == key_id:
            return SigningKey(key.vkey, _read_seed(repository, key.vkey))
    raise NotFound(f"there is no key '{key_id[:MAX_NAME_CHARS]}' of our own", hint="see 'dbx key list'")


def survey_private(repository: Repository) -> list[tuple[str, str, bool]]:
    """(file, what is wrong, whether it is damaged) of the private half of each key of our own that is in use.

    One that is not here, or that others can read, is not damaged. Raises Corrupt.
    """
    found: list[tuple[str, str, bool]] = []
    for key in read_known_keys(repository).keys:
        if key.role != OWN or key.until is not None:
            continue
        name = _pem(key.vkey)
        try:
            _read_seed(repository, key.vkey)
        except KeyFailure as error:
            data = repository.directory.find(name, _MAX_PEM_BYTES)
            found.append((name, error.message, data is not None and not _is_private_half(data, key.vkey)))
    return found


def find_known(repository: Repository, key_id: str | None = None) -> Vkey:
    """A known key by its id, by default the one that signs. Raises NotFound, KeyFailure."""
    if key_id is None:
        return get_signing_key(repository).vkey
    for key in reversed(read_known_keys(repository).keys):
        if key.vkey.key_id.hex() == key_id:
            return key.vkey
    raise NotFound(f"there is no key '{key_id[:MAX_NAME_CHARS]}'", hint="see 'dbx key list'")


def workspace_name(repository: Repository) -> str:
    """The name that keys get: that of the directory which holds `.dbx`, without what a key's name may not have."""
    base = os.path.basename(os.path.dirname(os.path.abspath(repository.path)))
    return re.sub(r"[^A-Za-z0-9._/-]+", "-", base).strip("-")[:MAX_NAME_CHARS] or "dbx"


# -- inside ------------------------------------------------------------------------------------------------------------


def _key_of(seed: bytes, name: str, algorithm: int = ED25519) -> Vkey:
    return Vkey(check_key_name(name), algorithm, sign.public_key(seed))


def _is_current(key: KnownKey, algorithm: int) -> bool:
    return key.role == OWN and key.until is None and key.vkey.algorithm == algorithm


def _refuse_second(known: KnownKeys, algorithm: int) -> None:
    if any(_is_current(key, algorithm) for key in known.keys):
        what = "a witness's key" if algorithm == COSIGNATURE else "a signing key"
        hint = "see it with 'dbx key list'; 'dbx key rotate' replaces a signing key"
        raise Conflict(f"this workspace has {what} already", hint=hint)


def _add(repository: Repository, known: KnownKeys, key: Vkey, seed: bytes) -> Vkey:
    """The private half first: a crash in between leaves a file that nobody uses, never a key without it."""
    repository.directory.write(_pem(key), sign.encode_pkcs8(seed))
    added = KnownKey(key, OWN, format_time(repository.clock()), None)
    _write(repository, known._replace(keys=(*known.keys, added)))
    return key


def _write(repository: Repository, known: KnownKeys) -> None:
    repository.directory.write(KNOWN, encode_known_keys(known))


def _pem(key: Vkey) -> str:
    return f"{KEYS}/signing-{key.key_id.hex()}.pem"


def _is_private_half(data: bytes, key: Vkey) -> bool:
    try:
        return sign.public_key(sign.decode_pkcs8(data)) == key.public
    except ValueError:
        return False


def _read_seed(repository: Repository, key: Vkey) -> bytes:
    name = _pem(key)
    path = repository.directory.path_of(name)
    try:
        seed = sign.decode_pkcs8(repository.directory.read_secret(name, _MAX_PEM_BYTES))
    except FileNotFoundError:
        raise KeyFailure(f"the private half of key '{key.name}' is not here", hint=f"bring '{path}' back") from None
    except ValueError:
        raise KeyFailure(f"'{path}' is not an Ed25519 key in PEM") from None
    if sign.public_key(seed) != key.public:
        raise KeyFailure(f"'{path}' is not the private half of key '{key.name}'")
    return seed


@contextmanager
def _changing(repository: Repository) -> Iterator[KnownKeys]:
    lock = repository.lock()
    lock.acquire(repository.wait_s)
    try:
        repository.directory.make(KEYS)
        yield read_known_keys(repository)
    finally:
        lock.close()
