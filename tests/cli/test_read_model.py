"""fixtures/plugins/read_model.py: the database is what the domain is, however often and in what company events come."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Runner

PROGRAM = Path(__file__).resolve().parents[2] / "fixtures" / "plugins" / "read_model.py"


def configure(run: Runner, *more: str) -> None:
    run.ok(
        "plugin", "config", "process", str(PROGRAM), "--name", "model", "--payload", "state-only",
        "--on-dead", "hold", *more,
    )  # fmt: skip


def select(path: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return database.execute(sql).fetchall()


def modelled(path: Path) -> dict[tuple[str, str], Any]:
    found = select(path, "SELECT type, id, version, root, archived, updated_at, state FROM aggregate")
    return {(row[0], row[1]): (row[2], row[3], bool(row[4]), row[5], json.loads(row[6])) for row in found}


def held(run: Runner) -> dict[tuple[str, str], Any]:
    found = run.ok("aggregate", "list", "--include-archived", "--take", "1000", "--json").json
    return {
        (one["aggregate_type"], one["aggregate_id"]): (
            one["version"], one["merkle_root"], one["archived"], one["updated_at"], one["state"],
        )
        for one in found
    }  # fmt: skip


def counted(path: Path) -> int:
    return int(select(path, "SELECT sum(events) FROM day")[0][0])


def test_a_question_that_has_no_answer_is_told_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "model.db"
    for made, sentence in ((False, "; the plugin makes it with its first event"), (True, "no such table: aggregate")):
        if made:
            path.touch()
        asked = subprocess.run(
            [PROGRAM, str(path), "SELECT id FROM aggregate"], capture_output=True, text=True, check=False
        )
        assert (asked.returncode, asked.stdout) == (1, "")
        assert asked.stderr.startswith(f"read_model: '{path}' cannot answer: ")
        assert asked.stderr.endswith(sentence + "\n")
        assert asked.stderr.count("\n") == 1


@pytest.fixture
def shop(run: Runner) -> Runner:
    run.ok("init")
    configure(run)
    run.ok("aggregate", "create", "order", "o-1", "--event", "placed", "--field", "total:=3", "--field", "to=Zoë")
    run.ok("aggregate", "apply", "order", "o-1", "paid", "--field", "paid:=true")
    run.ok("aggregate", "create", "order", "o-2", "--event", "placed", "--field", "total:=5")
    run.ok("plugin", "run", "--once")
    return run


def test_it_is_what_the_domain_is(shop: Runner) -> None:
    database = shop.cwd / "default.db"
    assert modelled(database) == held(shop)
    assert counted(database) == 3
    shop.ok("aggregate", "archive", "order", "o-2")
    shop.ok("aggregate", "redact", "order", "o-1", "--version", "1", "--reason", "asked", "--yes")
    shop.ok("aggregate", "create", "visit", "v-1", "--event", "begun")
    shop.ok("plugin", "run", "--once")
    assert modelled(database) == held(shop)
    assert modelled(database)["order", "o-2"][2] is True
    assert "Zoë".encode() not in database.read_bytes()


def test_what_comes_again_changes_nothing(shop: Runner) -> None:
    database = shop.cwd / "default.db"
    before = database.read_bytes()
    for path in (shop.cwd / ".dbx" / "domains" / "default").glob("queue.db*"):
        path.unlink()
    ran = shop.ok("plugin", "run", "--once", "--json").json["plugins"]
    assert ran == [{"name": "model", "kind": "process", "delivered": 3, "failed": 0, "dead": 0}]
    assert database.read_bytes() == before


def test_it_is_made_anew_from_nothing(shop: Runner) -> None:
    database = shop.cwd / "default.db"
    before = modelled(database)
    database.unlink()
    for path in (shop.cwd / ".dbx" / "domains" / "default").glob("queue.db*"):
        path.unlink()
    shop.ok("plugin", "run", "--once")
    assert modelled(database) == before == held(shop)
    assert counted(database) == 3


def test_a_replay_makes_it_anew_behind_which_the_rest_comes(shop: Runner) -> None:
    database = shop.cwd / "default.db"
    shop.ok("aggregate", "archive", "order", "o-2")
    shop.ok("plugin", "run", "--once")
    before = modelled(database)
    database.unlink()
    shop.ok("aggregate", "apply", "order", "o-1", "sent")
    shop.ok("plugin", "run", "--once")  # refused: what was before it is missing
    assert modelled(database) == {}
    shop.ok("plugin", "replay", "model", "order", "--include-archived")
    assert modelled(database).keys() == before.keys()
    shop.ok("plugin", "run", "--once", env={"DBX_NOW": "2099-01-01T00:00:00Z"})
    assert modelled(database) == held(shop)
    assert counted(database) == 5
    shop.ok("plugin", "replay", "model", "order", "--include-archived")
    assert counted(database) == 5


def test_another_history_is_made_anew(shop: Runner) -> None:
    database = shop.cwd / "default.db"
    shop.ok("undo", "--yes")
    shop.ok("aggregate", "create", "order", "o-2", "--event", "placed", "--field", "total:=6")
    shop.ok("aggregate", "apply", "order", "o-2", "paid")
    shop.ok("plugin", "run", "--once")
    assert modelled(database)["order", "o-2"][4] == {"total": 5}  # what follows is not built on it
    database.unlink()
    shop.ok("plugin", "replay", "model", "order")
    shop.ok("queue", "retry", "--all")
    shop.ok("plugin", "run", "--once")
    assert modelled(database) == held(shop)
    assert counted(database) == 4
    (state,) = shop.ok("plugin", "status", "--json").json
    assert (state["pending"], state["dead"]) == (0, 0)


def test_what_is_missing_is_not_passed_over(shop: Runner) -> None:
    database = shop.cwd / "default.db"
    database.unlink()
    shop.ok("aggregate", "apply", "order", "o-1", "sent")
    shop.ok("aggregate", "create", "order", "o-3", "--event", "placed")
    shop.ok("plugin", "run", "--once")
    assert set(modelled(database)) == {("order", "o-3")}
    (state,) = shop.ok("plugin", "status", "--json").json
    assert (state["pending"], state["dead"]) == (1, 0)
    assert state["last_error"] == "version 1 of 'order/o-1' is missing: replay its events"


def test_events_that_a_pull_moves_to_other_positions_count_once(run: Runner, tmp_path: Path) -> None:
    run.ok("init")
    run.ok("aggregate", "create", "order", "o-0", "--event", "placed")
    office = Runner(tmp_path / "office", run.home)
    office.cwd.mkdir()
    office.ok("clone", str(run.cwd))
    configure(office)
    office.ok("aggregate", "create", "order", "o-1", "--event", "placed")
    office.ok("plugin", "run", "--once")
    run.ok("aggregate", "create", "order", "o-2", "--event", "placed")
    office.ok("pull")
    office.ok("plugin", "run", "--once")
    database = office.cwd / "default.db"
    assert counted(database) == 2
    assert modelled(database).items() < held(office).items()  # o-0 was there before the plugin


def test_another_history_is_told_and_not_mixed_in(shop: Runner) -> None:
    shop.ok("undo", "--yes")
    shop.ok("aggregate", "create", "order", "o-2", "--event", "placed", "--field", "total:=6")
    shop.ok("plugin", "run", "--once")
    (state,) = shop.ok("plugin", "status", "--json").json
    assert (state["dead"], state["last_error"]) == (1, "the history of 'order/o-2' is another one now: make it anew")
    assert modelled(shop.cwd / "default.db")["order", "o-2"][4] == {"total": 5}


def test_a_sample_and_deliveries_without_a_state_leave_nothing(run: Runner) -> None:
    run.ok("init")
    configure(run, "--arg", "other.db")
    run.ok("plugin", "test")
    assert modelled(run.cwd / "other.db") == {}
    configure(run, "--arg", "other.db", "--payload", "event-only")
    run.ok("aggregate", "create", "order", "o-1", "--event", "placed")
    run.ok("plugin", "run", "--once")
    (state,) = run.ok("plugin", "status", "--json").json
    assert (state["dead"], state["last_error"]) == (1, "configure the plugin with --payload state-only")
    assert modelled(run.cwd / "other.db") == {}


def test_a_database_that_is_locked_is_tried_again(shop: Runner) -> None:
    database = shop.cwd / "default.db"
    shop.ok("aggregate", "create", "order", "o-3", "--event", "placed")
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        shop.ok("plugin", "run", "--once")
        other.execute("ROLLBACK")
    (state,) = shop.ok("plugin", "status", "--json").json
    assert (state["pending"], state["last_error"]) == (1, "SQLite says: database is locked")


def test_questions_are_answered(shop: Runner) -> None:
    sql = "SELECT id, json_extract(state, '$.total') FROM aggregate ORDER BY id"
    command = ["/usr/bin/env", "python3", str(PROGRAM), "default.db", sql]
    done = subprocess.run(command, cwd=shop.cwd, capture_output=True, text=True, check=True, env=dict(os.environ))
    assert done.stdout == "o-1  3\no-2  5\n"
