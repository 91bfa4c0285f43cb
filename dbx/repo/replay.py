"""Bringing the working set up to the log: after another process wrote, after a crash, or from nothing.

What is replayed is checked on the way: the chain of commits, versions without gaps, body hashes, each commit's root
over its events, and at the end the index root that the last commit names.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dbx.crypto import merkle
from dbx.errors import Corrupt
from dbx.repo.log import MAIN, Events, Located, commits_of, missing_file, read_manifest, tip
from dbx.repo.masks import StaleIndex as StaleIndex
from dbx.repo.undone import read_undone
from dbx.repo.working import WorkingSet, fold_events
from dbx.store.fs import sync_data
from dbx.store.journal import scan
from dbx.store.segments import FrameReader, segment_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.crypto.vault import Vault
    from dbx.formats.refs import Ref
    from dbx.store.fs import Directory

_FLUSH_EVENTS = 100_000


class Replayed:
    """How the log looked when it was read: its ref, its journal, and whether a torn write follows the journal's end."""

    __slots__ = ("journal", "journal_end", "ref", "torn")

    def __init__(self, ref: Ref | None) -> None:
        self.ref = ref
        self.journal: str | None = None
        self.journal_end = 0
        self.torn = False


def replay(
    directory: Directory,
    working: WorkingSet,
    vault: Vault | None = None,
    *,
    before_flush: Callable[[], None],
    progress: Callable[[int], None] | None = None,
) -> Replayed:
    """Bring `working` up to the log's head, flushing as it grows.

    What is taken into the index is made durable first: its writer may be about to do that, or may have died before, and
    an index must never know more than the log has after a power cut.

    Raises Corrupt for damage, and when the index knows a later commit than the log has; StaleIndex when its history is
    another one; MovedIndex when another process brings the index forward at the same time.
    """
    ref, name, fd = tip(directory)
    seen = Replayed(ref)
    known = working.head
    try:
        if known.manifest != (ref.manifest if ref else ""):
            if ref is not None:
                directory.sync(os.path.dirname(MAIN))
            _follow_manifest(directory, working, ref, vault, before_flush, progress)
        last, last_id = (-1, b"") if ref is None else (ref.seq, bytes.fromhex(ref.commit))
        if fd >= 0:
            reader = FrameReader(fd, name, vault=vault)
            last, last_id = _follow_journal(working, reader, name, seen, (last, last_id))
            if working.head.seq > known.seq:
                sync_data(fd)
    finally:
        if fd >= 0:
            os.close(fd)
    if known.seq > last and known.commit.hex() in read_undone(directory):
        raise StaleIndex
    if known.seq > last:
        raise Corrupt(
            f"the index knows commit {known.seq}, but the log of '{directory.path}' ends with commit {last}",
            hint="history was lost or cut off; compare with a copy, then 'dbx reindex --accept-loss'",
            details={"file": name, "index": known.seq, "log": last},
        )
    if working.head.seq != last or (last_id and working.head.commit != last_id):
        raise StaleIndex
    if working.is_ahead:
        check_root(working)
        before_flush()
        working.flush()
    return seen


def check_root(working: WorkingSet) -> None:
    """The index tree over what was replayed must have the root that the head commit names."""
    if working.update_tree(list(working.touched.values())) != working.head.root:
        raise Corrupt(
            f"the index root that commit {working.head.seq} names is not that of its aggregates",
            hint="run 'dbx fsck' to see where history was changed",
        )


def _follow_manifest(
    directory: Directory,
    working: WorkingSet,
    ref: Ref | None,
    vault: Vault | None,
    before_flush: Callable[[], None],
    progress: Callable[[int], None] | None,
) -> None:
    entries = read_manifest(directory, ref.manifest) if ref else ()
    if ref and (not entries or entries[-1].last_commit != ref.commit or entries[-1].last_seq != ref.seq):
        raise Corrupt("'refs/heads/main' and the manifest it names end with different commits")
    known = set(working.index.files())
    wanted = {segment_name(entry.sha256) for entry in entries}
    start = working.head.seq
    for entry in entries:
        file = segment_name(entry.sha256)
        if file in known and entry.last_seq <= start:
            continue
        try:
            fd = directory.open_read(file)
        except FileNotFoundError:
            raise missing_file(file) from None
        try:
            reader = FrameReader(fd, file, vault=vault)
            header, at = reader.header()
            if header.seq != entry.first_seq:
                raise reader.fault(Corrupt("its header does not fit the manifest"), 0)
            located = Located(header.position, header.seq)
            for events in commits_of(reader, reader.items(at), located):
                _take(working, events, reader)
                if progress:
                    progress(len(events.envelopes))
                if working.pending_events >= _FLUSH_EVENTS:
                    working.locate(file, *located.take())
                    check_root(working)
                    before_flush()
                    working.flush()
            if located.seq != entry.last_seq + 1:
                raise reader.fault(Corrupt("it does not end with the commit that the manifest names"), reader.size)
            working.locate(file, *located.take())
        finally:
            os.close(fd)
    for file in sorted(known - wanted):
        working.drop_file(file)
    working.move(manifest=ref.manifest if ref else "")


def _follow_journal(
    working: WorkingSet, reader: FrameReader, name: str, seen: Replayed, last: tuple[int, bytes]
) -> tuple[int, bytes]:
    header, start = reader.header()
    same = working.head.journal == name and working.head.journal_end >= start
    if same:
        # Commits that were there when it was last looked at, all in the index.
        if working.head.journal_end > reader.size:
            raise Corrupt(
                f"'{name}' ends at byte {reader.size}, but commits were indexed up to byte {working.head.journal_end}",
                hint="history was lost or cut off; compare with a copy, then 'dbx reindex --accept-loss'",
                details={"file": name, "offset": reader.size},
            )
        start = working.head.journal_end
        last = (working.head.seq, working.head.commit)
        located = Located(working.head.position, working.head.seq + 1)
    else:
        if header.seq != last[0] + 1 or (header.parent or "") != last[1].hex():
            raise reader.fault(Corrupt("its header does not continue the commit that the ref names"), 0)
        located = Located(header.position, header.seq)
    tail = scan(reader, start, located.position)
    for events in commits_of(reader, tail.items, located):
        _take(working, events, reader)
        last = (events.entry.commit.seq, events.entry.id)
    working.locate(name, *located.take())
    working.move(journal=name, journal_end=tail.end)
    seen.journal, seen.journal_end, seen.torn = name, tail.end, tail.torn
    return last


def _take(working: WorkingSet, events: Events, reader: FrameReader) -> None:
    """Fold one commit that the index does not have yet; commits it has are passed over."""
    entry, envelopes, bodies = events
    commit, head = entry.commit, working.head
    if commit.seq <= head.seq:
        return
    if commit.seq != head.seq + 1 or commit.position != head.position or (commit.parent or "") != head.commit.hex():
        if commit.seq == head.seq + 1 and working.indexed.seq == head.seq and head.seq >= 0:
            raise StaleIndex
        raise reader.fault(Corrupt(f"commit {commit.seq} does not continue the commit before it"), 0)
    leaves = fold_events(working, envelopes, bodies, commit.position)
    if merkle.root(leaves).hex() != commit.events:
        raise reader.fault(Corrupt(f"the events of commit {commit.seq} do not have the root it names"), 0)
    working.advance(entry.commit, entry.id)
