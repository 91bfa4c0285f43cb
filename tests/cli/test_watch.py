"""watch, watch status and watch stop as their users meet them."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Runner

# Every field of EventDBX's watch.json.
FIELDS = {
    *("domain", "pid", "mode", "interval_secs", "aggregate", "aggregate_id", "concurrency", "run_once", "background"),
    *("started_at", "stopped_at", "last_cycle_started_at", "last_cycle_completed_at", "last_cycle_error"),
    *("last_cycle_push", "last_cycle_pull"),
}


@pytest.fixture
def far(run: Runner) -> Path:
    """A repository with one order, beside the working directory."""
    path = run.cwd.parent / "far"
    run.ok("init", str(path))
    add(run, "o-1", path)
    return path


@pytest.fixture
def near(run: Runner, far: Path) -> Iterator[Runner]:
    """A clone of it, in the working directory; whatever watches it is ended."""
    run.ok("clone", str(far))
    yield run
    for one in run.ok("watch", "status", "--all", "--json").json:
        if one["active"]:
            os.kill(one["pid"], signal.SIGKILL)


def add(run: Runner, name: str, where: Path | None = None) -> None:
    run.ok("aggregate", "apply", "order", name, "placed", "--create", "--field", "a=b", cwd=where)


def root(run: Runner, where: Path | None = None) -> str:
    return str(run.ok("root", "--json", cwd=where).json["root"])


def state(run: Runner) -> dict[str, Any]:
    (found,) = run.ok("watch", "status", "--json").json
    return dict(found)


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_one_cycle_pulls_and_then_pushes(near: Runner, far: Path) -> None:
    add(near, "o-2")
    add(near, "o-3", far)
    done = near.ok("watch", "--run-once", "--json").json
    assert done["pull"]["commits"] == 1
    assert done["pull"]["recommitted"] == 1
    assert done["push"]["commits"] == 1
    assert done["error"] is None
    assert root(near) == root(near, far)
    assert near.ok("watch", "--run-once").stdout.endswith("cycle 1: up to date\n")
    found = state(near)
    assert set(found) >= FIELDS
    assert (found["mode"], found["run_once"], found["active"]) == ("Bidirectional", True, False)
    assert found["interval_secs"] == 300
    assert found["stopped_at"] >= found["last_cycle_completed_at"] >= found["last_cycle_started_at"]


def test_the_modes(near: Runner, far: Path) -> None:
    add(near, "o-2")
    done = near.ok("watch", "origin", "--run-once", "--mode", "pull", "--json").json
    assert done["push"] is None
    assert root(near) != root(near, far)
    done = near.ok("watch", "--run-once", "--mode", "push", "--json").json
    assert done["pull"] is None
    assert root(near) == root(near, far)
    assert state(near)["mode"] == "Push"


def test_single_aggregates(near: Runner, far: Path) -> None:
    add(near, "o-2")
    add(near, "o-3")
    add(near, "o-9", far)
    done = near.ok("watch", "--run-once", "--aggregate", "order", "--id", "o-2", "--json").json
    assert (done["pull"]["events"], done["push"]["events"]) == (0, 1)
    names = [one["aggregate_id"] for one in near.ok("aggregate", "list", "--json", cwd=far).json]
    assert names == ["o-1", "o-2", "o-9"]
    assert (state(near)["aggregate"], state(near)["aggregate_id"]) == ("order", "o-2")


def test_a_cycle_that_fails_fails_the_command_with_its_status(near: Runner, far: Path) -> None:
    add(near, "o-1")
    add(near, "o-1", far)
    before = root(near)
    diverged = near("watch", "--run-once")
    assert diverged.status == 4
    assert "order/o-1" in diverged.stderr
    assert root(near) == before
    assert "diverged" in state(near)["last_cycle_error"]
    far.rename(far.with_name("gone"))
    assert near("watch", "--run-once", "--json").error["type"] == "remote"
    assert state(near)["failures"] == 1


def test_a_commit_is_pushed_at_once(near: Runner, far: Path) -> None:
    near.ok("watch", "--background", "--interval", "1h")
    wait_until(lambda: state(near)["cycles"] == 1)
    add(near, "o-2")
    wait_until(lambda: root(near) == root(near, far))
    # It pulled nothing and reacts to nothing of its own.
    wait_until(lambda: state(near)["cycles"] >= 2)
    time.sleep(0.5)
    assert state(near)["cycles"] <= 3
    assert "pushed 1 commit, 1 event" in Path(state(near)["log"]).read_text()


def test_the_interval_brings_what_others_committed(near: Runner, far: Path) -> None:
    near.ok("watch", "--background", "--interval", "1")
    add(near, "o-2", far)
    wait_until(lambda: root(near) == root(near, far))


def test_the_background_has_a_pid_that_lives_and_ends(near: Runner) -> None:
    started = near.ok("watch", "--background", "--json").json
    assert started["pid"] == state(near)["pid"]
    assert state(near)["active"] is True
    assert os.getsid(started["pid"]) != os.getsid(0)
    assert os.readlink(f"/proc/{started['pid']}/fd/0") == "/dev/null"
    taken = near("watch")
    assert taken.status == 9
    assert str(started["pid"]) in taken.stderr
    assert near("watch", "--run-once").status == 9
    assert near("watch", "--background").status == 9
    assert near.ok("watch", "--skip-if-active", "--json").json == {
        "domain": "default",
        "skipped": True,
        "pid": started["pid"],
    }
    assert near.ok("watch", "stop", "--json").json == {"domain": "default", "stopped": True, "pid": started["pid"]}
    found = state(near)
    assert found["active"] is False
    assert found["stopped_at"] is not None
    assert near.ok("watch", "stop", "--json").json["stopped"] is False
    near.ok("watch", "--run-once")


def test_who_was_killed_is_in_nobodys_way(near: Runner) -> None:
    pid = near.ok("watch", "--background", "--json").json["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not state(near)["active"])
    assert state(near)["stopped_at"] is None
    assert near.ok("watch", "stop", "--json").json["stopped"] is False
    near.ok("watch", "--run-once", "--skip-if-active")
    assert state(near)["last_cycle_completed_at"] is not None


def test_a_pid_that_is_somebody_elses_now_is_not_signalled(near: Runner) -> None:
    near.ok("watch", "--run-once")
    path = near.cwd / ".dbx/domains/default"
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        with (path / "watch.lock").open("r+") as lock:
            text = (path / "watch.json").read_text()
            (path / "watch.json").write_text(text.replace(f'"pid":{state(near)["pid"]}', f'"pid":{stranger.pid}'))
            lock.write(f"{stranger.pid:<20}\n")
            lock.flush()
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert state(near)["active"]
            assert near("watch", "stop").status == 9
            assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait(20)


def test_sigterm_ends_it_cleanly_and_ctrl_c_with_130(near: Runner) -> None:
    for number, status in ((signal.SIGTERM, 0), (signal.SIGINT, 130)):
        process = near.start("watch", "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["error"] is None
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        assert process.returncode == status, said
        assert b"Traceback" not in said
        found = state(near)
        assert (found["active"], found["stopped_at"] is not None) == (False, True)


def test_failures_are_told_and_come_ever_more_rarely(near: Runner, far: Path) -> None:
    far.rename(far.with_name("gone"))
    process = near.start("watch", "--interval", "1", "--json", stdout=subprocess.PIPE)
    assert process.stdout is not None
    cycles = [json.loads(process.stdout.readline()) for _ in range(3)]
    assert [one["error"]["status"] for one in cycles] == [8, 8, 8]
    assert state(near)["failures"] == 3
    far.with_name("gone").rename(far)
    assert json.loads(process.stdout.readline())["error"] is None
    assert state(near)["failures"] == 0
    process.terminate()
    assert process.wait(60) == 0


def test_a_domain_that_is_deleted_is_watched_no_longer(near: Runner, far: Path) -> None:
    near.ok("clone", str(far), "copy")
    process = near.start("watch", "copy", "--interval", "1", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    near.ok("checkout", "copy", "--delete", "--force")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 3, said
    assert b"'copy' does not exist" in said


def test_a_domain_by_name_and_all_of_them(near: Runner, far: Path) -> None:
    near.ok("clone", str(far), "copy")
    assert near.ok("watch", "status", "--all").stdout == "No domain has been watched.\n"
    assert near.ok("watch", "status", "--all", "--json").json == []
    missing = near("watch", "status", "copy")
    assert missing.status == 3
    assert "watch state not found for domain 'copy'" in missing.stderr
    near.ok("watch", "copy", "--run-once")
    near.ok("watch", "--run-once", "-d", "default")
    assert [one["domain"] for one in near.ok("watch", "status", "--all", "--json").json] == ["copy", "default"]
    assert "domain=copy" in near.ok("watch", "status", "copy").lines
    near.ok("fsck")


def test_no_secret_is_kept(near: Runner, far: Path) -> None:
    words = ("token", "generate", "-g", "ops", "-u", "jane", "--action", "*.*", "--json")
    token = near.ok(*words, cwd=far).json["token"]
    near.ok("watch", "--run-once", env={"DBX_TOKEN": token})
    near.ok("watch", "--background", "--token", "-", stdin=token)
    wait_until(lambda: state(near)["cycles"] == 1)
    pid = state(near)["pid"]
    assert token.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
    near.ok("watch", "stop")
    for path in (near.cwd / ".dbx").rglob("*"):
        assert path.is_dir() or token.rpartition(".")[2].encode() not in path.read_bytes()


def test_with_a_server_that_asks_for_a_token(run: Runner, far: Path) -> None:
    words = ("token", "generate", "-g", "ops", "-u", "jane", "--action", "*.*", "--json")
    token = run.ok(*words, cwd=far).json["token"]
    server = run.start("serve", "--port", "0", "--json", "--quiet", cwd=far, stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        url = json.loads(server.stdout.readline())["url"]
        run.ok("clone", f"{url}/default", "--token", token)
        run.ok("watch", "--background", "--interval", "1h")
        wait_until(lambda: state(run)["cycles"] == 1)
        add(run, "o-2")
        wait_until(lambda: root(run) == root(run, far))
        server.terminate()
        assert server.wait(60) == 0
        add(run, "o-3")
        wait_until(lambda: state(run)["failures"] >= 1)
        assert url in state(run)["last_cycle_error"]
        assert token not in Path(state(run)["log"]).read_text()
    finally:
        run("watch", "stop")
        server.kill()
        server.wait(20)


def test_the_interval_comes_from_the_environment_too(near: Runner) -> None:
    near.ok("watch", "--run-once", env={"EVENTDBX_WATCH_INTERVAL": "77"})
    assert state(near)["interval_secs"] == 77
    near.ok("watch", "--run-once", env={"EVENTDBX_WATCH_INTERVAL": "77", "DBX_WATCH_INTERVAL": "10m"})
    assert state(near)["interval_secs"] == 600
    near.ok("watch", "--run-once", "--interval", "5", env={"DBX_WATCH_INTERVAL": "10m"})
    assert state(near)["interval_secs"] == 5
    assert near("watch", "--run-once", env={"DBX_WATCH_INTERVAL": "soon"}).status == 2


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("--mode", "both"), 2),
        (("--interval", "0"), 2),
        (("--interval", "-1"), 2),
        (("--interval", "soon"), 2),
        (("--id", "o-1"), 2),
        (("nobody", "--run-once"), 3),
        (("-d", "nobody", "--run-once"), 3),
        (("--aggregate", "a/b", "--run-once"), 5),
        (("status", "default", "--all"), 2),
        (("status", "nobody"), 3),
        (("stop", "nobody"), 3),
        (("stop", "default", "-d", "other"), 2),
    ],
    ids=str,
)
def test_bad_input(near: Runner, arguments: tuple[str, ...], status: int) -> None:
    assert near("watch", *arguments).status == status


def test_a_damaged_state_is_told_and_replaced(near: Runner) -> None:
    near.ok("watch", "--run-once")
    path = near.cwd / ".dbx/domains/default/watch.json"
    for text in ("", "{}", "[]", '{"format":2}', path.read_text().replace('"pid":', '"pid":-')):
        path.write_text(text)
        assert near("watch", "status").status == 7
    near.ok("watch", "--run-once")
    near.ok("watch", "status")


def test_no_remote(run: Runner) -> None:
    run.ok("init")
    assert run("watch", "--run-once").status == 3
    assert run("watch", "--background").status == 3
    assert not (run.cwd / ".dbx/domains/default/watch.json").exists()


def test_a_cycle_that_hangs_is_broken_off(run: Runner) -> None:
    """The remote takes the connection, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        run.ok("init")
        add(run, "o-1")
        run.ok("remote", "add", "origin", f"http://127.0.0.1:{listener.getsockname()[1]}/default")
        process = run.start("watch", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(10)
            assert state(run)["active"]
            assert state(run)["last_cycle_completed_at"] is None
            stopped = run.ok("watch", "stop", "--json", "--wait", "30").json
            assert stopped == {"domain": "default", "stopped": True, "pid": process.pid}
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out, err) == (0, b"", b"")
        assert state(run)["stopped_at"] is not None
    run.ok("fsck")
    add(run, "o-2")


def test_many_commits_at_once_reach_the_remote(near: Runner, far: Path) -> None:
    near.ok("watch", "--background", "--interval", "1h")
    lines = "".join(
        json.dumps({"aggregate_type": "order", "aggregate_id": f"n-{n}", "event_type": "placed", "payload": {}}) + "\n"
        for n in range(50)
    )
    writers = [near.start("aggregate", "apply", "order", f"w-{n}", "placed", "--create") for n in range(6)]
    near.ok("aggregate", "apply", "--stage", "--from", "-", stdin=lines)
    near.ok("commit")
    assert [writer.wait(60) for writer in writers] == [0] * 6
    wait_until(lambda: root(near) == root(near, far))
    assert state(near)["failures"] == 0
    near.ok("watch", "stop")
    near.ok("fsck")
    near.ok("fsck", cwd=far)
