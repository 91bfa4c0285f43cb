"""Switch to a domain, make one, fork one, delete one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Conflict, Corrupt
from dbx.model import names
from dbx.ops import audit
from dbx.ops.source import parse_source
from dbx.repo.reading.revision import resolve_revision
from dbx.repo.upkeep.survey import survey

if TYPE_CHECKING:
    from dbx.ops.session import Session


class CheckedOut(NamedTuple):
    """The domain that is checked out now; `created` and `switched` say what had to be done for it.

    `source` names where a fork came from and `seq` the last commit it has of it, -1 for none.
    """

    domain: str
    path: str
    created: bool
    switched: bool
    source: str | None = None
    seq: int | None = None


class Doomed(NamedTuple):
    """A domain that is about to be deleted, and what goes with it; None where damage keeps it from being counted."""

    domain: str
    path: str
    events: int | None
    commits: int | None
    staged: int | None


def checkout(session: Session, name: str, *, create: bool = False, source: str | None = None) -> CheckedOut:
    """Check a domain out. With `create` it is made where there is none; with a `source`, `DOMAIN[@REF]`, as a fork.

    Raises NotFound, and Conflict when the fork's name is taken.
    """
    repository = session.repository
    names.check_domain_name(name)
    if source is not None:
        return _fork(session, name, source)
    created = create and name not in repository.domain_names()
    domain = repository.create_domain(name) if created else repository.domain(name)
    if created:
        audit.note(session, "domain.create", {"id": domain.id}, domain=name)
    return CheckedOut(name, domain.directory.path, created, repository.switch(name))


def find_doomed(session: Session, name: str) -> Doomed:
    """What deleting a domain would destroy. Raises NotFound, and Conflict where it cannot be deleted."""
    session.repository.check_deletable(name)
    domain = session.repository.domain(name)
    try:
        found = survey(domain)
    except Corrupt:
        return Doomed(name, domain.directory.path, None, None, None)
    commits = 0 if found.head is None else found.head.commit.seq + 1
    return Doomed(name, domain.directory.path, found.events, commits, found.staged.events if found.staged else 0)


def delete(session: Session, name: str, *, force: bool = False) -> None:
    """Delete a domain with all its events. Raises Conflict for the default, the checked-out, and a staging one."""
    session.repository.delete_domain(name, force=force)
    audit.note(session, "domain.delete", {"force": force}, domain=name)


def _fork(session: Session, name: str, text: str) -> CheckedOut:
    from dbx.repo.upkeep.fork import fork_domain

    source_name, ref = parse_source(text)
    repository = session.repository
    source = repository.domain(source_name)
    if name in repository.domain_names():
        raise Conflict(f"domain '{name}' exists already", hint="give the fork another name")
    seq = None if ref is None else resolve_revision(source, ref).seq
    fork = fork_domain(repository, name, source, seq, actor=session.actor)
    origin = fork.file.forked_from or {}
    audit.note(session, "domain.create", {"id": fork.id, "forked_from": source.name}, domain=name)
    return CheckedOut(name, fork.directory.path, True, repository.switch(name), source.name, origin.get("seq"))
