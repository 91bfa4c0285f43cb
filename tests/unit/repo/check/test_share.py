"""Who checks which blocks: all of them, in order, and the first process fewer the more index roots it follows."""

from __future__ import annotations

from itertools import chain

import pytest

from dbx.repo.check.part import Job
from dbx.repo.check.share import Amount, share

JOBS: list[Job] = [(0, 0, n, n) for n in range(1000)]
SIZES = [1000 + n % 7 for n in range(1000)]


def counts(amount: Amount, processes: int = 2) -> list[int]:
    return [len(run) for run in share(JOBS, SIZES, amount, processes)]


@pytest.mark.parametrize("processes", [2, 3, 4, 16])
@pytest.mark.parametrize("commits", [0, 1, 10, 100_000])
def test_every_block_has_one_process(processes: int, commits: int) -> None:
    runs = share(JOBS, SIZES, Amount(1_000_000, commits, 50_000), processes)
    assert list(chain.from_iterable(runs)) == JOBS
    assert len(runs) == processes
    assert all(runs)


def test_few_large_commits_are_shared_about_equally() -> None:
    own, others = counts(Amount(200_000, 1, 20_000))
    assert 0.5 < own / (own + others) < 0.6
    assert counts(Amount(0, 0)) == pytest.approx([own, others], abs=50)


def test_who_follows_many_commits_reads_little() -> None:
    shares = [counts(Amount(1_000_000, commits, 50_000))[0] for commits in (1, 5, 10, 20, 50, 10_000)]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] == pytest.approx(1000 / 32, abs=1)


def test_many_commits_on_few_aggregates_are_little_to_follow() -> None:
    assert counts(Amount(1_000_000, 1000, 10))[0] > 450
    assert counts(Amount(1_000_000, 1000, 100_000))[0] < 50


def test_where_the_index_does_not_say_how_many_aggregates_there_are() -> None:
    assert Amount(1_000_000, 10_000).following == Amount(1_000_000, 10_000, 50_000).following
    assert Amount(3, 3, 0).following > 0


def test_the_more_processes_the_less_the_first_one_reads() -> None:
    assert counts(Amount(200_000, 1, 20_000), 3)[0] < counts(Amount(200_000, 1, 20_000), 2)[0]
    _, second, *others = counts(Amount(200_000, 1, 20_000), 3)
    assert second < others[0]  # it also folds what the first one read
