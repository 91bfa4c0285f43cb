"""The keys of a workspace: its own, with which it signs, and those of others that it trusts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from dbx.crypto import sign
from dbx.errors import Conflict
from dbx.formats.base64text import encode_base64
from dbx.formats.knownkeys import OWN, TRUSTED, WITNESS
from dbx.formats.note import COSIGNATURE, Vkey, format_vkey, parse_vkey
from dbx.ops import audit
from dbx.repo.outfile import write_outside
from dbx.repo.vault import keys

if TYPE_CHECKING:
    from dbx.ops.session import Session

_KEY_BYTES = 32


class Listed(NamedTuple):
    """A key as it is listed. `kind` is "signature" or "cosignature"; `until` None: still good; `signs`: in use."""

    name: str
    key_id: str
    role: str
    kind: str
    since: str
    until: str | None
    signs: bool
    vkey: str


class Exported(NamedTuple):
    """What was exported, and of which key; `data` holds a private half only where that was asked for."""

    vkey: str
    data: bytes


def list_keys(session: Session) -> list[Listed]:
    """Every key that the workspace knows, oldest first. Raises Corrupt."""
    found = keys.read_known_keys(session.repository).keys
    return [
        Listed(
            key.vkey.name,
            key.vkey.key_id.hex(),
            key.role,
            "cosignature" if key.vkey.algorithm == COSIGNATURE else "signature",
            key.since,
            key.until,
            key.role == OWN and key.until is None,
            format_vkey(key.vkey),
        )
        for key in found
    ]


def generate_key(session: Session, name: str | None, *, witness: bool = False) -> Vkey:
    """A first key of our own. Raises Conflict, Invalid."""
    key = keys.generate_key(session.repository, name, witness=witness)
    _note(session, "key.generate", key)
    return key


def find_or_generate(session: Session) -> Vkey | None:
    """The workspace's first key to sign with, made now; None where there is one. Raises KeyFailure, Denied."""
    if keys.find_signing_key(session.repository) is not None:
        return None
    session.require("admin.key", domain=False)
    try:
        return generate_key(session, None)
    except Conflict:
        return None  # somebody else was faster


def generate_data_key(session: Session | None) -> str:
    """32 random bytes in base64, which is what `dbx config --dek` takes. Nothing is stored; no repository is needed."""
    entropy = os.urandom if session is None else session.repository.entropy
    return encode_base64(entropy(_KEY_BYTES))


def rotate_key(session: Session) -> tuple[Vkey, Vkey]:
    """(old, new) signing key. Raises KeyFailure."""
    old, new = keys.rotate_key(session.repository)
    audit.note(session, "key.rotate", {"old": old.key_id.hex(), "new": new.key_id.hex()})
    return old, new


def trust_key(session: Session, text: str) -> Vkey:
    """Trust the key of somebody else, given as a vkey. Raises Invalid, Conflict."""
    key = parse_vkey(text)
    keys.trust_key(session.repository, key, WITNESS if key.algorithm == COSIGNATURE else TRUSTED)
    _note(session, "key.trust", key)
    return key


def distrust_key(session: Session, key_id: str) -> Vkey:
    """Trust a key no longer. Raises NotFound."""
    key = keys.distrust_key(session.repository, key_id)
    _note(session, "key.distrust", key)
    return key


def export_public(session: Session, key_id: str | None) -> Exported:
    """A known key's public half in PEM (SubjectPublicKeyInfo); by default that of the key that signs."""
    key = keys.find_known(session.repository, key_id)
    return Exported(format_vkey(key), sign.encode_public(key.public))


def export_private(session: Session, key_id: str | None, passphrase: str | None) -> Exported:
    """A key of our own in PEM (PKCS#8), sealed by the passphrase where one is given. Raises NotFound, KeyFailure."""
    found = keys.read_private(session.repository, key_id)
    _note(session, "key.export", found.vkey)
    data = sign.encode_pkcs8(found.seed, passphrase.encode() if passphrase is not None else None)
    return Exported(format_vkey(found.vkey), data)


def import_key(session: Session, data: bytes, name: str | None, passphrase: str | None) -> Vkey:
    """Sign with a key from elsewhere. Raises Conflict, Invalid, KeyFailure."""
    secret = passphrase.encode() if passphrase is not None else None
    key = keys.import_key(session.repository, data, name, secret)
    _note(session, "key.import", key)
    return key


def _note(session: Session, event: str, key: Vkey) -> None:
    audit.note(session, event, {"key_id": key.key_id.hex(), "name": key.name})


def write_private(path: str, data: bytes) -> None:
    """A file that the owner alone may read. Raises Failure."""
    write_outside(path, data, private=True)
