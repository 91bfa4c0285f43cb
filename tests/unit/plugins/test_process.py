"""Programs that keep to the protocol, and those that do not."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from dbx.errors import RemoteFailure
from dbx.model.plugin import ProcessConfig
from dbx.plugins.base import Stopped
from dbx.plugins.process import ProcessSink
from tests.unit.plugins.surroundings import around, delivery

LOOP = """
import json, os, signal, sys, time
def ack(d, **more):
    print(json.dumps({"delivery_id": d["delivery_id"], "ok": True, **more}), flush=True)
for line in sys.stdin:
    d = json.loads(line)
"""


def sink(tmp_path: Path, body: str, *, timeout_s: float = 20.0, grace_s: float = 1.0, **more: object) -> ProcessSink:
    program = tmp_path / "plugin.py"
    program.write_text(body)
    config = ProcessConfig(sys.executable, (str(program),), timeout_s=timeout_s)
    return ProcessSink("p", config, around(**more), grace_s=grace_s)


def is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(pid: int) -> bool:
    for _ in range(200):
        if not is_running(pid):
            return True
        time.sleep(0.02)
    return False


def test_one_program_takes_many_deliveries(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    target = sink(tmp_path, f"{LOOP}    open({str(pids)!r}, 'a').write(f'{{os.getpid()}}\\n'); ack(d)")
    assert all(target.deliver(delivery(n)).ok for n in range(5))
    target.close()
    (pid,) = set(pids.read_text().split())
    assert wait_until_gone(int(pid))


def test_what_it_says_of_a_failure_is_heeded(tmp_path: Path) -> None:
    target = sink(tmp_path, f"{LOOP}    ack(d, ok=False, error='no\\nroom', retry=False, retry_after=5)")
    outcome = target.deliver(delivery())
    assert outcome[:4] == (False, "no room", False, 5.0)
    target.close()


def test_lines_that_are_no_acknowledgement_are_passed_over(tmp_path: Path) -> None:
    target = sink(tmp_path, f"{LOOP}    print('hello'); print('[1]'); print('{{}}'); ack(d)")
    assert target.deliver(delivery(1)).ok
    assert target.deliver(delivery(2)).ok
    target.close()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("import sys; sys.exit(3)", "ended (with status 3)"),
        ("import sys; print('x: boom', file=sys.stderr); sys.exit(1)", "(with status 1): x: boom"),
        ("import os; os.kill(os.getpid(), 9)", "ended (by SIGKILL)"),
        ("import sys\nwhile True: print('flood')", "acknowledges nothing"),
        ("import sys\nwhile True: sys.stdout.write('x' * 10000)", "more than 65536 bytes"),
        ("import os\nwhile True: os.write(1, b'\\xff\\x00' * 999 + b'\\n')", "acknowledges nothing"),
        (f"{LOOP}    ack({{'delivery_id': 'other'}})", "what it was not sent"),
        (f"{LOOP}    ack(d, ok=1)", "without saying whether"),
        ("import os, time\nos.close(1)\ntime.sleep(60)", "closed its pipes, and was ended"),
        ("import time\nwhile True: time.sleep(1)", "no acknowledgement within 0.5 s"),
    ],
)
def test_a_program_that_does_not_keep_to_it_is_ended(tmp_path: Path, body: str, said: str) -> None:
    target = sink(tmp_path, body, timeout_s=0.5 if "0.5 s" in said else 20.0)
    for _ in range(2):  # it is started again
        outcome = target.deliver(delivery())
        assert not outcome.ok
        assert said in (outcome.error or "")
    target.close()


def test_one_that_ignores_sigterm_is_killed_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    body = f"""
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, 1); time.sleep(100)"])
open({str(pids)!r}, "w").write(f"{{os.getpid()}} {{child.pid}}")
time.sleep(100)
"""
    target = sink(tmp_path, body, timeout_s=3.0, grace_s=0.3)
    outcome = target.deliver(delivery())
    assert "no acknowledgement" in (outcome.error or "")
    for pid in map(int, pids.read_text().split()):
        assert wait_until_gone(pid)


def test_one_that_does_not_end_with_its_input_is_ended(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    body = f"{LOOP}    open({str(pid_file)!r}, 'w').write(str(os.getpid())); ack(d)\nwhile True: time.sleep(1)"
    target = sink(tmp_path, body, grace_s=0.3)
    assert target.deliver(delivery()).ok
    target.close()
    assert wait_until_gone(int(pid_file.read_text()))


def test_children_that_outlive_a_program_are_ended(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    body = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
open({str(pid_file)!r}, "w").write(str(child.pid))
"""
    target = sink(tmp_path, body)
    assert not target.deliver(delivery()).ok
    assert wait_until_gone(int(pid_file.read_text()))


def test_one_that_does_not_read_is_not_waited_for_without_end(tmp_path: Path) -> None:
    target = sink(tmp_path, "import time; time.sleep(100)", timeout_s=0.5, grace_s=0.3)
    outcome = target.deliver(delivery(parts={"event": {"payload": {"text": "x" * 1_000_000}}}))
    assert "no acknowledgement" in (outcome.error or "")


def test_a_large_delivery_arrives_whole(tmp_path: Path) -> None:
    target = sink(tmp_path, f"{LOOP}    ack(d, ok=len(d['event']['payload']['text']) == 1_000_000)")
    assert target.deliver(delivery(parts={"event": {"payload": {"text": "x" * 1_000_000}}})).ok
    target.close()


def test_a_flood_on_standard_error_holds_nothing_up(tmp_path: Path) -> None:
    target = sink(tmp_path, f"{LOOP}    sys.stderr.write('x' * 1_000_000); sys.stderr.flush(); ack(d)")
    assert all(target.deliver(delivery(n)).ok for n in range(3))
    target.close()


def test_a_runner_that_ends_gives_the_attempt_up(tmp_path: Path) -> None:
    stop = threading.Event()
    target = sink(tmp_path, "import time; time.sleep(100)", stopping=stop.is_set, grace_s=0.2)
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(Stopped):
        target.deliver(delivery())
    target.close()


def test_what_cannot_be_started(tmp_path: Path) -> None:
    target = ProcessSink("p", ProcessConfig(str(tmp_path / "nothing")), around())
    outcome = target.deliver(delivery())
    assert (outcome.ok, outcome.reached) == (False, False)
    with pytest.raises(RemoteFailure, match="is no program"):
        target.check()
    assert os.access(sys.executable, os.X_OK)
    ProcessSink("p", ProcessConfig(sys.executable), around()).check()
