"""Crash tests need strace, and a fast place for many small repositories."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.crash import strace, world
from tests.crash.scenarios import Scenario
from tests.crash.world import State

_HERE = os.path.dirname(os.path.abspath(__file__))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if str(item.path).startswith(_HERE):
            item.add_marker(pytest.mark.crash)


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """Memory where there is some: what is tested is which calls are made, not the disk."""
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    path = Path(tempfile.mkdtemp(prefix="dbx-crash-", dir=base))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@dataclass(frozen=True)
class Template:
    """A prepared repository, what is in it, and what is in it after the command ran to its end."""

    scenario: Scenario
    path: Path
    before: State
    after: State
    calls: list[strace.Call]


@dataclass(frozen=True)
class Templates:
    root: Path
    made: dict[str, Template]

    def get(self, scenario: Scenario) -> Template:
        if scenario.name not in self.made:
            path = self.root / scenario.name
            _prepare(scenario, path)
            before = world.observe(path)
            # Once without strace, so that Python has compiled all it needs.
            with self.copy(path) as trial:
                outcome = strace.run(scenario.argv, trial, env={"PYTHONDONTWRITEBYTECODE": ""})
                assert outcome.status == 0, outcome
            with self.copy(path) as trial:
                outcome, calls = strace.record(scenario.argv, trial)
                assert outcome.status == 0, outcome
                after = world.observe(trial)
            self.made[scenario.name] = Template(scenario, path, before, after, calls)
        return self.made[scenario.name]

    def copy(self, path: Path) -> Copy:
        return Copy(path, self.root)


class Copy:
    """A copy of a prepared directory, always under the same name, so that paths are equally long in every run."""

    def __init__(self, path: Path, root: Path) -> None:
        self._source = path
        self.path = root / "trial"

    def __enter__(self) -> Path:
        shutil.copytree(self._source, self.path, symlinks=True)
        return self.path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.path)


def _prepare(scenario: Scenario, path: Path) -> None:
    for part in ("work", "home"):
        (path / part).mkdir(parents=True)
    scenario.prepare(path)


@pytest.fixture(scope="session")
def templates(scratch: Path) -> Templates:
    return Templates(scratch, {})


@pytest.fixture(scope="session")
def needs_strace(scratch: Path) -> None:
    """Skip, saying why, where strace is missing or may not trace."""
    if strace.STRACE is None:
        pytest.skip("strace is not installed: no fault can be injected into system calls")
    for part in ("work", "home"):
        (scratch / "probe" / part).mkdir(parents=True, exist_ok=True)
    outcome = strace.run(
        ["--version"], scratch / "probe", options=["--seccomp-bpf", "-o", os.devnull, "-e", "trace=write"]
    )
    if outcome.status != 0:
        pytest.skip(f"strace cannot trace here: {outcome.stderr.strip()}")


@pytest.fixture
def where(scratch: Path) -> Iterator[Path]:
    """An empty directory with `work` and `home`."""
    path = Path(tempfile.mkdtemp(dir=scratch))
    for part in ("work", "home"):
        (path / part).mkdir()
    yield path
    shutil.rmtree(path)


Prepare = Callable[[Path], None]
