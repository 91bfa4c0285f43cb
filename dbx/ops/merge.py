"""Take the events of one domain over into another: all that is new, in one commit, or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import UsageError
from dbx.ops import audit
from dbx.remotes.base import Means
from dbx.remotes.negotiate import compare_aggregates
from dbx.remotes.path import PathTransport
from dbx.repo.replica.histories import give, parted, split, take
from dbx.repo.replica.receive import Terms

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.ops.session import Session


class Merged(NamedTuple):
    """What was taken over; `commit` is None with a dry run and where nothing was new. `ahead` counts aggregates that
    go further in the target, `same` those that were equal."""

    source: str
    into: str
    aggregates: int
    events: int
    ahead: int
    same: int
    commit: str | None
    seq: int | None
    dry_run: bool


def merge(
    session: Session,
    source_name: str,
    *,
    dry_run: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Merged:
    """Merge a domain of this repository into the session's.

    Aggregates whose histories are the same, or where one continues the other, are welcome. Raises Conflict naming those
    that differ, and then nothing is changed; NotFound for a domain that is not there.
    """
    repository, into = session.repository, session.domain
    source = repository.domain(source_name)
    if source.name == into.name:
        raise UsageError(f"domain '{into.name}' cannot be merged into itself", hint="name another with '--into'")
    means = Means(repository.clock, session.actor, into.name, lambda: None, lambda: None)
    found = compare_aggregates(into, PathTransport(repository, source, means, is_ours=True), None, None)
    if found.parted:
        raise parted(found.parted, f"cannot merge '{source.name}' into '{into.name}'")
    events = found.events
    done = None
    if found.theirs and not dry_run:
        terms = Terms(session.actor, f"merge: from {source.name}", progress=progress)
        done = take(into, split(give(source, found.theirs)), terms, message=f"merge of domain {source.name}")
        events = done.events
        audit.note(session, "ref.merge", {"from": source.name, "new": done.commit}, domain=into.name)
    return Merged(
        source.name,
        into.name,
        len(found.theirs),
        events,
        len(found.ours),
        found.same,
        None if done is None else done.commit,
        None if done is None else done.seq,
        dry_run,
    )
