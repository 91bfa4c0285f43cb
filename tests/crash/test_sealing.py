"""`gc --reseal`, killed before any of its calls and run again, leaves nothing in plain."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.cli.test_sealing import plain_bytes
from tests.crash import strace, world
from tests.crash.conftest import Templates
from tests.crash.scenarios import RESEAL

pytestmark = pytest.mark.usefixtures("needs_strace")
SAMPLED = 10
# What every body begins with, and every state of these events.
MARKS = (b'{"payload":{', b'{"n":')


def plain_files(where: Path) -> list[str]:
    """Files below the domain that hold a body or a state in plain, as they are or deflated."""
    return [
        path.name
        for path in sorted((where / "work" / ".dbx").rglob("*"))
        if path.is_file() and any(mark in data for data in plain_bytes(path.read_bytes()) for mark in MARKS)
    ]


def test_killed_and_run_again_it_leaves_nothing_in_plain(templates: Templates) -> None:
    template = templates.get(RESEAL)
    assert {"index.db", "staging.jsonl", "snapshots.db"} <= set(plain_files(template.path))
    calls = strace.telling(template.calls)
    for call in random.Random("reseal").sample(calls, SAMPLED):
        with templates.copy(template.path) as trial:
            strace.run_killed(RESEAL.argv, trial, call)
            again = strace.run(RESEAL.argv, trial)
            assert again.status == 0, again
            assert plain_files(trial) == [], call
            assert world.observe(trial).shape == template.before.shape
            world.verify(trial)
