"""What stands where, and how two standings of one aggregate differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dbx.crypto.treediff import Subtree

Status = Literal["added", "removed", "ahead", "behind", "diverged"]
"""How B stands to A: it alone has the aggregate, lacks it, goes on where A ends, ends before, or contradicts it."""

STATUSES: tuple[Status, ...] = ("added", "removed", "ahead", "behind", "diverged")


class Standing(NamedTuple):
    """An aggregate as it stands somewhere: version (from 1) and root (raw).

    `edge` is the right edge of its tree, None where only the root is known; `row` is its row in the index of the domain
    it was read from, with the version that the index has.
    """

    type: str
    id: str
    version: int
    root: bytes
    edge: tuple[bytes, ...] | None = None
    row: int | None = None


class Difference(NamedTuple):
    """An aggregate that stands differently in A and B.

    `common` is how many versions both begin with alike; None where roots alone do not tell. `certain` is False where
    not even the status is proven: a root file holds a longer history than what it is compared with, and whether that is
    its beginning cannot be told from its root.
    """

    type: str
    id: str
    status: Status
    a: Standing | None
    b: Standing | None
    common: int | None
    certain: bool = True

    @property
    def parts_at(self) -> int | None:
        """The first version in which the two differ, of diverged histories; None where it cannot be told."""
        return self.common + 1 if self.status == "diverged" and self.common is not None else None

    @property
    def parts_by(self) -> int | None:
        """The last version at which diverged histories may have parted: `parts_at` where that is known."""
        if self.status != "diverged" or self.a is None or self.b is None:
            return None
        return self.parts_at or min(self.a.version, self.b.version)


class LeafSource(Protocol):
    """Where the leaves of aggregates' trees can be had."""

    def leaves(self, wanted: Iterable[tuple[Standing, int, int]]) -> list[list[bytes]]:
        """The leaf hashes of events first+1 .. last (versions) of each (aggregate, first, last)."""


class Side(LeafSource, Protocol):
    """One side of a comparison, whole as long as the comparison lasts. What is written for both may be compared."""

    @property
    def has_trees(self) -> bool:
        """Whether `leaves` can be asked: a root file has none."""

    def view(self) -> Subtree | None:
        """Its index tree, None for the empty one."""

    def standings(self, keys: Sequence[bytes]) -> Mapping[bytes, Standing]:
        """The aggregates of these keys, as far as there are any."""


class Common(NamedTuple):
    """The last commit that two domains share: its id (raw) and seq."""

    id: bytes
    seq: int


class Touched(NamedTuple):
    """Which versions (first and last) of an aggregate a run of commits brought."""

    first: int
    last: int
