"""A program that appends often through one open domain: which calls an append makes, and what each of them may do."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.crash import strace, world
from tests.crash.test_concurrency import assert_no_gaps, payloads
from tests.crash.test_kill import assert_sound

pytestmark = pytest.mark.usefixtures("needs_strace")
EVENTS = 40
JOURNAL = "journal-0-0000000000000000"
LOCK = {"flock": ("lock",)}
PROGRAM = """
import sys
import dbx

with dbx.open(".") as repository:
    domain = repository.domain()
    for n in range(int(sys.argv[1])):
        try:
            event = domain.append("order", f"o-{n % 3}", "marked", {"mark": str(n), "text": "x" * 300})
        except (dbx.DbxError, OSError) as error:
            print(f"failed {n} {type(error).__name__}", flush=True)
        else:
            assert event.payload["mark"] == str(n)
            print(n, flush=True)
    domain.verify("order", "o-0")
"""


def run(where: Path, trace: str, inject: str = "", file: str = JOURNAL) -> subprocess.CompletedProcess[str]:
    """The program under strace; only calls on `file` are counted and injected into."""
    assert strace.STRACE is not None
    options = ["-f", "-qq", "-y", "-o", str(where / "strace.log"), "-e", f"trace={trace}"]
    options += ["-P", str(where / "work/.dbx/domains/default" / file)] if inject else []
    options += ["-e", f"inject={inject}"] if inject else []
    return subprocess.run(
        [strace.STRACE, *options, "--", sys.executable, "-c", PROGRAM, str(EVENTS)],
        cwd=where / "work",
        env=strace.environment(where / "home"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_append_is_one_write_and_one_sync(where: Path) -> None:
    world.make(where)
    done = run(where, "pwrite64,fdatasync,fsync,fadvise64,fstat,newfstatat,write")
    assert done.stdout.split() == [str(n) for n in range(EVENTS)], done.stderr
    lines = (where / "strace.log").read_text().splitlines()
    ends = [n for n, line in enumerate(lines) if re.search(r" write\(1<", line)]
    for start, end in pairwise(ends[20:]):
        calls = [line for line in lines[start + 1 : end] if "/journal-" in line]
        names = [re.findall(r"\d+ +(\w+)\(", call)[0] for call in calls]
        # Never a question for size or times, after which the next write would have more to sync.
        assert names in (["pwrite64", "fadvise64", "fdatasync"], ["pwrite64", "fdatasync"] * 2), calls
    assert_sound(where)


@pytest.mark.parametrize("number", [12, 20, 27])
@pytest.mark.parametrize("call", ["pwrite64", "fadvise64", "fdatasync", "flock"])
def test_killed_at_a_call(where: Path, call: str, number: int) -> None:
    world.make(where)
    done = run(where, call, f"{call}:signal=KILL:when={number}", *LOCK.get(call, ()))
    assert done.returncode in (-9, 137)
    told = done.stdout.split()
    found = payloads(where)
    assert found == [str(n) for n in range(len(found))]
    assert len(told) <= len(found) <= len(told) + 1
    assert_no_gaps(where)
    world.verify(where)
    assert_sound(where)


@pytest.mark.parametrize(
    ("call", "error"),
    [("pwrite64", "EIO"), ("pwrite64", "ENOSPC"), ("fdatasync", "EIO"), ("flock", "EIO"), ("fadvise64", "EINVAL")],
)
def test_a_call_that_fails_concerns_one_append(where: Path, call: str, error: str) -> None:
    world.make(where)
    done = run(where, call, f"{call}:error={error}:when=21", *LOCK.get(call, ()))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == EVENTS
    failed = [line for line in lines if line.startswith("failed")]
    assert len(failed) == (0 if call == "fadvise64" else 1)
    # What was not acknowledged is not there: it was cut off, and what memory held of it is gone.
    assert payloads(where) == [line for line in lines if not line.startswith("failed")]
    assert_no_gaps(where)
    world.verify(where)
    assert_sound(where)
