"""A bundle that begins before the point where our history ends: what is known already is left out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dbx.errors import Corrupt
from dbx.formats.manifest import ManifestEntry
from dbx.repo.log import decode_entry
from dbx.repo.seal import add_block
from dbx.store.segments import SEGMENTS, Commits, FrameReader, SegmentWriter, segment_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.crypto.vault import Vault
    from dbx.formats.bundle import Point
    from dbx.repo.replica.quarantine import Arrived
    from dbx.store.segments import Block

_COMMITS_BYTES = 64 * 1024


def trim(arrived: Arrived, mine: Point, vault: Vault) -> Arrived | None:
    """The same bundle behind the commit `mine`; None where it does not hold that commit. Raises Corrupt.

    The segment in which that commit lies is written anew in the quarantine, in bounded memory.
    """
    entries: list[ManifestEntry] = []
    for entry in arrived.entries:
        if entry.last_seq < mine.seq:
            continue
        if entry.last_seq == mine.seq:
            if entry.last_commit != mine.commit:
                return None
            continue
        if entry.first_seq > mine.seq:
            entries.append(entry)
            continue
        rest = _rest(arrived, entry, mine, vault)
        if rest is None:
            return None
        entries.append(rest)
    return arrived._replace(header=arrived.header._replace(base=mine), entries=tuple(entries))


def _rest(arrived: Arrived, entry: ManifestEntry, mine: Point, vault: Vault) -> ManifestEntry | None:
    fd = arrived.directory.open_read(segment_name(entry.sha256))
    try:
        reader = FrameReader(fd, segment_name(entry.sha256), vault=vault)
        header, at = reader.header()
        with arrived.directory.temporary(SEGMENTS) as temporary:
            writer = SegmentWriter(
                temporary,
                domain=header.domain,
                parent=mine.commit,
                position=mine.position,
                seq=mine.seq + 1,
                pool=None,
                vault=vault,
            )
            if not _copy(reader.items(at), writer, mine):
                return None
            sha, size = writer.finish()
    except Corrupt as error:
        error.details.setdefault("received", True)
        raise
    finally:
        os.close(fd)
    return ManifestEntry(sha, size, mine.seq + 1, entry.last_seq, entry.last_commit)


def _copy(items: Iterator[Block | Commits], writer: SegmentWriter, mine: Point) -> bool:
    """Copy the commits behind `mine`; whether `mine` was met."""
    held: list[Block] = []
    met = False
    for item in items:
        if not isinstance(item, Commits):
            held.append(item)
            if met:
                add_block(writer, item)
            continue
        entries = [decode_entry(line) for line in item.lines]
        known = [entry for entry in entries if entry.commit.seq <= mine.seq]
        if not met and known:
            if known[-1].commit.seq == mine.seq:
                if known[-1].id.hex() != mine.commit:
                    return False
                met = True
            skip = sum(entry.commit.count for entry in known)
            if len(known) < len(entries):
                for block in held:
                    if skip < len(block.envelopes):
                        add_block(writer, _behind(block, skip))
                    skip = max(0, skip - len(block.envelopes))
        fresh = [entry.line for entry in entries if entry.commit.seq > mine.seq]
        if fresh:
            writer.add_commits(fresh)
        held = []
    return met


def _behind(block: Block, skip: int) -> Block:
    """A block without its first events."""
    if not skip:
        return block
    bodies = None if block.bodies is None else block.bodies[skip:]
    return block._replace(envelopes=block.envelopes[skip:], bodies=bodies, sealed=None)
