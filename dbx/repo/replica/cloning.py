"""A domain that is being cloned: made under a hidden name, and shown once all of it is there and checked.

What came before the connection was cut stays, and the next attempt goes on behind it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dbx.errors import Conflict, DbxError
from dbx.formats.bundle import START
from dbx.model import names
from dbx.model.time import format_time
from dbx.repo.batch.staging import find_batch
from dbx.repo.domain import Domain
from dbx.repo.domainfile import DomainFile, known_as, load_domain_file, write_domain_file
from dbx.repo.log import MAIN, journals
from dbx.repo.replica.quarantine import QUARANTINE, look
from dbx.repo.repository import DEFAULT, DOMAINS
from dbx.store.fs import Directory
from dbx.store.segments import SEGMENTS, SUFFIX
from dbx.store.staging import NAME as STAGING

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.formats.bundle import Point
    from dbx.formats.manifest import ManifestEntry
    from dbx.repo.replica.remoteconfig import RemoteSetting
    from dbx.repo.repository import Repository

QUARANTINE_NAME = "clone"


def prepare_clone(
    repository: Repository,
    name: str,
    domain_id: str,
    remote: RemoteSetting,
    progress: Callable[[int], None] | None,
    called: str | None = None,
) -> Domain:
    """The hidden domain to clone into: what an interrupted clone of the same domain left, or a new one.

    `called` is what references call it that will be copied one aggregate at a time.

    Call it, and `show_clone`, with the workspace's lock.
    """
    names.check_domain_name(name)
    hidden = _hidden(name)
    directory = repository.directory.below(hidden)
    remotes: dict[str, Any] = {remote.name: remote.to_value()}
    if repository.directory.exists(hidden) and not _is_same(directory, domain_id, remotes):
        repository.directory.remove_tree(hidden)
    if not repository.directory.exists(hidden):
        fresh, made = repository.prepare_domain(name)
        file = DomainFile(domain_id, name, format_time(repository.clock()), settings={}, remotes=remotes)
        write_domain_file(made, file if called is None else known_as(file, called))
        repository.directory.rename(fresh, hidden)
    return Domain(
        directory,
        name,
        clock=repository.clock,
        entropy=repository.entropy,
        wait_s=repository.wait_s,
        progress=progress,
        vault=repository.vault,
    )


def find_empty(repository: Repository, name: str) -> Domain | None:
    """The domain of that name, where there is one and nothing in it; None where there is none.

    Raises Conflict for one that holds something, or has a remote already.
    """
    names.check_domain_name(name)
    if name not in repository.domain_names():
        return None
    domain = repository.domain(name)
    is_new = domain.read(lambda working, _: working.head.seq) < 0 and find_batch(domain) is None
    if is_new and not domain.file.remotes:
        return domain
    what = "is not empty" if not is_new else "has a remote already"
    raise Conflict(
        f"domain '{name}' exists already, and {what}",
        hint="give another name: 'dbx clone URL NAME'" if not is_new else "bring its history with 'dbx pull'",
    )


def call_as(domain: Domain, called: str) -> None:
    """What references call a domain whose aggregates were copied from one of that name."""
    with domain.mutex:
        domain.lock.acquire(domain.wait_s)
        try:
            file = load_domain_file(domain.directory)
            write_domain_file(domain.directory, known_as(file, called))
            domain.forget_file()
        finally:
            domain.lock.release()


def show_clone(repository: Repository, name: str) -> None:
    """The clone is whole: give it its name."""
    if name in repository.domain_names():
        raise Conflict(f"domain '{name}' was made by somebody else meanwhile")
    repository.directory.rename(_hidden(name), f"{DOMAINS}/{name}")


def drop_clone(repository: Repository, name: str) -> None:
    """Forget an interrupted clone."""
    if repository.directory.exists(_hidden(name)):
        repository.directory.remove_tree(_hidden(name))


def drop_unused(repository: Repository) -> bool:
    """Remove a repository that was made for a clone which failed, unless something came that can be used again."""
    for entry in repository.directory.names(DOMAINS):
        directory = repository.directory.below(f"{DOMAINS}/{entry}")
        came = directory.names(f"{QUARANTINE}/{QUARANTINE_NAME}/{SEGMENTS}")
        if any(name.endswith(SUFFIX) for name in came) or (entry[0] != "." and entry != DEFAULT):
            return False
        if directory.exists(MAIN) or journals(directory) or directory.exists(STAGING):
            return False
    repository.close()
    parent, name = os.path.split(os.path.abspath(repository.path))
    Directory(parent).remove_tree(name)
    return True


def find_finished(directory: Directory) -> tuple[list[ManifestEntry], Point]:
    """The segments in a quarantine that follow one another from the first commit on, hashed again, and their end."""
    found: dict[int, tuple[ManifestEntry, Point]] = {}
    for name in directory.names(SEGMENTS):
        sha = name.removesuffix(SUFFIX)
        with suppress(DbxError, FileNotFoundError):
            if len(sha) == 64 and name != sha:
                entry, point = look(directory, sha)
                found[entry.first_seq] = (entry, point)
    entries: list[ManifestEntry] = []
    end = START
    while end.seq + 1 in found:
        entry, end = found[end.seq + 1]
        entries.append(entry)
    return entries, end


def _hidden(name: str) -> str:
    return f"{DOMAINS}/.clone-{name}"


def _is_same(directory: Directory, domain_id: str, remotes: dict[str, Any]) -> bool:
    try:
        file = load_domain_file(directory)
    except DbxError:
        return False
    return file.id == domain_id and file.remotes == remotes
