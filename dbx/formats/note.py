"""Signed notes and the text form of keys (c2sp.org/signed-note): a text, a blank line, and a line for each signature.

    example.com/log
    42
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

    — example.com/log Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=

A verifier key, or vkey, is `<name>+<key id, 8 hex digits>+<base64(algorithm || public key)>`. The key id is the first
four bytes of SHA-256(name || "\\n" || algorithm || public key): a name and an id stand for one key and one algorithm.

Nothing here verifies: see dbx.model.trust.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import NamedTuple

from dbx.errors import Corrupt, Invalid
from dbx.formats.base64text import encode_base64, find_base64

ED25519 = 1
"""Algorithm byte: Ed25519 over the note's text (c2sp.org/signed-note)."""
COSIGNATURE = 4
"""Algorithm byte: a witness's Ed25519 cosignature with its time (c2sp.org/tlog-cosignature)."""

MAX_NOTE_BYTES = 1 << 20
MAX_SIGNATURES = 100
MAX_NAME_CHARS = 256
_PUBLIC_BYTES = 32
_KEY_ID_BYTES = 4
_SIGNATURE_BYTES = {ED25519: 64, COSIGNATURE: 72}
_DASH = "\u2014 "
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


class Signature(NamedTuple):
    """A signature line: the key's name, its 4 bytes of key id, and what the key's algorithm made of the text."""

    name: str
    key_id: bytes
    signature: bytes


class Note(NamedTuple):
    """A text, which ends with a newline, and its signature lines as they stand."""

    text: str
    signatures: tuple[Signature, ...]


class Vkey(NamedTuple):
    """A verifier key: its name, its algorithm (`ED25519` or `COSIGNATURE`), and the 32 bytes of the public key."""

    name: str
    algorithm: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The 4 bytes that stand for this key, beside its name, in a signature line."""
        data = self.name.encode() + b"\n" + bytes((self.algorithm,)) + self.public
        return sha256(data).digest()[:_KEY_ID_BYTES]


def is_key_name(name: str) -> bool:
    """Whether a key may be called so: 1 to 256 characters, no plus, no blanks of any script, no control characters."""
    return 0 < len(name) <= MAX_NAME_CHARS and name.isprintable() and not any(c == "+" or c.isspace() for c in name)


def check_key_name(name: str) -> str:
    """The name itself. Raises Invalid."""
    if not is_key_name(name):
        raise Invalid("the name of a key has 1 to 256 characters, and neither blanks nor '+'")
    return name


def format_vkey(key: Vkey) -> str:
    """The text that is handed to those who verify."""
    return f"{key.name}+{key.key_id.hex()}+{encode_base64(bytes((key.algorithm,)) + key.public)}"


def parse_vkey(text: str) -> Vkey:
    """A vkey from its text. Raises Invalid unless the key id is the key's own."""
    parts = text.split("+", 2)
    hint = "a vkey looks like 'name+0a1b2c3d+AdEfGh…'; 'dbx key list' prints those of this workspace"
    if len(parts) != 3 or not is_key_name(parts[0]) or not re.fullmatch("[0-9a-f]{8}", parts[1]):
        raise Invalid("the verifier key is not of the form '<name>+<key id>+<base64>'", hint=hint)
    data = find_base64(parts[2]) or b""
    if not data or data[0] not in _SIGNATURE_BYTES:
        raise Invalid("the verifier key is of a kind that dbx does not know; it knows Ed25519 keys", hint=hint)
    if len(data) != 1 + _PUBLIC_BYTES:
        raise Invalid("the verifier key does not hold the 32 bytes of an Ed25519 key", hint=hint)
    key = Vkey(parts[0], data[0], data[1:])
    if key.key_id.hex() != parts[1]:
        raise Invalid("the verifier key is damaged: its key id is not that of its name and bytes", hint=hint)
    return key


def format_note(note: Note) -> bytes:
    """The bytes of a note. Raises Invalid for a text that cannot be signed."""
    check_text(note.text)
    lines = [f"{_DASH}{each.name} {encode_base64(each.key_id + each.signature)}\n" for each in note.signatures]
    return (note.text + "\n" + "".join(lines)).encode()


def check_text(text: str) -> None:
    """Raises Invalid unless a note may have this text: one that ends with a newline, without control characters."""
    if not text.endswith("\n") or _CONTROL.search(text):
        raise Invalid("the text of a note ends with a newline and has no control characters")


def parse_note(data: bytes) -> Note:
    """A note from its bytes. Raises Corrupt unless they are well-formed; says nothing about who signed."""
    if len(data) > MAX_NOTE_BYTES:
        raise _no_note("the note is longer than 1 MiB")
    try:
        whole = data.decode()
    except UnicodeDecodeError:
        raise _no_note("the note is not UTF-8") from None
    if _CONTROL.search(whole):
        raise _no_note("the note has control characters in it")
    # The last empty line parts the text, which may have empty lines too, from the signatures.
    text, blank, rest = whole.rpartition("\n\n")
    if not blank or not rest.endswith("\n"):
        raise _no_note("the note has no signatures, or is cut short")
    lines = rest[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise _no_note(f"the note has more than {MAX_SIGNATURES} signatures")
    return Note(text + "\n", tuple(_parse_signature(line) for line in lines))


def _parse_signature(line: str) -> Signature:
    words = line[len(_DASH) :].split(" ")
    data = find_base64(words[1]) if line.startswith(_DASH) and len(words) == 2 else None
    if data is None or len(data) <= _KEY_ID_BYTES or not is_key_name(words[0]):
        raise _no_note("a signature line of the note is not '— <name> <base64>'")
    return Signature(words[0], data[:_KEY_ID_BYTES], data[_KEY_ID_BYTES:])


def _no_note(why: str) -> Corrupt:
    return Corrupt(why, hint="a signed note, as 'dbx checkpoint --sign' writes it, ends with lines that begin with '—'")


def cosigned_text(text: str, time_s: int) -> bytes:
    """What a witness signs for a checkpoint of this text at a POSIX time (c2sp.org/tlog-cosignature, v1)."""
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()


def split_cosignature(signature: bytes) -> tuple[int, bytes] | None:
    """(POSIX time, the 64 bytes of Ed25519) of a cosignature's 72 bytes; None for any other length or time."""
    time_s = int.from_bytes(signature[:8], "big")
    if len(signature) != _SIGNATURE_BYTES[COSIGNATURE] or time_s >= 1 << 63:
        return None
    return time_s, signature[8:]
