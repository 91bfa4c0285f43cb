"""Segments and journals: `DBXSEG1\\n`, then frames (format.md §6).

A frame is a 16-byte header and its stored bytes:

    1 kind     H, E, B or C                        4 stored length, big-endian, at most 4 MiB + 8 KiB
    1 flags    bit 0 zlib, bit 1 sealed (B only)   4 raw length, big-endian, at most 4 MiB
    2 zero                                         4 CRC-32 of u64(offset in the file), the 12 bytes before, the stored

The checksum finds accidents, and a frame that was moved; hashes and signatures find people.
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Corrupt, Invalid
from dbx.formats.envelope import HASH, UUID

if TYPE_CHECKING:
    from mmap import mmap

    Readable = bytes | bytearray | memoryview | mmap

MAGIC = b"DBXSEG1\n"
FORMAT = 1

H = b"H"
"""Kind of the header frame, once and first."""
E = b"E"
"""Kind of a block of envelopes."""
B = b"B"
"""Kind of a block of bodies, right after its E."""
C = b"C"
"""Kind of a frame of commits, which covers every event before it."""

ZLIB = 1
SEALED = 2

HEADER_BYTES = 16
MAX_RAW_BYTES = 4 * 1024 * 1024
MAX_STORED_BYTES = MAX_RAW_BYTES + 8 * 1024

_UNPADDED_BYTES = 2 + 5 + 4
"""What a zlib stream of one stored block adds: its header, the block's, the checksum."""
_MAX_PLAIN_BYTES = 65_535
# BFINAL 0, BTYPE 01, the seven zero bits of end-of-block; then BFINAL, BTYPE 00 of a stored block, filled up to a byte.
_LATE = b"\x02\x00"
_LATE_FINAL = b"\x02\x04"
_EMPTY = b"\x00\x00\xff\xff"
"""The lengths of an empty stored block."""

_unpack_header = struct.Struct(">cBHIII").unpack
_pack_prefix = struct.Struct(">QcBHII").pack
_pack_offset = struct.Struct(">Q").pack
_pack_crc = struct.Struct(">I").pack

# How a C frame begins: never sealed, and both lengths within bounds. Searching for it runs in C.
_COMMIT_HEADER = rb"C[\x00\x01]\x00\x00(?=\x00[\x00-\x40]..\x00[\x00-\x40]..)"
_HEADER_MEMBERS = frozenset(("domain", "format", "parent", "position", "seq"))


class FrameHeader(NamedTuple):
    """The fields of a frame's header; `stored` and `raw` are lengths in bytes."""

    kind: bytes
    flags: int
    stored: int
    raw: int
    crc: int


class Packed(NamedTuple):
    """What a frame stores, and how long the plain bytes are that it holds: compressed where they are longer."""

    stored: bytes
    raw: int


class SegmentHeader(NamedTuple):
    """What an H frame says of the commits that follow: their domain, and what they continue."""

    domain: str
    format: int
    parent: str | None
    position: int
    seq: int


def encode_frame(kind: bytes, raw: bytes, offset: int, *, compress: bool) -> bytes:
    """A frame that will stand `offset` bytes into its file. Compressing keeps the plain bytes where they are shorter.

    Raises Invalid when raw is empty or longer than 4 MiB.
    """
    if not 0 < len(raw) <= MAX_RAW_BYTES:
        raise Invalid(f"a frame cannot hold {len(raw)} bytes")
    return encode_packed_frame(kind, pack(raw) if compress else Packed(raw, len(raw)), offset)


def encode_plain_frames(envelope: bytes, body: bytes, commit: bytes, offset: int) -> tuple[bytes, bytes]:
    """An E and a B frame of one line each, and the C frame behind them, from `offset` on: (the two, the last).

    The lines, which are given without their newlines, are no longer than format.md allows them to be.
    """
    crc32, trailer = zlib.crc32, _pack_crc
    envelope += b"\n"
    body += b"\n"
    commit += b"\n"
    size = len(envelope)
    first = _pack_prefix(offset, E, 0, 0, size, size)
    offset += HEADER_BYTES + size
    size = len(body)
    second = _pack_prefix(offset, B, 0, 0, size, size)
    offset += HEADER_BYTES + size
    size = len(commit)
    third = _pack_prefix(offset, C, 0, 0, size, size)
    first_end, second_end = crc32(envelope, crc32(first)), crc32(body, crc32(second))
    return (
        b"".join((first[8:], trailer(first_end), envelope, second[8:], trailer(second_end), body)),
        b"".join((third[8:], trailer(crc32(commit, crc32(third))), commit)),
    )


def pack(raw: bytes) -> Packed:
    """Bytes as a frame stores them, wherever it will stand."""
    squeezed = zlib.compress(raw, 1)
    return Packed(squeezed if len(squeezed) < len(raw) else raw, len(raw))


def unpack(packed: Packed, offset: int) -> bytes:
    """The plain bytes of what stands at an offset. Raises Corrupt where that are not as many as it says."""
    if len(packed.stored) == packed.raw:
        return packed.stored
    return inflate(packed.stored, packed.raw, offset)


def encode_packed_frame(kind: bytes, packed: Packed, offset: int) -> bytes:
    """`encode_frame` of bytes that were packed before. Raises Invalid likewise."""
    if not 0 < packed.raw <= MAX_RAW_BYTES:
        raise Invalid(f"a frame cannot hold {packed.raw} bytes")
    flags = ZLIB if len(packed.stored) < packed.raw else 0
    return encode_stored_frame(kind, flags, packed.raw, packed.stored, offset)


def encode_sealed_frame(flags: int, raw: int, stored: bytes, offset: int) -> bytes:
    """A B frame of sealed bytes. `raw` is its length once it is unsealed and inflated, `flags` says whether it must be.

    Raises Invalid when raw is 0 or beyond 4 MiB.
    """
    if not 0 < raw <= MAX_RAW_BYTES:
        raise Invalid(f"a frame cannot hold {raw} bytes")
    return encode_stored_frame(B, flags & ZLIB | SEALED, raw, stored, offset)


def encode_stored_frame(kind: bytes, flags: int, raw: int, stored: bytes, offset: int) -> bytes:
    """A frame of bytes that are stored already, for another place: `raw` is the length of what they hold."""
    prefix = _pack_prefix(offset, kind, flags, 0, len(stored), raw)
    return b"".join((prefix[8:], _pack_crc(zlib.crc32(stored, zlib.crc32(prefix))), stored))


def finish_sealed(flags: int, raw: int, opened: bytes, offset: int) -> bytes:
    """The plain bytes of a sealed frame at an offset, from what was unsealed. Raises Corrupt."""
    if flags & ZLIB:
        return inflate(opened, raw, offset)
    if len(opened) != raw:
        raise Corrupt(f"the frame at byte {offset} is damaged: its lengths differ")
    return opened


def encode_padded_frame(kind: bytes, raw: bytes, offset: int, size: int) -> bytes | None:
    """A frame of exactly `size` bytes, header included; None where none can be made. `raw` is at most 65,535 bytes.

    It is a zlib stream that compresses nothing: empty blocks fill it up. An empty stored block (RFC 1951 §3.2.4) takes
    five bytes; an empty block of fixed codes (§3.2.6), ten bits, makes the stored block behind it begin a byte later.
    """
    blocks, bytes_left = divmod(size - HEADER_BYTES - len(raw) - _UNPADDED_BYTES, 5)
    if blocks < 0 or bytes_left > blocks + 1 or not 0 < len(raw) <= _MAX_PLAIN_BYTES:
        return None
    late = min(bytes_left, blocks)
    fill = (_LATE + _EMPTY) * late + (b"\x00" + _EMPTY) * (blocks - late)
    final = _LATE_FINAL if bytes_left > blocks else b"\x01"
    plain = struct.pack("<HH", len(raw), len(raw) ^ 0xFFFF) + raw
    stored = b"x\x01" + fill + final + plain + _pack_crc(zlib.adler32(raw))
    return encode_stored_frame(kind, ZLIB, len(raw), stored, offset)


def parse_header(buf: Readable, at: int) -> FrameHeader | None:
    """The frame header at `at`, or None where none can stand: too few bytes, an unknown kind or flag, wild lengths.

    The checksum is not looked at.
    """
    header = bytes(buf[at : at + HEADER_BYTES])
    if len(header) < HEADER_BYTES:
        return None
    kind, flags, zero, stored, raw, crc = _unpack_header(header)
    if not _known(kind, flags, zero) or not _bounded(stored, raw):
        return None
    return FrameHeader(kind, flags, stored, raw, crc)


def decode_frame(buf: Readable, at: int, offset: int) -> tuple[FrameHeader, bytes, int]:
    """The frame at `at`, which stands `offset` bytes into its file: header, raw bytes, and where the next frame begins.

    A sealed frame gives its stored bytes untouched. Raises Corrupt; with `details["newer"]` when the frame is whole but
    of a kind, or with a flag, that this version does not know: such a frame is never a torn write.
    """
    header = bytes(buf[at : at + HEADER_BYTES])
    if len(header) < HEADER_BYTES:
        raise Corrupt(f"the frame at byte {offset} is cut short")
    kind, flags, zero, stored, raw, crc = _unpack_header(header)
    if not _bounded(stored, raw):
        raise Corrupt(f"the frame at byte {offset} is damaged: its lengths cannot be")
    start = at + HEADER_BYTES
    end = start + stored
    if end > len(buf):
        raise Corrupt(f"the frame at byte {offset} is cut short")
    data = bytes(buf[start:end])
    if zlib.crc32(data, zlib.crc32(header[:12], zlib.crc32(_pack_offset(offset)))) != crc:
        raise Corrupt(f"the frame at byte {offset} is damaged: its checksum does not match")
    if not _known(kind, flags, zero):
        raise Corrupt(
            f"the frame at byte {offset} was written by a newer dbx", hint="upgrade dbx", details={"newer": True}
        )
    if flags & SEALED:
        pass
    elif flags & ZLIB:
        data = inflate(data, raw, offset)
    elif stored != raw:
        raise Corrupt(f"the frame at byte {offset} is damaged: its lengths differ")
    return FrameHeader(kind, flags, stored, raw, crc), data, end


def split_lines(raw: bytes) -> list[bytes]:
    """The lines of an E, B or C frame, without their newlines. Raises Corrupt when the last one has none."""
    lines = raw.split(b"\n")
    if lines.pop():
        raise Corrupt("a frame's last line has no newline")
    return lines


def encode_header_frame(domain: str, parent: str | None, position: int, seq: int) -> bytes:
    """The H frame, to stand right after MAGIC."""
    raw = _header_text(SegmentHeader(domain, FORMAT, parent, position, seq)).encode()
    return encode_frame(H, raw, len(MAGIC), compress=False)


def decode_header(raw: bytes) -> SegmentHeader:
    """What an H frame holds. Raises Corrupt unless raw is the one spelling of a valid header."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Corrupt("a segment's header is not JSON") from error
    if not isinstance(value, dict):
        raise Corrupt("a segment's header is not an object")
    if not _HEADER_MEMBERS.issuperset(value) or value.get("format") != FORMAT:
        raise Corrupt("the segment was written by a newer dbx", hint="upgrade dbx", details={"newer": True})
    domain, parent, position, seq = (value.get(name) for name in ("domain", "parent", "position", "seq"))
    if not (
        isinstance(domain, str)
        and re.fullmatch(UUID, domain)
        and (parent is None or (isinstance(parent, str) and re.fullmatch(HASH, parent)))
        and type(position) is int
        and type(seq) is int
    ):
        raise Corrupt("a segment's header has a member that is missing or misspelt")
    from dbx.formats.commit import check_place

    check_place(parent, position, seq, "a segment's header")
    header = SegmentHeader(domain, FORMAT, parent, position, seq)
    if _header_text(header).encode() != raw:
        raise Corrupt("a segment's header is not spelled as dbx writes it")
    return header


def find_commit_frame(buf: Readable, at: int) -> int | None:
    """Where the first whole C frame with a good checksum begins, at or after `at`; None when there is none.

    `buf` is the whole file. A bad frame with a C frame behind it is damage; without, a torn write.
    """
    for found in re.finditer(_COMMIT_HEADER, buf[at:], re.DOTALL):
        if _is_whole(buf, at + found.start()):
            return at + found.start()
    return None


def _known(kind: bytes, flags: int, zero: int) -> bool:
    return kind in b"HEBC" and not zero and (flags < SEALED or (flags <= SEALED + ZLIB and kind == B))


def _bounded(stored: int, raw: int) -> bool:
    return 0 < stored <= MAX_STORED_BYTES and 0 < raw <= MAX_RAW_BYTES


def _is_whole(buf: Readable, at: int) -> bool:
    """Whether a frame of known flags with a good checksum stands at `at`. What costs nothing is asked first."""
    header = parse_header(buf, at)
    if header is None or (not header.flags and header.stored != header.raw):
        return False
    start = at + HEADER_BYTES
    end = start + header.stored
    if end > len(buf):
        return False
    # RFC 1950 §2.2: deflate, and a check value that makes the first two bytes a multiple of 31.
    if header.flags and (buf[start] & 0x0F != 8 or int.from_bytes(buf[start : start + 2], "big") % 31):
        return False
    crc = zlib.crc32(buf[at : at + 12], zlib.crc32(_pack_offset(at)))
    return zlib.crc32(buf[start:end], crc) == header.crc


def inflate(data: bytes, raw: int, offset: int) -> bytes:
    """The plain bytes of a frame that stands at an offset; never inflates more than one byte beyond `raw`.

    Raises Corrupt unless `data` is one whole zlib stream of exactly `raw` bytes.
    """
    stream = zlib.decompressobj()
    try:
        out = stream.decompress(data, raw + 1)
    except zlib.error as error:
        raise Corrupt(f"the frame at byte {offset} is damaged: it does not inflate") from error
    if not stream.eof or stream.unused_data or stream.unconsumed_tail or len(out) != raw:
        raise Corrupt(f"the frame at byte {offset} is damaged: it does not inflate to its raw length")
    return out


def _header_text(header: SegmentHeader) -> str:
    parent = "null" if header.parent is None else f'"{header.parent}"'
    return (
        f'{{"domain":"{header.domain}","format":{header.format},"parent":{parent},'
        f'"position":{header.position},"seq":{header.seq}}}'
    )
