"""Bodies that are folded later, block by block. Of those in a file that stays only the place is kept, and they are read
again: so none of a long history need be held, and what comes last can be folded first."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Corrupt
from dbx.formats import segment
from dbx.store.segments import FrameReader, SealedBodies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dbx.crypto.vault import Vault
    from dbx.store.fs import Directory

    Locate = Callable[[Corrupt], Corrupt]
    """Says in an error where the block lies that it is about."""

_AT_ONCE = 16
_BYTES_AT_ONCE = 4 * 1024 * 1024


class Place(NamedTuple):
    """Where bodies lie: a file of a directory, and the offset of their B frame."""

    directory: Directory
    name: str
    offset: int


class HeldBlock(NamedTuple):
    """Bodies of a block, `size` bytes, whose first event is number `first` of those that are held; `has_special` says
    whether it has events that are not folded, reserved ones or such without a body."""

    first: int
    events: int
    size: int
    bodies: Place | Sequence[bytes]
    has_special: bool
    locate: Locate


class HeldBodies:
    """Blocks in the order of their events.

    `vault` opens bodies that are sealed; `size` is how many bytes are in memory.
    """

    def __init__(self, vault: Vault | None) -> None:
        self._vault = vault
        self._blocks: list[HeldBlock] = []
        self.size = 0

    def hold(self, block: HeldBlock) -> None:
        """One more block."""
        self._blocks.append(block)
        if not isinstance(block.bodies, Place):
            self.size += block.size

    def forwards(self, position: int) -> Iterator[tuple[HeldBlock, Sequence[bytes]]]:
        """Every block with its bodies; the first event that is held stands at a position of the log.

        Raises Corrupt where a file is no longer as it was.
        """
        return self._read(self._blocks, position)

    def backwards(self, position: int) -> Iterator[list[tuple[HeldBlock, Sequence[bytes]]]]:
        """As `forwards`, some blocks at a time, the last ones first."""
        end = len(self._blocks)
        while end:
            # Some at a time are read forwards, as a file is read through a window.
            start, size = end, 0
            while start and end - start < _AT_ONCE and size < _BYTES_AT_ONCE:
                start -= 1
                size += self._blocks[start].size
            found = list(self._read(self._blocks[start:end], position))
            found.reverse()
            yield found
            end = start

    def _read(self, blocks: Sequence[HeldBlock], position: int) -> Iterator[tuple[HeldBlock, Sequence[bytes]]]:
        reader: FrameReader | None = None
        opened: tuple[Directory, str] | None = None
        fd = -1
        try:
            for block in blocks:
                place = block.bodies
                if not isinstance(place, Place):
                    yield block, place
                    continue
                if reader is None or opened != (place.directory, place.name):
                    if fd >= 0:
                        os.close(fd)
                    opened = place.directory, place.name
                    fd = place.directory.open_read(place.name)
                    reader = FrameReader(fd, place.name, vault=self._vault)
                yield block, _lines(reader, place.offset, position + block.first, block.events)
        finally:
            if fd >= 0:
                os.close(fd)


def _lines(reader: FrameReader, offset: int, position: int, count: int) -> list[bytes]:
    frame, data, _ = reader.frame(offset)
    opened: bytes | None = data
    if frame.flags & segment.SEALED:
        opened = reader.open_bodies(SealedBodies(frame.flags, frame.raw, data), offset, position)
    lines = [] if opened is None else opened.split(b"\n")
    if len(lines) != count + 1:
        raise reader.fault(Corrupt("the file has changed while it was checked"), offset)
    lines.pop()
    return lines
