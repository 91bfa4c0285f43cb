"""Domains with a commit for each 100 events, which several parts share.

`python -m tests.bench.commits REPOSITORY EVENTS FIRST LAST` appends the commits of these events, of so many in all.
"""

from __future__ import annotations

import os
import sys
from itertools import islice
from typing import TYPE_CHECKING, Any

from tests.bench.harness import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.harness import Bench

_PER_COMMIT = 100
_SHARE = 200_000


def with_small_commits(bench: Bench, count: int) -> str:
    """A repository of that many events, in which every aggregate has 20."""

    def make() -> str:
        where = bench.path(f"small-commits-{count}")
        # In shares, because no single process of a bench may take minutes.
        for first in range(0, count, _SHARE):
            last = min(first + _SHARE, count)
            bench.run(bench.python, "-m", __name__, where, str(count), str(first), str(last), cwd=str(CHECKOUT))
        return where

    return bench.once(("small commits", count), make)  # type: ignore[no-any-return]


def commits(count: int, first: int, last: int) -> Iterator[list[dict[str, Any]]]:
    """The events of each commit, of events `first` to `last` of so many."""
    from tests.bench import workload

    source = workload.events(count, max(1, count // 20))
    every = (list(islice(source, _PER_COMMIT)) for _ in range(-(-count // _PER_COMMIT)))
    return islice(every, first // _PER_COMMIT, last // _PER_COMMIT)


def _build(where: str, count: int, first: int, last: int) -> None:
    import dbx

    if not first:
        os.mkdir(where)
        dbx.init(where).close()
    with dbx.open(where) as repository, repository.domain() as domain:
        for events in commits(count, first, last):
            with domain.batch() as batch:
                for event in events:
                    batch.append(
                        event["aggregate_type"],
                        event["aggregate_id"],
                        event["event_type"],
                        event["payload"],
                        metadata=event["metadata"],
                    )


if __name__ == "__main__":
    _build(sys.argv[1], *map(int, sys.argv[2:]))
