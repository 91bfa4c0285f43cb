"""Committing what is staged: one commit, all or nothing, exactly once.

The bytes were made, cut into blocks and compressed when the events were staged. Here they are compared with the seals
of the file and written as they are; the index adopts what staging prepared.
"""

from __future__ import annotations

from contextlib import nullcontext, suppress
from itertools import accumulate
from typing import TYPE_CHECKING, TypeVar

from dbx.crypto import merkle
from dbx.crypto.indextree import TreeMismatch
from dbx.errors import Conflict, Corrupt, Invalid
from dbx.formats.commit import Commit, encode_commit
from dbx.model.time import format_time
from dbx.repo.batch.stagedhalf import agree, drop_staging
from dbx.repo.batch.staging import moved, staging_locked
from dbx.repo.enforcement import find_rules, was_checked
from dbx.repo.events import decode_stored
from dbx.repo.log import Stored
from dbx.repo.seal import seal
from dbx.repo.thresholds import has_thresholds
from dbx.repo.transaction import commit_actor, reflog_entry
from dbx.repo.writer import LARGE_BYTES, Committed, finish, write_journal, writing
from dbx.store import stagedindex
from dbx.store.ahead import Ahead
from dbx.store.index import IndexDamaged
from dbx.store.staging import NAME, EditedSeals, read_blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dbx.formats.envelope import Actor
    from dbx.repo.domain import Domain
    from dbx.repo.rules import Rules
    from dbx.repo.working import WorkingSet
    from dbx.store.index import Index, Row
    from dbx.store.segments import SegmentWriter
    from dbx.store.stagedindex import Batch
    from dbx.store.staging import StagedBlock

T = TypeVar("T")
_LISTED = 20
_LOOSE_PAGES = 1000
_MANY_BYTES = 4 * 1024 * 1024
"""From here on it is worth a thread to have the index adopt what is staged while the segment is written."""


def commit_staged(
    domain: Domain,
    *,
    actor: Actor | None,
    message: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[Commit, str] | None:
    """Commit everything that is staged; (commit, its id), or None when nothing is.

    Raises Conflict when an aggregate has moved since: then nothing is committed and the staging file stays.
    """
    allowing = nullcontext() if domain.access is None else domain.access.writing()
    with allowing, staging_locked(domain), writing(domain):
        rules = find_rules(domain)
        if rules is not None:
            rules.prepare()
        done = _prepared(
            domain,
            rules,
            lambda working, batch: _commit(domain, working, batch, rules, actor, message or None, progress),
        )
        if done is not None:
            with suppress(OSError):  # the commit stands; its batch id is in history: whoever looks next drops the file
                drop_staging(domain, domain.index())
    if done is not None and has_thresholds(domain):
        from dbx.repo.autosnapshot import after_commit

        after_commit(domain, done[0].position)
    return done


def check_staged(domain: Domain) -> int:
    """How many events `commit_staged` would commit, after the checks that it makes; 0 when nothing is staged."""
    with staging_locked(domain), writing(domain):
        rules = find_rules(domain)
        if rules is not None:
            rules.prepare()
        return _prepared(domain, rules, lambda _, batch: _count(domain, batch)) or 0


def _prepared(domain: Domain, rules: Rules | None, act: Callable[[WorkingSet, Batch], T]) -> T | None:
    """What `act` makes of what is staged, after the checks of a commit; None when nothing is staged.

    Once more where the index turns out to be damaged, or the file not to be what the index follows: until an act has
    read all of the file, it must have written nothing.
    """
    anew = mended = False
    while True:
        try:
            domain.flush()
            working = domain.sync()
            batch = agree(domain, working.index, anew=anew)
            if batch is None:
                return None
            _check(working.index)
            if rules is not None and not was_checked(working.index, rules, batch):
                _check_rules(domain, working.index, rules, batch)
            if rules is not None and rules.has_references():
                from dbx.repo.schema.referrers import check_staged_archives

                check_staged_archives(domain, working.index, rules)
            _check_access(domain, batch)
            return act(working, batch)
        except EditedSeals:
            domain.reset()
            if anew:
                raise Corrupt(f"'{NAME}' changes while it is read", hint="look at it, and commit again") from None
            anew = True
        except (IndexDamaged, TreeMismatch) as error:
            if mended:
                raise
            mended = True
            domain.rebuild(error)


def _count(domain: Domain, batch: Batch) -> int:
    return sum(block.events for block in _blocks(domain, batch))


def _blocks(domain: Domain, batch: Batch) -> Iterator[StagedBlock]:
    return read_blocks(domain.directory, batch.size, batch=batch.id, seals=batch.seals, vault=domain.vault)


def _is_large(domain: Domain, batch: Batch) -> bool:
    """Whether the lines of all events have LARGE_BYTES. Packed, they have a part of that in the file."""
    if batch.size >= LARGE_BYTES:
        return True
    sizes = accumulate(block.size for block in read_blocks(domain.directory, batch.size, batch=batch.id))
    return any(size >= LARGE_BYTES for size in sizes)


def _check_access(domain: Domain, batch: Batch) -> None:
    """Raises Denied unless the token, if one is used, allows every staged event."""
    if domain.access is not None:
        domain.access.restart()
        for block in _blocks(domain, batch):
            domain.access.check_events(domain, [envelope for envelope, _ in block.pairs()])


def _check(index: Index) -> None:
    found = stagedindex.moved_aggregates(index, _LISTED)
    if found:
        raise moved(found)
    taken = stagedindex.taken_ids(index, 1)
    if taken:
        raise Conflict(
            f"event id '{taken[0]}' was committed since it was staged",
            hint="nothing was committed; drop what is staged with 'dbx reset' and stage again",
        )


def _find(index: Index, aggregate_type: str, aggregate_id: str) -> Row | None:
    """An aggregate that is stored, or will be with what is staged."""
    stored = index.find(aggregate_type, aggregate_id)
    if stored is None and (staged := stagedindex.find_staged(index, aggregate_type, aggregate_id)) is not None:
        return staged[0]
    return stored


def _check_rules(domain: Domain, index: Index, rules: Rules, batch: Batch) -> None:
    """Check staged events against rules that are not those they were staged under, or that nobody vouches for."""
    found: list[dict[str, object]] = []
    position = 0
    look_up = rules.look_up_in(lambda kind, name: _find(index, kind, name))
    for block in _blocks(domain, batch):
        for envelope, body in block.pairs():
            event = decode_stored(Stored(position, envelope, body), -1)
            position += 1
            try:
                rules.check_again(event, look_up)
            except Invalid as error:
                found.append(
                    {
                        "aggregate_type": event.aggregate_type,
                        "aggregate_id": event.aggregate_id,
                        "event_id": str(event.event_id),
                        "message": error.message,
                    }
                )
    if found:
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        raise Conflict(
            f"a staged event is no longer valid: {found[0]['message']}{more}",
            hint="nothing was committed; change the schema, or drop what is staged with 'dbx reset' and stage again",
            details={"events": found[:_LISTED], "count": len(found)},
        )


def _commit(
    domain: Domain,
    working: WorkingSet,
    batch: Batch,
    rules: Rules | None,
    actor: Actor | None,
    message: str | None,
    progress: Callable[[int], None] | None,
) -> tuple[Commit, str]:
    head = working.head
    changes: dict[bytes, bytes | None] = dict(stagedindex.staged_leaves(working.index))
    index_root = working.tree.update(changes).hex()
    now = format_time(domain.clock())
    schema = None if rules is None else rules.settle(actor=actor, now=now)

    def close(events: int) -> tuple[Commit, bytes]:
        if events != batch.events:
            raise Corrupt(f"{batch.events} events are staged, but the staging file holds {events}")
        commit = Commit(
            commit_actor(domain, actor),
            batch.id,
            batch.events,
            domain.id,
            merkle.edge_root(batch.edge).hex(),
            index_root,
            message,
            head.commit.hex() or None,
            head.position,
            schema,
            head.seq + 1,
            now,
        )
        return commit, encode_commit(commit)

    def adopt(index: Index) -> None:
        stagedindex.adopt_staged(index, head.position)

    ahead = Ahead(working.index, adopt) if batch.size >= _MANY_BYTES else None
    try:
        if _is_large(domain, batch):
            commit, commit_id = _write_segment(domain, working, batch, close, progress)
        else:
            commit, commit_id = _write_journal(domain, working, batch, close)
        working.advance(commit, commit_id)
        domain.records_moved()
        entry = reflog_entry(commit, commit_id.hex())
        finish(domain, working, [entry], also=None if ahead else adopt, ahead=ahead)
    finally:
        if ahead is not None:
            ahead.drop()
    with suppress(OSError, IndexDamaged):
        # The staged half was large and is empty now. The next batch takes its place; gc gives it back.
        working.index.compact(beyond=max(_LOOSE_PAGES, working.index.count_pages() // 2))
    return commit, commit_id.hex()


def _write_journal(
    domain: Domain, working: WorkingSet, batch: Batch, close: Callable[[int], tuple[Commit, bytes]]
) -> tuple[Commit, bytes]:
    pairs = [pair for block in _blocks(domain, batch) for pair in block.pairs()]
    commit, line = close(len(pairs))
    commit_id = merkle.leaf_hash(line)
    envelopes, bodies = [envelope for envelope, _ in pairs], [body for _, body in pairs]
    committed = Committed(commit, commit_id.hex(), envelopes, bodies)
    write_journal(domain, working, working.head.position, working.head.seq + 1, [committed], [line], lambda: None)
    return commit, commit_id


def _write_segment(
    domain: Domain,
    working: WorkingSet,
    batch: Batch,
    close: Callable[[int], tuple[Commit, bytes]],
    progress: Callable[[int], None] | None,
) -> tuple[Commit, bytes]:
    done: list[tuple[Commit, bytes]] = []

    def feed(writer: SegmentWriter) -> tuple[int, bytes]:
        events = 0
        for block in _blocks(domain, batch):
            if block.lines:
                pairs = block.pairs()
                writer.add([envelope for envelope, _ in pairs], [body for _, body in pairs])
            else:
                block.check()
                writer.add_block(block.events, block.envelopes, block.bodies)
            events += block.events
            if progress:
                progress(block.events)
        commit, line = close(events)
        writer.add_commits([line])
        if writer.position != commit.position + commit.count:
            raise Corrupt(f"the segment ends at position {writer.position}, the commit does not")
        done.append((commit, merkle.leaf_hash(line)))
        return commit.seq, done[0][1]

    seal(domain, working, working.head, feed)
    return done[0]
