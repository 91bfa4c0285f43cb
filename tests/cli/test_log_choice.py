"""`dbx log` with choices: by time, actor, aggregate; and what commits hold."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.conftest import Runner


def at(day: int, actor: str = "ops:jane") -> dict[str, str]:
    return {"DBX_NOW": f"2026-11-{day:02}T12:00:00Z", "DBX_ACTOR": actor}


@pytest.fixture
def shop(run: Runner) -> Runner:
    """A commit a day from the first to the fifth of November, and one of three events on the sixth."""
    run.ok("init")
    run.ok("aggregate", "create", "order", "o-1", "--event", "placed", "--field", "a=1", "-m", "1", env=at(1))
    run.ok("aggregate", "apply", "order", "o-1", "paid", "--field", "b:=[2]", "-m", "2", env=at(2, "ops:joe"))
    run.ok("aggregate", "create", "order", "o-2", "--event", "placed", "-m", "3", env=at(3, "web:jane"))
    run.ok("aggregate", "create", "person", "p-1", "--event", "born", "-m", "4", env=at(4))
    run.ok("aggregate", "apply", "order", "o-1", "sent", "--note", "by hand", "-m", "5", env=at(5))
    for name in ("o-1", "o-2", "o-1"):
        run.ok("aggregate", "apply", "order", name, "checked", "--stage", env=at(6))
    run.ok("commit", "-m", "6", env=at(6))
    return run


def listed(run: Runner, *arguments: str, env: dict[str, str] | None = None) -> str:
    """The messages of the listed commits, which are one letter each."""
    lines = run.ok("log", "--jsonl", *arguments, env=env).lines
    return "".join(json.loads(line)["message"] for line in lines)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--aggregate", "order/o-1"), "6521"),
        (("--aggregate", "order", "o-1"), "6521"),
        (("--aggregate", "order", "--aggregate-id", "o-1"), "6521"),
        (("--aggregate", "order"), "65321"),
        (("--aggregate", "person"), "4"),
        (("--aggregate", "nothing"), ""),
        (("--aggregate", "order/o-1", "-n", "2"), "65"),
        (("--aggregate", "order/o-1", "-n", "2", "--reverse"), "56"),
        (("--aggregate", "order/o-1", "--reverse"), "1256"),
        (("--aggregate", "order/o-1", "HEAD~4..HEAD~1"), "5"),
        (("HEAD~1", "--aggregate", "order", "o-1"), "521"),
        (("--aggregate", "order", "HEAD~2"), "321"),
        (("--aggregate", "order/o-2", "HEAD~4"), ""),
        (("--reverse",), "123456"),
        (("--reverse", "-n", "2"), "56"),
        (("--since", "2026-11-03"), "6543"),
        (("--since", "2026-11-03T12:00:00Z"), "6543"),
        (("--since", "2026-11-03T12:00:00.000001Z"), "654"),
        (("--until", "2026-11-03"), "21"),
        (("--until", "2026-11-03T13:00:00+01:00"), "321"),
        (("--since", "2026-11-02", "--until", "2026-11-04"), "32"),
        (("--since", "@2026-11-02", "--until", "@2026-11-04"), "32"),
        (("--since", "2026-12-01"), ""),
        (("--until", "2026-10-01"), ""),
        (("--since", "2026-11-05", "--until", "2026-11-02"), ""),
        (("--since", "2026-11-02", "HEAD~2"), "432"),
        (("--since", "2026-11-02", "--aggregate", "order/o-1", "--until", "2026-11-06"), "52"),
        (("--actor", "jane"), "65431"),
        (("--actor", "ops:jane"), "6541"),
        (("--actor", "web:jane"), "3"),
        (("--actor", "nobody"), ""),
        (("--actor", "ops:jane", "-n", "3"), "654"),
        (("--actor", "joe", "--aggregate", "order/o-1"), "2"),
        (("@2026-11-02..@2026-11-05",), "432"),
    ],
)
def test_which_commits(shop: Runner, arguments: tuple[str, ...], expected: str) -> None:
    assert listed(shop, *arguments) == expected


def test_how_long_ago(shop: Runner) -> None:
    assert listed(shop, "--since", "2d", env=at(7)) == "65"
    assert listed(shop, "--since", "48h", "--until", "86401", env=at(7)) == "5"


def test_a_clock_that_was_set_back(run: Runner) -> None:
    run.ok("init")
    for number, day in enumerate((3, 1, 5, 2, 4)):
        run.ok("aggregate", "create", "order", f"o-{number}", "--event", "e", "-m", str(number), env=at(day))
    # The last that is earlier than the third is the one of the second; what follows it is since then.
    assert listed(run, "--since", "2026-11-03") == "4"
    assert listed(run, "--until", "2026-11-04") == "3210"


def test_sealed_commits_are_chosen_the_same(shop: Runner) -> None:
    shop.ok("gc")
    assert listed(shop, "--aggregate", "order/o-1", "--since", "2026-11-02") == "652"
    assert listed(shop, "--since", "2026-11-03", "--until", "2026-11-05") == "43"


def test_stat(shop: Runner) -> None:
    newest = shop.ok("log", "-n", "1", "--stat", "--json").json[0]
    assert newest["stat"] == [
        {"aggregate_type": "order", "aggregate_id": "o-1", "events": 2, "version": 5},
        {"aggregate_type": "order", "aggregate_id": "o-2", "events": 1, "version": 2},
    ]
    lines = shop.ok("log", "-n", "1", "--stat", "--oneline").lines
    assert lines[1:] == ["", " order/o-1 | 2 -> version 5", " order/o-2 | 1 -> version 2", " 2 aggregates, 3 events"]
    (only,) = shop.ok("log", "-n", "1", "--stat", "--aggregate", "order/o-2", "--json").json
    assert only["stat"] == [{"aggregate_type": "order", "aggregate_id": "o-2", "events": 1, "version": 2}]
    assert only["count"] == 3


def test_many_aggregates_are_cut_short_for_people_only(run: Runner) -> None:
    run.ok("init")
    events: list[dict[str, Any]] = [
        {"aggregate_type": "order", "aggregate_id": f"o-{n:02}", "event_type": "placed", "payload": {}}
        for n in range(25)
    ]
    run.ok("aggregate", "apply", "--stage", "--from", "-", stdin="".join(json.dumps(e) + "\n" for e in events))
    run.ok("commit")
    lines = run.ok("log", "--stat").lines
    assert lines[-3:] == [" order/o-19 | 1 -> version 1", " … and 5 more", " 25 aggregates, 25 events"]
    assert len(run.ok("log", "--stat", "--json").json[0]["stat"]) == 25


def test_patch(shop: Runner) -> None:
    commits = {commit["message"]: commit for commit in shop.ok("log", "-p", "--json").json}
    assert [event["version"] for event in commits["6"]["patch"]] == [4, 2, 5]
    assert commits["2"]["patch"] == [shop.ok("events", commits["2"]["patch"][0]["event_id"], "--json").json]
    event = commits["1"]["patch"][0]
    assert event["payload"] == {"a": "1"}
    lines = shop.ok("log", "HEAD~4", "-p").lines
    assert f"@@ order/o-1 version 1 @@ placed {event['event_id']}" in lines
    assert lines[lines.index(f"@@ order/o-1 version 1 @@ placed {event['event_id']}") + 1] == '+ a="1"'
    assert "+ b=[2]" in lines
    assert "  note: by hand" in shop.ok("log", "-p", "-n", "2").lines
    assert len(shop.ok("log", "-n", "1", "-p", "--aggregate", "order/o-2", "--json").json[0]["patch"]) == 1


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("--since", "yesterday"), 5, "time 'yesterday'"),
        (("--since", "2026-13-01"), 5, "does not exist in the calendar"),
        (("--until", ""), 5, "time ''"),
        (("--until", "2026-11-01 10:00"), 5, "RFC 3339"),
        (("--since", "999999999w"), 5, "before the year 0001"),
        (("--aggregate", "Order"), 5, "aggregate type 'Order'"),
        (("--aggregate", "order/"), 5, "aggregate id"),
        (("--aggregate", "order/nobody"), 3, "aggregate 'order/nobody' does not exist"),
        (("--aggregate", "order", "nobody"), 3, "'nobody' names no commit"),
        (("--aggregate-id", "o-1"), 2, "needs --aggregate"),
        (("--aggregate", "order/o-1", "--aggregate-id", "o-1"), 2, "gives the id already"),
        (("--actor", ""), 5, "is no actor"),
        (("--actor", ":jane"), 5, "is no actor"),
        (("--actor", "ops:"), 5, "is no actor"),
        (("-n", "0"), 2, ""),
        (("HEAD", "HEAD"), 2, "unexpected argument 'HEAD'"),
    ],
)
def test_what_is_refused(shop: Runner, arguments: tuple[str, ...], status: int, said: str) -> None:
    outcome = shop("log", *arguments)
    assert (outcome.status, outcome.stdout) == (status, "")
    assert said in outcome.stderr
