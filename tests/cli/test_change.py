"""aggregate patch, archive, restore, remove; what create and apply share with them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.cli.conftest import Runner

PATCH = ("aggregate", "patch", "order", "o-1", "corrected", "--patch")


@pytest.fixture
def shop(run: Runner) -> Runner:
    run.ok("init")
    payload = {"status": "open", "to": {"city": "Bern", "zip": None}, "lines": [{"n": 1}], "text": "42"}
    run.ok("aggregate", "create", "order", "o-1", "--event", "placed", "--payload", json.dumps(payload))
    return run


def state(run: Runner, name: str = "o-1") -> Any:
    return run.ok("aggregate", "get", "order", name, "--json").json["state"]


def position(run: Runner) -> str:
    """What changes with any write."""
    return run.ok("root").stdout + run.ok("staged").stdout


def test_a_patch_becomes_an_event_with_the_new_values_of_what_it_touches(shop: Runner) -> None:
    patch = [
        {"op": "remove", "path": "/to/zip"},
        {"op": "add", "path": "/lines/-", "value": {"n": 2}},
        {"op": "replace", "path": "/status", "value": None},
    ]
    event = shop.ok(*PATCH, json.dumps(patch), "--note", "by hand", "--metadata", '{"@by":"me"}', "--json").json
    assert event["payload"] == {"to": {"city": "Bern"}, "lines": [{"n": 1}, {"n": 2}], "status": None}
    assert (event["version"], event["note"], event["metadata"]) == (2, "by hand", {"@by": "me"})
    assert state(shop) == {"status": None, "to": {"city": "Bern"}, "lines": [{"n": 1}, {"n": 2}], "text": "42"}
    assert shop.ok("fsck").status == 0


def test_patches_come_from_files_and_standard_input(shop: Runner) -> None:
    text = '[{"op":"add","path":"/x","value":1}]'
    (shop.cwd / "p.json").write_text(text)
    line = shop.ok(*PATCH, "@p.json").stdout
    assert line.startswith("aggregate_type=order aggregate_id=o-1 version=2 event_type=corrected event_id=")
    shop.ok(*PATCH, "-", stdin=text.replace("1", "2"))
    shop.ok("aggregate", "patch", "--aggregate", "order", "--aggregate-id", "o-1", "--event", "e.f", "--patch", "[]")
    assert state(shop)["x"] == 2


def test_staged_patches_build_on_one_another(shop: Runner) -> None:
    for number in (2, 3):
        shop.ok(*PATCH, json.dumps([{"op": "add", "path": "/lines/-", "value": number}]), "--stage")
    # What is staged is not seen by a patch that is written at once.
    assert shop(*PATCH, '[{"op":"replace","path":"/lines/1","value":0}]').status == 5
    assert shop(*PATCH, "[]", "--stage", "--expect-version", "2").status == 4
    shop.ok(*PATCH, '[{"op":"replace","path":"/lines/1","value":0}]', "--stage", "--expect-version", "3")
    shop.ok("commit")
    assert state(shop)["lines"] == [{"n": 1}, 0, 3]


def test_a_staged_creation_can_be_patched(shop: Runner) -> None:
    shop.ok("aggregate", "create", "order", "new", "--event", "placed", "--field", "a=1", "--stage")
    patch = ("aggregate", "patch", "order", "new", "fixed", "--patch", '[{"op":"add","path":"/b","value":2}]')
    assert shop(*patch).status == 3
    shop.ok(*patch, "--stage")
    shop.ok("commit")
    assert state(shop, "new") == {"a": "1", "b": 2}


def test_patches_at_the_same_time_lose_nothing(shop: Runner) -> None:
    def add(number: int) -> int:
        return shop(*PATCH, json.dumps([{"op": "add", "path": "/lines/-", "value": number}])).status

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(add, range(8))) == [0] * 8
    assert sorted(state(shop)["lines"][1:]) == list(range(8))


@pytest.mark.parametrize(
    ("patch", "status", "says"),
    [
        ("", 5, "patch is empty where JSON is expected"),
        ("null", 5, "the patch must be an array of operations"),
        ("{}", 5, "the patch must be an array of operations"),
        ("[", 5, "patch is not JSON"),
        ('[{"op":"add","op":"add","path":"/a","value":1}]', 5, "duplicate key 'op' in patch"),
        ('[{"op":"move","from":"/a","path":"/b"}]', 5, "cannot patch: operation 1: unsupported patch operation 'move'"),
        ('[{"op":"remove","path":"/status"}]', 5, "patch removed key 'status' and removals are not supported"),
        ('[{"op":"replace","path":"/none","value":1}]', 5, "cannot patch: operation 1: path '/none' leads nowhere"),
        ('[{"op":"add","path":"","value":{}}]', 5, "cannot patch: operation 1: the whole state cannot be patched"),
        ('[{"op":"add","path":"/x","value":1}', 5, "patch is not JSON"),
        ("@none.json", 3, "there is no file 'none.json'"),
    ],
)
def test_a_bad_patch_writes_nothing(shop: Runner, patch: str, status: int, says: str) -> None:
    before = position(shop)
    for more in ([], ["--stage"], ["--dry-run"]):
        outcome = shop(*PATCH, patch, *more)
        assert (outcome.status, outcome.stdout) == (status, "")
        assert outcome.stderr.startswith(f"dbx: error: {says}")
    assert position(shop) == before


def test_patches_cannot_nest_a_state_deeper_than_json_may(shop: Runner) -> None:
    deep: Any = None
    for _ in range(50):
        deep = {"a": deep}
    shop.ok(*PATCH, json.dumps([{"op": "add", "path": "/deep", "value": deep}]))
    before = position(shop)
    for more in ([], ["--stage"], ["--dry-run"]):
        outcome = shop(*PATCH, json.dumps([{"op": "add", "path": "/deep" + "/a" * 50, "value": deep}]), *more)
        assert (outcome.status, "nests deeper than 64" in outcome.stderr) == (5, True)
    assert position(shop) == before
    shop.ok(*PATCH, json.dumps([{"op": "add", "path": "/deep" + "/a" * 50, "value": {"b": {"c": [1]}}}]))
    assert shop.ok("fsck").status == 0


def test_wrong_uses_of_patch(shop: Runner) -> None:
    assert shop("aggregate", "patch", "order", "o-1", "e").status == 2
    assert shop("aggregate", "patch", "order", "o-1", "--patch", "[]").status == 2
    assert shop(*PATCH, "[]", "--stage", "-m", "x").status == 2
    assert shop(*PATCH, "-", "--metadata", "-", stdin="[]").status == 2
    assert shop("aggregate", "patch", "order", "none", "e", "--patch", "[]").status == 3
    assert shop(*PATCH, "[]", "--expect-version", "7").status == 4
    assert shop("aggregate", "patch", "order", "o-1", "Bad", "--patch", "[]").status == 5
    assert shop("aggregate", "patch", "order", "o-1", "aggregate_archived", "--patch", "[]").status == 5
    assert shop(*PATCH, "[]", "--note", "x" * 129).status == 5
    assert shop(*PATCH, "[]", "--metadata", '{"x":1}').status == 5
    large = json.dumps([{"op": "add", "path": "/x", "value": "y" * 300_000}])
    assert shop(*PATCH, "-", stdin=large).status == 5


def test_archive_and_restore_are_events_and_happen_once(shop: Runner) -> None:
    done = shop.ok("aggregate", "archive", "order", "o-1", "--comment", "done")
    assert done.stdout == "aggregate_type=order aggregate_id=o-1 archived=true comment=done\n"
    again = shop.ok("aggregate", "archive", "order", "o-1")
    assert again.stdout == "aggregate_type=order aggregate_id=o-1 archived=true\n"
    assert again.stderr == "dbx: aggregate 'order/o-1' was archived before\n"
    (_, event) = shop.ok("events", "order", "o-1", "--json").json
    assert (event["event_type"], event["note"], event["version"]) == ("aggregate_archived", "done", 2)
    found = shop.ok("aggregate", "get", "order", "o-1", "--json").json
    assert (found["archived"], found["version"], found["state"]["status"]) == (True, 2, "open")
    assert shop.ok("aggregate", "list", "--json").json == []
    restored = shop.ok("aggregate", "restore", "order", "o-1", "--json").json
    assert (restored["archived"], restored["changed"], restored["version"]) == (False, True, 3)
    assert restored["event"]["event_type"] == "aggregate_restored"
    assert shop.ok("aggregate", "restore", "order", "o-1", "--json").json["changed"] is False
    assert len(shop.ok("aggregate", "list", "--json").json) == 1
    assert shop.ok("fsck").status == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("aggregate", "apply", "order", "o-1", "e"),
        ("aggregate", "apply", "order", "o-1", "e", "--stage"),
        ("aggregate", "apply", "order", "o-1", "e", "--create"),
        ("aggregate", "create", "order", "o-1", "--event", "e"),
        (*PATCH, "[]"),
        (*PATCH, "[]", "--stage"),
    ],
)
def test_an_archived_aggregate_takes_no_events(shop: Runner, arguments: tuple[str, ...]) -> None:
    shop.ok("aggregate", "archive", "order", "o-1")
    before = position(shop)
    assert shop(*arguments).status == 4
    assert position(shop) == before


def test_archiving_can_be_staged_and_is_seen_by_what_is_staged_after_it(shop: Runner) -> None:
    line = shop.ok("aggregate", "archive", "order", "o-1", "--stage").stdout
    assert line == "aggregate_type=order aggregate_id=o-1 archived=true staged=true\n"
    assert shop.ok("aggregate", "list", "--json").json != []
    assert shop("aggregate", "apply", "order", "o-1", "e", "--stage").status == 4
    assert shop.ok("aggregate", "archive", "order", "o-1", "--stage", "--json").json["changed"] is False
    shop.ok("aggregate", "restore", "order", "o-1", "--stage")
    shop.ok("aggregate", "apply", "order", "o-1", "e", "--stage")
    shop.ok("commit")
    assert [event["event_type"] for event in shop.ok("events", "order", "o-1", "--json").json] == [
        "placed",
        "aggregate_archived",
        "aggregate_restored",
        "e",
    ]


def test_an_archive_that_is_committed_first_stops_what_was_staged(shop: Runner) -> None:
    shop.ok("aggregate", "apply", "order", "o-1", "e", "--stage")
    shop.ok("aggregate", "archive", "order", "o-1")
    before = position(shop)
    assert shop("commit").status == 4
    assert position(shop) == before


@pytest.mark.parametrize("verb", ["archive", "restore"])
def test_wrong_uses_of_archive_and_restore(shop: Runner, verb: str) -> None:
    before = position(shop)
    for arguments, status in (
        (["order"], 2),
        (["order", "o-1", "x"], 2),
        (["order", "o-1", "--stage", "-m", "x"], 2),
        (["order", "o-1", "--expect-version", "x"], 2),
        (["order", "none"], 3),
        (["order", "none", "--stage"], 3),
        (["order", "o-1", "--expect-version", "9"], 4),
        (["Order", "o-1"], 5),
        (["order", "-"], 5),
    ):
        assert shop("aggregate", verb, *arguments).status == status, arguments
    assert shop("aggregate", "archive", "order", "o-1", "--comment", "x" * 129).status == 5
    shop.ok("aggregate", "archive", "order", "o-1", "--dry-run", "--expect-version", "1")
    assert position(shop) == before


def test_remove_drops_a_staged_creation_and_nothing_else(shop: Runner) -> None:
    for number in range(3):
        shop.ok("aggregate", "apply", "order", f"n-{number % 2}", "placed", "--create", "--stage")
    shop.ok("aggregate", "apply", "order", "o-1", "paid", "--stage")
    kept = [event for event in shop.ok("staged", "--json").json if event["aggregate_id"] != "n-0"]
    assert shop.ok("aggregate", "remove", "order", "n-0").stdout == "aggregate_type=order aggregate_id=n-0 removed\n"
    assert [{**event, "position": None} for event in shop.ok("staged", "--json").json] == [
        {**event, "position": None} for event in kept
    ]
    assert shop.ok("fsck").status == 0
    assert shop("aggregate", "remove", "order", "n-0").status == 3
    assert shop("aggregate", "remove", "order", "o-1").status == 4
    assert shop("aggregate", "remove", "order").status == 2
    assert shop("aggregate", "remove", "order", "-x").status in (2, 5)
    shop.ok("aggregate", "create", "order", "n-0", "--event", "placed", "--stage")
    shop.ok("commit")
    assert [a["aggregate_id"] for a in shop.ok("aggregate", "list", "--json").json] == ["n-0", "n-1", "o-1"]
    assert shop.ok("fsck").status == 0


def test_removing_all_that_is_staged_leaves_nothing_staged(shop: Runner) -> None:
    shop.ok("aggregate", "create", "order", "n-1", "--event", "placed", "--stage")
    assert shop.ok("aggregate", "remove", "order", "n-1", "--json").json == {
        "aggregate_type": "order",
        "aggregate_id": "n-1",
        "removed": True,
        "events": 1,
    }
    assert shop.ok("staged", "--json").json == []
    assert "no staged" in shop.ok("commit").stdout


def test_create_can_be_staged(shop: Runner) -> None:
    made = shop.ok("aggregate", "create", "order", "n-1", "--event", "placed", "--field", "x:=1", "--stage", "--json")
    assert (made.json["version"], made.json["state"]) == (1, {"x": 1})
    assert shop("aggregate", "create", "order", "n-1", "--event", "placed", "--stage").status == 4
    assert shop("aggregate", "create", "order", "n-2", "--event", "placed", "--stage", "-m", "x").status == 2
    assert shop("aggregate", "get", "order", "n-1").status == 3
    created = ("aggregate", "create", "order", "n-3", "--event", "placed", "--dry-run", "--expect-version")
    assert (shop(*created, "0").status, shop(*created, "1").status, shop(*created, "x").status) == (0, 4, 2)
    shop.ok("commit")
    assert state(shop, "n-1") == {"x": 1}


def test_terse_responses(shop: Runner) -> None:
    shop.ok("config", "verbose_responses", "false")
    assert shop.ok("aggregate", "create", "order", "n-1", "--event", "placed").stdout == "Ok\n"
    assert shop.ok("aggregate", "apply", "order", "n-1", "paid").stdout == "Ok\n"
    assert shop.ok("aggregate", "patch", "order", "n-1", "fixed", "--patch", "[]").stdout == "Ok\n"
    assert shop.ok("aggregate", "archive", "order", "n-1").stdout == "Ok\n"
    assert shop.ok("aggregate", "restore", "order", "n-1").stdout == "Ok\n"
    assert shop.ok("aggregate", "apply", "order", "n-1", "paid", "--json").json["version"] == 6
