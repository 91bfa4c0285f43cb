"""one aggregate of 20 events by the library, in a small and in a large domain

The reference is json.loads of its 20 events, line by line, as they were imported.
"""

from __future__ import annotations

import json
import random
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

from tests.bench import workload
from tests.bench.figures import Figure, slower
from tests.bench.harness import in_turn
from tests.bench.sizes import large

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import dbx
    from tests.bench.harness import Bench

_EVENTS = 20
_SMALL = 1_000
_SAMPLE = 50
_SAME = 1.5


def measure(bench: Bench) -> Iterator[Figure]:
    """Get, get at an older version, and the first get of a process."""
    count, files = large(bench)
    small = bench.repository(_SMALL, _SMALL // _EVENTS)
    big = bench.repository(count, count // _EVENTS, files)
    rounds = 5 if bench.quick else 20
    took = bench.worker(__name__, str(rounds), small, str(_SMALL), big, str(count))
    names = (f"{_SMALL:,} events", f"{count:,} events")
    for n, name in enumerate(names):
        yield slower(f"get, {name}", took[f"get {n}"], took[f"loads {n}"], beside="json.loads", most=50)
    yield slower(f"get, {names[1]}", took["get 1"], took["get 0"], beside=names[0], most=_SAME)
    for n, name in enumerate(names):
        yield slower(f"get version 10, {name}", took[f"older {n}"], took[f"loads {n}"], beside="json.loads")
        yield Figure(f"open and first get, {name}", took["first"][n], "s")


def _time(rounds: int, domains: Sequence[tuple[str, int]]) -> dict[str, list[float]]:
    import dbx

    runs: dict[str, Callable[[], float]] = {}
    first: list[float] = []
    opened: list[dbx.Repository] = []
    for n, (path, count) in enumerate(domains):
        chosen = random.Random(7).sample(range(count // _EVENTS), min(_SAMPLE, count // _EVENTS))
        ids = [workload.name_of(number) for number in chosen]
        start = time.perf_counter()
        repository = dbx.open(path)
        domain = repository.domain()
        domain.get("order", ids[0])
        first.append(time.perf_counter() - start)
        opened.append(repository)
        lines = {name: _lines(domain, name) for name in ids}
        runs[f"get {n}"] = partial(_each, ids, partial(domain.get, "order"))
        runs[f"loads {n}"] = partial(_each, ids, partial(_parse, lines))
        runs[f"older {n}"] = partial(_each, ids, partial(domain.get, "order", version=_EVENTS // 2))
    in_turn(1, runs)
    took = in_turn(rounds, runs)
    for repository in opened:
        repository.close()
    return {**took, "first": first}


def _each(ids: Sequence[str], work: Callable[[str], object]) -> float:
    """Seconds for one, as the mean over all of them."""
    start = time.perf_counter()
    for name in ids:
        work(name)
    return (time.perf_counter() - start) / len(ids)


def _parse(lines: dict[str, list[str]], name: str) -> object:
    return [json.loads(line) for line in lines[name]]


def _lines(domain: dbx.Domain, name: str) -> list[str]:
    """The events of an aggregate as they were imported."""
    events = list(domain.events("order", name))
    if len(events) != _EVENTS or domain.get("order", name).version != _EVENTS:
        raise SystemExit(f"order '{name}' has {len(events)} events, not {_EVENTS}")
    members = ("aggregate_type", "aggregate_id", "event_type", "payload", "metadata")
    return [json.dumps({name: getattr(event, name) for name in members}, ensure_ascii=False) for event in events]


if __name__ == "__main__":
    pairs = list(zip(sys.argv[2::2], map(int, sys.argv[3::2]), strict=True))
    print(json.dumps(_time(int(sys.argv[1]), pairs)))
