"""The frames of one file: each one's checksum and place, going on behind a damaged one wherever that is possible."""

from __future__ import annotations

import os
import zlib
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Corrupt
from dbx.formats import segment
from dbx.store.fs import read_at

if TYPE_CHECKING:
    from dbx.crypto.vault import Vault
    from dbx.formats.segment import SegmentHeader
    from dbx.repo.check.finding import Findings
    from dbx.store.fs import Directory

BLOCK = 0
"""An E frame and, if it can be read, its B frame: (BLOCK, offset of E, offset of B or -1)."""
LOST = 1
"""An E frame that cannot be read: (LOST, its offset, offset of the B frame behind it or -1)."""
COMMITS = 2
"""A C frame: (COMMITS, offset, 0)."""
GAP = 3
"""Bytes of which nothing is known, or a C frame that cannot be read: (GAP, offset, end)."""

_WINDOW = 1024 * 1024
_HEADER = segment.HEADER_BYTES
_NAMES = {b"H": "header", b"E": "envelopes", b"B": "bodies", b"C": "commits"}


class Vanished(Exception):  # noqa: N818 - not an error: the file was sealed or merged away, begin again
    """A file that was there is gone."""


class Source:
    """A file that is read through a window. It may be closed, and is opened again when it is next read.

    Raises FileNotFoundError when it is made, Vanished later, Corrupt for what is no regular file. `vault` opens sealed
    bodies; `place` (offset, position) and `domain` are what is known for that (`repo.check.sealed`).
    """

    __slots__ = ("_at", "_buffer", "_directory", "_fd", "domain", "name", "place", "size", "vault")

    def __init__(self, directory: Directory, name: str, vault: Vault | None = None) -> None:
        self._directory = directory
        self.vault = vault
        self.domain: bytes | None = None
        self.place: tuple[int, int | None] = 0, None
        self._fd = directory.open_read(name)
        self.name = name
        self.size = os.fstat(self._fd).st_size
        self._buffer = b""
        self._at = 0

    @property
    def fd(self) -> int:
        """A descriptor of the file."""
        if self._fd < 0:
            try:
                self._fd = self._directory.open_read(self.name)
            except FileNotFoundError:
                raise Vanished(self.name) from None
        return self._fd

    def get(self, offset: int, size: int) -> bytes:
        """`size` bytes from an offset, fewer at the end of the file."""
        start = offset - self._at
        if start < 0 or start + size > len(self._buffer):
            want = max(0, min(max(size, _WINDOW), self.size - offset))
            self._buffer = read_at(self.fd, want, offset) if want else b""
            self._at, start = offset, 0
        return self._buffer[start : start + size]

    def frame(self, offset: int) -> tuple[bytes, int, int]:
        """(raw bytes, flags, end) of a frame. Raises Corrupt."""
        stored = int.from_bytes(self.get(offset + 4, 4), "big")
        data = self.get(offset, _HEADER + min(stored, segment.MAX_STORED_BYTES))
        header, raw, end = segment.decode_frame(data, 0, offset)
        return raw, header.flags, offset + end

    def digest(self) -> str:
        """SHA-256 of the whole file, in hex."""
        digest = sha256()
        at = 0
        while at < self.size and (data := read_at(self.fd, min(_WINDOW, self.size - at), at)):
            digest.update(data)
            at += len(data)
        return digest.hexdigest()

    def close(self) -> None:
        """Close the file for now."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._buffer = b""
        self._at = 0

    def tail(self, offset: int) -> bytes:
        """All that follows an offset, as it is now."""
        return read_at(self.fd, max(0, os.fstat(self.fd).st_size - offset), offset)

    def grow(self) -> None:
        """Look how long the file is now, and forget what was read of it."""
        self.size = os.fstat(self.fd).st_size
        self._buffer = b""


class Walk(NamedTuple):
    """A file's frames. `end` is behind its last C frame; `torn` says that an interrupted write follows there."""

    source: Source
    header: SegmentHeader | None
    items: list[tuple[int, int, int]]
    end: int
    torn: bool


class _Frame(NamedTuple):
    kind: bytes
    offset: int
    end: int
    good: bool


def walk(source: Source, findings: Findings, *, journal: bool) -> Walk:
    """Every frame of a segment, or of a journal, whose end is where only zeros or an interrupted write follow."""
    header = _header(source, findings)
    if header is None and source.get(0, len(segment.MAGIC)) != segment.MAGIC:
        return Walk(source, None, [(GAP, 0, source.size)], source.size, False)
    _, at = _probe(source, len(segment.MAGIC))
    gaps: list[tuple[int, int, int]] = []
    if at is None:
        at = _behind(source, len(segment.MAGIC))
    if at is None:
        at = segment.find_commit_frame(read_at(source.fd, source.size, 0), len(segment.MAGIC)) or source.size
        gaps.append((GAP, len(segment.MAGIC), at))
    frames, torn = _frames(source, at, findings, journal=journal)
    covered = max((n for n, frame in enumerate(frames, 1) if frame.kind == segment.C and frame.good), default=0)
    end = frames[covered - 1].end if covered else at
    if journal:
        torn = torn or len(frames) > covered
        frames = frames[:covered]
    elif end != source.size:
        findings.error("segment.end", "the segment does not end with a frame of commits", source.name, source.size)
    return Walk(source, header, gaps + _group(source, frames, findings), end, torn)


def _header(source: Source, findings: Findings) -> SegmentHeader | None:
    if source.get(0, len(segment.MAGIC)) != segment.MAGIC:
        findings.error("segment.magic", "the file does not begin as a segment does", source.name, 0)
        return None
    at = len(segment.MAGIC)
    try:
        raw, _, _ = source.frame(at)
        if source.get(at, 1) != segment.H:
            raise Corrupt("a header frame was expected")
        return segment.decode_header(raw)
    except Corrupt as error:
        findings.error("segment.header", error.message, source.name, at)
        return None


def _probe(source: Source, at: int) -> tuple[bytes, int | None]:
    """(kind, end) of the frame at an offset, its end None when its header or checksum is not good."""
    header = source.get(at, _HEADER)
    parsed = segment.parse_header(header, 0)
    if parsed is None:
        return header[:1], None
    end = at + _HEADER + parsed.stored
    if end > source.size:
        return parsed.kind, None
    crc = zlib.crc32(header[:12], zlib.crc32(at.to_bytes(8, "big")))
    if zlib.crc32(source.get(at + _HEADER, parsed.stored), crc) != parsed.crc:
        return parsed.kind, None
    return parsed.kind, end


def _behind(source: Source, at: int) -> int | None:
    """Where the next frame begins if the lengths of the bad one at `at` can be believed: a good frame stands there."""
    stored = int.from_bytes(source.get(at + 4, 4), "big")
    end = at + _HEADER + stored
    if stored and (end == source.size or (end < source.size and _probe(source, end)[1] is not None)):
        return end
    return None


def _frames(source: Source, at: int, findings: Findings, *, journal: bool) -> tuple[list[_Frame], bool]:
    """Every frame from an offset on, and whether they end with a torn write."""
    frames: list[_Frame] = []
    size = source.size
    while at < size:
        kind, end = _probe(source, at)
        if end is not None:
            frames.append(_Frame(kind, at, end, good=True))
            at = end
            continue
        if journal and kind == b"\0" and _only_zeros(source, at):
            break
        following = segment.find_commit_frame(read_at(source.fd, size, 0), at)
        if journal and following is None and not _is_newer(source, at):
            return frames, True
        behind = _behind(source, at)
        if behind is None:
            behind = size if following is None else following
            frames.append(_Frame(b"?", at, behind, good=False))
        else:
            before = frames[-1].kind if frames else b"C"
            then = _probe(source, behind)[0] if behind < size else b""
            guess = b"B" if before == b"E" else b"E" if then == b"B" else b"C"
            frames.append(_Frame(guess, at, behind, good=False))
        _tell(source, frames[-1], findings)
        at = behind
    return frames, False


def _tell(source: Source, frame: _Frame, findings: Findings) -> None:
    at = frame.offset
    try:
        source.frame(at)
        sentence = f"the frame at byte {at} cannot be read"
    except Corrupt as error:
        sentence = error.message
    what = _NAMES.get(frame.kind)
    sentence += f"; {frame.end - at} bytes are lost" if what is None else f"; it should hold {what}"
    findings.error("frame", sentence, source.name, at)


def _group(source: Source, frames: list[_Frame], findings: Findings) -> list[tuple[int, int, int]]:
    """Frames as items. Says where their order is wrong."""
    items: list[tuple[int, int, int]] = []
    n = 0
    while n < len(frames):
        frame = frames[n]
        n += 1
        if frame.kind == segment.E:
            bodies = -1
            if n < len(frames) and frames[n].kind == segment.B:
                bodies = frames[n].offset if frames[n].good else -1
                n += 1
            elif n == len(frames) or frames[n].good:
                findings.error(
                    "frame.order", "a frame of envelopes has no frame of bodies behind it", source.name, frame.offset
                )
            items.append((BLOCK if frame.good else LOST, frame.offset, bodies))
        elif frame.kind == segment.C and frame.good:
            items.append((COMMITS, frame.offset, 0))
        else:
            if frame.good:
                what = _NAMES[frame.kind]
                findings.error("frame.order", f"a frame of {what} does not belong here", source.name, frame.offset)
            items.append((GAP, frame.offset, frame.end))
    return items


def _is_newer(source: Source, at: int) -> bool:
    try:
        source.frame(at)
    except Corrupt as error:
        return bool(error.details.get("newer"))
    return False


def _only_zeros(source: Source, at: int) -> bool:
    while at < source.size:
        data = source.get(at, min(_WINDOW, source.size - at))
        if not data:
            return True
        if data.count(0) != len(data):
            return False
        at += len(data)
    return True
