"""Sealing: the journal's commits, and a large batch right away, become a segment; then the manifest, then the ref."""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING

from dbx.crypto.vault import NEED_KEY
from dbx.errors import Corrupt, KeyFailure
from dbx.formats.manifest import ManifestEntry, encode_manifest
from dbx.formats.refs import Ref, encode_ref
from dbx.repo.log import MAIN, MANIFESTS, decode_entry, read_manifest, tip
from dbx.store.journal import scan
from dbx.store.segments import SEGMENTS, Block, Commits, FrameReader, SegmentWriter, segment_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from concurrent.futures import Executor

    from dbx.repo.domain import Domain
    from dbx.repo.erasing import Rewritten
    from dbx.repo.log import Entry
    from dbx.repo.working import WorkingSet
    from dbx.store.fs import Directory
    from dbx.store.index import Head

_COMMITS_BYTES = 64 * 1024


def add_block(writer: SegmentWriter, block: Block) -> None:
    """A block as it was read; one that cannot be opened as it is, which the writer's domain and position must fit."""
    if block.bodies is not None:
        writer.add(block.envelopes, block.bodies)
    elif block.sealed is not None:
        writer.add_sealed(block.envelopes, block.sealed)
    else:
        raise KeyFailure("sealed bodies cannot be cut without their key", hint=NEED_KEY)


class Copier:
    """Moves blocks and commits into a segment, cutting blocks and C frames anew at a good size."""

    def __init__(self, writer: SegmentWriter) -> None:
        self.writer = writer
        self._lines: list[bytes] = []
        self._size = 0
        self.last: bytes | None = None

    def copy(self, items: Iterable[Block | Commits]) -> None:
        """Take over what a file holds, whole commits only."""
        for item in items:
            if isinstance(item, Commits):
                self._lines += item.lines
                self._size += sum(map(len, item.lines))
                if self._size >= _COMMITS_BYTES:
                    self.flush()
            else:
                self._size += sum(map(len, item.envelopes))
                add_block(self.writer, item)

    def last_entry(self) -> Entry:
        """The last commit that was copied. Raises Corrupt when there was none."""
        if self.last is None:
            raise Corrupt("there was no commit to copy")
        return decode_entry(self.last)

    def flush(self) -> None:
        """Write the commits that were copied since the last C frame."""
        if self._lines:
            self.writer.add_commits(self._lines)
            self.last = self._lines[-1]
            self._lines, self._size = [], 0


def write_manifest(directory: Directory, entries: Sequence[ManifestEntry]) -> str:
    """Publish a manifest durably; its sha256 in hex."""
    data = encode_manifest(entries)
    sha = sha256(data).hexdigest()
    directory.write(f"{MANIFESTS}/{sha}", data)
    return sha


def move_ref(directory: Directory, entries: Sequence[ManifestEntry]) -> Ref:
    """Publish a manifest and point the branch at its last commit, in that order, each durable."""
    ref = Ref(entries[-1].last_commit, entries[-1].last_seq, write_manifest(directory, entries))
    directory.make(MAIN.rpartition("/")[0])
    directory.write(MAIN, encode_ref(ref))
    return ref


def exchange(working: WorkingSet, entries: list[ManifestEntry], replaced: Mapping[str, Rewritten]) -> None:
    """Put segments that were written anew in the place of the old ones, by the hashes of these."""
    for at, old in enumerate(entries):
        anew = replaced.get(old.sha256)
        if anew is not None:
            entries[at] = anew.entry
            working.drop_file(segment_name(old.sha256))
            working.locate(segment_name(anew.entry.sha256), anew.blocks, anew.frames)


def seal(
    domain: Domain,
    working: WorkingSet,
    head: Head,
    feed: Callable[[SegmentWriter], tuple[int, bytes]] | None = None,
    *,
    pool: Executor | None = None,
    replaced: Mapping[str, Rewritten] | None = None,
) -> bool:
    """Write the journal's commits, and what `feed` adds, as one segment; move the ref; remove the journal.

    `head` is the last durable commit. `feed` adds events and the commits that cover them and returns (seq, id) of the
    last one. `replaced` are segments, by their hashes, in whose place others come with the same move of the ref. The
    writer's lock must be held. After a crash there is the old ref with its journal, or the new ref.
    False when there was nothing to seal.
    """
    directory = domain.directory
    ref, name, fd = tip(directory)
    entries = list(read_manifest(directory, ref.manifest)) if ref else []
    temporary = directory.temporary(SEGMENTS)
    try:
        reader = FrameReader(fd, name, vault=domain.vault) if fd >= 0 else None
        parent, seq, position = head.commit.hex() or None, head.seq + 1, head.position
        if reader is not None:
            header, start = reader.header()
            parent, seq, position = header.parent, header.seq, header.position
        writer = SegmentWriter(
            temporary, domain=domain.id, parent=parent, position=position, seq=seq, pool=pool, vault=domain.vault
        )
        last_seq, last_id = -1, b""
        if reader is not None:
            copier = Copier(writer)
            copier.copy(scan(reader, start).items)
            copier.flush()
            if copier.last is not None:
                entry = copier.last_entry()
                last_seq, last_id = entry.commit.seq, entry.id
        if feed is not None:
            last_seq, last_id = feed(writer)
        if last_seq < seq:
            return False
        sha, size = writer.finish()
    finally:
        temporary.discard()
        if fd >= 0:
            os.close(fd)
    entries.append(ManifestEntry(sha, size, seq, last_seq, last_id.hex()))
    exchange(working, entries, replaced or {})
    moved = move_ref(directory, entries)
    domain.close_journal()
    with suppress(OSError):  # the ref has moved and the commits stand; the next writer or gc removes it
        directory.remove(name)
    working.drop_file(name)
    working.locate(segment_name(sha), writer.blocks, writer.frames)
    working.move(manifest=moved.manifest, journal="", journal_end=0)
    domain.note_ref()
    return True
