"""what plugins cost a commit, and how fast events come to them

The endpoint is a web server of a few lines in a process of its own, on loopback, that answers at once. What ten plugins
cost is measured with endpoints that accept connections and never answer, in turn with a domain that has no plugin.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.request import urlopen

from tests.bench import sizes
from tests.bench.figures import Figure, median, slower
from tests.bench.harness import CHECKOUT, Failed, in_turn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.bench.harness import Bench

_PLUGINS = 10
_MOST_SLOWER = 1.02
_LEAST_RATE = 2000.0
_MOST_LAG_S = 0.1
_PACE = 500
_MOST_BYTES_MORE = 4096
_MOST_START_S = 0.02
_WAIT_S = 60.0


class _Endpoint(NamedTuple):
    """A web server that answers at once, and remembers what it got."""

    port: int

    def seen(self) -> list[tuple[float, int]]:
        """(time.monotonic() when it came, the payload's `n` or -1) of every delivery, in order."""
        with urlopen(f"http://127.0.0.1:{self.port}/") as reply:
            return [(at, n) for at, n in json.load(reply)]

    def wait_for(self, count: int) -> list[tuple[float, int]]:
        """All that was delivered once it is that many."""
        end = time.monotonic() + _WAIT_S
        while len(found := self.seen()) < count:
            if time.monotonic() > end:
                raise Failed(f"{len(found)} of {count} deliveries came within {_WAIT_S:g} s")
            time.sleep(0.1)
        return found


def measure(bench: Bench) -> Iterator[Figure]:
    """What commits cost, deliveries a second, lag, and a long queue."""
    yield from _commits(bench)
    yield from _rate(bench)
    yield from _lag(bench)
    yield from _long_queue(bench)


# -- commits -----------------------------------------------------------------------------------------------------------


def _commits(bench: Bench) -> Iterator[Figure]:
    """The goal is for what a commit itself does; a runner at work shares the processors with it, as anything does."""
    windows, size = (8, 25) if bench.quick else (150, 40)
    for title, running, most in (("ten plugins that hang", "", _MOST_SLOWER), ("and their runner", "running", None)):
        where = {kind: bench.fresh_repository(f"{kind}-{running}") for kind in ("plain", "hung")}
        took = bench.worker(__name__, "commits", where["plain"], where["hung"], str(windows), str(size), running)
        yield slower(f"append, {title}, processor", took["hung cpu"], took["plain cpu"], beside="without", most=most)
        yield slower(f"append, {title}", took["hung"], took["plain"], beside="without")


def _time_commits(plain: str, hung: str, windows: int, size: int, running: str) -> dict[str, list[float]]:
    import dbx
    from tests.bench import workload

    with ExitStack() as stack:
        nobody = stack.enter_context(socket.create_server(("127.0.0.1", 0)))  # the system connects, nobody answers
        for n in range(_PLUGINS):
            _configure(hung, f"hook-{n}", nobody.getsockname()[1])
        busy: dict[str, list[float]] = {"plain": [], "hung": []}
        domains = {name: dbx.open(path).domain() for name, path in (("plain", plain), ("hung", hung))}
        sources = {name: workload.events((windows + 1) * size, 1000) for name in domains}

        runner = stack.enter_context(_runner(hung)) if running else None

        def window(name: str) -> float:
            if runner is not None:  # what it still has to do must not fall on the other's commits
                runner.send_signal(signal.SIGCONT if name == "hung" else signal.SIGSTOP)
            events = [next(sources[name]) for _ in range(size)]
            start, cpu = time.perf_counter(), time.process_time()
            for one in events:
                domains[name].append(one["aggregate_type"], one["aggregate_id"], one["event_type"], one["payload"])
            busy[name].append((time.process_time() - cpu) / size)
            return (time.perf_counter() - start) / size

        runs = {name: partial(window, name) for name in domains}
        in_turn(1, runs)
        took = in_turn(windows, runs)
    return {**took, **{f"{name} cpu": found[1:] for name, found in busy.items()}}


# -- deliveries --------------------------------------------------------------------------------------------------------


def _rate(bench: Bench) -> Iterator[Figure]:
    count, rounds = (1_000, 1) if bench.quick else (20_000, 3)
    (path,) = bench.lines(count, max(1, count // 20))
    rates, cpu = [], []
    for n in range(rounds):
        where = bench.fresh_repository(f"rate-{n}")
        with _endpoint(bench) as endpoint:
            _configure(where, "hook", endpoint.port, "--payload", "event-only")
            bench.dbx("aggregate", "apply", "--stage", "--from", path, cwd=where)
            bench.dbx("commit", cwd=where)
            run = bench.dbx("plugin", "run", "--once", cwd=where)
            if len(endpoint.seen()) != count:
                raise Failed(f"{count} events were to be delivered, {len(endpoint.seen())} were")
        rates.append(count / run.seconds)
        cpu.append(run.cpu_seconds / count)
    rate = median(rates)
    met = rate >= _LEAST_RATE
    yield Figure("http, event-only", rate, "deliveries/s", goal=f"at least {_LEAST_RATE:g}", met=met)
    yield Figure("http, event-only, processor time each", median(cpu), "s")


def _lag(bench: Bench) -> Iterator[Figure]:
    seconds = 2 if bench.quick else 20
    where = bench.fresh_repository("lag")
    with _endpoint(bench) as endpoint:
        _configure(where, "hook", endpoint.port, "--payload", "event-only")
        with _runner(where):
            committed = bench.worker(__name__, "pace", where, str(seconds * _PACE))
            seen = {n: at for at, n in endpoint.wait_for(len(committed))}
    lags = sorted(seen[n] - at for n, at in enumerate(committed))
    pace = (len(committed) - 1) / (committed[-1] - committed[0])
    yield Figure("events committed one by one", pace, "events/s")
    goal = f"under {_MOST_LAG_S:g} s"
    middle, last = median(lags), lags[len(lags) * 99 // 100]
    yield Figure("lag, median", middle, "s", goal=goal, met=middle < _MOST_LAG_S)
    yield Figure("lag, 99 of 100", last, "s", goal=goal, met=last < _MOST_LAG_S)


def _pace(where: str, count: int) -> list[float]:
    """Commit events one by one at a pace; when each was there, as time.monotonic() has it."""
    import dbx
    from tests.bench import workload

    done = []
    with dbx.open(where) as repository, repository.domain() as domain:
        start = time.monotonic() + 0.5
        for n, event in enumerate(workload.events(count, 1000)):
            time.sleep(max(0.0, start + n / _PACE - time.monotonic()))
            payload = {**event["payload"], "n": n}
            domain.append(event["aggregate_type"], event["aggregate_id"], event["event_type"], payload)
            done.append(time.monotonic())
    return done


# -- the queue ---------------------------------------------------------------------------------------------------------


def _long_queue(bench: Bench) -> Iterator[Figure]:
    count, files = sizes.large(bench)
    rounds = 2 if bench.quick else 5
    where = {
        count: bench.repository(count, count // 20, files),
        1000: bench.repository(1000, 50),
    }
    with _endpoint(bench) as endpoint:
        for path in where.values():
            _configure(path, "hook", endpoint.port, "--payload", "event-only")
            bench.worker(__name__, "rewind", path)
        waiting = [json.loads(bench.dbx("plugin", "status", "--json", cwd=path).out)[0] for path in where.values()]
        if [one["pending"] for one in waiting] != list(where):
            raise Failed(f"not all events wait: {waiting}")
        held = [
            sum(file.stat().st_size for file in Path(p).glob(".dbx/domains/default/queue.db*")) for p in where.values()
        ]
        took = in_turn(rounds, {str(n): partial(_first_delivery, bench, endpoint, path) for n, path in where.items()})
        for path in where.values():
            bench.dbx("plugin", "remove", "hook", "--disable", cwd=path)
    more = held[0] - held[1]
    yield Figure(
        f"queue of {count:,} positions", held[0], "B", held[1], "of 1,000", goal=f"at most {_MOST_BYTES_MORE} more",
        met=more <= _MOST_BYTES_MORE,
    )  # fmt: skip
    later = median([a - b for a, b in zip(took[str(count)], took["1000"], strict=True)])
    yield Figure(
        "start to first delivery", median(took[str(count)]), "s", median(took["1000"]), "of 1,000",
        goal=f"at most {_MOST_START_S:g} s more", met=later <= _MOST_START_S,
    )  # fmt: skip


def _first_delivery(bench: Bench, endpoint: _Endpoint, where: str) -> float:
    """Seconds from starting a runner to its first delivery."""
    bench.worker(__name__, "rewind", where)
    before = len(endpoint.seen())
    start = time.monotonic()
    with _runner(where):
        seen = endpoint.wait_for(before + 1)
    return seen[before][0] - start


def _rewind(where: str) -> None:
    """Let the plugin begin with the first event, as if it had been there before it."""
    from dbx.repo.delivery import jobs
    from dbx.repo.repository import Repository

    repository = Repository(os.path.join(where, ".dbx"), clock=lambda: time.time_ns() // 1000)
    with closing(repository), jobs.opened_queue(repository.domain()) as queue, queue.write():
        queue.start_anew("hook", 0)


# -- processes ---------------------------------------------------------------------------------------------------------


def _dbx() -> str:
    return os.path.join(os.path.dirname(sys.executable), "dbx")


def _configure(where: str, name: str, port: int, *more: str) -> None:
    url = f"http://127.0.0.1:{port}/"
    command = [_dbx(), "plugin", "config", "http", "--name", name, "--endpoint", url, "--allow-private", *more]
    subprocess.run(command, cwd=where, check=True, capture_output=True)


@contextmanager
def _runner(where: str) -> Iterator[subprocess.Popen[bytes]]:
    """`dbx plugin run` at work, killed at the end: one that waits for an endpoint takes its time."""
    process = subprocess.Popen(
        [_dbx(), "plugin", "run"], cwd=where, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def _endpoint(bench: Bench) -> Iterator[_Endpoint]:
    command = [bench.python, "-m", __name__, "serve"]
    process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, env=bench.environment)
    try:
        assert process.stdout is not None
        yield _Endpoint(int(process.stdout.readline()))
    finally:
        process.terminate()
        process.wait(30)


def _serve() -> None:
    """The web server. It looks at nothing but how long a body is, and at what it got only when it is asked."""
    seen: list[tuple[float, bytes]] = []
    server = socket.create_server(("127.0.0.1", 0))
    print(server.getsockname()[1], flush=True)

    def answer(connected: socket.socket) -> None:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        buffer = b""
        with connected, suppress(ConnectionResetError):
            while True:
                head, end, body = buffer.partition(b"\r\n\r\n")
                size = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0] or 0) if end else 0
                if not end or len(body) < size:
                    more = connected.recv(65536)
                    if not more:
                        return
                    buffer += more
                    continue
                buffer = body[size:]
                if head.startswith(b"POST"):
                    seen.append((time.monotonic(), body[:size]))
                    connected.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
                else:
                    told = json.dumps([[at, _number(one)] for at, one in list(seen)]).encode()
                    connected.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(told), told))

    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    while True:
        threading.Thread(target=answer, args=(server.accept()[0],), daemon=True).start()


def _number(body: bytes) -> int:
    found = json.loads(body)["event"]["payload"].get("n", -1)
    return int(found)


def _main(arguments: Sequence[str]) -> Any:
    if arguments[0] == "serve":
        _serve()
    if arguments[0] == "commits":
        plain, hung, windows, size, running = arguments[1:]
        return _time_commits(plain, hung, int(windows), int(size), running)
    if arguments[0] == "pace":
        return _pace(arguments[1], int(arguments[2]))
    return _rewind(arguments[1])


if __name__ == "__main__":
    json.dump(_main(sys.argv[1:]), sys.stdout)
