"""A segment on its way from one repository into another: its bodies opened, or sealed, while it is copied.

Nothing of it lies on a disk in plain where that is not meant, and nothing is compressed again: of a B frame only what
is around its bytes changes. Events, commits and ids stay the same; a segment that was changed has another hash, which
nothing but manifests knows.
"""

from __future__ import annotations

import os
import zlib
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from dbx.crypto.vault import KEY_ID_BYTES
from dbx.errors import Corrupt
from dbx.formats import segment
from dbx.store.fs import read_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dbx.crypto.vault import Vault

PLAIN = b""
"""Stands for the key of bodies that are not sealed."""


class Recoding(NamedTuple):
    """What is done to bodies: `opens` opens the sealed ones, `seals` seals those that are plain then."""

    opens: Vault | None = None
    seals: Vault | None = None


def body_keys(fd: int, name: str) -> set[bytes]:
    """The ids of the data keys that a segment's bodies are sealed with, PLAIN among them where some are not."""
    found: set[bytes] = set()
    at, size = len(segment.MAGIC), os.fstat(fd).st_size
    while at < size:
        data = read_at(fd, segment.HEADER_BYTES + KEY_ID_BYTES, at)
        header = segment.parse_header(data, 0)
        if header is None:
            message = f"'{name}' is damaged at byte {at}: no frame begins there"
            raise Corrupt(message, details={"file": name, "offset": at})
        if header.kind == segment.B:
            found.add(data[segment.HEADER_BYTES :] if header.flags & segment.SEALED else PLAIN)
        at += segment.HEADER_BYTES + header.stored
    return found


def recode(read: Callable[[int], bytes], size: int, recoding: Recoding) -> Iterator[bytes]:
    """The segment whose `size` bytes `read(n)` gives (exactly n each time), recoded. Raises Corrupt, KeyFailure.

    Frames are believed to be what their checksums say; whoever takes them in checks what they hold.
    """
    if size < len(segment.MAGIC) or read(len(segment.MAGIC)) != segment.MAGIC:
        raise Corrupt("the file does not begin as a segment does")
    yield segment.MAGIC
    at = out = len(segment.MAGIC)
    domain, position, count = b"", 0, 0
    while at < size:
        if size - at < segment.HEADER_BYTES:
            raise Corrupt(f"the frame at byte {at} is cut short")
        head = read(segment.HEADER_BYTES)
        header = segment.parse_header(head, 0)
        if header is None or at + segment.HEADER_BYTES + header.stored > size:
            raise Corrupt(f"the frame at byte {at} is damaged: its lengths cannot be")
        stored = read(header.stored)
        if zlib.crc32(stored, zlib.crc32(head[:12], zlib.crc32(at.to_bytes(8, "big")))) != header.crc:
            raise Corrupt(f"the frame at byte {at} is damaged: its checksum does not match")
        flags = header.flags
        if header.kind == segment.H:
            begin = segment.decode_header(stored)
            domain, position = bytes.fromhex(begin.domain.replace("-", "")), begin.position
        elif header.kind == segment.E:
            count = segment.decode_frame(head + stored, 0, at)[1].count(b"\n")
        elif header.kind == segment.B:
            flags, stored = _recode_bodies(flags, stored, domain, position, recoding)
            position += count
        frame = segment.encode_stored_frame(header.kind, flags, header.raw, stored, out)
        yield frame
        at += segment.HEADER_BYTES + header.stored
        out += len(frame)


def recode_file(fd: int, recoding: Recoding) -> Iterator[bytes]:
    """`recode` of a file."""
    at = 0

    def read(size: int) -> bytes:
        nonlocal at
        data = read_at(fd, size, at)
        if len(data) != size:
            raise Corrupt("the segment is shorter than it was")
        at += size
        return data

    return recode(read, os.fstat(fd).st_size, recoding)


def measure(blocks: Iterator[bytes]) -> tuple[str, int]:
    """(SHA-256 in hex, size) of what comes."""
    digest, size = sha256(), 0
    for data in blocks:
        digest.update(data)
        size += len(data)
    return digest.hexdigest(), size


def _recode_bodies(flags: int, stored: bytes, domain: bytes, position: int, recoding: Recoding) -> tuple[int, bytes]:
    if flags & segment.SEALED and recoding.opens is not None:
        stored = recoding.opens.open_block(stored, domain, position)
        flags &= ~segment.SEALED
    if not flags & segment.SEALED and recoding.seals is not None:
        stored = recoding.seals.seal_block(stored, domain, position)
        flags |= segment.SEALED
    return flags, stored
