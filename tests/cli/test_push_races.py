"""Several push at once, whichever way: one of them wins, the others are told to pull, nothing is lost or doubled."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.conftest import Runner
from tests.unit.remotes.bucket import bucket
from tests.unit.remotes.sshd import MISSING, SSHD, Sshd, sshd_running

PUSHERS = ("one", "two", "three", "four")
Reach = tuple[str, Mapping[str, str]]
"""An address, and what the environment needs to reach it."""


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    if SSHD is None:
        pytest.skip(MISSING)
    with sshd_running(tmp_path_factory.mktemp("sshd") / "s") as found:
        yield found


@pytest.fixture
def far(run: Runner) -> Path:
    path = run.cwd.parent / "far"
    run.ok("init", str(path))
    run.ok("aggregate", "apply", "order", "o-1", "placed", "--create", cwd=path)
    return path


@pytest.fixture
def reach(run: Runner, far: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Reach]]:
    with ExitStack() as stack:

        def to(kind: str) -> Reach:
            if kind == "path":
                return str(far), {}
            if kind == "ssh":
                sshd: Sshd = request.getfixturevalue("sshd")
                return f"ssh://{sshd.place}{far}", {"PATH": f"{sshd.bin}:{os.environ['PATH']}"}
            if kind == "s3":
                keys = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "us-east-1"}
                return "s3://events", {"AWS_ENDPOINT_URL": stack.enter_context(bucket(far)), **keys}
            server = run.start("serve", "--port", "0", "--json", "--quiet", cwd=far, stdout=subprocess.PIPE)
            stack.callback(server.wait, 20)
            stack.callback(server.terminate)
            assert server.stdout is not None
            return str(json.loads(server.stdout.readline())["url"]), {}

        yield to


@pytest.mark.parametrize("kind", ["path", "http", "ssh", "s3"])
@pytest.mark.parametrize("words", [("push",), ("push", "--aggregate", "order")], ids=["all", "aggregates"])
def test_of_pushes_at_once_one_wins(
    run: Runner, far: Path, reach: Callable[[str], Reach], kind: str, words: tuple[str, ...]
) -> None:
    url, env = reach(kind)
    places = [run.cwd / name for name in PUSHERS]
    for place in places:
        place.mkdir()
        run.ok("clone", url, cwd=place, env=env)
        run.ok("aggregate", "apply", "order", f"o-{place.name}", "placed", "--create", cwd=place)
    pushes = [
        run.start(*words, "--json", cwd=place, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for place in places
    ]
    outcomes = [(push.communicate(timeout=120), push.returncode) for push in pushes]
    statuses = [status for _, status in outcomes]
    # Single aggregates are put on top of whatever is there: each of them may win.
    assert 0 in statuses
    assert set(statuses) <= {0, 4}, outcomes
    if words == ("push",):
        assert statuses.count(0) == 1
    for (_, err), status in outcomes:
        if status:
            error = json.loads(err)["error"]
            assert error["type"] == "conflict"
            assert "run 'dbx pull'" in error["hint"]
    run.ok("fsck", cwd=far)
    for place, status in zip(places, statuses, strict=True):
        run.ok("fsck", cwd=place)
        if status and words == ("push",):
            run.ok("pull", cwd=place, env=env)
        if status:
            run.ok(*words, cwd=place, env=env)
    names = [one["aggregate_id"] for one in run.ok("events", "--json", cwd=far).json]
    assert sorted(names) == sorted(["o-1", *(f"o-{name}" for name in PUSHERS)])
    run.ok("fsck", cwd=far)
    if words == ("push",):
        for place in places:
            run.ok("pull", cwd=place, env=env)
            assert run.ok("root", "--json", cwd=place).json == run.ok("root", "--json", cwd=far).json


def test_pushes_while_others_append_there(run: Runner, far: Path, reach: Callable[[str], Reach]) -> None:
    """Writers of the repository itself race as well: a push that loses is told so, and loses nothing."""
    url, env = reach("http")
    run.ok("clone", url, env=env)
    for n in range(6):
        run.ok("aggregate", "apply", "order", f"mine-{n}", "placed", "--create")
        other = run.start("aggregate", "apply", "order", f"theirs-{n}", "placed", "--create", cwd=far)
        pushed = run("push", env=env)
        assert pushed.status in (0, 4), pushed
        assert other.wait(60) == 0
        if pushed.status:
            run.ok("pull", env=env)
            run.ok("push", env=env)
    run.ok("pull", env=env)
    names = [one["aggregate_id"] for one in run.ok("events", "--json", cwd=far).json]
    assert sorted(names) == sorted(["o-1", *(f"{side}-{n}" for side in ("mine", "theirs") for n in range(6))])
    run.ok("fsck")
    run.ok("fsck", cwd=far)
