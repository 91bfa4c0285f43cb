"""Taking back the last move of a ref on this machine, as long as nobody else has it.

Commits are taken back by moving the ref: what stays of the log gets a manifest of its own, whose last segment is cut
where it must be, and the ref is set to it in one rename. What it was before becomes a ref below `refs/undone`, so that
every byte is kept, gc leaves it alone, and taking back what was taken back only sets the ref again.

The order is what makes it safe. The reflog's line comes first and is synced: a log that ends where the last line says
is whole. Then the ref moves, and with it everything. Then the index is made anew; whoever finds one in between that
knows commits which the reflog says were taken back makes it anew as well (repo/undone.py).
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbx.errors import Conflict, DbxError, Failure
from dbx.formats.bundle import Point
from dbx.formats.reflog import ReflogEntry
from dbx.formats.refs import encode_ref, encode_tag
from dbx.model.time import format_time
from dbx.repo.batch.staging import find_batch, staging_locked
from dbx.repo.compare.tracking import find_base
from dbx.repo.erasing import has_erasures
from dbx.repo.log import MAIN, journals, read_manifest, read_ref
from dbx.repo.reading.revision import MAX_TAG_BYTES, REMOTES, TAGS, parse_tag
from dbx.repo.refs import tags
from dbx.repo.refs.kept import check_files, end_of
from dbx.repo.replay import StaleIndex
from dbx.repo.replica.shared import Shared
from dbx.repo.rewind import advances_since, rewind
from dbx.repo.seal import move_ref, seal
from dbx.repo.snapshotfile import snapshots_of
from dbx.repo.undone import COMMITS, REDO, UNDO
from dbx.repo.upkeep.fork import cut_segment
from dbx.repo.working import get_drawn
from dbx.repo.writer import writing
from dbx.store.heldindex import HeldIndex
from dbx.store.reflog import LOGS, Reflog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dbx.formats.envelope import Actor
    from dbx.formats.manifest import ManifestEntry
    from dbx.formats.refs import Ref
    from dbx.repo.domain import Domain
    from dbx.repo.rewind import Advance, Name
    from dbx.repo.working import WorkingSet

    FindShared = Callable[[], Shared]

_MANY = 1000


def _nothing() -> Shared:
    return Shared(0, "")


@dataclass(frozen=True, slots=True)
class Step:
    """What would be, or was, taken back.

    `kind` is "commit", "redo" (commits that were taken back are put back) or "tag". `ref` is the ref's full name and
    `reason` what its reflog says of the move. It goes from commit `old` to `new`, None for none, whose seq is `seq`, -1
    for none. `first`..`last` are the seqs of the commits that go, or come back, with `events` events in all.
    """

    kind: str
    ref: str
    reason: str
    old: str | None
    new: str | None
    seq: int
    first: int = 0
    last: int = -1
    events: int = 0

    @property
    def commits(self) -> int:
        """How many commits go, or come back."""
        return self.last - self.first + 1

    @property
    def kept(self) -> str | None:
        """The ref below `refs/undone` that keeps the commits that go."""
        return f"{COMMITS}/{self.old}" if self.kind == "commit" else None


def plan_undo(domain: Domain, *, find_shared: FindShared = _nothing) -> Step:
    """What `undo` would do. `find_shared` says what the workspace knows to be shared.

    Raises Failure where nothing can be taken back, Conflict where it may not be.
    """
    with domain.mutex:
        ref, entry = _last_move(domain)
        if ref != MAIN:
            return _plan_tag(domain, ref, entry)
        step = _plan_branch(domain, entry)
        if step.kind == "commit":
            shared = find_shared()
            if shared.commits > step.first:
                raise _shared(step.first, shared.why)
        return step


def undo(domain: Domain, step: Step, *, actor: Actor, find_shared: FindShared = _nothing) -> Step:
    """Take back what `plan_undo` told. After a crash it is done, or nothing of it is.

    Raises Conflict where something has moved since, and what plan_undo raises.
    """
    with staging_locked(domain), writing(domain):
        if plan_undo(domain, find_shared=find_shared) != step:
            raise Conflict("something was committed or tagged meanwhile", hint="look again, and repeat the command")
        if step.kind == "tag":
            _undo_tag(domain, step, actor)
        else:
            _undo_branch(domain, step, actor)
    return step


# -- what comes next ---------------------------------------------------------------------------------------------------


def _last_move(domain: Domain) -> tuple[str, ReflogEntry]:
    """The ref that moved last, with the line that says how it came to where it is."""
    head = domain.sync().head.commit.hex() or None
    moves: list[tuple[int, str, str, ReflogEntry]] = []
    names = [MAIN, *domain.directory.walk(f"{LOGS}/{TAGS}")]
    for name in names:
        ref = name.removeprefix(f"{LOGS}/")
        at = head if ref == MAIN else _tagged(domain, ref.rpartition("/")[2])
        # A line that the ref is not at was written before a move that a crash kept from happening.
        found = next((entry for entry in Reflog(domain.directory, ref).newest() if entry.new == at), None)
        if found is None and ref == MAIN and head is not None:
            found = _unlogged(domain)
        if found is not None:
            moves.append((_written_ns(domain, f"{LOGS}/{ref}"), found.time, ref, found))
    if not moves:
        raise Failure(f"there is nothing to take back in domain '{domain.name}'")
    _, _, ref, entry = max(moves, key=lambda move: move[:3])
    return ref, entry


def _written_ns(domain: Domain, file: str) -> int:
    """When a reflog was last written. Not what its lines say: clocks of commands can be set."""
    try:
        return os.stat(domain.directory.path_of(file), follow_symlinks=False).st_mtime_ns
    except FileNotFoundError:
        return 0


def _tagged(domain: Domain, name: str) -> str | None:
    tag = tags.find_tag(domain, name)
    return None if tag is None else tag.commit_id


def _unlogged(domain: Domain) -> ReflogEntry:
    """The last commit as a move of its own, where a crash kept it from the reflog."""
    from dbx.repo.transaction import reflog_entry

    entry = domain.read(lambda working, reader: reader.commit(working.head.seq))
    return reflog_entry(entry.commit, entry.id.hex())


def _plan_tag(domain: Domain, ref: str, entry: ReflogEntry) -> Step:
    seq = -1
    if entry.old is not None:
        found = domain.read(lambda working, _: working.index.find_commits(entry.old or ""))
        if not found:
            raise Conflict(f"'{ref}' cannot go back to commit '{entry.old[:12]}', which domain '{domain.name}' lacks")
        seq = int(found[0][0])
    return Step("tag", ref, entry.reason, entry.new, entry.old, seq)


def _plan_branch(domain: Domain, entry: ReflogEntry) -> Step:
    batch = find_batch(domain)
    if batch is not None:
        raise Conflict(
            f"{batch.events} events are staged on top of what would be taken back", hint="commit or reset them first"
        )
    return _plan_redo(domain, entry) if entry.reason.startswith(UNDO) else _plan_commits(domain, entry)


def _plan_commits(domain: Domain, entry: ReflogEntry) -> Step:
    working = domain.sync()
    if entry.reason.startswith(("fork:", "reindex ", "clone")):
        raise Conflict(
            f"the history of domain '{domain.name}' begins with this: {entry.reason}",
            hint="delete the domain with 'dbx checkout --delete', if that is meant",
        )
    seq, end = -1, 0
    if entry.old is not None:
        found = domain.read(lambda working, _: working.index.find_commits(entry.old or ""))
        seq = int(found[0][0]) if found else working.head.seq
        if seq >= working.head.seq:
            raise Conflict(
                f"the last move came from commit '{entry.old[:12]}', which is not in the history: {entry.reason}",
                hint="what made commits anew on top of others cannot be taken back",
            )
        end = working.position_of(seq + 1)
    _refuse_shared(domain, seq + 1)
    if has_erasures(domain, end, working.head.position):
        raise Conflict(
            "what was committed last erases bodies, and there is nothing to take them back from",
            hint="what is erased stays erased",
        )
    head = working.head
    return Step("commit", MAIN, entry.reason, entry.new, entry.old, seq, seq + 1, head.seq, head.position - end)


def _plan_redo(domain: Domain, entry: ReflogEntry) -> Step:
    kept = None if entry.old is None else read_ref(domain.directory, f"{COMMITS}/{entry.old}")
    if kept is None:
        raise Failure(
            "what was taken back last is not there any more, so that it cannot be put back",
            details={"commit": entry.old},
        )
    working = domain.sync()
    first = working.head.seq + 1
    events = end_of(domain.directory, kept) - working.head.position
    return Step("redo", MAIN, entry.reason, entry.new, entry.old, kept.seq, first, kept.seq, events)


def _refuse_shared(domain: Domain, first: int) -> None:
    """Raise Conflict where somebody else may have a commit from `first` on (format.md §1), or a tag names one."""
    for name in domain.directory.walk(REMOTES):
        ref = read_ref(domain.directory, name) if name.endswith("/main") else None
        if ref is not None and ref.seq >= first:
            last = domain.read(lambda working, _, ref=ref: find_base(working, domain.directory, ref))  # type: ignore[misc]
            if last >= first:
                raise _shared(first, f"'{name.removeprefix(f'{REMOTES}/')}' has commits up to {last}")
    for tag in tags.list_tags(domain):
        if tag.seq >= first:
            if tag.signed:
                raise _shared(first, f"the signed checkpoint '{tag.name}' covers it")
            raise Conflict(f"the tag '{tag.name}' names commit {tag.seq}", hint=f"run 'dbx tag -d {tag.name}' first")


def _shared(seq: int, why: str) -> Conflict:
    return Conflict(f"commit {seq} is shared: {why}", hint="shared history stays as it is")


# -- doing it ----------------------------------------------------------------------------------------------------------


def _undo_tag(domain: Domain, step: Step, actor: Actor) -> None:
    name = step.ref.rpartition("/")[2]
    old = tags.find_tag(domain, name)
    reason = f"{UNDO}{step.reason}"[:200]
    if step.new is None:
        assert old is not None  # noqa: S101 - what is at step.old is there
        tags.remove_tag(domain, old, actor, reason)
        return
    kept = domain.directory.find(f"{tags.KEPT}/{name}", MAX_TAG_BYTES)
    found = parse_tag(kept, f"{tags.KEPT}/{name}") if kept is not None else None
    if kept is None or found is None or found[0] != step.seq or found[1] not in (None, step.new):
        kept = encode_tag(step.new, step.seq)
    tags.write_tag(domain, name, kept, old, actor, reason)


def _undo_branch(domain: Domain, step: Step, actor: Actor) -> None:
    domain.flush()
    working = domain.sync()
    directory = domain.directory
    if working.head.journal:
        seal(domain, working, working.head)
        domain.flush()
    domain.close_journal()
    # None may be left: it would go on from the commit that the ref is about to be set to, with what was taken back.
    for name in journals(directory):
        directory.remove(name)
    if step.kind == "redo":
        kept = read_ref(directory, f"{COMMITS}/{step.new}")
        assert kept is not None  # noqa: S101 - it was planned with it
        check_files(domain.directory, kept)
        # Forwards: a line that knows a later commit than the log would look like damage.
        directory.write(MAIN, encode_ref(kept))
        with suppress(OSError):  # evidence
            domain.reflog.append([_line(domain, step, actor, f"{REDO}{_counted(step)}")], durable=True)
        directory.remove(f"{COMMITS}/{step.new}")
        domain.note_ref()
        domain.reset()
        return
    ref = read_ref(directory)
    assert ref is not None  # noqa: S101 - there are commits, and no journal
    directory.make(COMMITS)
    directory.write(f"{COMMITS}/{ref.commit}", encode_ref(ref))
    entries = _prefix(domain, ref, step.seq)
    added = advances_since(domain, domain.sync().head.position - step.events)
    held = _rewound(domain, step, added)
    try:
        domain.reflog.append([_line(domain, step, actor, f"{UNDO}{_counted(step)}")], durable=True)
        if entries:
            move_ref(directory, entries)
        else:
            directory.remove(MAIN)
        _follow(domain, held)
        _drop_snapshots(domain, added)
    finally:
        if held is not None:
            held.close()
        domain.reset()


def _prefix(domain: Domain, ref: Ref, seq: int) -> list[ManifestEntry]:
    """The segments of the log up to a commit, the last one cut behind it."""
    entries: list[ManifestEntry] = []
    for entry in read_manifest(domain.directory, ref.manifest):
        if entry.last_seq <= seq:
            entries.append(entry)
        elif entry.first_seq <= seq:
            entries.append(cut_segment(domain, domain.directory, entry, seq))
    return entries


def _line(domain: Domain, step: Step, actor: Actor, reason: str) -> ReflogEntry:
    return ReflogEntry(step.old, step.new, max(step.seq, 0), format_time(domain.clock()), actor, reason)


def _counted(step: Step) -> str:
    commits = "1 commit" if step.commits == 1 else f"{step.commits} commits"
    return f"{commits} with {'1 event' if step.events == 1 else f'{step.events} events'}"


def _rewound(domain: Domain, step: Step, added: Mapping[Name, Advance]) -> HeldIndex | None:
    """The index as it was at the commit that stays, which nobody sees yet; None where making it anew is less work."""
    working = domain.sync()
    end = working.head.position - step.events
    if step.new is None or step.events > end or domain.in_memory:
        return None
    held = None
    try:
        held = HeldIndex(working.index.path, working.indexed, domain.vault)
        rewind(domain, held, Point(step.seq, step.new, end), added)
    except (DbxError, OSError):  # the index is derived: it can be made anew
        if held is not None:
            held.close()
        return None
    return held


def _follow(domain: Domain, held: HeldIndex | None) -> None:
    """Bring the index to the commit that stays. Ids that were drawn stay drawn. Whatever happens, the log has moved."""
    with suppress(DbxError, OSError):
        if held is not None:
            held.keep()
            domain.reset()
            domain.sync()
            return
        drawn = {kind: get_drawn(domain.index(), kind) for kind in ("append", "stage")}
        domain.rebuild(StaleIndex())
        working: WorkingSet = domain.sync()
        for kind, pair in drawn.items():
            if pair is not None:
                working.index.set_meta(f"ids.{kind}", f"{pair[0]}|{pair[1]}")


def _drop_snapshots(domain: Domain, added: Mapping[Name, Advance]) -> None:
    """Drop snapshots of versions that are gone. What a crash leaves is passed over by reads: it has another leaf."""
    with suppress(DbxError, OSError):
        snapshots = snapshots_of(domain).find()
        if snapshots is None:
            return
        # One question for each aggregate, or one for all.
        asked = [(None, None)] if len(added) > _MANY else list(added)
        found = [outline for name in asked for outline in snapshots.outlines(*name)]
        gone = [
            number
            for number, kind, name, version, *_ in found
            if (kind, name) in added and version >= added[kind, name].first
        ]
        if gone:
            with snapshots.write():
                snapshots.delete(gone)
