"""A connection to a remote of a domain, opened with what the command was given, and its head held against the last."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Corrupt, RemoteFailure
from dbx.remotes.base import TIMEOUT_S, Means, connect
from dbx.remotes.gitcredential import ask_git
from dbx.repo.replica.examine import NO_BODY
from dbx.repo.replica.remoteconfig import find_token
from dbx.repo.replica.seen import check_seen
from dbx.repo.security.environments import check_remote
from dbx.repo.vault.keyring import data_key_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dbx.formats.bundle import Point
    from dbx.ops.session import Session
    from dbx.remotes.base import Transport
    from dbx.repo.domain import Domain
    from dbx.repo.replica.offer import Description
    from dbx.repo.replica.remoteconfig import RemoteSetting


class Access(NamedTuple):
    """What a command may use to reach a remote: a token that goes before the stored one, directories that are trusted,
    who is told of progress, how long the remote may say nothing, and whether what is for one environment may be used in
    another."""

    token: str | None = None
    safe: Sequence[str] = ()
    progress: Callable[[int], None] | None = None
    timeout_s: float | None = None
    cross_env: bool = False


class Link(NamedTuple):
    """An open remote: where it stands, and its last verified head, None before the first."""

    remote: RemoteSetting
    transport: Transport
    description: Description
    known: Point | None


@contextmanager
def linked(session: Session, domain: Domain, remote: RemoteSetting, access: Access) -> Iterator[Link]:
    """Connect, ask where it stands, and compare that with what it showed before. Raises RemoteFailure."""
    with blaming(remote), connected(session, domain.name, remote, access) as transport:
        description = transport.describe()
        known = check_seen(
            session.repository, domain, remote, description.head, lambda seq: transport.commit_ids([seq])[0]
        )
        yield Link(remote, transport, description, known)


@contextmanager
def connected(session: Session, name: str, remote: RemoteSetting, access: Access) -> Iterator[Transport]:
    """Connect to a remote. `name` is our domain's. Raises Denied where the two are of different environments."""

    def token() -> str | None:
        return access.token or find_token(session.repository, remote)

    if remote.environment is not None and not access.cross_env:
        check_remote(session.repository.domain(name), remote.name, remote.environment, token())
    means = Means(
        session.repository.clock,
        session.actor,
        name,
        token,
        lambda: ask_git(remote.address),
        access.safe,
        session.repository.wait_s,
        access.timeout_s or TIMEOUT_S,
        vault=session.repository.vault,
        data_keys=data_key_ids(session.repository.directory),
        find_dek=session.repository.vault.find_dek,
    )
    transport = connect(remote.address, remote.domain, means)
    try:
        yield transport
    finally:
        transport.close()


@contextmanager
def blaming(remote: RemoteSetting) -> Iterator[None]:
    """What is wrong with what a remote sent is the remote's fault (8), not damage here (7)."""
    try:
        yield
    except Corrupt as error:
        if not error.details.get("received"):
            raise
        details = {key: value for key, value in error.details.items() if key != "received"}
        hint = "nothing was changed; try again, and if it stays so, look at the remote with 'dbx fsck'"
        raise RemoteFailure(
            f"what the remote '{remote.name}' sent is not to be believed: {error.message}",
            hint=error.hint if error.details.get("reason") == NO_BODY else hint,
            details=details,
        ) from None
