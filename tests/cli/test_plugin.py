"""Plugins on the command line: configured, run against real servers, and seen."""

from __future__ import annotations

import hashlib
import hmac
import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Runner
from tests.hook import Hook, wait_for

NOWHERE = "http://127.0.0.1:9/"


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.close()


@pytest.fixture
def shop(run: Runner) -> Runner:
    run.ok("init")
    run.ok("aggregate", "create", "order", "o-0", "--event", "placed")
    return run


def configure(run: Runner, hook: Hook, *more: str) -> None:
    run.ok("plugin", "config", "http", "--name", "hook", "--endpoint", hook.url, "--allow-private", *more)


def counts(run: Runner) -> tuple[int, int, int, int]:
    found = run.ok("queue", "--json").json
    return found["pending"], found["processing"], found["done"], found["dead"]


def test_what_is_committed_later_is_delivered(shop: Runner, hook: Hook) -> None:
    configure(shop, hook, "--hmac-key", "secret", "--header", "X-Shop=a=b")
    shop.ok(
        "aggregate", "create", "order", "o-1", "--event", "placed", "--field", "total:=3", "--metadata", '{"@by":"x"}'
    )
    shop.ok("aggregate", "apply", "order", "o-1", "paid", "--field", "paid:=true")
    assert counts(shop) == (2, 0, 0, 0)
    assert "dbx: hint: nobody delivers what waits: 'dbx plugin run' does" in shop.ok("queue").stderr
    ran = shop.ok("plugin", "run", "--once", "--json").json
    assert ran == {"plugins": [{"name": "hook", "kind": "http", "delivered": 2, "failed": 0, "dead": 0}]}
    first, second = hook.bodies()
    assert first["event"]["payload"] == {"total": 3}
    assert first["event"]["extensions"] == {"@by": "x"}
    assert first["state"]["state"] == {"total": 3}
    assert first["state"]["@by"] == "x"
    assert second["state"]["state"] == {"total": 3, "paid": True}
    assert "schema" not in first
    headers, body, path = hook.got[0]
    domain_id = shop.ok("domain", "show", "--json").json["id"]
    assert headers["Idempotency-Key"] == f"{domain_id}/hook/1"
    assert headers["X-DBX-Signature-256"] == "sha256=" + hmac.digest(b"secret", body, hashlib.sha256).hex()
    assert (headers["X-Shop"], path) == ("a=b", "/hook")
    assert counts(shop) == (0, 0, 2, 0)
    shop.ok("queue", "run", "--once")
    assert len(hook.got) == 2


def test_a_failed_delivery_waits_dies_and_is_retried(shop: Runner, hook: Hook) -> None:
    configure(shop, hook)
    shop.ok("config", "plugin_max_attempts", "2")
    shop.ok("aggregate", "create", "order", "o-1", "--event", "placed")
    hook.status = lambda _: 500
    at = "2027-01-01T00:00:0{}Z"
    shop.ok("plugin", "run", "--once", env={"DBX_NOW": at.format(0)})
    assert counts(shop) == (1, 0, 0, 0)
    shop.ok("plugin", "run", "--once", env={"DBX_NOW": at.format(0)})
    assert len(hook.got) == 1  # not due yet
    (job,) = shop.ok("queue", "--json").json["jobs"]["pending"]
    assert (job["attempts"], job["plugin"], job["last_error"]) == (1, "http (hook)", "http plugin request failed (500)")
    assert "2027-01-01T00:00:01" <= job["next_retry_at"] <= "2027-01-01T00:00:01.25"
    shop.ok("plugin", "run", "--once", env={"DBX_NOW": at.format(2)})
    assert counts(shop) == (0, 0, 0, 1)
    assert [headers["X-DBX-Attempt"] for headers, _, _ in hook.got] == ["1", "2"]
    assert len({headers["Idempotency-Key"] for headers, _, _ in hook.got}) == 1
    (status,) = shop.ok("plugin", "status", "--json").json
    assert (status["dead"], status["lag_events"]) == (1, 0)
    assert status["last_error"] == "http plugin request failed (500)"
    text = shop.ok("queue").lines
    assert text[0] == "pending=0 processing=0 done=0 dead=1"
    assert text[1] == "Dead jobs:"
    assert shop.ok("queue", "retry", "--event-id", "7").lines == ["no dead plugin jobs match the provided id"]
    hook.status = lambda _: 200
    done = shop.ok("queue", "retry", "--event-id", job["event_id"])
    assert done.lines == ["retry summary: retried 1 job(s), 0 still dead"]
    assert shop.ok("queue", "retry", "--all").lines == ["no dead plugin jobs to retry"]
    shop.ok("plugin", "run", "--once", env={"DBX_NOW": at.format(9)})
    assert counts(shop) == (0, 0, 1, 0)


def test_retry_after_is_honoured(shop: Runner, hook: Hook) -> None:
    configure(shop, hook)
    shop.ok("aggregate", "create", "order", "o-1", "--event", "placed")
    shop.ok("aggregate", "create", "order", "o-2", "--event", "placed")
    hook.status, hook.headers = (lambda _: 429), {"Retry-After": "30"}
    shop.ok("plugin", "run", "--once", env={"DBX_NOW": "2027-01-01T00:00:00Z"})
    assert len(hook.got) == 1
    hook.status, hook.headers = (lambda _: 200), {}
    shop.ok("plugin", "run", "--once", env={"DBX_NOW": "2027-01-01T00:00:29Z"})
    assert len(hook.got) == 1
    shop.ok("plugin", "run", "--once", env={"DBX_NOW": "2027-01-01T00:00:30Z"})
    assert counts(shop) == (0, 0, 2, 0)


def test_a_poison_event_dies_and_others_go_on(shop: Runner, hook: Hook) -> None:
    configure(shop, hook)
    shop.ok("config", "plugin_max_attempts", "1")
    for name in ("o-1", "poison", "o-2"):
        shop.ok("aggregate", "create", "order", name, "--event", "placed")
    hook.status = lambda body: 500 if b'"poison"' in body else 200
    shop.ok("plugin", "run", "--once")
    assert counts(shop) == (0, 0, 2, 1)
    assert shop("queue", "clear").status == 2
    assert shop.ok("queue", "clear", "--yes").lines == ["cleared 1 dead job(s) from the plugin queue"]
    assert shop("queue", "clear-done").status == 2
    assert shop.ok("queue", "clear-done", "--older-than", "1h", "--yes").lines == [
        "cleared 0 done job(s) from the plugin queue"
    ]
    assert shop.ok("queue", "clear-done", "--yes", "--json").json == {"cleared": 2}
    assert counts(shop) == (0, 0, 0, 0)


def test_a_runner_wakes_at_once_and_ends_cleanly(shop: Runner, hook: Hook) -> None:
    import subprocess

    configure(shop, hook)
    runner = shop.start("plugin", "run", "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert runner.stderr is not None
        assert b"running the plugins" in runner.stderr.readline()
        shop.ok("aggregate", "create", "order", "o-1", "--event", "placed")
        began = time.monotonic()
        while not hook.got and time.monotonic() - began < 20:
            time.sleep(0.01)
        assert hook.bodies()[0]["event"]["aggregate_id"] == "o-1"
        second = shop("--wait", "0", "plugin", "run", "--json")
        assert second.status == 9
        assert second.error["details"]["pid"] == runner.pid
        running = {"state": "running", "pid": runner.pid}
        assert shop.ok("plugin", "status", "--json").json[0]["runtime"] == running
        shop.ok("plugin", "config", "process", "/bin/cat", "--name", "cat", "--emit-events", "false")
        assert [one.get("runtime") for one in shop.ok("plugin", "list", "--json").json] == [running, None]
        runner.send_signal(signal.SIGTERM)
        out, err = runner.communicate(timeout=20)
    finally:
        runner.kill()
    assert runner.returncode == 0, err
    assert json.loads(out)["plugins"][0]["delivered"] == 1
    assert counts(shop) == (0, 0, 1, 0)


def test_a_commit_does_not_wait_for_endpoints_that_hang(shop: Runner) -> None:
    before = {path.name for path in (shop.cwd / ".dbx" / "domains" / "default").iterdir()}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for n in range(10):
            shop.ok(
                "plugin", "config", "http", "--name", f"p{n}", "--allow-private",
                "--endpoint", f"http://127.0.0.1:{silent.getsockname()[1]}/",
            )  # fmt: skip
        queue = shop.cwd / ".dbx" / "domains" / "default" / "queue.db"
        stamp = queue.stat().st_mtime_ns
        shop.ok("aggregate", "create", "order", "o-1", "--event", "placed")
        # By construction: a commit does not even open the queue.
        assert queue.stat().st_mtime_ns == stamp
        after = {path.name for path in queue.parent.iterdir()}
        assert after - before <= {"queue.db"}
    assert counts(shop) == (10, 0, 0, 0)


def test_publish_chooses_plugin_mode_and_priority(shop: Runner, hook: Hook) -> None:
    configure(shop, hook)
    shop.ok("plugin", "config", "log", "--name", "audit", "--file", "audit.log", "--payload", "event-only")
    for n in range(3):
        shop.ok("aggregate", "create", "order", f"o-{n + 1}", "--event", "placed")
    shop.ok("aggregate", "create", "order", "o-9", "--event", "urgent", "--publish", "HOOK:state-only:high")
    shop.ok("aggregate", "create", "order", "o-10", "--event", "placed", "--publish", "audit")
    shop.ok("plugin", "run", "--once")
    ids = [(b.get("event") or b["state"])["aggregate_id"] for b in hook.bodies()]
    assert ids == ["o-9", "o-1", "o-2", "o-3"]
    assert set(hook.bodies()[0]) == {"state"}
    lines = (shop.cwd / "audit.log").read_text().splitlines()
    assert [line.split("id=")[1].split()[0] for line in lines] == ["o-1", "o-2", "o-3", "o-10"]
    assert counts(shop)[0] == 0


def test_low_priority_goes_last(shop: Runner, hook: Hook) -> None:
    configure(shop, hook, "--payload", "event-only")
    shop.ok("aggregate", "create", "order", "o-1", "--event", "placed", "--publish", "hook::low")
    shop.ok("aggregate", "create", "order", "o-2", "--event", "placed")
    shop.ok("aggregate", "apply", "order", "o-1", "paid")
    shop.ok("plugin", "run", "--once")
    found = [(b["event"]["aggregate_id"], b["event"]["version"]) for b in hook.bodies()]
    assert found == [("o-2", 1), ("o-1", 1), ("o-1", 2)]


@pytest.mark.parametrize("publish", ["nobody", "off", "hook:most", "hook:all:urgent", "hook:all:low:x", "no name", ""])
def test_publish_is_checked_before_anything_is_written(shop: Runner, hook: Hook, publish: str) -> None:
    configure(shop, hook)
    shop.ok("plugin", "config", "log", "--name", "off", "--disable")
    head = shop.ok("log", "--json").json
    for command in (
        ("apply", "order", "o-0", "paid"),
        ("create", "order", "o-1", "--event", "placed"),
        ("patch", "order", "o-0", "paid", "--patch", '[{"op":"add","path":"/a","value":1}]'),
    ):
        assert shop("aggregate", *command, "--publish", publish).status == 5
    assert shop.ok("log", "--json").json == head
    assert shop("aggregate", "apply", "order", "o-0", "paid", "--stage", "--publish", "hook").status == 2


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("grpc", "--name", "x"), 5),
        ((), 2),
        (("http", "--name", "x"), 2),
        (("http", "--name", "-x", "--endpoint", "https://example.org/"), 5),
        (("http", "--name", "x", "--endpoint", "ftp://example.org/"), 5),
        (("http", "--name", "x", "--endpoint", "http://u:p@example.org/"), 5),
        (("http", "--name", "x", "--endpoint", "http://example.org:99999/"), 5),
        (("http", "--name", "x", "--endpoint", "http://example.org/", "--https"), 5),
        (("http", "--name", "x", "--endpoint", "https://example.org/", "--header", "A:b=c"), 5),
        (("http", "--name", "x", "--endpoint", "https://example.org/", "--header", "Host=b"), 5),
        (("http", "--name", "x", "--endpoint", "https://example.org/", "--header", "b"), 2),
        (("http", "--name", "x", "--endpoint", "https://example.org/", "--payload", "most"), 5),
        (("http", "--name", "x", "--endpoint", "https://example.org/", "--format", "xml"), 5),
        (("http", "--name", "x", "--endpoint", "https://example.org/", "--on-dead", "wait"), 5),
        (("http", "--name", "x", "--endpoint", "https://example.org/", "--timeout", "0"), 5),
        (("http", "--name", "x", "--endpoint", "http://127.0.0.1/"), 6),
        (("http", "--name", "x", "--endpoint", "http://localhost/"), 6),
        (("http", "--name", "x", "--endpoint", "http://[::ffff:10.0.0.1]/"), 6),
        (("http", "--name", "x", "--endpoint", "http://169.254.169.254/latest"), 6),
        (("http", "--name", "x", "--endpoint", "http://0x7f.1/"), 5),
        (("http", "--name", "x", "--endpoint", "http://2130706433/"), 5),
        (("tcp", "--name", "x", "--host", "10.0.0.1", "--port", "80"), 6),
        (("tcp", "--name", "x", "--host", "a b", "--port", "80"), 5),
        (("tcp", "--name", "x", "--host", "example.org", "--port", "0"), 2),
        (("log", "--name", "x", "--level", "loud"), 5),
        (("log", "--name", "x", "--template", "{aggregat}"), 5),
        (("process", "--name", "x"), 2),
        (("process", "no-such-program-anywhere", "--name", "x"), 5),
        (("process", "/bin/cat", "--name", "x", "--env", "1=2"), 5),
    ],
)
def test_what_cannot_be_is_refused(shop: Runner, arguments: tuple[str, ...], status: int) -> None:
    assert shop("plugin", "config", *arguments).status == status
    assert not (shop.cwd / ".dbx" / "plugins.yaml").exists()
    assert shop.ok("plugin", "list").lines == ["(no plugins configured)"]
    assert shop.ok("plugin", "list", "--json").json == []


def test_plugins_are_enabled_disabled_and_removed(shop: Runner, hook: Hook) -> None:
    assert shop.ok("plugin", "test").lines == ["(no plugins enabled)"]
    assert shop.ok("plugin", "run", "--once").lines == ["(no plugins enabled)"]
    wrong = shop("plugin", "config", "log", "--name", "x", "--emit-events", "maybe")
    assert (wrong.status, "'maybe' is neither true nor false" in wrong.stderr) == (2, True)
    done = shop.ok("plugin", "config", "http", "--name", "hook", "--endpoint", NOWHERE, "--allow-private", "--disable")
    assert done.lines == ["HTTP plugin 'hook' disabled"]
    assert shop.ok("plugin", "list").lines == ["  - http (hook) - disabled (enable with plugin enable hook)"]
    failed = shop("plugin", "enable", "hook")
    assert failed.status == 8
    assert "failed to establish connection for 'hook'" in failed.stderr
    assert shop("plugin", "test", "hook").status == 4
    configure(shop, hook, "--header", "Authorization=Bearer canary")
    assert shop.ok("plugin", "enable", "hook").lines == ["Plugin 'hook' is already enabled"]
    assert shop.ok("plugin", "disable", "HOOK").lines == ["Plugin 'hook' disabled"]
    assert shop.ok("plugin", "disable", "hook").lines == ["Plugin 'hook' is already disabled"]
    assert shop.ok("plugin", "enable", "hook").lines == ["Plugin 'hook' enabled"]
    listed = shop.ok("plugin", "list", "--json")
    assert "canary" not in listed.stdout
    assert listed.json[0]["config"]["headers"] == {"Authorization": "***"}
    assert shop("plugin", "config", "log", "--name", "Hook").status == 4
    assert shop("plugin", "remove", "hook").status == 4
    assert shop.ok("plugin", "remove", "hook", "--disable").lines == ["Plugin 'hook' removed"]
    for command in ("enable", "disable", "remove"):
        gone = shop("plugin", command, "hook")
        assert gone.status == 3
        assert "no plugin named 'hook' is configured" in gone.stderr
    assert shop("plugin", "run", "hook", "--once").status == 3


def test_test_sends_a_sample(shop: Runner, hook: Hook) -> None:
    configure(shop, hook)
    shop.ok("plugin", "config", "tcp", "--name", "dead", "--host", "127.0.0.1", "--port", "9", "--allow-private")
    tested = shop("plugin", "test")
    assert tested.status == 1
    assert tested.lines[1:] == ["http (hook) - ok", "Tested 2 plugin(s): 1 succeeded, 1 failed"]
    assert tested.lines[0].startswith("tcp (dead) - FAILED (")
    assert hook.bodies()[0]["event"]["metadata"]["event_id"] == "1234567890"
    assert shop.ok("plugin", "test", "hook", "--json").json["succeeded"] == 1


def test_hidden_fields_are_not_sent(shop: Runner, hook: Hook) -> None:
    shop.ok("schema", "create", "person", "--events", "born")
    shop.ok("schema", "field", "person", "name", "--type", "text")
    shop.ok("schema", "field", "person", "ssn", "--type", "text")
    shop.ok("schema", "hide", "--aggregate", "person", "--field", "ssn")
    configure(shop, hook)
    shop.ok("aggregate", "create", "person", "p-1", "--event", "born", "--field", "name=a", "--field", "ssn=canary")
    shop.ok("plugin", "run", "--once")
    (body,) = hook.bodies()
    assert "canary" not in json.dumps(body)
    assert body["event"]["payload"] == body["state"]["state"] == {"name": "a"}
    assert body["schema"]["aggregate"] == "person"
    configure(shop, hook, "--include-hidden")
    shop.ok("aggregate", "create", "person", "p-2", "--event", "born", "--field", "name=a", "--field", "ssn=canary")
    shop.ok("plugin", "run", "--once")
    assert hook.bodies()[1]["event"]["payload"]["ssn"] == "canary"


@pytest.mark.parametrize(
    ("mode", "members"),
    [
        ("all", {"event", "state", "schema"}),
        ("event-only", {"event"}),
        ("state-only", {"state"}),
        ("schema-only", {"schema"}),
        ("event-and-schema", {"event", "schema"}),
        ("extensions-only", {"event"}),
    ],
)
def test_payload_modes(shop: Runner, hook: Hook, mode: str, members: set[str]) -> None:
    shop.ok("schema", "create", "person", "--events", "born")
    configure(shop, hook, "--payload", mode)
    shop.ok("aggregate", "create", "person", "p-1", "--event", "born", "--field", "name=a", "--metadata", '{"@a":1}')
    shop.ok("aggregate", "create", "order", "o-1", "--event", "placed")  # without a schema
    shop.ok("plugin", "run", "--once")
    assert set(hook.bodies()[0]) == members
    assert len(hook.got) == (1 if mode == "schema-only" else 2)
    if mode == "extensions-only":
        event = hook.bodies()[0]["event"]
        assert (event["payload"], event["extensions"]) == (None, {"@a": 1})
    assert counts(shop)[0] == 0


def test_cloudevents(shop: Runner, hook: Hook) -> None:
    refused = ("--format", "cloudevents", "--payload", "state-only")
    wrong = shop("plugin", "config", "http", "--name", "hook", "--endpoint", hook.url, "--allow-private", *refused)
    assert wrong.status == 5
    configure(shop, hook, "--format", "cloudevents")
    shop.ok("aggregate", "create", "order", "o-1", "--event", "placed", "--field", "a=b")
    shop.ok("plugin", "run", "--once")
    (value,) = hook.bodies()
    assert (value["specversion"], value["type"], value["subject"], value["data"]) == (
        "1.0", "placed", "order/o-1", {"a": "b"},
    )  # fmt: skip
    assert hook.got[0][0]["Content-Type"] == "application/cloudevents+json"


def test_the_file_is_checked_when_it_is_read(shop: Runner, hook: Hook) -> None:
    configure(shop, hook)
    path = shop.cwd / ".dbx" / "plugins.yaml"
    good = path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    for wrong in (
        good.replace("type: http", "type: gopher"),
        good.replace("enabled:", "enbled:"),
        good.replace("payload_mode: all", "payload_mode: some"),
        good.replace("format: 1\n", "format: 1\nformat: 1\n"),
        "[]",
    ):
        assert wrong != good
        path.write_text(wrong)
        found = shop("plugin", "list", "--json")
        assert found.status == 5, found
        assert "plugins.yaml" in found.error["message"]
    path.write_text(good.replace("format: 1", "format: 2"))
    assert shop("plugin", "list").status == 7
    path.write_text(good)
    path.chmod(0o644)
    assert shop("plugin", "list").status == 6


def test_a_process_plugin_gets_events_and_a_small_environment(shop: Runner, tmp_path: Path) -> None:
    program = tmp_path / "keep.py"
    program.write_text(
        "import json, os, sys\n"
        "for line in sys.stdin:\n"
        "    d = json.loads(line)\n"
        "    with open(sys.argv[1], 'a') as f:\n"
        "        f.write(json.dumps([d, dict(os.environ), os.getcwd()]) + '\\n')\n"
        "    print(json.dumps({'delivery_id': d['delivery_id'], 'ok': True}), flush=True)\n"
    )
    kept = tmp_path / "kept"
    shop.ok(
        "plugin", "config", "process", "/usr/bin/env", "--name", "keep", "--arg", "python3", "--arg", str(program),
        "--arg", str(kept), "--env", "COLOUR=blue", "--payload", "event-only",
    )  # fmt: skip
    shop.ok("aggregate", "apply", "order", "o-0", "paid")
    shop.ok("plugin", "run", "--once", env={"AWS_SECRET": "canary"})
    ((delivery, environment, directory),) = map(json.loads, kept.read_text().splitlines())
    assert delivery["event"]["event_type"] == "paid"
    assert (delivery["position"], delivery["attempt"], delivery["replay"]) == (1, 1, False)
    environment = {k: v for k, v in environment.items() if k not in ("LC_CTYPE", "__CF_USER_TEXT_ENCODING")}
    assert set(environment) == {"PATH", "LANG", "DBX_PLUGIN", "DBX_DOMAIN", "DBX_DOMAIN_ID", "COLOUR"}
    assert directory == str(shop.cwd)


def test_the_queue_settings(shop: Runner, hook: Hook) -> None:
    configure(shop, hook)
    shop.ok("config", "plugin_queue.prune.max_done_jobs", "1")
    assert shop("config", "plugin_queue.prune.interval_secs", "5").status == 5
    for n in range(3):
        shop.ok("aggregate", "create", "order", f"o-{n + 1}", "--event", "placed")
    shop.ok("plugin", "run", "--once", env={"DBX_NOW": "2027-01-01T00:00:00Z"})
    assert counts(shop) == (0, 0, 3, 0)
    shop.ok("plugin", "run", "--once", env={"DBX_NOW": "2027-01-01T00:04:00Z"})
    assert counts(shop) == (0, 0, 3, 0)
    shop.ok("plugin", "run", "--once", env={"DBX_NOW": "2027-01-01T00:05:00Z"})
    assert counts(shop) == (0, 0, 1, 0)
    shop.ok("plugin", "run", "--once", env={"DBX_NOW": "2027-01-02T00:05:01Z"})
    assert counts(shop) == (0, 0, 0, 0)


def test_secrets_and_errors_are_sealed_once_there_is_a_key(shop: Runner, hook: Hook) -> None:
    dek = shop.ok("key", "generate", "--dek").stdout.strip()
    configure(shop, hook, "--header", "Authorization=canary-1", "--hmac-key", "canary-2")
    shop.ok("config", "--dek", dek)
    shop.ok(
        "plugin",
        "config",
        "http",
        "--name",
        "other",
        "--endpoint",
        hook.url,
        "--allow-private",
        "--hmac-key",
        "canary-3",
    )
    shop.ok(
        "plugin",
        "config",
        "process",
        "/bin/cat",
        "--name",
        "cat",
        "--arg",
        "canary-4",
        "--env",
        "A=canary-5",
        "--disable",
    )
    hook.status = lambda _: 500
    shop.ok("aggregate", "create", "order", "o-1", "--event", "placed")
    shop.ok("plugin", "run", "--once")
    for file in (shop.cwd / ".dbx").rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            assert b"canary" not in data, file
            assert b"request failed" not in data, file
    assert "request failed (500)" in shop.ok("plugin", "status").stdout
    assert any(headers.get("Authorization") == "canary-1" for headers, _, _ in hook.got)
    (shop.cwd / ".dbx" / "keys" / "dek").rename(shop.cwd / "dek")
    assert shop("plugin", "list").status == 10
    assert shop.ok("plugin", "list", env={"DBX_DEK": dek}).lines[0].startswith("  - process (cat)")


def test_watch_runs_plugins_beside(shop: Runner, hook: Hook, tmp_path: Path) -> None:
    import subprocess

    other = tmp_path / "other"
    shop.ok("init", str(other))
    shop.ok("remote", "add", "origin", f"{other}#default")
    configure(shop, hook)
    shop.ok("aggregate", "create", "order", "o-1", "--event", "placed")
    once = shop("watch", "--mode", "push", "--run-once", "--plugins")
    assert len(hook.got) == (once.status == 0)
    watcher = shop.start(
        "watch", "--mode", "push", "--plugins", "--interval", "1", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        shop.ok("aggregate", "create", "order", "o-2", "--event", "placed")
        began = time.monotonic()
        while len(hook.got) < 2 and time.monotonic() - began < 20:
            time.sleep(0.02)
        assert shop("--wait", "0", "plugin", "run").status == 9
        watcher.send_signal(signal.SIGTERM)
        watcher.wait(20)
    finally:
        watcher.kill()
    assert [body["event"]["aggregate_id"] for body in hook.bodies()] == ["o-1", "o-2"]


def test_a_fork_begins_where_it_parts(shop: Runner, hook: Hook) -> None:
    configure(shop, hook)
    shop.ok("aggregate", "create", "order", "o-1", "--event", "placed")
    shop.ok("checkout", "-c", "forked", "--from", "default")
    assert counts(shop) == (0, 0, 0, 0)
    shop.ok("aggregate", "apply", "order", "o-1", "paid")
    assert counts(shop) == (1, 0, 0, 0)
    shop.ok("checkout", "-c", "fresh")
    shop.ok("aggregate", "create", "order", "o-9", "--event", "placed")
    shop.ok("plugin", "run", "--once")
    shop.ok("plugin", "run", "--once", "-d", "forked")
    assert [(b["event"]["aggregate_id"], b["event"]["version"]) for b in hook.bodies()] == [("o-9", 1), ("o-1", 2)]
    assert shop.ok("fsck").status == 0
    assert "queue.lock" not in shop.ok("fsck").stderr


def test_a_runner_follows_what_is_configured_and_retries_by_itself(shop: Runner, hook: Hook) -> None:
    import subprocess

    configure(shop, hook)
    runner = shop.start("plugin", "run", stdout=subprocess.DEVNULL, stderr=None)
    try:
        hook.status = lambda _: 200 if len(hook.got) > 2 else 503
        shop.ok("aggregate", "create", "order", "o-1", "--event", "placed")
        wait_for(lambda: len(hook.got) == 3)  # after 1 s, and 2 s more
        wait_for(lambda: counts(shop) == (0, 0, 1, 0))
        shop.ok("plugin", "disable", "hook")
        time.sleep(2)
        shop.ok("aggregate", "create", "order", "o-2", "--event", "placed")
        shop.ok("plugin", "config", "log", "--name", "audit", "--file", "audit.log")
        shop.ok("aggregate", "create", "order", "o-3", "--event", "placed")
        wait_for((shop.cwd / "audit.log").exists)
        assert len(hook.got) == 3
        shop.ok("plugin", "enable", "hook")
        wait_for(lambda: len(hook.got) == 5)
        # What cannot be read leaves everything as it was.
        path = shop.cwd / ".dbx" / "plugins.yaml"
        good = path.read_text()
        path.write_text("no: [")
        time.sleep(2)
        path.write_text(good)
        shop.ok("aggregate", "create", "order", "o-4", "--event", "placed")
        wait_for(lambda: len(hook.got) == 6)
        runner.send_signal(signal.SIGINT)
        assert runner.wait(20) == 0
    finally:
        runner.kill()
    assert len({headers["Idempotency-Key"] for headers, _, _ in hook.got}) == 4


def test_many_shells_configure_at_once(shop: Runner) -> None:
    import subprocess

    shells = [
        shop.start("plugin", "config", "log", "--name", f"p{n}", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for n in range(8)
    ]
    assert [shell.wait(60) for shell in shells] == [0] * 8
    for shell in shells:
        assert shell.stderr is not None
        shell.stderr.close()
    assert len(shop.ok("plugin", "list").lines) == 8


def test_plugins_go_on_while_one_hangs(shop: Runner, hook: Hook) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        configure(shop, hook)
        shop.ok(
            "plugin", "config", "http", "--name", "stuck", "--allow-private", "--timeout", "1",
            "--endpoint", f"http://127.0.0.1:{silent.getsockname()[1]}/",
        )  # fmt: skip
        for n in range(3):
            shop.ok("aggregate", "create", "order", f"o-{n + 1}", "--event", "placed")
        ran = {one["name"]: one for one in shop.ok("plugin", "run", "--once", "--json").json["plugins"]}
    assert (ran["hook"]["delivered"], ran["stuck"]["delivered"], ran["stuck"]["failed"]) == (3, 0, 1)
    found = {one["name"]: one for one in shop.ok("plugin", "status", "--json").json}
    assert (found["stuck"]["lag_events"], found["hook"]["lag_events"]) == (3, 0)
    assert "timed out" in found["stuck"]["last_error"]
    assert found["stuck"]["lag_seconds"] > 0


def test_a_damaged_queue_is_told_and_commits_go_on(shop: Runner, hook: Hook) -> None:
    configure(shop, hook)
    path = shop.cwd / ".dbx" / "domains" / "default" / "queue.db"
    path.write_bytes(b"no database")
    shop.ok("aggregate", "create", "order", "o-1", "--event", "placed")
    for command in (("queue",), ("plugin", "status"), ("plugin", "run", "--once")):
        assert shop(*command).status == 7
    head = shop.ok("log", "--json").json
    assert shop("aggregate", "apply", "order", "o-1", "paid", "--publish", "hook").status == 7
    assert shop.ok("log", "--json").json == head
    path.unlink()
    shop.ok("plugin", "run", "--once")
    assert [body["event"]["aggregate_id"] for body in hook.bodies()] == ["o-1"]
