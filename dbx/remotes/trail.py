"""What a repository writes into its audit trail about what others pushed to it, whichever way it came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from dbx.repo.replica.histories import Taken
    from dbx.repo.replica.receive import Received


class Entry(NamedTuple):
    """The verb of a line, and its details, which hold no secret."""

    event: str
    details: dict[str, Any]


def pushed(sender: str, done: Received, schemas: str | None) -> Entry:
    """A bundle was taken in, after which `schemas` is the newest schema version; one without commits has a verb of its
    own."""
    if done.schemas and not done.commits:
        return Entry("schema.push", {"from": sender, "new": schemas, "versions": done.schemas})
    new, old = done.head.commit or None, done.before.commit or None
    return Entry("ref.push", {"from": sender, "old": old, "new": new, "commits": done.commits})


def pushed_aggregates(sender: str, done: Taken) -> Entry:
    """Events of single aggregates were taken in, in a commit of our own; `new` is None where there was nothing new."""
    commits = 0 if done.commit is None else 1
    return Entry("ref.push", {"from": sender, "new": done.commit, "commits": commits})
