"""Appending, taking back and tidying in any order, against a list of commits; and nothing of it looks like damage."""

from __future__ import annotations

from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbx.errors import Failure
from dbx.formats.envelope import Actor
from dbx.repo import query
from dbx.repo.check.domain import check_domain
from dbx.repo.refs.undo import plan_undo, undo
from dbx.repo.upkeep.gc import collect
from tests.history import append, open_repository

JANE = Actor("ops", "jane")
STEPS = st.lists(st.sampled_from(["append", "append", "many", "undo", "undo", "gc", "reopen"]), max_size=14)


@settings(deadline=None, max_examples=40)
@given(STEPS)
def test_a_history_that_is_taken_back(tmp_path_factory: pytest.TempPathFactory, steps: list[str]) -> None:
    where = tmp_path_factory.mktemp("undo")
    commits: list[str] = []
    before: list[str] | None = None  # what the last move, if it was an undo, took the history back from
    repository = open_repository(where)
    for number, step in enumerate(steps):
        domain = repository.domain()
        if step in ("append", "many"):
            names = [f"o-{number}-{n}" for n in range(40 if step == "many" else 1)]
            commits = [*commits, append(domain, *names, "all")]
            before = None
        elif step == "undo" and before is not None:
            undo(domain, plan_undo(domain), actor=JANE)
            commits, before = before, None
        elif step == "undo" and commits:
            undo(domain, plan_undo(domain), actor=JANE)
            commits, before = commits[:-1], commits
        elif step == "undo":
            with pytest.raises(Failure):
                plan_undo(domain)
        elif step == "gc":
            collect(domain)
        else:
            repository.close()
            repository = open_repository(where)
        found = [entry.id.hex() for entry in query.iterate_commits(repository.domain(), newest=False)]
        assert found == commits
    version = len(commits)
    if version:
        assert query.verify_aggregate(repository.domain(), "order", "all").version == version
    repository.close()
    with closing(open_repository(where)) as again:
        domain = again.domain()
        report = check_domain(domain.directory, domain.name)
        assert (report.errors, report.warnings, report.commits) == (0, 0, version), report.findings
