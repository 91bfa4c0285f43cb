"""Black-box tests run the installed command, in an empty directory and a clean environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

DBX = os.path.join(os.path.dirname(sys.executable), "dbx")


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """stdout as one JSON document."""
        return json.loads(self.stdout)

    @property
    def lines(self) -> list[str]:
        return self.stdout.splitlines()

    @property
    def error(self) -> dict[str, Any]:
        """The error object of a command that ran with --json."""
        (line,) = self.stderr.splitlines()
        error = json.loads(line)["error"]
        assert set(error) >= {"type", "status", "message", "hint", "details"}
        assert error["status"] == self.status
        return dict(error)


@dataclass(frozen=True)
class Runner:
    """`run("status", "--json")` runs `dbx status --json` in `cwd`; `run.ok(…)` also asserts that it succeeds."""

    cwd: Path
    home: Path

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), "LANG": "C.UTF-8", "TZ": "UTC", **(extra or {})}

    def __call__(
        self,
        *arguments: str,
        stdin: str | bytes = b"",
        cwd: Path | str | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float = 60,
    ) -> Outcome:
        done = subprocess.run(
            [DBX, *arguments],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            cwd=cwd or self.cwd,
            env=self.environment(env),
            timeout=timeout_s,
            check=False,
        )
        outcome = Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert "Traceback" not in outcome.stderr or (env or {}).get("DBX_DEBUG"), outcome.stderr
        return outcome

    def ok(self, *arguments: str, **options: Any) -> Outcome:
        outcome = self(*arguments, **options)
        assert outcome.status == 0, outcome
        return outcome

    def start(self, *arguments: str, env: Mapping[str, str] | None = None, **options: Any) -> subprocess.Popen[bytes]:
        """The running process, for tests that interrupt it or close its output. The test waits for it."""
        return subprocess.Popen(
            [DBX, *arguments], cwd=options.pop("cwd", self.cwd), env=self.environment(env), **options
        )


@pytest.fixture
def run(tmp_path: Path) -> Runner:
    cwd, home = tmp_path / "work", tmp_path / "home"
    cwd.mkdir()
    home.mkdir()
    return Runner(cwd, home)


@pytest.fixture
def in_terminal() -> Callable[..., tuple[int, str]]:
    """Runs `dbx …` on a pseudo-terminal: (status, everything it showed)."""
    return _run_in_terminal


def _run_in_terminal(
    run: Runner, *arguments: str, keys: bytes = b"", env: Mapping[str, str] | None = None
) -> tuple[int, str]:
    import pty

    ours, theirs = pty.openpty()
    process = run.start(*arguments, stdin=theirs, stdout=theirs, stderr=theirs, env={"TERM": "xterm", **(env or {})})
    os.close(theirs)
    if keys:
        os.write(ours, keys)
    shown = bytearray()
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:  # Linux says EIO where others say end of file
        pass
    finally:
        os.close(ours)
    return process.wait(60), shown.decode().replace("\r\n", "\n")
