"""Where a remote's history stood, when it holds commits that ours does not: one side of a comparison.

What was fetched lies in segments that the remote-tracking ref names, and no index knows it. It is our own history up to
the last commit that both share, and their events behind that: so looking at it costs what has changed since.
"""

from __future__ import annotations

import os
import re
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from dbx.crypto import merkle
from dbx.crypto.indextree import key_of, leaf_hash
from dbx.errors import Corrupt
from dbx.repo.compare.side import DomainSide
from dbx.repo.compare.values import Standing
from dbx.repo.events import decode_stored
from dbx.repo.log import Located, Stored, commits_of, read_manifest, read_ref
from dbx.store.segments import FrameReader, segment_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dbx.crypto.vault import Vault
    from dbx.formats.manifest import ManifestEntry
    from dbx.formats.refs import Ref
    from dbx.model.event import Event
    from dbx.repo.domain import Domain
    from dbx.repo.log import Events, LogReader
    from dbx.repo.working import WorkingSet
    from dbx.store.fs import Directory

_match_remote = re.compile(r"(?:refs/)?(?:remotes/)?([a-z0-9](?!.*\.\.)[a-z0-9._-]{0,99})/main").fullmatch
_CHANGES = 64  # an IndexTree keeps what that many changes at once touched


class _Fresh(NamedTuple):
    """Leaves of an aggregate behind the version that both share."""

    base: int
    leaves: list[bytes]


class TrackingSide(DomainSide):
    """The aggregates as a remote-tracking ref has them. `base` is the last commit that both share, -1 for none.

    Raises Corrupt when what was fetched does not add up to what its last commit names.
    """

    def __init__(self, working: WorkingSet, reader: LogReader, directory: Directory, ref: Ref) -> None:
        self.base = find_base(working, directory, ref)
        super().__init__(working, reader, self.base)
        self._fresh: dict[bytes, _Fresh] = {}
        index_root = ""
        for events in _behind(directory, ref, self.base):
            index_root = events.entry.commit.index
            for envelope in events.envelopes:
                self._add(envelope)
        changed = iter(self._fresh.items())
        while part := list(islice(changed, _CHANGES)):
            self._tree.update({key: self._extend(key, fresh) for key, fresh in part})
        if index_root and self._tree.root.hex() != index_root:
            raise Corrupt(
                f"what was fetched does not have the index root that commit {ref.seq} of the remote names",
                hint="fetch it again",
            )

    def leaves(self, wanted: Iterable[tuple[Standing, int, int]]) -> list[list[bytes]]:
        """Leaf hashes: ours up to the version that both share, theirs behind it."""
        asked = list(wanted)
        shared = []
        for standing, _, last in asked:
            fresh = self._fresh.get(key_of(standing.type, standing.id))
            shared.append(last if fresh is None else min(last, fresh.base))
        ours = [(one, first, end) for (one, first, _), end in zip(asked, shared, strict=True) if end > first]
        read = iter(super().leaves(ours))
        results = []
        for (standing, first, last), end in zip(asked, shared, strict=True):
            leaves = next(read) if end > first else []
            if last > end:
                base, theirs = self._fresh[key_of(standing.type, standing.id)]
                leaves = leaves + theirs[max(first, base) - base : last - base]
            results.append(leaves)
        return results

    def _add(self, envelope: bytes) -> None:
        aggregate_type, aggregate_id, version = _place(envelope)
        key = key_of(aggregate_type, aggregate_id)
        fresh = self._fresh.get(key)
        if fresh is None:
            before = self.standings([key]).get(key)
            if before is None:
                self._past[key] = Standing(aggregate_type, aggregate_id, 0, merkle.EMPTY, ())
            else:
                self._past[key] = before
            fresh = self._fresh[key] = _Fresh(0 if before is None else before.version, [])
        if version != fresh.base + len(fresh.leaves) + 1:
            raise Corrupt(f"what was fetched has version {version} of '{aggregate_type}/{aggregate_id}' out of turn")
        fresh.leaves.append(merkle.leaf_hash(envelope))

    def _extend(self, key: bytes, fresh: _Fresh) -> bytes:
        standing = self._past[key]
        assert standing is not None  # noqa: S101 - _add put it there
        edge = list(standing.edge or ())
        merkle.extend(edge, fresh.base, fresh.leaves)
        version, root = fresh.base + len(fresh.leaves), merkle.edge_root(edge)
        self._past[key] = standing._replace(version=version, root=root, edge=tuple(edge))
        return leaf_hash(key, version, root)


def tracked_events(domain: Domain, ref: Ref) -> Iterator[Event]:
    """The events of a remote-tracking ref behind the last commit that our history has as well, in their order."""
    base = domain.read(lambda working, _: find_base(working, domain.directory, ref))
    for events in _behind(domain.directory, ref, base, domain.vault):
        commit = events.entry.commit
        bodies = events.bodies
        for n, envelope in enumerate(events.envelopes):
            stored = Stored(commit.position + n, envelope, None if bodies is None else bodies[n])
            yield decode_stored(stored, commit.seq)


def find_tracked(domain: Domain, ref: str) -> Ref | None:
    """What a remote-tracking ref names, where that is a commit that our history does not have; else None."""
    found = _match_remote(ref)
    track = None if found is None else read_ref(domain.directory, f"refs/remotes/{found[1]}/main")
    if track is None:
        return None
    known = domain.read(lambda working, _: working.index.find_commit(track.seq))
    return None if known is not None and known[0].hex() == track.commit else track


def find_base(working: WorkingSet, directory: Directory, ref: Ref) -> int:
    """The seq of the last commit that both our history and a remote-tracking ref have, -1 for none."""

    def is_ours(seq: int, commit_id: str) -> bool:
        known = working.index.find_commit(seq)
        return known is not None and known[0].hex() == commit_id

    base = -1
    for entry in read_manifest(directory, ref.manifest):
        if is_ours(entry.last_seq, entry.last_commit):
            base = entry.last_seq
            continue
        for events in _commits(directory, entry):
            if not is_ours(events.entry.commit.seq, events.entry.id.hex()):
                break
            base = events.entry.commit.seq
        break
    return base


def _behind(directory: Directory, ref: Ref, base: int, vault: Vault | None = None) -> Iterator[Events]:
    """The commits of a ref behind `base`, one at a time."""
    for entry in read_manifest(directory, ref.manifest):
        if entry.last_seq > base:
            yield from (events for events in _commits(directory, entry, vault) if events.entry.commit.seq > base)


def _commits(directory: Directory, entry: ManifestEntry, vault: Vault | None = None) -> Iterator[Events]:
    name = segment_name(entry.sha256)
    try:
        fd = directory.open_read(name)
    except FileNotFoundError:
        raise Corrupt(f"'{name}' is missing", hint="fetch it again", details={"file": name}) from None
    try:
        reader = FrameReader(fd, name, vault=vault)
        header, at = reader.header()
        yield from commits_of(reader, reader.items(at), Located(header.position, header.seq))
    finally:
        os.close(fd)


def _place(envelope: bytes) -> tuple[str, str, int]:
    """(type, id, version) of an envelope."""
    parts = envelope.decode().split('"')
    return parts[7], parts[3], int(parts[-1][1:-1])
