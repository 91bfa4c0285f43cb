"""Replaying to plugins on the command line, against real servers: what is sent, what is refused, where it goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Runner
from tests.hook import Hook, wait_for

REPLAY = ("plugin", "replay", "hook", "order")


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.close()


@pytest.fixture
def shop(run: Runner, hook: Hook) -> Runner:
    """Six events of three orders, one of a parcel, and a plugin that was configured afterwards."""
    run.ok("init")
    rows = [
        {"aggregate_type": "order", "aggregate_id": name, "event_type": kind, "payload": {kind: n}, "created_at": at}
        for n, (name, kind, at) in enumerate(
            [
                ("o-1", "placed", "2024-01-01T00:00:00Z"),
                ("o-2", "placed", "2024-01-02T00:00:00Z"),
                ("o-1", "paid", "2024-01-03T00:00:00Z"),
                ("o-3", "placed", "2024-02-01T00:00:00Z"),
                ("o-2", "paid", "2024-02-02T00:00:00Z"),
                ("o-1", "sent", "2024-02-03T00:00:00Z"),
            ]
        )
    ]
    stage(run, rows)
    run.ok("commit")
    run.ok("aggregate", "create", "parcel", "p-1", "--event", "made")
    configure(run, hook)
    return run


def stage(run: Runner, rows: list[dict[str, Any]]) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    run.ok("aggregate", "apply", "--stage", "--from", "-", stdin=lines)


def more_orders(run: Runner, count: int) -> None:
    stage(
        run,
        [
            {"aggregate_type": "order", "aggregate_id": f"m-{n % 9}", "event_type": "placed", "payload": {"n": n}}
            for n in range(count)
        ],
    )
    run.ok("commit")


def configure(run: Runner, hook: Hook, *more: str) -> None:
    run.ok("plugin", "config", "http", "--name", "hook", "--endpoint", hook.url, "--allow-private", *more)


def named(hook: Hook) -> list[tuple[str, int]]:
    return [(body["event"]["aggregate_id"], body["event"]["version"]) for body in hook.bodies()]


def ids(hook: Hook) -> list[str]:
    return [headers["Idempotency-Key"] for headers, _, _ in hook.got]


def cursor(run: Runner) -> Any:
    (found,) = run.ok("plugin", "status", "--json").json
    return {key: found[key] for key in ("cursor", "pending", "done", "dead", "last_error", "last_delivered_at")}


ALL = [("o-1", 1), ("o-2", 1), ("o-1", 2), ("o-3", 1), ("o-2", 2), ("o-1", 3)]


def test_a_type_is_sent_with_the_state_at_each_event(shop: Runner, hook: Hook) -> None:
    before = cursor(shop)
    done = shop.ok(*REPLAY)
    assert done.lines == ["replayed 6 event(s) across 3 aggregate(s) for 'order' via plugin http (hook) (payload=all)"]
    assert named(hook) == ALL
    states = [body["state"]["state"] for body in hook.bodies() if body["state"]["aggregate_id"] == "o-1"]
    assert states == [{"placed": 0}, {"placed": 0, "paid": 2}, {"placed": 0, "paid": 2, "sent": 5}]
    domain_id = shop.ok("domain", "show", "--json").json["id"]
    assert ids(hook) == [f"{domain_id}/hook/{n}" for n in range(6)]
    assert {headers["X-DBX-Replay"] for headers, _, _ in hook.got} == {"true"}
    assert cursor(shop) == before
    # Live deliveries go on where they were, and are not marked.
    shop.ok("aggregate", "apply", "order", "o-3", "paid")
    shop.ok("plugin", "run", "--once")
    assert named(hook)[6:] == [("o-3", 2)]
    assert "X-DBX-Replay" not in hook.got[6][0]
    # One that came to its end is forgotten: the next begins anew.
    assert shop.ok(*REPLAY, "--json").json["replayed"] == 7


def test_one_aggregate_and_its_json(shop: Runner, hook: Hook) -> None:
    done = shop.ok(*REPLAY, "o-1")
    assert done.lines == ["replayed 3 event(s) for order::o-1 via plugin http (hook) (payload=all)"]
    found = shop.ok("plugin", "replay", "HOOK", "--aggregate", "order", "--aggregate-id", "o-1", "--json").json
    assert found == {
        "plugin": "hook",
        "kind": "http",
        "aggregate_type": "order",
        "aggregate_id": "o-1",
        "payload_mode": "all",
        "dry_run": False,
        "file": None,
        "events": 3,
        "replayed": 3,
        "aggregates": 1,
        "earlier": 0,
        "failed": 0,
        "failures": [],
    }
    assert named(hook) == [("o-1", 1), ("o-1", 2), ("o-1", 3)] * 2


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--from-version", "2"), [("o-1", 2), ("o-2", 2), ("o-1", 3)]),
        (("--since", "2024-02-01"), [("o-3", 1), ("o-2", 2), ("o-1", 3)]),
        (("--since", "2024-02-02T00:00:00Z"), [("o-2", 2), ("o-1", 3)]),
        (("--since", "2024-02-02T02:00:00+01:00", "--from-version", "3"), [("o-1", 3)]),
        (("o-1", "--from-version", "3"), [("o-1", 3)]),
        (("o-2", "--since", "2024-01-15"), [("o-2", 2)]),
        (("--since", "2d"), []),
    ],
)
def test_only_some_events(shop: Runner, hook: Hook, options: tuple[str, ...], expected: list[tuple[str, int]]) -> None:
    assert shop.ok(*REPLAY, "--dry-run", "--json", *options).json["events"] == len(expected)
    assert hook.got == []
    done = shop.ok(*REPLAY, *options)
    assert named(hook) == expected
    if not expected:
        assert done.lines == ["no events replayed for 'order' via plugin http (hook) (payload=all)"]


def test_archived_aggregates(shop: Runner, hook: Hook) -> None:
    shop.ok("aggregate", "archive", "order", "o-1")
    shop.ok(*REPLAY, "--payload-mode", "event-only")
    assert named(hook) == [("o-2", 1), ("o-3", 1), ("o-2", 2)]
    assert shop.ok(*REPLAY, "--include-archived", "--dry-run", "--json").json["events"] == 7
    assert shop.ok(*REPLAY, "o-1", "--dry-run", "--json").json["events"] == 4


@pytest.mark.parametrize(
    ("mode", "members"),
    [
        ("all", {"event", "state"}),
        ("event-only", {"event"}),
        ("state-only", {"state"}),
        ("extensions-only", {"event"}),
        ("event-and-schema", {"event"}),
        ("schema-only", set()),
    ],
)
def test_payload_modes(shop: Runner, hook: Hook, mode: str, members: set[str]) -> None:
    done = shop.ok(*REPLAY, "--payload-mode", mode, "--json").json
    assert done["payload_mode"] == mode
    assert done["replayed"] == len(hook.got) == (6 if members else 0)
    assert all(set(body) == members for body in hook.bodies())
    assert shop.ok("plugin", "list", "--json").json[0]["payload_mode"] == "all"


def test_to_file_writes_exactly_what_would_be_sent(shop: Runner, hook: Hook, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    done = shop.ok(*REPLAY, "--to-file", str(path), "--json").json
    assert (done["file"], done["events"], done["replayed"]) == (str(path), 6, 0)
    assert hook.got == []
    shop.ok(*REPLAY)
    assert path.read_bytes() == b"".join(body + b"\n" for _, body, _ in hook.got)
    # A process plugin's lines have more in them.
    shop.ok("plugin", "config", "process", "/bin/cat", "--name", "cat")
    shop.ok("plugin", "replay", "cat", "order", "o-1", "--to-file", str(path))
    first = json.loads(path.read_text().splitlines()[0])
    assert (first["plugin"], first["position"], first["replay"], first["attempt"]) == ("cat", 0, True, 1)
    assert first["state"]["version"] == 1


def test_a_file_is_whole_or_not_there(shop: Runner, tmp_path: Path) -> None:
    for path, status in ((tmp_path / "no" / "out", 1), (tmp_path, 1), (Path("/dev/full"), 1)):
        assert shop(*REPLAY, "--to-file", str(path)).status == status
    kept = tmp_path / "out"
    kept.write_text("before")
    assert shop(*REPLAY, "o-9", "--to-file", str(kept)).status == 3
    assert kept.read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "out", "work"]
    # What it would say is that of the DEK's holder alone.
    dek = shop.ok("key", "generate", "--dek").stdout.strip()
    shop.ok("config", "--dek", dek)
    shop.ok("aggregate", "apply", "order", "o-1", "paid", "--field", "a=canary")
    (shop.cwd / ".dbx" / "keys" / "dek").rename(shop.cwd / "dek")
    assert shop(*REPLAY, "--to-file", str(kept)).status == 10
    assert kept.read_text() == "before"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ((), 2),
        (("hook",), 2),
        (("hook", "order", "o-1", "o-2"), 2),
        (("nobody", "order"), 3),
        (("no body", "order"), 5),
        (("hook", "letter"), 3),
        (("hook", "Order"), 5),
        (("hook", "order", "o-9"), 3),
        (("hook", "order", "../x"), 5),
        (("hook", "order", "--payload-mode", "most"), 5),
        (("hook", "order", "--from-version", "0"), 2),
        (("hook", "order", "--from-version", "x"), 2),
        (("hook", "order", "o-1", "--from-version", "4"), 3),
        (("hook", "order", "--since", "noon"), 5),
        (("hook", "order", "--since", ""), 5),
        (("hook", "order", "--rate", "0"), 2),
        (("hook", "order", "--rate", "-1"), 2),
        (("hook", "order", "--rate", "nan"), 2),
        (("hook", "order", "--rate", "fast"), 2),
        (("hook", "order", "--dry-run", "--to-file", "x"), 2),
        (("hook", "order", "--to-file", ""), 2),
        (("hook", "order", "-d", "nowhere"), 3),
        (("off", "order"), 4),
        (("mute", "order"), 4),
        (("cloud", "order", "--payload-mode", "state-only"), 5),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_sent(
    shop: Runner, hook: Hook, arguments: tuple[str, ...], status: int
) -> None:
    shop.ok("plugin", "config", "log", "--name", "off", "--disable")
    shop.ok("plugin", "config", "log", "--name", "mute", "--emit-events", "false")
    to_cloud = ("--endpoint", hook.url, "--allow-private", "--format", "cloudevents")
    shop.ok("plugin", "config", "http", "--name", "cloud", *to_cloud)
    found = shop("plugin", "replay", *arguments, "--json")
    assert found.status == status, found
    assert hook.got == []
    assert found.stdout == ""
    assert not (shop.cwd / "x").exists()


def test_a_declared_type_without_aggregates_has_nothing_to_replay(shop: Runner) -> None:
    shop.ok("schema", "create", "letter", "--events", "written")
    done = shop.ok("plugin", "replay", "hook", "letter")
    assert done.lines == ["no events replayed for 'letter' via plugin http (hook) (payload=all)"]


def test_what_the_schema_hides_is_not_replayed(shop: Runner, hook: Hook) -> None:
    shop.ok("schema", "create", "order", "--events", "placed,paid,sent")
    shop.ok("schema", "field", "order", "paid", "--type", "integer")
    shop.ok("schema", "hide", "--aggregate", "order", "--field", "paid")
    shop.ok(*REPLAY, "o-1")
    assert [body["state"]["state"] for body in hook.bodies()] == [
        {"placed": 0},
        {"placed": 0},
        {"placed": 0, "sent": 5},
    ]
    assert hook.bodies()[1]["event"]["payload"] == {}
    configure(shop, hook, "--include-hidden")
    shop.ok(*REPLAY, "o-1", "--from-version", "2")
    assert hook.bodies()[3]["event"]["payload"] == {"paid": 2}


def test_nobody_there_at_the_beginning_ends_it_at_once(shop: Runner, hook: Hook) -> None:
    hook.close()
    began = time.monotonic()
    failed = shop(*REPLAY, "--json")
    assert time.monotonic() - began < 30
    assert failed.status == 8
    assert failed.error["details"]["delivered"] == 0
    assert "connection refused" in failed.error["message"]
    assert cursor(shop)["last_error"] is None


def test_an_event_that_fails_is_tried_again_as_in_the_queue(shop: Runner, hook: Hook) -> None:
    hook.status = lambda body: 503 if b'"o-3"' in body and len(hook.got) < 6 else 200
    done = shop.ok(*REPLAY)
    assert "attempt 1 of 10 failed: http plugin request failed (503); the next in 1." in done.stderr
    assert [headers["X-DBX-Attempt"] for headers, _, _ in hook.got] == ["1", "1", "1", "1", "2", "3", "1", "1"]
    assert ids(hook)[3] == ids(hook)[5]


def test_a_poison_event_is_left_out_where_the_plugin_skips(shop: Runner, hook: Hook) -> None:
    shop.ok("config", "plugin_max_attempts", "1")
    hook.status = lambda body: 500 if b'"o-3"' in body else 200
    done = shop(*REPLAY, "--json")
    assert done.status == 1
    assert (done.json["replayed"], done.json["failed"]) == (5, 1)
    (failure,) = done.json["failures"]
    assert (failure["aggregate_id"], failure["version"], failure["attempts"]) == ("o-3", 1, 1)
    assert failure["delivery_id"].endswith("/hook/3")
    assert failure["error"] == "http plugin request failed (500)"
    assert named(hook) == ALL
    assert shop.ok("queue", "--json").json["dead"] == 0
    text = shop(*REPLAY)
    assert text.lines[1] == "1 event(s) could not be delivered and were left out"


def test_a_plugin_that_takes_nothing_more_stops_it_where_that_began(shop: Runner, hook: Hook) -> None:
    shop.ok("config", "plugin_max_attempts", "1")
    more_orders(shop, 40)
    hook.status = lambda body: 500 if len(hook.got) > 10 else 200
    stopped = shop(*REPLAY, "--json")
    assert stopped.status == 8
    assert len(hook.got) == 18
    hook.status = lambda _: 200
    done = shop.ok(*REPLAY, "--json")
    assert (done.json["replayed"], done.json["earlier"]) == (36, 10)
    assert sorted(set(ids(hook))) == sorted(ids(hook)[:10] + ids(hook)[18:])


def test_a_plugin_that_holds_stops_at_a_poison_event_and_goes_on_there(shop: Runner, hook: Hook) -> None:
    configure(shop, hook, "--on-dead", "hold")
    shop.ok("config", "plugin_max_attempts", "1")
    hook.status = lambda body: 500 if b'"o-3"' in body else 200
    failed = shop(*REPLAY, "--json")
    assert failed.status == 8
    assert failed.error["details"]["delivered"] == 3
    assert failed.error["details"]["aggregate_id"] == "o-3"
    assert "run the same command again" in failed.error["hint"]
    (status,) = shop.ok("plugin", "status", "--json").json
    (cut,) = status["replays"]
    assert (cut["aggregate_type"], cut["aggregate_id"], cut["delivered"]) == ("order", None, 3)
    assert "unfinished_replays=1" in shop.ok("plugin", "status").stdout
    hook.status = lambda _: 200
    # Another replay has a bookmark of its own.
    shop.ok(*REPLAY, "o-3")
    would = shop.ok(*REPLAY, "--dry-run", "--json").json
    assert (would["events"], would["earlier"]) == (3, 3)
    del hook.got[:]
    done = shop.ok(*REPLAY)
    assert "going on behind 3 event(s) that were delivered before; --restart begins anew" in done.stderr
    assert named(hook) == ALL[3:]
    assert shop.ok("plugin", "status", "--json").json[0]["replays"] == []


def test_restart_begins_anew(shop: Runner, hook: Hook) -> None:
    configure(shop, hook, "--on-dead", "hold")
    shop.ok("config", "plugin_max_attempts", "1")
    hook.status = lambda body: 500 if b'"o-3"' in body else 200
    assert shop(*REPLAY).status == 8
    hook.status = lambda _: 200
    assert shop.ok(*REPLAY, "--restart", "--json").json["replayed"] == 6


def test_how_long_ago_means_the_same_when_it_goes_on(shop: Runner, hook: Hook) -> None:
    configure(shop, hook, "--on-dead", "hold")
    shop.ok("config", "plugin_max_attempts", "1")
    hook.status = lambda body: 500 if b'"o-3"' in body else 200
    words = (*REPLAY, "--since", "2w")
    assert shop(*words, env={"DBX_NOW": "2024-01-16T12:00:00Z"}).status == 8
    assert named(hook)[:2] == [("o-1", 2), ("o-3", 1)]
    hook.status = lambda _: 200
    del hook.got[:]
    shop.ok(*words, env={"DBX_NOW": "2024-02-14T00:00:00Z"})
    assert named(hook) == [("o-3", 1), ("o-2", 2), ("o-1", 3)]


def test_the_rate_is_kept(shop: Runner, hook: Hook) -> None:
    began = time.monotonic()
    shop.ok(*REPLAY, "--rate", "4")
    assert time.monotonic() - began >= 5 / 4
    assert len(hook.got) == 6


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_one_that_is_cut_off_goes_on_where_it_stopped(shop: Runner, hook: Hook, number: signal.Signals) -> None:
    more_orders(shop, 100)
    replay = shop.start(*REPLAY, "--rate", "40", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        wait_for(lambda: len(hook.got) >= 30)
        replay.send_signal(number)
        _, err = replay.communicate(timeout=20)
    finally:
        replay.kill()
    assert replay.returncode == (-9 if number == signal.SIGKILL else 130), err
    if number != signal.SIGKILL:
        assert b"run the same command again to go on" in err
    before = len(hook.got)
    done = shop.ok(*REPLAY, "--json")
    assert len(set(ids(hook))) == 106
    # Killed, it may not have noted what it did in the last tenth of a second.
    assert len(hook.got) - 106 <= (20 if number == signal.SIGKILL else 1)
    assert done.json["earlier"] >= before - 20
    assert done.json["replayed"] == len(hook.got) - before


def test_one_replay_at_a_time_and_live_deliveries_beside_it(shop: Runner, hook: Hook) -> None:
    replay = shop.start(*REPLAY, "--rate", "1", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: len(hook.got) >= 1)
        second = shop("--wait", "0", *REPLAY, "--json")
        assert second.status == 9
        assert second.error["details"]["pid"] == replay.pid
        shop.ok("aggregate", "apply", "parcel", "p-1", "sent")
        shop.ok("plugin", "run", "--once")
        assert ("p-1", 2) in named(hook)
        assert replay.wait(20) == 0
    finally:
        replay.kill()
    assert len(hook.got) == 7


@pytest.mark.parametrize(
    "change",
    [("disable", "hook"), ("remove", "hook", "--disable"), ("config", "http", "--name", "hook", "--on-dead", "hold")],
)
def test_a_plugin_that_is_changed_meanwhile_gets_nothing_more(
    shop: Runner, hook: Hook, change: tuple[str, ...]
) -> None:
    replay = shop.start(*REPLAY, "--rate", "0.5", "--json", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        wait_for(lambda: len(hook.got) >= 1)
        more = ("--endpoint", hook.url, "--allow-private") if change[0] == "config" else ()
        shop.ok("plugin", *change, *more)
        _, err = replay.communicate(timeout=20)
    finally:
        replay.kill()
    assert replay.returncode == 4
    if change[0] == "remove":
        configure(shop, hook)
    assert len(shop.ok("plugin", "status", "--json").json[0]["replays"]) == (change[0] != "remove")
    assert "was changed while the replay went on" in json.loads(err.splitlines()[-1])["error"]["message"]
    assert len(hook.got) < 6


def test_a_process_is_told_that_it_is_a_replay_and_ends_with_it(shop: Runner, tmp_path: Path) -> None:
    program = tmp_path / "keep.py"
    program.write_text(
        "import json, os, sys\n"
        "for line in sys.stdin:\n"
        "    d = json.loads(line)\n"
        "    with open(sys.argv[1], 'a') as f:\n"
        "        f.write(json.dumps([os.getpid(), d]) + '\\n')\n"
        "    print(json.dumps({'delivery_id': d['delivery_id'], 'ok': True}), flush=True)\n"
    )
    kept = tmp_path / "kept"
    words = ("--name", "keep", "--arg", "python3", "--arg", str(program), "--arg", str(kept))
    shop.ok("plugin", "config", "process", "/usr/bin/env", *words)
    replay = shop.start("plugin", "replay", "keep", "order", "--rate", "2", stderr=subprocess.DEVNULL)
    try:
        wait_for(kept.exists)
        replay.send_signal(signal.SIGINT)
        assert replay.wait(20) == 130
    finally:
        replay.kill()
    shop.ok("plugin", "replay", "keep", "order")
    lines = [json.loads(line) for line in kept.read_text().splitlines()]
    assert {line[1]["position"] for line in lines} == set(range(6))
    assert all(line[1]["replay"] is True for line in lines)
    for pid, _ in lines:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_commits_that_were_taken_back_make_it_begin_anew(shop: Runner, hook: Hook) -> None:
    configure(shop, hook, "--on-dead", "hold")
    shop.ok("config", "plugin_max_attempts", "1")
    stage(
        shop,
        [
            {"aggregate_type": "order", "aggregate_id": f"n-{n}", "event_type": "placed", "payload": {}}
            for n in range(3)
        ],
    )
    shop.ok("commit")
    hook.status = lambda body: 500 if b'"n-2"' in body else 200
    assert shop(*REPLAY).status == 8
    shop.ok("undo", "--yes")
    hook.status = lambda _: 200
    del hook.got[:]
    done = shop.ok(*REPLAY)
    assert "it begins anew" in done.stderr
    assert named(hook) == ALL


def test_a_bar_on_a_terminal(shop: Runner, in_terminal: Callable[..., tuple[int, str]]) -> None:
    status, shown = in_terminal(shop, *REPLAY, "--rate", "3")
    assert status == 0
    assert "replaying [" in shown
    assert "/6" in shown


def test_fsck_knows_what_a_replay_leaves(shop: Runner) -> None:
    shop.ok(*REPLAY)
    found = shop.ok("fsck")
    assert "replay.lock" not in found.stdout + found.stderr
