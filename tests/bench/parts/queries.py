"""lists: a filter over all states, and the aggregates that were updated last

The reference for the filter is the least that any filter over these states has to do: read each text from SQLite and
parse it with the C decoder of json, in the same process, in turn.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.figures import Figure, median, slower
from tests.bench.harness import in_turn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.harness import Bench

_GOAL = 150_000
_FILTERS = {
    "number": "total_cents > 100000000000",
    "text and number": "currency = XYZ AND quantity > 3",
    "LIKE": "sku LIKE '%nothing%'",
    "metadata": "@actor = nobody",
    "columns": "version > 100000",
}


def measure(bench: Bench) -> Iterator[Figure]:
    """Filter scans, and pages by update time in a small and in a large domain."""
    sizes = (2_000, 20_000) if bench.quick else (10_000, 100_000)
    repositories = []
    for aggregates in sizes:
        (lines,) = bench.lines(aggregates * 2, aggregates)
        repository = bench.fresh_repository(f"queries-{aggregates}")
        bench.dbx("aggregate", "apply", "--stage", "--from", lines, cwd=repository)
        bench.dbx("commit", cwd=repository)
        repositories.append(repository)
    took = bench.worker(__name__, repositories[-1], "3" if bench.quick else "7")
    least = took.pop("least")
    for name, seconds in took.items():
        rate = sizes[-1] / median(seconds)
        met = rate >= _GOAL
        beside = sizes[-1] / median(least)
        yield Figure(
            f"filter scan, {name}", rate, "states/s", beside, "read and parse", goal=f"at least {_GOAL}", met=met
        )
    page = ("aggregate", "list", "--sort", "updated_at:desc", "--take", "20")
    times = in_turn(
        5 if bench.quick else 15,
        {
            "small": lambda: bench.dbx(*page, cwd=repositories[0]).seconds,
            "large": lambda: bench.dbx(*page, cwd=repositories[1]).seconds,
        },
    )
    yield slower("list --sort updated_at --take 20", times["large"], times["small"], beside="a tenth of the size")


def _scan(repository: str, rounds: int) -> dict[str, list[float]]:
    """Processor seconds of each filter, and of reading and parsing the same states."""
    from dbx.model.filter import parse_aggregate_filter
    from dbx.repo.reading.scan import Scan, iterate
    from dbx.repo.repository import Repository

    domain = Repository(str(Path(repository) / ".dbx"), clock=lambda: time.time_ns() // 1000).domain()
    scans = {name: Scan(filter=parse_aggregate_filter(text)) for name, text in _FILTERS.items()}
    (index,) = Path(repository).glob(".dbx/domains/*/index.db")
    took: dict[str, list[float]] = {name: [] for name in (*scans, "least")}
    for _ in range(rounds):
        for name, scan in scans.items():
            start = time.process_time()
            if list(iterate(domain, scan)):
                sys.exit(f"'{scan.filter}' was to take nothing")
            took[name].append(time.process_time() - start)
        start = time.process_time()
        database = sqlite3.connect(index)
        for (state,) in database.execute("SELECT state FROM aggregate ORDER BY type, id"):
            json.loads(state)
        database.close()
        took["least"].append(time.process_time() - start)
    return took


if __name__ == "__main__":
    print(json.dumps(_scan(sys.argv[1], int(sys.argv[2]))))
