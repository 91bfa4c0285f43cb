"""Aggregates that were pushed by themselves are no divergence: pull leaves out what the remote has already."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Runner


@pytest.fixture
def theirs(run: Runner) -> Runner:
    run.ok("init", "theirs")
    there = Runner(run.cwd / "theirs", run.home)
    for name in ("a", "b"):
        there.ok("aggregate", "create", "order", name, "--event", "placed")
    return there


@pytest.fixture
def ours(run: Runner, theirs: Runner) -> Runner:
    run.ok("init", "ours")
    here = Runner(run.cwd / "ours", run.home)
    here.ok("clone", "../theirs")
    return here


def commit(run: Runner, *names: str) -> None:
    """One commit with an event for each aggregate named."""
    lines = [{"aggregate_type": "order", "aggregate_id": name, "event_type": "paid", "payload": {}} for name in names]
    run.ok("aggregate", "apply", "--stage", "--from", "-", stdin="".join(json.dumps(line) + "\n" for line in lines))
    run.ok("commit", "-m", " ".join(names))


def settle(ours: Runner, theirs: Runner) -> list[str]:
    """Pull and push; the messages of our commits behind what both had."""
    refused = ours("push", "--json")
    assert (refused.status, refused.error["details"]["aggregates"]) == (4, [])
    ours.ok("pull")
    ours.ok("push")
    assert ours.ok("root").stdout == theirs.ok("root").stdout
    assert ours.ok("log", "--json").json == theirs.ok("log", "--json").json
    for side in (ours, theirs):
        side.ok("fsck")
    return [entry["message"] for entry in theirs.ok("log", "--reverse", "--json").json[3:]]


def test_one_of_two_commits_was_handed_over(ours: Runner, theirs: Runner) -> None:
    commit(ours, "a")
    commit(ours, "b")
    before = ours.ok("events", "--json", "--sort", "event_id").json
    ours.ok("push", "--aggregate", "order", "--id", "a")
    assert settle(ours, theirs) == ["b"]
    kept = ("event_id", "hash", "version", "created_at", "issued_by")
    after = ours.ok("events", "--json", "--sort", "event_id").json
    assert [[one[key] for key in kept] for one in before] == [[one[key] for key in kept] for one in after]


def test_a_part_of_a_commit_was_handed_over(ours: Runner, theirs: Runner) -> None:
    commit(ours, "a", "b", "a")
    ours.ok("push", "--aggregate", "order", "--id", "a")
    commit(ours, "a")
    assert settle(ours, theirs) == ["a b a", "a"]
    last = theirs.ok("log", "--json").json
    assert [entry["count"] for entry in last[:3]] == [1, 1, 2]


def test_all_of_it_was_handed_over(ours: Runner, theirs: Runner) -> None:
    commit(ours, "a")
    ours.ok("push", "--aggregate", "order")
    theirs.ok("aggregate", "apply", "order", "a", "sent")
    found = ours.ok("pull", "--json").json
    assert (found["commits"], found["recommitted"]) == (2, 0)
    assert ours.ok("push", "--json").json["up_to_date"]
    assert ours.ok("aggregate", "get", "order", "a", "--json").json["version"] == 3
    ours.ok("fsck")


def test_what_goes_on_differently_has_diverged_there(ours: Runner, theirs: Runner) -> None:
    commit(ours, "a")
    ours.ok("push", "--aggregate", "order", "--id", "a")
    commit(ours, "a")
    theirs.ok("aggregate", "apply", "order", "a", "sent")
    log = ours.ok("log", "--json").json
    refused = ours("pull", "--json")
    assert refused.status == 4
    assert refused.error["details"]["aggregates"] == [
        {"aggregate_type": "order", "aggregate_id": "a", "version": 3, "local": 3, "remote": 3}
    ]
    assert ours.ok("log", "--json").json == log


def test_a_domain_may_be_named_as_in_eventdbx(ours: Runner, theirs: Runner) -> None:
    ours.ok("clone", "../theirs", "copy")
    theirs.ok("aggregate", "apply", "order", "a", "sent")
    assert ours.ok("pull", "copy", "--json").json["domain"] == "copy"
    ours.ok("-d", "copy", "aggregate", "apply", "order", "a", "paid")
    assert ours.ok("push", "copy", "--json").json["remote"] == "origin"
    assert ours.ok("push", "schema", "copy", "--json").json["up_to_date"]
    ours.ok("remote", "add", "copy", "../theirs")  # a remote of that name comes first
    assert ours.ok("fetch", "copy", "--json").json["remote"] == "copy"
    assert ours("-d", "copy", "push", "default").status == 3
    assert ours("push", "nowhere").status == 3


def test_a_bundle_can_be_tried(ours: Runner, theirs: Runner) -> None:
    theirs.ok("aggregate", "apply", "order", "a", "sent")
    theirs.ok("bundle", "create", "../b")
    before = ours.ok("log", "--json").json
    tried = ours.ok("bundle", "apply", "../b", "--dry-run", "--json").json
    assert (tried["commits"], tried["events"], tried["dry_run"]) == (1, 1, True)
    ours.ok("checkout", "-c", "empty")
    assert ours.ok("bundle", "apply", "../b", "--dry-run").lines[0] == "Would take in 3 commits, 3 events."
    assert ours.ok("log", "--json").json == []
    ours.ok("checkout", "default")
    assert ours.ok("log", "--json").json == before
    assert "ref.bundle" not in ours.ok("audit-log").stdout
    assert ours.ok("bundle", "apply", "../b", "--json").json["dry_run"] is False
    assert ours.ok("log", "--json").json[1:] == before
    ours.ok("fsck", "--all")
