"""`dbx push schema`: what people wrote in the working schemas arrives, or they are told why it does not."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Runner


@pytest.fixture
def theirs(run: Runner) -> Runner:
    run.ok("init", "theirs")
    there = Runner(run.cwd / "theirs", run.home)
    there.ok("schema", "create", "order", "-e", "placed")
    there.ok("aggregate", "create", "order", "a", "--event", "placed")
    return there


@pytest.fixture
def ours(run: Runner, theirs: Runner) -> Runner:
    run.ok("init", "ours")
    here = Runner(run.cwd / "ours", run.home)
    here.ok("clone", "../theirs")
    return here


def events(run: Runner) -> list[str]:
    return sorted(run.ok("schema", "order", "--json").json["events"])


def test_what_is_not_published_is_published_first(ours: Runner, theirs: Runner) -> None:
    ours.ok("schema", "add", "order", "paid")
    dry = ours.ok("push", "schema", "--dry-run", "--json").json
    assert (dry["schemas"], dry["up_to_date"], dry["dry_run"]) == (1, False, True)
    assert events(theirs) == ["placed"]
    assert ours.ok("schema", "history", "--json").json["versions"][0]["reason"] == "recorded on commit"
    done = ours.ok("push", "schema", "--json").json
    assert (done["schemas"], done["up_to_date"]) == (1, False)
    assert events(theirs) == ["paid", "placed"]
    assert theirs.ok("schema", "history", "--json").json["versions"][0]["reason"] == "recorded on push"
    assert ours.ok("push", "schema", "--json").json["up_to_date"]
    theirs.ok("aggregate", "apply", "order", "a", "paid")


def test_publishing_may_be_left_to_people(ours: Runner, theirs: Runner) -> None:
    ours.ok("config", "schema.require_publish", "true")
    ours.ok("schema", "add", "order", "paid")
    refused = ours("push", "schema", "--json")
    assert (refused.status, refused.error["hint"]) == (5, "publish them with 'dbx schema publish'")
    ours.ok("schema", "publish")
    ours.ok("push", "schema")
    assert events(theirs) == ["paid", "placed"]


def test_versions_that_we_lack_come_first(ours: Runner, theirs: Runner) -> None:
    theirs.ok("schema", "add", "order", "sent")
    theirs.ok("schema", "publish")
    ours.ok("schema", "add", "order", "paid")
    refused = ours("push", "schema", "--json")
    assert (refused.status, refused.error["hint"]) == (4, "run 'dbx pull schema'")
    assert len(ours.ok("schema", "history", "--json").json["versions"]) == 1
    assert events(theirs) == ["placed", "sent"]


def test_schemas_that_have_diverged_are_told_though_nothing_is_sent(ours: Runner, theirs: Runner) -> None:
    for side, name in ((ours, "paid"), (theirs, "sent")):
        side.ok("schema", "add", "order", name)
        side.ok("schema", "publish")
    for command in (("push",), ("push", "--dry-run"), ("pull",)):
        refused = ours(*command, "--json")
        assert (refused.status, "diverged" in refused.error["message"]) == (4, True)
    ours.ok("aggregate", "apply", "order", "a", "paid")
    for command in (("push",), ("push", "--dry-run")):
        assert ours(*command).status == 4
    assert len(theirs.ok("log", "--json").json) == 1
    theirs.ok("fsck")


def test_schemas_that_we_lack_are_no_reason_to_keep_commits(ours: Runner, theirs: Runner) -> None:
    theirs.ok("schema", "add", "order", "sent")
    theirs.ok("schema", "publish")
    assert ours.ok("push", "--json").json["up_to_date"]
    ours.ok("aggregate", "apply", "order", "a", "placed")
    ours.ok("push", "--dry-run")
    ours.ok("push")
    assert len(theirs.ok("log", "--json").json) == 2
