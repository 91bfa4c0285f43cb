"""A watcher that is killed leaves nothing that is in anybody's way: no lock, no half a cycle; the next one goes on."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.crash import strace, world
from tests.crash.conftest import Templates
from tests.crash.scenarios import SCENARIOS
from tests.crash.test_kill import assert_sound, chosen_calls

(WATCH,) = (scenario for scenario in SCENARIOS if scenario.name == "watch")
ROUNDS = 6


def ok(where: Path, *arguments: str) -> str:
    outcome = strace.run(arguments, where)
    assert outcome.status == 0, outcome
    return outcome.stdout


def root(where: Path, domain: str) -> str:
    return str(json.loads(ok(where, "root", domain, "--json"))["root"])


def state(where: Path) -> dict[str, object]:
    (found,) = json.loads(ok(where, "watch", "status", "--json"))
    return dict(found)


@pytest.mark.usefixtures("needs_strace")
def test_killed_anywhere_in_a_cycle(templates: Templates) -> None:
    template = templates.get(WATCH)
    for number, call in chosen_calls(template, 0):
        with templates.copy(template.path) as trial:
            strace.run_killed(WATCH.argv, trial, call)
            try:
                world.assert_unlocked(trial)
                told = strace.run(("watch", "status", "--json"), trial)
                assert told.status in (0, 3), told  # 3 where it had not come to say anything
                assert told.status == 3 or json.loads(told.stdout)[0]["active"] is False
                assert json.loads(ok(trial, "watch", "stop", "--json"))["stopped"] is False
                done = json.loads(ok(trial, "watch", "--run-once", "--skip-if-active", "--json"))
                assert "skipped" not in done
                assert done["error"] is None
                assert root(trial, "default") == root(trial, "other")
                assert state(trial)["stopped_at"] is not None
                assert_sound(trial)
            except BaseException as error:
                error.add_note(f"killed before call {number}: {call}")
                raise


def test_killed_again_and_again_while_both_sides_commit(where: Path) -> None:
    """Every event of both sides is on both in the end, each once, and nobody removed a lock."""
    dice = random.Random(7)
    WATCH.prepare(where)
    placed = {f"o-{side}-{n}" for side in ("default", "other") for n in range(ROUNDS)}
    for n in range(ROUNDS):
        started = json.loads(ok(where, "watch", "--background", "--interval", "1", "--json"))
        end = time.monotonic() + dice.uniform(0, 0.6)
        for side in ("default", "other"):
            ok(where, "-d", side, "aggregate", "apply", "order", f"o-{side}-{n}", "order_placed", "--create")
        time.sleep(max(0.0, end - time.monotonic()))
        os.kill(int(started["pid"]), signal.SIGKILL)
        await_end(where)
        assert state(where)["stopped_at"] is None
    ok(where, "watch", "--run-once")
    assert root(where, "default") == root(where, "other")
    for side in ("default", "other"):
        events = json.loads(ok(where, "-d", side, "events", "--json"))
        names = [one["aggregate_id"] for one in events if one["aggregate_id"] in placed]
        assert sorted(names) == sorted(placed)
    assert_sound(where)


def await_end(where: Path) -> None:
    deadline = time.monotonic() + 20
    while state(where)["active"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
