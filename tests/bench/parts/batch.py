"""a large import, as whole processes: staging, committing, memory and space

The reference is store.py: one sqlite3 table, one transaction, a hash chain over canonical JSON, the same lines. bare.py
does the least: parse, encode, hash, compress, write.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.figures import Figure, faster, median, slower
from tests.bench.harness import HERE, Failed, in_turn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.harness import Bench

_TRUTH = ("segments", "manifests", "refs")
_PEAK_MB = 250
_SPACE = 45


def measure(bench: Bench) -> Iterator[Figure]:
    """Stage, commit, both, memory, space."""
    count, aggregates, rounds = (10_000, 1_000, 3) if bench.quick else (200_000, 20_000, 5)
    (path,) = bench.lines(count, aggregates)
    size = os.path.getsize(path)
    stage = ("aggregate", "apply", "--stage", "--from", path)
    repositories: list[str] = []

    def staged() -> float:
        repositories.append(bench.fresh_repository(f"batch-{len(repositories)}"))
        return bench.dbx(*stage, cwd=repositories[-1]).seconds

    def store() -> float:
        database = bench.path(f"store-{len(repositories)}.db")
        return bench.run(bench.python, str(HERE / "store.py"), "import", database, path).seconds

    def bare() -> float:
        return bench.run(bench.python, str(HERE / "bare.py"), path, bench.path("bare.out")).seconds

    took = in_turn(
        rounds,
        {
            "stage": staged,
            "commit": lambda: bench.dbx("commit", cwd=repositories[-1]).seconds,
            "store": store,
            "bare": bare,
        },
    )
    both = [a + b for a, b in zip(took["stage"], took["commit"], strict=True)]
    yield Figure("input", size / 1e6, "MB", says=f"{count} events over {aggregates} aggregates")
    yield faster("stage", took["stage"], took["store"], beside="sqlite3")
    yield faster("commit", took["commit"], took["store"], beside="sqlite3", least=2)
    yield faster("stage + commit", both, took["store"], beside="sqlite3", least=1)
    yield faster("stage + commit", both, took["bare"], beside="bare loop")
    yield Figure("stage + commit", count / median(both), "events/s", count / median(took["store"]), "sqlite3")

    last = bench.fresh_repository("batch-memory")
    for name, command in (("stage", stage), ("commit", ("commit",))):
        peak = bench.peak_mb(bench.dbx_path, *command, cwd=last)
        yield Figure(f"peak memory of {name}", peak, "MB", goal=f"under {_PEAK_MB} MB", met=peak < _PEAK_MB)

    domain = Path(last, ".dbx", "domains", "default")
    if not (domain / "segments").is_dir():
        raise Failed(f"no segments in '{domain}'")
    took_bytes = sum(_size(domain / name) for name in _TRUTH) + sum(_size(p) for p in domain.glob("journal-*"))
    space = 100 * took_bytes / size
    yield Figure(
        "segments, manifests, refs", space, "%", says="of the JSONL", goal=f"at most {_SPACE} %", met=space <= _SPACE
    )
    yield Figure("index.db (derived)", 100 * sum(_size(p) for p in domain.glob("index.db*")) / size, "%")
    yield Figure("sqlite3's database", 100 * _size(Path(bench.path("store-1.db"))) / size, "%")

    yield slower(
        "stage, every aggregate is known", [bench.dbx(*stage, cwd=last).seconds], took["stage"][-1:], beside="new"
    )
    yield slower(
        "commit, every aggregate is known", [bench.dbx("commit", cwd=last).seconds], took["commit"][-1:], beside="new"
    )
    bench.dbx("fsck", cwd=last)  # what is not whole was not measured


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
