"""Bring what a remote has: under its tracking ref (fetch), or into the history (pull)."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Conflict, DbxError, RemoteFailure
from dbx.formats.bundle import START
from dbx.ops import audit
from dbx.ops.link import linked
from dbx.remotes.negotiate import compare_aggregates, refuse_nothing, relate
from dbx.remotes.promises import promised
from dbx.repo.replica import offer as offers
from dbx.repo.replica.diverged import take_diverged
from dbx.repo.replica.histories import AUTHORITY, list_parted, name_parted, parted, take
from dbx.repo.replica.quarantine import bring_known, quarantined
from dbx.repo.replica.receive import Received, Terms, receive, track_known, tracking_ref
from dbx.repo.replica.remoteconfig import get_remote
from dbx.repo.replica.seen import refuse, remember
from dbx.repo.replica.shared import find_own_shared
from dbx.repo.schema import published

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbx.formats.bundle import Point
    from dbx.ops.link import Access, Link
    from dbx.ops.session import Session
    from dbx.remotes.base import Transport
    from dbx.repo.domain import Domain
    from dbx.repo.replica.diverged import Purpose
    from dbx.repo.replica.histories import Parted
    from dbx.repo.replica.offer import Description
    from dbx.repo.replica.quarantine import Arrived, Directory


_MANY_EVENTS = 100_000
"""Where both sides have more, the aggregates of unrelated histories are not compared."""


class Fetched(NamedTuple):
    """What came. Our history went from `before` to `head`; `remote_head` is where the remote stands.

    `recommitted` counts our own commits that were made anew on top of the remote's.
    """

    remote: str
    url: str
    domain: str
    before: Point
    head: Point
    remote_head: Point
    commits: int
    events: int
    schemas: int
    recommitted: int
    up_to_date: bool
    dry_run: bool = False


def fetch(session: Session, name: str | None, access: Access) -> Fetched:
    """Bring what a remote has under its tracking ref; our own history stays where it is."""
    return _bring(session, name, access, move=False)


def pull(session: Session, name: str | None, access: Access, *, dry_run: bool = False) -> Fetched:
    """Bring what a remote has into our history; our own commits beyond it come on top, where that can be.

    With `dry_run` it is brought and checked, and nothing is kept. Raises Conflict naming the aggregates that both sides
    advanced; then nothing is changed.
    """
    return _bring(session, name, access, move=True, keep=not dry_run)


class PulledAggregates(NamedTuple):
    """What came of single aggregates, in one commit of our own."""

    remote: str
    url: str
    domain: str
    aggregates: int
    events: int
    commit: str | None
    ahead: int
    dry_run: bool


def pull_aggregates(
    session: Session,
    name: str | None,
    aggregate_type: str,
    aggregate_id: str | None,
    access: Access,
    *,
    dry_run: bool = False,
    must_exist: bool = True,
) -> PulledAggregates:
    """Take over the events of aggregates that the remote has and we lack. Raises Conflict where histories differ.

    With `must_exist`, raises NotFound where neither side has any of them.
    """
    domain = session.domain
    remote = get_remote(domain, name)
    with linked(session, domain, remote, access) as link:
        found = compare_aggregates(domain, link.transport, aggregate_type, aggregate_id)
        if must_exist:
            refuse_nothing(found, domain.name, remote.name, aggregate_type, aggregate_id)
        if found.parted:
            raise parted(found.parted, f"cannot pull from the remote '{remote.name}'")
        if dry_run or not found.theirs:
            return PulledAggregates(
                remote.name, remote.url, domain.name, len(found.theirs), found.events, None, len(found.ours), dry_run
            )
        bring_schemas(session, domain, remote.name, link.transport, link.description)
        terms = Terms(session.actor, f"pull: aggregates from {remote.name}", progress=access.progress)
        with link.transport.histories(found.theirs) as lines:
            coming = promised(lines, found.theirs, found.shown)
            done = take(domain, coming, terms, message=f"pull of {aggregate_type} from {remote.name}")
        audit.note(session, "ref.pull", {"remote": remote.name, "new": done.commit}, domain=domain.name)
        return PulledAggregates(
            remote.name, remote.url, domain.name, done.aggregates, done.events, done.commit, len(found.ours), False
        )


def pull_schemas(session: Session, name: str | None, access: Access) -> Fetched:
    """Take over the published schemas of a remote, and nothing else."""
    domain = session.domain
    remote = get_remote(domain, name)
    with linked(session, domain, remote, access) as link:
        description = link.description
        before = offers.describe(domain).head
        if description.schemas in (None, published.find_head(domain.directory)):
            return _result(link, domain, Received(before, before, 0, 0, 0), 0, up_to_date=True)
        done = bring_schemas(session, domain, remote.name, link.transport, description)
        if done.schemas:
            details = {"remote": remote.name, "new": description.schemas, "versions": done.schemas}
            audit.note(session, "schema.pull", details, domain=domain.name)
        return _result(link, domain, done, 0, up_to_date=not done.schemas)


def bring_schemas(session: Session, domain: Domain, name: str, transport: Transport, there: Description) -> Received:
    """Take over the published schemas of the other side. Raises Conflict where the two have diverged."""
    mine = published.find_head(domain.directory)
    if there.schemas in (None, mine):
        before = offers.describe(domain).head
        return Received(before, before, 0, 0, 0)
    with quarantined(domain.directory) as directory:
        arrived = transport.fetch(directory, there.head, mine)
        only = arrived.header._replace(base=START, head=START, manifest=None)
        terms = Terms(session.actor, f"pull: schemas of {name}")
        return receive(domain, arrived._replace(header=only, entries=()), terms)


def _bring(session: Session, name: str | None, access: Access, *, move: bool, keep: bool = True) -> Fetched:
    domain = session.domain
    remote = get_remote(domain, name)
    with linked(session, domain, remote, access) as link:
        mine, theirs = offers.describe(domain), link.description
        has_schemas = theirs.schemas in (None, mine.schemas)
        relation = relate(domain, mine.head, link.transport, theirs.head)
        if relation.kind in ("same", "behind") and has_schemas:
            # One small request, and nothing is written but what the remote showed.
            if keep:
                track_known(domain, tracking_ref(remote.name), theirs.head)
                remember(session.repository, domain, remote, theirs.head)
            done = Received(mine.head, mine.head, 0, 0, 0)
            return _result(link, domain, done, 0, up_to_date=True)._replace(dry_run=not keep)
        if relation.kind == "diverged" and relation.common.seq < 0:
            raise unrelated("pull" if move else "fetch", domain, link, mine.head)
        terms = Terms(
            session.actor,
            f"{'pull' if move else 'fetch'}: from {remote.name}",
            move=move,
            track=tracking_ref(remote.name),
            must=link.known,
            find_shared=partial(find_own_shared, session.repository, domain),
            progress=access.progress,
            keep=keep,
        )
        with quarantined(domain.directory) as directory:
            arrived = _fetch(link, domain, directory, relation.common, mine.schemas)
            check_promise(session, link, domain, arrived)
            recommitted = 0
            if relation.kind == "diverged":
                purpose: Purpose = "recommit" if move and keep else "track" if keep else "look"
                done, both = take_diverged(domain, arrived, terms, purpose)
                if both and move:
                    raise diverged("pull", domain, link, mine.head, relation.common, both)
                if move:
                    top = arrived.header.head.seq if keep else relation.common.seq
                    recommitted = (done.head if keep else mine.head).seq - top
            else:
                done = receive(domain, arrived, terms)
        if not keep:
            # Commits that would be made anew have no ids yet.
            done = done._replace(head=done.before) if recommitted else done
            return _result(link, domain, done, recommitted, up_to_date=False)._replace(dry_run=True)
        remember(session.repository, domain, remote, arrived.header.head)
        new = done.head.commit if move else arrived.header.head.commit
        old = mine.head.commit if move else relation.common.commit
        details = {"remote": remote.name, "old": old or None, "new": new or None}
        audit.note(session, "ref.pull" if move else "ref.fetch", details, domain=domain.name)
        done = done if move else done._replace(head=done.before)
        return _result(link, domain, done, recommitted, up_to_date=False)


def diverged(verb: str, domain: Domain, link: Link, mine: Point, common: Point, both: Sequence[Parted]) -> Conflict:
    """The error where both sides have commits of their own behind `common`, and advanced `both`, if any."""
    theirs = link.description.head
    details = {
        "reason": "diverged",
        "local": mine._asdict(),
        "remote": theirs._asdict(),
        "common": common._asdict(),
        "aggregates": list_parted(both),
        "count": len(both),
    }
    sentence = f"cannot {verb} '{domain.name}': it has diverged from the remote"
    if both:
        what = "aggregate" if len(both) == 1 else f"{len(both)} aggregates:"
        hint = f"nothing was changed; {AUTHORITY}"
        return Conflict(f"{sentence} in {what} {name_parted(both)}", hint=hint, details=details)
    lacking = theirs.seq - common.seq
    commits = "1 commit" if lacking == 1 else f"{lacking} commits"
    hint = "run 'dbx pull', which puts our commits on top of the remote's"
    return Conflict(f"{sentence}, which has {commits} that we lack", hint=hint, details=details)


def unrelated(verb: str, domain: Domain, link: Link, mine: Point) -> Conflict:
    """The error where the two sides have no commit in common. It names the aggregates that part, unless there may be
    very many to look at."""
    theirs = link.description.head
    found: list[Parted] = []
    if min(mine.position, theirs.position) <= _MANY_EVENTS:
        with suppress(DbxError):  # it is refused either way
            found = compare_aggregates(domain, link.transport, None, None).parted
    what = "aggregate" if len(found) == 1 else f"{len(found)} aggregates:"
    differs = f", and parts from it in {what} {name_parted(found)}" if found else ""
    return Conflict(
        f"cannot {verb} '{domain.name}': it has no commit in common with the remote '{link.remote.name}'{differs}",
        hint="they are different domains: clone from the authoritative one, or exchange what may be exchanged with"
        " '--aggregate TYPE'",
        details={
            "reason": "diverged",
            "local": mine._asdict(),
            "remote": theirs._asdict(),
            "common": None,
            "aggregates": list_parted(found),
            "count": len(found),
        },
    )


def _fetch(link: Link, domain: Domain, directory: Directory, base: Point, schemas: str | None) -> Arrived:
    """Bring what is behind `base`; what an earlier fetch brought is here already, and is not asked for again."""
    entries, end = bring_known(directory, domain.directory, tracking_ref(link.remote.name), base)
    head = link.description.head
    if entries and end != head and (end.seq >= head.seq or link.transport.commit_ids([end.seq]) != [end.commit]):
        entries, end = [], base
    arrived = link.transport.fetch(directory, end, schemas)
    return arrived._replace(header=arrived.header._replace(base=base), entries=(*entries, *arrived.entries))


def check_promise(session: Session, link: Link, domain: Domain, arrived: Arrived) -> None:
    """What came is at least what was shown before, and of the same domain. Raises RemoteFailure."""
    shown, came = link.description, arrived.header
    if came.domain != shown.domain:
        raise RemoteFailure(
            f"the remote '{link.remote.name}' sent another domain than the one it showed",
            hint="nothing was changed; try again, and if it stays so, ask who runs it",
        )
    if came.head.seq < shown.head.seq or (came.head.seq == shown.head.seq and came.head != shown.head):
        sentence = f"it showed commit {shown.head.seq}, and sent a history that ends with commit {came.head.seq}"
        raise refuse(session.repository, domain, link.remote, shown.head, came.head, "mixed", sentence)


def _result(link: Link, domain: Domain, done: Received, recommitted: int, *, up_to_date: bool) -> Fetched:
    return Fetched(
        link.remote.name,
        link.remote.url,
        domain.name,
        done.before,
        done.head,
        link.description.head,
        done.commits,
        done.events,
        done.schemas,
        recommitted,
        up_to_date,
    )
