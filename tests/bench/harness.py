"""Running things and timing them: whole processes, one after the other, in a directory that goes away."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

CHECKOUT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
_LIMIT_S = 300


class Failed(Exception):  # noqa: N818 - named for what happened, as those of dbx are
    """A command did not do what was to be measured."""


@dataclass(frozen=True, slots=True)
class Run:
    """A process that has ended: wall and processor seconds, the largest resident set of one process in MB (10^6)."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    out: str


class Bench:
    """What a part measures with: sizes, paths, processes. Made by `bench`, which removes its directory."""

    def __init__(self, directory: str, *, quick: bool) -> None:
        self.directory = directory
        self.quick = quick
        self.python = sys.executable
        self.dbx_path = os.path.join(os.path.dirname(sys.executable), "dbx")
        # Neither settings of who runs this nor a ban on .pyc files may change what is measured.
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("DBX_", "PYTHON"))}
        self._made: dict[tuple[object, ...], Any] = {}

    def path(self, name: str) -> str:
        """A path in the directory that goes away."""
        return os.path.join(self.directory, name)

    def run(self, *command: str, cwd: str | None = None, settle: bool = True) -> Run:
        """Run a command to its end. `settle` first lets the disk finish what it was told before."""
        pid, start, log = self._spawn(command, cwd or self.directory, settle=settle)
        with _limit(pid, command):
            _, status, usage = os.wait4(pid, 0)
        seconds = time.perf_counter() - start
        return self._ended(command, status, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6, log)

    def dbx(self, *arguments: str, cwd: str) -> Run:
        """Run dbx, as its users do."""
        return self.run(self.dbx_path, *arguments, cwd=cwd)

    def worker(self, module: str, *arguments: str) -> Any:
        """Run `python -m module`, one of ours, and parse the JSON it prints: library calls are timed in there."""
        command = (self.python, "-m", module, *arguments)
        return json.loads(self.run(*command, cwd=str(CHECKOUT)).out)

    def peak_mb(self, *command: str, cwd: str) -> float:
        """The most memory that a command and its children hold at one time, in MB (10^6); shared pages count once."""
        pid, start, log = self._spawn(command, cwd, settle=True)
        most = 0
        with _limit(pid, command):
            while True:
                done, status, usage = os.wait4(pid, os.WNOHANG)
                if done:
                    break
                most = max(most, sum(_proportional_bytes(one) for one in _tree(pid)))
                time.sleep(0.01)
        peak = max(most, usage.ru_maxrss * 1024) / 1e6
        return self._ended(command, status, time.perf_counter() - start, 0, peak, log).peak_mb

    def once(self, key: tuple[object, ...], make: Callable[[], Any]) -> Any:
        """What several parts share is made once."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def lines(self, count: int, aggregates: int, files: int = 1) -> list[str]:
        """Files of that many events in all; see workload.py."""

        def make() -> list[str]:
            paths = [self.path(f"{count}-{aggregates}-{n}.jsonl") for n in range(files)]
            # In a process of its own: the size of this one is the floor of every peak that is measured.
            self.run(self.python, str(HERE / "workload.py"), str(count), str(aggregates), *paths)
            return paths

        return self.once(("lines", count, aggregates, files), make)  # type: ignore[no-any-return]

    def repository(self, count: int, aggregates: int, files: int = 1) -> str:
        """A repository whose domain holds those events, one commit for each file."""

        def make() -> str:
            where = self.fresh_repository(f"repository-{count}-{aggregates}-{files}")
            for path in self.lines(count, aggregates, files):
                self.dbx("aggregate", "apply", "--stage", "--from", path, cwd=where)
                self.dbx("commit", cwd=where)
            return where

        return self.once(("repository", count, aggregates, files), make)  # type: ignore[no-any-return]

    def fresh_repository(self, name: str) -> str:
        """An empty repository."""
        where = self.path(name)
        os.mkdir(where)
        self.dbx("init", cwd=where)
        return where

    def say(self, text: str) -> None:
        """Tell who waits what is going on."""
        if sys.stderr.isatty():
            print(f"  … {text}", file=sys.stderr)

    def _spawn(self, command: tuple[str, ...], cwd: str, *, settle: bool) -> tuple[int, float, str]:
        log = self.path("out")
        write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        actions: list[Any] = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, write, 0o600),
            (os.POSIX_SPAWN_OPEN, 2, f"{log}.err", write, 0o600),
        ]
        if settle:
            os.sync()
        with contextlib.chdir(cwd):
            start = time.perf_counter()
            pid = os.posix_spawn(command[0], command, self.environment, file_actions=actions)
        return pid, start, log

    def _ended(
        self, command: tuple[str, ...], status: int, seconds: float, cpu_seconds: float, peak_mb: float, log: str
    ) -> Run:
        code = os.waitstatus_to_exitcode(status)
        out = Path(log).read_text(encoding="utf-8")
        if code:
            how = signal.Signals(-code).name if code < 0 else f"status {code}"
            raise Failed(
                f"'{' '.join(command)}' ended with {how}: {Path(log + '.err').read_text(encoding='utf-8')[-2000:]}"
            )
        return Run(seconds, cpu_seconds, peak_mb, out)


@contextlib.contextmanager
def bench(*, quick: bool) -> Iterator[Bench]:
    """A Bench whose directory lies on the file system of the checkout (/tmp is often no disk)."""
    above = CHECKOUT / "build"
    above.mkdir(exist_ok=True)
    directory = tempfile.mkdtemp(prefix="bench-", dir=above)
    try:
        yield Bench(directory, quick=quick)
    finally:
        shutil.rmtree(directory)
        with contextlib.suppress(OSError):
            above.rmdir()


@contextlib.contextmanager
def cores(count: int) -> Iterator[None]:
    """Processes started meanwhile have so many processors."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def in_turn(rounds: int, runs: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Seconds of each, measured A B C A B C …: what disturbs the machine disturbs them all."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            found[name].append(run())
    return found


@contextlib.contextmanager
def _limit(pid: int, command: tuple[str, ...]) -> Iterator[None]:
    """Leave no process behind, whatever ends the wait for it."""

    def stop(_signal: int, _frame: object) -> NoReturn:
        raise Failed(f"'{' '.join(command)}' took longer than {_LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(_LIMIT_S)
    try:
        yield
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        raise
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _tree(pid: int) -> Iterator[int]:
    yield pid
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                yield from _tree(int(child))


def _proportional_bytes(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:  # it has ended
        return 0
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")), 0)
