"""Make a domain that is a copy of a remote's: all of its history, checked, or some aggregates of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import DbxError, NotFound
from dbx.formats.bundle import START
from dbx.ops import audit
from dbx.ops.fetch import bring_schemas, check_promise
from dbx.ops.link import Link, blaming, connected
from dbx.remotes.promises import promised, shown_roots
from dbx.repo.batch.staging import new_uuid
from dbx.repo.replica.cloning import (
    QUARANTINE_NAME,
    call_as,
    drop_clone,
    drop_unused,
    find_empty,
    find_finished,
    prepare_clone,
    show_clone,
)
from dbx.repo.replica.histories import Wanted, take
from dbx.repo.replica.offer import describe
from dbx.repo.replica.quarantine import quarantined
from dbx.repo.replica.receive import Received, Terms, receive, tracking_ref
from dbx.repo.replica.remoteconfig import ORIGIN, RemoteSetting, check_token, put_remote, store_token
from dbx.repo.replica.seen import remember

if TYPE_CHECKING:
    from dbx.formats.bundle import Point
    from dbx.ops.link import Access
    from dbx.ops.session import Session
    from dbx.repo.domain import Domain
    from dbx.repo.replica.quarantine import Arrived


class Cloned(NamedTuple):
    """The new domain. `resumed` counts the commits that an earlier attempt had brought; `partial` tells that only some
    aggregates were copied, into a domain of its own."""

    domain: str
    path: str
    id: str
    url: str
    head: Point
    commits: int
    events: int
    schemas: int
    resumed: int
    partial: bool
    switched: bool


def clone(
    session: Session,
    url: str,
    name: str | None,
    access: Access,
    *,
    remote_domain: str | None = None,
    aggregate_type: str | None = None,
    aggregate_id: str | None = None,
    checkout: bool = True,
) -> Cloned:
    """Clone what is at `url` into the domain `name`, by default named as the remote's.

    A domain of that name must be empty. What an interrupted attempt brought is used. Raises Conflict.
    """
    remote = RemoteSetting(ORIGIN, url, remote_domain)
    check_token(session.repository, remote, access.token)
    with blaming(remote), connected(session, name or "", remote, access) as transport:
        there = transport.describe()
        name = name or there.name
        if aggregate_type is not None:
            done = _copy_some(session, name, Link(remote, transport, there, None), access, aggregate_type, aggregate_id)
        else:
            done = _copy_all(session, name, Link(remote, transport, there, None), access)
    details = {"url": url, "new": done.head.commit or None, "commits": done.commits, "partial": done.partial}
    audit.note(session, "ref.clone", details, domain=name)
    if access.token is not None:
        store_token(session.repository, remote, access.token)
    switched = session.repository.switch(name) if checkout else False
    return done._replace(switched=switched)


def give_up(session: Session) -> bool:
    """Remove the repository that was made just for a clone which failed; False where something in it is of use."""
    return drop_unused(session.repository)


def _copy_all(session: Session, name: str, link: Link, access: Access) -> Cloned:
    repository, there = session.repository, link.description
    into = find_empty(repository, name)
    if into is None:
        with repository.changing():
            domain = prepare_clone(repository, name, there.domain, link.remote, access.progress)
    else:
        domain = into
    try:
        domain.staging_lock.acquire(repository.wait_s)  # nobody else clones to this name
        with quarantined(domain.directory, QUARANTINE_NAME) as directory:
            finished, end = find_finished(directory)
            if end.seq >= 0 and link.transport.commit_ids([end.seq]) != [end.commit]:
                finished, end = [], START
            arrived = link.transport.fetch(directory, end, None)
            check_promise(session, link, domain, arrived)
            whole = arrived._replace(header=arrived.header._replace(base=START), entries=(*finished, *arrived.entries))
            done = _take(session, name, domain, whole, link.remote, access)
        remember(repository, domain, link.remote, arrived.header.head)
        if into is None:
            with repository.changing():
                _show(session, domain)
        else:
            put_remote(domain, link.remote, new=True)
    finally:
        domain.close()
    opened = repository.domain(name)
    return Cloned(
        name,
        opened.directory.path,
        opened.id,
        link.remote.url,
        done.head,
        done.commits,
        done.events,
        done.schemas,
        end.seq + 1,
        False,
        False,
    )


def _show(session: Session, domain: Domain) -> None:
    """Give a clone that is whole its name, closed: SQLite puts its log away then, and must find it where it was."""
    domain.close()
    show_clone(session.repository, domain.name)


def _take(
    session: Session, name: str, domain: Domain, arrived: Arrived, remote: RemoteSetting, access: Access
) -> Received:
    terms = Terms(
        session.actor, f"clone: from {remote.url}"[:200], track=tracking_ref(remote.name), progress=access.progress
    )
    try:
        return receive(domain, arrived, terms)
    except DbxError:
        # What is wrong now would be wrong again: the next attempt begins anew.
        drop_clone(session.repository, name)
        raise


def _copy_some(
    session: Session,
    name: str,
    link: Link,
    access: Access,
    aggregate_type: str,
    aggregate_id: str | None,
) -> Cloned:
    repository, remote, transport = session.repository, link.remote, link.transport
    into = find_empty(repository, name)
    shown = shown_roots(transport, aggregate_type, aggregate_id)
    if not shown:
        what = aggregate_type if aggregate_id is None else f"{aggregate_type}/{aggregate_id}"
        raise NotFound(f"the remote has no aggregate '{what}'", hint="see 'dbx aggregate list' there")
    if into is None:
        with repository.changing():
            drop_clone(repository, name)
            fresh = new_uuid(repository.entropy(16))
            domain = prepare_clone(repository, name, fresh, remote, access.progress, link.description.name)
    else:
        domain = into
    try:
        domain.staging_lock.acquire(repository.wait_s)
        terms = Terms(session.actor, f"clone: aggregates from {remote.url}"[:200], progress=access.progress)
        schemas = bring_schemas(session, domain, remote.name, transport, link.description).schemas
        wanted = [Wanted(*one, 0) for one in shown]
        with transport.histories(wanted) as lines:
            coming = promised(lines, wanted, shown)
            done = take(domain, coming, terms, message=f"clone of {aggregate_type} from {remote.url}"[:500])
        head = describe(domain).head
        if into is None:
            with repository.changing():
                _show(session, domain)
        else:
            call_as(domain, link.description.name)
            put_remote(domain, remote, new=True)
    except BaseException:
        drop_clone(repository, name)
        raise
    finally:
        domain.close()
    opened = repository.domain(name)
    return Cloned(name, opened.directory.path, opened.id, remote.url, head, 1, done.events, schemas, 0, True, False)
