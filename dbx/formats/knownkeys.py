"""Which signing keys a workspace knows: one JSON document, `keys/known.json` (canonical JSON and a newline).

    {"format":1,"keys":[{"role":"own","since":"2026-…Z","until":null,"vkey":"name+0a1b2c3d+AdEf…"}],
     "rotations":["<signed note>"]}

A rotation is a signed note in which a key names its successor, so that who trusts the one may trust the other:

    dbx/key-rotation/v1
    <old vkey>
    <new vkey>
    <time>

    — name <old key's signature>
    — name <new key's signature>
"""

from __future__ import annotations

from typing import NamedTuple

from dbx.errors import Corrupt, DbxError
from dbx.formats import canonical
from dbx.formats.note import Vkey, format_vkey, parse_vkey

OWN = "own"
"""Its private half is or was here: it signs checkpoints and tokens."""
TRUSTED = "trusted"
"""Somebody else's: what it signed is believed."""
WITNESS = "witness"
"""Somebody else's, for cosignatures."""
ROLES = (OWN, TRUSTED, WITNESS)
MAX_BYTES = 1 << 20
_MAX_KEYS = 1000
_ROTATION = "dbx/key-rotation/v1"


class KnownKey(NamedTuple):
    """`since` and `until` are times as events have them; `until` None: still good."""

    vkey: Vkey
    role: str
    since: str
    until: str | None


class KnownKeys(NamedTuple):
    """Keys in the order in which they came; rotations as the bytes of their notes."""

    keys: tuple[KnownKey, ...] = ()
    rotations: tuple[bytes, ...] = ()


def encode_known_keys(known: KnownKeys) -> bytes:
    """The bytes of the file."""
    keys = [
        {"role": key.role, "since": key.since, "until": key.until, "vkey": format_vkey(key.vkey)} for key in known.keys
    ]
    rotations = [note.decode() for note in known.rotations]
    return canonical.encode({"format": 1, "keys": keys, "rotations": rotations}) + b"\n"


def decode_known_keys(data: bytes) -> KnownKeys:
    """The keys of a file. Raises Corrupt for everything that dbx does not write."""
    try:
        value = canonical.decode(data.removesuffix(b"\n"), what="the list of keys")
        if value["format"] != 1:
            raise Corrupt("the list of keys was written by a newer dbx", hint="upgrade dbx")
        keys = tuple(
            KnownKey(parse_vkey(one["vkey"]), one["role"], one["since"], one["until"]) for one in value["keys"]
        )
        known = KnownKeys(keys, tuple(note.encode() for note in value["rotations"]))
    except Corrupt:
        raise
    except (DbxError, KeyError, TypeError, AttributeError):
        raise Corrupt("the list of keys is damaged") from None
    if len(keys) > _MAX_KEYS or encode_known_keys(known) != data or any(key.role not in ROLES for key in keys):
        raise Corrupt("the list of keys is damaged")
    return known


def rotation_text(old: Vkey, new: Vkey, time: str) -> str:
    """What both keys sign when one takes over from the other."""
    return f"{_ROTATION}\n{format_vkey(old)}\n{format_vkey(new)}\n{time}\n"


def parse_rotation(text: str) -> tuple[Vkey, Vkey, str]:
    """(old key, new key, time) of a rotation's text. Raises Corrupt."""
    lines = text.split("\n")
    if len(lines) != 5 or lines[0] != _ROTATION:
        raise Corrupt("the note is not a key rotation")
    try:
        return parse_vkey(lines[1]), parse_vkey(lines[2]), lines[3]
    except DbxError as error:
        raise Corrupt(f"the key rotation is damaged: {error.message}") from None
