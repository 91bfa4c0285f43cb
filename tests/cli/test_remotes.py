"""clone, remote, fetch, pull, push, bundle, merge and serve as their users meet them."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import DBX, Outcome, Runner
from tests.unit.remotes.web import web_server


@pytest.fixture
def far(run: Runner) -> Path:
    """A repository with three orders, beside the working directory."""
    path = run.cwd.parent / "far"
    run.ok("init", str(path))
    for n in (1, 2, 3):
        run.ok("aggregate", "apply", "order", f"o-{n}", "placed", "--field", f"n:={n}", "--create", cwd=path)
    return path


@pytest.fixture
def near(run: Runner, far: Path) -> Runner:
    run.ok("clone", str(far))
    return run


def add(run: Runner, where: Path | None, name: str) -> None:
    run.ok("aggregate", "apply", "order", name, "changed", "--create", "--field", "a=b", cwd=where)


def root(run: Runner, where: Path | None = None) -> str:
    return str(run.ok("root", "--json", cwd=where).json["root"])


def refused(outcome: Outcome, status: int) -> str:
    assert outcome.status == status, outcome
    return outcome.stderr


def test_clone_makes_a_repository_where_there_is_none(run: Runner, far: Path) -> None:
    done = run.ok("clone", str(far), "--json").json
    assert done == {
        "domain": "default",
        "path": str(run.cwd / ".dbx/domains/default"),
        "id": run.ok("domain", "show", "--json", cwd=far).json["id"],
        "url": str(far),
        "head": {"id": run.ok("log", "--json", cwd=far).json[0]["id"], "seq": 2},
        "commits": 3,
        "events": 3,
        "schemas": 0,
        "resumed": 0,
        "partial": False,
        "switched": False,
    }
    assert root(run) == root(run, far)
    run.ok("fsck")
    assert [one["name"] for one in run.ok("remote", "list", "--json").json] == ["origin"]


def test_a_partial_clone_makes_a_repository_where_there_is_none(run: Runner, far: Path) -> None:
    done = run.ok("clone", str(far), "--aggregate", "order", "--id", "o-2", "--json").json
    assert (done["domain"], done["partial"], done["events"]) == ("default", True, 1)
    assert (
        done["id"] == run.ok("domain", "show", "--json").json["id"] != run.ok("domain", "show", "--json", cwd=far).json
    )
    add(run, far, "o-2")
    run.ok("pull", "--aggregate", "order", "--id", "o-2")
    for name in ("o-2", "o-2", "o-8"):
        add(run, None, name)
    dry = run.ok("push", "--aggregate", "order", "--dry-run", "--json").json
    assert (dry["aggregates"], dry["events"], dry["behind"], dry["dry_run"]) == (2, 3, 2, True)
    assert run.ok("push", "--aggregate", "order", "--json").json == {**dry, "dry_run": False}
    shown = [run.ok("aggregate", "get", "order", "o-2", "--json", cwd=where).json for where in (None, far)]
    assert shown[0] == shown[1]
    run.ok("fsck", "--all")
    assert "not empty" in refused(run("clone", str(far), "--aggregate", "order"), 4)
    run.ok("checkout", "-c", "some")
    run.ok("clone", str(far), "some", "--aggregate", "order")
    assert len(run.ok("aggregate", "list", "--json").json) == 4
    assert run.ok("config", "reference_domain").stdout.strip() == "default"


def test_a_partial_clone_that_fails_leaves_nothing(run: Runner, far: Path) -> None:
    refused(run("clone", str(far), "--aggregate", "order", "--id", "nix"), 3)
    assert list(run.cwd.iterdir()) == []


def test_clone_into_a_repository_leaves_what_is_checked_out(run: Runner, far: Path) -> None:
    run.ok("init")
    run.ok("clone", str(far), "copy")
    assert run.ok("status", "--json").json["domain"] == "default"
    assert root(run, far) == run.ok("root", "copy", "--json").json["root"]
    assert "exists already" in refused(run("clone", str(far), "copy"), 4)


def test_a_clone_of_a_fork_that_went_no_further(run: Runner, far: Path) -> None:
    run.ok("checkout", "-c", "fork", "--from", "default", cwd=far)
    forked = run.ok("domain", "show", "--json", cwd=far).json["forked_from"]
    run.ok("clone", f"{far}#fork")
    run.ok("checkout", "-c", "pulled")
    run.ok("remote", "add", "origin", f"{far}#fork")
    run.ok("pull")
    run.ok("bundle", "create", "fork.bundle")
    run.ok("checkout", "-c", "applied")
    run.ok("bundle", "apply", "fork.bundle")
    for name in ("fork", "pulled", "applied"):
        assert run.ok("domain", "show", name, "--json").json["forked_from"] == forked
    add(run, far, "o-1")
    run.ok("pull", "-d", "fork")
    run.ok("fsck", "--all")


def test_a_fork_that_goes_on_as_what_it_was_forked_from(near: Runner, far: Path) -> None:
    near.ok("checkout", "-c", "fork", "--from", "default@HEAD~1", "--remote", str(far))
    before = near.ok("domain", "show", "--json").json
    add(near, far, "o-1")
    near.ok("pull")
    after = near.ok("domain", "show", "--json").json
    assert (after["id"], after["forked_from"]["domain"]) == (before["id"], before["forked_from"]["domain"])
    assert (before["forked_from"]["seq"], after["forked_from"]["seq"]) == (1, 3)
    near.ok("fsck")
    told = near.home / "told"
    near.ok("plugin", "config", "log", "--name", "told", "--file", str(told), cwd=far)
    add(near, None, "mine")
    near.ok("push")
    near.ok("fsck")
    near.ok("fsck", cwd=far)
    assert near.ok("domain", "show", "--json", cwd=far).json["forked_from"]["domain"] == before["id"]
    for file in (far / ".dbx/domains/default").glob("queue.db*"):
        file.unlink()  # then it begins with what was committed since it was configured
    near.ok("plugin", "run", "--once", cwd=far)
    assert "mine" in told.read_text()
    add(near, far, "theirs")
    near.ok("pull")
    for where in (None, far):
        near.ok("fsck", "--all", cwd=where)


@pytest.mark.parametrize("url", ["path", "http"])
def test_a_remote_that_lacks_a_segment(near: Runner, far: Path, url: str) -> None:
    near.ok("gc", cwd=far)
    add(near, far, "o-9")
    (segment,) = (far / ".dbx/domains/default/segments").glob("*.seg")
    segment.unlink()
    name = f"segments/{segment.name}"
    for words in (
        ("bundle", "create", "b"),
        ("gc",),
        ("checkout", "-c", "fork", "--from", "default"),
        ("checkout", "-c", "fork", "--from", "default@HEAD~1"),
    ):
        assert f"'{name}' is missing" in refused(near(*words, cwd=far), 7)
    if url == "path":
        assert f"is damaged: '{name}' is missing" in refused(near("clone", str(far), "copy"), 8)
        assert near("clone", str(far), "copy", "--aggregate", "order").status == 8
        return
    server = near.start("serve", "--port", "0", "--json", "--quiet", cwd=far, stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        address = json.loads(server.stdout.readline())["url"]
        assert f"'{name}' is missing" in refused(near("clone", f"{address}/default", "copy"), 8)
    finally:
        server.terminate()
        assert server.wait(30) == 0


@pytest.mark.parametrize("name", ["domain.yaml", "refs/heads/main", "manifests"])
def test_a_remote_at_a_path_that_is_damaged(near: Runner, far: Path, name: str) -> None:
    near.ok("gc", cwd=far)
    found = far / ".dbx/domains/default" / name
    if found.is_dir():
        shutil.rmtree(found)
    else:
        found.write_text(": :")
    (far / ".dbx/domains/default/index.db").unlink()
    for words in (("pull",), ("clone", str(far), "copy")):
        error = near(*words, "--json").error
        assert (error["status"], error["hint"]) == (8, "run 'dbx fsck' there")
    near.ok("fsck")
    assert near.ok("domain", "list", "--json").json[0]["domain"] == "default"


def test_a_clone_that_fails_leaves_nothing(run: Runner, far: Path) -> None:
    for url in ("../nowhere", "http://127.0.0.1:1/x", "../far#nix"):
        refused(run("clone", url), 8)
        assert list(run.cwd.iterdir()) == []
    (segment,) = (far / ".dbx/domains/default").glob("journal-*")
    data = bytearray(segment.read_bytes())
    data[200] ^= 1
    segment.write_bytes(data)
    assert run("clone", "../far").status in (7, 8)
    assert list(run.cwd.iterdir()) == []


def test_a_relative_path_is_kept_absolute(run: Runner, far: Path) -> None:
    run.ok("clone", "../far")
    assert run.ok("remote", "show", "--json").json["url"] == str(far)


def test_push_and_pull_tell_what_they_did(near: Runner, far: Path) -> None:
    add(near, None, "o-4")
    dry = near.ok("push", "--dry-run", "--json").json
    assert (dry["commits"], dry["dry_run"], dry["up_to_date"]) == (1, True, False)
    done = near.ok("push", "--json").json
    assert (done["commits"], done["events"], done["before"]["seq"], done["head"]["seq"]) == (1, 1, 2, 3)
    assert near.ok("push", "--json").json["up_to_date"] is True
    add(near, far, "o-5")
    pulled = near.ok("pull", "--json").json
    assert (pulled["commits"], pulled["recommitted"], pulled["up_to_date"]) == (1, 0, False)
    assert near.ok("pull", "--json").json["up_to_date"] is True
    assert root(near) == root(near, far)


def test_behind_and_diverged(near: Runner, far: Path) -> None:
    add(near, far, "o-1")
    said = refused(near("push"), 4)
    assert said == (
        "dbx: error: cannot push 'default': the remote has 1 commit that we lack\ndbx: hint: run 'dbx pull'\n"
    )
    add(near, None, "o-1")
    before = root(near)
    for command in ("push", "pull"):
        error = near(command, "--json").error
        assert error["type"] == "conflict"
        assert error["message"] == (
            f"cannot {command} 'default': it has diverged from the remote in aggregate 'order/o-1' at version 2"
        )
        assert (error["details"]["reason"], error["details"]["common"]["seq"]) == ("diverged", 2)
        assert (error["details"]["local"]["seq"], error["details"]["remote"]["seq"]) == (3, 3)
        assert error["details"]["aggregates"] == [
            {"aggregate_type": "order", "aggregate_id": "o-1", "version": 2, "local": 2, "remote": 2}
        ]
    assert root(near) == before
    for n in range(6):
        for where in (None, far):
            add(near, where, f"new-{n}")
    for command in (("push",), ("pull",), ("pull", "--dry-run")):
        error = near(*command, "--json").error
        assert error["message"].endswith(
            "from the remote in 7 aggregates: 'order/new-0' at version 1, 'order/new-1' at version 1,"
            " 'order/new-2' at version 1, 'order/new-3' at version 1, 'order/new-4' at version 1, and 2 more"
        )
        assert (len(error["details"]["aggregates"]), error["details"]["count"]) == (7, 7)
    near.ok("fsck")
    near.ok("fsck", cwd=far)


def test_domains_that_have_nothing_in_common(run: Runner, far: Path) -> None:
    run.ok("init")
    add(run, None, "o-1")
    add(run, None, "mine")
    run.ok("remote", "add", "origin", str(far))
    for command in ("push", "pull", "fetch"):
        error = run(command, "--json").error
        assert error["status"] == 4
        assert error["message"] == (
            f"cannot {command} 'default': it has no commit in common with the remote 'origin', and parts from it in"
            " aggregate 'order/o-1' at version 1"
        )
        assert (error["details"]["reason"], error["details"]["common"]) == ("diverged", None)
        assert [one["aggregate_id"] for one in error["details"]["aggregates"]] == ["o-1"]
    for command in ("push", "pull"):
        said = refused(run(command, "--aggregate", "order"), 4)
        assert "the remote 'origin': aggregate 'order/o-1' has diverged at version 1" in said
    assert len(run.ok("log", "--json", cwd=far).json) == 3


def test_ours_on_top_keeps_every_event_byte_for_byte(near: Runner, far: Path) -> None:
    near.ok("aggregate", "apply", "--stage", "--create", "order", "o-7", "placed", "--field", "a=b")
    near.ok("commit", "-m", "mine")
    mine = near.ok("events", "order", "o-7", "--json").json
    add(near, far, "o-8")
    assert near.ok("pull", "--json").json["recommitted"] == 1
    again = near.ok("events", "order", "o-7", "--json").json
    moved = ("position", "seq")
    assert [{k: v for k, v in one.items() if k not in moved} for one in again] == [
        {k: v for k, v in one.items() if k not in moved} for one in mine
    ]
    assert near.ok("log", "--json").json[0]["message"] == "mine"
    near.ok("fsck")
    near.ok("push")
    assert root(near) == root(near, far)


def test_a_tagged_commit_is_not_made_anew(near: Runner, far: Path) -> None:
    add(near, None, "o-7")
    near.ok("tag", "v1")
    add(near, far, "o-8")
    assert "tag 'v1'" in refused(near("pull"), 4)


def test_what_a_signed_checkpoint_covers_is_not_made_anew(near: Runner, far: Path) -> None:
    near.ok("key", "generate")
    add(near, None, "o-7")
    add(near, far, "o-8")
    near.ok("checkpoint", "--sign", "--out", str(near.cwd / "head.note"))
    before = root(near)
    assert "a signed checkpoint covers it" in refused(near("pull"), 4)
    assert root(near) == before


def test_what_was_fetched_before_is_no_reason_to_keep_ours(near: Runner, far: Path) -> None:
    add(near, None, "o-7")
    for name in ("o-8", "o-9"):
        add(near, far, name)
    near.ok("fetch")
    assert near.ok("pull", "--json").json["recommitted"] == 1


def test_an_older_remote_is_refused_and_the_evidence_kept(near: Runner, far: Path) -> None:
    old = far.parent / "old"
    shutil.copytree(far, old)
    add(near, far, "o-8")
    near.ok("pull")
    shutil.rmtree(far)
    shutil.copytree(old, far)
    error = near("pull", "--json").error
    assert error["status"] == 8
    evidence = json.loads(Path(error["details"]["evidence"]).read_text())
    assert (evidence["reason"], evidence["remembered"]["seq"], evidence["offered"]["seq"]) == ("older", 3, 2)
    assert near("fetch", "--json").error["details"]["evidence"] == error["details"]["evidence"]
    assert json.loads(Path(error["details"]["evidence"]).read_text()) == evidence
    near.ok("fsck")
    near.ok("remote", "remove", "origin")
    near.ok("remote", "add", "origin", str(far))
    near.ok("push")


def test_what_one_origin_showed_is_not_forgotten_for_another(near: Runner, far: Path) -> None:
    mirror, old = far.with_name("mirror"), far.with_name("old")
    for copy in (mirror, old):
        shutil.copytree(far, copy)
    add(near, far, "o-1")
    near.ok("pull")
    near.ok("clone", str(mirror), "mirrored")  # the same domain, and its remote is an 'origin' as well
    near.ok("pull", "-d", "mirrored")
    shutil.rmtree(far)
    old.rename(far)
    assert "has shown commit 3 before" in refused(near("pull"), 8)
    near.ok("pull", "-d", "mirrored")


def test_bundles(near: Runner, far: Path) -> None:
    add(near, far, "o-9")
    near.ok("bundle", "create", "all.bundle", cwd=far)
    near.ok("bundle", "create", "new.bundle", "HEAD~1..", cwd=far)
    assert near.ok("bundle", "verify", str(far / "all.bundle"), "--json", cwd="/").json["complete"] is True
    assert near.ok("bundle", "verify", str(far / "new.bundle"), "--json", cwd="/").json["commits"] == 1
    assert near.ok("bundle", "apply", str(far / "new.bundle"), "--json").json["commits"] == 1
    assert near.ok("bundle", "apply", str(far / "all.bundle"), "--json").json["up_to_date"] is True
    assert root(near) == root(near, far)
    data = (far / "all.bundle").read_bytes()
    for spoilt in (data[:-2000], data.replace(b'"seq":3', b'"seq":2'), b"x" * 600):
        (far / "bad.bundle").write_bytes(spoilt)
        refused(near("bundle", "verify", str(far / "bad.bundle")), 7)
        refused(near("bundle", "apply", str(far / "bad.bundle")), 7)
    refused(near("bundle", "verify", "nothing"), 3)
    refused(near("bundle", "create", "x.bundle", "HEAD..HEAD"), 5)
    assert not (near.cwd / "x.bundle").exists()
    near.ok("fsck")


def test_a_remote_that_was_emptied_is_refused(near: Runner, far: Path) -> None:
    shutil.rmtree(far / ".dbx")
    near.ok("init", cwd=far)
    assert "it is empty, but has shown commit 2 before" in refused(near("pull"), 8)


@pytest.mark.parametrize("wanted", ["HEAD~1..HEAD~1", "HEAD..HEAD~2", "HEAD.."])
def test_a_bundle_of_nothing(near: Runner, wanted: str) -> None:
    assert f"there are no commits in '{wanted}'" in refused(near("bundle", "create", "x", wanted), 5)
    assert not (near.cwd / "x").exists()


def test_a_bundle_in_a_pipe(near: Runner, far: Path, tmp_path: Path) -> None:
    made = subprocess.run(
        [DBX, "bundle", "create", "-"], cwd=far, env=near.environment(), capture_output=True, check=True
    )
    near.ok("bundle", "create", "b")
    assert made.stdout == (near.cwd / "b").read_bytes()
    assert made.stderr == b""
    assert near.ok("bundle", "verify", "-", "--json", stdin=made.stdout, cwd=tmp_path).json["file"] == "-"
    near.ok("init", str(tmp_path / "other"))
    assert near.ok("bundle", "apply", "-", "--json", stdin=made.stdout, cwd=tmp_path / "other").json["commits"] == 3
    refused(near("bundle", "create", "-", "--json"), 2)
    cut = made.stdout[:2000]
    for command in ("verify", "apply"):
        assert "the bundle on standard input is damaged: " in refused(near("bundle", command, "-", stdin=cut), 7)
        (near.cwd / "cut").write_bytes(cut)
        error = near("bundle", command, "cut", "--json").error
        assert error["message"] == "the bundle 'cut' is damaged: the transfer was cut short"
        assert (error["status"], error["details"]) == (7, {})
        assert error["hint"]


def test_a_bundle_beside_commits_of_our_own(near: Runner, far: Path) -> None:
    add(near, far, "theirs")
    near.ok("bundle", "create", str(near.cwd / "all"), cwd=far)
    near.ok("bundle", "create", str(near.cwd / "new"), "HEAD~1..", cwd=far)
    add(near, None, "mine")
    common = near.ok("log", "--json").json[1]["id"][:12]
    assert "has commits that it lacks" in refused(near("bundle", "apply", "all"), 4)
    said = refused(near("bundle", "apply", "new"), 4)
    assert "has commits behind commit 2, which it continues, that it lacks" in said
    assert f"dbx checkout -c NAME --from default@{common}" in said
    near.ok("checkout", "-c", "taken", "--from", f"default@{common}")
    near.ok("bundle", "apply", "new")
    near.ok("merge", "--from", "taken", "--into", "default")
    near.ok("fsck", "--all")
    assert len(near.ok("events", "--json", "-d", "default").json) == 5


def test_a_bundle_is_no_address(near: Runner) -> None:
    near.ok("bundle", "create", "b")
    assert "dbx bundle apply" in refused(near("clone", "b", "copy"), 8)


def test_merge_takes_what_continues_and_names_what_does_not(near: Runner) -> None:
    near.ok("checkout", "-c", "draft", "--from", "default")
    add(near, None, "o-1")
    add(near, None, "o-9")
    dry = near.ok("merge", "--from", "draft", "--into", "default", "--dry-run", "--json").json
    assert (dry["aggregates"], dry["events"], dry["commit"]) == (2, 2, None)
    done = near.ok("merge", "--from", "draft", "--into", "default", "--json").json
    assert (done["aggregates"], done["events"], done["same"]) == (2, 2, 2)
    assert near.ok("root", "draft", "--json").json["root"] == near.ok("root", "default", "--json").json["root"]
    add(near, None, "o-1")
    near.ok("-d", "default", "aggregate", "apply", "order", "o-1", "changed", "--field", "c=d")
    error = near("merge", "--from", "draft", "--into", "default", "--json").error
    assert error["details"]["aggregates"][0]["version"] == 3
    refused(near("merge", "--from", "draft"), 2)
    refused(near("merge", "--from", "typo", "--into", "default"), 3)
    refused(near("merge", "--from", "draft", "--into", "typo"), 3)
    near.ok("fsck")


@pytest.mark.parametrize("has_index", [True, False])
def test_what_is_damaged_in_the_domain_that_is_merged_is_our_damage(near: Runner, has_index: bool) -> None:
    near.ok("gc")
    near.ok("checkout", "-c", "empty")
    domain = near.cwd / ".dbx/domains/default"
    for file in [] if has_index else domain.glob("index.db*"):
        file.unlink()
    (segment,) = (domain / "segments").iterdir()
    segment.unlink()
    error = refused(near("merge", "--from", "default", "--into", "empty"), 7)
    assert f"'segments/{segment.name}' is missing" in error
    assert "see 'dbx fsck'" in error
    assert near.ok("log", "--json").json == []


def test_checkout_stores_a_remote_on_the_active_domain_too(run: Runner, far: Path) -> None:
    run.ok("init")
    done = run.ok("checkout", "default", "--remote", str(far), "--token", "canary-123", "--json")
    assert done.json["remote_updated"] is True
    assert "canary-123" not in done.stdout
    assert run.ok("remote", "show", "--json").json["token"] is True
    run.ok("pull")
    assert root(run) == root(run, far)
    credentials = run.cwd / ".dbx/credentials.yaml"
    assert credentials.stat().st_mode & 0o777 == 0o600
    assert "canary-123" in credentials.read_text()
    run.ok("checkout", "default", "--token", "")
    assert "canary-123" not in credentials.read_text()
    run.ok("checkout", "default", "--remote", "")
    assert run.ok("remote", "list", "--json").json == []


def test_what_is_refused_about_a_remote_leaves_nothing(run: Runner, far: Path) -> None:
    run.ok("init")
    run.ok("checkout", "-c", "other", "--remote", "http://h/x", "--token", "canary-1")
    run.ok("checkout", "default")

    def files() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in run.cwd.rglob("*") if path.is_file()}

    before = files()
    for words, status in (
        (("remote", "add", "new", "http://h/x", "--token", "a b"), 5),
        (("remote", "set-url", "origin", "http://h/y", "--token", "a b", "-d", "other"), 5),
        (("checkout", "other", "--remote", "http://h/y", "--token", "a b"), 5),
        (("checkout", "other", "--remote", "file:///x"), 5),
        (("checkout", "-c", "new", "--remote", "http://h/y", "--token", "a b"), 5),
        (("checkout", "-c", "new", "--remote", "file:///x"), 5),
        (("checkout", "-c", "new", "--token", "t"), 2),
        (("checkout", "-c", "new", "--remote-domain", "x"), 2),
        (("checkout", "nosuch", "--remote", "http://h/y"), 3),
        (("checkout", "default", "--token", "t"), 3),
        (("clone", str(far), "new", "--token", "a b"), 5),
    ):
        refused(run(*words), status)
        assert files() == before, words
    credentials = run.cwd / ".dbx/credentials.yaml"
    credentials.chmod(0o644)
    refused(run("remote", "add", "new", "http://h/x", "--token", "t"), 6)
    assert files() == before


def test_a_token_is_forgotten_with_the_last_remote_at_its_address(run: Runner) -> None:
    run.ok("init")
    for name in ("one", "two"):
        run.ok("checkout", "-c", name, "--remote", "http://h/x", "--token", "canary-1")
    credentials = run.cwd / ".dbx/credentials.yaml"
    run.ok("checkout", "one", "--remote", "")
    assert "canary-1" in credentials.read_text()
    run.ok("remote", "set-url", "origin", "http://h/y", "--token", "canary-2", "-d", "two")
    assert "canary-1" not in credentials.read_text()
    run.ok("checkout", "two", "--remote", "http://h/z")
    assert "canary" not in credentials.read_text()


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("http://user:canary@host/x", 5),
        ("http://canary@host/x", 5),
        ("file:///etc/passwd", 5),
        ("data:text/plain,x", 5),
        ("ftp://host/x", 5),
        ("ssh://-oProxyCommand=touch%20x/y", 5),
        ("http://", 5),
        ("http://host/x?y=1", 5),
        ("http://host:99999/x", 5),
        ("", 5),
        ("a\nb", 5),
        ("x#../y", 5),
    ],
)
def test_addresses_that_are_none(run: Runner, url: str, status: int) -> None:
    run.ok("init")
    for arguments in (("remote", "add", "one", url), ("clone", "--", url, "copy")):
        outcome = run(*arguments)
        assert outcome.status == status, outcome
        assert "canary" not in outcome.stderr
    assert run.ok("remote", "list", "--json").json == []


@pytest.mark.parametrize("name", ["..", "a/b", "Origin", "-x", "", "x" * 65, "a..b"])
def test_names_that_are_none(run: Runner, name: str) -> None:
    run.ok("init")
    assert run("remote", "add", "--", name, "../x").status == 5


def test_usage(near: Runner) -> None:
    assert refused(near("pull", "--id", "x"), 2)
    assert refused(near("serve", "--read-only", "--insecure"), 2)
    assert refused(near("serve", "--stdio", "--port", "1"), 2)
    assert refused(near("push", "nix"), 3)
    assert refused(near("fetch", "nix"), 3)
    assert refused(near("remote", "add", "origin", "../x"), 4)
    assert refused(near("remote", "remove", "nix"), 3)
    assert refused(near("clone"), 2)
    near.ok("remote", "remove", "origin")
    assert "dbx remote add" in refused(near("push"), 3)


def test_status_tells_how_far_the_remotes_are(near: Runner, far: Path) -> None:
    def told() -> tuple[int, int]:
        (one,) = near.ok("status", "--json").json["remotes"]
        assert one["remote"] == "origin"
        assert f"origin/main=ahead {one['ahead']}, behind {one['behind']}" in near.ok("status").lines
        return one["ahead"], one["behind"]

    assert told() == (0, 0)
    add(near, None, "o-1")
    assert told() == (1, 0)
    near.ok("push")
    assert told() == (0, 0)
    add(near, far, "o-2")
    add(near, far, "o-2")
    near.ok("fetch")
    assert told() == (0, 2)
    add(near, None, "o-3")
    assert told() == (1, 2)
    near.ok("pull")
    assert told() == (1, 0)
    assert near.ok("status", "--json", cwd=far).json["remotes"] == []


def test_pull_dry_run_keeps_nothing(near: Runner, far: Path) -> None:
    def files() -> dict[str, bytes]:
        found = near.cwd / ".dbx"
        kept = ("segments", "manifests", "refs", "schemas", "logs")
        return {
            str(path): path.read_bytes()
            for part in kept
            for path in found.glob(f"domains/*/{part}/**/*")
            if path.is_file()
        }

    assert near.ok("pull", "--dry-run", "--json").json["up_to_date"] is True
    add(near, far, "o-1")
    add(near, far, "o-2")
    near.ok("schema", "create", "other", "-e", "made", cwd=far)
    near.ok("aggregate", "create", "other", "x", "--event", "made", cwd=far)
    before, head = files(), root(near)
    dry = near.ok("pull", "--dry-run", "--json").json
    assert (dry["dry_run"], dry["commits"], dry["events"], dry["recommitted"]) == (True, 3, 3, 0)
    assert near.ok("pull", "--dry-run").lines[0].startswith("Would pull 3 commits, 3 events from remote 'origin'")
    assert (files(), root(near)) == (before, head)
    # With commits of our own on another aggregate they would come on top; on the same one it is a conflict.
    add(near, None, "o-3")
    near.ok("gc")
    before, head = files(), root(near)
    assert near.ok("pull", "--dry-run", "--json").json["recommitted"] == 1
    assert (files(), root(near)) == (before, head)
    add(near, None, "o-2")
    assert "o-2" in refused(near("pull", "--dry-run"), 4)
    near.ok("fsck")


def test_the_trail_tells_what_went_between_repositories(run: Runner, far: Path) -> None:
    def trail(where: Path) -> list[tuple[str, object]]:
        assert run.ok("audit-log", "--verify", "--json", cwd=where).json["ok"] is True
        told = run.ok("audit-log", "--json", cwd=where).json
        return [(one["event"], one["details"].get("versions", one["details"].get("commits"))) for one in told]

    run.ok("clone", str(far))
    run.ok("clone", str(far), "part", "--aggregate", "order", "--id", "o-1")
    run.ok("fetch")
    run.ok("pull")
    assert trail(run.cwd) == [("ref.clone", 3), ("ref.clone", 1)]
    add(run, far, "o-8")
    run.ok("fetch")
    run.ok("pull")
    run.ok("schema", "create", "order", "-e", "placed,changed", cwd=far)
    run.ok("schema", "publish", cwd=far)
    run.ok("pull", "schema")
    run.ok("pull", "schema")
    assert trail(run.cwd)[2:] == [("ref.fetch", None), ("ref.pull", None), ("schema.pull", 1)]
    run.ok("schema", "create", "item", "-e", "made")
    run.ok("schema", "publish")
    run.ok("push", "schema")
    add(run, None, "o-9")
    run.ok("push")
    assert trail(far) == [("schema.push", 1), ("ref.push", 1)]
    (line,) = [one for one in run.ok("audit-log", "--json").json if one["event"] == "ref.fetch"]
    assert line["details"]["new"] == run.ok("log", "--json", cwd=far).json[1]["id"]


def test_a_clone_leaves_an_index_and_nothing_of_sqlite(run: Runner, far: Path) -> None:
    run.ok("clone", str(far))
    run.ok("clone", str(far), "copy")
    run.ok("clone", str(far), "part", "--aggregate", "order")
    assert sorted(path.name for path in run.cwd.glob(".dbx/domains/*/index.db*")) == ["index.db"] * 3
    run.ok("fsck", "--all")


def test_a_slip_in_an_aggregates_name_is_told(near: Runner) -> None:
    for words in (("push", "--aggregate", "ordre"), ("pull", "--aggregate", "order", "--id", "o-99")):
        error = near(*words, "--json").error
        assert error["status"] == 3
        assert error["message"].startswith("neither domain 'default' nor the remote 'origin' has an aggregate 'ord")
        assert error["hint"] == "see 'dbx aggregate list'"
        assert near(*words, "--dry-run").status == 3
    for verb in ("push", "pull"):
        assert near.ok(verb, "--aggregate", "order", "--json").json["up_to_date"] is True
    # A watcher may be there before the first of them.
    near.ok("watch", "--run-once", "--aggregate", "invoice")


def test_a_domain_where_only_a_remote_can_be_meant(near: Runner) -> None:
    """push, pull and fetch take a domain too, as EventDBX's do; what is about a remote says how to choose one."""
    near.ok("checkout", "-c", "other")
    near.ok("push", "default")
    for words in (("remote", "show", "default"), ("remote", "check", "default"), ("-d", "other", "push", "default")):
        error = near(*words, "--json").error
        assert error["status"] == 3
        assert error["hint"] == "'default' is a domain: choose it with '-d default', and its remote is meant"
    assert near("push", "nowhere").status == 3
    near.ok("-d", "default", "push")


@pytest.mark.parametrize("url", ["{far}#nix", "{http}/nix", "static+{web}#nix"])
def test_a_domain_that_is_not_there(run: Runner, far: Path, url: str) -> None:
    server = run.start("serve", "--port", "0", "--json", "--quiet", cwd=far, stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        http = json.loads(server.stdout.readline())["url"]
        with web_server(far) as web:
            error = run("clone", url.format(far=far, http=http, web=web.url), "--json").error
    finally:
        server.terminate()
        assert server.wait(20) == 0
    assert error["status"] == 8
    assert "domain 'nix' does not exist" in error["message"]
    assert "--remote-domain" in error["hint"]


@pytest.mark.parametrize("timeout", ["0", "-1", "soon", "nan", "inf"])
def test_timeouts_that_are_none(near: Runner, timeout: str) -> None:
    for words in (("pull",), ("push",), ("fetch",), ("remote", "check"), ("watch", "--run-once")):
        assert near(*words, "--timeout", timeout).status == 2


def test_a_remote_tells_whether_it_is_sent_sealed_bodies_only(near: Runner, far: Path) -> None:
    assert near.ok("remote", "add", "vault", str(far), "--sealed", "--json").json["sealed"] is True
    assert near.ok("remote", "show", "origin", "--json").json["sealed"] is False
    assert "sealed=true" in near.ok("remote", "show", "vault").lines


def test_a_port_that_is_taken(run: Runner, far: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert refused(run("serve", "--port", port, cwd=far), 1) == (
            f"dbx: error: cannot listen on 127.0.0.1:{port}: address already in use\n"
            "dbx: hint: choose another port with '--port'\n"
        )
    said = refused(run("serve", "--host", "203.0.113.7", "--port", "0", "--read-only", cwd=far), 1)
    assert said.endswith("dbx: hint: choose another address with '--host'\n")


def test_every_address_that_is_none_has_a_hint(run: Runner) -> None:
    run.ok("init")
    for url in ("http://", "ssh://-x@h/y", "http://h/x?y", "ftp://x/y", "", " ", "http://u:p@h/x", "http://h:x/y"):
        assert run("remote", "add", "one", url, "--json").error["hint"], url
