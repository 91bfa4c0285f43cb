"""The log of a domain as files: what the ref, the manifest and the journal say together, and reading events from it."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from dbx.crypto.merkle import leaf_hash
from dbx.errors import Corrupt
from dbx.formats.refs import decode_ref
from dbx.store.indexlayout import IndexDamaged
from dbx.store.journal import PREFIX, TORN, journal_name
from dbx.store.segments import Block, Commits, FrameReader, segment_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dbx.crypto.vault import Vault
    from dbx.formats.commit import Commit
    from dbx.formats.manifest import ManifestEntry
    from dbx.formats.refs import Ref
    from dbx.repo.working import WorkingSet
    from dbx.store.fs import Directory
    from dbx.store.index import Index

MAIN = "refs/heads/main"
MANIFESTS = "manifests"
ERASING = "erasing"
"""A file of a domain: the aggregates of which a body is still to be erased (repo/erasing.py)."""
MAX_REF_BYTES = 4096
MAX_MANIFEST_BYTES = 64 * 1024 * 1024
_OPEN_FILES = 16
_BLOCKS = 8


class Gone(Exception):  # noqa: N818 - not an error: the file was sealed or merged away, look at the ref again
    """A file that a locator names is no longer there."""


class Stored(NamedTuple):
    """An event as it lies in the log. The body is None while sealed and empty when erased."""

    position: int
    envelope: bytes
    body: bytes | None


class Entry(NamedTuple):
    """A commit with its id (raw) and its line."""

    commit: Commit
    id: bytes
    line: bytes


def read_ref(directory: Directory, name: str = MAIN) -> Ref | None:
    """A branch or remote-tracking ref; None in an empty domain."""
    data = directory.find(name, MAX_REF_BYTES)
    if data is None:
        return None
    try:
        return decode_ref(data)
    except Corrupt as error:
        raise Corrupt(f"'{name}' is damaged: {error.message}", details={"file": name}) from None


def missing_file(name: str) -> Corrupt:
    """The error where a file of a domain is gone that something names."""
    hint = "see 'dbx fsck'; a clone or a backup may still have it"
    return Corrupt(f"'{name}' is missing", hint=hint, details={"file": name})


def read_manifest(directory: Directory, sha: str) -> tuple[ManifestEntry, ...]:
    """The entries of a manifest, whose bytes are checked against its name."""
    from dbx.formats.manifest import decode_manifest

    name = f"{MANIFESTS}/{sha}"
    try:
        data = directory.read(name, MAX_MANIFEST_BYTES)
    except FileNotFoundError:
        raise missing_file(name) from None
    if sha256(data).hexdigest() != sha:
        raise Corrupt(f"'{name}' does not have the hash that is its name", details={"file": name})
    try:
        return decode_manifest(data)
    except Corrupt as error:
        raise Corrupt(f"'{name}' is damaged: {error.message}", details={"file": name}) from None


def open_segment(directory: Directory, entry: ManifestEntry) -> int:
    """A descriptor of the segment that a manifest names, for those who know that nobody merges it away meanwhile."""
    name = segment_name(entry.sha256)
    try:
        return directory.open_read(name)
    except FileNotFoundError:
        raise missing_file(name) from None


def tip(directory: Directory) -> tuple[Ref | None, str, int]:
    """The ref, the name of the journal that continues it, and a descriptor of that journal (-1 where there is none).

    The order of reading is that of format.md §7: no journal may mean that the ref has just moved.
    """
    ref = read_ref(directory)
    while True:
        name = journal_name(0, None) if ref is None else journal_name(ref.seq + 1, ref.commit)
        try:
            return ref, name, directory.open_read(name)
        except FileNotFoundError:
            again = read_ref(directory)
            if again == ref:
                return ref, name, -1
            ref = again


def named_files(directory: Directory) -> set[str]:
    """The segments that the ref's manifest names, and the journal that continues it."""
    ref = read_ref(directory)
    entries = () if ref is None else read_manifest(directory, ref.manifest)
    journal = journal_name(0, None) if ref is None else journal_name(ref.seq + 1, ref.commit)
    return {journal, *(segment_name(entry.sha256) for entry in entries)}


def stale_journals(directory: Directory, ref: Ref | None) -> list[str]:
    """Journals whose commits the ref has.

    Raises Corrupt for one that begins behind the ref's commit: its commits were acknowledged, and the ref was set back.
    """
    seq = -1 if ref is None else ref.seq
    current = journal_name(seq + 1, None if ref is None else ref.commit)
    stale = []
    for name in journals(directory):
        first = name[len(PREFIX) :].partition("-")[0]
        if first.isascii() and first.isdigit() and name != current:
            if int(first) > seq + 1:
                raise Corrupt(
                    f"'{name}' continues a later commit than '{MAIN}' knows",
                    hint="the ref was set back; compare with a copy",
                    details={"file": name},
                )
            stale.append(name)
    return stale


def journals(directory: Directory) -> list[str]:
    """The journals that lie in a domain directory, torn copies left out."""
    return [name for name in directory.names() if name.startswith(PREFIX) and not name.startswith(TORN)]


def decode_entry(line: bytes) -> Entry:
    """A commit line with its id."""
    from dbx.formats.commit import decode_commit

    return Entry(decode_commit(line), leaf_hash(line), line)


class Events(NamedTuple):
    """A commit with its events, as replaying meets them."""

    entry: Entry
    envelopes: list[bytes]
    bodies: list[bytes] | None


def commits_of(reader: FrameReader, items: Iterable[Block | Commits], located: Located) -> Iterator[Events]:
    """The commits of a file with their events, in order; notes where blocks and C frames lie.

    Raises Corrupt when a C frame does not cover exactly the events before it.
    """
    envelopes: list[bytes] = []
    bodies: list[bytes] | None = []
    for item in items:
        if isinstance(item, Block):
            located.blocks.append((located.position, item.offset))
            located.position += len(item.envelopes)
            envelopes += item.envelopes
            bodies = None if item.bodies is None or bodies is None else bodies + item.bodies
            continue
        located.frames.append((located.seq, item.offset))
        at = 0
        for line in item.lines:
            try:
                entry = decode_entry(line)
            except Corrupt as error:
                raise reader.fault(error, item.offset) from None
            count = entry.commit.count
            if at + count > len(envelopes):
                raise reader.fault(Corrupt("a commit counts more events than there are before it"), item.offset)
            located.seq += 1
            if count == len(envelopes):
                yield Events(entry, envelopes, bodies)
            else:
                part = None if bodies is None else bodies[at : at + count]
                yield Events(entry, envelopes[at : at + count], part)
            at += count
        if at != len(envelopes):
            raise reader.fault(Corrupt("a frame of commits does not cover every event before it"), item.offset)
        envelopes, bodies = [], []


def _astray(what: str) -> IndexDamaged:
    return IndexDamaged(f"the index does not know where {what} lies", hint="run 'dbx reindex'")


class Located:
    """Where the blocks (first position, offset) and C frames (first seq, offset) of a file lie."""

    __slots__ = ("blocks", "frames", "position", "seq")

    def __init__(self, position: int, seq: int) -> None:
        self.position = position
        self.seq = seq
        self.blocks: list[tuple[int, int]] = []
        self.frames: list[tuple[int, int]] = []

    def take(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """(blocks, C frames) since it was last asked."""
        taken = self.blocks, self.frames
        self.blocks, self.frames = [], []
        return taken


class LogReader:
    """Events and commits by position and seq, through the locators of an index. Blocks just read are kept.

    Raises Gone when a file was sealed or merged away meanwhile, IndexDamaged when the index leads astray, and Corrupt
    for damage of the log itself.
    """

    def __init__(self, directory: Directory, index: Index | WorkingSet, vault: Vault | None = None) -> None:
        self._directory = directory
        self._vault = vault
        self._index = index
        self._files: dict[str, FrameReader] = {}
        self._fds: dict[str, int] = {}
        self._blocks: dict[tuple[str, int], Block] = {}
        self._frame: tuple[str, int, list[bytes]] | None = None

    def close(self) -> None:
        """Close the files."""
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()
        self._files.clear()
        self._blocks.clear()
        self._frame = None

    def events(self, positions: Iterable[int]) -> Iterator[Stored]:
        """Events at positions."""
        first = last = -1
        block: Block | None = None
        for position in positions:
            if block is None or not first <= position < last:
                first, block = self._block(position)
                last = first + len(block.envelopes)
            at = position - first
            yield Stored(position, block.envelopes[at], None if block.bodies is None else block.bodies[at])

    def commit(self, seq: int) -> Entry:
        """A commit by its seq, which must exist."""
        first, lines = self.commit_lines(seq)
        entry = decode_entry(lines[seq - first])
        if entry.commit.seq != seq:
            raise _astray(f"commit {seq}")
        return entry

    def commit_lines(self, seq: int) -> tuple[int, list[bytes]]:
        """(seq of the first, lines) of the commits that lie in one C frame with commit `seq`, which must exist."""
        found = self._index.find_commit_frame(seq)
        if found is None:
            raise _astray(f"commit {seq}")
        first, file, offset = found
        if self._frame is None or self._frame[:2] != (file, offset):
            try:
                self._frame = file, offset, self._reader(file).commits(offset).lines
            except Corrupt as error:
                raise self._fault(file, offset, error) from None
        if seq - first >= len(self._frame[2]):
            raise _astray(f"commit {seq}")
        return first, self._frame[2]

    def _block(self, position: int) -> tuple[int, Block]:
        found = self._index.find_block(position)
        if found is None:
            raise _astray(f"event {position}")
        first, file, offset = found
        # By where it lies: when a journal is sealed, its blocks are cut anew.
        block = self._blocks.pop((file, offset), None)
        if block is None:
            try:
                block = self._reader(file).block(offset, first)
            except Corrupt as error:
                raise self._fault(file, offset, error) from None
            if len(self._blocks) >= _BLOCKS:
                del self._blocks[next(iter(self._blocks))]
        if position - first >= len(block.envelopes):
            raise _astray(f"event {position}")
        self._blocks[file, offset] = block
        return first, block

    def _fault(self, file: str, offset: int, error: Corrupt) -> Corrupt:
        """The fault of a file; or that of the index, where no frame of the kind it speaks of begins at the offset."""
        reader = self._reader(file)
        try:
            at = reader.header()[1]
            while at < offset and not reader.zeros_from(at):
                at = reader.item(at).end
            if at == offset:
                reader.item(at)
        except Corrupt:
            return error
        return _astray(f"byte {offset} of '{file}'")

    def _reader(self, file: str) -> FrameReader:
        reader = self._files.get(file)
        if reader is None:
            try:
                fd = self._directory.open_read(file)
            except FileNotFoundError:
                raise Gone(file) from None
            if len(self._fds) >= _OPEN_FILES:
                oldest = next(iter(self._fds))
                os.close(self._fds.pop(oldest))
                del self._files[oldest]
            self._fds[file] = fd
            reader = self._files[file] = FrameReader(fd, file, vault=self._vault)
        reader.size = os.fstat(self._fds[file]).st_size
        return reader
