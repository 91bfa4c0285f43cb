"""`dbx checkout`: switch, create, fork, delete."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Runner
from tests.history import fill, stage_events


def place(run: Runner, name: str) -> str:
    return f"(data directory: {run.cwd}/.dbx/domains/{name})."


def active(run: Runner) -> str:
    (found,) = [one["domain"] for one in run.ok("domain", "list", "--json").json if one["active"]]
    return str(found)


@pytest.fixture
def shop(run: Runner) -> Runner:
    run.ok("init")
    fill(run.cwd, 3)
    return run


def test_create_switch_and_stay(shop: Runner) -> None:
    made = shop.ok("checkout", "-c", "orders")
    assert made.lines == [
        f"Created domain 'orders' {place(shop, 'orders')}",
        f"Switched to domain 'orders' {place(shop, 'orders')}",
    ]
    assert active(shop) == "orders"
    assert shop.ok("checkout", "orders").lines == [f"Domain 'orders' is already active {place(shop, 'orders')}"]
    again = shop.ok("checkout", "--create", "orders").lines
    assert again[0] == f"Domain 'orders' already exists {place(shop, 'orders')}"
    assert shop.ok("checkout", "default").lines == [f"Switched to domain 'default' {place(shop, 'default')}"]


def test_the_name_may_be_an_option(shop: Runner) -> None:
    shop.ok("checkout", "-c", "-d", "orders")
    assert active(shop) == "orders"
    shop.ok("-d", "default", "checkout")
    assert active(shop) == "default"
    shop.ok("checkout", "orders", "--domain", "orders")
    outcome = shop("checkout", "orders", "-d", "default")
    assert outcome.status == 2
    assert "conflicting domain inputs provided via -d/--domain and positional argument" in outcome.stderr


def test_the_environment_names_no_domain_to_check_out(shop: Runner) -> None:
    assert shop("checkout", env={"DBX_DOMAIN": "default"}).status == 2
    outcome = shop.ok("checkout", "-c", "orders", env={"DBX_DOMAIN": "default"})
    assert "DBX_DOMAIN says 'default'" in outcome.stderr


def test_an_unknown_domain_is_not_made(shop: Runner) -> None:
    outcome = shop("checkout", "people", "--json")
    assert (outcome.status, outcome.error["message"]) == (3, "domain 'people' does not exist")
    assert outcome.error["hint"] == "create it with 'dbx checkout -c people'"
    assert not Path(shop.cwd, ".dbx/domains/people").exists()
    assert shop("checkout", "defaul", "--json").error["hint"] == "did you mean 'default'?"
    assert active(shop) == "default"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ((), 2),
        (("Orders",), 5),
        (("-c", "../x"), 5),
        (("-c", "con"), 5),
        (("-c", "a" * 65), 5),
        (("x", "--delete", "--create"), 2),
        (("x", "--delete", "--from", "default"), 2),
        (("default", "--force"), 2),
        (("default", "--yes"), 2),
        (("x", "--from", "nothing"), 3),
        (("x", "--from", "default@HEAD~3"), 3),
        (("x", "--from", "default@"), 5),
        (("x", "--from", "default@zzzz"), 3),
        (("x", "--from", "default@z z"), 5),
        (("x", "--from", "default@0000"), 3),
        (("x", "--from", "DEFAULT"), 5),
        (("default", "--from", "default"), 4),
    ],
)
def test_what_is_wrong_changes_nothing(shop: Runner, arguments: tuple[str, ...], status: int) -> None:
    assert shop("checkout", *arguments).status == status
    assert shop.ok("domain", "list").lines == ["* default"]


def test_a_fork_has_the_history_and_goes_its_own_way(shop: Runner) -> None:
    root = shop.ok("root").lines
    made = shop.ok("checkout", "fork", "--from", "default", "--json").json
    assert made == {
        "domain": "fork",
        "path": f"{shop.cwd}/.dbx/domains/fork",
        "created": True,
        "switched": True,
        "source": "default",
        "seq": 2,
    }
    assert shop.ok("root").lines == root
    fill(shop.cwd, 1, "fork")
    assert shop.ok("root").lines != root
    assert shop.ok("root", "default").lines == root
    shown = shop.ok("domain", "show", "--json").json
    assert shown["forked_from"]["seq"] == 2
    assert shown["head"]["seq"] == 3


def test_a_fork_of_how_things_were(shop: Runner) -> None:
    before = shop.ok("root", "@HEAD~1", "--json").json
    shop.ok("checkout", "earlier", "--from", "@HEAD~1")
    assert shop.ok("root", "--json").json == {**before, "domain": "earlier"}
    shop.ok("checkout", "same", "--from", f"default@{before['commit'][:12]}")
    assert shop.ok("root").lines == [before["root"]]


def test_a_fork_of_nothing(run: Runner) -> None:
    run.ok("init")
    assert run.ok("checkout", "fork", "--from", "default", "--json").json["seq"] == -1
    fill(run.cwd, 1, "fork")
    assert run.ok("status", "--json").json["head"]["seq"] == 0


def test_deleting_is_not_done_unasked(shop: Runner) -> None:
    shop.ok("checkout", "fork", "--from", "default")
    shop.ok("checkout", "default")
    outcome = shop("checkout", "fork", "--delete")
    assert outcome.status == 2
    assert "this deletes domain 'fork' with 6 events in 3 commits, for good" in outcome.stderr
    assert "--yes" in outcome.stderr
    outcome = shop.ok("checkout", "fork", "--delete", "--yes", "--json")
    assert (outcome.json["deleted"], outcome.json["events"], outcome.json["commits"]) == (True, 6, 3)
    assert shop.ok("domain", "list").lines == ["* default"]
    assert not Path(shop.cwd, ".dbx/domains/fork").exists()
    # What the fork shared with it is still whole.
    assert shop.ok("reindex", "--json").json["events"] == 6


@pytest.mark.parametrize(("answer", "status", "left"), [(b"y\n", 0, False), (b"n\n", 1, True), (b"\n", 1, True)])
def test_the_answer_decides(
    shop: Runner, in_terminal: Callable[..., tuple[int, str]], answer: bytes, status: int, left: bool
) -> None:
    shop.ok("checkout", "-c", "spare")
    shop.ok("checkout", "default")
    done, shown = in_terminal(shop, "checkout", "spare", "--delete", keys=answer)
    assert (done, "Go on? [y/N]" in shown) == (status, True)
    assert Path(shop.cwd, ".dbx/domains/spare").exists() is left


@pytest.mark.parametrize(("name", "status"), [("default", 4), ("spare", 4), ("nothing", 3)])
def test_some_domains_cannot_be_deleted(shop: Runner, name: str, status: int) -> None:
    shop.ok("checkout", "-c", "spare")
    for flag in ("--yes", "--force", "--quiet"):
        assert shop("checkout", name, "--delete", flag).status == status
    assert [one["domain"] for one in shop.ok("domain", "list", "--json").json] == ["default", "spare"]


def test_staged_events_are_deleted_by_force_only(shop: Runner) -> None:
    shop.ok("checkout", "-c", "spare")
    shop.ok("checkout", "default")
    stage_events(shop.cwd, 2, "spare")
    assert "and 2 staged events" in shop("checkout", "spare", "--delete").stderr
    outcome = shop("checkout", "spare", "--delete", "--yes", "--json")
    assert (outcome.status, outcome.error["message"]) == (4, "domain 'spare' has 2 staged events")
    shop.ok("checkout", "spare", "--delete", "--force")


def test_a_damaged_domain_can_be_deleted_by_force(shop: Runner) -> None:
    shop.ok("checkout", "fork", "--from", "default")
    shop.ok("checkout", "default")
    for segment in Path(shop.cwd, ".dbx/domains/fork/segments").iterdir():
        segment.unlink()
    for index in Path(shop.cwd, ".dbx/domains/fork").glob("index.db*"):
        index.unlink()
    assert "damaged" in shop("checkout", "fork", "--delete").stderr
    assert shop("checkout", "fork", "--delete", "--yes").status == 7
    shop.ok("checkout", "fork", "--delete", "--force")
    assert shop.ok("domain", "list").lines == ["* default"]
