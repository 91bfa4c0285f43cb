"""What the engine writes, read back by a reader that was written from the format page alone."""

from __future__ import annotations

import itertools
import pathlib

import pytest

from dbx.formats.envelope import Actor
from dbx.repo import query
from dbx.repo.batch.commit import commit_staged
from dbx.repo.batch.staging import stage
from dbx.repo.domain import Domain
from dbx.repo.repository import Repository
from dbx.repo.upkeep.fork import fork_domain
from dbx.repo.upkeep.gc import collect
from dbx.repo.upkeep.reindex import reindex
from dbx.repo.writer import Append, Appender
from tests.reader import read

JANE = Actor("ops", 'jane "the boss" Ünal')


def item(kind: str, name: str, **payload: object) -> dict[str, object]:
    return {"aggregate_type": kind, "aggregate_id": name, "event_type": f"{kind}_changed", "payload": payload}


def agrees(domain: Domain) -> None:
    """Both readers see the same history, states and roots."""
    log = read(domain.directory.path)
    head = domain.sync().head
    assert (head.seq + 1, head.position, head.root.hex()) == (len(log.commits), len(log.events), log.index)
    assert head.commit.hex() == (log.commit_ids[-1] if log.commit_ids else "")
    found = {(a.aggregate_type, a.aggregate_id): a for a in query.iterate_aggregates(domain, archived=None)}
    assert {name: a.root for name, a in found.items()} == log.roots
    assert {name: a.state for name, a in found.items() if a.state} == {n: s for n, s in log.states.items() if s}
    events = list(query.iterate_events(domain))
    assert [(str(e.event_id), e.version, e.payload) for e in events] == [
        (envelope["event_id"], envelope["version"], body and body["payload"]) for envelope, body in log.events
    ]


@pytest.fixture
def repository(tmp_path: pathlib.Path) -> Repository:
    ticks = itertools.count(1_790_000_000_000_000, 137)
    return Repository.init(str(tmp_path), clock=lambda: next(ticks))[0]


def test_an_empty_domain(repository: Repository) -> None:
    agrees(repository.domain())


def test_journal_then_seal_then_journal(repository: Repository) -> None:
    domain = repository.domain()
    appender = Appender(domain)
    for n in range(40):
        appender.append(Append([item("order", f"o-{n % 7}", n=n, text='quotes " \\ é 🎉', none=None)], issued_by=JANE))
    agrees(domain)
    collect(domain)
    agrees(domain)
    appender.append(Append([item("order", "o-1", n=1), item("user", "u/1@x", a=[1, {"b": 2}])], issued_by=None))
    agrees(domain)
    reindex(domain, actor=JANE)
    agrees(domain)


def test_staged_batches_small_and_large(repository: Repository) -> None:
    domain = repository.domain()
    for size in (3, 4000):
        for part in range(2):
            items = ((n, item("order", f"o-{n % 11}", n=n, part=part, x="y" * 200), None) for n in range(1, size))
            stage(domain, items, issued_by=JANE)
        done = commit_staged(domain, actor=JANE, message=f"{size} twice")
        assert done is not None
        assert done[0].count == 2 * (size - 1)
        agrees(domain)
    assert domain.directory.names("segments")
    collect(domain)
    agrees(domain)


def test_a_large_direct_batch(repository: Repository) -> None:
    domain = repository.domain()
    Appender(domain).append(Append([item("order", "o-1", n=0)], issued_by=JANE))
    big = [item("order", f"o-{n}", x="z" * 400) for n in range(3000)]
    Appender(domain).append(Append(big, issued_by=JANE, message="big"))
    assert domain.sync().head.journal == ""
    agrees(domain)


@pytest.mark.parametrize("seq", [None, 0, 4, 9, 13])
def test_forks_at_every_place(repository: Repository, seq: int | None) -> None:
    domain = repository.domain()
    appender = Appender(domain)
    for n in range(14):
        appender.append(Append([item("order", f"o-{n % 3}", n=n)] * (1 + n % 2), issued_by=JANE))
        if n in (5, 9):
            collect(domain)
    fork = fork_domain(repository, "other", domain, seq, actor=JANE)
    agrees(fork)
    assert fork.sync().head.seq == (13 if seq is None else seq)
    Appender(fork).append(Append([item("order", "o-9", n=1)], issued_by=JANE))
    agrees(fork)
    collect(fork)
    agrees(fork)
    agrees(domain)
