"""`dbx status`, of every kind of domain."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Runner
from tests.history import cut_journal, fill, stage_events


@pytest.fixture
def shop(run: Runner) -> Runner:
    run.ok("init")
    return run


def domain_path(run: Runner) -> Path:
    return run.cwd / ".dbx" / "domains" / "default"


def test_an_empty_domain(shop: Runner) -> None:
    outcome = shop.ok("status", "--json")
    assert outcome.json == {
        "domain": "default",
        "head": None,
        "events": 0,
        "aggregates": 0,
        "staged": None,
        "remotes": [],
        "journal_bytes": 0,
        "torn": False,
        "index": {"caught_up": 0, "in_memory": False},
    }
    lines = shop.ok("status").lines
    assert lines[:4] == ["domain=default", "head=-", "commits=0", "committed_at=-"]
    assert "staged=0" in lines


def test_where_it_stands_and_what_is_staged(shop: Runner) -> None:
    ids = fill(shop.cwd, 3)
    stage_events(shop.cwd, 5)
    found = shop.ok("status", "--json").json
    assert (found["head"]["id"], found["head"]["seq"], found["events"], found["aggregates"]) == (ids[-1], 2, 6, 4)
    assert (found["staged"]["events"], len(found["staged"]["batch"])) == (5, 36)
    assert found["journal_bytes"] > 0
    lines = shop.ok("status").lines
    assert f"head={ids[-1]}" in lines
    assert "staged=5" in lines
    assert f"staged_since={found['staged']['since']}" in lines


def test_an_interrupted_write_is_told(shop: Runner) -> None:
    fill(shop.cwd, 1)
    (journal,) = domain_path(shop).glob("journal-*")
    with journal.open("ab") as file:
        file.write(b"E\x00\x00\x00half a frame")
    outcome = shop.ok("status", "--json")
    assert outcome.json["torn"] is True
    assert "an interrupted write follows the last commit" in outcome.stderr
    fill(shop.cwd, 1)
    assert shop.ok("status", "--json").json["torn"] is False


def test_a_missing_index_is_made_and_told(shop: Runner) -> None:
    fill(shop.cwd, 3)
    for path in domain_path(shop).glob("index.db*"):
        path.unlink()
    outcome = shop.ok("status", "--json")
    assert outcome.json["index"] == {"caught_up": 3, "in_memory": False}
    assert "the index lagged 3 commits behind the log" in outcome.stderr
    assert shop.ok("status").stderr == ""


def test_lost_commits_are_damage(shop: Runner) -> None:
    fill(shop.cwd, 3)
    cut_journal(domain_path(shop), 1)
    outcome = shop("status", "--json")
    assert (outcome.status, outcome.error["type"]) == (7, "corrupt")
    assert "dbx reindex --accept-loss" in outcome.error["hint"]


def test_another_domain_and_none(shop: Runner) -> None:
    shop.ok("checkout", "-c", "other")
    fill(shop.cwd, 1, "other")
    assert shop.ok("status", "-d", "default", "--json").json["events"] == 0
    assert shop.ok("status", "--json", env={"DBX_DOMAIN": "other"}).json["events"] == 2
    assert shop("status", "-d", "nothing").status == 3
    assert shop("status", "extra").status == 2
