"""A backup: a gzip'd ustar archive of `manifest.json`, files below `data/`, perhaps `keys.sealed`, and `SHA256SUMS`.

    manifest.json   {"created_at":"…","domains":[{"commit":"<id>"|null,"id":"<uuid>","name":"…","seq":12}],"format":1,
                    "keys":false}
    data/…          the files of `.dbx/`
    keys.sealed     the secret files, sealed by a passphrase
    SHA256SUMS      for every member before it, in order, "<sha256>  <name>\n", as sha256sum(1) checks it

Regular files only, names of letters, digits and `_.:@+~-` in parts that are neither `.` nor `..`. `keys.sealed` is a
line of canonical JSON with the costs and the salt of scrypt, then nonce and ciphertext (AES-256-GCM) of a canonical
JSON object: name -> base64 of the file.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from dbx.errors import Corrupt, DbxError, Invalid
from dbx.formats import canonical
from dbx.formats.ustar import BLOCK, MAX_SIZE

MANIFEST = "manifest.json"
DATA = "data/"
KEYS = "keys.sealed"
SUMS = "SHA256SUMS"
PLACE = b"dbx1backup"
MAX_TEXT_BYTES = 256 << 20
MAX_KEYS_BYTES = 16 << 20
_MAX_NAME = 100
_MAX_PREFIX = 155
_NAME = re.compile(r"(?!.*(?:^|/)\.{1,2}(?:/|$))[A-Za-z0-9_.:@+~-]+(?:/[A-Za-z0-9_.:@+~-]+)*", re.ASCII)
_SUM = re.compile(r"([0-9a-f]{64})  ([^\n]+)", re.ASCII)
_OCTAL = re.compile(rb" *([0-7]{1,12})[ \0]*")


class BackedUp(NamedTuple):
    """A domain as it is in a backup; `commit` None and `seq` -1 before the first commit."""

    name: str
    id: str
    commit: str | None
    seq: int


class BackupManifest(NamedTuple):
    """What a backup says of itself; `keys` tells whether it has `keys.sealed`."""

    created_at: str
    domains: tuple[BackedUp, ...]
    keys: bool


class Member(NamedTuple):
    """The name and the size in bytes of one regular file."""

    name: str
    size: int


def encode_manifest(manifest: BackupManifest) -> bytes:
    """The bytes of manifest.json."""
    domains = [one._asdict() for one in manifest.domains]
    return (
        canonical.encode({"created_at": manifest.created_at, "domains": domains, "format": 1, "keys": manifest.keys})
        + b"\n"
    )


def decode_manifest(data: bytes) -> BackupManifest:
    """manifest.json. Raises Corrupt."""
    try:
        value = canonical.decode(data.removesuffix(b"\n"), what="the backup's manifest")
        if value["format"] != 1:
            raise Corrupt("the backup was written by a newer dbx", hint="upgrade dbx")
        domains = tuple(BackedUp(one["name"], one["id"], one["commit"], one["seq"]) for one in value["domains"])
        made = BackupManifest(value["created_at"], domains, value["keys"])
    except (KeyError, TypeError, AttributeError):
        raise Corrupt("the backup's manifest is damaged") from None
    if encode_manifest(made) != data:
        raise Corrupt("the backup's manifest is damaged")
    return made


def encode_sums(sums: list[tuple[str, str]]) -> bytes:
    """SHA256SUMS from (sha256, name) pairs."""
    return "".join(f"{sha}  {name}\n" for sha, name in sums).encode()


def decode_sums(data: bytes) -> list[tuple[str, str]]:
    """(sha256, name) pairs. Raises Corrupt."""
    lines = data.decode("ascii", "replace").split("\n")
    found = [_SUM.fullmatch(line) for line in lines[:-1]]
    if lines[-1] or None in found:
        raise Corrupt("the backup's checksums are damaged")
    return [(one[1], one[2]) for one in found if one is not None]


def encode_header(member: Member) -> bytes:
    """The header of a regular file, 0600, of nobody, at the epoch. Raises Invalid for what ustar cannot say."""
    name, prefix = member.name, ""
    while len(name) > _MAX_NAME and "/" in name:
        head, _, name = name.partition("/")
        prefix = f"{prefix}/{head}" if prefix else head
    if not _NAME.fullmatch(member.name) or len(name) > _MAX_NAME or len(prefix) > _MAX_PREFIX:
        raise Invalid(f"the file name '{member.name[:80]}' does not fit into a backup")
    if not 0 <= member.size <= MAX_SIZE:
        raise Invalid(f"'{member.name}' is too large for a backup")
    block = bytearray(BLOCK)
    block[: len(name)] = name.encode()
    block[100:108] = b"0000600\0"
    block[108:124] = b"0000000\0" * 2
    block[124:136] = b"%011o\0" % member.size
    block[136:148] = b"00000000000\0"
    block[148:156] = b"        "
    block[156:157] = b"0"
    block[257:265] = b"ustar\x0000"
    block[345 : 345 + len(prefix)] = prefix.encode()
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def decode_header(block: bytes) -> Member | None:
    """The header of a member; None for a block of zeros, which ends the archive. Raises Corrupt."""
    if len(block) != BLOCK:
        raise Corrupt("the backup is cut short")
    if not block.strip(b"\0"):
        return None
    if block[257:262] != b"ustar" or _number(block[148:156]) != sum(block[:148]) + 8 * 32 + sum(block[156:]):
        raise Corrupt("the backup is damaged: a header does not have its checksum")
    if block[156:157] not in (b"0", b"\0") or block[157:257].strip(b"\0"):
        raise Corrupt("the backup holds something else than regular files")
    name, prefix = (part.rstrip(b"\0").decode("ascii", "replace") for part in (block[:100], block[345:500]))
    whole = f"{prefix}/{name}" if prefix else name
    if not _NAME.fullmatch(whole):
        raise Corrupt("the backup holds a name that cannot be")
    return Member(whole, _number(block[124:136]))


def encode_costs(n: int, r: int, p: int, salt: str) -> bytes:
    """The first line of keys.sealed."""
    return canonical.encode({"kdf": "scrypt", "n": n, "p": p, "r": r, "salt": salt}) + b"\n"


def decode_costs(line: bytes) -> tuple[int, int, int, str]:
    """(n, r, p, salt in base64) of keys.sealed. Raises Corrupt."""
    try:
        value: Any = canonical.decode(line, what="the sealed keys")
        found = (value["n"], value["r"], value["p"], value["salt"])
        sound = value.keys() == {"kdf", "n", "p", "r", "salt"} and value["kdf"] == "scrypt"
    except (DbxError, KeyError, TypeError, AttributeError):
        raise Corrupt("the backup's sealed keys are damaged") from None
    if not sound or not all(type(one) is int for one in found[:3]) or not isinstance(found[3], str):
        raise Corrupt("the backup's sealed keys are damaged")
    return found


def _number(field: bytes) -> int:
    found = _OCTAL.fullmatch(field)
    if found is None:
        raise Corrupt("the backup is damaged: a header holds a number that cannot be")
    return int(found[1], 8)
