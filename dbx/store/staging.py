"""Reading staging.jsonl: sealed sections, each compared with its seal; what follows the last seal was interrupted."""

from __future__ import annotations

import errno
import os
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from dbx.crypto.vault import NEED_KEY
from dbx.errors import Corrupt, KeyFailure
from dbx.formats import staging
from dbx.formats.segment import Packed, unpack
from dbx.store.fs import read_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.crypto.vault import Vault
    from dbx.store.fs import Directory

NAME = "staging.jsonl"
_CHUNK = 1024 * 1024
_SEALED_FOR = b"dbx1G"
_HEADER_BYTES = 256
_SEAL_BYTES = 128  # more than a seal has
_NONE = Packed(b"", 0)


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


class StagedBlock(NamedTuple):
    """Some events in a row: their lines of envelopes and of bodies, packed, each with its newline; or, in `lines`, both
    halves of each.

    `offset` is where they begin in the file, `events` how many they say they are. `sealed` says that the bodies could
    not be opened: their key is missing.
    """

    offset: int
    events: int
    envelopes: Packed
    bodies: Packed
    lines: list[bytes]
    sealed: bool = False

    @property
    def size(self) -> int:
        """How many bytes its lines have."""
        return self.envelopes.raw + self.bodies.raw + sum(map(len, self.lines))

    def pairs(self) -> list[tuple[bytes, bytes]]:
        """(envelope, body) of each. Raises Corrupt naming the file, KeyFailure."""
        try:
            if self.lines:
                return [staging.split_line(line) for line in self.lines]
            self.check()
            return list(zip(self._split(self.envelopes), self._split(self.bodies), strict=True))
        except Corrupt as error:
            raise _fault(self.offset, error.message) from None

    def located(self) -> Iterator[tuple[int, bytes, bytes]]:
        """(offset of its line in the file, or of its block, envelope, body) of each event. Raises as `pairs`."""
        at = self.offset
        for envelope, body in self.pairs():
            yield at, envelope, body
            if self.lines:
                at += len(envelope) + len(body) + len('{"envelope":,"body":}') + 1

    def check(self) -> None:
        """Raise KeyFailure where the bodies are sealed."""
        if self.sealed:
            raise KeyFailure("what is staged is sealed, and the key (DEK) is missing", hint=NEED_KEY)

    def _split(self, packed: Packed) -> list[bytes]:
        lines = unpack(packed, self.offset).split(b"\n")
        if lines.pop() or len(lines) != self.events:
            raise Corrupt("a block does not have as many lines as it says")
        return lines


def read_events(
    directory: Directory,
    size: int,
    *,
    batch: str | None = None,
    seals: str | None = None,
    vault: Vault | None = None,
) -> Iterator[list[tuple[bytes, bytes]]]:
    """`read_blocks`, each taken apart to (envelope, body)."""
    for block in read_blocks(directory, size, batch=batch, seals=seals, vault=vault):
        yield block.pairs()


def read_blocks(
    directory: Directory,
    size: int,
    *,
    batch: str | None = None,
    seals: str | None = None,
    vault: Vault | None = None,
) -> Iterator[StagedBlock]:
    """The events of all sections; `size` is where the last seal ends.

    A section's events come before its hash has been compared: nothing may be made of them until this is exhausted.
    Raises Corrupt naming the byte before which a section is not what its seal says; ForeignBatch where the file is not
    of `batch`, and at the end EditedSeals where `seals` is given and the file says something else.
    """
    fd = directory.open_read(NAME)
    try:
        if batch is not None and f'"{batch}"'.encode() not in os.pread(fd, _HEADER_BYTES, 0).partition(b"\n")[0]:
            raise ForeignBatch(errno.ENOENT, "another batch is staged", NAME)
        last, found = 0, ""
        for block, sealed, seal in _sections(fd, size):
            if block is not None:
                yield open_bodies(block, vault) if block.sealed else block
            last = sealed or last
            if seal:
                found = chain_seal(found, seal)
        if last != size:
            raise _fault(size, "its last section has no seal")
        if seals is not None and seals != found:
            raise EditedSeals
    finally:
        os.close(fd)


def seal_bodies(vault: Vault, envelopes: Packed, bodies: Packed) -> Packed:
    """The bodies of a block sealed for its envelopes, both as they are stored. Raises KeyFailure."""
    return bodies._replace(stored=vault.seal_text(bodies.stored, _SEALED_FOR + sha256(envelopes.stored).digest()))


def open_bodies(block: StagedBlock, vault: Vault | None) -> StagedBlock:
    """A sealed block opened, where the key is there. Raises Corrupt naming the file."""
    if vault is None or vault.is_locked:
        return block
    try:
        stored = vault.open_text(block.bodies.stored, _SEALED_FOR + sha256(block.envelopes.stored).digest())
    except Corrupt as error:
        raise _fault(block.offset, error.message) from None
    return block._replace(bodies=block.bodies._replace(stored=stored), sealed=False)


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


class _Window:
    """A part of a file, moved forward. `at` is the offset of `data` in the file, `pos` where in it one reads on."""

    def __init__(self, fd: int, end: int) -> None:
        self._fd = fd
        self._end = end
        self.data = b""
        self.at = 0
        self.pos = 0

    @property
    def offset(self) -> int:
        """Where in the file one reads on."""
        return self.at + self.pos

    def more(self, size: int = _CHUNK) -> bool:
        """Have up to so many bytes more, and forget those before `pos`; False at the end."""
        have = self.at + len(self.data)
        data = read_at(self._fd, min(size, self._end - have), have) if have < self._end else b""
        self.data = self.data[self.pos :] + data
        self.at += self.pos
        self.pos = 0
        return bool(data)

    def line(self) -> bytes:
        """The next line with its newline, or as much of it as a line may have; b"" where none ends before the end."""
        while True:
            newline = self.data.find(b"\n", self.pos)
            if newline >= 0:
                return self.take(newline + 1 - self.pos)
            if len(self.data) - self.pos > staging.MAX_LINE_BYTES:
                return self.take(len(self.data) - self.pos)
            if not self.more():
                return b""

    def fits(self, size: int) -> bool:
        """Whether so many bytes follow before the end; they are in `data` then."""
        if self.offset + size > self._end:
            return False
        missing = self.pos + size - len(self.data)
        if missing > 0:
            self.more(max(missing, _CHUNK))
        return self.pos + size <= len(self.data)

    def take(self, size: int) -> bytes:
        """So many bytes, which are there."""
        self.pos += size
        return self.data[self.pos - size : self.pos]


def _sections(fd: int, end: int) -> Iterator[tuple[StagedBlock | None, int, str]]:
    """(events, 0, "") and (None, where a seal or the header ends, the hash in the seal).

    A tail without a seal is passed over in silence. What is no event, no block and no seal counts as an event: where a
    seal follows it does not fit, or nobody can take the event apart.
    """
    digest = sha256()
    count = size = 0
    lines: list[bytes] = []
    window = _Window(fd, end)
    if window.line():
        yield None, window.offset, ""
    while line := window.line():
        block = staging.find_block(line) if line.startswith(staging.BLOCK_START) else None
        is_seal = line.startswith(staging.SEAL_START)
        if lines and (block or is_seal or size >= _CHUNK):
            yield StagedBlock(window.offset - len(line) - size, len(lines), _NONE, _NONE, lines), 0, ""
            lines, size = [], 0
        if is_seal:
            _check_seal(line, count, digest.hexdigest(), window.offset)
            yield None, window.offset, digest.hexdigest()
            digest, count = sha256(), 0
            continue
        digest.update(line)
        if block and window.fits(block.envelopes + block.bodies + block.behind):
            offset = window.offset
            envelopes = Packed(window.take(block.envelopes), block.raw_envelopes)
            bodies = Packed(window.take(block.bodies), block.raw_bodies)
            behind = window.take(block.behind)
            for data in (envelopes.stored, bodies.stored, behind):
                digest.update(data)
            count += block.events
            yield StagedBlock(offset, block.events, envelopes, bodies, [], block.sealed), 0, ""
        else:
            lines.append(line.removesuffix(b"\n"))
            count += 1
            size += len(line)


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
