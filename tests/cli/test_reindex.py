"""`dbx reindex`: of a whole history, and of one that lost its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Runner
from tests.history import cut_journal, fill


@pytest.fixture
def shop(run: Runner) -> Runner:
    run.ok("init")
    fill(run.cwd, 5)
    return run


def domain_path(run: Runner) -> Path:
    return run.cwd / ".dbx" / "domains" / "default"


def test_the_index_is_made_anew(shop: Runner) -> None:
    before = shop.ok("root", "--json").json
    found = shop.ok("reindex", "--json").json
    assert found == {
        "domain": "default",
        "commit": before["commit"],
        "seq": 4,
        "events": 10,
        "aggregates": 6,
        "lost": None,
    }
    assert shop.ok("root", "--json").json == before
    assert shop.ok("reindex").lines == ["indexed commits=5 events=10 aggregates=6"]
    assert shop.ok("reindex", "--accept-loss", "--json").json["lost"] is None


def test_garbage_in_the_place_of_the_index(shop: Runner) -> None:
    for path in domain_path(shop).glob("index.db-*"):
        path.unlink()
    (domain_path(shop) / "index.db").write_bytes(b"garbage " * 4096)
    assert shop.ok("reindex", "--json").json["events"] == 10


def test_lost_commits_are_refused_then_accepted(shop: Runner) -> None:
    lost = shop.ok("root", "--json").json["commit"]
    cut_journal(domain_path(shop), 3)
    for arguments in (("reindex",), ("status",), ("reindex",)):
        outcome = shop(*arguments, "--json")
        assert outcome.status == 7
        assert "dbx reindex --accept-loss" in outcome.error["hint"]
    found = shop.ok("reindex", "--accept-loss", "--json").json
    assert (found["seq"], found["events"]) == (2, 6)
    assert {key: found["lost"][key] for key in ("first", "last", "commits", "last_commit", "events")} == {
        "first": 3,
        "last": 4,
        "commits": 2,
        "last_commit": lost,
        "events": 4,
    }
    assert {"aggregate_type": "order", "aggregate_id": "all", "was": 5, "version": 3} in found["lost"]["aggregates"]
    last = (domain_path(shop) / "logs" / "refs" / "heads" / "main").read_text().splitlines()[-1]
    assert last.startswith(f"{lost} {found['commit']} 2 ")
    assert last.endswith("reindex --accept-loss: commits 3 to 4 are lost")
    assert shop.ok("status", "--json").json["events"] == 6
    fill(shop.cwd, 1)
    assert shop.ok("status", "--json").json["head"]["seq"] == 3


def test_what_is_lost_is_said_in_words(shop: Runner) -> None:
    cut_journal(domain_path(shop), 4)
    lines = shop.ok("reindex", "--accept-loss").lines
    assert lines[0] == "indexed commits=4 events=8 aggregates=5"
    assert lines[1].startswith("lost first=4 last=4 last_commit=")
    assert lines[1].endswith("events=2 aggregates=2")
    assert "lost aggregate_type=order aggregate_id=o-4 was=1 version=0" in lines


def test_damage_is_never_accepted(shop: Runner) -> None:
    (journal,) = domain_path(shop).glob("journal-*")
    data = bytearray(journal.read_bytes())
    data[len(data.rstrip(b"\0")) // 2] ^= 1
    journal.write_bytes(data)
    outcome = shop("reindex", "--accept-loss", "--json")
    assert (outcome.status, outcome.error["details"]["file"]) == (7, journal.name)
    assert (domain_path(shop) / "index.db").exists()
