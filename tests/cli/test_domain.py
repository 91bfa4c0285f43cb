"""`dbx domain list|show|rename`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Runner
from tests.history import fill


@pytest.fixture
def shop(run: Runner) -> Runner:
    run.ok("init")
    ids = fill(run.cwd, 3)
    assert len(ids) == 3
    run.ok("checkout", "-c", "orders")
    return run


def test_the_active_one_has_a_star(shop: Runner) -> None:
    assert shop.ok("domain", "list").lines == ["  default", "* orders"]
    assert shop.ok("domain", "list", "--json").json == [
        {"domain": "default", "active": False},
        {"domain": "orders", "active": True},
    ]


def test_everything_about_one(shop: Runner) -> None:
    shown = shop.ok("domain", "show", "default", "--json").json
    assert {key: shown[key] for key in ("domain", "active", "forked_from", "events", "aggregates", "archived")} == {
        "domain": "default",
        "active": False,
        "forked_from": None,
        "events": 6,
        "aggregates": 4,
        "archived": 0,
    }
    assert shown["path"] == f"{shop.cwd}/.dbx/domains/default"
    assert set(shown["head"]) == {"id", "seq", "time", "message"}
    assert shown["head"]["seq"] == 2
    assert shown["bytes"] >= sum(p.stat().st_size for p in Path(shown["path"]).glob("journal-*"))
    lines = shop.ok("domain", "show", "default").lines
    assert f"head={shown['head']['id']}" in lines
    assert "commits=3" in lines
    assert shop.ok("domain", "show").lines[0] == "domain=orders"
    assert shop.ok("-d", "default", "domain", "show").lines[0] == "domain=default"


def test_a_fork_says_where_it_comes_from(shop: Runner) -> None:
    shop.ok("checkout", "fork", "--from", "default@HEAD~1")
    source = shop.ok("domain", "show", "default", "--json").json
    commit = shop.ok("root", "default@HEAD~1", "--json").json["commit"]
    assert shop.ok("domain", "show", "--json").json["forked_from"] == {
        "domain": source["id"],
        "commit": commit,
        "seq": 1,
    }
    assert f"forked_from={source['id']}@{commit}" in shop.ok("domain", "show").lines


def test_a_new_name_for_the_same_domain(shop: Runner) -> None:
    before = shop.ok("domain", "show", "--json").json
    outcome = shop.ok("domain", "rename", "orders", "sales", "--json").json
    assert outcome == {"domain": "sales", "was": "orders", "active": True}
    after = shop.ok("domain", "show", "--json").json
    assert (after["id"], after["domain"], after["active"]) == (before["id"], "sales", True)
    assert shop.ok("domain", "rename", "sales", "orders").lines == ["Renamed domain 'sales' to 'orders'."]
    fill(shop.cwd, 1, "orders")
    assert shop.ok("status", "--json").json["events"] == 2


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ((), 2),
        (("liste",), 2),
        (("list", "x"), 2),
        (("show", "nothing"), 3),
        (("show", "No"), 5),
        (("rename", "orders"), 2),
        (("rename", "orders", "default"), 4),
        (("rename", "default", "other"), 4),
        (("rename", "nothing", "other"), 3),
        (("rename", "orders", "O"), 5),
        (("rename", "orders", "orders"), 4),
    ],
)
def test_what_is_wrong_changes_nothing(shop: Runner, arguments: tuple[str, ...], status: int) -> None:
    assert shop("domain", *arguments).status == status
    assert shop.ok("domain", "list").lines == ["  default", "* orders"]


def test_without_a_repository(run: Runner) -> None:
    for arguments in (("domain", "list"), ("domain", "show"), ("domain", "rename", "a", "b")):
        outcome = run(*arguments, "--json")
        assert (outcome.status, outcome.error["hint"]) == (3, "make one with 'dbx init'")
