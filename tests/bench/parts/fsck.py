"""re-hashing and re-folding everything

The reference is store.py over the same events: follow its hash chain, parse, fold every state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.figures import Figure, faster, median
from tests.bench.harness import HERE, cores, in_turn
from tests.bench.sizes import large

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.harness import Bench

_GOAL = 170_000


def measure(bench: Bench) -> Iterator[Figure]:
    """fsck on two cores and on one."""
    count, files = large(bench)
    where = bench.repository(count, count // 20, files)
    database = bench.path("fsck.db")
    store = (bench.python, str(HERE / "store.py"))
    bench.run(*store, "import", database, *bench.lines(count, count // 20, files))

    def on(number: int) -> float:
        with cores(number):
            return bench.dbx("fsck", cwd=where).seconds

    runs = {
        "two cores": lambda: on(2),
        "one core": lambda: on(1),
        "sqlite3": lambda: bench.run(*store, "verify", database).seconds,
    }
    took = in_turn(3, runs)
    theirs = took.pop("sqlite3")
    for name, mine in took.items():
        yield faster(f"fsck, {name}", mine, theirs, beside="sqlite3")
        rate = count / median(mine)
        goal, met = (f"at least {_GOAL:,}", rate >= _GOAL) if name == "two cores" else ("", None)
        yield Figure(f"fsck, {name}", rate, "events/s", count / median(theirs), "sqlite3", goal=goal, met=met)
