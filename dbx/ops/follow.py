"""Follow a domain: its events, and then those that come."""

from __future__ import annotations

import sys
from collections import deque
from typing import TYPE_CHECKING

from dbx.ops.events import list_events
from dbx.ops.watch import CommitWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dbx.model.event import Event
    from dbx.ops.events import WantedEvents
    from dbx.ops.session import Session

_LOOK_S = 1.0
"""How often to look even though nothing was noticed: a file system may keep to itself what another machine writes."""


def follow_events(session: Session, wanted: WantedEvents, *, check: Callable[[], None]) -> Iterator[Event]:
    """Events in the order of the log, from behind the cursor, or the last `take` of them; then new ones, without end.

    `check` is called while there is nothing to show: it raises when nobody is there any more to see it.
    """
    domain = session.domain
    list_events(session, wanted)  # which checks what was typed, before anything is waited for
    with CommitWatch(domain.directory.path) as watch:
        # From here on what is committed is noticed, so nothing falls between the first look and the second.
        end = domain.read(lambda working, _: working.head.position)
        before = (event for event in list_events(session, wanted._replace(take=None)) if event.position < end)
        yield from before if wanted.take is None else deque(before, min(wanted.take, sys.maxsize))
        while True:
            check()
            upto = domain.read(lambda working, _: working.head.position)
            if upto > end:
                yield from _between(session, wanted, end, upto)
                end = upto
            else:
                watch.wait_for_commit(_LOOK_S)


def _between(session: Session, wanted: WantedEvents, start: int, end: int) -> Iterator[Event]:
    """The events from position `start` on and before `end`: there are few, so all are looked at."""
    kind, name = wanted.aggregate_type, wanted.aggregate_id
    archived = None if name is not None else wanted.archived
    behind = wanted._replace(
        aggregate_type=None, aggregate_id=None, archived=archived, cursor=f"e:{start - 1}" if start else None, take=None
    )
    for event in list_events(session, behind):
        if event.position >= end:
            return
        if kind in (None, event.aggregate_type) and name in (None, event.aggregate_id):
            yield event
