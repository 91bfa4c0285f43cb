"""Hand our commits over to a remote. Fast-forward only: the remote's head must be an older state of ours."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Conflict, Denied
from dbx.ops.fetch import check_promise, diverged, unrelated
from dbx.ops.link import linked
from dbx.remotes.negotiate import compare_aggregates, refuse_nothing, relate
from dbx.repo.replica import offer as offers
from dbx.repo.replica.diverged import take_diverged
from dbx.repo.replica.histories import give, parted
from dbx.repo.replica.quarantine import quarantined
from dbx.repo.replica.receive import Terms, track_known, tracking_ref
from dbx.repo.replica.remoteconfig import get_remote
from dbx.repo.replica.seen import remember
from dbx.repo.schema import published, publishing
from dbx.repo.schema.schemachain import check_arrived, is_newer

if TYPE_CHECKING:
    from dbx.formats.bundle import Point
    from dbx.ops.link import Access, Link
    from dbx.ops.session import Session
    from dbx.repo.domain import Domain
    from dbx.repo.replica.offer import Description

RECORDED = "recorded on push"


class Pushed(NamedTuple):
    """What went over, or with a dry run would: commits and events behind `before`, the remote's head until then."""

    remote: str
    url: str
    domain: str
    before: Point
    head: Point
    commits: int
    events: int
    bytes: int
    schemas: int
    dry_run: bool
    up_to_date: bool


class PushedAggregates(NamedTuple):
    """What went over of single aggregates. `behind` counts those that the remote has further."""

    remote: str
    url: str
    domain: str
    aggregates: int
    events: int
    behind: int
    dry_run: bool


def push(session: Session, name: str | None, access: Access, *, dry_run: bool = False) -> Pushed:
    """Push everything. Raises Conflict where the remote has commits that we lack, naming what diverged."""
    domain = session.domain
    remote = get_remote(domain, name)
    with linked(session, domain, remote, access) as link:
        mine, theirs = offers.describe(domain), link.description
        relation = relate(domain, mine.head, link.transport, theirs.head)
        if relation.kind == "ahead":
            raise _behind(domain, link, mine)
        if relation.kind == "diverged":
            raise _diverged(session, domain, link, mine, relation.common, access)
        reader = offers.Reader(link.transport.data_keys(), remote.sealed)
        with offers.offering(domain, theirs.head, schemas=theirs.schemas, reader=reader) as offer:
            has_news = offer.commits > 0 or is_newer(domain.directory, theirs.schemas)
            if has_news and not dry_run:
                link.transport.send(offer)
            else:
                _check_schemas(domain, link)
            done = Pushed(
                remote.name,
                remote.url,
                domain.name,
                theirs.head,
                offer.header.head,
                offer.commits,
                offer.events,
                offer.size if has_news else 0,
                sum(name.startswith("schemas/versions") for name in offer.schemas) if has_news else 0,
                dry_run,
                not has_news,
            )
        if not dry_run:
            _note(session, domain, link, done.head)
        return done


def push_schemas(session: Session, name: str | None, access: Access, *, dry_run: bool = False) -> Pushed:
    """Push the schemas, and nothing else. What is not published yet is published first.

    Raises Conflict where the remote has versions that we lack, Invalid where publishing is left to people.
    """
    domain = session.domain
    remote = get_remote(domain, name)
    with linked(session, domain, remote, access) as link:
        theirs = link.description
        due = _publish_first(session, theirs.schemas, remote.name, dry_run=dry_run)
        mine = offers.describe(domain)
        at = mine.head
        with offers.offering(domain, at, at.seq, schemas=theirs.schemas) as offer:
            has_news = due or is_newer(domain.directory, theirs.schemas)
            offer.only_schemas()
            if has_news and not dry_run:
                link.transport.send(offer)
            return Pushed(
                remote.name,
                remote.url,
                domain.name,
                theirs.head,
                theirs.head,
                0,
                0,
                offer.size if has_news else 0,
                sum(name.startswith("schemas/versions") for name in offer.schemas) + due if has_news else 0,
                dry_run,
                not has_news,
            )


def _check_schemas(domain: Domain, link: Link) -> None:
    """Where nothing is sent, look at what the receiver would. Raises Conflict where the schemas have diverged."""
    theirs, mine = link.description, published.find_head(domain.directory)
    if mine is None or theirs.schemas in (None, mine) or is_newer(domain.directory, theirs.schemas):
        return
    with suppress(Denied), quarantined(domain.directory) as directory:  # a token may be for pushing alone
        arrived = link.transport.fetch(directory, theirs.head, mine)
        check_arrived(domain.directory, arrived.schemas, arrived.header.schemas)


def _publish_first(session: Session, theirs: str | None, remote: str, *, dry_run: bool) -> bool:
    """Publish what is not published yet. Whether, with a dry run, there is something of that kind."""
    domain = session.domain
    directory = domain.directory
    found = publishing.status(directory)
    mine = None if found.head is None else found.head.id
    if mine is None and not found.added:
        return False
    if theirs not in (None, mine) and not is_newer(directory, theirs):
        raise Conflict(
            f"cannot push the schemas of '{domain.name}': the remote '{remote}' has versions of them that we lack",
            hint="run 'dbx pull schema'",
            details={"local": mine, "remote": theirs},
        )
    if not found.is_published:
        session.require("schema.write")
        publishing.must_be_published(domain, "push")
        if not dry_run:
            publishing.publish(domain, actor=session.actor, reason=RECORDED)
    return dry_run and not found.is_published


def push_aggregates(
    session: Session,
    name: str | None,
    aggregate_type: str,
    aggregate_id: str | None,
    access: Access,
    *,
    dry_run: bool = False,
    must_exist: bool = True,
) -> PushedAggregates:
    """Hand over the events of aggregates that we have and the remote lacks. Raises Conflict where histories differ.

    With `must_exist`, raises NotFound where neither side has any of them.
    """
    domain = session.domain
    remote = get_remote(domain, name)
    with linked(session, domain, remote, access) as link:
        found = compare_aggregates(domain, link.transport, aggregate_type, aggregate_id)
        if must_exist:
            refuse_nothing(found, domain.name, remote.name, aggregate_type, aggregate_id)
        if found.parted:
            raise parted(found.parted, f"cannot push to the remote '{remote.name}'")
        events = found.given
        if found.ours and remote.sealed:
            raise Denied(
                f"the remote '{remote.name}' is sent sealed bodies only, and single aggregates travel plain",
                hint="push the whole domain",
            )
        if found.ours and not dry_run:
            if is_newer(domain.directory, link.description.schemas):
                mine = offers.describe(domain).head
                with offers.offering(domain, mine, mine.seq, schemas=link.description.schemas) as offer:
                    offer.only_schemas()
                    link.transport.send(offer)
            events = link.transport.send_histories(give(domain, found.ours))
        return PushedAggregates(
            remote.name, remote.url, domain.name, len(found.ours), events, len(found.theirs), dry_run
        )


def _note(session: Session, domain: Domain, link: Link, head: Point) -> None:
    """The remote has it: remember that, and that these commits are shared."""
    remember(session.repository, domain, link.remote, head)
    if head.seq >= 0:
        track_known(domain, tracking_ref(link.remote.name), head)


def _behind(domain: Domain, link: Link, mine: Description) -> Conflict:
    lacking = link.description.head.seq - mine.head.seq
    commits = "1 commit" if lacking == 1 else f"{lacking} commits"
    return Conflict(
        f"cannot push '{domain.name}': the remote has {commits} that we lack",
        hint="run 'dbx pull'",
        details={"reason": "behind", "local": mine.head._asdict(), "remote": link.description.head._asdict()},
    )


def _diverged(
    session: Session, domain: Domain, link: Link, mine: Description, common: Point, access: Access
) -> Conflict:
    """Say which aggregates both sides advanced, and from which version on; for that their commits are looked at."""
    if common.seq < 0:
        return unrelated("push", domain, link, mine.head)
    terms = Terms(session.actor, "push", must=link.known, progress=access.progress)
    with quarantined(domain.directory) as directory:
        arrived = link.transport.fetch(directory, common, mine.schemas)
        check_promise(session, link, domain, arrived)
        _, both = take_diverged(domain, arrived, terms, "look")
    return diverged("push", domain, link, mine.head, common, both)
