"""`dbx import`: what EventDBX and CloudEvents tools export, with ids, times and actors as they were."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Runner
from tests.unit.model.test_cloudevents import FOREIGN
from tests.unit.model.test_eventdbx import AGGREGATE, SCHEMA, event


@pytest.fixture
def shop(run: Runner) -> Runner:
    run.ok("init")
    exported = run.cwd / "exported"
    exported.mkdir()
    (exported / "events.json").write_text(json.dumps([event(2), event(1), event(0)], indent=2))
    (exported / "aggregates.json").write_text(json.dumps([AGGREGATE]))
    (exported / "schemas.json").write_text(json.dumps({"patient": SCHEMA}))
    (exported / "notes.txt").write_text("not looked at")
    return run


def test_a_directory_of_exports(shop: Runner) -> None:
    dry = shop.ok("import", "eventdbx", "exported", "--dry-run", "--json").json
    assert (dry["events"], dry["commit"], dry["dry_run"]) == (4, None, True)
    assert shop.ok("events", "--json", "--include-archived").json == []
    done = shop.ok("import", "eventdbx", "exported", "--json", env={"DBX_ACTOR": "move:bob"}).json
    assert (done["events"], done["aggregates"], done["schemas"]) == (4, 1, ["patient"])
    assert [one["code"] for one in done["differences"]] == ["schema", "schema"]
    first, *_, last = shop.ok("events", "order", "order-1", "--json", "--include-archived").json
    assert first["event_id"] == "1000"
    assert first["created_at"] == "2026-01-01T00:00:00.000000Z"
    assert first["issued_by"] == {"group": "ops", "user": "jane"}
    assert first["metadata"] == {"@source": "web"}
    assert last["event_type"] == "aggregate_archived"
    assert last["issued_by"] == {"group": "move", "user": "bob"}
    commit = shop.ok("log", "--json").json[0]
    assert commit["actor"] == {"group": "move", "user": "bob"}
    assert commit["count"] == 4
    found = shop.ok("aggregate", "get", "order", "order-1").json
    assert (found["state"], found["archived"]) == ({"status": "shipped", "total": "12"}, True)
    assert shop.ok("schema", "patient", "--json").json["aggregate"] == "patient"
    shop.ok("fsck")
    again = shop("import", "eventdbx", "exported", "--json")
    assert again.status == 4
    assert len(shop.ok("log", "--json").json) == 1


def test_damage_is_reported(shop: Runner) -> None:
    forged = event(1, payload={"status": "forged"})
    (shop.cwd / "one.json").write_text(json.dumps([event(0), forged, event(2)]))
    done = shop.ok("import", "eventdbx", "one.json")
    assert "order/order-1 version 2: its hash is not that of its content" in done.stdout


def test_who_is_not_known_is_not_made_up(shop: Runner) -> None:
    unknown = event(0)
    unknown["metadata"]["issued_by"] = None  # as EventDBX's own command line records it
    (shop.cwd / "one.json").write_text(json.dumps([unknown]))
    shop.ok("import", "eventdbx", "one.json", env={"DBX_ACTOR": "move:bob"})
    (one,) = shop.ok("events", "--json").json
    assert one["issued_by"] is None
    assert shop.ok("log", "--json").json[0]["actor"] == {"group": "move", "user": "bob"}


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("", 5),
        ("{", 5),
        ("[1]", 5),
        ('{"a":1,"a":2}', 5),
        (json.dumps([event(0), event(2)]), 5),
        (json.dumps([event(0, aggregate_type="Order")]), 5),
        (json.dumps([event(0, payload={"n": 2**60})]), 5),
        (json.dumps({"patient": {**SCHEMA, "column_types": {"x": "nonsense"}}}), 5),
    ],
)
def test_files_that_do_not_fit(shop: Runner, text: str, status: int) -> None:
    (shop.cwd / "bad.json").write_text(text)
    done = shop("import", "eventdbx", "bad.json")
    assert done.status == status
    assert shop.ok("log", "--json").json == []
    assert shop.ok("status", "--json").json["staged"] is None


def test_nothing_there(shop: Runner) -> None:
    assert shop("import", "eventdbx", "nowhere").status == 3
    (shop.cwd / "empty").mkdir()
    assert shop("import", "eventdbx", "empty").status == 5
    shop.ok("aggregate", "apply", "order", "o", "placed", "--create", "--stage")
    assert shop("import", "eventdbx", "exported").status == 4


def test_cloudevents_there_and_back(shop: Runner) -> None:
    shop.ok("import", "cloudevents", "-", stdin=json.dumps(FOREIGN))
    (one,) = shop.ok("events", "thing", "--json").json
    assert one["event_type"] == "com_example_some_event"
    assert one["metadata"]["@ce_source"] == "/mycontext/4"
    assert one["issued_by"] is None
    lines = "\n".join(json.dumps({**FOREIGN, "id": f"x{n}", "subject": f"thing/{n}"}) for n in range(3))
    assert shop.ok("import", "cloudevents", "-", "--json", stdin=lines).json["events"] == 3
    exported = shop.ok("events", "thing", "--format", "cloudevents", "--jsonl").stdout
    assert json.loads(exported.splitlines()[0])["specversion"] == "1.0"
    other = shop.cwd / "other"
    shop.ok("init", str(other))
    shop.ok("-C", str(other), "import", "cloudevents", "-", stdin=exported)
    ours = shop.ok("events", "thing", "--json").json
    theirs = shop.ok("-C", str(other), "events", "thing", "--json").json
    kept = ("event_id", "created_at", "issued_by", "payload", "metadata", "event_type", "aggregate_id", "version")
    assert [[each[key] for key in kept] for each in ours] == [[each[key] for key in kept] for each in theirs]
    refused = shop("import", "cloudevents", "-", "--json", stdin=json.dumps([FOREIGN, {**FOREIGN, "subject": "x"}]))
    assert (refused.status, refused.error["details"]["lines"][0]["line"]) == (5, 2)
    assert shop.ok("import", "cloudevents", "-", "--aggregate", "device", "--dry-run", stdin=json.dumps(FOREIGN))
