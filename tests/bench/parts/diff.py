"""diff of two domains in which ten aggregates differ, small and large

A domain and its fork, of which both went on: of the ten aggregates, five are ahead and five have diverged.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import workload
from tests.bench.figures import Figure, median, slower
from tests.bench.harness import Failed, in_turn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.harness import Bench

_EACH = 10
"""Events of every aggregate."""
_DIFFERING = 10
_MOST = 3


def measure(bench: Bench) -> Iterator[Figure]:
    """Two domains, two root files, and two commits of one domain, by the command line."""
    sizes = ((2_000, 1), (20_000, 1)) if bench.quick else ((10_000, 1), (1_000_000, 5))
    where = [_forked(bench, count, files) for count, files in sizes]
    rounds = 3 if bench.quick else 7
    commands = {
        "two domains": ("diff", "default", "fork"),
        "two commits": ("diff", "HEAD~1", "HEAD"),
        "two root files": ("diff", "default.roots", "fork.roots"),
    }
    runs = {
        f"{name} {n}": (lambda arguments=arguments, path=path: bench.dbx(*arguments, cwd=path).seconds)
        for name, arguments in commands.items()
        for n, path in enumerate(where)
    }
    took = in_turn(rounds, runs)
    small, big = (f"{count:,} events" for count, _ in sizes)
    for name in commands:
        most = None if name == "two root files" else _MOST  # a root file is read and verified whole
        yield Figure(f"{name}, {small}", median(took[f"{name} 0"]), "s")
        yield slower(f"{name}, {big}", took[f"{name} 1"], took[f"{name} 0"], beside=small, most=most)


def _forked(bench: Bench, count: int, files: int) -> str:
    def make() -> str:
        where = bench.repository(count, count // _EACH, files)
        bench.dbx("checkout", "fork", "--create", "--from", "default", cwd=where)
        both, one = range(_DIFFERING // 2), range(_DIFFERING // 2, _DIFFERING)
        _append(bench, where, "fork", [*both, *one])
        _append(bench, where, "default", list(both))
        for name in ("default", "fork"):
            bench.dbx("root", "export", f"{name}.roots", name, cwd=where)
        _check(bench, where)
        return where

    return bench.once(("forked", count), make)  # type: ignore[no-any-return]


def _append(bench: Bench, where: str, domain: str, numbers: list[int]) -> None:
    path = Path(where) / "more.jsonl"
    step = 19  # of 200 aggregates and of 100,000
    lines = [
        json.dumps(
            {
                "aggregate_type": "order",
                "aggregate_id": workload.name_of(number * step),
                "event_type": "parcel_scanned",
                "payload": {"domain": domain},
            }
        )
        for number in numbers
    ]
    path.write_text("\n".join(lines) + "\n")
    bench.dbx("-d", domain, "aggregate", "apply", "--stage", "--from", str(path), cwd=where)
    bench.dbx("-d", domain, "commit", cwd=where)


def _check(bench: Bench, where: str) -> None:
    found = json.loads(bench.dbx("diff", "default", "fork", "--json", cwd=where).out)["summary"]
    if (found["aggregates"], found["diverged"], found["ahead"]) != (_DIFFERING, _DIFFERING // 2, _DIFFERING // 2):
        raise Failed(f"the two domains differ in {found}")
