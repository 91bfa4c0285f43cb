"""The facts are those of the domain."""

from __future__ import annotations

import itertools
from pathlib import Path

from dbx.formats.envelope import Actor
from dbx.repo.security.tokens import Wanted, generate, revoke
from dbx.repo.upkeep.lint import SAMPLE, gather, gather_tokens, runs
from dbx.repo.writer import Append, Appender
from tests.history import START_US, append, item, open_repository, stage_events


def test_an_empty_domain(tmp_path: Path) -> None:
    facts = gather(open_repository(tmp_path).domain())
    assert (facts.domain, list(facts.types), facts.staged_since_us, facts.total, facts.restrict) == (
        "default", [], None, 0, "default",
    )  # fmt: skip


def test_what_was_written(tmp_path: Path) -> None:
    repository = open_repository(tmp_path)
    domain = repository.domain()
    append(domain, *["a"] * 3, "b")
    Appender(domain).append(
        Append([item("b", "paid", total=12, by="x"), item("b", "paid", total="12")], issued_by=None)
    )
    Appender(domain).append(
        Append(
            [{"aggregate_type": "order", "aggregate_id": "b", "event_type": "aggregate_archived", "payload": {}}],
            issued_by=None,
            reserved=True,
        )
    )
    repository.close()
    stage_events(tmp_path, 2)
    told: list[int] = []
    facts = gather(open_repository(tmp_path).domain(), progress=told.append)
    (one,) = facts.types
    assert (one.name, one.aggregates, one.longest_id, one.longest) == ("order", 2, "b", 4)
    assert {name: event.count for name, event in one.events.items()} == {"placed": 4, "paid": 2}
    assert one.events["paid"].fields["total"].kinds == {"number": 1, "text": 1}
    assert one.events["paid"].fields["total"].meanings == {"a number": 1}
    assert (facts.examined, facts.total, sum(told)) == (7, 7, 7)
    assert facts.staged_events == 2
    assert facts.staged_since_us is not None
    assert facts.staged_since_us >= START_US


def test_a_sample_lies_evenly_over_the_history() -> None:
    for total in (0, 1, 499, 500, 501, SAMPLE):
        assert [n for run in runs(total) for n in run] == list(range(total))
    for total in (SAMPLE + 1, 12_345_678):
        found = list(runs(total))
        assert sum(map(len, found)) == SAMPLE
        assert (found[0].start, found[-1].stop) == (0, total)
        assert all(a.start < b.start for a, b in itertools.pairwise(found))


def test_only_good_tokens_for_the_domain_count(tmp_path: Path) -> None:
    repository = open_repository(tmp_path)
    by = Actor("local", "root")
    wanted = Wanted("ops", "jane", ("*.*",), ttl_s=0)
    good = generate(repository, wanted, by)
    bounded = generate(repository, wanted._replace(tenants=("default",), resources=("aggregate:order:*",)), by)
    generate(repository, wanted._replace(tenants=("other",)), by)
    revoke(repository, generate(repository, wanted, by).text, "", by)
    found = gather_tokens(repository, repository.domain())
    assert [(one.token_id, one.ttl_s, one.bounded) for one in found] == [
        (good.held.claims.token_id, None, False),
        (bounded.held.claims.token_id, None, True),
    ]
