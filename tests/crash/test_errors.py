"""Every call that may change the disk fails: a plain failure, nothing half done, and all is well without the fault.

One error for each call, going round the list (of long commands a seeded sample of calls, and of SQLite's calls on the
index), and for three commands every error at every call but the index's. Then faults that stay: a disk that is full,
unwritable or failing from some call on; and errors of reading and closing.
"""

from __future__ import annotations

import random
import re

import pytest

from tests.crash import strace, world
from tests.crash.conftest import Template, Templates
from tests.crash.scenarios import SCENARIOS, Scenario
from tests.crash.test_kill import assert_sound, check_whole

pytestmark = pytest.mark.usefixtures("needs_strace")
PARTS = 2
OF_LOG = 30
OF_INDEX = 5
ERRORS = ("ENOSPC", "EDQUOT", "EROFS", "EACCES", "EMFILE", "EIO", "EINTR")
FITTING = {
    "fsync": ("EIO", "ENOSPC", "EDQUOT", "EINTR"),
    "fdatasync": ("EIO", "ENOSPC", "EDQUOT", "EINTR"),
    "write": ("ENOSPC", "EDQUOT", "EIO", "EINTR"),
    "pwrite64": ("ENOSPC", "EDQUOT", "EIO", "EINTR"),
    "close": ("EIO", "EDQUOT", "ENOSPC"),
    "pread64": ("EIO", "EINTR"),
    "read": ("EIO", "EINTR"),
}
"""Errors that a call may give; any other call may give any of ERRORS."""
DOCUMENTED = frozenset({0, 1, 3, 4, 7})
THOROUGH = ("apply-later", "stage-later", "commit-journal")
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def disk_calls(template: Template, dice: random.Random) -> list[strace.Call]:
    """The calls on the repository, standard output left out; of those on the index a sample."""
    calls = [call for call in template.calls if not call.text.startswith("1<")]
    derived = [call for call in calls if "index.db" in call.text]
    others = strace.telling(call for call in calls if "index.db" not in call.text)
    return dice.sample(others, min(len(others), template.scenario.sampled or OF_LOG)) + dice.sample(
        derived, min(len(derived), OF_INDEX)
    )


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_each_call_fails_once(templates: Templates, scenario: Scenario, part: int) -> None:
    template = templates.get(scenario)
    dice = random.Random(scenario.name)
    calls = disk_calls(template, dice)
    for number, call in enumerate(calls):
        errors = FITTING.get(call.name, ERRORS)
        if number % PARTS == part:
            check_failing(templates, template, call.name, errors[number % len(errors)], str(call.number))


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", THOROUGH)
def test_each_call_fails_with_each_error(templates: Templates, name: str, part: int) -> None:
    template = templates.get(BY_NAME[name])
    pairs = [
        (call, error)
        for call in strace.telling(template.calls)
        if "index.db" not in call.text and not call.text.startswith("1<")
        for error in FITTING.get(call.name, ERRORS)
    ]
    for call, error in pairs[part::PARTS]:
        check_failing(templates, template, call.name, error, str(call.number))


@pytest.mark.parametrize("name", ["apply-later", "stage-later", "commit-journal", "commit-segment", "gc"])
@pytest.mark.parametrize(
    ("syscalls", "error"),
    [
        (("write", "pwrite64"), "ENOSPC"),
        (("write", "pwrite64"), "EDQUOT"),
        (("fsync", "fdatasync"), "EIO"),
        (("renameat", "rename"), "EACCES"),
        (("unlinkat", "unlink"), "EROFS"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else value,
)
def test_calls_fail_from_some_point_on(templates: Templates, name: str, syscalls: tuple[str, ...], error: str) -> None:
    """A full disk stays full. Every first failing call, on the log; a sample on the index."""
    template = templates.get(BY_NAME[name])
    dice = random.Random(f"{name} {error}")
    calls = [call for call in disk_calls(template, dice) if call.name in syscalls]
    for call in dice.sample(calls, min(len(calls), 6)):
        check_failing(templates, template, call.name, error, f"{call.number}+")


@pytest.mark.parametrize("name", ["apply-later", "commit-journal", "commit-segment", "stage-later"])
@pytest.mark.parametrize("call_name", ["close", "pread64", "read", "fstat", "newfstatat", "flock", "lseek"])
def test_reading_and_closing_fails(templates: Templates, name: str, call_name: str) -> None:
    """An error of close or read is a failure too; and nothing else than what is stored is ever returned."""
    template = templates.get(BY_NAME[name])
    with templates.copy(template.path) as trial:
        _, calls = strace.record(template.scenario.argv, trial, names=[call_name], every=True)
    dice = random.Random(f"{name} {call_name}")
    for call in dice.sample(calls, min(len(calls), 6)):
        for error in FITTING.get(call_name, ("EIO",)):
            check_failing(templates, template, call_name, error, str(call.number))


def check_failing(templates: Templates, template: Template, name: str, error: str, when: str) -> None:
    scenario = template.scenario
    with templates.copy(template.path) as trial:
        outcome = strace.run_failing(scenario.argv, trial, name, error, when)
        try:
            if name != "write" or not when.endswith("+"):  # else nothing can be said on standard error either
                assert_plain(outcome)
            assert outcome.status in DOCUMENTED, outcome
            found = check_whole(template, trial)
            world.assert_unlocked(trial)
            if outcome.status == 0:
                assert found.shape == template.after.shape, found
            again = strace.run(scenario.argv, trial)
            assert again.status in ({0} if found.shape == template.before.shape else scenario.again | {0}), again
            final = world.observe(trial)
            world.assert_grew(template.before, final, reorders=template.scenario.reorders)
            if scenario.repeats:
                assert final.work == found.work + template.after.work - template.before.work
            else:
                between = scenario.between(template.before, template.after, final)
                assert final.shape == template.after.shape or between, final
            assert_sound(trial)
        except BaseException as failure:
            failure.add_note(f"{name} #{when} failed with {error}: {outcome}")
            raise


def assert_plain(outcome: strace.Outcome) -> None:
    """One sentence, perhaps a hint, a documented status; no traceback, and nothing that Python says by itself."""
    assert outcome.status in DOCUMENTED, outcome
    for trace in ("Traceback", "Warning", "Exception ignored", "internal error"):
        assert trace not in outcome.stderr, outcome.stderr
    if outcome.status:
        assert re.match(r"dbx: error: [^\n]+\n(dbx: hint: [^\n]+\n)?$", outcome.stderr), outcome.stderr


@pytest.mark.parametrize("error", ["ENOSPC", "EIO", "EPIPE"])
def test_standard_output_fails(templates: Templates, error: str) -> None:
    """What was done stands, though nobody could be told."""
    for name in ("apply-later", "commit-journal"):
        template = templates.get(BY_NAME[name])
        spoken = [call for call in template.calls if call.text.startswith("1<")]
        assert spoken
        with templates.copy(template.path) as trial:
            outcome = strace.run_failing(template.scenario.argv, trial, "write", error, f"{spoken[0].number}")
            assert outcome.status in (0, 1), outcome
            assert "Traceback" not in outcome.stderr
            assert world.observe(trial).shape == template.after.shape
