"""What a remote showed and ours lacks is a ref like any other: `origin/main` after a fetch."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Runner


@pytest.fixture
def theirs(run: Runner) -> Runner:
    """A repository that others commit to."""
    run.ok("init", "theirs")
    there = Runner(run.cwd / "theirs", run.home)
    for name in ("o-1", "o-2"):
        there.ok("aggregate", "create", "order", name, "--event", "placed", "--field", f"name={name}")
    return there


@pytest.fixture
def ours(run: Runner, theirs: Runner) -> Runner:
    """A clone of it, which fetched what was committed there since."""
    run.ok("init", "ours")
    here = Runner(run.cwd / "ours", run.home)
    here.ok("clone", "../theirs")
    theirs.ok("aggregate", "apply", "order", "o-2", "paid", "--field", "by=card")
    theirs.ok("aggregate", "create", "order", "o-3", "--event", "placed")
    here.ok("fetch")
    return here


def files_of(run: Runner) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path(run.cwd, ".dbx").rglob("*") if path.is_file()}


def ids(run: Runner, wanted: str) -> list[str]:
    return [entry["id"] for entry in run.ok("log", wanted, "--json").json]


def test_log_names_what_ours_lacks(ours: Runner, theirs: Runner) -> None:
    assert ids(ours, "HEAD..origin/main") == ids(theirs, "HEAD~2..HEAD")
    assert ids(ours, "origin/main") == ids(theirs, "HEAD")
    assert ids(ours, "origin/main..HEAD") == []
    assert ids(ours, "origin/main~1..origin/main") == ids(theirs, "HEAD~1..HEAD")
    stat = ours.ok("log", "HEAD..origin/main", "--stat", "-p", "--oneline").stdout
    assert "order/o-3 | 1 -> version 1" in stat
    assert '"card"' in stat


def test_show_root_and_states_are_theirs(ours: Runner, theirs: Runner) -> None:
    before = files_of(ours)
    assert ours.ok("show", "origin/main", "--json").json == theirs.ok("show", "HEAD", "--json").json
    assert ours.ok("show", "origin/main~1", "--json").json["id"] == ids(theirs, "HEAD~1")[0]
    assert ours.ok("root", "origin/main").stdout == theirs.ok("root").stdout
    assert ours.ok("root", "default@origin/main").stdout == theirs.ok("root").stdout
    get = ("aggregate", "get", "order", "o-2", "--include-events", "--json")
    assert ours.ok(*get, "--at", "origin/main").json == theirs.ok(*get).json
    listed = ours.ok("aggregate", "list", "--at", "origin/main", "--json").json
    assert listed == theirs.ok("aggregate", "list", "--json").json
    blamed = ours.ok("blame", "order", "o-2", "--at", "origin/main", "--field", "by", "--json").json
    assert blamed["fields"][0]["version"] == 2
    assert files_of(ours) == before


def test_a_root_file_of_theirs_is_theirs_but_not_ours_to_sign(ours: Runner, theirs: Runner) -> None:
    ours.ok("root", "export", "seen.roots", "origin/main")
    assert theirs.ok("diff", "../ours/seen.roots", "--exit-code").stdout == ""
    ours.ok("key", "generate")
    assert ours("root", "export", "signed.roots", "origin/main", "--sign").status == 3
    assert not (ours.cwd / "signed.roots").exists()


def test_both_sides_of_histories_that_parted(ours: Runner, theirs: Runner) -> None:
    ours.ok("aggregate", "apply", "order", "o-2", "cancelled")
    ours.ok("aggregate", "apply", "order", "o-2", "closed")
    assert ids(ours, "origin/main..HEAD") == ids(ours, "HEAD~2..HEAD")
    assert ids(ours, "HEAD..origin/main") == ids(theirs, "HEAD~2..HEAD")
    assert ours.ok("aggregate", "get", "order", "o-2", "--at", "origin/main", "--json").json["state"]["by"] == "card"
    assert ours("aggregate", "get", "order", "o-2", "--at", "origin/main~2", "--json").json["version"] == 1
    assert ours("show", "origin/main~9").status == 3


def test_own_commits_that_nobody_has_can_be_undone(ours: Runner) -> None:
    ours.ok("aggregate", "apply", "order", "o-2", "cancelled")
    assert ours("pull").status == 4
    ours.ok("undo", "--yes")
    ours.ok("pull")
    refused = ours("undo", "--yes", "--json")
    assert refused.status == 4
    ours.ok("fsck")


def test_a_ref_that_is_not_ours_cannot_be_tagged(ours: Runner) -> None:
    refused = ours("tag", "theirs", "origin/main", "--json")
    assert refused.status == 3
    assert refused.error["hint"] == "run 'dbx pull origin'"
