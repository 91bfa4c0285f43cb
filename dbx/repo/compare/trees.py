"""The first version at which two histories part, for many aggregates at once.

Two trees are compared by the roots of their perfect subtrees, of which the right edges are known already: what is equal
there is never read. What has to be read is read for all aggregates in the order of the log, because one block holds
events of many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from dbx.crypto.prefix import MissingLeaves, PartialTree, common_size, start_of_run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dbx.repo.compare.values import LeafSource, Standing

T = TypeVar("T")


class Reading:
    """The trees of one side, and where their leaves come from."""

    def __init__(self, source: LeafSource) -> None:
        self._source = source

    def tree(self, standing: Standing, limit: int) -> PartialTree:
        """The tree of an aggregate; `limit` is how far it will be asked, in leaves."""
        return PartialTree((self, standing, limit), standing.version, standing.edge or ())

    def read(self, missing: Sequence[MissingLeaves]) -> None:
        """Read what these trees were found to lack."""
        wanted = []
        for one in missing:
            _, standing, limit = _owner(one.tree)
            wanted.append((standing, start_of_run(one.first, limit), limit))
        for one, (_, first, _), leaves in zip(missing, wanted, self._source.leaves(wanted), strict=True):
            one.tree.give(first, leaves)


def work_out(tasks: Sequence[Callable[[], T]]) -> list[T]:
    """The results of tasks about trees of Readings. A task is called again once what it lacked has been read."""
    results: dict[int, T] = {}
    waiting = list(range(len(tasks)))
    while waiting:
        missing: dict[Reading, list[MissingLeaves]] = {}
        still = []
        for n in waiting:
            try:
                results[n] = tasks[n]()
            except MissingLeaves as lack:
                missing.setdefault(_owner(lack.tree)[0], []).append(lack)
                still.append(n)
        for reading, lacking in missing.items():
            reading.read(lacking)
        waiting = still
    return [results[n] for n in range(len(tasks))]


def common_task(a: PartialTree, b: PartialTree) -> Callable[[], int]:
    """A task: how many versions two aggregates begin with alike."""
    size = min(a.size, b.size)
    return lambda: common_size(a, b, size)


def root_task(tree: PartialTree, size: int) -> Callable[[], bytes]:
    """A task: the root that an aggregate had at an older version."""
    return lambda: tree.root(size)


def edge_task(tree: PartialTree, size: int) -> Callable[[], tuple[bytes, ...]]:
    """A task: the right edge that an aggregate's tree had at an older version."""
    return lambda: tuple(tree.edge(size))


def _owner(tree: PartialTree) -> tuple[Reading, Standing, int]:
    owner: tuple[Reading, Standing, int] = tree.name  # type: ignore[assignment]  # Reading.tree is who made it
    return owner
