"""`dbx bisect`: since when a condition holds."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Runner


@pytest.fixture
def shop(run: Runner) -> Runner:
    """The order o-1, whose total is 0, 10, … 90, and which is open at even versions."""
    run.ok("init")
    lines = [
        {
            "aggregate_type": "order",
            "aggregate_id": "o-1",
            "event_type": "changed",
            "payload": {"total": 10 * n, "open": n % 2 == 1},
        }
        for n in range(10)
    ]
    run.ok("aggregate", "apply", "--stage", "--from", "-", stdin="".join(json.dumps(line) + "\n" for line in lines))
    run.ok("commit")
    return run


@pytest.mark.parametrize(
    ("expression", "version"), [("total >= 45", 6), ("total >= 0", 1), ("total = 90", 10), ("version > 3", 4)]
)
def test_the_first_version(shop: Runner, expression: str, version: int) -> None:
    found = shop.ok("bisect", "order", "o-1", "--filter", expression, "--json").json
    then = shop.ok("aggregate", "get", "order", "o-1", "--version", str(version), "--include-events", "--json").json
    assert found == {
        "aggregate_type": "order",
        "aggregate_id": "o-1",
        "filter": expression,
        "linear": False,
        "found": True,
        "version": version,
        "event": then["events"][-1],
        "state": then["state"],
        "versions": 10,
        "looked_at": found["looked_at"],
    }
    assert found["looked_at"] <= 5
    line = shop.ok("bisect", "--aggregate", "order", "--aggregate-id", "o-1", "--filter", expression).stdout
    assert line.startswith(f"aggregate_type=order aggregate_id=o-1 version={version} event_type=changed event_id=")


def test_conditions_that_come_and_go(shop: Runner) -> None:
    assert shop.ok("bisect", "order", "o-1", "--filter", "open = true", "--linear", "--json").json["version"] == 2
    refused = shop("bisect", "order", "o-1", "--filter", "open = false")
    assert (refused.status, refused.stderr) == (1, "")
    assert refused.stdout == (
        "it does not hold for version 10 of order/o-1, the latest; --linear looks at all of them\n"
    )
    none = shop("bisect", "order", "o-1", "--filter", "total > 1000", "--linear", "--json")
    assert none.status == 1
    assert (none.json["found"], none.json["version"], none.json["looked_at"]) == (False, None, 10)
    assert shop("bisect", "order", "o-1", "--filter", "total > 1000", "--linear").stdout == (
        "it holds for none of the 10 versions of order/o-1\n"
    )


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("order", "o-2", "--filter", "a = 1"), 3, "does not exist"),
        (("order", "o-1"), 2, "--filter"),
        (("order", "o-1", "--filter", "total >"), 5, "total >"),
        (("order", "o-1", "--filter", ""), 5, ""),
        (("Order", "o-1", "--filter", "a = 1"), 5, "aggregate type"),
        (("order", "o-1", "more", "--filter", "a = 1"), 2, "unexpected argument"),
        (("order", "--filter", "a = 1"), 2, "needs the aggregate id"),
    ],
)
def test_what_is_refused(shop: Runner, arguments: tuple[str, ...], status: int, said: str) -> None:
    outcome = shop("bisect", *arguments)
    assert (outcome.status, outcome.stdout) == (status, "")
    assert said in outcome.stderr
