"""`dbx init`: once, twice, elsewhere, and where it cannot be."""

from __future__ import annotations

import os

import pytest

from tests.cli.conftest import Runner


def test_a_repository_is_made_in_the_working_directory(run: Runner) -> None:
    outcome = run.ok("init")
    path = run.cwd / ".dbx"
    assert outcome.lines == [f"Initialized an empty repository in {path} with the domain 'default'."]
    assert (path / "HEAD").read_text() == "ref: domains/default\n"
    assert "!config.yaml" in (path / ".gitignore").read_text()
    assert os.stat(path).st_mode & 0o777 == 0o700
    assert run.ok("status", "--json").json["events"] == 0


def test_a_second_time_changes_nothing(run: Runner) -> None:
    first = run.ok("init", "--json").json
    files = {path: path.stat().st_mtime_ns for path in (run.cwd / ".dbx").rglob("*")}
    assert run.ok("init", "--json").json == {**first, "created": False}
    assert run.ok("init").lines == [f"There is a repository in {run.cwd}/.dbx already; nothing was changed."]
    assert {path: path.stat().st_mtime_ns for path in (run.cwd / ".dbx").rglob("*")} == files


def test_an_interrupted_init_is_completed(run: Runner) -> None:
    run.ok("init")
    (run.cwd / ".dbx" / "HEAD").unlink()
    assert run.ok("init", "--json").json["created"] is True
    run.ok("status")


@pytest.mark.parametrize("how", ["argument", "-C", "DBX_DIR", ".dbx"])
def test_it_goes_where_it_is_told(run: Runner, how: str) -> None:
    place = run.cwd / "a" / "b"
    if how == "DBX_DIR":
        made = run.ok("init", "--json", env={"DBX_DIR": str(place)}).json
    elif how == "-C":
        made = run.ok("-C", str(place), "init", "--json").json
    else:
        made = run.ok("init", "--json", "a/b" if how == "argument" else "a/b/.dbx").json
    assert made["path"] == f"{place}/.dbx"
    run.ok("status", cwd=place)


def test_the_first_domain_may_have_another_name(run: Runner) -> None:
    assert run.ok("init", "--domain", "orders", "--json").json["domain"] == "orders"
    assert run.ok("init", "--domain", "orders", "--json").json["created"] is False
    outcome = run("init", "--domain", "people", "--json")
    assert outcome.status == 4
    assert outcome.error["hint"] == "make it with 'dbx checkout -c people'"


def test_a_bad_name_makes_nothing(run: Runner) -> None:
    assert run("init", "--domain", "Orders").status == 5
    assert list(run.cwd.iterdir()) == []


def test_where_a_file_is_in_the_way(run: Runner) -> None:
    (run.cwd / "file").write_text("mine")
    outcome = run("init", "file", "--json")
    assert (outcome.status, outcome.error["type"]) == (1, "failure")
    (run.cwd / ".dbx").write_text("mine")
    assert run("init").status == 7
    assert (run.cwd / ".dbx").read_text() == "mine"


def test_two_directories_are_one_too_many(run: Runner) -> None:
    assert run("init", "a", "b").status == 2


def test_a_directory_that_is_not_there_does_not_lead_to_a_repository_above(run: Runner) -> None:
    run.ok("init")
    for words in (("status",), ("aggregate", "create", "order", "o-1", "--event", "placed"), ("clone", "../far")):
        outcome = run("-C", "nowhere", *words)
        assert (outcome.status, outcome.stderr) == (
            3,
            "dbx: error: there is no directory 'nowhere'\ndbx: hint: see whether its path is right\n",
        )
        assert not (run.cwd / "nowhere").exists()
    assert run("status", env={"DBX_DIR": str(run.cwd / "nowhere")}).status == 3
    run.ok("-C", "new/one", "init")
    assert run.ok("-C", "new/one", "log", "--json").json == []
