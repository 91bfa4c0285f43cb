"""The queue of a domain as people see it: how much waits, what failed, trying that again, and forgetting what is done.

The log is the queue: what waits is what lies between a plugin's cursor and the head (store/queue.py).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from dbx.crypto.merkle import leaf_hash
from dbx.errors import KeyFailure
from dbx.model.time import parse_time
from dbx.repo.query import commit_range
from dbx.repo.vault.secrets import seal_text, unseal_text
from dbx.store.database import place
from dbx.store.lock import Lock, find_holder
from dbx.store.queue import Queue as Queue
from dbx.store.queuelayout import AHEAD, DEAD, NAME, PENDING, Job, Lane

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dbx.model.plugin import Plugin
    from dbx.repo.domain import Domain
    from dbx.repo.log import LogReader
    from dbx.repo.working import WorkingSet
    from dbx.store.queuelayout import Cursor

LOCK = "queue.lock"
SHOWN = 100
ERROR_PLACE = "queue.db/error"
"""What the errors of deliveries are sealed for: an endpoint may answer with what it was sent."""
_PRUNED = "pruned_at"


class JobShown(NamedTuple):
    """A job as `queue` lists it. `next_at` is in milliseconds since the Unix epoch, None where nothing is planned."""

    plugin: Plugin
    position: int
    event_id: int | None
    aggregate_type: str
    aggregate_id: str
    status: str
    attempts: int
    next_at: int | None
    error: str | None


class PluginState(NamedTuple):
    """How far a plugin is. `behind` counts events that wait, `lag_s` is the age of the oldest of their commits.

    Times are milliseconds since the Unix epoch; `rate` is deliveries a second while a runner is at work.
    """

    plugin: Plugin
    cursor: int
    head: int
    behind: int
    processing: int
    done: int
    dead: int
    lag_s: float
    rate: float | None
    delivered_at: int | None
    error: str | None
    error_at: int | None


class QueueState(NamedTuple):
    """All plugins, their jobs (at most SHOWN of each status), and the pid of the runner, None without one."""

    plugins: list[PluginState]
    jobs: list[JobShown]
    runner: int | None


@contextmanager
def opened_queue(domain: Domain, *, durable: bool = True) -> Iterator[Queue]:
    """The domain's queue.db, made if need be."""
    queue = open_queue(domain, durable=durable)
    try:
        yield queue
    finally:
        queue.close()


def open_queue(domain: Domain, *, durable: bool) -> Queue:
    """A connection to queue.db. `durable`: what is written is on disk when a transaction ends."""
    is_new = not domain.directory.exists(NAME)
    place(domain.directory, NAME)
    if is_new and durable:
        domain.directory.sync()
    path = domain.directory.path_of(NAME)
    return Queue(path, timeout_s=max(domain.wait_s, 1.0), durable=durable)


def runner_lock(domain: Domain) -> Lock:
    """The lock that a runner holds; acquire it."""
    return Lock(domain.directory, LOCK)


def has_queue(domain: Domain) -> bool:
    """Whether any plugin has been at work in a domain."""
    return domain.directory.exists(NAME)


def find_runner(domain: Domain) -> int | None:
    """The pid of the runner of a domain, 0 for one that did not say; None where none is at work."""
    return find_holder(domain.directory, LOCK)


def start_plugin(domain: Domain, name: str) -> int:
    """Let a new plugin begin behind all that is committed; at which position."""

    def query(working: WorkingSet, reader: LogReader) -> tuple[int, bytes | None]:
        head = working.head.position
        return head, None if not head else leaf_hash(next(iter(reader.events([head - 1]))).envelope)

    position, leaf = domain.read(query)
    with opened_queue(domain) as queue, queue.write():
        queue.start_anew(name, position)
        if leaf is not None:
            queue.put_mark(name, position - 1, leaf)
    return position


def forget_plugin(domain: Domain, name: str) -> None:
    """Forget all about a plugin that is removed."""
    if domain.directory.exists(NAME):
        with opened_queue(domain) as queue, queue.write():
            queue.forget(name)


def first_since(domain: Domain, working: WorkingSet, reader: LogReader, created_at: str) -> int:
    """Inside a query: the position of the first event that was committed at a time or later, by halving.

    In a fork it is none of those that the fork began with: they are the other domain's to deliver.
    """
    forked_at = (domain.file.forked_from or {}).get("seq", -1)
    low = min(forked_at if type(forked_at) is int else -1, working.head.seq) + 1
    if low and reader.commit(0).commit.domain == domain.id:
        low = 0  # it began by itself, and took in what a fork of it added
    high = working.head.seq + 1
    while low < high:
        middle = (low + high) // 2
        if reader.commit(middle).commit.time < created_at:
            low = middle + 1
        else:
            high = middle
    return working.head.position if low > working.head.seq else reader.commit(low).commit.position


def survey(domain: Domain, plugins: Sequence[Plugin]) -> QueueState:
    """How all plugins stand."""
    runner = find_runner(domain)
    with opened_queue(domain) as queue:

        def query(working: WorkingSet, reader: LogReader) -> QueueState:
            states = [_state(domain, working, reader, queue, plugin, runner is not None) for plugin in plugins]
            return QueueState(states, _jobs(domain, queue, plugins, states), runner)

        return domain.read(query)


def _state(
    domain: Domain, working: WorkingSet, reader: LogReader, queue: Queue, plugin: Plugin, runs: bool
) -> PluginState:
    found = queue.find_cursor(plugin.name)
    head = working.head.position
    cursor = min(head, first_since(domain, working, reader, plugin.created_at) if found is None else found.position)
    first, behind, dead = cursor, head - cursor, queue.count_jobs(plugin.name, DEAD)
    for lane in queue.lanes(plugin.name):
        row = working.index.find(lane.type, lane.aggregate)
        places = [] if row is None or row.n is None else working.index.positions(row.n)
        if lane.status == AHEAD:
            behind -= sum(cursor <= place < lane.position for place in places)
            continue
        behind += sum(lane.position <= place < cursor for place in places) - (lane.status == DEAD)
        dead += lane.status == DEAD
        first = min(first, lane.position)
    behind += queue.count_jobs(plugin.name, PENDING)
    busy = int(runs and found is not None and found.processing is not None)
    lag_s = 0.0
    if behind > 0 and first < head:
        began = reader.commit(commit_range(working, first)[0]).commit.time
        lag_s = max(0.0, (domain.clock() - parse_time(began)) / 1e6)
    life: Cursor | None = found
    return PluginState(
        plugin,
        cursor,
        head,
        max(behind - busy, 0),
        busy,
        queue.count_done(plugin.name),
        dead,
        lag_s,
        life.rate if life is not None and runs else None,
        None if life is None else life.delivered_at,
        None if life is None else _error(domain, life.error),
        None if life is None else life.error_at,
    )


def _error(domain: Domain, text: str | None) -> str | None:
    """An error as it was, where the DEK is there."""
    if text is None:
        return None
    try:
        return unseal_text(domain.vault, text, ERROR_PLACE)
    except KeyFailure:
        return "(sealed)"


def _jobs(domain: Domain, queue: Queue, plugins: Sequence[Plugin], states: Sequence[PluginState]) -> list[JobShown]:
    found: list[JobShown] = []
    for plugin, state in zip(plugins, states, strict=True):
        mine: list[Lane | Job] = [lane for lane in queue.lanes(plugin.name) if lane.status != AHEAD]
        mine += queue.jobs(plugin.name)
        busy = queue.find_cursor(plugin.name)
        at = busy.processing if busy is not None and state.processing else None
        counts = {PENDING: 0, DEAD: 0}
        for one in sorted(mine, key=lambda one: one.position):
            counts[one.status] += 1
            if counts[one.status] > SHOWN:
                continue
            status = "processing" if one.position == at and one.status == PENDING else one.status
            next_at = one.next_at if one.status == PENDING else None
            found.append(
                JobShown(
                    plugin,
                    one.position,
                    one.event_id,
                    one.type,
                    one.aggregate,
                    status,
                    one.attempts,
                    next_at,
                    _error(domain, one.error),
                )
            )
    return found


# -- what people do with it --------------------------------------------------------------------------------------------


def retry(domain: Domain, plugins: Iterable[Plugin], which: str | None = None) -> tuple[int, int]:
    """Try dead jobs again: all, or those of an event id, a position or a delivery id. (retried, still dead).

    Their attempts are counted from nothing.
    """
    names = {plugin.name for plugin in plugins}
    now = domain.clock() // 1000
    retried = left = 0
    with opened_queue(domain) as queue, queue.write():
        for lane in queue.lanes():
            if lane.status != DEAD:
                continue
            if lane.plugin in names and _is_meant(domain, lane, which):
                queue.put_lane(lane._replace(status=PENDING, attempts=0, next_at=now))
                retried += 1
            else:
                left += 1
        for job in queue.jobs(status=DEAD):
            if job.plugin in names and _is_meant(domain, job, which):
                queue.put_job(job._replace(status=PENDING, attempts=0, next_at=now))
                retried += 1
            else:
                left += 1
    return retried, left


def count_dead(domain: Domain) -> int:
    """How many jobs are dead, of all plugins."""
    if not domain.directory.exists(NAME):
        return 0
    with opened_queue(domain) as queue:
        return sum(lane.status == DEAD for lane in queue.lanes()) + len(queue.jobs(status=DEAD))


def clear_dead(domain: Domain) -> int:
    """Give up on every dead job; how many. An aggregate that was held goes on behind it."""
    if not domain.directory.exists(NAME):
        return 0
    count = 0
    with opened_queue(domain) as queue, queue.write():
        for lane in queue.lanes():
            if lane.status == DEAD:
                queue.put_lane(
                    lane._replace(
                        status=PENDING, position=lane.position + 1, attempts=0, next_at=0, error=None, event_id=None
                    )
                )
                count += 1
        for job in queue.jobs(status=DEAD):
            queue.drop_job(job.plugin, job.position)
            count += 1
    return count


def count_done(domain: Domain, older_than_s: int) -> int:
    """How many jobs were done longer ago than that."""
    if not domain.directory.exists(NAME):
        return 0
    with opened_queue(domain) as queue:
        return queue.count_done_before(_before(domain, older_than_s))


def clear_done(domain: Domain, older_than_s: int) -> int:
    """Forget the jobs that were done longer ago than that; how many."""
    if not domain.directory.exists(NAME):
        return 0
    with opened_queue(domain) as queue, queue.write():
        return queue.clear_done(_before(domain, older_than_s))


def reseal_errors(domain: Domain) -> None:
    """Seal the errors in the queue under the current key. Raises KeyFailure."""
    if domain.directory.exists(NAME):
        with opened_queue(domain) as queue:

            def again(text: str) -> str:
                return seal_text(domain.vault, unseal_text(domain.vault, text, ERROR_PLACE), ERROR_PLACE)

            queue.rewrite_errors(again)


def prune(domain: Domain, queue: Queue, *, ttl_s: int, most: int | None, interval_s: int, force: bool = False) -> int:
    """Forget what was done `ttl_s` ago and all but the newest `most`; at most once every `interval_s`. How many."""
    now = domain.clock() // 1000
    last = queue.get_meta(_PRUNED)
    if not force and last is not None and 0 <= now - int(last) < interval_s * 1000:
        return 0
    with queue.write():
        queue.set_meta(_PRUNED, now)
        removed = queue.clear_done(now - ttl_s * 1000)
        if most is not None:
            removed += queue.trim_done(most)
    _prune_publish(domain, queue, now - ttl_s * 1000)
    return removed


def _prune_publish(domain: Domain, queue: Queue, before: int) -> None:
    """What `--publish` said is needed until every plugin has passed the event. One never committed is never needed."""
    old = queue.old_publish(before)
    if not old:
        return
    passed = queue.lowest()

    def query(working: WorkingSet, _: LogReader) -> list[bytes]:
        gone = []
        for event_hash, event_id in old:
            position = working.index.find_event(event_id)
            if position is None or passed is None or position < passed:
                gone.append(event_hash)
        return gone

    gone = domain.read(query)
    with queue.write():
        queue.drop_publish(gone)


def _before(domain: Domain, older_than_s: int) -> int:
    """Milliseconds: what was done before it is older. What was done just now counts as older than nothing."""
    return domain.clock() // 1000 - older_than_s * 1000 + (older_than_s == 0)


def _is_meant(domain: Domain, job: Lane | Job, which: str | None) -> bool:
    names = (str(job.event_id), str(job.position), f"{domain.id}/{job.plugin}/{job.position}")
    return which is None or which in names
