"""The clock stands, goes back, jumps ahead: events keep the order of the log, and their ids are unique and increase."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from dbx.repo import query
from tests.crash import strace, world
from tests.crash.test_kill import assert_sound

START = "2026-11-23T12:00:00Z"
CLOCKS = {
    "standing": [START] * 12,
    "back by a second": [f"2026-11-23T12:00:{59 - n:02d}Z" for n in range(12)],
    "back by an hour": [START] * 4 + ["2026-11-23T11:00:00Z"] * 8,
    "back by a year": [START] * 4 + ["2025-11-23T12:00:00Z"] * 8,
    "before ids begin": [START] * 4 + ["2024-06-01T00:00:00Z"] * 4 + ["1971-01-01T00:00:00Z"] * 4,
    "ahead and back": ["2026-11-23T12:00:00Z", "2031-01-01T00:00:00Z"] * 6,
    "ahead by decades and back": [START, "2093-01-01T00:00:00Z", START, "2026-11-23T12:00:01Z"] * 3,
    "forward": [f"2026-11-23T12:00:00.{n:06d}Z" for n in range(12)],
}


@pytest.mark.parametrize("name", CLOCKS)
def test_clock(where: Path, name: str) -> None:
    world.make(where)
    marks = []
    for n, now in enumerate(CLOCKS[name]):
        argv = ["aggregate", "apply", "order", f"o-{n % 2}", "marked", "--create", "--field", f"mark={n}"]
        outcome = strace.run([*argv, "--stage"] if n % 3 == 2 else argv, where, env={"DBX_NOW": now})
        assert outcome.status == 0, outcome
        if n % 3 == 2:
            outcome = strace.run(["commit"], where, env={"DBX_NOW": now})
            assert outcome.status == 0, outcome
        marks.append(str(n))
    with closing(world.open_repository(where)) as repository:
        events = list(query.iterate_events(repository.domain()))
    assert [event.payload["mark"] for event in events if event.payload] == marks
    ids = [event.event_id for event in events]
    assert len(set(ids)) == len(ids)
    # Whatever the clock did. A clock that was ahead by more than a day leaves its worker behind.
    workers = {event_id >> 12 & 1023 for event_id in ids}
    assert len(workers) <= 2 or "year" in name or "ahead" in name or "before" in name
    for worker in workers:
        mine = [event_id for event_id in ids if event_id >> 12 & 1023 == worker]
        assert mine == sorted(mine)
    assert_sound(where)


def test_many_events_within_one_microsecond(where: Path) -> None:
    """More events than one millisecond has ids for, while the clock stands."""
    world.make(where)
    (where / "work" / "many.jsonl").write_text(world.lines([world.item(n) for n in range(9000)]))
    env = {"DBX_NOW": START}
    for _ in range(2):
        outcome = strace.run(["aggregate", "apply", "--stage", "--from", "many.jsonl"], where, env=env)
        assert outcome.status == 0, outcome
    assert strace.run(["commit"], where, env=env).status == 0
    with closing(world.open_repository(where)) as repository:
        ids = [event.event_id for event in query.iterate_events(repository.domain())]
    assert len(ids) == 18000
    assert ids == sorted(set(ids))
    assert_sound(where)
