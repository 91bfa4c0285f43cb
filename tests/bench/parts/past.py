"""looking back: log, status and get --at as commands, in a small domain and in a large one

The reference is the same command in the small domain, or a plain get. Both domains hold one event a commit.
Processor seconds: what grows with a domain shows there, and the disk's moods do not.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import TYPE_CHECKING

from tests.bench import workload
from tests.bench.figures import Figure, slower
from tests.bench.harness import in_turn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.harness import Bench

_EVENTS = 20
_SMALL = 200
_SAME = 1.5
_AT = 5


def measure(bench: Bench) -> Iterator[Figure]:
    """The newest commits, those about an aggregate, those of a time, status, and an aggregate as it was."""
    count = 2_000 if bench.quick else 40_000
    small, large = _domain(bench, _SMALL), _domain(bench, count)
    order = workload.name_of(0)
    commands = {
        "log -n 20": ("log", "-n", "20"),
        "log -n 20 --stat": ("log", "-n", "20", "--stat"),
        "log --aggregate": ("log", "--aggregate", f"order/{order}"),
        "log --since 0": ("log", "--since", "0"),
        "status": ("status",),
        "get": ("aggregate", "get", "order", order),
        "get --at": ("aggregate", "get", "order", order, "--at", "HEAD~20"),
    }
    runs = {}
    for name, arguments in commands.items():
        for size, where in (("small", small), ("large", large)):
            runs[f"{name} {size}"] = partial(_cpu, bench, arguments, where)
    in_turn(1, runs)
    took = in_turn(3 if bench.quick else 9, runs)
    for name in commands:
        mine, theirs = took[f"{name} large"], took[f"{name} small"]
        yield slower(f"{name}, {count:,} commits", mine, theirs, beside=f"{_SMALL} commits", most=_SAME)
    yield slower(f"get --at, {count:,} commits", took["get --at large"], took["get large"], beside="get", most=_AT)


def _cpu(bench: Bench, arguments: tuple[str, ...], where: str) -> float:
    return bench.dbx(*arguments, cwd=where).cpu_seconds


def _domain(bench: Bench, count: int) -> str:
    def make() -> str:
        where = bench.fresh_repository(f"commits-{count}")
        bench.worker(__name__, where, str(count))
        bench.dbx("gc", cwd=where)
        return where

    return bench.once(("commits", count), make)  # type: ignore[no-any-return]


def _fill(where: str, count: int) -> None:
    """One commit for each event; every aggregate gets 20, spread over the whole history."""
    import dbx

    with dbx.open(where) as repository:
        domain = repository.domain()
        for event in workload.events(count, count // _EVENTS):
            domain.append(
                event["aggregate_type"],
                event["aggregate_id"],
                event["event_type"],
                event["payload"],
                metadata=event["metadata"],
                create=True,
            )


if __name__ == "__main__":
    _fill(sys.argv[1], int(sys.argv[2]))
    print(json.dumps(None))
