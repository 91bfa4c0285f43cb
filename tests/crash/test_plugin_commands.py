"""SIGKILL before each call of the commands about plugins: each is as before or as after, and works when run again.

Whatever was killed, a plugin gets what is committed once it was configured, and a replay leaves nothing out.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.crash import strace, world
from tests.crash.world import append, item, make, tidy

pytestmark = pytest.mark.usefixtures("needs_strace")
EVENTS = 7
Check = Callable[[Path, Path, bool], None]
Case = tuple[tuple[str, ...], Check]
SAMPLE = 12
LINE = ("--payload", "event-only", "--template", "{id} {version}")


def ok(where: Path, *arguments: str) -> Any:
    outcome = strace.run((*arguments, "--json"), where)
    assert outcome.status == 0, outcome
    return json.loads(outcome.stdout)


@pytest.fixture(scope="module")
def place(scratch: Path) -> Path:
    path = scratch / "plugin-commands"
    path.mkdir()
    return path


@pytest.fixture
def prepared(place: Path) -> Path:
    """Seven events in two domains; `audit` and `off` write lines to files beside the workspace, `off` is disabled."""
    path = place / "prepared"
    if not path.exists():
        for part in ("work", "home"):
            (path / part).mkdir(parents=True)
        make(path)
        append(path, [item(n) for n in range(EVENTS)])
        tidy(path)
        strace.run(("checkout", "-c", "other"), path)
        append(path, [item(n) for n in range(3)], domain="other")
        strace.run(("checkout", "default"), path)
        for name, more in (("audit", ()), ("off", ("--disable",))):
            words = ("--name", name, "--file", str(place / f"{name}.log"), *LINE)
            ok(path, "plugin", "config", "log", *words, *more)
    return path


@pytest.fixture
def waiting(prepared: Path, place: Path) -> Path:
    """The same with seven events that wait for `audit`, and that are dead for `bad`, whose file cannot be."""
    path = place / "waiting"
    if not path.exists():
        shutil.copytree(prepared, path, symlinks=True)
        ok(path, "plugin", "config", "log", "--name", "bad", "--file", str(place / "none" / "log"), *LINE)
        ok(path, "config", "plugin_max_attempts", "1")
        append(path, [item(10 + n, f"o-{n}") for n in range(EVENTS)])
        ok(path, "plugin", "run", "bad", "--once")
        assert ok(path, "queue")["dead"] == EVENTS
    return path


def listed(where: Path) -> dict[str, Any]:
    return {plugin["name"]: plugin for plugin in ok(where, "plugin", "list")}


def lines(place: Path, name: str) -> list[str]:
    path = place / f"{name}.log"
    found = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return [line.rpartition(": ")[2] for line in found]


def fresh(prepared: Path, place: Path) -> Path:
    """A copy to work in, and nothing delivered yet."""
    for name in ("audit", "off", "new"):
        lines(place, name)
    return Path(shutil.copytree(prepared, place / "trial", symlinks=True))


def check_gets(where: Path, place: Path, name: str) -> None:
    """What is committed now, in each domain, and nothing of before."""
    for domain, version in (("default", 2), ("other", 2)):
        append(where, [item(50, "o-0")], domain=domain)
        ok(where, "plugin", "run", "--once", "-d", domain)
        assert lines(place, name) == [f"o-0 {version}"]


def check_configured(where: Path, place: Path, killed: bool) -> None:
    words = ("--name", "new", "--file", str(place / "new.log"), *LINE)
    assert killed or "new" in listed(where)
    assert set(listed(where)) in ({"audit", "off"}, {"audit", "off", "new"})
    ok(where, "plugin", "config", "log", *words)
    check_gets(where, place, "new")


def check_changed(where: Path, place: Path, killed: bool) -> None:
    mode = listed(where)["audit"]["payload_mode"]
    assert mode == "extensions-only" or (killed and mode == "event-only")
    check_gets(where, place, "audit")


def check_enabled(where: Path, place: Path, killed: bool) -> None:
    assert listed(where)["off"]["enabled"] or killed
    ok(where, "plugin", "enable", "off")
    check_gets(where, place, "off")


def check_disabled(where: Path, place: Path, killed: bool) -> None:
    assert killed or not listed(where)["audit"]["enabled"]
    ok(where, "plugin", "disable", "audit")
    append(where, [item(50, "o-0")])
    ok(where, "plugin", "enable", "audit")
    ok(where, "plugin", "run", "--once")
    assert lines(place, "audit") == ["o-0 2"]


def check_removed(where: Path, place: Path, killed: bool) -> None:
    there = "audit" in listed(where)
    assert killed or not there
    again = strace.run(("plugin", "remove", "audit", "--disable"), where)
    assert again.status == (0 if there else 3), again
    append(where, [item(60, "o-1")])
    words = ("--name", "audit", "--file", str(place / "audit.log"), *LINE)
    ok(where, "plugin", "config", "log", *words)
    check_gets(where, place, "audit")


def check_replayed(where: Path, place: Path, killed: bool) -> None:
    """Each in its order; what was not noted is sent again, and nothing is left out."""
    first = lines(place, "audit")
    whole = [f"o-{n} 1" for n in range(EVENTS)]
    assert first == whole[: len(first)]
    assert killed or first == whole
    done = ok(where, "plugin", "replay", "audit", "order")
    second = lines(place, "audit")
    assert second == whole[-len(second) :]
    assert len(first) + len(second) >= EVENTS
    assert done["replayed"] == len(second) == EVENTS - done["earlier"]
    assert ok(where, "plugin", "replay", "audit", "order", "--dry-run")["events"] == EVENTS
    assert ok(where, "plugin", "status", "audit")[0]["replays"] == []
    check_gets(where, place, "audit")


def check_run(where: Path, place: Path, killed: bool) -> None:
    """What waits is delivered, in its order; what was not noted is delivered again."""
    first = lines(place, "audit")
    whole = [f"o-{n} 2" for n in range(EVENTS)]
    assert first == whole[: len(first)]
    assert killed or first == whole
    ok(where, "plugin", "run", "audit", "--once")
    second = lines(place, "audit")
    assert second == whole[EVENTS - len(second) :]
    assert len(first) + len(second) >= EVENTS
    found = ok(where, "queue")
    assert (found["dead"], ok(where, "plugin", "status", "audit")[0]["pending"]) == (EVENTS, 0)


def check_retried(where: Path, place: Path, killed: bool) -> None:
    found = ok(where, "queue")
    assert (found["dead"], found["pending"]) in ((EVENTS, EVENTS), (0, 2 * EVENTS))
    assert killed or found["dead"] == 0
    assert sum(ok(where, "queue", "retry").values()) == found["dead"]
    assert (ok(where, "queue")["dead"], ok(where, "queue")["pending"]) == (0, 2 * EVENTS)


def check_cleared(where: Path, place: Path, killed: bool) -> None:
    found = ok(where, "queue")["dead"]
    assert found == 0 or (killed and found == EVENTS)
    assert ok(where, "queue", "clear", "--yes")["cleared"] == found
    assert (ok(where, "queue")["dead"], ok(where, "queue")["pending"]) == (0, EVENTS)


CONFIG = ("plugin", "config", "log", "--name")
AGAIN = ("--payload", "extensions-only", *LINE[2:])
CASES: dict[str, Case] = {
    "config-new": ((*CONFIG, "new", "--file", "PLACE/new.log", *LINE), check_configured),
    "config-again": (
        ("plugin", "config", "log", "--name", "audit", "--file", "PLACE/audit.log", *AGAIN),
        check_changed,
    ),
    "enable": (("plugin", "enable", "off"), check_enabled),
    "disable": (("plugin", "disable", "audit"), check_disabled),
    "remove": (("plugin", "remove", "audit", "--disable"), check_removed),
    "replay": (("plugin", "replay", "audit", "order"), check_replayed),
    # Slowly, so that the bookmark is written before each delivery.
    "replay-slowly": (("plugin", "replay", "audit", "order", "--rate", "9"), check_replayed),
}


OF_WAITING: dict[str, Case] = {
    "run": (("plugin", "run", "audit", "--once"), check_run),
    "retry": (("queue", "retry"), check_retried),
    "clear": (("queue", "clear", "--yes"), check_cleared),
}


@pytest.mark.parametrize("name", CASES)
def test_killed_before_a_call(prepared: Path, place: Path, name: str) -> None:
    kill_before_calls(prepared, place, *CASES[name])


@pytest.mark.parametrize("name", OF_WAITING)
def test_killed_before_a_call_of_the_queue(waiting: Path, place: Path, name: str) -> None:
    kill_before_calls(waiting, place, *OF_WAITING[name])


def kill_before_calls(prepared: Path, place: Path, words: tuple[str, ...], check: Check) -> None:
    words = tuple(word.replace("PLACE", str(place)) for word in words)
    trial = fresh(prepared, place)
    outcome, calls = strace.record(words, trial)
    assert outcome.status == 0, outcome
    check(trial, place, False)
    shutil.rmtree(trial)
    chosen = [call for call in strace.telling(calls) if "index.db" not in call.text]
    assert len(chosen) >= 4
    for call in random.Random(words[1]).sample(chosen, min(len(chosen), SAMPLE)):
        trial = fresh(prepared, place)
        try:
            killed = strace.run_killed(words, trial, call).killed
            world.assert_unlocked(trial)
            check(trial, place, killed)
            assert strace.run(("fsck", "--all"), trial).status == 0
            assert not list(trial.rglob(".tmp-*")) or killed
        except BaseException as error:
            error.add_note(f"killed before {call}")
            raise
        finally:
            shutil.rmtree(trial)
