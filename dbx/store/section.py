"""Writing staging.jsonl: sections are added at the end, each with its seal."""

from __future__ import annotations

import errno
import os
from hashlib import sha256
from typing import TYPE_CHECKING

from dbx.formats import staging
from dbx.formats.segment import pack
from dbx.store.descriptor import write_all
from dbx.store.fs import PAGE, read_at, sync_data
from dbx.store.segments import BLOCK_BYTES, MOST_BYTES
from dbx.store.staging import NAME, seal_bodies

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dbx.crypto.vault import Vault
    from dbx.formats.segment import Packed
    from dbx.store.fs import Directory, TemporaryFile

_CHUNK = 1024 * 1024
_HELD = 4 * 1024 * 1024
_BLOCKS_FROM = 64  # events


def encode_events(envelopes: Sequence[bytes], bodies: Sequence[bytes], vault: Vault | None = None) -> bytes:
    """Events as they are staged: few as lines, which people can read, many as blocks of the size that segments have.

    Where the vault seals, always as blocks. Raises KeyFailure.
    """
    if len(envelopes) < _BLOCKS_FROM and not (vault is not None and vault.seals):
        return staging.encode_lines(envelopes, bodies)
    return b"".join(
        [
            encode_block(stop - start, pack_lines(envelopes[start:stop]), pack_lines(bodies[start:stop]), vault)
            for start, stop in cut_blocks(envelopes, bodies)
        ]
    )


def encode_block(events: int, envelopes: Packed, bodies: Packed, vault: Vault | None) -> bytes:
    """So many events as a block, sealed where the vault seals. Raises KeyFailure."""
    if vault is None or not vault.seals:
        return staging.encode_block(events, envelopes, bodies)
    return staging.encode_block(events, envelopes, seal_bodies(vault, envelopes, bodies), sealed=True)


def pack_lines(lines: Sequence[bytes]) -> Packed:
    """Lines without their newlines as half of a block."""
    return pack(b"\n".join(lines) + b"\n")


def cut_blocks(envelopes: Sequence[bytes], bodies: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Where to cut events into blocks (from, to): BLOCK_BYTES or more as they come, MOST_BYTES only with one event."""
    count = len(envelopes)
    blocks = max(sum(map(len, envelopes)), sum(map(len, bodies))) // BLOCK_BYTES
    step = -(-count // max(1, blocks))
    for start in range(0, count, step):
        yield from _halved(envelopes, bodies, start, min(start + step, count))


def _halved(envelopes: Sequence[bytes], bodies: Sequence[bytes], start: int, stop: int) -> Iterator[tuple[int, int]]:
    size = max(sum(map(len, lines[start:stop])) for lines in (envelopes, bodies)) + stop - start
    if size <= MOST_BYTES or stop - start == 1:
        yield start, stop
    else:
        middle = (start + stop) // 2
        yield from _halved(envelopes, bodies, start, middle)
        yield from _halved(envelopes, bodies, middle, stop)


class Section:
    """A section being written: the first one makes the file, the others are added behind the seal that ends at `at`.

    Nothing is visible until `finish`, and after a crash the section is there whole or not at all.
    """

    def __init__(self, directory: Directory, *, header: bytes = b"", at: int = 0, vault: Vault | None = None) -> None:
        self._directory = directory
        self._vault = vault
        self._at = at
        self._digest = sha256()
        self._parts: list[bytes] = [header] if header else []
        self._held = len(header)
        self._spilled = 0
        self._temporary: TemporaryFile | None = None
        self._fresh = bool(header)
        self.events = 0
        self.seal = ""

    def add(self, envelopes: list[bytes], bodies: list[bytes]) -> None:
        """Events, in order."""
        data = encode_events(envelopes, bodies, self._vault)
        self._digest.update(data)
        self._parts.append(data)
        self._held += len(data)
        self.events += len(envelopes)
        if self._held > _HELD:
            self._spill()

    def target(self) -> tuple[int, int]:
        """(descriptor, offset) for another process to write the next event lines to; nothing may be added meanwhile."""
        return self._spill().fd, self._spilled

    def take(self, size: int, events: int) -> None:
        """Take over the lines that another process wrote where `target` said. Raises OSError where they are not."""
        fd, at = self.target()
        end = at + size
        while at < end:
            data = read_at(fd, min(_CHUNK, end - at), at)
            if not data:
                raise OSError(errno.EIO, "lines are missing", NAME)
            self._digest.update(data)
            at += len(data)
        os.lseek(fd, end, os.SEEK_SET)
        self._spilled = end
        self.events += events

    def finish(self) -> int:
        """Write the seal and make the section durable; where the seal ends. Its hash is `seal` then."""
        self.seal = self._digest.hexdigest()
        self._parts.append(staging.encode_seal(self.events, self.seal))
        if self._fresh:
            temporary = self._spill()
            end = self._spilled
            temporary.publish(NAME)
        else:
            end = self._append()
        self.discard()
        return end

    def discard(self) -> None:
        """Forget it, and what was written of it."""
        if self._temporary is not None:
            self._temporary.discard()
            self._temporary = None

    def _spill(self) -> TemporaryFile:
        if self._temporary is None:
            self._temporary = self._directory.temporary()
        data = b"".join(self._parts)
        self._temporary.write(data)
        self._spilled += len(data)
        self._parts, self._held = [], 0
        return self._temporary

    def _append(self) -> int:
        fd = self._directory.open_write(NAME)
        try:
            if os.fstat(fd).st_size > self._at:
                os.ftruncate(fd, self._at)
                sync_data(fd)
            end = self._at
            if self._temporary is not None:
                while end - self._at < self._spilled:
                    data = read_at(self._temporary.fd, _CHUNK, end - self._at)
                    write_all(fd, data, end)
                    end += len(data)
            seal = self._parts.pop()
            data = b"".join(self._parts)
            if self._at // PAGE == (end + len(data)) // PAGE:
                data += seal
                seal = b""
            write_all(fd, data, end)
            sync_data(fd)
            if seal:
                # Only now: no reordering by the disk may leave a whole seal behind missing lines.
                write_all(fd, seal, end + len(data))
                sync_data(fd)
            return end + len(data) + len(seal)
        except BaseException:
            os.ftruncate(fd, self._at)
            raise
        finally:
            os.close(fd)
