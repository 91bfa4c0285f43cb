"""Show one thing, by whatever name it has: a commit, an event, or an aggregate at a version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbx.errors import NotFound
from dbx.model import names
from dbx.model.missing import no_event
from dbx.model.snowflake import parse_event_id
from dbx.ops.past import locate
from dbx.repo import query
from dbx.repo.reading.revision import TAGS, is_path_of_ref
from dbx.repo.reading.summary import EventCount, Summary, summarise
from dbx.repo.refs.tags import Tag, find_tag

if TYPE_CHECKING:
    from dbx.formats.commit import Commit
    from dbx.model.event import Aggregate, Event
    from dbx.ops.session import Session
    from dbx.repo.domain import Domain

__all__ = ["EventCount", "ShownCommit", "Summary", "find_object"]

LISTED = 20
_VERSION_DIGITS = 15


@dataclass(frozen=True, slots=True)
class ShownCommit:
    """A commit, what it is about, its first events, and the tag by which it was named, if it was."""

    commit: Commit
    id: str
    summary: Summary
    events: list[Event]
    tag: Tag | None


def find_object(session: Session, name: str) -> ShownCommit | Event | Aggregate:
    """What `name` names: a ref or commit id, an event id, or `TYPE/ID` with or without `@VERSION`.

    Digits alone are a tag first, then an event's id, then the beginning of a commit's. A remote's `origin/main` is that
    where it was fetched, else the aggregate `main` of type `origin`. `TYPE/ID@5` is the aggregate of that very id
    where there is one, else version 5 of `TYPE/ID`. Raises NotFound, Invalid.
    """
    domain = session.domain
    if "/" in name and not is_path_of_ref(domain, name):
        return _aggregate(domain, name)
    tag = find_tag(domain, name.removeprefix(f"{TAGS}/"))
    if tag is None and name.isascii() and name.isdigit():
        event = _event(domain, name)
        if event is not None:
            return event
    domain, revision = locate(domain, name)
    entry = query.get_commit(domain, revision.seq)
    first = entry.commit.position
    listed = range(first, first + min(entry.commit.count, LISTED))
    events = query.events_at(domain, listed)
    return ShownCommit(entry.commit, entry.id.hex(), summarise(domain, entry.commit), events, tag)


def _aggregate(domain: Domain, name: str) -> Aggregate:
    aggregate_type, _, aggregate_id = name.partition("/")
    names.check_type(aggregate_type)
    names.check_id(aggregate_id)
    base, at, version = aggregate_id.rpartition("@")
    if not (at and version.isascii() and version.isdigit() and len(version) <= _VERSION_DIGITS):
        return query.get_aggregate(domain, aggregate_type, aggregate_id)
    try:
        return query.get_aggregate(domain, aggregate_type, aggregate_id)
    except NotFound:
        return query.get_aggregate(domain, aggregate_type, names.check_id(base), int(version))


def _event(domain: Domain, digits: str) -> Event | None:
    """The event of that id; None where the digits may still be a commit's. Raises NotFound where they cannot."""
    may_be_commit = 4 <= len(digits) <= 64
    if len(digits) > 19 or (digits.startswith("0") and may_be_commit):
        return None
    event = query.find_event(domain, parse_event_id(digits))
    if event is None and (not may_be_commit or len(digits) > 16):
        raise no_event(domain.name, digits)
    return event
