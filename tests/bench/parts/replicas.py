"""clone, push and pull of whole domains, beside git clone --bare of the same events

One commit per 100 events on both sides. In git every event is a file of its own, in the directory of its commit, and
the clone goes over file:// with git's default checks. Both are timed in turn, in wall time and in processor time of
all processes that take part.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.bench.commits import commits, with_small_commits
from tests.bench.figures import Figure, faster, median
from tests.bench.harness import CHECKOUT, Failed, Run, in_turn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.harness import Bench

_SMALL = 1000
_MOST_MORE_S = 0.1
_MOST_MB = 200.0
_MOST_REQUEST_BYTES = 1024


class _Server(NamedTuple):
    """`dbx serve` of one repository: its address, its process, and where its access log goes."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def cpu_seconds(self) -> float:
        """User and system time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def peak_mb(self) -> float:
        """The largest resident set so far, in MB (10^6)."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in text.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024 / 1e6

    def requests(self) -> list[str]:
        """The lines of the access log."""
        return self.log.read_text().splitlines()


def measure(bench: Bench) -> Iterator[Figure]:
    """Clones of one size, the same push into two sizes, and a pull that brings nothing."""
    count, rounds = (20_000, 3) if bench.quick else (1_000_000, 1)
    large, small = (with_small_commits(bench, size) for size in (count, _SMALL))
    git = shutil.which("git")
    if git is None:
        raise Failed("there is no git to measure beside")
    bare = bench.path("events.git")
    bench.run(bench.python, "-m", __name__, bare, str(count), "0", str(count), cwd=str(CHECKOUT))
    with _served(bench, large) as server:
        yield from _clones(bench, large, server, (git, bare), count, rounds)
    yield from _pushes(bench, large, small)


def _clones(
    bench: Bench, source: str, server: _Server, reference: tuple[str, str], count: int, rounds: int
) -> Iterator[Figure]:
    found: dict[str, list[Run]] = {"path": [], "http": [], "git": []}
    git, bare = reference
    for _ in range(rounds):
        found["path"].append(_cloned(bench, source))
        served = server.cpu_seconds
        run = _cloned(bench, f"{server.url}/default")
        found["http"].append(Run(run.seconds, run.cpu_seconds + server.cpu_seconds - served, run.peak_mb, run.out))
        copy = bench.path("copy.git")
        found["git"].append(bench.run(git, "clone", "-q", "--bare", f"file://{bare}", copy))
        shutil.rmtree(copy)
    wall = {name: [run.seconds for run in runs] for name, runs in found.items()}
    cpu = {name: [run.cpu_seconds for run in runs] for name, runs in found.items()}
    for way in ("path", "http"):
        yield faster(f"clone by {way}", wall[way], wall["git"], beside="git clone --bare", least=1.0)
        yield faster(f"clone by {way}, processor time", cpu[way], cpu["git"], beside="git clone --bare")
        yield Figure(f"clone by {way}", count / median(wall[way]), "events/s")
        peak = _peak(bench, source if way == "path" else f"{server.url}/default")
        yield Figure(f"clone by {way}, memory", peak, "MB", goal=f"under {_MOST_MB:g} MB", met=peak < _MOST_MB)
    peak = server.peak_mb
    yield Figure("clone by http, memory of the server", peak, "MB", goal=f"under {_MOST_MB:g} MB", met=peak < _MOST_MB)


def _pushes(bench: Bench, large: str, small: str) -> Iterator[Figure]:
    """One commit pushed into either size in turn, and a pull of nothing, over HTTP."""
    rounds = 5 if bench.quick else 15
    with _served(bench, large) as great, _served(bench, small) as little:
        near = {"large": _near(bench, "large", great), "small": _near(bench, "small", little)}
        took = in_turn(rounds, {name: partial(_push, bench, where) for name, where in near.items()})
        before = len(great.requests())
        run = bench.dbx("pull", cwd=near["large"])
        asked = great.requests()[before:]
    yield Figure("pull without news", run.seconds, "s")
    size = sum(_bytes(line) for line in asked)
    yield Figure(
        "pull without news, bytes answered", size, "B", goal=f"one request, under {_MOST_REQUEST_BYTES}",
        met=len(asked) == 1 and size < _MOST_REQUEST_BYTES,
    )  # fmt: skip
    more = median([a - b for a, b in zip(took["large"], took["small"], strict=True)])
    yield Figure(
        "push of one commit", median(took["large"]), "s", median(took["small"]), f"into {_SMALL} events", more,
        "s more", f"under {_MOST_MORE_S:g} s more", met=more < _MOST_MORE_S,
    )  # fmt: skip


def _near(bench: Bench, name: str, server: _Server) -> str:
    near = bench.path(f"near-{name}")
    os.mkdir(near)
    bench.dbx("clone", f"{server.url}/default", cwd=near)
    return near


def _push(bench: Bench, near: str) -> float:
    """Commit one event and push it; the seconds that the push took."""
    bench.dbx("aggregate", "apply", "order", "pushed", "placed", "--create", "--payload", "{}", cwd=near)
    return bench.dbx("push", cwd=near).seconds


def _bytes(line: str) -> int:
    found = re.search(r" (?:200|4\d\d) (\d+) ", line)
    return int(found[1]) if found else 0


def _cloned(bench: Bench, url: str) -> Run:
    where = bench.path("clone")
    os.mkdir(where)
    run = bench.dbx("clone", url, cwd=where)
    shutil.rmtree(where)
    return run


def _peak(bench: Bench, url: str) -> float:
    """The memory that a clone takes in all its processes together."""
    where = bench.path("clone")
    os.mkdir(where)
    peak = bench.peak_mb(bench.dbx_path, "clone", url, cwd=where)
    shutil.rmtree(where)
    return peak


@contextmanager
def _served(bench: Bench, where: str) -> Iterator[_Server]:
    log = Path(f"{where}.serve.log")
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [bench.dbx_path, "serve", "--port", "0", "--json"],
            cwd=where, stdout=subprocess.PIPE, stderr=errors, env=bench.environment,
        )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise Failed(f"'dbx serve' ended: {log.read_text()}")
        yield _Server(json.loads(line)["url"], process, log)
    finally:
        process.terminate()
        process.wait(30)


def _build_git(where: str, count: int, first: int, last: int) -> None:
    subprocess.run(["git", "init", "-q", "--bare", where], check=True)
    feed = subprocess.Popen(["git", "-C", where, "fast-import", "--quiet"], stdin=subprocess.PIPE)
    assert feed.stdin is not None
    for n, events in enumerate(commits(count, first, last)):
        feed.stdin.write(b"commit refs/heads/main\ncommitter dbx <dbx@example.org> %d +0000\ndata 0\n" % (1 << 30))
        for m, event in enumerate(events):
            data = json.dumps(event, ensure_ascii=False).encode()
            path = f"{n // 100:04d}/{n % 100:02d}/{m:02d}.json".encode()
            feed.stdin.write(b"M 644 inline %b\ndata %d\n%b\n" % (path, len(data), data))
    feed.stdin.close()
    if feed.wait():
        raise Failed("git fast-import failed")
    subprocess.run(["git", "-C", where, "symbolic-ref", "HEAD", "refs/heads/main"], check=True)


if __name__ == "__main__":
    _build_git(sys.argv[1], *map(int, sys.argv[2:]))
