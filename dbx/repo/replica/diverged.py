"""Two histories that went on from one commit: what each side added, and ours committed again on top of theirs.

That is possible where no aggregate was advanced on both sides, unless by the same events: those that were handed over
one aggregate at a time are there already, and are left out. The events stay as they are, byte for byte; their commits
are new ones, because a commit names what it follows. Only what nobody else has seen is committed anew.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from dbx.crypto import merkle
from dbx.errors import Conflict
from dbx.formats.commit import encode_commit
from dbx.formats.manifest import ManifestEntry
from dbx.formats.reflog import ReflogEntry
from dbx.model.time import format_time
from dbx.repo.erasing import without_bodies
from dbx.repo.log import read_manifest, read_ref
from dbx.repo.query import get_commit
from dbx.repo.reading.revision import TAGS, read_tag
from dbx.repo.replica.histories import Parted
from dbx.repo.replica.offer import commit_ids, copy_commits, point_at
from dbx.repo.replica.quarantine import sweep_quarantine
from dbx.repo.replica.receive import Received, move_in, note_move, point_of, sealed, set_tracking, settle, vet
from dbx.repo.rewind import Advance, Name, advances_since, rewind
from dbx.repo.schema import published, schemachain
from dbx.repo.seal import move_ref
from dbx.repo.undone import UNDO
from dbx.repo.writer import writing
from dbx.store.heldindex import HeldIndex
from dbx.store.segments import SEGMENTS, FrameReader, SegmentWriter, segment_name

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from dbx.formats.bundle import Point
    from dbx.formats.commit import Commit
    from dbx.repo.domain import Domain
    from dbx.repo.log import LogReader
    from dbx.repo.replica.quarantine import Arrived
    from dbx.repo.replica.receive import Terms
    from dbx.repo.replica.vet import Vetting
    from dbx.repo.working import WorkingSet

Purpose = Literal["look", "track", "recommit"]
_EVENTS = 2048


def take_diverged(domain: Domain, arrived: Arrived, terms: Terms, purpose: Purpose) -> tuple[Received, list[Parted]]:
    """Check what arrived on top of the commit it continues, which is an older one of ours.

    To "look" changes nothing; to "track" keeps it under the tracking ref; to "recommit" makes it history, with our own
    commits behind it, unless there are aggregates that both sides advanced: then that changes nothing either. (What was
    taken in, those aggregates.) Raises as receive.receive, and Conflict where commits cannot be made anew.
    """
    with writing(domain):
        sweep_quarantine(domain.directory)
        working = sealed(domain)
        before, base = point_of(working.head), arrived.header.base
        newer = schemachain.check_arrived(domain.directory, arrived.schemas, arrived.header.schemas)
        if base.seq >= before.seq or point_at(domain, base.seq) != base:
            raise Conflict(f"the history of domain '{domain.name}' has moved meanwhile", hint="try again")
        mine = advances_since(domain, base.position)
        held = HeldIndex(working.index.path, working.indexed, domain.vault)
        try:
            trial = rewind(domain, held, base, mine)
            leaves: dict[Name, list[bytes]] = {}
            judge = terms.judge

            def note(commit: Commit, envelopes: Sequence[bytes], bodies: Sequence[bytes]) -> None:
                _gather(envelopes, mine, leaves)
                if judge is not None:
                    judge(commit, envelopes, bodies)

            vetting = vet(domain, trial, arrived, terms._replace(judge=note))
            both, same = _compare(domain, mine, leaves)
            done = Received(before, point_of(trial.head), vetting.commits, vetting.events, 0)
            if purpose == "look" or (purpose == "recommit" and both):
                return done, both
            entries = shown = [*_entries_up_to(domain, trial, base), *arrived.entries]
            if purpose == "recommit":
                _check_unshared(domain, base, terms)
                made = _recommit(domain, vetting, base, before, same)
                entries = shown if made is None else [*shown, made]
            if newer:
                schemachain.adopt(domain.directory, arrived.schemas, arrived.header.schemas)
                done = done._replace(schemas=sum(name.startswith(published.VERSIONS) for name in arrived.schemas))
            move_in(domain, arrived)
            if purpose == "recommit" and vetting.owed:
                entries = without_bodies(domain, trial, vetting.owed, entries)
            if terms.track is not None:
                set_tracking(domain, terms.track, entries[: len(shown)])
            if purpose == "recommit":
                _note_undone(domain, before, base, terms)
                done = done._replace(head=_move(domain, entries, vetting, held, before, terms))
            return done, both
        finally:
            held.close()
            domain.reset()


def _gather(envelopes: Sequence[bytes], names: Container[Name], leaves: dict[Name, list[bytes]]) -> None:
    """Add the leaf hashes of events of these aggregates."""
    for envelope in envelopes:
        name, _ = _place(envelope)
        if name in names:
            leaves.setdefault(name, []).append(merkle.leaf_hash(envelope))


def _compare(
    domain: Domain, mine: dict[Name, Advance], leaves: dict[Name, list[bytes]]
) -> tuple[list[Parted], dict[Name, int]]:
    """(the aggregates whose histories part, up to which version the others were advanced by the same events)."""
    both: list[Parted] = []
    same: dict[Name, int] = {}
    for name, other in sorted(leaves.items()):
        first, last = mine[name]
        ours = domain.read(lambda working, reader, at=(*name, first, last): _own_leaves(working, reader, *at))  # type: ignore[misc]
        parting = next((n for n, pair in enumerate(zip(ours, other, strict=False)) if pair[0] != pair[1]), None)
        if parting is None:
            same[name] = min(last, first - 1 + len(other))
        else:
            both.append(Parted(*name, first + parting, last, first - 1 + len(other)))
    return both, same


def _own_leaves(working: WorkingSet, reader: LogReader, kind: str, name: str, first: int, last: int) -> list[bytes]:
    row = working.index.find(kind, name)
    assert row is not None  # noqa: S101 - we advanced it
    assert row.n is not None  # noqa: S101 - a stored row
    return [merkle.leaf_hash(one.envelope) for one in reader.events(working.index.positions(row.n, first, last))]


def _place(envelope: bytes) -> tuple[Name, int]:
    """(aggregate, version) of an envelope."""
    parts = envelope.decode().split('"')
    return (parts[7], parts[3]), int(parts[-1][1:-1])


def _entries_up_to(domain: Domain, trial: WorkingSet, base: Point) -> list[ManifestEntry]:
    """The segments that hold our commits up to `base`; where it lies within one, its beginning is written anew."""
    ref = read_ref(domain.directory)
    entries: list[ManifestEntry] = []
    for entry in read_manifest(domain.directory, ref.manifest) if ref else ():
        name = segment_name(entry.sha256)
        if entry.last_seq <= base.seq:
            entries.append(entry)
            continue
        trial.drop_file(name)
        if entry.first_seq > base.seq:
            continue
        fd = domain.directory.open_read(name)
        try:
            owner = FrameReader(fd, name).header()[0].domain
        finally:
            os.close(fd)
        entries.append(_write(domain, trial, owner, entry.first_seq, base))
    return entries


def _write(domain: Domain, trial: WorkingSet, owner: str, first: int, last: Point) -> ManifestEntry:
    """Commits `first` to `last` of ours in a segment of their own."""
    before = point_at(domain, first - 1)
    with domain.directory.temporary(SEGMENTS) as temporary:
        writer = SegmentWriter(
            temporary,
            domain=owner,
            parent=before.commit or None,
            position=before.position,
            seq=first,
            pool=None,
            vault=domain.vault,
        )
        copy_commits(domain, writer, first, last.seq)
        sha, size = writer.finish()
    trial.locate(segment_name(sha), writer.blocks, writer.frames)
    return ManifestEntry(sha, size, first, last.seq, last.commit)


def _recommit(
    domain: Domain, vetting: Vetting, base: Point, before: Point, same: dict[Name, int]
) -> ManifestEntry | None:
    """Our commits behind `base` up to `before`, made anew on top of what was vetted, in a segment.

    Events of aggregates up to the version that `same` says are there already; a commit of nothing else is left out.
    None where nothing is left.
    """
    trial = vetting.working
    start = point_of(trial.head)
    with domain.directory.temporary(SEGMENTS) as temporary:
        writer = SegmentWriter(
            temporary,
            domain=domain.id,
            parent=start.commit,
            position=start.position,
            seq=start.seq + 1,
            pool=None,
            vault=domain.vault,
        )
        for seq in range(base.seq + 1, before.seq + 1):
            old = get_commit(domain, seq).commit
            head = trial.head
            edge: list[bytes] = []
            count = 0
            for at in range(old.position, old.position + old.count, _EVENTS):
                part = range(at, min(at + _EVENTS, old.position + old.count))
                events = domain.read(lambda _, reader, part=part: list(reader.events(part)))  # type: ignore[misc]
                if same:
                    events = [one for one in events if not _is_there(one.envelope, same)]
                    merkle.extend(edge, count, [merkle.leaf_hash(one.envelope) for one in events])
                count += len(events)
                if any(one.body is None for one in events):
                    raise domain.vault.missing()
                envelopes, bodies = [one.envelope for one in events], [one.body or b"" for one in events]
                if events:
                    vetting.add(vetting.examine(envelopes, bodies))
                    writer.add(envelopes, bodies)
            if not count:
                continue
            commit = replace(
                old,
                count=count,
                events=merkle.edge_root(edge).hex() if count < old.count else old.events,
                domain=domain.id,
                index=vetting.root().hex(),
                parent=head.commit.hex(),
                position=head.position,
                seq=head.seq + 1,
            )
            line = encode_commit(commit)
            writer.add_commits([line])
            trial.advance(commit, merkle.leaf_hash(line))
        end = point_of(trial.head)
        if end == start:
            vetting.finish()
            return None
        sha, size = writer.finish()
    trial.locate(segment_name(sha), writer.blocks, writer.frames)
    vetting.finish()
    return ManifestEntry(sha, size, start.seq + 1, end.seq, end.commit)


def _is_there(envelope: bytes, same: dict[Name, int]) -> bool:
    name, version = _place(envelope)
    return version <= same.get(name, 0)


def _move(
    domain: Domain, entries: list[ManifestEntry], vetting: Vetting, held: HeldIndex, before: Point, terms: Terms
) -> Point:
    """Move the ref, and let the index and the reflog follow; where the history ends now."""
    moved = move_ref(domain.directory, entries)
    domain.close_journal()
    settle(domain, vetting.working, vetting, moved.manifest, held)
    head = point_of(vetting.working.head)
    note_move(domain, before, head, terms)
    return head


def _note_undone(domain: Domain, before: Point, base: Point, terms: Terms) -> None:
    """The reflog says, durably and before the ref moves, that our commits are taken back: they come again as others."""
    count = before.seq - base.seq
    reason = f"{UNDO}{count} commits, made anew by a {terms.reason}"[:200]
    now = format_time(domain.clock())
    entry = ReflogEntry(before.commit, base.commit, base.seq, now, terms.actor, reason)
    domain.reflog.append([entry], durable=True)


def _check_unshared(domain: Domain, base: Point, terms: Terms) -> None:
    """What somebody else has, or a tag names, is never committed anew. Raises Conflict."""
    for name in domain.directory.walk("refs/remotes"):
        ref = read_ref(domain.directory, name)
        if ref is not None and ref.seq > base.seq and commit_ids(domain, [ref.seq]) == [ref.commit]:
            raise Conflict(
                f"commit {ref.seq} is shared with the remote '{name.split('/')[2]}', so it cannot be committed anew",
                hint="clone from the authoritative domain, and apply there what is missing",
            )
    shared = None if terms.find_shared is None else terms.find_shared()
    if shared is not None and shared.commits > base.seq + 1:
        raise Conflict(
            f"commit {base.seq + 1} is shared, so it cannot be committed anew: {shared.why}",
            hint="clone from the authoritative domain, and apply there what is missing",
        )
    for name in domain.directory.names(TAGS):
        found = read_tag(domain, name)
        if found is not None and found[0] > base.seq:
            raise Conflict(
                f"tag '{name}' names a commit that would have to be made anew",
                hint="delete the tag if nobody else has it, or clone from the authoritative domain",
            )
