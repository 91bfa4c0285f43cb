"""What others have of a domain, as far as the workspace remembers it outside the domain (format.md §1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dbx.repo.compare.tracking import find_base
from dbx.repo.evidence.checkpoints import signed_size
from dbx.repo.log import read_ref
from dbx.repo.reading.revision import REMOTES
from dbx.repo.replica.offer import commit_ids
from dbx.repo.replica.remoteconfig import list_remotes
from dbx.repo.replica.seen import find_seen

if TYPE_CHECKING:
    from dbx.formats.bundle import Point
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
            last = _last_shared(domain, remote.name, seen)
            found.append(Shared(last + 1, f"'{remote.name}' had commits up to {last} when it was last asked"))
    return max(found)


def _last_shared(domain: Domain, remote: str, seen: Point) -> int:
    """The last commit that a remote may have of ours. Where its history was fetched we know which that is."""
    track = read_ref(domain.directory, f"{REMOTES}/{remote}/main")
    if track is None or track.commit != seen.commit:
        return seen.seq
    return domain.read(lambda working, _: find_base(working, domain.directory, track))
