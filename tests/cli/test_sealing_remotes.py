"""Remotes of a workspace that seals: servers get plain bodies and seal with their own keys, replicas sealed ones."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import DBX, Runner
from tests.cli.test_sealing import CANARY, plain_bytes


def leaks(directory: Path) -> list[str]:
    return [
        path.name
        for path in directory.rglob("*")
        if path.is_file() and any(CANARY.encode() in data for data in plain_bytes(path.read_bytes()))
    ]


def new(run: Runner, name: str, *, sealed: bool) -> Path:
    """A workspace, with a DEK of its own that is stored, or none."""
    path = run.cwd / name
    path.mkdir()
    run.ok("init", cwd=path)
    if sealed:
        (dek,) = run.ok("key", "generate", "--dek", cwd=path).lines
        run.ok("config", "--dek", "-", cwd=path, stdin=dek)
    return path


def fill(run: Runner, path: Path, count: int = 300, prefix: str = "o") -> None:
    lines = "".join(
        json.dumps(
            {
                "aggregate_type": "order",
                "aggregate_id": f"{prefix}-{n % 9}",
                "event_type": "made",
                "payload": {"n": n, "text": f"{CANARY} {n}"},
            }
        )
        + "\n"
        for n in range(count)
    )
    run.ok("aggregate", "apply", "--stage", "--from", "-", cwd=path, stdin=lines)
    run.ok("commit", cwd=path)
    run.ok("aggregate", "apply", "order", f"{prefix}-1", "sent", "--field", f"a={CANARY}", cwd=path)


@pytest.fixture
def serve(run: Runner) -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.terminate()
        process.wait(20)
        assert process.stdout is not None
        process.stdout.close()


def start(run: Runner, path: Path, started: list[subprocess.Popen[bytes]]) -> str:
    process = subprocess.Popen(
        [DBX, "serve", "--port", "0", "--json"],
        cwd=path,
        env=run.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    started.append(process)
    assert process.stdout is not None
    return str(json.loads(process.stdout.readline())["url"])


@pytest.mark.parametrize(("mine", "theirs"), [(True, True), (True, False), (False, True)])
def test_path_remotes_seal_with_their_own_keys(run: Runner, mine: bool, theirs: bool) -> None:
    here, there = new(run, "here", sealed=mine), new(run, "there", sealed=theirs)
    fill(run, here)
    run.ok("remote", "add", "origin", str(there), cwd=here)
    run.ok("push", cwd=here)
    assert run.ok("root", cwd=there).stdout == run.ok("root", cwd=here).stdout
    for path, sealed in ((here, mine), (there, theirs)):
        assert (leaks(path / ".dbx") == []) == sealed
        run.ok("fsck", cwd=path)
        assert run.ok("aggregate", "get", "order", "o-1", "--json", cwd=path).json["state"]["a"] == CANARY
    fill(run, there, 20, "p")
    run.ok("pull", cwd=here)
    assert run.ok("root", cwd=there).stdout == run.ok("root", cwd=here).stdout
    assert (leaks(here / ".dbx") == []) == mine
    run.ok("fsck", cwd=here)
    clone = new(run, "clone", sealed=theirs)
    run.ok("clone", str(here), "copy", cwd=clone)
    assert run.ok("root", "copy", cwd=clone).stdout == run.ok("root", cwd=here).stdout
    assert (leaks(clone / ".dbx") == []) == theirs
    run.ok("fsck", "--all", cwd=clone)


@pytest.mark.parametrize(("mine", "theirs"), [(True, True), (False, True), (True, False)])
def test_servers_get_plain_bodies_and_seal_them(
    run: Runner, serve: list[subprocess.Popen[bytes]], mine: bool, theirs: bool
) -> None:
    here, there = new(run, "here", sealed=mine), new(run, "there", sealed=theirs)
    fill(run, here)
    url = start(run, there, serve)
    run.ok("remote", "add", "origin", url, cwd=here)
    run.ok("push", cwd=here)
    fill(run, here, 20, "q")
    run.ok("push", cwd=here)
    assert run.ok("root", cwd=there).stdout == run.ok("root", cwd=here).stdout
    assert (leaks(there / ".dbx") == []) == theirs
    run.ok("fsck", cwd=there)
    assert run.ok("aggregate", "get", "order", "q-1", "--json", cwd=there).json["state"]["a"] == CANARY
    clone = new(run, "clone", sealed=mine)
    run.ok("clone", url, "copy", cwd=clone)
    assert run.ok("root", "copy", cwd=clone).stdout == run.ok("root", cwd=here).stdout
    assert (leaks(clone / ".dbx") == []) == mine
    run.ok("fsck", "--all", cwd=clone)


def share(run: Runner, here: Path, there: Path) -> None:
    word = {"DBX_PASSPHRASE": "correct horse"}
    run.ok("keyring", "export", "../keys", cwd=here, env=word)
    run.ok("keyring", "import", "../keys", cwd=there, env=word)


def test_a_replica_that_shares_the_keyring_is_pushed_to_without_the_key(run: Runner) -> None:
    here, there = new(run, "here", sealed=True), new(run, "there", sealed=False)
    fill(run, here)
    share(run, here, there)
    keys = {path: (path / ".dbx/keys/dek").read_bytes() for path in (here, there)}
    for path in keys:
        (path / ".dbx/keys/dek").unlink()
    run.ok("remote", "add", "origin", str(there), "--sealed", cwd=here)
    run.ok("push", cwd=here)
    assert run.ok("root", cwd=there).stdout == run.ok("root", cwd=here).stdout
    run.ok("fsck", cwd=there)
    assert run("aggregate", "get", "order", "o-1", cwd=there).status == 10
    assert leaks(there / ".dbx") == []
    names = [{path.name for path in (at / ".dbx").rglob("*.seg")} for at in (here, there)]
    assert names[0] == names[1]
    for path, data in keys.items():
        (path / ".dbx/keys/dek").write_bytes(data)
        (path / ".dbx/keys/dek").chmod(0o600)
    got = run.ok("aggregate", "get", "order", "o-1", "--json", cwd=there).json
    assert got == run.ok("aggregate", "get", "order", "o-1", "--json", cwd=here).json
    run.ok("fsck", cwd=there)


def test_a_sealed_remote_is_never_sent_a_plain_body(run: Runner) -> None:
    here, there = new(run, "here", sealed=False), new(run, "there", sealed=False)
    fill(run, here)
    run.ok("remote", "add", "origin", str(there), "--sealed", cwd=here)
    refused = run("push", "--json", cwd=here)
    assert (refused.status, refused.error["type"]) == (6, "denied")
    assert run("push", "--aggregate", "order", cwd=here).status == 6
    (dek,) = run.ok("key", "generate", "--dek", cwd=here).lines
    run.ok("config", "--dek", "-", cwd=here, stdin=dek)
    assert run("push", cwd=here).status == 6
    run.ok("gc", "--reseal", cwd=here)
    share(run, here, there)
    run.ok("push", cwd=here)
    assert leaks(there / ".dbx") == []
    run.ok("fsck", cwd=there)


def test_a_replica_without_the_keys_refuses_what_it_cannot_check(run: Runner) -> None:
    here, there = new(run, "here", sealed=True), new(run, "there", sealed=False)
    fill(run, here)
    run.ok("remote", "add", "origin", str(there), "--sealed", cwd=here)
    assert run("push", cwd=here).status == 10
    assert run.ok("log", cwd=there).stdout == "no commits\n"


def test_bundles_stay_sealed_unless_they_are_asked_for_in_plain(run: Runner) -> None:
    here, there = new(run, "here", sealed=True), new(run, "there", sealed=True)
    fill(run, here)
    run.ok("bundle", "create", "../sealed.dbx", cwd=here)
    run.ok("bundle", "create", "../plain.dbx", "--plain", cwd=here)
    assert not any(CANARY.encode() in data for data in plain_bytes((run.cwd / "sealed.dbx").read_bytes()))
    assert any(CANARY.encode() in data for data in plain_bytes((run.cwd / "plain.dbx").read_bytes()))
    for name in ("sealed.dbx", "plain.dbx"):
        run.ok("bundle", "verify", name)
    assert run("bundle", "apply", "../sealed.dbx", cwd=there).status == 10
    run.ok("bundle", "apply", "../plain.dbx", cwd=there)
    assert leaks(there / ".dbx") == []
    run.ok("fsck", cwd=there)
    (here / ".dbx/keys/dek").unlink()
    run.ok("bundle", "create", "../again.dbx", cwd=here)
    assert run("bundle", "create", "../no.dbx", "--plain", cwd=here).status == 10


def test_tokens_for_remotes_are_sealed(run: Runner, tmp_path: Path) -> None:
    here = new(run, "here", sealed=False)
    run.ok("remote", "add", "origin", "http://127.0.0.1:9/x", "--token", CANARY, cwd=here)
    credentials = here / ".dbx/credentials.yaml"
    assert CANARY in credentials.read_text()
    (dek,) = run.ok("key", "generate", "--dek", cwd=here).lines
    run.ok("config", "--dek", "-", cwd=here, stdin=dek)
    run.ok("gc", "--reseal", cwd=here)
    assert CANARY not in credentials.read_text()
    run.ok("remote", "add", "other", "http://127.0.0.1:9/y", "--token", CANARY + "2", cwd=here)
    assert CANARY not in credentials.read_text()
    assert [one["token"] for one in run.ok("remote", "list", "--json", cwd=here).json] == [True, True]
    (here / ".dbx/keys/dek").unlink()
    assert run("fetch", cwd=here).status == 10
    assert len(run.ok("remote", "list", "--json", cwd=here).json) == 2
    run.ok("remote", "remove", "other", cwd=here)
