"""Making the index anew from the log. The old index stays until the new one is whole."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Corrupt
from dbx.formats.envelope import Actor
from dbx.formats.reflog import ReflogEntry
from dbx.model.time import format_time
from dbx.repo.masks import SealedAway
from dbx.repo.replay import replay
from dbx.repo.undone import read_undone
from dbx.repo.working import WorkingSet
from dbx.store.database import place
from dbx.store.fs import TEMPORARY
from dbx.store.index import Index, IndexDamaged
from dbx.store.indexsurvey import count_aggregates, find_version, iterate_versions

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.repo.domain import Domain
    from dbx.store.index import Head

_LISTED = 20


class LostAggregate(NamedTuple):
    """An aggregate that was at version `was` and is at `version`; 0 when nothing of it is left."""

    aggregate_type: str
    aggregate_id: str
    was: int
    version: int


class Loss(NamedTuple):
    """Commits `first`..`last` that the index or the reflog knows and the log has no longer.

    `last_commit` is the id of the last. `events` and `aggregates` (the first few of `aggregate_count`) are None when
    only the reflog knew.
    """

    first: int
    last: int
    last_commit: str
    events: int | None
    aggregate_count: int | None
    aggregates: list[LostAggregate] | None

    @property
    def commits(self) -> int:
        """How many commits are lost."""
        return self.last - self.first + 1


class Reindexed(NamedTuple):
    """What the new index holds; `seq` is -1 and `commit` None in an empty domain."""

    seq: int
    commit: str | None
    events: int
    aggregates: int
    loss: Loss | None


def reindex(
    domain: Domain,
    *,
    actor: Actor | None,
    accept_loss: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Reindexed:
    """Replay the whole log into a new index and put it in the place of the old one.

    Raises Corrupt for damage, and when the old index or the reflog knows later commits than the log has. With
    `accept_loss` that becomes the history from now on, and the reflog says so. The old index stays when this raises.
    """
    with domain.mutex:
        domain.lock.acquire(domain.wait_s)
        name = f"{TEMPORARY}{os.getpid()}-index.db"
        try:
            try:
                head, aggregates, loss = _build(domain, name, progress)
            except SealedAway:
                raise domain.vault.missing() from None
            if loss is not None:
                if not accept_loss:
                    raise _refusal(domain, loss)
                domain.reflog.append([_entry(domain, head, loss, actor)])
            domain.replace_index(name)
        finally:
            for suffix in ("-wal", "-shm", ""):
                domain.directory.remove(name + suffix, durable=False)
            domain.lock.release()
        domain.sync()
    return Reindexed(head.seq, head.commit.hex() or None, head.position, aggregates, loss)


def _build(domain: Domain, name: str, progress: Callable[[int], None] | None) -> tuple[Head, int, Loss | None]:
    place(domain.directory, name)
    index = Index(domain.directory.path_of(name), domain.vault)
    try:
        index.set_meta("domain", domain.id)
        working = WorkingSet(index)
        replay(
            domain.directory,
            working,
            vault=domain.vault,
            before_flush=lambda: domain.refold(working),
            progress=progress,
        )
        return working.head, count_aggregates(index), _find_loss(domain, index, working.head)
    finally:
        index.close()


def _find_loss(domain: Domain, fresh: Index, head: Head) -> Loss | None:
    loss = None
    try:
        known = domain.index().head()
        if known.seq > head.seq and known.commit.hex() not in read_undone(domain.directory):
            count, listed = _compare(domain.index(), fresh)
            events = known.position - head.position
            loss = Loss(head.seq + 1, known.seq, known.commit.hex(), events, count, listed)
    except IndexDamaged:
        loss = None  # what cannot be read knows nothing
    last = domain.reflog.last()
    if last is not None and last.new is not None and last.seq > (head.seq if loss is None else loss.last):
        loss = Loss(head.seq + 1, last.seq, last.new, None, None, None)
    return loss


def _compare(old: Index, fresh: Index) -> tuple[int, list[LostAggregate]]:
    count = 0
    listed: list[LostAggregate] = []
    for aggregate_type, aggregate_id, was in iterate_versions(old):
        version = find_version(fresh, aggregate_type, aggregate_id)
        if version < was:
            count += 1
            if len(listed) < _LISTED:
                listed.append(LostAggregate(aggregate_type, aggregate_id, was, version))
    return count, listed


def _refusal(domain: Domain, loss: Loss) -> Corrupt:
    events = "" if loss.events is None else f" with {loss.events} events"
    return Corrupt(
        f"the log of domain '{domain.name}' ends with commit {loss.first - 1}, but commits up to {loss.last}{events}"
        " were there before",
        hint="restore them from a copy; if there is none, 'dbx reindex --accept-loss' goes on without them",
        details={
            "first": loss.first,
            "last": loss.last,
            "last_commit": loss.last_commit,
            "events": loss.events,
            "aggregates": loss.aggregate_count,
        },
    )


def _entry(domain: Domain, head: Head, loss: Loss, actor: Actor | None) -> ReflogEntry:
    what = f"commit {loss.last} is" if loss.commits == 1 else f"commits {loss.first} to {loss.last} are"
    return ReflogEntry(
        loss.last_commit,
        head.commit.hex() or None,
        max(head.seq, 0),
        format_time(domain.clock()),
        actor or Actor("-", "-"),
        f"reindex --accept-loss: {what} lost",
    )
