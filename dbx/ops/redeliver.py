"""Replay: send a plugin once more what is in the log, beside what it is sent anyway."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Locked
from dbx.model.plugin import Plugin, check_mode
from dbx.model.time import format_time, parse_moment
from dbx.ops import audit
from dbx.ops.plugin import check_active, check_whole, get_plugin, surroundings
from dbx.ops.redelivering import Asked, Count, Failed, Place, Player, Watcher
from dbx.plugins.base import open_sink, written
from dbx.repo.delivery import jobs
from dbx.repo.delivery.redelivery import (
    Bookmark,
    Redelivery,
    Wanted,
    list_bookmarks,
    replay_lock,
)
from dbx.repo.outfile import writing_outside

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.ops.session import Session

MIN_RATE = 0.001
"""Deliveries a second: fewer than about one in a quarter of an hour is a mistake."""


class How(NamedTuple):
    """`rate` bounds the deliveries a second; `dry_run` only counts; `to_file` writes what would be sent instead.

    `restart` begins anew where an earlier one was cut off.
    """

    rate: float | None = None
    dry_run: bool = False
    to_file: str | None = None
    restart: bool = False


class Replayed(NamedTuple):
    """What was done. `events` were delivered (with --dry-run or --to-file: would be), of so many `aggregates`.

    `earlier` were delivered before this one went on; `failed` names at most MAX_TOLD of those that could not be.
    """

    plugin: Plugin
    events: int
    aggregates: int
    earlier: int
    failures: int
    failed: list[Failed]


class Unfinished(NamedTuple):
    """A replay that was cut off after so many deliveries."""

    asked: Asked
    delivered: int


def replay(session: Session, name: str, asked: Asked, how: How, watcher: Watcher) -> Replayed:
    """Deliver the events of a type or of an aggregate to a plugin, in the order of the log, with the state at each.

    What cannot be delivered is tried again as in the queue, then left out, or ends the replay where the plugin holds
    dead events. Raises NotFound, Invalid; Conflict for a plugin that gets no events; RemoteFailure where it has to
    stop; Locked while another replay goes on. After those it goes on where it stopped when it is asked for again.
    """
    plugin = get_plugin(session, name)
    check_active(plugin)
    if asked.payload_mode is not None:
        plugin = replace(plugin, payload_mode=check_mode(asked.payload_mode))
        check_whole(plugin)
    domain = session.domain
    since = None if asked.since is None else format_time(parse_moment(asked.since, domain.clock()))
    wanted = Wanted(asked.aggregate_type, asked.aggregate_id, asked.from_version, since, asked.archived)
    if how.to_file is not None:
        return _write(session, plugin, wanted, how.to_file, watcher)
    with ExitStack() as stack:
        if not how.dry_run:
            stack.callback(_lock(session))
        place = Place(session, stack.enter_context(jobs.opened_queue(domain, durable=False)), plugin, asked)
        begin = place.begin(wanted, anew=how.restart, watcher=watcher)
        wanted = wanted._replace(since=begin.since)
        going = _survey(session, plugin, wanted, begin, watcher)
        count = Count()
        if how.dry_run:
            for steps in going.batches():
                for step in steps:
                    count.add(step)
                watcher.advance(len(steps))
            return Replayed(plugin, count.events, count.aggregates, begin.delivered, 0, [])
        of = {"aggregate_type": asked.aggregate_type, "aggregate_id": asked.aggregate_id}
        audit.note(session, "plugin.replay", {"plugin": plugin.name, **of}, domain=domain.name)
        sink = open_sink(plugin, surroundings(session, watcher.say))
        stack.callback(sink.close)
        place.settle(begin)
        player = Player(session, place, sink, how.rate, watcher, begin)
        player.play(going)
        count = player.count
        return Replayed(plugin, count.events, count.aggregates, begin.delivered, player.failures, player.failed)


def unfinished(session: Session, plugin: Plugin) -> list[Unfinished]:
    """The replays to a plugin that were cut off and can go on."""
    if not jobs.has_queue(session.domain):
        return []
    with jobs.opened_queue(session.domain, durable=False) as queue:
        return [
            Unfinished(Asked(*what), found.delivered)
            for what, found in list_bookmarks(session.domain, queue, plugin.name)
        ]


def _survey(session: Session, plugin: Plugin, wanted: Wanted, begin: Bookmark, watcher: Watcher) -> Redelivery:
    going = Redelivery(session.domain, plugin, wanted, begin)
    if going.is_hidden:
        watcher.say(
            f"dbx: hint: the schema hides type '{wanted.aggregate_type}': "
            f"plugin '{plugin.name}' gets none of it unless it is configured with --include-hidden"
        )
    watcher.begin(going.total, begin.seen)
    return going


def _write(session: Session, plugin: Plugin, wanted: Wanted, path: str, watcher: Watcher) -> Replayed:
    """All of it into a file, which is there when it is whole."""
    going = _survey(session, plugin, wanted, Bookmark(), watcher)
    count = Count()
    with writing_outside(path) as file:
        for steps in going.batches():
            for step in steps:
                count.add(step)
            file.write(b"".join(written(plugin, step.delivery) for step in steps if step.delivery is not None))
            watcher.advance(len(steps))
    return Replayed(plugin, count.events, count.aggregates, 0, 0, [])


def _lock(session: Session) -> Callable[[], None]:
    """Be the one that replays in the domain; what to call in the end. Raises Locked."""
    lock = replay_lock(session.domain)
    try:
        lock.acquire(session.repository.wait_s)
    except Locked as error:
        raise Locked(
            f"process {error.details.get('pid')} replays in domain '{session.domain.name}' already",
            hint="wait until it has ended: there is one replay at a time",
            details=error.details,
        ) from None
    return lock.close
