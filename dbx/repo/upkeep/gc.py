"""Housekeeping: seal the journal, merge small segments, drop what no ref names. The old stay until the new are durable.

Merging is geometric: a segment is left alone while it is at least twice as large as all newer ones together, so that an
event is rewritten a logarithmic number of times, however often gc runs.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbx.errors import Corrupt, KeyFailure
from dbx.formats.manifest import ManifestEntry
from dbx.repo.log import ERASING, MANIFESTS, open_segment, read_manifest, read_ref, stale_journals
from dbx.repo.replica.receive import retrack
from dbx.repo.seal import Copier, move_ref, seal
from dbx.repo.undone import COMMITS
from dbx.repo.writer import writing
from dbx.store.fs import TEMPORARY
from dbx.store.index import IndexUnavailable
from dbx.store.segments import SEGMENTS, SUFFIX, FrameReader, SegmentWriter, segment_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dbx.formats.refs import Ref
    from dbx.repo.domain import Domain
    from dbx.repo.working import WorkingSet
    from dbx.store.fs import Directory

_FACTOR = 2
_MOST_BYTES = 1 << 30
"""Segments are not merged into larger ones: those must be rewritten, sent again when cut off, and fit into a bundle."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What gc did, or with a dry run would do; sizes in bytes."""

    sealed: bool
    merged: int
    segments: int
    removed: int
    freed_bytes: int


def collect(domain: Domain, *, dry_run: bool = False, progress: Callable[[int], None] | None = None) -> Collected:
    """Tidy a domain up. After a crash at any point every ref still names whole files."""
    with writing(domain):
        domain.flush()
        working = domain.sync()
        ref = read_ref(domain.directory)
        entries = list(read_manifest(domain.directory, ref.manifest)) if ref else []
        if dry_run:
            groups = _groups(domain, entries)
            merged = sum(len(group) for group in groups if len(group) > 1)
            garbage = garbage_of(domain, ref)
            return Collected(
                bool(working.head.journal), merged, len(groups), len(garbage), sum(size for _, size in garbage)
            )
        if domain.directory.exists(ERASING):
            from dbx.repo.upkeep.purge import finish_erasing

            with suppress(KeyFailure):  # left to who has the key
                finish_erasing(domain)
            working = domain.sync()
            ref = read_ref(domain.directory)
            entries = list(read_manifest(domain.directory, ref.manifest)) if ref else []
        sealed = bool(working.head.journal) and seal(domain, working, working.head)
        if sealed:
            domain.flush()
            working = domain.sync()
            ref = read_ref(domain.directory)
            entries = list(read_manifest(domain.directory, ref.manifest)) if ref else []
        merged = _merge(domain, working, entries, progress) if ref else 0
        ref = read_ref(domain.directory)
        if ref is not None:
            retrack(domain, read_manifest(domain.directory, ref.manifest))
        garbage = garbage_of(domain, ref)
        for name, _ in garbage:
            domain.directory.remove(name, durable=False)
        for part in ("", SEGMENTS, MANIFESTS):
            if domain.directory.exists(part):
                domain.directory.sync(part)
        with suppress(IndexUnavailable):
            domain.index().compact()
        left = len(read_manifest(domain.directory, ref.manifest)) if ref else 0
        return Collected(sealed, merged, left, len(garbage), sum(size for _, size in garbage))


def _groups(domain: Domain, entries: Sequence[ManifestEntry]) -> list[list[ManifestEntry]]:
    """Neighbours to be merged into one: runs of one domain id behind the point where sizes stop being geometric, none
    of more than _MOST_BYTES."""
    newer = 0
    cut = len(entries)
    for n in range(len(entries) - 1, -1, -1):
        if n < len(entries) - 1 and entries[n].size < _FACTOR * newer:
            cut = n
        newer += entries[n].size
    groups = [[entry] for entry in entries[:cut]]
    last, size = "", 0
    for entry in entries[cut:]:
        owner = _owner(domain, entry)
        if owner == last and size + entry.size <= _MOST_BYTES:
            groups[-1].append(entry)
            size += entry.size
        else:
            groups.append([entry])
            size = entry.size
        last = owner
    return groups


def _owner(domain: Domain, entry: ManifestEntry) -> str:
    fd = open_segment(domain.directory, entry)
    try:
        return FrameReader(fd, segment_name(entry.sha256)).header()[0].domain
    finally:
        os.close(fd)


def _merge(
    domain: Domain, working: WorkingSet, entries: list[ManifestEntry], progress: Callable[[int], None] | None
) -> int:
    groups = _groups(domain, entries)
    if all(len(group) == 1 for group in groups):
        return 0
    merged: list[ManifestEntry] = []
    for group in groups:
        merged.append(group[0] if len(group) == 1 else _join(domain, working, group, progress))
    ref = move_ref(domain.directory, merged)
    kept = {entry.sha256 for entry in merged}
    for entry in entries:
        if entry.sha256 not in kept:
            working.drop_file(segment_name(entry.sha256))
    working.move(manifest=ref.manifest)
    domain.note_ref()
    domain.close_reader()
    domain.flush()
    return sum(len(group) for group in groups if len(group) > 1)


def _join(
    domain: Domain, working: WorkingSet, group: Sequence[ManifestEntry], progress: Callable[[int], None] | None
) -> ManifestEntry:
    with domain.directory.temporary(SEGMENTS) as temporary:
        writer: SegmentWriter | None = None
        for entry in group:
            name = segment_name(entry.sha256)
            fd = open_segment(domain.directory, entry)
            try:
                reader = FrameReader(fd, name, vault=domain.vault)
                header, start = reader.header()
                if writer is None:
                    writer = SegmentWriter.beginning_as(temporary, header, domain.vault)
                    copier = Copier(writer)
                copier.copy(reader.items(start))
                if progress:
                    progress(entry.size)
            finally:
                os.close(fd)
        copier.flush()
        last = copier.last_entry()
        if writer is None or (last.commit.seq, last.id.hex()) != (group[-1].last_seq, group[-1].last_commit):
            raise Corrupt("merged segments do not end with the commit that the manifest names")
        sha, size = writer.finish()
    working.locate(segment_name(sha), writer.blocks, writer.frames)
    return ManifestEntry(sha, size, group[0].first_seq, group[-1].last_seq, group[-1].last_commit)


def garbage_of(domain: Domain, ref: Ref | None) -> list[tuple[str, int]]:
    """Files that nothing names: (name, bytes). The writer's lock is held, so nobody is making segments now."""
    directory = domain.directory
    wanted = set()
    for name in named_refs(directory):
        found = read_ref(directory, name)
        if found is not None:
            wanted.add(f"{MANIFESTS}/{found.manifest}")
            wanted |= {segment_name(entry.sha256) for entry in read_manifest(directory, found.manifest)}
    garbage = []
    for part, pattern in ((SEGMENTS, rf"[0-9a-f]{{64}}{re.escape(SUFFIX)}"), (MANIFESTS, "[0-9a-f]{64}")):
        for name in directory.names(part):
            if re.fullmatch(pattern, name) and f"{part}/{name}" not in wanted:
                garbage.append(f"{part}/{name}")
    for name in directory.walk():
        base = name.rpartition("/")[2]
        if base.startswith(TEMPORARY) and not _alive(base):
            garbage.append(name)
    garbage += stale_journals(directory, ref)
    return [(name, directory.stat(name).st_size) for name in garbage]


def named_refs(directory: Directory) -> Iterator[str]:
    """The refs that name a manifest: the branch, those of remotes, and what was taken back."""
    for name in directory.walk("refs"):
        is_kept = name.startswith(("refs/heads/", "refs/remotes/", f"{COMMITS}/"))
        if is_kept and not name.rpartition("/")[2].startswith(TEMPORARY):
            yield name


def _alive(temporary: str) -> bool:
    """Whether the process that made a temporary file still runs."""
    pid = temporary[len(TEMPORARY) :].partition("-")[0]
    if not pid.isdigit():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return int(pid) != os.getpid()
