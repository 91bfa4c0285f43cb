"""Segment files and journals: reading their frames with bounded memory, and writing a segment as it grows.

What comes out are raw lines with the offset they came from; what they mean is for others to say.
"""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Corrupt, Invalid
from dbx.formats import segment
from dbx.store.fs import read_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Executor, Future

    from dbx.crypto.vault import Vault
    from dbx.store.fs import TemporaryFile

    Packing = segment.Packed | Future[segment.Packed]

BLOCK_BYTES = 64 * 1024
"""A block is closed when its envelopes or its bodies reach this many raw bytes: what reading one event costs."""
SEGMENTS = "segments"
SUFFIX = ".seg"
MOST_BYTES = 4 * BLOCK_BYTES
MAX_BYTES = 4 << 30
"""No segment is larger: it fits into an archive (8 GiB), and into one request to an object store (5 GiB)."""
_IN_FLIGHT = 4
_WINDOW = 256 * 1024


class SealedBodies(NamedTuple):
    """A B frame that cannot be opened: its flags, its raw length, and its stored bytes."""

    flags: int
    raw: int
    stored: bytes


class Block(NamedTuple):
    """An E frame with its B frame: lines in the same order, without newlines.

    Without the key of sealed bodies they are None, and `sealed` holds what there is.
    """

    offset: int
    envelopes: list[bytes]
    bodies: list[bytes] | None
    end: int
    sealed: SealedBodies | None = None


class Commits(NamedTuple):
    """A C frame: commit lines without newlines."""

    offset: int
    lines: list[bytes]
    end: int


def segment_name(sha: str) -> str:
    """The file name of a segment within its domain directory."""
    return f"{SEGMENTS}/{sha}{SUFFIX}"


class FrameReader:
    """Frames of an open file, read through a window so that many small frames cost few system calls.

    Every fault is Corrupt and names the file and the byte. Sealed bodies are opened with the keys of `vault`, for which
    the position of the first event must be known: behind the header it is.
    """

    __slots__ = ("_at", "_buffer", "_fd", "_header", "name", "size", "vault")

    def __init__(self, fd: int, name: str, size: int | None = None, *, vault: Vault | None = None) -> None:
        self._fd = fd
        self.vault = vault
        self._header: tuple[segment.SegmentHeader, int] | None = None
        self.name = name
        self.size = os.fstat(fd).st_size if size is None else size
        self._buffer = b""
        self._at = 0

    def frame(self, offset: int) -> tuple[segment.FrameHeader, bytes, int]:
        """The frame at an offset: header, raw bytes, where the next begins."""
        kept = self._buffer
        try:
            return self._frame(offset)
        except Corrupt:
            if self._buffer is not kept or not kept:
                raise
        # A journal grows into its zeros: what is kept of it may be older than what was asked for.
        self._buffer = b""
        return self._frame(offset)

    def _frame(self, offset: int) -> tuple[segment.FrameHeader, bytes, int]:
        have = self._bytes(offset, segment.HEADER_BYTES)
        header = segment.parse_header(self._buffer, have)
        want = segment.HEADER_BYTES + (0 if header is None else header.stored)
        have = self._bytes(offset, want)
        try:
            header, raw, end = segment.decode_frame(self._buffer, have, offset)
        except Corrupt as error:
            raise self.fault(error, offset) from None
        return header, raw, offset + end - have

    def block(self, offset: int, position: int | None = None) -> Block:
        """The block whose E frame is at an offset, and whose first event stands at a position of the log."""
        header, raw, at = self.frame(offset)
        if header.kind != segment.E:
            raise self.fault(Corrupt("a frame of envelopes was expected"), offset)
        return self._block(offset, raw, at, position)

    def commits(self, offset: int) -> Commits:
        """The C frame at an offset."""
        header, raw, end = self.frame(offset)
        if header.kind != segment.C:
            raise self.fault(Corrupt("a frame of commits was expected"), offset)
        return Commits(offset, self._lines(raw, offset), end)

    def header(self) -> tuple[segment.SegmentHeader, int]:
        """What the H frame says, and where the frames after it begin."""
        if self._header is not None:
            return self._header
        have = self._bytes(0, len(segment.MAGIC))
        if self._buffer[have : have + len(segment.MAGIC)] != segment.MAGIC:
            raise self.fault(Corrupt("the file does not begin as a segment does"), 0)
        frame, raw, end = self.frame(len(segment.MAGIC))
        if frame.kind != segment.H:
            raise self.fault(Corrupt("a header frame was expected"), len(segment.MAGIC))
        try:
            self._header = segment.decode_header(raw), end
            return self._header
        except Corrupt as error:
            raise self.fault(error, len(segment.MAGIC)) from None

    def item(self, offset: int, position: int | None = None) -> Block | Commits:
        """The block, whose first event stands at a position of the log, or the C frame at an offset."""
        header, raw, at = self.frame(offset)
        if header.kind == segment.E:
            return self._block(offset, raw, at, position)
        if header.kind == segment.C:
            return Commits(offset, self._lines(raw, offset), at)
        raise self.fault(Corrupt(f"a frame of kind '{header.kind.decode()}' does not belong here"), offset)

    def items(self, offset: int) -> Iterator[Block | Commits]:
        """Every block and C frame from an offset to the end of a segment, which must be the end of a C frame."""
        last: Block | Commits | None = None
        position = self.position_at(offset)
        while offset < self.size:
            last = self.item(offset, position)
            if position is not None and isinstance(last, Block):
                position += len(last.envelopes)
            yield last
            offset = last.end
        if not isinstance(last, Commits):
            raise self.fault(Corrupt("the segment does not end with a frame of commits"), offset)

    def position_at(self, offset: int) -> int | None:
        """The position of the first event behind an offset, where that is the end of the header; else None."""
        return self._header[0].position if self._header is not None and self._header[1] == offset else None

    def open_bodies(self, sealed: SealedBodies, at: int, position: int | None) -> bytes | None:
        """The plain bytes of the B frame at an offset; None without the key. Raises Corrupt, KeyFailure."""
        if position is None or self.vault is None or self.vault.is_locked:
            return None
        domain = bytes.fromhex(self.header()[0].domain.replace("-", ""))
        try:
            opened = self.vault.open_block(sealed.stored, domain, position)
            return segment.finish_sealed(sealed.flags, sealed.raw, opened, at)
        except Corrupt as error:
            raise self.fault(error, at) from None

    def fault(self, error: Corrupt, offset: int) -> Corrupt:
        """The same fault with the file and the byte in it."""
        details = {**error.details, "file": self.name, "offset": offset}
        sentence = f"'{self.name}' is damaged at byte {offset}: {error.message}"
        return Corrupt(sentence, hint=error.hint or "see 'dbx fsck'", details=details)

    def zeros_from(self, offset: int) -> bool:
        """Whether nothing but zeros follows."""
        have = self._bytes(offset, 1)
        if self._buffer[have : have + 1].strip(b"\0"):
            return False
        while offset < self.size:
            data = read_at(self._fd, min(_WINDOW, self.size - offset), offset)
            if not data:
                return True
            if data.count(0) != len(data):
                return False
            offset += len(data)
        return True

    def rest(self, offset: int) -> bytes:
        """All bytes from an offset on: for journals."""
        return read_at(self._fd, max(0, self.size - offset), offset)

    def whole_commit_behind(self, offset: int) -> bool:
        """Whether a whole C frame begins at or behind an offset. Reads the file into memory: for journals."""
        data = read_at(self._fd, self.size, 0)
        return segment.find_commit_frame(data, offset) is not None

    def _block(self, offset: int, raw: bytes, at: int, position: int | None) -> Block:
        header, bodies, end = self.frame(at)
        if header.kind != segment.B:
            raise self.fault(Corrupt("a frame of bodies was expected"), at)
        envelopes = self._lines(raw, offset)
        if header.flags & segment.SEALED:
            sealed = SealedBodies(header.flags, header.raw, bodies)
            opened = self.open_bodies(sealed, at, position)
            if opened is None:
                return Block(offset, envelopes, None, end, sealed)
            bodies = opened
        lines = self._lines(bodies, at)
        if len(lines) != len(envelopes):
            raise self.fault(Corrupt(f"{len(envelopes)} envelopes have {len(lines)} bodies"), at)
        return Block(offset, envelopes, lines, end)

    def _lines(self, raw: bytes, offset: int) -> list[bytes]:
        try:
            return segment.split_lines(raw)
        except Corrupt as error:
            raise self.fault(error, offset) from None

    def _bytes(self, offset: int, size: int) -> int:
        """Have `size` bytes from an offset in the buffer, fewer at the end of the file; where they begin in it."""
        if offset < self._at or offset + size > self._at + len(self._buffer):
            limit = self.size - offset
            self._buffer = read_at(self._fd, min(max(size, _WINDOW), limit), offset) if limit > 0 else b""
            self._at = offset
        return offset - self._at


def encode_bodies(vault: Vault | None, packed: segment.Packed, offset: int, domain: bytes, position: int) -> bytes:
    """A B frame, sealed where a vault is given.

    `domain` is the segment's uuid in 16 bytes, `position` that of the block's first event. Raises KeyFailure.
    """
    if vault is None:
        return segment.encode_packed_frame(segment.B, packed, offset)
    flags = segment.ZLIB if len(packed.stored) < packed.raw else 0
    return segment.encode_sealed_frame(flags, packed.raw, vault.seal_block(packed.stored, domain, position), offset)


class SegmentWriter:
    """A segment while it grows in a temporary file. Blocks are compressed by an executor where one is given.

    Bodies are sealed where `vault` seals.

    `blocks` are (first position, offset), `frames` of commits (first seq, offset); both in order.
    """

    def __init__(
        self,
        file: TemporaryFile,
        *,
        domain: str,
        parent: str | None,
        position: int,
        seq: int,
        pool: Executor | None,
        vault: Vault | None,
    ) -> None:
        self.file = file
        self._vault = vault if vault is not None and vault.seals else None
        self._domain = bytes.fromhex(domain.replace("-", ""))
        self.blocks: list[tuple[int, int]] = []
        self.frames: list[tuple[int, int]] = []
        self._position = position
        self._seq = seq
        self._pool = pool
        self._waiting: list[tuple[int, Packing, Packing]] = []
        self._envelopes: list[bytes] = []
        self._bodies: list[bytes] = []
        self._held = (0, 0)
        self._size = 0
        self._digest = sha256()
        self._write(segment.MAGIC + segment.encode_header_frame(domain, parent, position, seq))

    @classmethod
    def beginning_as(cls, file: TemporaryFile, header: segment.SegmentHeader, vault: Vault | None) -> SegmentWriter:
        """A segment that continues the same commit as another one does."""
        return cls(
            file,
            domain=header.domain,
            parent=header.parent,
            position=header.position,
            seq=header.seq,
            pool=None,
            vault=vault,
        )

    @property
    def position(self) -> int:
        """The position behind the last event that was written with its commit."""
        return self._position

    def add(self, envelopes: Sequence[bytes], bodies: Sequence[bytes]) -> None:
        """Events, in order; blocks are cut where they reach BLOCK_BYTES."""
        mine, theirs = self._envelopes, self._bodies
        size, other = self._held
        for envelope, body in zip(envelopes, bodies, strict=True):
            if other + len(body) > MOST_BYTES and mine:
                self._cut()
                mine, theirs = self._envelopes, self._bodies
                size = other = 0
            mine.append(envelope)
            theirs.append(body)
            size += len(envelope)
            other += len(body)
            if size >= BLOCK_BYTES or other >= BLOCK_BYTES:
                self._cut()
                mine, theirs = self._envelopes, self._bodies
                size = other = 0
        self._held = (size, other)

    def add_block(self, count: int, envelopes: segment.Packed, bodies: segment.Packed) -> None:
        """Events whose lines were packed already, each with its newline: a block as it is, unless it is a small one.

        Raises Corrupt where it is small and does not unpack.
        """
        if max(envelopes.raw, bodies.raw) * 2 < BLOCK_BYTES:
            lines = [segment.unpack(packed, 0).split(b"\n")[:-1] for packed in (envelopes, bodies)]
            self.add(*lines)
            return
        self._cut()
        self._waiting.append((count, envelopes, bodies))
        self._drain(_IN_FLIGHT)

    def add_sealed(self, envelopes: Sequence[bytes], sealed: SealedBodies) -> None:
        """A block whose bodies nobody here can open: as it is, at the position and in the domain it was sealed for."""
        self._cut()
        self._drain(0)
        raw = b"\n".join(envelopes) + b"\n"
        self.blocks.append((self._position, self._size))
        self._position += len(envelopes)
        self._write(segment.encode_frame(segment.E, raw, self._size, compress=True))
        self._write(segment.encode_sealed_frame(sealed.flags, sealed.raw, sealed.stored, self._size))

    def add_commits(self, lines: Sequence[bytes]) -> None:
        """The commits that cover every event added so far."""
        self._cut()
        self._drain(0)
        raw = b"\n".join(lines) + b"\n"
        self.frames.append((self._seq, self._size))
        self._write(segment.encode_frame(segment.C, raw, self._size, compress=True))
        self._seq += len(lines)

    def finish(self) -> tuple[str, int]:
        """Publish the segment durably under its hash: (sha256 in hex, size in bytes)."""
        sha = self._digest.hexdigest()
        self.file.publish(sha + SUFFIX)
        return sha, self._size

    def _cut(self) -> None:
        if not self._envelopes:
            return
        count = len(self._envelopes)
        self._waiting.append((count, self._pack(self._envelopes), self._pack(self._bodies)))
        self._envelopes, self._bodies = [], []
        self._held = (0, 0)
        self._drain(_IN_FLIGHT)

    def _pack(self, lines: list[bytes]) -> Packing:
        raw = b"\n".join(lines) + b"\n"
        # zlib gives up the interpreter while it works, so a thread is a second core.
        return segment.pack(raw) if self._pool is None else self._pool.submit(segment.pack, raw)

    def _drain(self, leave: int) -> None:
        while len(self._waiting) > leave:
            count, envelopes, bodies = self._waiting.pop(0)
            self.blocks.append((self._position, self._size))
            self._write(segment.encode_packed_frame(segment.E, _packed(envelopes), self._size))
            self._write(encode_bodies(self._vault, _packed(bodies), self._size, self._domain, self._position))
            self._position += count

    def _write(self, data: bytes) -> None:
        if self._size + len(data) > MAX_BYTES:
            raise Invalid(
                f"a segment has at most {MAX_BYTES} bytes, and this commit does not fit into one",
                hint="commit fewer events at once",
            )
        self.file.write(data)
        self._digest.update(data)
        self._size += len(data)


def _packed(packing: Packing) -> segment.Packed:
    return packing if isinstance(packing, segment.Packed) else packing.result()
