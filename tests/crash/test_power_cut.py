"""The power fails at any moment: every state the disk may then be in opens, and holds all that was acknowledged.

A seeded sample of moments and states for each command; see diskmodel.py for what a disk may do.
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from tests.crash import diskmodel, strace, world
from tests.crash.conftest import Templates
from tests.crash.scenarios import SCENARIOS, Scenario
from tests.crash.test_kill import assert_sound

pytestmark = pytest.mark.usefixtures("needs_strace")
TENSE = 2 / 3
PARTS = 2
FSCK_EVERY = 20


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_power_cut_at_any_moment(templates: Templates, scenario: Scenario, part: int, scratch: Path) -> None:
    template = templates.get(scenario)
    with templates.copy(template.path) as trial:
        disk = diskmodel.Disk.of(trial / "work")
        log = trial / "strace.log"
        outcome = strace.run(scenario.argv, trial, options=[*diskmodel.OPTIONS, "-o", str(log)])
        assert outcome.status == 0, outcome
        disk.follow(log)
        assert_model_agrees(disk, trial, scratch)
        after = world.observe(trial)
    dice = random.Random(f"{scenario.name} {part}")
    for number, moment in enumerate(chosen_moments(diskmodel.cutoffs(disk), dice, scenario.states)):
        contents, entries = diskmodel.survive(disk, moment, dice)
        trial = scratch / "cut"
        (trial / "home").mkdir(parents=True)
        (trial / "work").mkdir()
        diskmodel.lay_out(trial / "work", contents, entries)
        try:
            found = world.observe(trial)
            if moment.acknowledged:
                assert found == after
            else:
                world.assert_grew(template.before, found, reorders=template.scenario.reorders)
                shapes = (template.before.shape, after.shape)
                assert found.shape in shapes or scenario.between(template.before, after, found), found
            if number % FSCK_EVERY == 0:
                assert_sound(trial)
            else:
                world.verify(trial)
            if found.active is not None:
                # The next writer goes on where the power cut left off. No scenario declares this type.
                world.append(trial, [{**world.item(1), "aggregate_type": "visitor"}])
                assert world.observe(trial).work == found.work + 1
        except BaseException as error:
            last = disk.operations[moment.operations - 1] if moment.operations else None
            error.add_note(f"state {number}, after operation {moment.operations}: {str(last)[:200]}")
            raise
        finally:
            shutil.rmtree(trial)


def chosen_moments(moments: list[diskmodel.Cutoff], dice: random.Random, count: int) -> list[diskmodel.Cutoff]:
    """So many; two thirds are moments right before a sync, or the end; the others any."""
    tense = [moment for moment in moments if moment.is_tense]
    share = int(count * TENSE)
    chosen = [tense[n % len(tense)] for n in range(share)]
    return chosen + dice.choices(moments, k=count - share)


def assert_model_agrees(disk: diskmodel.Disk, trial: Path, scratch: Path) -> None:
    """With everything kept, the model holds what is really there."""
    everything = diskmodel.cutoffs(disk)[-1]
    contents, entries = diskmodel.survive(disk, everything, _Keep())
    target = scratch / "whole"
    target.mkdir()
    try:
        diskmodel.lay_out(target, contents, entries)
        assert _files(target) == _files(trial / "work")
    finally:
        shutil.rmtree(target)


class _Keep(random.Random):
    """Dice that always say 'all'."""

    def choice(self, seq):  # type: ignore[no-untyped-def]
        return "all"


def _files(root: Path) -> dict[str, bytes]:
    """What the model follows: all but the memory that SQLite maps."""
    found = (path for path in sorted(root.rglob("*")) if path.is_file() and not path.name.endswith("-shm"))
    return {str(path.relative_to(root)): path.read_bytes() for path in found}
