"""single durable appends through one open Domain

The reference is sqlite3 in WAL mode with synchronous=FULL, inserting the same events one transaction each, on the same
disk, in the same process, window by window in turn. What no store can beat stands beside them: 1,000 bytes written into
a file that is large enough, and one fdatasync.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.figures import Figure, faster, median, slower
from tests.bench.harness import CHECKOUT, in_turn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.bench.harness import Bench

_THREADS = 8
_TRACED = 400
_FLOOR_BYTES = 1000


def measure(bench: Bench) -> Iterator[Figure]:
    """One thread, eight threads, and how often the disk was told to sync."""
    windows, size = (4, 80) if bench.quick else (15, 240)
    took = bench.worker(__name__, "time", bench.path("append"), str(windows), str(size))
    one, many, theirs, floor = ([each / size for each in took[name]] for name in ("one", "many", "sqlite3", "floor"))
    yield faster("append, one thread", one, theirs, beside="sqlite3", least=1.2)
    yield faster(f"append, {_THREADS} threads", many, theirs, beside="sqlite3")
    yield slower("append, one thread", one, floor, beside="write and fdatasync")
    cpu, their_cpu = ([each / size for each in took[name]] for name in ("one cpu", "sqlite3 cpu"))
    yield slower("append, processor time", cpu, their_cpu, beside="sqlite3")
    yield Figure("append, one thread", 1 / median(one), "events/s", 1 / median(theirs), "sqlite3")
    yield Figure(f"append, {_THREADS} threads", 1 / median(many), "events/s", 1 / median(one), "one thread")
    strace = shutil.which("strace")
    if strace is None:
        bench.say("strace is not installed: syncs are not counted")
        return
    few, more = (_syncs(bench, strace, count) for count in (1, 1 + _TRACED))
    each = (more - few) / _TRACED
    yield Figure("fsync and fdatasync per append", each, "", goal="1 (at most 1.02)", met=each <= 1.02)


def _syncs(bench: Bench, strace: str, count: int) -> int:
    out = bench.path(f"strace-{count}")
    command = (bench.python, "-m", __name__, "append", bench.path(f"traced-{count}"), str(count))
    bench.run(strace, "-f", "-c", "-o", out, "-e", "trace=fsync,fdatasync", *command, cwd=str(CHECKOUT))
    rows = re.findall(
        r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s.*\b(?:fsync|fdatasync)$", Path(out).read_text(), re.MULTILINE
    )
    return sum(map(int, rows))


def _append_all(domain: Any, events: Sequence[dict[str, Any]]) -> None:
    for event in events:
        domain.append(
            event["aggregate_type"],
            event["aggregate_id"],
            event["event_type"],
            event["payload"],
            metadata=event["metadata"],
        )


def _append_grouped(domain: Any, events: Sequence[dict[str, Any]]) -> None:
    share = len(events) // _THREADS
    threads = [
        threading.Thread(target=_append_all, args=(domain, events[n * share : (n + 1) * share]))
        for n in range(_THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _time(root: str, windows: int, size: int) -> dict[str, list[float]]:
    import dbx
    from tests.bench import store, workload

    repository = dbx.init(root)
    domain = repository.domain()
    database = store.connect(root + ".db")
    chain = store.Chain()
    total = (windows + 1) * size
    mine, grouped, theirs, idle = (iter(workload.events(total, 1000)) for _ in range(4))

    busy: dict[str, list[float]] = {}

    def window(work: Any, source: Iterator[dict[str, Any]], name: str = "") -> float:
        events = [next(source) for _ in range(size)]
        start, cpu = time.perf_counter(), time.process_time()
        work(events)
        busy.setdefault(name, []).append(time.process_time() - cpu)
        return time.perf_counter() - start

    def insert(events: Sequence[dict[str, Any]]) -> None:
        for event in events:
            store.append(database, chain.row(event))

    floor = os.open(root + ".floor", os.O_RDWR | os.O_CREAT)
    os.pwrite(floor, bytes(total * _FLOOR_BYTES), 0)
    os.fsync(floor)
    offsets = iter(range(0, total * _FLOOR_BYTES, _FLOOR_BYTES))

    def sync(events: Sequence[dict[str, Any]]) -> None:
        for _ in events:
            os.pwrite(floor, b"x" * _FLOOR_BYTES, next(offsets))
            os.fdatasync(floor)

    runs = {
        "floor": lambda: window(sync, idle),
        "one": lambda: window(lambda events: _append_all(domain, events), mine, "one cpu"),
        "sqlite3": lambda: window(insert, theirs, "sqlite3 cpu"),
        "many": lambda: window(lambda events: _append_grouped(domain, events), grouped),
    }
    in_turn(1, runs)
    took = in_turn(windows, runs)
    database.close()
    os.close(floor)
    repository.close()
    repository = dbx.open(root)
    stored = sum(1 for _ in repository.domain().events())
    repository.close()
    if stored != 2 * total:
        raise SystemExit(f"{2 * total} events were appended, {stored} are there")
    return {**took, "one cpu": busy["one cpu"][1:], "sqlite3 cpu": busy["sqlite3 cpu"][1:]}


def _append(root: str, count: int) -> None:
    import dbx
    from tests.bench import workload

    repository = dbx.init(root)
    _append_all(repository.domain(), list(workload.events(count, 1000)))
    repository.close()


if __name__ == "__main__":
    if sys.argv[1] == "time":
        print(json.dumps(_time(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
    else:
        _append(sys.argv[2], int(sys.argv[3]))
        print("null")
