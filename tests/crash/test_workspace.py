"""Killed among tokens, the audit trail and restores: each is as before or as after, and nothing has to be mended."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest

from tests.crash import strace
from tests.crash.world import append, item, make, tidy

pytestmark = pytest.mark.usefixtures("needs_strace")
SAMPLE = 12
BACKUP = "../backup.tar.gz"
GENERATE = ("token", "generate", "-g", "ops", "-u", "jane", "--action", "aggregate.read", "--json")


def ok(where: Path, *arguments: str) -> str:
    outcome = strace.run(arguments, where)
    assert outcome.status == 0, outcome
    return outcome.stdout.decode() if isinstance(outcome.stdout, bytes) else outcome.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not in /dev, where backups are not written."""
    return tmp_path_factory.mktemp("workspace")


@pytest.fixture
def prepared(place: Path) -> Path:
    """Two events and a backup of them, a third event, and a token."""
    path = place / "prepared"
    if not path.exists():
        for part in ("work", "home"):
            (path / part).mkdir(parents=True)
        make(path)
        append(path, [item(0, "o-1"), item(1, "o-2")])
        ok(path, *GENERATE)
        ok(path, "backup", "-o", BACKUP)
        append(path, [item(2, "o-1")])
        tidy(path)
    return path


def tokens(where: Path) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(ok(where, "token", "list", "--json"))
    return found


def trail(where: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(ok(where, "audit-log", "--json"))
    assert json.loads(ok(where, "audit-log", "--verify", "--json"))["entries"] == len(found)
    assert [one["n"] for one in found] == list(range(len(found)))
    return found


def events(where: Path) -> int:
    return len(json.loads(ok(where, "events", "--json")))


def check_revoked(where: Path, before: Path) -> None:
    """The trail told of it before it was so."""
    told = [one["event"] for one in trail(where)].count("token.revoke")
    (status,) = [one["status"] for one in tokens(where)]
    assert (status, told) in (("active", 0), ("active", 1), ("revoked", 1))
    ok(where, "token", "revoke", tokens(where)[0]["jti"])
    assert tokens(where)[0]["status"] == "revoked"


def check_refreshed(where: Path, before: Path) -> None:
    found = [one["status"] for one in tokens(where)]
    assert found in (["active"], ["revoked", "active"])
    trail(where)
    ok(where, *GENERATE)


def check_configured(where: Path, before: Path) -> None:
    said = ok(where, "config", "--json")
    told = [one["event"] for one in trail(where)].count("config.set")
    assert told <= int("restrict-me" in said)
    ok(where, "config", "user.name", "ann")
    trail(where)


def check_restored(where: Path, before: Path) -> None:
    assert events(where) in (2, 3)
    ok(where, "fsck", "--all")
    trail(where)
    ok(where, "restore", "-i", BACKUP, "--force")
    assert events(where) == 2
    assert sorted(path.name for path in (where / "work").iterdir()) == [".dbx"]


def check_backed_up(where: Path, before: Path) -> None:
    made = where / "new.tar.gz"
    if made.exists():
        ok(where, "restore", "-i", "../new.tar.gz", "--data-dir", "../there")
    assert events(where) == 3
    ok(where, "fsck", "--all")
    trail(where)
    ok(where, "backup", "-o", "../new.tar.gz", "--force")


CASES = {
    "revoke": (("token", "revoke", "JTI"), check_revoked),
    "refresh": (("token", "refresh", "JTI"), check_refreshed),
    "config": (("config", "user.name", "restrict-me"), check_configured),
    "restore": (("restore", "-i", BACKUP, "--force"), check_restored),
    "backup": (("backup", "-o", "../new.tar.gz"), check_backed_up),
}


@pytest.mark.parametrize("name", CASES)
def test_killed_before_a_call(prepared: Path, place: Path, name: str) -> None:
    words, check = CASES[name]
    words = tuple(word if word != "JTI" else tokens(prepared)[0]["jti"] for word in words)
    trial = Path(shutil.copytree(prepared, place / "trial", symlinks=True))
    outcome, calls = strace.record(words, trial)
    assert outcome.status == 0, outcome
    check(trial, prepared)
    shutil.rmtree(trial)
    chosen = strace.telling(calls)
    assert len(chosen) >= 8
    for call in random.Random(name).sample(chosen, min(len(chosen), SAMPLE)):
        trial = Path(shutil.copytree(prepared, place / "trial", symlinks=True))
        try:
            strace.run_killed(words, trial, call)
            check(trial, prepared)
        except BaseException as error:
            error.add_note(f"killed before {call}")
            raise
        finally:
            shutil.rmtree(trial)
