"""re-hashing and re-folding everything

The reference is store.py over the same events: follow its hash chain, parse, fold every state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.commits import with_small_commits
from tests.bench.figures import Figure, faster, median, slower
from tests.bench.harness import HERE, cores, in_turn
from tests.bench.sizes import large

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.harness import Bench

_GOAL = 170_000
_MOST = 2.5


def measure(bench: Bench) -> Iterator[Figure]:
    """fsck on two cores and on one: of the batch that `batch` imports, of small commits, and of the large domain."""
    count = 20_000 if bench.quick else 200_000
    yield from _measure(bench, count, count // 10, 1)
    yield _compare(bench, count)
    if not bench.quick:
        count, files = large(bench)
        yield from _measure(bench, count, count // 20, files)


def _measure(bench: Bench, count: int, aggregates: int, files: int) -> Iterator[Figure]:
    where = bench.repository(count, aggregates, files)
    database = bench.path(f"fsck-{count}.db")
    store = (bench.python, str(HERE / "store.py"))
    bench.run(*store, "import", database, *bench.lines(count, aggregates, files))
    busy: list[float] = []

    def on(number: int) -> float:
        with cores(number):
            run = bench.dbx("fsck", cwd=where)
        if number == 1:
            busy.append(run.cpu_seconds)
        return run.seconds

    runs = {
        "two cores": lambda: on(2),
        "one core": lambda: on(1),
        "sqlite3": lambda: bench.run(*store, "verify", database).seconds,
    }
    took = in_turn(3, runs)
    theirs = took.pop("sqlite3")
    for cpus, mine in took.items():
        name = f"fsck, {count:,} events, {cpus}"
        yield faster(name, mine, theirs, beside="sqlite3")
        rate = count / median(mine)
        goal, met = (f"at least {_GOAL:,}", rate >= _GOAL) if cpus == "two cores" else ("", None)
        yield Figure(name, rate, "events/s", count / median(theirs), "sqlite3", goal=goal, met=met)
    yield Figure(f"fsck, {count:,} events, processor time", median(busy) / count, "s")


def _compare(bench: Bench, count: int) -> Figure:
    """A commit for each 100 events, whose index roots are all followed, beside the same events in one commit."""
    many, one = with_small_commits(bench, count), bench.repository(count, count // 20)
    with cores(2):
        took = in_turn(
            3,
            {
                "many": lambda: bench.dbx("fsck", cwd=many).seconds,
                "one": lambda: bench.dbx("fsck", cwd=one).seconds,
            },
        )
    name = f"fsck, {count // 100:,} commits, two cores"
    return slower(name, took["many"], took["one"], beside="1 commit", most=_MOST)
