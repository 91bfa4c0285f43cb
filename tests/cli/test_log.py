"""`dbx log`: the commits, newest first."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from tests.cli.conftest import Runner
from tests.history import fill


@pytest.fixture
def shop(run: Runner) -> Runner:
    run.ok("init")
    return run


def test_an_empty_domain_has_none(shop: Runner) -> None:
    assert shop.ok("log").stdout == "no commits\n"
    assert shop.ok("log", "--json").json == []
    assert shop.ok("log", "--jsonl").stdout == ""
    assert shop("log", "HEAD").status == 3


def test_a_commit_tells_who_when_and_what(shop: Runner) -> None:
    environment = {"DBX_ACTOR": "ops:jane", "DBX_NOW": "2026-11-23T07:42:00Z"}
    shop.ok("aggregate", "create", "order", "o-1", "--event", "placed", env=environment)
    for name in ("o-1", "o-2"):
        shop.ok("aggregate", "apply", "order", name, "paid", "--create", "--stage", env=environment)
    shop.ok("commit", "-m", "Monday\n\nand \x1b[31mmore", env=environment)
    newest, oldest = shop.ok("log", "--json").json
    assert (newest["seq"], newest["parent"], newest["count"], newest["position"]) == (1, oldest["id"], 2, 1)
    assert (oldest["seq"], oldest["parent"], oldest["count"], oldest["message"]) == (0, None, 1, None)
    assert newest["actor"] == {"group": "ops", "user": "jane"}
    assert newest["message"] == "Monday\n\nand \x1b[31mmore"
    assert shop.ok("log").lines == [
        f"commit {newest['id']}",
        "Actor:  ops:jane",
        "Time:   2026-11-23T07:42:00.000000Z",
        "Seq:    1",
        "Events: 2 from position 1",
        f"Root:   {shop.ok('root').stdout.strip()}",
        "",
        "    Monday",
        "",
        "    and \\u001b[31mmore",
        "",
        f"commit {oldest['id']}",
        "Actor:  ops:jane",
        "Time:   2026-11-23T07:42:00.000000Z",
        "Seq:    0",
        "Events: 1 from position 0",
        f"Root:   {oldest['index']}",
    ]
    assert shop.ok("log", "--oneline").lines == [
        f"{newest['id'][:12]} Monday (2 events)",
        f"{oldest['id'][:12]} (no message) (1 event)",
    ]


def test_ranges(shop: Runner) -> None:
    ids = fill(shop.cwd, 6)
    newest_first = ids[::-1]

    def listed(*arguments: str) -> list[str]:
        lines = shop.ok("log", "--jsonl", *arguments).lines
        return [json.loads(line)["id"] for line in lines]

    assert listed() == listed("HEAD") == listed("..") == listed("..HEAD") == newest_first
    assert listed("-n", "2") == listed("--max-count", "2") == newest_first[:2]
    assert listed(f"{ids[1][:8]}..HEAD~1") == newest_first[1:4]
    assert listed("HEAD~2..") == newest_first[:2]
    assert listed("HEAD~4") == listed("..HEAD~4") == newest_first[4:]
    assert listed("-n", "1", "HEAD~1..HEAD") == newest_first[:1]
    assert listed("HEAD..HEAD~2") == listed("HEAD..HEAD") == []
    assert shop.ok("-d", "default", "log", "--oneline").lines == [
        f"{i[:12]} (no message) (2 events)" for i in newest_first
    ]


@pytest.mark.parametrize(
    ("argument", "status", "said"),
    [
        ("HEAD~6", 3, "before the first commit"),
        ("ffffffff..", 3, "no commit 'ffffffff'"),
        ("yesterday", 3, "'yesterday' names no commit"),
        ("Yesterday", 5, "'Yesterday' is not a ref"),
        ("HEAD..HEAD~1..HEAD", 5, "is not a range"),
        ("HEAD...HEAD~1", 5, "is not a range"),
    ],
)
def test_wrong_ranges(shop: Runner, argument: str, status: int, said: str) -> None:
    fill(shop.cwd, 3)
    outcome = shop("log", argument, "--json")
    assert (outcome.status, outcome.stdout) == (status, "")
    assert said in outcome.error["message"]


def test_sealed_commits_are_listed_too(shop: Runner) -> None:
    ids = fill(shop.cwd, 40)
    before = shop.ok("log", "--json").json
    shop.ok("gc")
    assert shop.ok("log", "--json").json == before
    assert [commit["id"] for commit in before] == ids[::-1]
    assert all(after["parent"] == earlier["id"] for after, earlier in pairwise(before))


def test_no_repository(run: Runner) -> None:
    outcome = run("log")
    assert outcome.status == 3
    assert "dbx init" in outcome.stderr
