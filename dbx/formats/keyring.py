"""keys/keyring.yaml: the data keys of a workspace, each wrapped by the DEK (format.md §6).

    check: 16 hex digits that tell a wrong DEK from damage
    keys:
    - id: 16 hex digits
      created_at: …
      wrapped: base64 of the nonce, the ciphertext and the tag

The last key is the one that seals. For another workspace the keyring travels as JSON, the DEK itself not in it: the
data keys are wrapped by a key from a passphrase (scrypt, RFC 7914).
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from dbx.errors import Corrupt, Invalid
from dbx.formats.base64text import encode_base64, find_base64
from dbx.formats.envelope import TIME

MAX_BYTES = 1 << 20
EXPORT_FORMAT = "dbx-keyring/1"
_ID = "[0-9a-f]{16}"
_WRAPPED_BYTES = 12 + 32 + 16
_ENTRY = rf"- id: '({_ID})'\n  created_at: '({TIME})'\n  wrapped: ([A-Za-z0-9+/=]{{80}})\n"
_WHOLE = rf"check: '({_ID})'\nkeys:\n((?:{_ENTRY})*)"
_SALT_CHARS = 64


class WrappedKey(NamedTuple):
    """A data key: its id (8 bytes), since when it is used, and its wrapped form (60 bytes)."""

    id: bytes
    created_at: str
    wrapped: bytes


class Keyring(NamedTuple):
    """The check value of the DEK (8 bytes), and the data keys, oldest first."""

    check: bytes
    keys: tuple[WrappedKey, ...]


class ExportedKeyring(NamedTuple):
    """A keyring for another workspace: how its key comes from a passphrase, and the keys wrapped by that."""

    salt: bytes
    n: int
    r: int
    p: int
    keyring: Keyring


def encode_keyring(keyring: Keyring) -> bytes:
    """The bytes of keyring.yaml."""
    lines = [f"check: '{keyring.check.hex()}'\nkeys:\n"]
    lines += [
        f"- id: '{key.id.hex()}'\n  created_at: '{key.created_at}'\n  wrapped: {encode_base64(key.wrapped)}\n"
        for key in keyring.keys
    ]
    return "".join(lines).encode()


def decode_keyring(data: bytes, name: str) -> Keyring:
    """What keyring.yaml holds; `name` is for messages. Raises Corrupt."""
    try:
        found = re.fullmatch(_WHOLE, data.decode("utf-8", "replace"))
        if found is not None:  # as it is written, without what reads any YAML
            return _whole(found[1], [_key(*entry.groups()) for entry in re.finditer(_ENTRY, found[2])])
        from dbx.formats import yamltext

        return _keyring(yamltext.load(data, name=name))
    except (Corrupt, Invalid) as error:
        raise Corrupt(f"'{name}' is damaged: {error.message}", details={"file": name}) from None


def encode_export(export: ExportedKeyring) -> bytes:
    """A keyring as it is exported: one line of JSON."""
    value = {
        "format": EXPORT_FORMAT,
        "keys": [
            {"created_at": key.created_at, "id": key.id.hex(), "wrapped": encode_base64(key.wrapped)}
            for key in export.keyring.keys
        ],
        "check": export.keyring.check.hex(),
        "scrypt": {"n": export.n, "p": export.p, "r": export.r, "salt": encode_base64(export.salt)},
    }
    return json.dumps(value, sort_keys=True).encode() + b"\n"


def decode_export(data: bytes) -> ExportedKeyring:
    """An exported keyring. Raises Invalid."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise Invalid("this is no exported keyring: it is not JSON") from None
    if not isinstance(value, dict) or value.get("format") != EXPORT_FORMAT:
        raise Invalid("this is no exported keyring, or one of a newer dbx")
    costs = value.get("scrypt")
    if value.keys() != {"format", "keys", "check", "scrypt"} or not isinstance(costs, dict):
        raise Invalid("the exported keyring has a member too many or too few")
    salt = find_base64(costs["salt"][:_SALT_CHARS]) if isinstance(costs.get("salt"), str) else None
    if costs.keys() != {"n", "r", "p", "salt"} or not salt or not all(type(costs[part]) is int for part in "nrp"):
        raise Invalid("the exported keyring does not say how its key comes from the passphrase")
    try:
        keyring = _keyring({"check": value["check"], "keys": value["keys"]})
    except Corrupt as error:
        raise Invalid(f"the exported keyring is damaged: {error.message}") from None
    return ExportedKeyring(salt, costs["n"], costs["r"], costs["p"], keyring)


def _keyring(value: object) -> Keyring:
    if not isinstance(value, dict) or value.keys() != {"check", "keys"} or not isinstance(value["keys"], list):
        raise Corrupt("it has a member too many or too few")
    if not isinstance(value["check"], str) or not re.fullmatch(_ID, value["check"]):
        raise Corrupt("'check' is not 16 hex digits")
    keys = []
    for one in value["keys"]:
        if not isinstance(one, dict) or one.keys() != {"id", "created_at", "wrapped"}:
            raise Corrupt("a key has a member too many or too few")
        if not all(isinstance(part, str) for part in one.values()) or not re.fullmatch(_ID, one["id"]):
            raise Corrupt("a key has no id of 16 hex digits")
        if not re.fullmatch(TIME, one["created_at"]):
            raise Corrupt("a key does not say since when it is used")
        keys.append(_key(one["id"], one["created_at"], one["wrapped"]))
    return _whole(value["check"], keys)


def _whole(check: str, keys: list[WrappedKey]) -> Keyring:
    if len({key.id for key in keys}) != len(keys):
        raise Corrupt("two keys have the same id")
    return Keyring(bytes.fromhex(check), tuple(keys))


def _key(key_id: str, created_at: str, wrapped: str) -> WrappedKey:
    data = find_base64(wrapped)
    if data is None or len(data) != _WRAPPED_BYTES:
        raise Corrupt(f"the wrapped form of key '{key_id}' is not base64 of {_WRAPPED_BYTES} bytes")
    return WrappedKey(bytes.fromhex(key_id), created_at, data)
