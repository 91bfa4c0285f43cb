"""staging.jsonl on disk: sections are added at the end, each sealed; what follows the last seal was interrupted."""

from __future__ import annotations

import errno
import os
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Corrupt
from dbx.formats import staging
from dbx.store.fs import PAGE, read_at, sync_data, write_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.store.fs import Directory, TemporaryFile

NAME = "staging.jsonl"
_CHUNK = 1024 * 1024
_HELD = 4 * 1024 * 1024
_HEADER_BYTES = 256
_SEAL_BYTES = 128  # more than a seal has


class StagingHeader(NamedTuple):
    """The batch and the domain of a staging file, the size of its first line, and what its last line says.

    `seal` is the SHA-256 of the last section where the file ends with a whole seal, else "".
    """

    batch: str
    domain: str
    size: int
    seal: str


class Seals(NamedTuple):
    """Where the last seal ends, and what all of them say (`chain_seal`), "" for none."""

    end: int
    seals: str


class ForeignBatch(FileNotFoundError):  # noqa: N818 - named for what happened
    """The file is there, but it holds another batch: the one that was asked for was committed or dropped meanwhile."""


class EditedSeals(Exception):  # noqa: N818 - not an error, but the sign to look at the events themselves
    """The sections fit their seals, but these are not the seals that were noted when they were written."""


def chain_seal(before: str, seal: str) -> str:
    """What the seals up to the next one say: its hash, behind a hash of what those before it say."""
    return f"{sha256(before.encode()).hexdigest()}:{seal}"


def find_header(directory: Directory) -> tuple[StagingHeader, int] | None:
    """What the file begins with, and its size in bytes; None where nothing is staged. Raises Corrupt."""
    try:
        fd = directory.open_read(NAME)
    except FileNotFoundError:
        return None
    try:
        data = os.pread(fd, 4096, 0)
        size = os.fstat(fd).st_size
        last = data[-_SEAL_BYTES:] if size <= len(data) else os.pread(fd, _SEAL_BYTES, size - _SEAL_BYTES)
    finally:
        os.close(fd)
    line, newline, _ = data.partition(b"\n")
    try:
        if not newline:
            raise Corrupt("its first line is cut short")
        batch, domain = staging.decode_header(line)
    except Corrupt as error:
        raise Corrupt(
            f"'{NAME}' is damaged: {error.message}",
            hint="look at it, then drop it with 'dbx reset'",
            details={"file": NAME, "offset": 0},
        ) from None
    return StagingHeader(batch, domain, len(line) + 1, _last_seal(last)), size


def _last_seal(data: bytes) -> str:
    start = data.rfind(b"\n", 0, -1) + 1
    try:
        return staging.decode_seal(data[start:])[1] if start and data.endswith(b"\n") else ""
    except Corrupt:
        return ""


class Section:
    """A section being written: the first one makes the file, the others are added behind the seal that ends at `at`.

    Nothing is visible until `finish`, and after a crash the section is there whole or not at all.
    """

    def __init__(self, directory: Directory, *, header: bytes = b"", at: int = 0) -> None:
        self._directory = directory
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
        data = staging.encode_lines(envelopes, bodies)
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


def read_events(
    directory: Directory, size: int, *, batch: str | None = None, seals: str | None = None
) -> Iterator[list[bytes]]:
    """The event lines of all sections, in lists, without newlines; `size` is where the last seal ends.

    A section's lines come before its hash has been compared: nothing may be made of them until this is exhausted.
    Raises Corrupt naming the byte before which a section is not what its seal says; ForeignBatch where the file is not
    of `batch`, and at the end EditedSeals where `seals` is given and the file says something else.
    """
    fd = directory.open_read(NAME)
    try:
        if batch is not None and f'"{batch}"'.encode() not in os.pread(fd, _HEADER_BYTES, 0).partition(b"\n")[0]:
            raise ForeignBatch(errno.ENOENT, "another batch is staged", NAME)
        last, found = 0, ""
        for lines, sealed, seal in _sections(fd, size):
            if lines:
                yield lines
            last = sealed or last
            if seal:
                found = chain_seal(found, seal)
        if last != size:
            raise _fault(size, "its last section has no seal")
        if seals is not None and seals != found:
            raise EditedSeals
    finally:
        os.close(fd)


def sealed_size(directory: Directory) -> int:
    """Where the last seal ends; what follows is an interrupted write. Raises Corrupt for a damaged section."""
    return scan_seals(directory).end


def scan_seals(directory: Directory) -> Seals:
    """What the seals say, each compared with its section. Raises Corrupt for a damaged section."""
    fd = directory.open_read(NAME)
    try:
        last, found = 0, ""
        for _, sealed, seal in _sections(fd, os.fstat(fd).st_size):
            last = sealed or last
            if seal:
                found = chain_seal(found, seal)
        return Seals(last, found)
    finally:
        os.close(fd)


def _sections(fd: int, end: int) -> Iterator[tuple[list[bytes], int, str]]:
    """(event lines, 0, "") and ([], where a seal or the header ends, the hash in the seal).

    A last line without newline or seal is passed over in silence.
    """
    digest = sha256()
    count = at = 0
    line_start = 0
    rest = b""
    first = True
    while at < end:
        data = read_at(fd, min(_CHUNK, end - at), at)
        if not data:
            break
        at += len(data)
        lines = (rest + data).split(b"\n")
        rest = lines.pop()
        if len(rest) > staging.MAX_LINE_BYTES:
            # No event. If a seal follows it will not fit; if none does, this is what a power cut left of a write.
            digest.update(rest)
            line_start += len(rest)
            rest = b""
        start = 0
        for number, line in enumerate(lines):
            line_start += len(line) + 1
            if first:
                first, start = False, 1
                yield [], line_start, ""
            elif line.startswith(staging.SEAL_START):
                part = lines[start:number]
                if part:
                    digest.update(b"\n".join(part) + b"\n")
                    yield part, 0, ""
                _check_seal(line, count + len(part), digest.hexdigest(), line_start)
                yield [], line_start, digest.hexdigest()
                digest, count, start = sha256(), 0, number + 1
        part = lines[start:]
        if part:
            count += len(part)
            digest.update(b"\n".join(part) + b"\n")
            yield part, 0, ""


def _check_seal(line: bytes, count: int, sha: str, offset: int) -> None:
    try:
        if staging.decode_seal(line) == (count, sha):
            return
        sentence = "a section does not have the hash of its seal"
    except Corrupt as error:
        sentence = error.message
    raise _fault(offset, sentence)


def _fault(offset: int, sentence: str) -> Corrupt:
    return Corrupt(
        f"'{NAME}' is damaged before byte {offset}: {sentence}",
        hint="look at it, then drop it with 'dbx reset'",
        details={"file": NAME, "offset": offset},
    )
