"""`dbx snapshots`: what EventDBX's users type, and what they get."""

from __future__ import annotations

import json
import os
import signal
import sqlite3

import pytest

from tests.cli.conftest import Runner
from tests.history import append, open_repository

OLD = {"DBX_NOW": "2026-01-01T00:00:00Z"}
NEW = {"DBX_NOW": "2026-02-20T00:00:00Z"}


@pytest.fixture
def shop(run: Runner) -> Runner:
    run.ok("init")
    run.ok("aggregate", "create", "order", "o-1", "--event", "placed", "--field", "status=new")
    for status in ("paid", "sent", "delivered"):
        run.ok("aggregate", "apply", "order", "o-1", "changed", "--field", f"status={status}")
    return run


def test_create_list_get(shop: Runner) -> None:
    assert shop.ok("snapshots", "list").stdout == "no snapshots found\n"
    assert shop.ok("snapshots", "list", "--json").json == []
    made = json.loads(shop.ok("snapshots", "create", "order", "o-1", "--comment", "before the audit", env=NEW).stdout)
    assert made == {
        "snapshot_id": made["snapshot_id"],
        "aggregate_type": "order",
        "aggregate_id": "o-1",
        "version": 4,
        "created_at": "2026-02-20T00:00:00.000000Z",
        "comment": "before the audit",
        "automatic": False,
        "state": {"status": "delivered"},
        "merkle_root": shop.ok("aggregate", "verify", "order", "o-1", "--json").json["merkle_root"],
    }
    older = shop.ok("snapshots", "create", "order", "o-1", "--version", "2", "--json").json
    assert (older["state"], older["comment"]) == ({"status": "paid"}, None)
    again = shop.ok("aggregate", "snapshot", "order", "o-1", "--json").json
    assert shop.ok("snapshots", "list", "--json").json == [older, made, again]
    assert shop.ok("snapshots", "list", "order", "o-1", "--version", "2", "--json").json == [older]
    assert shop.ok("snapshots", "list", "order", "o").stdout == "no snapshots found\n"
    assert [json.loads(line) for line in shop.ok("snapshots", "list", "order", "--jsonl").lines] == [older, made, again]
    line = shop.ok("snapshots", "list").lines[1]
    assert line == (
        f"snapshot_id={made['snapshot_id']} aggregate_type=order aggregate_id=o-1 version=4"
        ' created_at=2026-02-20T00:00:00.000000Z comment="before the audit"'
    )
    assert shop.ok("snapshots", "get", made["snapshot_id"], "--json").json == made
    lines = shop.ok("snapshots", "get", made["snapshot_id"]).lines
    assert lines[0] == line
    assert lines[1:] == ["state={", '  "status": "delivered"', "}", f"merkle_root={made['merkle_root']}"]


def test_automatic_ones(shop: Runner) -> None:
    shop.ok("config", "--snapshot-threshold", "2")
    shop.ok("aggregate", "apply", "order", "o-1", "changed", "--field", "status=5")
    batch = "".join(
        json.dumps(
            {"aggregate_type": "order", "aggregate_id": "o-1", "event_type": "changed", "payload": {"status": f"{n}"}}
        )
        + "\n"
        for n in (6, 7, 8, 9)
    )
    shop.ok("aggregate", "apply", "--stage", "--from", "-", stdin=batch)
    shop.ok("commit")
    found = shop.ok("snapshots", "list", "--json").json
    assert [(one["version"], one["state"]["status"], one["comment"], one["automatic"]) for one in found] == [
        (6, "6", "auto snapshot v6", True),
        (8, "8", "auto snapshot v8", True),
    ]
    assert len(shop.ok("snapshots", "verify").lines) == 2
    got = shop.ok("aggregate", "get", "order", "o-1", "--version", "7", "--json").json
    assert (got["version"], got["state"]) == (7, {"status": "7"})
    shop.ok("config", "--clear-snapshot-threshold")
    shop.ok("aggregate", "apply", "order", "o-1", "changed", "--field", "status=10")
    assert len(shop.ok("snapshots", "list", "--json").json) == 2


def test_verify(shop: Runner) -> None:
    assert shop.ok("snapshots", "verify").stdout == "no snapshots found\n"
    first = shop.ok("snapshots", "create", "order", "o-1", "--version", "2", "--json").json
    second = shop.ok("snapshots", "create", "order", "o-1", "--json").json
    assert shop.ok("snapshots", "verify", "--json").json == [first, second]
    assert shop.ok("snapshots", "verify", "order", "o-1", "--json").json == [first, second]
    assert shop.ok("snapshots", "verify", first["snapshot_id"], "--json").json == [first]
    forge(shop, int(first["snapshot_id"]))
    done = shop("snapshots", "verify", first["snapshot_id"], "--json")
    assert done.status == 7
    assert first["snapshot_id"] in done.error["message"]
    done = shop("snapshots", "verify")
    assert done.status == 7
    assert f"1 of 2 snapshots do not verify: snapshot '{first['snapshot_id']}'" in done.stderr
    assert len(done.lines) == 1
    # And no read believes it.
    assert shop.ok("aggregate", "get", "order", "o-1", "--version", "2", "--json").json["state"] == {"status": "paid"}


def forge(shop: Runner, snapshot_id: int) -> None:
    from dbx.store.snapshots import Snapshots

    database = Snapshots(str(shop.cwd / ".dbx" / "domains" / "default" / "snapshots.db"))
    row = database.find(snapshot_id)
    assert row is not None
    with database.write():
        database.put(row._replace(state=b'{"status":"forged"}'))
    database.close()


def test_prune(shop: Runner) -> None:
    for version in ("1", "2", "3"):
        shop.ok("snapshots", "create", "order", "o-1", "--version", version, env=OLD)
    shop.ok("snapshots", "create", "order", "o-1", env=NEW)
    rules = ("--keep-last", "1", "--keep-days", "30")
    said = shop.ok("snapshots", "prune", *rules, "--dry-run", "--json", env=NEW).json
    assert (said["pruned"], said["kept"], said["dry_run"]) == (3, 1, True)
    assert said["freed_bytes"] == sum(one["bytes"] for one in said["snapshots"]) > 0
    assert len(shop.ok("snapshots", "list", "--json").json) == 4
    refused = shop("snapshots", "prune", *rules, env=NEW)
    assert refused.status == 2
    assert f"this removes 3 snapshots of {said['freed_bytes']} bytes" in refused.stderr
    done = shop.ok("snapshots", "prune", *rules, "--yes", "--json", env=NEW).json
    assert done == {**said, "dry_run": False}
    assert [one["version"] for one in shop.ok("snapshots", "list", "--json").json] == [4]
    assert shop.ok("snapshots", "prune", "order", "o-9", "--keep-last", "0", "--yes").stdout == (
        "removed 0 snapshots, 0 bytes; 0 stay\n"
    )
    assert shop.ok("snapshots", "prune", "--larger-than", "1M").stdout == "removed 0 snapshots, 0 bytes; 1 stay\n"
    assert "would remove 1 snapshots" in shop.ok("snapshots", "prune", "--larger-than", "0", "--dry-run").lines[-1]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("create",), 2, "needs the aggregate type"),
        (("create", "order"), 2, "needs the aggregate id"),
        (("create", "order", "none"), 3, "does not exist"),
        (("create", "Order", "o-1"), 5, "aggregate type"),
        (("create", "order", "o-1", "--version", "5"), 3, "its latest is 4"),
        (("create", "order", "o-1", "--version", "0"), 2, "bad value"),
        (("create", "order", "o-1", "--comment", "x" * 1001), 5, "at most 1000"),
        (("create", "order", "o-1", "--comment", "a\nb"), 5, "control character"),
        (("create", "order", "o-1", "x"), 2, "unexpected argument"),
        (("list", "order", "o-1", "x"), 2, "unexpected argument"),
        (("list", "Order"), 5, "aggregate type"),
        (("list", "--aggregate-id", "x"), 2, "needs the type"),
        (("list", "--version", "x"), 2, "bad value"),
        (("get",), 2, "needs the argument"),
        (("get", "7"), 3, "snapshot 7 not found"),
        (("get", "x"), 5, "snapshot_id 'x' is not a valid snowflake"),
        (("get", "9" * 30), 5, "is not a valid snowflake"),
        (("verify", "7"), 3, "snapshot 7 not found"),
        (("verify", "7x"), 5, "is not a valid snowflake"),
        (("verify", "Order"), 5, "aggregate type"),
        (("prune",), 2, "no rule"),
        (("prune", "--keep-last", "-1"), 2, "bad value"),
        (("prune", "--keep-days", "x"), 2, "number of days"),
        (("prune", "--larger-than", "x"), 2, "is not a size"),
        (("nothing",), 2, "unknown command"),
        ((), 2, "needs a command"),
    ],
)
def test_bad_input(shop: Runner, arguments: tuple[str, ...], status: int, said: str) -> None:
    done = shop("snapshots", *arguments)
    assert (done.status, done.stdout) == (status, "")
    assert said in done.stderr
    assert not (shop.cwd / ".dbx" / "domains" / "default" / "snapshots.db").exists()


def test_a_damaged_file_is_told_and_reads_go_on(shop: Runner) -> None:
    shop.ok("snapshots", "create", "order", "o-1")
    path = shop.cwd / ".dbx" / "domains" / "default" / "snapshots.db"
    for extra in path.parent.glob("snapshots.db-*"):
        extra.unlink()
    path.write_bytes(b"rubbish" * 2000)
    for arguments in (("list",), ("create", "order", "o-1"), ("verify",), ("prune", "--keep-last", "0")):
        done = shop("snapshots", *arguments)
        assert (done.status, "snapshots.db" in done.stderr) == (7, True)
    shop.ok("aggregate", "get", "order", "o-1", "--version", "3")
    shop.ok("config", "snapshot_threshold", "1")
    shop.ok("aggregate", "apply", "order", "o-1", "changed", "--field", "a=b")
    assert shop.ok("aggregate", "get", "order", "o-1", "--json").json["version"] == 5


def test_no_fork_has_them_and_gc_leaves_them(shop: Runner) -> None:
    shop.ok("snapshots", "create", "order", "o-1")
    shop.ok("gc")
    shop.ok("reindex")
    assert len(shop.ok("snapshots", "verify").lines) == 1
    assert shop.ok("fsck", "--json").json
    shop.ok("checkout", "-c", "fork", "--from", "default")
    assert shop.ok("snapshots", "list").stdout == "no snapshots found\n"


def test_killed_while_it_commits_a_batch_it_has_them_afterwards(run: Runner) -> None:
    """Whenever it dies: what is committed has its snapshots once somebody asks, each once."""
    run.ok("init")
    run.ok("config", "snapshot_threshold", "10")
    repository = open_repository(run.cwd)
    append(repository.domain(), "o-1")
    repository.close()
    lines = "".join(
        json.dumps({"aggregate_type": "order", "aggregate_id": "o-1", "event_type": "e", "payload": {"n": n}}) + "\n"
        for n in range(2, 3001)
    )
    run.ok("aggregate", "apply", "--stage", "--from", "-", stdin=lines)
    process = run.start("commit", stdout=-3, stderr=-3)
    path = run.cwd / ".dbx" / "domains" / "default" / "snapshots.db"
    while process.poll() is None and not path.exists():
        os.sched_yield()
    process.send_signal(signal.SIGKILL)
    process.wait()
    run.ok("commit")
    assert [one["version"] for one in run.ok("snapshots", "list", "--json").json] == list(range(10, 3001, 10))
    assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)
