"""`dbx backup` and `dbx restore` as their users meet them."""

from __future__ import annotations

import os
import stat

import pytest

from tests.cli.conftest import Runner


@pytest.fixture
def run(run: Runner) -> Runner:
    run.ok("init")
    run.ok("aggregate", "apply", "order", "o-1", "placed", "--create", "--field", "a=1")
    return run


def test_there_and_back(run: Runner) -> None:
    root = run.ok("root").stdout
    said = run.ok("backup", "--output", "../b.tar.gz").stdout
    assert said == f"Backup created at ../b.tar.gz (captured data directory {run.cwd}/.dbx)\n"
    assert stat.S_IMODE((run.cwd / "../b.tar.gz").stat().st_mode) == 0o600
    there = run.cwd.parent / "there"
    done = run.ok("restore", "--input", "b.tar.gz", "--data-dir", "there", "--json", cwd=run.cwd.parent).json
    assert (done["replaced"], done["events"], done["keys"]) == (False, 1, False)
    assert run.ok("root", cwd=there).stdout == root
    run.ok("fsck", "--all", cwd=there)
    run.ok("aggregate", "apply", "order", "o-1", "paid", cwd=there)


def test_what_was_undone_comes_along(run: Runner) -> None:
    run.ok("tag", "v1")
    run.ok("tag", "-d", "v1")
    run.ok("aggregate", "apply", "order", "o-1", "paid")
    run.ok("undo", "--yes")
    (run.cwd / ".dbx/domains/default/refs/heads/.tmp-1-x").write_bytes(b"interrupted")
    run.ok("backup", "-o", "../b.tar.gz")
    run.ok("restore", "--input", "b.tar.gz", "--data-dir", "there", cwd=run.cwd.parent)
    there = run.cwd.parent / "there"
    run.ok("fsck", cwd=there)
    for _ in range(2):  # the commit and the tag, whichever is the last
        run.ok("undo", "--yes", cwd=there)


def test_force_and_bad_input(run: Runner) -> None:
    run.ok("backup", "-o", "../b.tar.gz")
    assert run("backup", "-o", "../b.tar.gz").status == 4
    run.ok("backup", "-o", "../b.tar.gz", "--force")
    assert run("backup", "-o", ".dbx/b").status == 1
    assert run("backup").status == 2
    assert run("backup", "-o", "../c", "--with-keys").status == 2
    assert run("backup", "-o", "../c", "--passphrase-file", "p").status == 2
    missing = run("restore", "--input", "nowhere")
    assert (missing.status, "backup archive 'nowhere' does not exist" in missing.stderr) == (3, True)
    assert run("restore", "--input", "../b.tar.gz").status == 4
    run.ok("aggregate", "apply", "order", "o-1", "paid")
    run.ok("restore", "--input", "../b.tar.gz", "--force")
    assert len(run.ok("events", "--json").json) == 1
    (run.cwd / "../b.tar.gz").write_bytes(b"nothing")
    assert run("restore", "--input", "../b.tar.gz", "--force").status == 7
    assert len(run.ok("events", "--json").json) == 1
    assert sorted(os.listdir(run.cwd)) == [".dbx"]


def test_keys_only_sealed(run: Runner) -> None:
    run.ok("token", "bootstrap")
    secret = (run.cwd / ".dbx" / "cli.token").read_text().strip()
    (run.cwd.parent / "pass").write_text("correct horse\n")
    run.ok("backup", "-o", "../k", "--with-keys", "--passphrase-file", "../pass")
    run.ok("backup", "-o", "../b")
    for name in ("k", "b"):
        import gzip

        assert secret.encode() not in gzip.decompress((run.cwd.parent / name).read_bytes())
    assert run("restore", "-i", "../k", "--force").status == 10
    assert run("restore", "-i", "../k", "--force", env={"DBX_PASSPHRASE": "wrong"}).status == 10
    run.ok("restore", "-i", "../b", "--force")
    assert not (run.cwd / ".dbx" / "cli.token").exists()
    run.ok("restore", "-i", "../k", "--force", "--passphrase-file", "../pass")
    run.ok("token", "check", secret, "--action", "aggregate.read")
    run.ok("restore", "-i", "../k", "--force", "--without-keys")


def test_a_damaged_workspace_can_be_replaced(run: Runner) -> None:
    run.ok("backup", "-o", "../b")
    (run.cwd / ".dbx" / "config.yaml").write_text("nonsense: [")
    (run.cwd / ".dbx" / "HEAD").write_text("x")
    run.ok("restore", "-i", "../b", "--force")
    run.ok("fsck", "--all")


def test_a_token_is_asked(run: Runner) -> None:
    words = ("token", "generate", "-g", "a", "-u", "b", "--json", "--action")
    reader = run.ok(*words, "aggregate.*").json["token"]
    run.ok("backup", "-o", "../b")
    assert run("backup", "-o", "../c", env={"DBX_TOKEN": reader}).status == 6
    assert run("restore", "-i", "../b", "--force", env={"DBX_TOKEN": reader}).status == 6


def test_plugins_travel_with_keys_only(run: Runner) -> None:
    (run.cwd.parent / "pass").write_text("correct horse\n")
    run.ok("plugin", "config", "process", "/bin/cat", "--name", "cat", "--env", "SECRET=canary")
    run.ok("backup", "-o", "../open")
    run.ok("backup", "-o", "../whole", "--with-keys", "--passphrase-file", "../pass")
    run.ok("restore", "-i", "../open", "--force")
    assert run.ok("plugin", "list", "--json").json == []
    run.ok("restore", "-i", "../whole", "--force", "--passphrase-file", "../pass")
    assert [one["name"] for one in run.ok("plugin", "list", "--json").json] == ["cat"]
