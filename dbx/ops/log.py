"""The commits of a domain: a range of them, those of some time, by somebody, or about an aggregate."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Invalid, NotFound
from dbx.model import names
from dbx.model.time import format_time, parse_moment
from dbx.ops.past import first_behind, locate
from dbx.repo import query
from dbx.repo.reading import history
from dbx.repo.reading.history import Found, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.model.event import Event
    from dbx.ops.session import Session
    from dbx.repo.domain import Domain

__all__ = ["Change", "Found", "LogQuery", "changes_of", "events_of", "list_commits", "split_aggregate", "take_id"]


class LogQuery(NamedTuple):
    """What is asked for, as people write it.

    `wanted` is a ref (it and what came before), or `A..B`: what came after A, up to and with B. Without an A that is
    from the beginning, without a B up to the head. `since` and `until` are times, dates or durations back; `actor` is
    `USER` or `GROUP:USER`.
    """

    wanted: str | None = None
    aggregate_type: str | None = None
    aggregate_id: str | None = None
    since: str | None = None
    until: str | None = None
    actor: str | None = None


class Change(NamedTuple):
    """How far a commit brought an aggregate: `events` of them, the last one being `version`."""

    aggregate_type: str
    aggregate_id: str
    events: int
    version: int


def list_commits(
    session: Session, asked: LogQuery, *, limit: int | None = None, oldest_first: bool = False
) -> Iterator[Found]:
    """The newest `limit` commits that are asked for, newest first, or these oldest first.

    The work grows with the commits that are looked at, not with the domain. Raises NotFound, Invalid.
    """
    domain, first, last = _range(session, asked.wanted)
    group, user = _actor(asked.actor)
    wanted = Wanted(
        first,
        last,
        _moment(session, asked.since),
        _moment(session, asked.until),
        asked.aggregate_type,
        asked.aggregate_id,
        group,
        user,
    )
    return history.select_commits(domain, wanted, limit=limit, oldest_first=oldest_first)


def events_of(found: Found) -> Iterator[Event]:
    """The events of a listed commit; where an aggregate was asked for, those of it."""
    return history.events_of(found)


def changes_of(found: Found) -> list[Change]:
    """Which aggregates a listed commit brought forward, by type and id. Memory grows with them, not with the events."""
    versions: dict[tuple[str, str], int] = {}
    counts: dict[tuple[str, str], int] = {}
    for event in history.events_of(found, bodies=False):
        name = event.aggregate_type, event.aggregate_id
        versions[name] = event.version
        counts[name] = counts.get(name, 0) + 1
    return [Change(*name, counts[name], versions[name]) for name in sorted(counts)]


def split_aggregate(text: str) -> tuple[str, str | None]:
    """(type, id) of `TYPE/ID`, the id None of `TYPE` alone. Raises Invalid."""
    aggregate_type, slash, aggregate_id = text.partition("/")
    return names.check_type(aggregate_type), names.check_id(aggregate_id) if slash else None


def take_id(session: Session, aggregate_type: str, words: list[str]) -> str | None:
    """The id of an aggregate of that type that stands last among the words, which is taken off; None for none."""
    if not words:
        return None
    try:
        query.get_aggregate(session.domain, aggregate_type, names.check_id(words[-1]))
    except (NotFound, Invalid):
        return None  # then it is a range, or what is said of that
    return words.pop()


def _range(session: Session, wanted: str | None) -> tuple[Domain, int, int | None]:
    """(whose commits, the first seq, the last one; None for the head)."""
    if wanted is None:
        return session.domain, 0, None
    after, dots, upto = wanted.partition("..")
    if not dots:
        domain, revision = locate(session.domain, after)
        return domain, 0, revision.seq
    if ".." in upto or upto.startswith("."):
        raise Invalid(f"{names.quote(wanted)} is not a range of commits", hint="write A..B, A.. or ..B")
    domain, last = session.domain, None
    if upto:
        domain, revision = locate(domain, upto)
        last = revision.seq
    return domain, first_behind(session.domain, after, domain) if after else 0, last


def _moment(session: Session, text: str | None) -> str | None:
    return None if text is None else format_time(parse_moment(text, session.domain.clock()))


def _actor(text: str | None) -> tuple[str | None, str | None]:
    if text is None:
        return None, None
    group, colon, user = text.rpartition(":")
    if not user or (colon and not group):
        raise Invalid(f"{names.quote(text)} is no actor", hint="write USER, or GROUP:USER")
    return group or None, user
