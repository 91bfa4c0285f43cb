"""Members of an uncompressed ustar archive (POSIX pax, "ustar Interchange Format"): regular files only.

A member is a header of 512 bytes, its bytes, and zeros up to the next multiple of 512; two blocks of zeros end the
archive. What a bundle never holds is refused: links, directories, devices, long names and extended headers.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from dbx.errors import Corrupt, Invalid

BLOCK = 512
END = bytes(2 * BLOCK)
MAX_NAME = 99
MAX_SIZE = 8**11 - 1
"""What eleven octal digits hold: 8 GiB less one."""

_OCTAL = re.compile(rb" *([0-7]+)[ \0]*")


class MemberHeader(NamedTuple):
    """The name and the size in bytes of one regular file."""

    name: str
    size: int


def encode_header(name: str, size: int) -> bytes:
    """The header of a regular file, 0644, of nobody, at the epoch. Raises Invalid for what ustar cannot say."""
    raw = name.encode("ascii")
    if not 0 < len(raw) <= MAX_NAME or not 0 <= size <= MAX_SIZE:
        raise Invalid(f"'{name}' with {size} bytes does not fit into an archive")
    block = bytearray(BLOCK)
    block[: len(raw)] = raw
    block[100:108] = b"0000644\0"
    block[108:124] = b"0000000\0" * 2
    block[124:136] = b"%011o\0" % size
    block[136:148] = b"00000000000\0"
    block[148:156] = b"        "
    block[156:157] = b"0"
    block[257:265] = b"ustar\x0000"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def decode_header(block: bytes) -> MemberHeader | None:
    """The header of a member; None for a block of zeros, which ends the archive. Raises Corrupt."""
    if len(block) != BLOCK:
        raise Corrupt("the archive is cut short")
    if not block.strip(b"\0"):
        return None
    if block[257:262] != b"ustar" or _number(block[148:156]) != sum(block[:148]) + 8 * 32 + sum(block[156:]):
        raise Corrupt("the archive is damaged: a header does not have its checksum")
    kind = block[156:157]
    if kind not in (b"0", b"\0") or block[157:257].strip(b"\0"):
        raise Corrupt("the archive holds something else than regular files")
    name = block[:100].rstrip(b"\0")
    if not name or b"\0" in name or not name.isascii() or block[345:500].strip(b"\0"):
        raise Corrupt("the archive holds a name that cannot be")
    return MemberHeader(name.decode("ascii"), _number(block[124:136]))


def padding(size: int) -> int:
    """How many zeros follow a member of `size` bytes."""
    return -size % BLOCK


def member_bytes(size: int) -> int:
    """How many bytes of the archive a member of `size` bytes takes."""
    return BLOCK + size + padding(size)


def _number(field: bytes) -> int:
    found = _OCTAL.fullmatch(field)
    if found is None:
        raise Corrupt("the archive is damaged: a header holds a number that cannot be")
    return int(found[1], 8)
