"""A remote that is nothing but a domain's files somewhere: it is read file by file, and everything is worked out here.

What asks for more than commits behind a commit, as single aggregates do, is answered from a copy of all of it that is
checked like any clone and thrown away in the end.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from dbx.errors import RemoteFailure
from dbx.formats.bundle import START
from dbx.repo.replica import gather
from dbx.repo.replica.gather import Gone, Standing
from dbx.repo.replica.histories import give, list_roots, prefix_roots, split
from dbx.repo.replica.offer import Description
from dbx.repo.replica.quarantine import quarantined
from dbx.repo.replica.receive import Terms, receive
from dbx.repo.repository import Repository
from dbx.repo.vault.keyring import KeyringVault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import TypeVar

    from dbx.formats.bundle import Point
    from dbx.remotes.base import Means
    from dbx.repo.domain import Domain
    from dbx.repo.replica.gather import Shelf
    from dbx.repo.replica.histories import Root, Wanted
    from dbx.repo.replica.offer import Offer
    from dbx.repo.replica.quarantine import Arrived, Directory

    T = TypeVar("T")

_TRIES = 4


class FilesTransport:
    """Files on a shelf that can only be read. `url` is for messages."""

    def __init__(self, shelf: Shelf, url: str, means: Means) -> None:
        self._shelf = shelf
        self._url = url
        self._means = means
        self._stack = ExitStack()
        self._scratch: Directory | None = None
        self._standing: Standing | None = None
        self._copied: Domain | None = None

    def describe(self) -> Description:
        """Where the domain stands; some small requests, or one of the journal's size."""
        found = self._look()
        return Description(found.file.id, found.file.name, found.head, found.root, found.schemas)

    def check(self) -> None:
        """There is nothing to try: it answers, or not."""

    def commit_ids(self, seqs: Sequence[int]) -> list[str | None]:
        """Ids by seqs, from the manifest, or from a segment where a seq lies within one."""
        return self._steady(
            lambda standing: gather.commit_ids(
                self._shelf, standing, seqs, scratch=self._scratched(), vault=self._means.vault
            )
        )

    def fetch(self, directory: Directory, base: Point, schemas: str | None) -> Arrived:
        """Bring whole segments, and cut the one that begins before `base`."""
        return self._steady(
            lambda standing: gather.gather(
                self._shelf,
                standing,
                directory,
                base,
                schemas,
                scratch=self._scratched(),
                vault=self._means.vault,
            )
        )

    def data_keys(self) -> frozenset[bytes]:
        """Nobody is there who could have keys."""
        return frozenset()

    def send(self, offer: Offer) -> None:
        """Nobody is there to take it in."""
        raise self._refusal()

    def roots(self, aggregate_type: str | None, aggregate_id: str | None) -> list[Root]:
        """Aggregates with versions and roots, from a copy."""
        return list(list_roots(self._copy(), aggregate_type, aggregate_id))

    def prefix_roots(self, wanted: Sequence[Wanted]) -> list[str | None]:
        """Roots at versions, from a copy."""
        return prefix_roots(self._copy(), wanted)

    @contextmanager
    def histories(self, wanted: Sequence[Wanted]) -> Iterator[Iterator[bytes]]:
        """Events as lines, from a copy."""
        yield split(give(self._copy(), wanted))

    def send_histories(self, lines: Iterable[bytes]) -> int:
        """Nobody is there to take them in."""
        raise self._refusal()

    def close(self) -> None:
        """Throw away what was worked out."""
        self._stack.close()
        self._scratch = self._copied = None

    def _look(self) -> Standing:
        found = self._survey()
        if found is None:
            raise RemoteFailure(
                f"cannot reach '{self._url}': no domain's files are there, or they may not be read",
                hint="name the directory that holds 'domain.yaml', or the one that holds '.dbx'",
            )
        self._standing = found
        return found

    def _survey(self) -> Standing | None:
        return gather.survey(self._shelf)

    def _steady(self, act: Callable[[Standing], T]) -> T:
        """Do something with where the domain stands, and look again where files went away meanwhile."""
        for _ in range(_TRIES):
            try:
                return act(self._standing or self._look())
            except Gone:
                self._standing = None
        raise RemoteFailure(
            f"files that '{self._url}' names are not there",
            hint="its copy may be half made: see that whoever makes it copies segments and manifests before refs",
        )

    def _scratched(self) -> Directory:
        if self._scratch is None:
            path = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="dbx-files-"))
            self._scratch = gather.scratch_at(path)
        return self._scratch

    def _copy(self) -> Domain:
        """All of it as a domain of a repository that goes away with this transport, checked."""
        if self._copied is None:
            path = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="dbx-copy-"))
            repository, _ = Repository.init(path, clock=self._means.clock, wait_s=self._means.wait_s)
            self._stack.callback(repository.close)
            if isinstance(self._means.vault, KeyringVault):
                repository.vault = self._means.vault  # what this workspace seals is sealed in the copy too
            domain = repository.domain()
            if (self._standing or self._look()).head.seq >= 0:
                with quarantined(domain.directory) as directory:
                    receive(domain, self.fetch(directory, START, None), Terms(self._means.actor, "copy"))
            self._copied = domain
        return self._copied

    def _refusal(self) -> RemoteFailure:
        return RemoteFailure(
            f"'{self._url}' can only be read: it is files, and nobody is there to take commits in",
            hint="push to where 'dbx serve' runs, over ssh, or to an object store",
        )
