"""What events add up to is what the domain they come from says, whatever they are and however they are cut."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dbx.errors import Corrupt
from dbx.formats.bundle import START
from dbx.model.event import ARCHIVED, RESTORED
from dbx.repo.domain import Domain
from dbx.repo.replica.quarantine import quarantined
from dbx.repo.upkeep.redact import find_bodies, redact
from dbx.repo.writer import Append, Appender
from tests.history import item, open_repository
from tests.unit.repo.replica.test_vet import SALT, body, contents, forge, parts, refusal, vetting

KEYS = ["a", "b", "é", "q d", "n"]
VALUES: list[Any] = [0, -1.5, "x", 'quote"d', "\N{EURO SIGN}", None, [], [1, {"b": 2}], {"k": {}}]


def fill(domain: Domain, commits: int, seed: int) -> None:
    """Commits of events with some members each, metadata and notes now and then, aggregates that are archived for a
    while, and at the end some bodies that are erased."""
    draw = random.Random(seed)
    archived: set[str] = set()
    for _ in range(commits):
        items = []
        for name in (f"o-{draw.randrange(12)}" for _ in range(draw.randrange(1, 9))):
            if name in archived:
                continue
            payload = {key: draw.choice(VALUES) for key in draw.sample(KEYS, draw.randrange(4))}
            found = item(name, draw.choice(["placed", "changed", "paid"]), **payload)
            if draw.random() < 0.3:
                found["metadata"] = {"@m": draw.choice(VALUES)}
            if draw.random() < 0.1:
                found["note"] = "so it is"
            items.append(found)
        if items:
            Appender(domain).append(Append(items, issued_by=None))
        name = f"o-{draw.randrange(12)}"
        if name in archived or (items and draw.random() < 0.2 and any(one["aggregate_id"] == name for one in items)):
            archived ^= {name}
            kind = ARCHIVED if name in archived else RESTORED
            Appender(domain).append(Append([item(name, kind)], issued_by=None, reserved=True))
    bodies = [body for name in ("o-1", "o-2") for body in find_bodies(domain, "order", name)[:3]]
    redact(domain, bodies, "asked for", None)


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Domain]:
    (tmp_path / "source").mkdir()
    with closing(open_repository(tmp_path / "source")) as repository:
        yield repository.domain()


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Domain]:
    (tmp_path / "target").mkdir()
    with closing(open_repository(tmp_path / "target")) as repository:
        yield repository.domain()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("cut", [None, 9])
@pytest.mark.parametrize("known", [0, 5])
def test_states_are_those_of_the_domain_that_they_come_from(
    source: Domain, target: Domain, seed: int, cut: int | None, known: int
) -> None:
    fill(source, 40, seed)
    given = parts(source)
    with quarantined(target.directory) as directory, vetting(target, None) as (made, held):
        base = START
        # What comes first is written to the index, and what comes later is folded over its rows.
        for some in (given[:known], given[known:]) if known else (given,):
            arrived = forge(directory, source, some, base)
            made.take(arrived.directory, arrived.entries[0])
            if some is not given[known:]:
                made.flush(all_of_it=True)
            base = arrived.header.head
        if cut is not None:
            made.flush()
        made.finish()
        found = contents(held)
    source.sync()
    source.flush()
    assert found == contents(source.index())


def test_events_that_are_added_need_no_file(source: Domain, target: Domain) -> None:
    fill(source, 40, 0)
    blocks = [(part.envelopes, part.bodies) for part in parts(source)]
    with vetting(target, None) as (made, held):
        for envelopes, bodies in blocks:
            made.add(made.examine(envelopes, bodies))
        made.finish()
        found = contents(held)
    source.sync()
    source.flush()
    assert found["aggregates"] == contents(source.index())["aggregates"]


def test_of_two_bodies_that_are_wrong_the_first_is_named(source: Domain, target: Domain) -> None:
    fill(source, 40, 0)
    forged = parts(source)
    for seq in (30, 12):
        body(forged[seq], 0, b'{"payload": {}' + SALT)
    with quarantined(target.directory) as directory:
        both = refusal(target, forge(directory, source, forged), None)
        body(forged[30], 0, b'{"payload":{}' + SALT)
        first = refusal(target, forge(directory, source, forged), None)
    assert isinstance(both, Corrupt)
    assert both.details["offset"] == first.details["offset"]
    assert both.message.partition("damaged")[2] == first.message.partition("damaged")[2]
