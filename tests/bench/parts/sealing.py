"""a large import into a workspace that seals, beside one that does not

Whole processes: staging, committing, then a fsck that opens every body. What is compared is processor time, round by
round in turn: the disk has the same to do.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from tests.bench.figures import Figure, faster
from tests.bench.harness import in_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.bench.harness import Bench

_DEK = b64encode(bytes(range(32))).decode()


def measure(bench: Bench) -> Iterator[Figure]:
    """Stage, commit, both, fsck."""
    count, aggregates, rounds = (10_000, 1_000, 3) if bench.quick else (200_000, 20_000, 5)
    (path,) = bench.lines(count, aggregates)
    commands = {
        "stage": ("aggregate", "apply", "--stage", "--from", path),
        "commit": ("commit",),
        "fsck": ("fsck", "--jobs", "1"),
    }
    repositories: dict[str, str] = {}
    made = 0

    def fresh(kind: str) -> float:
        nonlocal made
        made += 1
        where = repositories[kind] = bench.fresh_repository(f"{kind}-{made}")
        if kind == "sealed":
            bench.dbx("config", "--dek", _DEK, cwd=where)
        return bench.dbx(*commands["stage"], cwd=where).cpu_seconds

    def runs(kind: str) -> dict[str, Callable[[], float]]:
        return {
            f"{kind} stage": lambda: fresh(kind),
            f"{kind} commit": lambda: bench.dbx(*commands["commit"], cwd=repositories[kind]).cpu_seconds,
            f"{kind} fsck": lambda: bench.dbx(*commands["fsck"], cwd=repositories[kind]).cpu_seconds,
        }

    took = in_turn(rounds, {**runs("plain"), **runs("sealed")})
    both = {
        kind: [a + b for a, b in zip(took[f"{kind} stage"], took[f"{kind} commit"], strict=True)]
        for kind in ("plain", "sealed")
    }
    for name in commands:
        yield faster(name, took[f"sealed {name}"], took[f"plain {name}"], beside="plain")
    yield faster("stage + commit", both["sealed"], both["plain"], beside="plain", least=0.85)
