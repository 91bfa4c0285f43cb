"""What every kind of remote can do, and how one is opened: a kind is a file here, found by the scheme of its address.

A transport only carries. It answers where the other side stands, which ids its commits have, and hands over or takes in
a bundle (dbx-protocol(5)); what came lies in quarantine and is believed by nobody. All meaning is in repo: a transport
raises RemoteFailure where it cannot reach or understand the other side, and hands on what that side refused.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, Protocol

from dbx.errors import RemoteFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from dbx.crypto.vault import Vault
    from dbx.formats.bundle import Point
    from dbx.formats.envelope import Actor
    from dbx.model.address import Address
    from dbx.model.time import Clock
    from dbx.repo.replica.histories import Root, Wanted
    from dbx.repo.replica.offer import Description, Offer
    from dbx.repo.replica.quarantine import Arrived, Directory

KINDS = {
    "path": "dbx.remotes.path",
    "http": "dbx.remotes.http",
    "https": "dbx.remotes.http",
    "ssh": "dbx.remotes.ssh",
    "static+http": "dbx.remotes.static",
    "static+https": "dbx.remotes.static",
    "s3": "dbx.remotes.objectstore",
}
"""Scheme -> the module that has `connect(address, domain, means) -> Transport`. A further transport is a line here."""

NO_DOMAIN = "name one that is there with '--remote-domain' or behind '#', or make it there"
"""The hint where the other side has no domain of that name."""

TIMEOUT_S = 30.0
DEADLINE_S = 3600.0


class Means(NamedTuple):
    """What a transport may use. `find_token` gives the token for the address, or None; `ask_token` asks elsewhere for
    one, once the other side wants it. `safe` are directories of others that are trusted; `name` is our domain's, which
    the other side's is taken to have where nobody says. `timeout_s` is how long the other side may say nothing,
    `deadline_s` how long everything may take. `vault` seals what comes, `data_keys` are the ids of our data keys, and
    `find_dek` gives the DEK of the environment."""

    clock: Clock
    actor: Actor
    name: str
    find_token: Callable[[], str | None]
    ask_token: Callable[[], str | None]
    safe: Sequence[str] = ()
    wait_s: float = 10.0
    timeout_s: float = TIMEOUT_S
    deadline_s: float = DEADLINE_S
    vault: Vault | None = None
    data_keys: frozenset[bytes] = frozenset()
    find_dek: Callable[[], bytes | None] = lambda: None


class Transport(Protocol):
    """An open connection to one domain of another repository. Close it."""

    def describe(self) -> Description:
        """Where the other side stands. One small request."""

    def check(self) -> None:
        """Try what it must be able to do, beyond answering, for a push to be safe. Raises RemoteFailure where not."""

    def commit_ids(self, seqs: Sequence[int]) -> list[str | None]:
        """The ids of its commits by their seqs; None for those it has not. At most MAX_SEQS."""

    def fetch(self, directory: Directory, base: Point, schemas: str | None) -> Arrived:
        """Bring the commits behind `base`, and the schemas behind the version `schemas`, into a quarantine."""

    def data_keys(self) -> frozenset[bytes]:
        """The ids of the data keys that the other side has as well; none where that is not known."""

    def send(self, offer: Offer) -> None:
        """Hand a bundle over; on return the other side has checked it, and has moved its ref, durably."""

    def roots(self, aggregate_type: str | None, aggregate_id: str | None) -> list[Root]:
        """The aggregates of a type, or one, or all of them, with versions and roots."""

    def prefix_roots(self, wanted: Sequence[Wanted]) -> list[str | None]:
        """The roots that aggregates had at versions; None where they never were."""

    def histories(self, wanted: Sequence[Wanted]) -> AbstractContextManager[Iterator[bytes]]:
        """The events of aggregates behind versions, as lines (repo.histories)."""

    def send_histories(self, lines: Iterable[bytes]) -> int:
        """Hand such lines over; how many events the other side committed, durably."""

    def close(self) -> None:
        """Close it."""


MAX_SEQS = 64


def connect(address: Address, domain: str | None, means: Means) -> Transport:
    """A transport to an address. Raises RemoteFailure for what cannot be reached by this dbx."""
    module = KINDS.get(address.scheme)
    if module is None:
        raise RemoteFailure(
            f"this dbx cannot reach '{address.text}': it knows no '{address.scheme}' transport",
            hint="write a path, or a URL that begins with http://, https:// or ssh://",
        )
    opened: Transport = import_module(module).connect(address, domain or address.domain, means)
    return opened
