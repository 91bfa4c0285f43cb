"""The remotes of a domain: add, list, show, change, remove, and see whether one can be reached."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from dbx.model.address import parse_address
from dbx.ops import audit
from dbx.ops.link import linked
from dbx.remotes.negotiate import relate
from dbx.repo.log import read_ref
from dbx.repo.replica import offer as offers
from dbx.repo.replica import seen
from dbx.repo.replica.receive import tracking_ref
from dbx.repo.replica.remoteconfig import (
    ORIGIN,
    RemoteSetting,
    check_environment_name,
    check_token,
    find_token,
    get_remote,
    has_token,
    list_remotes,
    put_remote,
    remove_remote,
    store_token,
)

if TYPE_CHECKING:
    from dbx.ops.link import Access
    from dbx.ops.session import Session
    from dbx.repo.domain import Domain


class Shown(NamedTuple):
    """A remote. `head` and `seq` are those of its tracking ref, None and -1 before the first fetch; `token` tells
    whether one is stored for its address, `sealed` whether it is sent sealed bodies only."""

    name: str
    url: str
    domain: str | None
    head: str | None
    seq: int
    token: bool
    environment: str | None = None
    sealed: bool = False


class Checked(NamedTuple):
    """How a remote that was reached stands to us: `relation` is same, ahead, behind or diverged, as the remote is."""

    name: str
    url: str
    domain: str
    id: str
    head: str | None
    seq: int
    relation: str


def find_way(session: Session, name: str | None) -> tuple[Session, str | None]:
    """What NAME means to push, pull and fetch: a remote of the domain; else a domain, as EventDBX has it.

    What is neither is taken for a remote, which will not be found.
    """
    if name is None or session.domain_name is not None:
        return session, name
    known = any(remote.name == name for remote in list_remotes(session.domain))
    if known or name not in session.repository.domain_names():
        return session, name
    return session._replace(domain_name=name), None


def add_remote(
    session: Session,
    name: str,
    url: str,
    *,
    domain: str | None,
    token: str | None,
    start: str,
    sealed: bool = False,
    environment: str | None = None,
) -> Shown:
    """Add a remote; one that is `sealed` is never sent a plain body. A path is kept absolute, seen from `start`.

    One of an `environment` is reached from domains of that one. Raises Conflict when the name is taken.
    """
    check_environment_name(environment)
    return _put(session, RemoteSetting(name, absolute(url, start), domain, sealed, environment), token, new=True)


def set_url(
    session: Session,
    name: str,
    url: str,
    *,
    domain: str | None,
    token: str | None,
    start: str,
    environment: str | None = None,
) -> Shown:
    """Give a remote another address. A token that was stored for the old one does not go with it.

    Its environment stays, unless another one is given.
    """
    old = get_remote(session.domain, name)
    kept = check_environment_name(environment) or old.environment
    changed = RemoteSetting(old.name, absolute(url, start), domain, old.sealed, kept)
    shown = _put(session, changed, token, new=False)
    _forget_token(session, old)
    return shown


def check_new(session: Session, url: str, *, token: str | None, remote_domain: str | None, start: str) -> None:
    """Raises what `configure` would for a domain that is still to be made."""
    check_token(session.repository, RemoteSetting(ORIGIN, absolute(url, start), remote_domain), token or None)


def configure(
    session: Session, domain: Domain, *, url: str | None, token: str | None, remote_domain: str | None, start: str
) -> bool:
    """What `checkout --remote --token --remote-domain` store, for `origin`; whether anything changed.

    An empty text clears a value. Raises NotFound for a token or a domain without a remote.
    """
    known = {remote.name: remote for remote in list_remotes(domain)}
    old = known.get(ORIGIN)
    if url == "":
        if old is None:
            return False
        _remove(session, domain, old)
        return True
    if url is None:
        old = old or get_remote(domain)
    there = old.domain if old is not None and remote_domain is None else remote_domain or None
    name = ORIGIN if old is None else old.name
    there_url = absolute(url, start) if url is not None else old.url if old else ""
    new = RemoteSetting(name, there_url, there, old is not None and old.sealed)
    new = new._replace(environment=None if old is None else old.environment)
    check_token(session.repository, new, token or None)
    changed = new != old
    if changed:
        put_remote(domain, new, new=old is None)
        _note(session, "remote.add" if old is None else "remote.set", new, domain, bool(token))
    if token is not None and (find_token(session.repository, new) or "") != token:
        store_token(session.repository, new, token or None)
        changed = True
    if old is not None:
        _forget_token(session, old)
    return changed


def list_all(session: Session) -> list[Shown]:
    """Every remote, sorted by name."""
    return [_shown(session, session.domain, remote) for remote in list_remotes(session.domain)]


def show_remote(session: Session, name: str | None) -> Shown:
    """One remote. Raises NotFound."""
    return _shown(session, session.domain, get_remote(session.domain, name))


def remove(session: Session, name: str) -> RemoteSetting:
    """Forget a remote, its tracking ref, its token and what it showed. Raises NotFound."""
    gone = get_remote(session.domain, name)
    _remove(session, session.domain, gone)
    return gone


def check_remote(session: Session, name: str | None, access: Access) -> Checked:
    """Reach a remote and see how it stands to us. Raises RemoteFailure."""
    domain = session.domain
    remote = get_remote(domain, name)
    with linked(session, domain, remote, access) as link:
        there = link.description
        relation = relate(domain, offers.describe(domain).head, link.transport, there.head)
        link.transport.check()
    return Checked(
        remote.name, remote.url, there.name, there.domain, there.head.commit or None, there.head.seq, relation.kind
    )


def absolute(url: str, start: str) -> str:
    """An address as it is stored: a path absolute, seen from the directory `start`. Raises Invalid."""
    found = parse_address(url)
    if found.scheme != "path":
        return url
    path = os.path.abspath(os.path.join(start, os.path.expanduser(found.location)))
    return path if found.domain is None else f"{path}#{found.domain}"


def _remove(session: Session, domain: Domain, gone: RemoteSetting) -> None:
    remove_remote(domain, gone.name)
    seen.forget(session.repository, domain, gone)
    _note(session, "remote.remove", gone, domain, False)
    _forget_token(session, gone)


def _forget_token(session: Session, gone: RemoteSetting) -> None:
    """Forget the token for the address of what is a remote no longer, unless it is one of this or another domain."""
    repository = session.repository
    domains = (repository.domain(name) for name in repository.domain_names())
    if has_token(repository, gone) and not any(
        remote.key == gone.key for domain in domains for remote in list_remotes(domain)
    ):
        store_token(repository, gone, None)


def _put(session: Session, remote: RemoteSetting, token: str | None, *, new: bool) -> Shown:
    check_token(session.repository, remote, token)
    put_remote(session.domain, remote, new=new)
    _note(session, "remote.add" if new else "remote.set", remote, session.domain, token is not None)
    if token is not None:
        store_token(session.repository, remote, token)
    return _shown(session, session.domain, remote)


def _note(session: Session, event: str, remote: RemoteSetting, domain: Domain, token: bool) -> None:
    """The address is not told where it may hold a secret: that of a user and password is refused anyway."""
    details = {"remote": remote.name, "url": remote.url, "token_stored": token}
    audit.note(session, event, details, domain=domain.name)


def _shown(session: Session, domain: Domain, remote: RemoteSetting) -> Shown:
    ref = read_ref(domain.directory, tracking_ref(remote.name))
    is_stored = has_token(session.repository, remote)
    return Shown(
        remote.name,
        remote.url,
        remote.domain,
        None if ref is None else ref.commit,
        -1 if ref is None else ref.seq,
        is_stored,
        remote.environment,
        remote.sealed,
    )
