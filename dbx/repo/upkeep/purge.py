"""Making an erased body vanish from every file of a domain, once the log says that it was erased.

The ref moves first: from then on the log has no such body. What is left are copies, which are removed one kind after
the other, and the note comes last, so that whoever writes next finishes what a crash interrupted: tracking refs, what
was taken back, the index with its staged half, snapshots, torn writes, and every file that nothing names any more.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import DbxError, Locked
from dbx.formats.refs import Ref, encode_ref
from dbx.repo.erasing import find_erased, read_note, replace_entries, rewrite, rewrite_entries
from dbx.repo.log import ERASING, MANIFESTS, named_files, read_manifest, read_ref
from dbx.repo.replica.quarantine import sweep_quarantine
from dbx.repo.replica.receive import retrack
from dbx.repo.seal import move_ref, seal, write_manifest
from dbx.repo.snapshotfile import snapshots_of
from dbx.repo.undone import COMMITS
from dbx.repo.upkeep.gc import garbage_of
from dbx.repo.upkeep.snapshots import refill_emptied
from dbx.store import stagedindex
from dbx.store.fs import TEMPORARY
from dbx.store.journal import TORN
from dbx.store.scrub import scrub_index
from dbx.store.segments import SEGMENTS

if TYPE_CHECKING:
    from collections.abc import Sequence, Set

    from dbx.formats.manifest import ManifestEntry
    from dbx.repo.domain import Domain
    from dbx.repo.erasing import Erased, Name

_REMOTES = "refs/remotes"


class Purged(NamedTuple):
    """What was done. `files` are the names of those that were removed; `done` False: somebody was reading, and copies
    are left in the log of writes of a database until the next writer or gc comes by."""

    files: tuple[str, ...]
    done: bool


def finish_quietly(domain: Domain) -> None:
    """`finish_erasing` for who has something else to do, which it may not fail; the note stays where it does."""
    with suppress(DbxError, OSError):
        finish_erasing(domain)
    domain.is_erasing = False  # once is enough for as long as nobody else comes by


def finish_erasing(domain: Domain) -> Purged:
    """Erase what the note says is to be erased, as far as the log agrees. The writer's lock must be held.

    Raises OSError, Corrupt, KeyFailure; what was done until then stays done.
    """
    wanted = read_note(domain.directory)
    if wanted is None:
        return Purged((), done=True)
    domain.flush()
    erased = all_erased(domain, wanted)
    if any(not one.is_gone for one in erased):
        _move(domain, [one for one in erased if not one.is_gone])
    if not erased:  # a crash came before the event
        domain.directory.remove(ERASING)
        return Purged((), done=True)
    _track(domain, erased)
    removed = _drop_undone(domain, erased)
    names = sorted({(one.aggregate_type, one.aggregate_id) for one in erased})
    _refold(domain, names)
    done = _unstage(domain, names)
    removed += _sweep(domain)
    done = _empty_snapshots(domain, names) and done
    index = domain.index()
    done = scrub_index(index, wait_s=min(domain.wait_s, 5.0)) and done
    if done:
        domain.directory.remove(ERASING)
    return Purged(tuple(removed), done)


def all_erased(domain: Domain, wanted: Sequence[Name]) -> list[Erased]:
    """What the log says was erased of these aggregates, whether it still has it or not."""
    return domain.read(lambda working, reader: find_erased(working, reader, wanted))


def _move(domain: Domain, erased: Sequence[Erased]) -> None:
    """The log still has bodies that it says were erased: write their segments anew, and move the ref."""
    working = domain.sync()
    if working.head.journal:
        seal(domain, working, working.head)
        domain.flush()
        working = domain.sync()
    ref = read_ref(domain.directory)
    entries = read_manifest(domain.directory, ref.manifest) if ref else ()
    rewritten = rewrite_entries(domain, entries, working, erased)
    if rewritten:
        move_ref(domain.directory, replace_entries(entries, rewritten))


def _track(domain: Domain, erased: Sequence[Erased]) -> None:
    """Remote-tracking refs name segments too: let them name those of the branch, or others without the bodies."""
    directory = domain.directory
    ref = read_ref(directory)
    entries = read_manifest(directory, ref.manifest) if ref else ()
    retrack(domain, entries)
    known = {entry.sha256 for entry in entries}
    envelopes = {one.envelope for one in erased}
    for name in directory.walk(_REMOTES):
        found = None if name.rpartition("/")[2].startswith(TEMPORARY) else read_ref(directory, name)
        if found is None:
            continue
        before = read_manifest(directory, found.manifest)
        after = [_without(domain, entry, known, envelopes) for entry in before]
        if after != list(before):
            directory.write(name, encode_ref(Ref(found.commit, found.seq, write_manifest(directory, after))))


def _without(domain: Domain, entry: ManifestEntry, known: Set[str], envelopes: Set[bytes]) -> ManifestEntry:
    if entry.sha256 in known:
        return entry
    anew = rewrite(domain, entry, envelopes)
    return entry if anew is None else anew.entry


def _drop_undone(domain: Domain, erased: Sequence[Erased]) -> list[str]:
    """Forget what was taken back where it holds a body: whoever put it back would bring the body with it."""
    directory = domain.directory
    known = {name[len(SEGMENTS) + 1 :].partition(".")[0] for name in named_files(directory)}
    envelopes = {one.envelope for one in erased}
    dropped = []
    for name in list(directory.walk(COMMITS)):
        found = None if name.rpartition("/")[2].startswith(TEMPORARY) else read_ref(directory, name)
        if found is None:
            continue
        if any(
            entry.sha256 not in known and rewrite(domain, entry, envelopes) is not None
            for entry in read_manifest(directory, found.manifest)
        ):
            directory.remove(name)
            dropped.append(name)
    return dropped


def _refold(domain: Domain, names: Sequence[Name]) -> None:
    """Fold these aggregates again, whatever the index has seen of them before."""
    domain.reset()
    working = domain.sync()
    for name in names:
        record = working.find(*name)
        if record is not None:
            record.refold = True
            working.touched[name] = record
    domain.flush()


def _unstage(domain: Domain, names: Sequence[Name]) -> bool:
    """Drop the staged half of the index where it holds states of these aggregates: it is made anew from the file."""
    index = domain.index()
    if all(stagedindex.find_staged(index, *name) is None for name in names):
        return True
    held = domain.staging_lock.held
    if not held:
        try:
            domain.staging_lock.acquire(0)  # who needs both locks takes this one first: waiting could be for ever
        except Locked:
            return False
    try:
        with index.write(None):
            stagedindex.clear_staged(index)
    finally:
        if not held:
            domain.staging_lock.release()
    domain.records_moved()
    return True


def _empty_snapshots(domain: Domain, names: Sequence[Name]) -> bool:
    """Overwrite the snapshots of these aggregates, and take them again from what is left."""
    snapshots = snapshots_of(domain).find()
    if snapshots is None:
        return True
    for name in names:
        snapshots.empty(*name)
    refill_emptied(domain)
    return snapshots.shrink()


def _sweep(domain: Domain) -> list[str]:
    """Remove the files that nothing names, and copies of torn writes."""
    directory = domain.directory
    sweep_quarantine(directory)
    removed = [name for name, _ in garbage_of(domain, read_ref(directory))]
    removed += [name for name in directory.names() if name.startswith(TORN)]
    for name in removed:
        directory.remove(name, durable=False)
    for part in ("", SEGMENTS, MANIFESTS):
        if directory.exists(part):
            directory.sync(part)
    return removed
