"""Runs the installed command under strace: to see which calls change the disk, and to make the n-th of them go wrong.

strace counts the calls of one name for each thread by itself, so a call is named by its name and its number among the
calls of that name. An `openat` is only of interest where it makes a file; it is numbered among all of them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

STRACE = shutil.which("strace")
DBX = os.environ.get("DBX_UNDER_TEST") or os.path.join(os.path.dirname(sys.executable), "dbx")

_CALLS = (
    "write pwrite64 writev pwritev pwritev2 fsync fdatasync sync_file_range rename renameat renameat2 unlink unlinkat "
    "rmdir mkdir mkdirat link linkat symlink symlinkat truncate ftruncate fallocate copy_file_range sendfile openat "
    "open creat fchmod fchmodat chmod utimensat"
)
WRITING = tuple(_CALLS.split())
OPENING = frozenset(("open", "openat"))
_LINE = re.compile(r"(\d+) +([a-z0-9_]+)\((.*)")
_ELSEWHERE = re.compile(r'AT_FDCWD<[^>]*>(?=, "/)')
"""What strace says of a path that is absolute: where the process is does not matter to it."""
_RESULT = re.compile(r"\) += (-?\d+|\?)([^=]*)$")


@dataclass(frozen=True)
class Outcome:
    """How a command ended; a negative status is the signal that killed it."""

    status: int
    stdout: str
    stderr: str

    @property
    def killed(self) -> bool:
        return self.status in (-9, 137)


@dataclass(frozen=True, order=True)
class Call:
    """A system call: its name, its number among those of that name in its thread (from 1), and how strace prints it."""

    name: str
    number: int
    text: str
    failed: bool

    def __str__(self) -> str:
        return f"{self.name} #{self.number}: {self.text[:160]}"


def environment(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """A clean one, in which Python leaves no byte code behind: that would change which call is the n-th."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "DBX_ACTOR": "ops:jane",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONWARNINGS": "default",
        **(extra or {}),
    }


def run(
    arguments: Sequence[str],
    where: Path,
    *,
    options: Sequence[str] = (),
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    timeout_s: float = 60,
) -> Outcome:
    """`dbx …` in `where/work`; with `options` under strace."""
    command = [DBX, *arguments]
    if options:
        assert STRACE is not None
        command = [STRACE, "-f", "-qq", *options, "--", *command]
    done = subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        cwd=where / "work",
        env=environment(where / "home", env),
        timeout=timeout_s,
        check=False,
    )
    return Outcome(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))


def record(
    arguments: Sequence[str], where: Path, *, stdin: bytes = b"", names: Sequence[str] = WRITING, every: bool = False
) -> tuple[Outcome, list[Call]]:
    """Run a command and list its calls on files of the repository, and its writes to standard output.

    Without `every` an open counts only where it may make a file.
    """
    log = where / "strace.log"
    options = ["--seccomp-bpf", "-y", "-s", "120", "-o", str(log), "-e", f"trace={','.join(names)}"]
    outcome = run(arguments, where, options=options, stdin=stdin)
    return outcome, list(_calls(log, str(where / "work"), every))


def _calls(log: Path, root: str, every: bool) -> Iterator[Call]:
    numbers: Counter[tuple[str, str]] = Counter()
    with open(log, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            found = _LINE.match(line)
            if found is None:
                continue
            thread, name, text = found.groups()
            numbers[thread, name] += 1
            if name in OPENING and not every and "O_CREAT" not in text:
                continue
            if root in _ELSEWHERE.sub("", text) or (name == "write" and text.startswith("1<")):
                result = _RESULT.search(text)
                failed = result is not None and result[1].startswith("-")
                yield Call(name, numbers[thread, name], text.rstrip(), failed)


def telling(calls: Iterable[Call]) -> list[Call]:
    """The calls before which a crash leaves different disks; of a long file's many writes some.

    A call that failed changed nothing: before the one behind it the disk is the same. Of a run of writes to one file
    without another call between them, the first two, the one in the middle and the last are kept.
    """
    kept: list[Call] = []
    for (name, file), group in groupby((call for call in calls if not call.failed), key=_target):
        run = list(group)
        if len(run) > 4 and name in ("write", "pwrite64") and file:
            run = [run[0], run[1], run[len(run) // 2], run[-1]]
        kept += run
    return kept


def _target(call: Call) -> tuple[str, str]:
    """A call's name, and the file that its descriptor stands for."""
    found = re.match(r"\d+<([^>]*)>", call.text)
    return call.name, found[1] if found else ""


def run_killed(arguments: Sequence[str], where: Path, call: Call, *, stdin: bytes = b"") -> Outcome:
    """Run a command and kill it with SIGKILL before it makes this call."""
    # With --seccomp-bpf strace 6.1 does not deliver the signal.
    return run(arguments, where, options=_inject(where, call.name, f"signal=KILL:when={call.number}"), stdin=stdin)


def run_failing(
    arguments: Sequence[str], where: Path, name: str, error: str, when: str, *, stdin: bytes = b""
) -> Outcome:
    """Run a command in which calls fail with an error; `when` is "3" for the third only, "3+" from there on."""
    options = ["--seccomp-bpf", *_inject(where, name, f"error={error}:when={when}")]
    return run(arguments, where, options=options, stdin=stdin)


def _inject(where: Path, name: str, what: str) -> list[str]:
    return ["-y", "-o", str(where / "strace.log"), "-e", f"trace={name}", "-e", f"inject={name}:{what}"]
