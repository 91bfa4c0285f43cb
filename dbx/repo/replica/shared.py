"""What others have of a domain, as far as the workspace remembers it outside the domain (format.md §1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dbx.repo.evidence.checkpoints import signed_size
from dbx.repo.replica.offer import commit_ids
from dbx.repo.replica.remoteconfig import list_remotes
from dbx.repo.replica.seen import find_seen

if TYPE_CHECKING:
    from dbx.repo.domain import Domain
    from dbx.repo.repository import Repository


class Shared(NamedTuple):
    """The first `commits` of the log are shared, because of `why`."""

    commits: int
    why: str


def find_own_shared(repository: Repository, domain: Domain) -> Shared:
    """The same, of commits that are ours: what a remote shows behind the point where it parted from us does not count.

    Raises Corrupt, Invalid.
    """
    found = [Shared(signed_size(repository, domain), "a signed checkpoint covers it")]
    for remote in list_remotes(domain):
        seen = find_seen(repository, domain, remote)
        if seen is not None and commit_ids(domain, [seen.seq]) == [seen.commit]:
            found.append(Shared(seen.seq + 1, f"'{remote.name}' had it when it was last asked"))
    return max(found)


def find_shared(repository: Repository, domain: Domain) -> Shared:
    """How much of the log is shared: covered by a signed checkpoint, or shown by a remote. Raises Corrupt, Invalid."""
    found = [Shared(signed_size(repository, domain), "a signed checkpoint covers it")]
    for remote in list_remotes(domain):
        seen = find_seen(repository, domain, remote)
        if seen is not None:
            found.append(Shared(seen.seq + 1, f"'{remote.name}' had commits up to {seen.seq} when it was last asked"))
    return max(found)
