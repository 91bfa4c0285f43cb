"""How the work of a check is shared out, so that its processes end at about the same time.

The first process reads the first blocks and folds nothing; it also joins what all of them found, and follows the index
root from commit to commit. The other ones read, and fold: the second also folds what the first one read.
"""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbx.repo.check.part import Job

# As parts of the work on one event: reading its block, and folding it.
_FOLDING = 0.4
_JOINING = 0.3
_LEAF = 0.35
"""What an aggregate costs for each commit with events of it, whatever the size of the index tree,"""
_LEVEL = 0.1
"""and for each level of the tree that it has above it, and no other aggregate of that commit."""
_LEAST = 1 / 32
"""So much the first process takes at least, to be busy until others have found something."""
_EVENTS_EACH = 20


class Amount(NamedTuple):
    """How much there is to be checked; `aggregates` is -1 where that is not known. A guess will do."""

    events: int
    commits: int
    aggregates: int = -1

    @property
    def following(self) -> float:
        """What following the index root costs for each event, as a part of the work on one event."""
        if self.events < 1 or self.commits < 1:
            return 0.0
        size = self.events / self.commits
        aggregates = max(1, self.events / _EVENTS_EACH if self.aggregates < 0 else self.aggregates)
        touched = min(size, aggregates)
        return touched / size * (_LEAF + _LEVEL * log2(aggregates / touched))


def share(jobs: Sequence[Job], sizes: Sequence[int], amount: Amount, processes: int) -> list[Sequence[Job]]:
    """Neighbouring jobs together, by their `sizes`: a run for each of at least two processes."""
    total = sum(sizes)
    beside = _JOINING + amount.following
    own = max(_LEAST, ((1 + beside) / processes - beside) / (1 - _FOLDING))
    others = (1 - own * (1 - _FOLDING)) / (processes - 1)
    shares = [own, others - own * _FOLDING, *[others] * (processes - 2)]
    runs: list[Sequence[Job]] = []
    start = 0
    have = 0.0
    limit = total * shares[0]
    for n, size in enumerate(sizes):
        if have >= limit and len(runs) < processes - 1:
            runs.append(jobs[start:n])
            start = n
            limit += total * shares[len(runs)]
        have += size
    return [*runs, jobs[start:]]
