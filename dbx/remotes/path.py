"""A remote that is a directory of this machine: another repository, `PATH#domain`, or a domain's directory itself.

Segments of our own are hard-linked, because they never change; those of another user are copied, who could change them.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dbx.errors import Corrupt, DbxError, Invalid, NotFound, RemoteFailure
from dbx.remotes.base import NO_DOMAIN
from dbx.remotes.trail import pushed, pushed_aggregates
from dbx.repo.replica import offer as offers
from dbx.repo.replica.histories import give, list_roots, prefix_roots, split, take
from dbx.repo.replica.quarantine import bring, quarantined
from dbx.repo.replica.receive import Terms, receive
from dbx.repo.repository import DOMAINS, HEAD, NAME, Repository
from dbx.repo.security import audit
from dbx.repo.vault.keyring import DEK, data_key_ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dbx.formats.bundle import Point
    from dbx.model.address import Address
    from dbx.remotes.base import Means
    from dbx.remotes.trail import Entry
    from dbx.repo.domain import Domain
    from dbx.repo.replica.histories import Root, Wanted
    from dbx.repo.replica.offer import Description, Offer
    from dbx.repo.replica.quarantine import Arrived, Directory


def connect(address: Address, domain: str | None, means: Means) -> PathTransport:
    """Open the repository at a path. Raises RemoteFailure where there is none, Denied where it is not to be trusted."""
    path, named = _find(address.location)
    try:
        # A DEK that is stored there is its own; the one of the environment is ours.
        find_dek = (lambda: None) if os.path.exists(os.path.join(path, DEK)) else means.find_dek
        repository = Repository(path, clock=means.clock, wait_s=means.wait_s, safe=means.safe, find_dek=find_dek)
        name = domain or named or _choose(repository, means.name)
        transport = PathTransport(repository, repository.domain(name), means)
        transport.look()
        return transport
    except NotFound as error:
        hint = NO_DOMAIN if error.message.startswith("domain ") else error.hint
        raise RemoteFailure(f"cannot reach '{address.text}': {error.message}", hint=hint) from None


class PathTransport:
    """Another repository, opened in this process."""

    def __init__(self, repository: Repository, domain: Domain, means: Means, *, is_ours: bool = False) -> None:
        """With `is_ours` it is another domain of the same repository: damage there is damage here."""
        self._is_ours = is_ours
        self._repository = repository
        self._domain = domain
        self._means = means

    def look(self) -> None:
        """Whether its domain.yaml can be read. Raises RemoteFailure."""
        try:
            self._domain.id  # noqa: B018 - it is read for this
        except Invalid as error:
            raise self._damaged(error) from None

    def describe(self) -> Description:
        """Where it stands."""
        with self._theirs():
            return offers.describe(self._domain)

    def check(self) -> None:
        """There is nothing to try: the other side takes care of what it takes in."""

    def commit_ids(self, seqs: Sequence[int]) -> list[str | None]:
        """Ids by seqs."""
        with self._theirs():
            return offers.commit_ids(self._domain, list(seqs))

    def fetch(self, directory: Directory, base: Point, schemas: str | None) -> Arrived:
        """Link or copy the commits behind `base` into a quarantine."""
        reader = offers.Reader(self._means.data_keys)
        with self._theirs(), offers.offering(self._domain, base, schemas=schemas, reader=reader) as offer:
            return bring(directory, offer, self._means.vault)

    def data_keys(self) -> frozenset[bytes]:
        """What its keyring lists."""
        return data_key_ids(self._repository.directory)

    def send(self, offer: Offer) -> None:
        """Let the other repository take a bundle in."""
        with quarantined(self._domain.directory) as directory:
            terms = Terms(self._means.actor, f"push: from {self._means.name}", validate=True)
            arrived = bring(directory, offer, self._domain.vault)
            with self._theirs():
                done = receive(self._domain, arrived, terms)
        self._note(pushed(self._means.name, done, offers.describe(self._domain).schemas))

    def roots(self, aggregate_type: str | None, aggregate_id: str | None) -> list[Root]:
        """Aggregates with versions and roots."""
        with self._theirs():
            return list(list_roots(self._domain, aggregate_type, aggregate_id))

    def prefix_roots(self, wanted: Sequence[Wanted]) -> list[str | None]:
        """Roots at versions."""
        with self._theirs():
            return prefix_roots(self._domain, wanted)

    @contextmanager
    def histories(self, wanted: Sequence[Wanted]) -> Iterator[Iterator[bytes]]:
        """Events as lines."""
        yield split(self._given(wanted))

    def send_histories(self, lines: Iterable[bytes]) -> int:
        """Let the other repository commit events."""
        terms = Terms(self._means.actor, f"push: aggregates from {self._means.name}", validate=True)
        done = take(self._domain, split(lines), terms)
        self._note(pushed_aggregates(self._means.name, done))
        return done.events

    def _given(self, wanted: Sequence[Wanted]) -> Iterator[bytes]:
        with self._theirs():
            yield from give(self._domain, wanted)

    @contextmanager
    def _theirs(self) -> Iterator[None]:
        """Damage there is no damage here."""
        try:
            yield
        except Corrupt as error:
            if self._is_ours or error.details.get("received"):
                raise
            raise self._damaged(error) from None

    def _damaged(self, error: DbxError) -> RemoteFailure:
        return RemoteFailure(
            f"the repository at '{self._repository.path}' is damaged: {error.message}",
            hint="run 'dbx fsck' there",
            details=error.details,
        )

    def _note(self, entry: Entry) -> None:
        """In the trail of the repository that took it in."""
        audit.record(self._repository, self._means.actor, *entry, domain=self._domain.name)

    def close(self) -> None:
        """Close the repository."""
        self._repository.close()


def _find(path: str) -> tuple[str, str | None]:
    """(the `.dbx` directory, the domain) that a path means; the domain is None unless it is a domain's directory."""
    if os.path.isfile(os.path.join(path, HEAD)) and os.path.isdir(os.path.join(path, DOMAINS)):
        return path, None
    if os.path.isdir(os.path.join(path, NAME)):
        return os.path.join(path, NAME), None
    parent, name = os.path.split(os.path.abspath(path))
    if os.path.basename(parent) == DOMAINS and os.path.isfile(os.path.join(path, "domain.yaml")):
        return os.path.dirname(parent), name
    hint = "name the directory that holds '.dbx', or a domain's directory"
    if os.path.isfile(path):
        hint = "a bundle is taken in with 'dbx bundle apply', after 'dbx init' or into a new domain"
    raise RemoteFailure(f"'{path}' is not a dbx repository", hint=hint)


def _choose(repository: Repository, name: str) -> str:
    return name if name in repository.domain_names() else repository.active
