"""Forks: a new domain that begins with another's history, sharing its segments instead of copying them."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from dbx.errors import Conflict, NotFound
from dbx.formats.envelope import Actor
from dbx.formats.manifest import ManifestEntry
from dbx.formats.reflog import ReflogEntry
from dbx.model import names
from dbx.model.time import format_time
from dbx.repo.batch.staging import new_uuid
from dbx.repo.domainfile import DomainFile, known_as, write_domain_file
from dbx.repo.erasing import has_erasures
from dbx.repo.log import MAIN, open_segment, read_manifest, read_ref
from dbx.repo.repository import DOMAINS
from dbx.repo.seal import Copier, move_ref, seal
from dbx.repo.writer import writing
from dbx.store.reflog import Reflog
from dbx.store.segments import SEGMENTS, Block, Commits, FrameReader, SegmentWriter, segment_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.repo.domain import Domain
    from dbx.repo.repository import Repository
    from dbx.store.fs import Directory

_SHARED = ("schemas", "refs/schemas")


def fork_domain(
    repository: Repository, name: str, source: Domain, seq: int | None, *, actor: Actor | None = None
) -> Domain:
    """A new domain whose history is the source's up to commit `seq` (its head when None).

    Segments are hard-linked; where `seq` lies inside one, its beginning is written anew. The fork has an id of its own
    and its own commits start in a new segment. It is made under a hidden name and renamed last: after a crash there is
    the whole fork or nothing of that name. Raises Conflict when the name is taken.
    """
    names.check_domain_name(name)
    with repository.changing():
        if name in repository.domain_names():
            raise Conflict(f"domain '{name}' exists already", hint=f"switch to it with 'dbx checkout {name}'")
        _fork(repository, name, source, seq, actor)
    return repository.domain(name)


def _fork(repository: Repository, name: str, source: Domain, seq: int | None, actor: Actor | None) -> None:
    hidden, directory = repository.prepare_domain(name)
    with writing(source) as working:
        if working.head.journal and (seq is None or seq > _ref_seq(source)):
            seal(source, working, working.head)
            source.flush()
        redacted = source.file.redacted
        if seq is not None and seq < source.sync().head.seq:
            # What was erased behind the fork's beginning is missing in it, with no event that says so.
            end = source.sync().position_of(seq + 1)
            redacted = redacted or has_erasures(source, end, source.sync().head.position)
        entries = _entries(source, working.head.seq if seq is None else seq)
        shared = _share(source, directory, entries, working.head.seq if seq is None else seq)
    for part in _SHARED:
        for path in source.directory.walk(part):
            directory.make(path.rpartition("/")[0])
            directory.write(path, source.directory.read(path, 1 << 26))
    now = format_time(repository.clock())
    origin = {"domain": source.id, "commit": None, "seq": -1}
    if shared:
        ref = move_ref(directory, shared)
        origin |= {"commit": ref.commit, "seq": ref.seq}
        reflog = Reflog(directory, MAIN)
        reflog.append(
            [ReflogEntry(None, ref.commit, ref.seq, now, actor or Actor("-", "-"), f"fork: from {source.name}")]
        )
        reflog.close()
    file = DomainFile(new_uuid(source.entropy(16)), name, now, origin, redacted, dict(source.file.settings))
    write_domain_file(directory, known_as(file, source.file.called))
    repository.directory.rename(hidden, f"{DOMAINS}/{name}")


def _ref_seq(domain: Domain) -> int:
    ref = read_ref(domain.directory)
    return -1 if ref is None else ref.seq


def _entries(domain: Domain, seq: int) -> list[ManifestEntry]:
    """The segments that hold the commits up to `seq`."""
    ref = read_ref(domain.directory)
    if ref is None or seq < 0:
        return []
    if seq > ref.seq:
        raise NotFound(f"domain '{domain.name}' has no commit {seq}")
    return [entry for entry in read_manifest(domain.directory, ref.manifest) if entry.first_seq <= seq]


def _share(domain: Domain, target: Directory, entries: list[ManifestEntry], seq: int) -> list[ManifestEntry]:
    source = domain.directory
    shared: list[ManifestEntry] = []
    for entry in entries:
        if entry.last_seq > seq:
            shared.append(cut_segment(domain, target, entry, seq))
            continue
        os.close(open_segment(source, entry))  # it is there
        if not target.link_from(source, segment_name(entry.sha256)):
            _copy(source, target, entry)
        shared.append(entry)
    target.sync(SEGMENTS)
    return shared


def _copy(source: Directory, target: Directory, entry: ManifestEntry) -> None:
    fd = open_segment(source, entry)
    try:
        with target.temporary(SEGMENTS) as temporary:
            while data := os.read(fd, 1 << 20):
                temporary.write(data)
            temporary.publish(segment_name(entry.sha256).rpartition("/")[2])
    finally:
        os.close(fd)


def cut_segment(domain: Domain, target: Directory, entry: ManifestEntry, seq: int) -> ManifestEntry:
    """The beginning of a segment, up to a commit, as a segment of its own in `target`, durable. Raises KeyFailure."""
    fd = open_segment(domain.directory, entry)
    try:
        reader = FrameReader(fd, segment_name(entry.sha256), vault=domain.vault)
        header, start = reader.header()
        with target.temporary(SEGMENTS) as temporary:
            writer = SegmentWriter.beginning_as(temporary, header, domain.vault)
            copier = Copier(writer)
            copier.copy(_until(reader.items(start), header.seq, seq))
            copier.flush()
            last = copier.last_entry()
            sha, size = writer.finish()
        return replace(entry, sha256=sha, size=size, last_seq=last.commit.seq, last_commit=last.id.hex())
    finally:
        os.close(fd)


def _until(items: Iterator[Block | Commits], first: int, seq: int) -> Iterator[Block | Commits]:
    """Blocks and commits up to and with commit `seq`; events behind it in the same group are left out."""
    from dbx.repo.log import decode_entry

    held: list[Block] = []
    at = first
    for item in items:
        if isinstance(item, Block):
            held.append(item)
            continue
        if at + len(item.lines) <= seq + 1:
            yield from held
            yield item
            held, at = [], at + len(item.lines)
            if at > seq:
                return
            continue
        lines = item.lines[: seq + 1 - at]
        left = sum(decode_entry(line).commit.count for line in lines)
        for block in held:
            if left <= 0:
                break
            if left >= len(block.envelopes):
                yield block
            else:
                bodies = None if block.bodies is None else block.bodies[:left]
                yield block._replace(envelopes=block.envelopes[:left], bodies=bodies, sealed=None)
            left -= len(block.envelopes)
        yield item._replace(lines=lines)
        return
