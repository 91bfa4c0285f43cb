"""Erasing when the command dies or the disk fails: the body is there and no word of it, or it is erased for good."""

from __future__ import annotations

import json
import random
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from dbx.ops.clone import clone
from dbx.ops.link import Access
from dbx.ops.session import Session, Who
from dbx.repo.replica.remoteconfig import RemoteSetting, put_remote
from dbx.repo.upkeep.snapshots import take_snapshot
from tests.canary import find_word
from tests.crash import strace, world
from tests.crash.world import append, item, make, tidy

pytestmark = pytest.mark.usefixtures("needs_strace")
CANARY = "Xanthippe"
ERASE = ("aggregate", "redact", "order", "o-1", "--version", "3", "--reason", "asked to", "--yes")
SAMPLE = 24
"""Of the hundreds of calls, most of which SQLite makes."""
STEPS = ("erasing", "refs/", "segments/", "manifests/", "journal")
"""What the calls are about before which every kill is tried."""


@pytest.fixture
def prepared(scratch: Path) -> Path:
    """The canary lies in a segment, in the index, and in a snapshot; a journal follows."""
    path = scratch / "erasing"
    if not path.exists():
        for part in ("work", "home"):
            (path / part).mkdir(parents=True)
        make(path)
        append(path, [item(n, "o-1") for n in range(2)])
        append(path, [item(2, "o-1") | {"payload": {"name": CANARY}}, item(3, "o-2")])
        with closing(world.open_repository(path)) as repository:
            take_snapshot(repository.domain(), "order", "o-1", 3)
        tidy(path)
        append(path, [item(n, "o-1") for n in range(4, 7)])
        assert find_word(path / "work", CANARY)
    return path


def check(trial: Path) -> None:
    """Whole, either way; and the next writer finishes what was begun."""
    outcome = strace.run(("fsck", "--json"), trial)
    assert outcome.status == 0, outcome
    told = [json.loads(line) for line in strace.run(("events", "order", "o-1", "--jsonl"), trial).stdout.splitlines()]
    assert len(told) in (6, 7)
    was_erased = len(told) == 7
    assert (told[2]["payload"] is None) is was_erased
    state = json.loads(strace.run(("aggregate", "get", "order", "o-1", "--json"), trial).stdout)["state"]
    assert ("name" in state) is not was_erased
    if was_erased:
        assert strace.run(("aggregate", "apply", "order", "o-2", "placed", "--field", "a=b"), trial).status == 0
        assert find_word(trial / "work", CANARY) == []
        assert not (trial / "work/.dbx/domains/default/erasing").exists()
    assert strace.run(ERASE, trial).status == 0
    assert find_word(trial / "work", CANARY) == []
    assert strace.run(("snapshots", "verify"), trial).status == 0
    assert strace.run(("fsck",), trial).status == 0


def _copy(path: Path, scratch: Path) -> Path:
    return Path(shutil.copytree(path, scratch / "trial-of-erasing", symlinks=True))


def _calls(path: Path, scratch: Path) -> list[strace.Call]:
    trial = _copy(path, scratch)
    outcome, calls = strace.record(ERASE, trial)
    assert outcome.status == 0, outcome
    shutil.rmtree(trial)
    return [call for call in calls if "default" in call.text or "erasing" in call.text or "segments" in call.text]


def test_killed_before_a_call(prepared: Path, scratch: Path) -> None:
    calls = _calls(prepared, scratch)
    ours = [call for call in calls if any(step in call.text for step in STEPS) and call.name.startswith(_WRITES)]
    others = [call for call in calls if call not in ours]
    rng = random.Random(7)
    chosen = rng.sample(ours, min(len(ours), SAMPLE)) + rng.sample(others, min(len(others), SAMPLE // 2))
    assert len(ours) >= 8
    for call in chosen:
        trial = _copy(prepared, scratch)
        try:
            strace.run_killed(ERASE, trial, call)
            check(trial)
        except BaseException as error:
            error.add_note(f"killed before {call}")
            raise
        finally:
            shutil.rmtree(trial)


_WRITES = ("rename", "unlink", "fsync", "fdatasync", "write", "pwrite", "mkdir", "link")


PULL = ("pull", "origin")


@pytest.fixture
def to_pull(scratch: Path) -> Path:
    """`default` is a clone of `other`, which has erased the canary since."""
    path = scratch / "erased-elsewhere"
    if not path.exists():
        for part in ("work", "home"):
            (path / part).mkdir(parents=True)
        make(path)
        with closing(world.open_repository(path)) as repository:
            repository.create_domain("other")
        append(path, [item(0, "o-1"), item(1, "o-1") | {"payload": {"name": CANARY}}], domain="other")
        with closing(world.open_repository(path)) as repository:
            session = Session(repository, None, Who(None, "jane", "jane"))
            clone(session, f"{path / 'work'}#other", "default", Access())
            put_remote(repository.domain("default"), RemoteSetting("origin", ".#other", None), new=False)
        append(path, [item(2, "o-1")], domain="other")
        words = (
            "aggregate",
            "redact",
            "order",
            "o-1",
            "--version",
            "2",
            "--reason",
            "asked to",
            "--yes",
            "-d",
            "other",
        )
        assert strace.run(words, path).status == 0
        assert find_word(path / "work/.dbx/domains/default", CANARY)
        assert find_word(path / "work/.dbx/domains/other", CANARY) == []
    return path


def test_pulling_it_is_killed_before_a_call(to_pull: Path, scratch: Path) -> None:
    trial = _copy(to_pull, scratch)
    outcome, calls = strace.record(PULL, trial)
    assert outcome.status == 0, outcome
    assert find_word(trial / "work", CANARY) == []
    shutil.rmtree(trial)
    ours = [call for call in calls if any(step in call.text for step in STEPS) and call.name.startswith(_WRITES)]
    for call in random.Random(3).sample(ours, min(len(ours), SAMPLE)):
        trial = _copy(to_pull, scratch)
        try:
            strace.run_killed(PULL, trial, call)
            assert strace.run(("fsck", "--all"), trial).status == 0
            told = strace.run(("events", "order", "o-1", "--jsonl"), trial).stdout.splitlines()
            assert len(told) in (2, 4)
            assert (json.loads(told[1])["payload"] is None) is (len(told) == 4)
            assert strace.run(PULL, trial).status == 0
            assert strace.run(("gc",), trial).status == 0
            assert find_word(trial / "work", CANARY) == []
            assert strace.run(("fsck", "--all"), trial).status == 0
        except BaseException as error:
            error.add_note(f"killed before {call}")
            raise
        finally:
            shutil.rmtree(trial)


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_a_disk_that_fails(prepared: Path, scratch: Path, error: str) -> None:
    calls = [call for call in _calls(prepared, scratch) if call.name.startswith(("rename", "fsync", "fdatasync"))]
    for call in random.Random(error).sample(calls, min(len(calls), 6)):
        trial = _copy(prepared, scratch)
        try:
            strace.run_failing(ERASE, trial, call.name, error, str(call.number))
            check(trial)
        except BaseException as fault:
            fault.add_note(f"{error} at {call}")
            raise
        finally:
            shutil.rmtree(trial)
