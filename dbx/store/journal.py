"""The journal: the unsealed tail of the log. An append is one write and one fdatasync.

The file may be preallocated with zeros, so that an append changes no file size and the disk writes one thing only.
An append whose commit begins on another page than its events goes in two synced steps, so that no reordering by the
disk can leave a whole C frame behind missing events, which a reader would have to call damage.
"""

from __future__ import annotations

import errno
import os
import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Corrupt
from dbx.formats import segment
from dbx.store.descriptor import write_all
from dbx.store.fs import PAGE, read_at, sync_data
from dbx.store.segments import Block, Commits, FrameReader, SealedBodies

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.store.fs import Directory

PREFIX = "journal-"
TORN = "journal.torn-"
SEAL_BYTES = 8 * 1024 * 1024
MAX_BYTES = 64 * 1024 * 1024
_GROWTH = 1024 * 1024
_OFTEN = 8
_NONE = "0" * 16
_HEADER = struct.Struct(">c3xI4xI")
_WHOLE_HEADER = struct.Struct(">cBHIII")


def journal_name(seq: int, parent: str | None) -> str:
    """The name of the journal that continues a commit: its own first seq, and the parent's id in hex."""
    return f"{PREFIX}{seq}-{parent[:16] if parent else _NONE}"


class Tail(NamedTuple):
    """What a journal holds from an offset on: items, the end of the last commit, and whether a torn write follows."""

    items: list[Block | Commits]
    end: int
    torn: bool


def scan(reader: FrameReader, start: int, position: int | None = None) -> Tail:
    """Read a journal from the start of a frame on (format.md §6), whose first event stands at a position of the log.

    The position is needed to open sealed bodies, and known where the frame is the first behind the header.

    A frame that is cut short or bad with no whole C frame behind it is a torn write, and ignored. Raises Corrupt for a
    bad frame with a whole C frame behind it.
    """
    items: list[Block | Commits] = []
    covered = 0
    at = end = start
    if position is None:
        position = reader.position_at(start)
    if reader.size - start <= 2 * SEAL_BYTES:
        plain = _scan_plain(reader, start, position)
        if plain is not None:
            return plain
    while not reader.zeros_from(at):
        try:
            item = reader.item(at, position)
        except Corrupt as error:
            if error.details.get("newer") or reader.whole_commit_behind(at):
                raise
            return Tail(items[:covered], end, torn=True)
        items.append(item)
        at = item.end
        if isinstance(item, Commits):
            end, covered = at, len(items)
        elif position is not None:
            position += len(item.envelopes)
    return Tail(items[:covered], end, torn=at > end)


def _scan_plain(reader: FrameReader, start: int, position: int | None) -> Tail | None:
    """What `scan` finds in all that follows `start`; None where a frame is not whole or not in its place.

    Single appends make journals of thousands of small frames: a loop over local names is five times as fast.
    """
    data = reader.rest(start)
    items: list[Block | Commits] = []
    crc32, unpack, header_bytes = zlib.crc32, _WHOLE_HEADER.unpack_from, segment.HEADER_BYTES
    at, behind, size = 0, 0, len(data)
    most_flags = segment.ZLIB if position is None else segment.ZLIB | segment.SEALED
    envelopes: list[bytes] | None = None
    first = 0
    while at + header_bytes <= size and data[at]:
        kind, flags, zero, stored, raw, crc = unpack(data, at)
        body = at + header_bytes
        behind = body + stored
        check = crc32(data[at : at + 12], crc32((start + at).to_bytes(8, "big")))
        if (
            flags > most_flags or zero or behind > size
            or not 0 < stored <= segment.MAX_STORED_BYTES or not 0 < raw <= segment.MAX_RAW_BYTES
        ):  # fmt: skip
            return None
        text = data[body:behind]
        if crc32(text, check) != crc:
            return None
        plain = _plain(reader, kind, flags, raw, text, start + at, position) if flags else text
        if plain is None:
            return None
        lines = plain.split(b"\n")
        if len(plain) != raw or lines.pop():
            return None
        if kind == segment.B:
            if envelopes is None or len(lines) != len(envelopes):
                return None
            items.append(Block(start + first, envelopes, lines, start + behind))
            position = None if position is None else position + len(lines)
            envelopes = None
        elif envelopes is not None:
            return None
        elif kind == segment.E:
            envelopes, first = lines, at
        elif kind == segment.C:
            items.append(Commits(start + at, lines, start + behind))
        else:
            return None
        at = behind
    if envelopes is not None or data.count(0, at) != size - at or (items and not isinstance(items[-1], Commits)):
        return None
    return Tail(items, start + at, torn=False)


def _plain(
    reader: FrameReader, kind: bytes, flags: int, raw: int, text: bytes, at: int, position: int | None
) -> bytes | None:
    """What a frame with flags holds; None where that is to be found out slowly."""
    if flags & segment.SEALED:
        # Damage behind a good checksum is no torn write: it is told.
        return reader.open_bodies(SealedBodies(flags, raw, text), at, position) if kind == segment.B else None
    try:
        return segment.inflate(text, raw, at)
    except Corrupt:
        return None


def sound_end(data: bytes, start: int) -> int | None:
    """Where the last commit of a journal ends, when every frame from `start` on is whole and nothing is torn.

    None when anything is odd: `scan` then says what. Only checksums are compared, nothing is inflated or split, so
    that a process can afford it before its first append.
    """
    at, end, size = start, start, len(data)
    crc32, unpack = zlib.crc32, _HEADER.unpack_from
    while at + segment.HEADER_BYTES <= size and data[at]:
        kind, stored, crc = unpack(data, at)
        behind = at + segment.HEADER_BYTES + stored
        check = crc32(data[at : at + 12], crc32(at.to_bytes(8, "big")))
        if behind > size or crc32(data[at + segment.HEADER_BYTES : behind], check) != crc:
            return None
        at = behind
        if kind == segment.C:
            end = at
    return end if at == end and data.count(0, at) == size - at else None


class Journal:
    """A journal open for appending. `end` is where its last commit ends, `size` how long the file is."""

    __slots__ = ("_directory", "_fd", "_path", "appends", "end", "name", "size")

    def __init__(self, directory: Directory, name: str, end: int) -> None:
        self._directory = directory
        self._fd = directory.open_write(name)
        self._path = directory.path_of(name)
        self.name = name
        self.end = end
        self.size = os.fstat(self._fd).st_size
        self.appends = 0

    @staticmethod
    def create(directory: Directory, name: str, header_frame: bytes) -> Journal:
        """A new, empty journal, durable."""
        data = segment.MAGIC + header_frame
        directory.write(name, data)
        return Journal(directory, name, len(data))

    def close(self) -> None:
        """Close the descriptor."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @property
    def reader(self) -> FrameReader:
        """A reader of the file as it is now."""
        return FrameReader(self._fd, self.name)

    def untouched(self) -> bool:
        """Whether the file still has its name and nothing was appended by anybody else. Cheap: two system calls.

        It must not be asked for its size or times: since Linux 6.13, a write after such a question gives the inode a
        new time of its own, instead of one for each tick of the clock, and that costs half as much as the sync.
        """
        return os.access(self._path, os.F_OK) and not os.pread(self._fd, 1, self.end).strip(b"\0")

    @property
    def is_busy(self) -> bool:
        """Whether this process has appended often enough to expect more."""
        return self.appends >= _OFTEN

    def gap(self, end: int, length: int) -> int:
        """How far it is from `end` to the next page, where events of `length` bytes would not fit before it; else 0.

        Filled up, it spares the next append its second step. Only where zeros were written ahead, and little is lost.
        """
        left = -end % PAGE
        return left if 0 < left <= length <= PAGE // 2 and end + left <= self.size else 0

    def append(self, events: bytes, commits: bytes, meanwhile: Callable[[], None] | None = None) -> None:
        """E and B frames, then C frames; on disk on return, and only then does `end` move.

        `meanwhile` is called while the disk is at work, which takes no processor: after the write, before the sync.
        On any error the file is cut back to where it ended and this object is closed: a descriptor whose fsync failed
        is not to be trusted again.
        """
        try:
            self._append(events, commits, meanwhile)
        except BaseException:
            self.close()
            fd = self._directory.open_write(self.name)
            try:
                os.ftruncate(fd, self.end)
                sync_data(fd)
            finally:
                os.close(fd)
            raise

    def _append(self, events: bytes, commits: bytes, meanwhile: Callable[[], None] | None) -> None:
        at, length = self.end, len(events) + len(commits)
        if at + length > self.size and self.is_busy:
            self._preallocate(max(_GROWTH, length))
        self.appends += 1
        if at // PAGE != (at + len(events)) // PAGE:
            write_all(self._fd, events, at)
            sync_data(self._fd)
            write_all(self._fd, commits, at + len(events))
        else:
            data = events + commits
            if (done := os.pwrite(self._fd, data, at)) < length:
                write_all(self._fd, data[done:], at + done)
        if meanwhile is not None:
            if at + length <= self.size:  # where the file grows, the disk has more to do than to write
                _start_writing(self._fd, at, length)
            meanwhile()
        sync_data(self._fd)
        self.end = at + length
        self.size = max(self.size, self.end)

    def _preallocate(self, length: int) -> None:
        # Real zeros: fallocate leaves extents that the first write must convert, which costs what was to be saved.
        try:
            write_all(self._fd, bytes(length), self.size)
            sync_data(self._fd)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            self.appends = -(10**9)  # the append itself may still fit
        self.size = os.fstat(self._fd).st_size

    def cut(self) -> None:
        """Cut a torn tail off, durably."""
        os.ftruncate(self._fd, self.end)
        sync_data(self._fd)
        self.size = self.end

    def read(self) -> bytes:
        """The whole file."""
        return read_at(self._fd, self.size, 0)

    def torn_bytes(self) -> bytes:
        """What follows the last commit."""
        return read_at(self._fd, max(0, self.size - self.end), self.end)


def _start_writing(fd: int, offset: int, length: int) -> None:
    """Have the disk begin with what was just written, and do not wait: the sync does, after what is done meanwhile.

    DONTNEED writes the pages that the range touches, and drops none that it covers only in part.
    """
    if length < PAGE:
        try:
            os.posix_fadvise(fd, offset, length, os.POSIX_FADV_DONTNEED)
        except (OSError, AttributeError):
            return  # it is a hint, and not every system takes one; whether the write went well, the sync says
