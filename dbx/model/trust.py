"""What a signed note is worth to somebody who trusts certain keys, and what a proof in a log is worth on top of it.

Pure: bytes and keys in, values out. The reasons are those that `dbx verify-proof` prints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dbx.crypto import merkle, sign
from dbx.errors import Corrupt, Invalid
from dbx.formats.checkpoint import Checkpoint, parse_checkpoint
from dbx.formats.note import COSIGNATURE, Note, Signature, Vkey, cosigned_text, parse_note, split_cosignature

if TYPE_CHECKING:
    from collections.abc import Sequence


class Signed(NamedTuple):
    """A key whose signature holds; `time_s` is the POSIX time of a witness's cosignature, else None."""

    key: Vkey
    time_s: int | None


class OpenedNote(NamedTuple):
    """A note, who of the trusted signed it, and the signature lines of keys that nobody vouched for."""

    note: Note
    verified: tuple[Signed, ...]
    unverified: tuple[Signature, ...]


def open_note(data: bytes, keys: Sequence[Vkey]) -> OpenedNote:
    """A note that at least one of `keys` signed (c2sp.org/signed-note).

    Raises Corrupt, with `reason` in its details: `changed` for a signature by one of the keys that does not hold,
    `unknown-key` when none of them signed. Raises Invalid when two of `keys` cannot be told apart and one is needed.
    """
    note = parse_note(data)
    verified: list[Signed] = []
    unverified: list[Signature] = []
    seen: set[tuple[str, bytes]] = set()
    for line in note.signatures:
        found = [key for key in keys if key.name == line.name and key.key_id == line.key_id]
        if len(found) > 1:
            raise Invalid(f"the key '{line.name}' was given twice")
        if not found:
            if line not in unverified:
                unverified.append(line)
            continue
        if (line.name, line.key_id) in seen:
            continue
        seen.add((line.name, line.key_id))
        signed = _verify(note.text, line.signature, found[0])
        if signed is None:
            raise Corrupt(f"the signature of '{line.name}' does not hold", details={"reason": "changed"})
        verified.append(signed)
    if not verified:
        names = ", ".join(sorted({f"'{line.name}'" for line in note.signatures})[:8])
        raise Corrupt(
            f"none of the keys that you trust has signed: it is signed by {names}",
            hint="give the key of the one who signed, as you got it from them",
            details={"reason": "unknown-key"},
        )
    return OpenedNote(note, tuple(verified), tuple(unverified))


def _verify(text: str, signature: bytes, key: Vkey) -> Signed | None:
    if key.algorithm != COSIGNATURE:
        return Signed(key, None) if sign.verify(key.public, text.encode(), signature) else None
    parts = split_cosignature(signature)
    if parts is None or not sign.verify(key.public, cosigned_text(text, parts[0]), parts[1]):
        return None
    return Signed(key, parts[0])


def sign_note(text: str, key: Vkey, seed: bytes) -> Signature:
    """The signature line of a key over a note's text; `seed` is the key's."""
    return Signature(key.name, key.key_id, sign.sign(seed, text.encode()))


def cosign_note(text: str, key: Vkey, seed: bytes, time_s: int) -> Signature:
    """A witness's signature line over a checkpoint's text at a POSIX time."""
    made = time_s.to_bytes(8, "big") + sign.sign(seed, cosigned_text(text, time_s))
    return Signature(key.name, key.key_id, made)


def open_checkpoint(data: bytes, keys: Sequence[Vkey]) -> tuple[Checkpoint, OpenedNote]:
    """A checkpoint that at least one of `keys` signed. Raises what `open_note` raises, and Corrupt for other texts."""
    opened = open_note(data, keys)
    return parse_checkpoint(opened.note.text), opened


def read_head(data: bytes) -> Checkpoint:
    """A checkpoint, signed or not: a note, or its text and a blank line, or its text alone."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Corrupt("the checkpoint is not UTF-8") from None
    body, _, signatures = text.partition("\n\n")
    if signatures:
        return parse_checkpoint(parse_note(data).text)
    return parse_checkpoint(body if body.endswith("\n") else body + "\n")


def holds_entry(checkpoint: Checkpoint, index: int, hashes: Sequence[bytes], entry: bytes) -> bool:
    """Whether `hashes` show that `entry` is number `index` of the checkpoint's log (RFC 9162 §2.1.3.2)."""
    return merkle.verify_inclusion(merkle.leaf_hash(entry), index, checkpoint.size, hashes, checkpoint.root)


def grew_from(old: Checkpoint, new: Checkpoint, hashes: Sequence[bytes]) -> bool:
    """Whether `hashes` show that the log of `new` begins with that of `old` (RFC 9162 §2.1.4.2)."""
    if old.size == 0:
        return not hashes and old.root == merkle.EMPTY and (new.size > 0 or new.root == merkle.EMPTY)
    return merkle.verify_consistency(old.size, new.size, old.root, new.root, hashes)
