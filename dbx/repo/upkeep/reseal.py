"""Sealing again: everything in a domain that is plain, or sealed with an older data key, under the one of today.

Piece by piece: a segment is written anew and the refs moved to it before the next one is begun, and old and new can be
read at any moment. After an interruption the next run goes on where this one stopped. When it is done, no file of the
domain holds a body, or what was made of one, in plain.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from dbx.crypto.vault import MARK
from dbx.errors import Conflict, Corrupt
from dbx.formats import staging
from dbx.formats.refs import Ref, encode_ref
from dbx.repo.batch.stagedhalf import agree
from dbx.repo.batch.staging import staging_locked
from dbx.repo.log import MAIN, read_manifest, read_ref
from dbx.repo.replica.quarantine import sweep_quarantine
from dbx.repo.replica.recode import body_keys
from dbx.repo.seal import Copier, seal, write_manifest
from dbx.repo.snapshotfile import NAME as SNAPSHOTS
from dbx.repo.snapshotfile import snapshots_of
from dbx.repo.torn import reseal_torn
from dbx.repo.upkeep.gc import collect, named_refs
from dbx.repo.upkeep.reindex import reindex
from dbx.repo.writer import writing
from dbx.store.index import IndexDamaged
from dbx.store.scanindex import has_other_texts
from dbx.store.section import Section
from dbx.store.segments import SEGMENTS, FrameReader, SegmentWriter, segment_name
from dbx.store.staging import NAME as STAGING
from dbx.store.staging import find_header, read_blocks, sealed_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.formats.envelope import Actor
    from dbx.formats.manifest import ManifestEntry
    from dbx.repo.domain import Domain


class Resealed(NamedTuple):
    """What was sealed anew: segments, their bytes, staged events, snapshots; whether the index was made anew."""

    segments: int
    bytes: int
    staged: int
    snapshots: int
    reindexed: bool


def reseal(domain: Domain, *, actor: Actor | None, progress: Callable[[int], None] | None = None) -> Resealed:
    """Seal everything under the current data key. Raises Conflict where nothing is sealed, KeyFailure."""
    if not domain.vault.seals:
        raise Conflict("this workspace seals nothing", hint="set a key with 'dbx config --dek'")
    if domain.vault.is_locked:
        raise domain.vault.missing()
    with staging_locked(domain), writing(domain):
        sweep_quarantine(domain.directory)
        domain.flush()
        working = domain.sync()
        if working.head.journal:
            seal(domain, working, working.head)
            domain.flush()
        segments, size = _reseal_segments(domain, progress)
        domain.reset()
        staged = _reseal_staging(domain)
        snapshots = _reseal_snapshots(domain)
        reseal_torn(domain.directory, domain.vault)
        stale = _is_stale(domain)
    if stale:
        reindex(domain, actor=actor)
    collect(domain, progress=None)
    return Resealed(segments, size, staged, snapshots, stale)


def needs_resealing(domain: Domain, entry: ManifestEntry) -> bool:
    """Whether a segment holds a B frame that is plain, or sealed with another key than the current one."""
    name = segment_name(entry.sha256)
    fd = domain.directory.open_read(name)
    try:
        return body_keys(fd, name) != {domain.vault.current}
    finally:
        os.close(fd)


def _reseal_segments(domain: Domain, progress: Callable[[int], None] | None) -> tuple[int, int]:
    """Every segment that any ref names: (how many, their bytes)."""
    known: dict[str, ManifestEntry] = {}
    count = size = 0
    for name in named_refs(domain.directory):
        ref = read_ref(domain.directory, name)
        if ref is None:
            continue
        entries = list(read_manifest(domain.directory, ref.manifest))
        for n, entry in enumerate(entries):
            fresh = known.get(entry.sha256)
            if fresh is None:
                fresh = entry if not needs_resealing(domain, entry) else _rewrite(domain, entry)
                known[entry.sha256] = fresh
                if fresh is not entry:
                    count, size = count + 1, size + entry.size
                    if progress:
                        progress(entry.size)
            if fresh is not entry:
                entries[n] = fresh
                _move(domain, name, ref, entries)
    return count, size


def _move(domain: Domain, name: str, ref: Ref, entries: list[ManifestEntry]) -> None:
    """Let a ref name a manifest of the same commits in other segments, durably."""
    moved = ref._replace(manifest=write_manifest(domain.directory, entries))
    domain.directory.write(name, encode_ref(moved))
    if name == MAIN:
        domain.note_ref()


def _rewrite(domain: Domain, entry: ManifestEntry) -> ManifestEntry:
    """The same commits in a new segment, durable."""
    name = segment_name(entry.sha256)
    fd = domain.directory.open_read(name)
    try:
        reader = FrameReader(fd, name, vault=domain.vault)
        header, start = reader.header()
        with domain.directory.temporary(SEGMENTS) as temporary:
            copier = Copier(SegmentWriter.beginning_as(temporary, header, domain.vault))
            copier.copy(reader.items(start))
            copier.flush()
            last = copier.last_entry()
            if (last.commit.seq, last.id.hex()) != (entry.last_seq, entry.last_commit):
                raise reader.fault(Corrupt("it does not end with the commit that the manifest names"), reader.size)
            sha, size = copier.writer.finish()
    finally:
        os.close(fd)
    return replace(entry, sha256=sha, size=size)


def _reseal_staging(domain: Domain) -> int:
    """The staging file with its events in sealed blocks, one section; how many events those are."""
    found = find_header(domain.directory)
    if found is None:
        return 0
    header, _ = found
    end = sealed_size(domain.directory)
    section = Section(domain.directory, header=staging.encode_header(header.batch, header.domain), vault=domain.vault)
    try:
        for block in read_blocks(domain.directory, end, batch=header.batch, vault=domain.vault):
            pairs = block.pairs()
            section.add([envelope for envelope, _ in pairs], [body for _, body in pairs])
        if not section.events:
            domain.directory.remove(STAGING)
            return 0
        section.finish()
    finally:
        section.discard()
    agree(domain, domain.sync().index)
    return section.events


def _reseal_snapshots(domain: Domain) -> int:
    if not domain.directory.exists(SNAPSHOTS):
        return 0
    found = snapshots_of(domain).find()
    return 0 if found is None else found.reseal()


def _is_stale(domain: Domain) -> bool:
    """Whether index.db holds a text that is plain, or sealed with another key than the current one."""
    try:
        return has_other_texts(domain.sync().index, MARK + domain.vault.current)
    except IndexDamaged:
        return True
