"""`aggregate get --at` and `aggregate list --at`: as it was."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Runner


@pytest.fixture
def shop(run: Runner) -> Runner:
    """Order o-1 of October, changed in November; o-2 of November."""
    run.ok("init")
    october, november = {"DBX_NOW": "2026-10-31T12:00:00Z"}, {"DBX_NOW": "2026-11-01T12:00:00Z"}
    run.ok("aggregate", "create", "order", "o-1", "--event", "placed", "--field", "total=1", env=october)
    run.ok("aggregate", "apply", "order", "o-1", "changed", "--field", "total=2", env=november)
    run.ok("aggregate", "create", "order", "o-2", "--event", "placed", env=november)
    return run


@pytest.mark.parametrize(
    ("ref", "version", "total"),
    [("HEAD", 2, "2"), ("HEAD~1", 2, "2"), ("HEAD~2", 1, "1"), ("@2026-11-01", 1, "1"), ("@2026-11-02", 2, "2")],
)
def test_get(shop: Runner, ref: str, version: int, total: str) -> None:
    found = shop.ok("aggregate", "get", "order", "o-1", "--at", ref, "--json").json
    assert found == shop.ok("aggregate", "get", "order", "o-1", "--version", str(version), "--json").json
    assert (found["version"], found["state"]) == (version, {"total": total})
    events = shop.ok("aggregate", "get", "order", "o-1", "--at", ref, "--include-events", "--json").json["events"]
    assert [event["version"] for event in events] == list(range(1, version + 1))


def test_list(shop: Runner) -> None:
    def listed(*arguments: str) -> list[tuple[str, int]]:
        found = shop.ok("aggregate", "list", "--json", *arguments).json
        return [(each["aggregate_id"], each["version"]) for each in found]

    assert listed("--at", "HEAD") == listed() == [("o-1", 2), ("o-2", 1)]
    assert listed("order", "--at", "HEAD~1") == [("o-1", 2)]
    assert listed("--at", "@2026-11-01") == [("o-1", 1)]
    assert listed("thing", "--at", "HEAD") == []
    assert listed("--at", "HEAD", "--take", "1") == [("o-1", 2)]
    assert listed("--at", "HEAD", "--cursor", "a:order:o-1") == [("o-2", 1)]
    assert shop.ok("aggregate", "list", "--at", "HEAD~2").stdout.startswith("aggregate_type=order aggregate_id=o-1")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("get", "order", "o-2", "--at", "HEAD~1"), 3, "did not exist yet"),
        (("get", "order", "o-3", "--at", "HEAD"), 3, "does not exist"),
        (("get", "order", "o-1", "--at", "@2026-10-31"), 3, "no commit that is so old"),
        (("get", "order", "o-1", "--at", "v1"), 3, "names no commit"),
        (("get", "order", "o-1", "--at", "HEAD~~x"), 5, "at character 7"),
        (("get", "order", "o-1", "--at", ""), 2, "empty"),
        (("get", "order", "o-1", "--at", "HEAD", "--version", "1"), 2, "--version cannot be used"),
        (("list", "--at", "@2026-99-01"), 5, "is not a ref"),
        (("list", "--at", "v1"), 3, "names no commit"),
        (("list", "--at", "HEAD", "--stage"), 2, "--stage cannot be used"),
    ],
)
def test_what_cannot_be_shown(shop: Runner, arguments: tuple[str, ...], status: int, said: str) -> None:
    outcome = shop("aggregate", *arguments)
    assert (outcome.status, outcome.stdout) == (status, "")
    assert said in outcome.stderr
