"""Everything that is stored, against the schema files: the same answer from one process and from two."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dbx.errors import Failure
from dbx.repo.domain import Domain
from dbx.repo.repository import Repository
from dbx.repo.rules import Rules, load_rules
from dbx.repo.schema import schemahistory
from dbx.repo.schema.schemas import file_of
from dbx.repo.writer import Append, Appender

EVENTS = 300


@pytest.fixture
def domain(tmp_path: Path) -> Iterator[Domain]:
    made, _ = Repository.init(str(tmp_path), clock=lambda: 1_790_000_000_000_000)
    with closing(made):
        appender = Appender(made.domain())
        for first in range(0, EVENTS, 50):
            items = [
                {
                    "aggregate_type": "order" if n % 3 else "free",
                    "aggregate_id": f"o-{n % 7}",
                    "event_type": "placed",
                    "payload": {"n": "x" if n % 40 == 1 else n},
                }
                for n in range(first, first + 50)
            ]
            appender.append(Append(items, issued_by=None))
        made.domain().directory.write(file_of("order"), b"columns: {n: integer}\nevents: {placed: {}}\n")
        yield made.domain()


def rules_of(domain: Domain) -> Rules:
    rules = load_rules(domain, strict=False)
    rules.load_sound()
    return rules


@pytest.mark.parametrize("processes", [1, 2])
def test_every_event_is_checked_once_in_log_order(domain: Domain, processes: int) -> None:
    told: list[int] = []
    checked, invalid, found = schemahistory.check_history(
        domain, rules_of(domain), None, 100, processes=processes, progress=told.append, large_events=1
    )
    wanted = [n for n in range(1, EVENTS, 40) if n % 3]
    assert (checked, invalid) == (EVENTS, len(wanted))
    assert [one.aggregate_id for one in found] == [f"o-{n % 7}" for n in wanted]
    assert all("'n'" in one.message for one in found)
    _, invalid, found = schemahistory.check_history(
        domain, rules_of(domain), None, 2, processes=processes, progress=None, large_events=1
    )
    assert (invalid, len(found)) == (len(wanted), 2)
    assert domain.read(lambda working, _: working.head.position) == EVENTS  # the domain is as good as before


def test_one_type_only(domain: Domain) -> None:
    checked, invalid, _ = schemahistory.check_history(
        domain, rules_of(domain), "free", 100, processes=2, progress=None, large_events=1
    )
    assert (checked, invalid) == (EVENTS // 3, 0)


def test_the_death_of_the_second_process_is_told(domain: Domain) -> None:
    child = schemahistory._Child(domain, rules_of(domain), 0, EVENTS, 10)
    os.kill(child._pid, 9)
    with pytest.raises((Failure, ValueError)):
        child.join()
    child.stop()
