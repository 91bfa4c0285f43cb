"""What takes history back: killed before every call, and power cut at any moment. The old state or the new one.

These are not among the scenarios of other crash tests, which hold that history only grows.
"""

from __future__ import annotations

import random
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from tests.crash import diskmodel, strace, world
from tests.crash.conftest import Templates
from tests.crash.scenarios import Scenario, _few
from tests.crash.test_errors import ERRORS, FITTING, assert_plain, disk_calls
from tests.crash.test_kill import assert_sound
from tests.crash.test_power_cut import chosen_moments

pytestmark = pytest.mark.usefixtures("needs_strace")
OF_INDEX = 6
STATES = 40


def _sealed(where: Path) -> None:
    _few(where)
    world.tidy(where)


def _only_one(where: Path) -> None:
    world.make(where)
    world.append(where, [world.item(1), world.item(2)], each=False)


def _undone(where: Path) -> None:
    _few(where)
    assert strace.run(("undo", "--yes"), where).status == 0


def _tagged(where: Path) -> None:
    _few(where)
    assert strace.run(("tag", "v1", "-m", "why"), where).status == 0


UNDO = ("undo", "--yes")
SCENARIOS = (
    Scenario("undo-journal", UNDO, _few),
    Scenario("undo-sealed", UNDO, _sealed),
    Scenario("undo-first", UNDO, _only_one),
    Scenario("undo-undo", UNDO, _undone),
    Scenario("undo-tag", UNDO, _tagged),
    Scenario("tag", ("tag", "v1", "-m", "why"), _few),
    Scenario("tag-move", ("tag", "-f", "v1", "HEAD~1"), _tagged),
    Scenario("tag-delete", ("tag", "-d", "v1"), _tagged),
)


def observe(where: Path) -> tuple[world.State, list[tuple[str, int, str | None]]]:
    """What is there, and its tags."""
    from dbx.repo.refs.tags import list_tags

    state = world.observe(where)
    with closing(world.open_repository(where)) as repository:
        return state, [(tag.name, tag.seq, tag.message) for tag in list_tags(repository.domain())]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_kill_before_each_call(templates: Templates, scenario: Scenario) -> None:
    template = templates.get(scenario)
    before = observe(template.path)
    with templates.copy(template.path) as trial:
        assert strace.run(scenario.argv, trial).status == 0
        after = observe(trial)
    assert before != after
    dice = random.Random(scenario.name)
    derived = [call for call in template.calls if "index.db" in call.text]
    calls = [call for call in strace.telling(template.calls) if "index.db" not in call.text]
    calls += dice.sample(derived, min(len(derived), OF_INDEX))
    for turn, call in enumerate(calls):
        with templates.copy(template.path) as trial:
            outcome = strace.run_killed(scenario.argv, trial, call)
            try:
                world.assert_unlocked(trial)
                if turn % 2:
                    assert_sound(trial)  # nobody has mended anything yet
                found = observe(trial)
                assert found in (before, after)
                if not outcome.killed:
                    assert found == after
                assert_sound(trial)
                # Whoever writes next goes on from there.
                world.append(trial, [world.item(1)])
                assert world.observe(trial).work == found[0].work + 1
                assert_sound(trial)
            except BaseException as error:
                error.add_note(f"killed before {call}")
                raise


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_power_cut_at_any_moment(templates: Templates, scenario: Scenario, scratch: Path) -> None:
    template = templates.get(scenario)
    before = observe(template.path)
    with templates.copy(template.path) as trial:
        disk = diskmodel.Disk.of(trial / "work")
        log = trial / "strace.log"
        outcome = strace.run(scenario.argv, trial, options=[*diskmodel.OPTIONS, "-o", str(log)])
        assert outcome.status == 0, outcome
        disk.follow(log)
        after = observe(trial)
    dice = random.Random(scenario.name)
    for number, moment in enumerate(chosen_moments(diskmodel.cutoffs(disk), dice, STATES)):
        contents, entries = diskmodel.survive(disk, moment, dice)
        trial = scratch / "cut"
        (trial / "home").mkdir(parents=True)
        (trial / "work").mkdir()
        diskmodel.lay_out(trial / "work", contents, entries)
        try:
            if number % 10 == 0:
                assert_sound(trial)
            found = observe(trial)
            assert found == after if moment.acknowledged else found in (before, after)
            world.verify(trial)
            world.append(trial, [world.item(1)])
            assert world.observe(trial).work == found[0].work + 1
        except BaseException as error:
            last = disk.operations[moment.operations - 1] if moment.operations else None
            error.add_note(f"state {number}, after operation {moment.operations}: {str(last)[:200]}")
            raise
        finally:
            shutil.rmtree(trial)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_each_call_fails_once(templates: Templates, scenario: Scenario) -> None:
    template = templates.get(scenario)
    before = observe(template.path)
    with templates.copy(template.path) as trial:
        assert strace.run(scenario.argv, trial).status == 0
        after = observe(trial)
    for number, call in enumerate(disk_calls(template, random.Random(scenario.name))):
        errors = FITTING.get(call.name, ERRORS)
        error = errors[number % len(errors)]
        with templates.copy(template.path) as trial:
            outcome = strace.run_failing(scenario.argv, trial, call.name, error, str(call.number))
            try:
                assert_plain_with_note(outcome)
                if number % 2:
                    assert_sound(trial)
                found = observe(trial)
                assert found in (before, after)
                if outcome.status == 0:
                    assert found == after
                world.assert_unlocked(trial)
                if found == before:
                    assert strace.run(scenario.argv, trial).status == 0
                    assert observe(trial) == after
                assert_sound(trial)
            except BaseException as failure:
                failure.add_note(f"{call} failed with {error}: {outcome}")
                raise


def assert_plain_with_note(outcome: strace.Outcome) -> None:
    """As assert_plain; what is kept may have been told."""
    lines = [line for line in outcome.stderr.splitlines(keepends=True) if "they are kept as" not in line]
    assert_plain(strace.Outcome(outcome.status, outcome.stdout, "".join(lines)))
