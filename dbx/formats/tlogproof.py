"""Proofs that an entry is in a log (c2sp.org/tlog-proof): an index, the path of RFC 9162 §2.1.3, and a checkpoint.

    c2sp.org/tlog-proof@v1
    index 7
    gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=

    <the signed checkpoint, as it is>

Nothing here verifies: see dbx.model.trust.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from dbx.errors import Corrupt
from dbx.formats.base64text import encode_base64, find_base64

HEADER = "c2sp.org/tlog-proof@v1"
MAX_PROOF_BYTES = 1 << 21
_MAX_HASHES = 63
_MAX_LINE_CHARS = 64 * 1024
_HASH_BYTES = 32


class TlogProof(NamedTuple):
    """`position` counts from 0; `hashes` go from the leaf's sibling up; `checkpoint` is a signed note.

    `extra` is for the reader's convenience and proves nothing.
    """

    position: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None


def format_tlog_proof(proof: TlogProof) -> bytes:
    """The bytes of a .tlog-proof file."""
    lines = [HEADER]
    if proof.extra is not None:
        lines.append(f"extra {encode_base64(proof.extra)}")
    lines.append(f"index {proof.position}")
    lines += map(encode_base64, proof.hashes)
    return "".join(f"{line}\n" for line in [*lines, ""]).encode() + proof.checkpoint


def parse_tlog_proof(data: bytes) -> TlogProof:
    """A proof from its bytes. Raises Corrupt unless they are well-formed."""
    if len(data) > MAX_PROOF_BYTES:
        raise Corrupt("the proof is longer than 2 MiB")
    head, blank, checkpoint = data.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise Corrupt("the proof has characters outside ASCII before its checkpoint") from None
    if not blank or not checkpoint or lines[0] != HEADER:
        raise Corrupt(f"the proof does not begin with '{HEADER}', or has no checkpoint")
    if any(len(line) > _MAX_LINE_CHARS for line in lines):
        raise Corrupt("the proof has a line of more than 64 KiB")
    lines.pop(0)
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = find_base64(lines.pop(0)[6:])
        if extra is None:
            raise Corrupt("the line 'extra' of the proof is not base64")
    if not lines or not re.fullmatch("index (0|[1-9][0-9]{0,18})", lines[0]):
        raise Corrupt("the proof has no line 'index <number>'")
    index = int(lines.pop(0)[6:])
    if len(lines) > _MAX_HASHES:
        raise Corrupt("the proof has more hashes than any log could need")
    hashes = [find_base64(line) or b"" for line in lines]
    if any(len(each) != _HASH_BYTES for each in hashes):
        raise Corrupt("a hash of the proof is not the base64 of 32 bytes")
    return TlogProof(index, tuple(hashes), checkpoint, extra)
