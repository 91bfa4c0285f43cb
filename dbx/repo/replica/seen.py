"""What each remote last showed, kept in the workspace, outside the domain: it only moves forward.

A remote that shows an older head, or a history that does not hold what it showed before, is refused, and both heads are
kept as evidence: it was restored from a backup, or somebody is rewriting history.
"""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from dbx.errors import Corrupt, DbxError, RemoteFailure
from dbx.formats import canonical
from dbx.formats.bundle import point_value, read_point
from dbx.model.time import format_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.formats.bundle import Point
    from dbx.repo.domain import Domain
    from dbx.repo.replica.remoteconfig import RemoteSetting
    from dbx.repo.repository import Repository

SEEN = "remotes"
EVIDENCE = "evidence"
_MAX_BYTES = 64 * 1024


def find_seen(repository: Repository, domain: Domain, remote: RemoteSetting) -> Point | None:
    """The last verified head of a remote; None before the first, and when its address has changed since."""
    data = repository.directory.find(_file(domain, remote), _MAX_BYTES)
    if data is None:
        return None
    try:
        value = canonical.decode(data.removesuffix(b"\n"), what="what a remote last showed")
        if not isinstance(value, dict) or value.get("key") != remote.key:
            return None
        return read_point(value.get("head"))
    except Corrupt as error:
        raise Corrupt(f"'{repository.directory.path_of(_file(domain, remote))}' is damaged: {error.message}") from None


def remember(repository: Repository, domain: Domain, remote: RemoteSetting, head: Point) -> None:
    """A remote's head was verified. It never moves back."""
    if head.seq < 0:
        return
    known = find_seen(repository, domain, remote)
    if known is not None and known.seq >= head.seq:
        _heard(repository, domain, remote)
        return
    name = _file(domain, remote)
    value = {"head": point_value(head), "key": remote.key, "time": format_time(repository.clock())}
    repository.directory.make(name.rpartition("/")[0])
    repository.directory.write(name, canonical.encode(value) + b"\n")


def _heard(repository: Repository, domain: Domain, remote: RemoteSetting) -> None:
    """Let the tracking ref's time tell that the remote was heard of, although it has nothing new."""
    now_ns = repository.clock() * 1000
    with suppress(OSError):  # it matters to 'dbx lint' alone
        os.utime(domain.directory.path_of(f"refs/remotes/{remote.name}/main"), ns=(now_ns, now_ns))


def forget(repository: Repository, domain: Domain, remote: RemoteSetting) -> None:
    """The remote is one no longer."""
    repository.directory.remove(_file(domain, remote))


def check_seen(
    repository: Repository,
    domain: Domain,
    remote: RemoteSetting,
    offered: Point,
    find_id: Callable[[int], str | None],
) -> Point | None:
    """Hold a remote's head against the last one; that one is returned. `find_id` asks the remote for a commit's id.

    Raises RemoteFailure, and keeps both heads, for an older head and for another history.
    """
    known = find_seen(repository, domain, remote)
    if known is None or known == offered:
        return known
    if offered.seq < known.seq:
        shows = f"it shows commit {offered.seq}" if offered.seq >= 0 else "it is empty"
        sentence = f"{shows}, but has shown commit {known.seq} before"
        raise refuse(repository, domain, remote, known, offered, "older", sentence)
    there = offered.commit if offered.seq == known.seq else find_id(known.seq)
    if there != known.commit:
        sentence = f"it has another commit {known.seq} than it has shown before"
        raise refuse(repository, domain, remote, known, offered, "fork", sentence)
    return known


def refuse(
    repository: Repository,
    domain: Domain,
    remote: RemoteSetting,
    known: Point,
    offered: Point,
    reason: str,
    sentence: str,
) -> DbxError:
    """The error for a remote whose history is not the one it showed, once the evidence is on the disk."""
    now = format_time(repository.clock())
    value: dict[str, Any] = {
        "domain": domain.id,
        "offered": point_value(offered),
        "reason": reason,
        "remembered": point_value(known),
        "remote": remote.name,
        "time": now,
        "url": remote.url,
    }
    data = canonical.encode(value) + b"\n"
    # Once is enough: a watcher meets the same two heads again and again.
    pair = f"{known.commit[:16]}-{offered.commit[:16] or 'empty'}"
    name = f"{EVIDENCE}/{domain.name}-{remote.name}-{reason}-{pair}.json"
    repository.directory.make(EVIDENCE)
    if not repository.directory.exists(name):
        repository.directory.write(name, data)
    return RemoteFailure(
        f"remote '{remote.name}' is not to be trusted: {sentence}",
        hint=f"nothing was changed; both heads are kept in '{repository.directory.path_of(name)}';"
        " if the remote was rebuilt on purpose, remove it with 'dbx remote remove' and add it again",
        details={
            "reason": reason,
            "remembered": point_value(known),
            "offered": point_value(offered),
            "evidence": repository.directory.path_of(name),
        },
    )


def _file(domain: Domain, remote: RemoteSetting) -> str:
    # By its address too: clones of one domain may each have an 'origin' of their own.
    return f"{SEEN}/{domain.id}/{remote.name}-{sha256(remote.key.encode()).hexdigest()[:16]}"
