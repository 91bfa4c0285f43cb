"""SIGKILL before every call that may change the disk: all or nothing, nothing twice, and no manual step.

Each test takes every fourth call of a command, so that the work spreads over processes. Between odd and even calls it
alternates what is done first afterwards: looking with fsck, or the same command once more. Of SQLite's many calls on
the index, which is derived, a seeded sample is taken; of all others, each that leaves another disk (strace.telling).
"""

from __future__ import annotations

import random

import pytest

from tests.crash import strace, world
from tests.crash.conftest import Template, Templates
from tests.crash.scenarios import SCENARIOS, Scenario
from tests.crash.world import State

pytestmark = pytest.mark.usefixtures("needs_strace")
PARTS = 4
OF_INDEX = 8


def chosen_calls(template: Template, part: int) -> list[tuple[int, strace.Call]]:
    dice = random.Random(template.scenario.name)
    calls = list(enumerate(strace.telling(template.calls)))
    derived = [call for call in calls if "index.db" in call[1].text]
    calls = [call for call in calls if "index.db" not in call[1].text]
    if template.scenario.sampled:
        calls = dice.sample(calls, min(len(calls), template.scenario.sampled))
    calls += dice.sample(derived, min(len(derived), OF_INDEX))
    return sorted(calls)[part::PARTS]


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_kill_before_each_call(templates: Templates, scenario: Scenario, part: int) -> None:
    template = templates.get(scenario)
    assert len(template.calls) >= PARTS
    for turn, (number, call) in enumerate(chosen_calls(template, part)):
        with templates.copy(template.path) as trial:
            outcome = strace.run_killed(scenario.argv, trial, call)
            try:
                check_after_kill(template, trial, outcome, look_first=turn % 2 == 0)
            except BaseException as error:
                error.add_note(f"killed before call {number}: {call}")
                raise


def check_after_kill(template: Template, trial: world.Path, outcome: strace.Outcome, *, look_first: bool) -> None:
    scenario, before, after = template.scenario, template.before, template.after
    world.assert_unlocked(trial)
    found: State | None = None
    if look_first:
        found = check_whole(template, trial)
        if not outcome.killed:
            assert outcome.status == 0, outcome
            assert found.shape == after.shape
        assert_sound(trial)
    again = strace.run(scenario.argv, trial)
    final = world.observe(trial)
    world.assert_grew(before, final, reorders=scenario.reorders)
    if found is not None and found.shape == before.shape:
        assert again.status == 0, again
    assert again.status in scenario.again | {0}, again
    assert "Traceback" not in again.stderr
    if scenario.repeats:
        extra = after.work - before.work
        assert final.work - before.work in (extra, 2 * extra)
        if found is not None:
            assert final.work == found.work + extra
    else:
        assert final.shape == after.shape or scenario.between(before, after, final), final
    assert_sound(trial)


def check_whole(template: Template, trial: world.Path) -> State:
    """The command did all of its work or nothing."""
    found = world.observe(trial)
    world.assert_grew(template.before, found, reorders=template.scenario.reorders)
    shapes = (template.before.shape, template.after.shape)
    assert found.shape in shapes or template.scenario.between(template.before, template.after, found), found
    return found


def assert_sound(trial: world.Path) -> None:
    """fsck finds nothing, and rebuilding from the log gives what the index said."""
    outcome = strace.run(["fsck", "--json"], trial)
    if (trial / "work" / ".dbx" / "HEAD").exists():
        assert outcome.status == 0, outcome
    else:
        assert outcome.status == 3, outcome
    assert "Traceback" not in outcome.stderr
    world.verify(trial)
