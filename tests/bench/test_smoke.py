"""Every part of the benchmark runs, on sizes that say nothing about speed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench import workload
from tests.bench.figures import Figure, format_figure
from tests.bench.main import names

RUN = Path(__file__).with_name("run.py")


@pytest.mark.bench
@pytest.mark.parametrize("part", names())
def test_a_part_measures_all_it_promises(part: str, tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    command = [sys.executable, str(RUN), "--quick", "--only", part, "--json", str(out)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(out.read_text())
    assert found["failed"] == []
    assert [figure for figure in found["parts"][part] if figure["goal"]], "no figure has a goal"
    assert not list((RUN.parents[2] / "build").glob("bench-*")), "the directory that was to go away is there"


def test_the_workload_is_the_same_every_time() -> None:
    first, again = (list(workload.events(1000, 100)) for _ in range(2))
    assert first == again
    assert {event["event_type"] for event in first[:100]} == {"order_placed"}
    versions = [sum(e["aggregate_id"] == workload.name_of(n) for e in first) for n in range(100)]
    assert versions == [10] * 100


def test_a_figure_says_whether_its_goal_is_met() -> None:
    missed = Figure("get", 0.001, "s", 0.0005, "json.loads", 2.0, "times as long", "at most 1.5", met=False)
    line = format_figure(missed)
    for part in ("1.0 ms", "json.loads 500.0 µs", "2.00 times as long", "goal: at most 1.5, NOT MET"):
        assert part in line
