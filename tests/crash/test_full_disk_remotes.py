"""A full disk here or over there, however two repositories exchange: plain failures, and with room all goes on."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.crash import strace, world
from tests.crash.strace import DBX, Outcome
from tests.unit.remotes.bucket import bucket
from tests.unit.remotes.sshd import MISSING, SSHD, Sshd, sshd_running
from tests.unit.remotes.web import web_server

MEGABYTES = 4
NEWS = 24
NOISE = 20_000
LEAVE = (0, 65_536, 300_000)
PLAIN = re.compile(r"dbx: error: [^\n]+\n(dbx: hint: [^\n]+\n)?$")


class Pair:
    """Two repositories: ours is `work`, theirs `far`; each may lie on a disk of its own."""

    def __init__(self, where: Path, url: str, environment: Mapping[str, str]) -> None:
        self.where = where
        self.near, self.far = where / "work", where / "far"
        self.url = url
        self.environment = environment

    def run(self, *arguments: str, far: bool = False) -> Outcome:
        extra = {} if far else self.environment
        done = subprocess.run(
            [DBX, *arguments],
            cwd=self.far if far else self.near,
            env=strace.environment(self.where / "home", extra),
            capture_output=True,
            timeout=120,
            check=False,
        )
        return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())

    def ok(self, *arguments: str, far: bool = False) -> str:
        outcome = self.run(*arguments, far=far)
        assert outcome.status == 0, (arguments, outcome)
        return outcome.stdout

    def root(self, *, far: bool = False) -> str:
        return str(json.loads(self.ok("root", "--json", far=far))["root"])

    def commits(self, *, far: bool = False) -> list[str]:
        return [one["id"] for one in json.loads(self.ok("log", "--json", far=far))]

    def grow(self, *, far: bool) -> None:
        """News that a full disk has no room for."""
        lines = world.lines([world.item(n, f"new-{n}", NOISE) for n in range(100, 100 + NEWS)])
        (self.where / "batch.jsonl").write_text(lines)
        self.ok("aggregate", "apply", "--stage", "--from", "../batch.jsonl", far=far)
        self.ok("commit", far=far)

    def assert_sound(self) -> None:
        self.ok("fsck")
        self.ok("fsck", far=True)


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    if SSHD is None:
        pytest.skip(MISSING)
    with sshd_running(tmp_path_factory.mktemp("sshd") / "s") as found:
        yield found


@contextmanager
def small_disk(at: Path) -> Iterator[Path]:
    """A file system of a few megabytes at a directory."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if os.geteuid() != 0 or mount is None or umount is None:
        pytest.skip("only root can mount a small file system: a full disk was not tried")
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "none", str(at)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"mount does not work here, a full disk was not tried: {done.stderr.decode().strip()}")
    try:
        yield at
    finally:
        subprocess.run([umount, "-l", str(at)], check=True)


def fill(at: Path, leave: int) -> Path:
    """Take all room but `leave` bytes."""
    ballast = at / "ballast"
    free = os.statvfs(at)
    with open(ballast, "wb") as file:
        file.write(bytes(max(0, free.f_bavail * free.f_frsize - leave)))
    return ballast


Serve = Callable[[str], tuple[str, Mapping[str, str]]]


@pytest.fixture
def pair(where: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Pair]]:
    """`pair(kind, full)` makes both repositories, with three commits, the disk of one of them being small."""
    with ExitStack() as stack:

        def make(kind: str, full: str) -> Pair:
            (where / "far").mkdir()
            stack.enter_context(small_disk(where / full))
            world.make(where)
            far = where / "far"
            subprocess.run(
                [DBX, "init"], cwd=far, env=strace.environment(where / "home"), check=True, capture_output=True
            )
            url, environment = serve(kind, far)
            found = Pair(where, url, environment)
            for n in range(3):
                found.ok("aggregate", "apply", "order", f"o-{n}", "order_placed", "--create", far=True)
            found.ok("remote", "add", "origin", url)
            found.ok("pull")
            return found

        def serve(kind: str, far: Path) -> tuple[str, Mapping[str, str]]:
            if kind == "path":
                return str(far), {}
            if kind == "ssh":
                sshd: Sshd = request.getfixturevalue("sshd")
                return f"ssh://{sshd.place}{far}", {"PATH": f"{sshd.bin}:{os.environ['PATH']}"}
            if kind == "static":
                return f"static+{stack.enter_context(web_server(far)).url}", {}
            if kind == "s3":
                endpoint = stack.enter_context(bucket(far))
                keys = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "us-east-1"}
                return "s3://events", {"AWS_ENDPOINT_URL": endpoint, **keys}
            server = subprocess.Popen(
                [DBX, "serve", "--port", "0", "--json", "--quiet"],
                cwd=far,
                env=strace.environment(where / "home"),
                stdout=subprocess.PIPE,
            )
            stack.callback(server.wait, 20)
            stack.callback(server.terminate)
            assert server.stdout is not None
            return str(json.loads(server.stdout.readline())["url"]), {}

        yield make


def assert_plain(outcome: Outcome, statuses: set[int]) -> None:
    assert outcome.status in statuses, outcome
    assert "Traceback" not in outcome.stderr
    if outcome.status:
        assert PLAIN.match(outcome.stderr), outcome.stderr


PULLS = {
    "fetch": ("fetch",),
    "pull": ("pull",),
    "pull-aggregates": ("pull", "--aggregate", "order"),
    "watch": ("watch", "--run-once", "--mode", "pull"),
}


@pytest.mark.parametrize("kind", ["path", "http", "ssh", "static", "s3"])
@pytest.mark.parametrize("name", PULLS)
def test_no_room_here(pair: Callable[..., Pair], kind: str, name: str) -> None:
    """What could not be taken in has changed nothing of ours, and leaves no room taken."""
    found = pair(kind, "work")
    found.grow(far=True)
    before, theirs = found.commits(), found.commits(far=True)
    failed = 0
    for leave in LEAVE:
        ballast = fill(found.near, leave)
        outcome = found.run(*PULLS[name])
        assert_plain(outcome, {0, 1})
        failed += outcome.status == 1
        assert found.commits() == before
        assert found.commits(far=True) == theirs
        assert not list(found.near.glob(".dbx/domains/*/quarantine/*/segments/*"))
        ballast.unlink()
        found.ok("fsck")
    assert failed >= 2
    found.ok(*PULLS[name])
    found.ok("pull", *PULLS["pull-aggregates"][1:] if name == "pull-aggregates" else ())
    assert found.root() == found.root(far=True)
    found.assert_sound()


@pytest.mark.parametrize("kind", ["path", "http", "ssh", "static", "s3"])
def test_no_room_for_a_clone(pair: Callable[..., Pair], kind: str) -> None:
    """A clone without room makes no domain; with room it takes up what it had brought."""
    found = pair(kind, "work")
    found.grow(far=True)
    for leave in LEAVE:
        ballast = fill(found.near, leave)
        outcome = found.run("clone", found.url, "copy")
        assert_plain(outcome, {1})
        assert [one["domain"] for one in json.loads(found.ok("domain", "list", "--json"))] == ["default"]
        ballast.unlink()
        found.ok("fsck")
    found.assert_sound()
    found.ok("clone", found.url, "copy")
    assert json.loads(found.ok("root", "copy", "--json"))["root"] == found.root(far=True)
    found.ok("fsck", "--all")


PUSHES = {"push": ("push",), "push-aggregates": ("push", "--aggregate", "order")}


@pytest.mark.parametrize("kind", ["path", "http", "ssh"])
@pytest.mark.parametrize("name", PUSHES)
def test_no_room_over_there(pair: Callable[..., Pair], kind: str, name: str) -> None:
    """The push is refused and says why; over there is what was there, whole, and nothing in the way of a retry."""
    found = pair(kind, "far")
    found.grow(far=False)
    before, mine = found.commits(far=True), found.commits()
    failed = 0
    for leave in LEAVE:
        ballast = fill(found.far, leave)
        outcome = found.run(*PUSHES[name])
        assert_plain(outcome, {0, 1, 8})
        failed += outcome.status != 0
        if outcome.status:
            assert "no space left" in outcome.stderr or "disk is full" in outcome.stderr, outcome
            assert found.commits(far=True) == before
        assert found.commits() == mine
        assert not list(found.far.glob(".dbx/domains/*/quarantine/*/segments/*"))
        ballast.unlink()
        found.ok("fsck", far=True)
    assert failed >= 2
    found.ok(*PUSHES[name])
    assert found.root() == found.root(far=True)
    found.assert_sound()


@pytest.mark.parametrize("kind", ["path", "http", "ssh", "s3"])
def test_no_room_for_what_a_push_remembers(pair: Callable[..., Pair], kind: str) -> None:
    """We have no room to note that they have it: whatever this says, they have it whole or not, and a retry tells."""
    found = pair(kind, "work")
    found.grow(far=False)
    mine = found.commits()
    ballast = fill(found.near, 0)
    outcome = found.run("push")
    assert_plain(outcome, {0, 1})
    assert found.commits() == mine
    ballast.unlink()
    found.assert_sound()
    found.ok("push")
    assert found.root() == found.root(far=True)
    found.assert_sound()
