"""`dbx reflog`: every move of a ref."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Runner
from tests.history import fill

NOW = {"DBX_NOW": "2026-11-23T07:42:00Z", "DBX_ACTOR": "ops:jane"}


def test_the_branch_newest_first(run: Runner) -> None:
    run.ok("init")
    assert run.ok("reflog").stdout == "no moves\n"
    assert run.ok("reflog", "--json").json == []
    ids = fill(run.cwd, 2)
    run.ok("aggregate", "create", "order", "new", "--event", "placed", "-m", "hello \x1b[31m", env=NOW)
    newest, *others = run.ok("reflog", "--json").json
    assert newest == {
        "ref": "refs/heads/main",
        "old": ids[1],
        "new": run.ok("root", "--json").json["commit"],
        "seq": 2,
        "time": "2026-11-23T07:42:00.000000Z",
        "actor": {"group": "ops", "user": "jane"},
        "reason": "commit: hello  [31m",
    }
    assert [move["new"] for move in others] == ids[::-1]
    assert others[-1]["old"] is None
    line = run.ok("reflog", "-n", "1").stdout
    assert line == f"{newest['new'][:12]} 2026-11-23T07:42:00.000000Z ops:jane commit: hello  [31m\n"
    listed = run.ok("reflog", "main", "--jsonl", "-n", "2").lines
    assert [json.loads(each) for each in listed] == [newest, others[0]]


def test_a_tag_has_one_also_when_it_is_gone(run: Runner) -> None:
    run.ok("init")
    (commit,) = fill(run.cwd, 1)
    run.ok("tag", "v1", "-m", "why")
    run.ok("tag", "-d", "v1")
    gone, made = run.ok("reflog", "v1", "--json").json
    assert (made["ref"], made["old"], made["new"], made["reason"]) == ("refs/tags/v1", None, commit, "tag: why")
    assert (gone["old"], gone["new"], gone["reason"]) == (commit, None, "tag: deleted")
    assert run.ok("reflog", "refs/tags/v1").lines[0].startswith("------------ ")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("v9",), 3, "no ref 'v9' has moved"),
        (("origin/main",), 3, "no ref 'origin/main'"),
        (("HEAD~1",), 5, "is not a ref that moves"),
        (("../../../x",), 5, "is not a ref that moves"),
        (("-n", "0"), 2, ""),
        (("-n", "x"), 2, ""),
    ],
)
def test_what_has_none(run: Runner, arguments: tuple[str, ...], status: int, said: str) -> None:
    run.ok("init")
    fill(run.cwd, 1)
    outcome = run("reflog", *arguments)
    assert (outcome.status, outcome.stdout) == (status, "")
    assert said in outcome.stderr


def test_damage_is_told(run: Runner) -> None:
    run.ok("init")
    fill(run.cwd, 3)
    log = run.cwd / ".dbx/domains/default/logs/refs/heads/main"
    first, second, third = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(first + second.replace(b" 1 ", b" x ") + third)
    outcome = run("reflog")
    assert outcome.status == 7
    assert "logs/refs/heads/main" in outcome.stderr
    run.ok("reflog", "-n", "1")
