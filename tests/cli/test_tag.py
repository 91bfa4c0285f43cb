"""`dbx tag`: names for commits."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Runner
from tests.history import fill

NOW = {"DBX_NOW": "2026-11-23T07:42:00Z", "DBX_ACTOR": "ops:jane"}


def directory(run: Runner) -> Path:
    return run.cwd / ".dbx" / "domains" / "default"


def test_a_tag_is_one_line_on_disk(run: Runner) -> None:
    run.ok("init")
    ids = fill(run.cwd, 3)
    assert run.ok("tag", "v1.0", "-m", "the first", "HEAD~1", env=NOW).stdout == f"tag 'v1.0' is {ids[1][:12]}\n"
    assert (directory(run) / "refs/tags/v1.0").read_text() == f"commit {ids[1]} 1\n"
    run.ok("tag", "v2")
    assert run.ok("tag").stdout == run.ok("tag", "-l").stdout == run.ok("tag", "--list").stdout == "v1.0\nv2\n"
    assert run.ok("tag", "-l", "v1*", "x").stdout == "v1.0\n"
    assert run.ok("tag", "-l", "x").stdout == ""
    first, second = run.ok("tag", "--json").json
    assert first == {
        "name": "v1.0",
        "commit": ids[1],
        "seq": 1,
        "signed": False,
        "message": "the first",
        "tagged_at": "2026-11-23T07:42:00.000000Z",
        "actor": {"group": "ops", "user": "jane"},
    }
    assert (second["name"], second["commit"], second["message"]) == ("v2", ids[2], None)
    assert run.ok("show", "v1.0~1", "--json").json["id"] == ids[0]
    run.ok("fsck")


def test_moving_and_deleting(run: Runner) -> None:
    run.ok("init")
    ids = fill(run.cwd, 3)
    run.ok("tag", "v1", "HEAD~2")
    refused = run("tag", "v1", "--json")
    assert (refused.status, refused.error["message"]) == (4, "tag 'v1' exists already")
    assert run.ok("tag", "v1", "--force", "-m", "moved").stdout == f"tag 'v1' is {ids[2][:12]} (was {ids[0][:12]})\n"
    assert run.ok("tag", "--json").json[0]["message"] == "moved"
    run.ok("tag", "v2")
    assert run("tag", "-d", "v1", "v3").status == 3
    assert run.ok("tag").lines == ["v1", "v2"]
    assert run.ok("tag", "-d", "v1", "v2", "v1").lines == [
        f"deleted tag 'v1' (was {ids[2][:12]})",
        f"deleted tag 'v2' (was {ids[2][:12]})",
    ]
    assert run.ok("tag", "--json").json == []
    assert run("show", "v1").status == 3
    # What is made anew has no message of an earlier life.
    run.ok("tag", "v1")
    assert run.ok("tag", "--json").json[0]["message"] is None
    run.ok("fsck")


def test_another_domain(run: Runner) -> None:
    run.ok("init")
    fill(run.cwd, 1)
    run.ok("checkout", "-c", "other")
    run.ok("-d", "default", "tag", "one")
    run.ok("tag", "--domain", "default", "two")
    assert run.ok("tag").lines == []
    assert run.ok("tag", "-l", "--domain", "default").lines == ["one", "two"]
    assert run.ok("tag", "--domain", "default", "-d", "one", "--json").json[0]["name"] == "one"


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("V1",), 5, "must be a lower-case"),
        (("../x",), 5, "must be a lower-case"),
        (("a..b",), 5, "must be a lower-case"),
        (("a" * 101,), 5, "must be a lower-case"),
        (("",), 5, "must be a lower-case"),
        (("main",), 5, "already means"),
        (("con",), 5, "is a device"),
        (("lpt1.log",), 5, "is a device"),
        (("v1", "2026-11-01"), 3, "@2026-11-01"),
        (("v1", "HEAD~9"), 3, "before the first commit"),
        (("v1", "nothing"), 3, "names no commit"),
        (("v1", "HEAD~x"), 5, "at character 6"),
        (("v1", "HEAD", "more"), 2, "unexpected argument"),
        (("v1", "-m", ""), 5, "message is empty"),
        (("v1", "-m", "a\nb"), 5, "one line"),
        (("v1", "-m", "a" * 1020), 5, "1020 characters"),
        (("v1", "-m", "deleted"), 5, "cannot be 'deleted'"),
        (("-m", "x"), 2, "--message"),
        (("-l", "-f"), 2, "--force"),
        (("-l", "-d", "x"), 2, "--list"),
        (("-d",), 2, "needs the name"),
        (("-d", "x", "-m", "y"), 2, "--message"),
        (("-d", "x"), 3, "no tag 'x'"),
        (("-d", "../../HEAD"), 3, "no tag"),
    ],
)
def test_what_is_refused_changes_nothing(run: Runner, arguments: tuple[str, ...], status: int, said: str) -> None:
    run.ok("init")
    fill(run.cwd, 2)
    outcome = run("tag", *arguments)
    assert (outcome.status, outcome.stdout) == (status, "")
    assert said in outcome.stderr
    assert run.ok("tag").stdout == ""
    assert not (directory(run) / "logs/refs/tags").exists()


def test_an_empty_domain_has_nothing_to_name(run: Runner) -> None:
    run.ok("init")
    assert run("tag", "v1").status == 3


def test_a_longest_message(run: Runner) -> None:
    run.ok("init")
    fill(run.cwd, 1)
    run.ok("tag", "v1", "-m", "ä" * 1019)
    assert run.ok("tag", "--json").json[0]["message"] == "ä" * 1019


def test_the_shell_is_offered_tags(run: Runner) -> None:
    run.ok("init")
    fill(run.cwd, 1)
    run.ok("tag", "v1.0")
    outcome = run.ok(env={"_DBX_COMPLETE": "bash_complete", "COMP_WORDS": "dbx show v", "COMP_CWORD": "2"})
    assert outcome.lines == ["plain,v1.0"]


def test_words_do_what_the_options_do(run: Runner) -> None:
    run.ok("init")
    fill(run.cwd, 2)
    assert run.ok("tag", "create", "v1", "HEAD~1", "-m", "why", "--json").json["seq"] == 0
    run.ok("tag", "create", "list")
    assert run.ok("tag", "list").stdout == run.ok("tag").stdout == "list\nv1\n"
    assert [tag["name"] for tag in run.ok("tag", "list", "v*", "--json").json] == ["v1"]
    assert run("tag", "create").status == run("tag", "delete").status == 2
    assert run("tag", "list", "-m", "x").status == 2
    assert run("tag", "delete", "none").status == 3
    run.ok("tag", "delete", "v1", "list")
    run.ok("tag", "create", "create")
    run.ok("tag", "--delete", "create")
    assert run.ok("tag", "--json").json == []


def test_a_signed_tag_is_a_checkpoint_that_verifies(run: Runner) -> None:
    run.ok("init")
    ids = fill(run.cwd, 3)
    vkey = run.ok("key", "generate", "--name", "acme").lines[0]
    assert run.ok("tag", "--sign", "v1", "HEAD~1", "-m", "closed").stdout == f"tag 'v1' is {ids[1][:12]}, signed\n"
    note = (directory(run) / "refs/tags/v1").read_bytes()
    assert note.split(b"\n")[1] == b"2"
    assert run.ok("checkpoint", "verify", "-", "--key", vkey, "--json", stdin=note).json["size"] == 2
    (made,) = run.ok("tag", "--json").json
    assert (made["signed"], made["commit"], made["seq"], made["message"]) == (True, ids[1], 1, "closed")
    assert "(signed)" in run.ok("show", "v1").stdout
    assert run.ok("show", "v1", "--json").json["id"] == ids[1]
    (verified,) = run.ok("tag", "--verify", "v1", "--json").json
    assert (verified["name"], verified["signers"]) == ("v1", ["acme"])
    assert run.ok("tag", "-v", "v1", "--key", vkey).stdout == f"tag 'v1' is {ids[1][:12]}, signed by acme\n"
    run.ok("fsck")
    run.ok("undo", "--yes")  # the tag
    run.ok("undo", "--yes")  # its removal
    run.ok("tag", "-d", "v1")
    outcome = run("undo", "--yes", "--json")
    assert outcome.status == 0  # the deletion of the tag
    run.ok("tag", "-d", "v1")


def test_what_a_signed_tag_covers_is_not_taken_back(run: Runner) -> None:
    run.ok("init")
    run.ok("key", "generate")
    fill(run.cwd, 2)
    run.ok("tag", "-s", "v1")
    (directory(run) / "refs/tags/v1").unlink()
    (directory(run) / "logs/refs/tags/v1").unlink()
    outcome = run("undo", "--yes", "--json")
    assert outcome.status == 4
    assert "a signed checkpoint covers it" in outcome.error["message"]


def test_signed_tags_that_do_not_verify(run: Runner) -> None:
    run.ok("init")
    run.ok("key", "generate", "--name", "acme")
    fill(run.cwd, 2)
    run.ok("tag", "plain")
    run.ok("tag", "-s", "v1")

    def reason(*words: str) -> str:
        outcome = run("tag", "--verify", *words, "--json")
        assert outcome.status == 7
        return str(outcome.error["details"]["reason"])

    assert reason("plain") == "unsigned"
    other = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    assert reason("v1", "--key", other) == "unknown-key"
    file = directory(run) / "refs/tags/v1"
    note = file.read_text()
    lines = note.split("\n")
    file.write_text("\n".join([lines[0], "1", *lines[2:]]))
    assert reason("v1") == "changed"
    assert run("fsck").status == 7
    file.write_text(note)
    assert run("tag", "--verify", "none").status == 3
    for words in (("--verify",), ("-v", "-d", "v1"), ("-v", "-s", "v1"), ("v2", "--key", other), ("-l", "-s")):
        assert run("tag", *words).status == 2
