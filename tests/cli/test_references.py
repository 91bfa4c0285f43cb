"""References between aggregates: one spelling, integrity, cascade, referrers, resolve, migrate."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.conftest import Runner


@pytest.fixture
def farm(run: Runner) -> Runner:
    """Two schemas: cows stand on farms (strong, restrict), have mothers (weak, nullify) and vets (weak, none)."""
    run.ok("init")
    run.ok("schema", "create", "farm", "-e", "opened")
    run.ok("schema", "create", "cow", "-e", "born,moved")
    field(run, "farm", "--reference-aggregate", "farm", "--reference-cascade", "restrict")
    field(run, "mother", "--reference-integrity", "weak", "--reference-cascade", "nullify")
    field(run, "vet", "--reference-integrity", "weak")
    run.ok("aggregate", "create", "farm", "f-1", "--event", "opened")
    return run


def field(run: Runner, name: str, *options: str) -> None:
    run.ok("schema", "field", "cow", name, "--type", "reference", *options)


def cow(
    run: Runner, name: str, *fields: str, event: str = "born", options: tuple[str, ...] = (), status: int = 0
) -> Any:
    pairs = [part for one in fields for part in ("--field", one)]
    outcome = run("aggregate", "apply", "cow", name, event, "--create", *pairs, *options)
    assert outcome.status == status, outcome
    return outcome


def state(run: Runner, name: str) -> Any:
    return run.ok("aggregate", "get", "cow", name, "--json").json["state"]


def referrers(run: Runner, kind: str, name: str) -> list[tuple[str, str]]:
    found = run.ok("aggregate", "referrers", kind, name, "--json").json
    return [(one["aggregate_id"], one["path"]) for one in found]


def test_references_are_stored_in_one_spelling(farm: Runner) -> None:
    cow(farm, "c-1", "farm= Default#farm#f-1 ", "mother=#c-0", "vet=vet#V-1")
    assert state(farm, "c-1") == {
        "farm": "default#farm#f-1", "mother": "default#cow#c-0", "vet": "default#vet#V-1"
    }  # fmt: skip
    cow(farm, "c-2", "farm=farm#f-1", options=("--stage",))
    farm.ok("commit")
    assert state(farm, "c-2") == {"farm": "default#farm#f-1"}
    line = {"aggregate_type": "cow", "aggregate_id": "c-3", "event_type": "born", "payload": {"mother": "#c-2"}}
    farm.ok("aggregate", "apply", "--stage", "--from", "-", stdin=json.dumps(line))
    farm.ok("commit")
    assert state(farm, "c-3") == {"mother": "default#cow#c-2"}
    farm.ok("fsck")


@pytest.mark.parametrize(
    "text", ["farm#f-9", "#f-1", "cow#f-1", "other#farm#f-1", "f-1", "a#b#c#d", "#", "farm#", "Farm#f-1"]
)
def test_a_strong_reference_must_lead_to_what_it_should(farm: Runner, text: str) -> None:
    cow(farm, "c-1", f"farm={text}", status=5)
    cow(farm, "c-1", f"farm={text}", options=("--stage",), status=5)
    line = {"aggregate_type": "cow", "aggregate_id": "c-1", "event_type": "born", "payload": {"farm": text}}
    assert farm("aggregate", "apply", "--stage", "--from", "-", stdin=json.dumps(line)).status == 5


def test_a_target_may_be_staged_in_front_of_who_refers(farm: Runner) -> None:
    farm.ok("aggregate", "create", "farm", "f-2", "--event", "opened", "--stage")
    cow(farm, "c-1", "farm=farm#f-2", status=5)
    cow(farm, "c-1", "farm=farm#f-2", options=("--stage",))
    farm.ok("aggregate", "remove", "farm", "f-2")
    refused = farm("commit")
    assert (refused.status, "no longer valid" in refused.stderr) == (4, True)
    farm.ok("reset", "--yes")
    lines = [
        {"aggregate_type": "farm", "aggregate_id": "f-3", "event_type": "opened", "payload": {}},
        {"aggregate_type": "cow", "aggregate_id": "c-1", "event_type": "born", "payload": {"farm": "farm#f-3"}},
    ]
    farm.ok("aggregate", "apply", "--stage", "--from", "-", stdin="\n".join(map(json.dumps, lines)))
    farm.ok("commit")
    backwards = "\n".join(map(json.dumps, reversed(lines))).replace("f-3", "f-4").replace("c-1", "c-4")
    assert farm("aggregate", "apply", "--stage", "--from", "-", stdin=backwards).status == 5


def test_referrers_follow_the_state_however_it_came(farm: Runner) -> None:
    cow(farm, "c-1", "farm=farm#f-1", "mother=#c-0")
    cow(farm, "c-2", "farm=farm#f-1", options=("--stage",))
    farm.ok("commit")
    assert referrers(farm, "farm", "f-1") == [("c-1", "farm"), ("c-2", "farm")]
    assert farm.ok("aggregate", "referrers", "farm", "f-1").lines[0] == (
        "aggregate_type=cow aggregate_id=c-1 path=farm"
    )
    cow(farm, "c-1", "note=x", event="moved")  # an event that does not repeat the reference
    assert referrers(farm, "farm", "f-1") == [("c-1", "farm"), ("c-2", "farm")]
    farm.ok("aggregate", "create", "farm", "f-10", "--event", "opened")
    cow(farm, "c-1", "farm=farm#f-10", event="moved")
    assert referrers(farm, "farm", "f-1") == [("c-2", "farm")]
    assert farm.ok("aggregate", "referrers", "cow", "c-2").lines == ["no referrers found"]
    assert farm("aggregate", "referrers", "farm", "nope").status == 3
    farm.ok("reindex")
    assert referrers(farm, "farm", "f-10") == [("c-1", "farm")]


def test_restrict_refuses_and_none_does_not(farm: Runner) -> None:
    for n in range(7):
        cow(farm, f"c-{n}", "farm=farm#f-1", "vet=cow#c-0")
    refused = farm("aggregate", "archive", "farm", "f-1", "--json")
    assert refused.status == 4
    assert "cow/c-4 (farm) and 2 more" in refused.error["message"]
    assert len(refused.error["details"]["referrers"]) == 7
    assert farm("aggregate", "archive", "farm", "f-1", "--stage").status == 4
    assert farm("aggregate", "archive", "farm", "f-1", "--dry-run").status == 4
    farm.ok("aggregate", "archive", "cow", "c-0")  # only a 'none' refers to it
    for n in range(1, 7):
        farm.ok("aggregate", "archive", "cow", f"c-{n}")
    farm.ok("aggregate", "archive", "farm", "f-1")


def test_nullify_writes_to_who_refers_in_the_same_commit(farm: Runner) -> None:
    cow(farm, "c-1", "farm=farm#f-1")
    cow(farm, "c-2", "mother=#c-1", "vet=cow#c-1", "note=x")
    cow(farm, "c-3", "mother=#c-2")
    farm.ok("aggregate", "archive", "cow", "c-1", "--dry-run")
    assert state(farm, "c-2")["mother"] == "default#cow#c-1"
    farm.ok("aggregate", "archive", "cow", "c-1")
    assert farm.ok("log", "--json").json[0]["count"] == 2
    assert state(farm, "c-2") == {"mother": None, "vet": "default#cow#c-1", "note": "x"}
    event = farm.ok("events", "cow", "c-2", "--json").json[-1]
    assert (event["event_type"], event["payload"]) == ("ref_nullify", {"mother": None})
    assert event["note"] == "auto-nullify due to default#cow#c-1"
    assert referrers(farm, "cow", "c-1") == [("c-2", "vet")]
    farm.ok("aggregate", "archive", "cow", "c-2", "--stage")
    farm.ok("commit")
    assert state(farm, "c-3") == {"mother": None}
    assert farm("aggregate", "apply", "cow", "c-3", "ref_nullify", "--field", "note=y").status == 5
    farm.ok("schema", "validate", "--history")
    farm.ok("fsck")


def test_resolve(farm: Runner) -> None:
    cow(farm, "c-1", "farm=farm#f-1", "mother=#c-1")
    cow(farm, "c-2", "mother=#c-1", "vet=vet#v-1")
    cow(farm, "c-3", "mother=#c-2", "vet=other#vet#v-1")
    tree = farm.ok("aggregate", "get", "cow", "c-3", "--resolve", "--resolve-depth", "3").json["resolved"]
    assert (tree["domain"], tree["aggregate"]["aggregate_id"]) == ("default", "c-3")
    mother, vet = tree["references"]
    assert (vet["path"], vet["status"], "resolved" in vet) == ("vet", "forbidden", False)
    assert vet["reference"] == {"domain": "other", "aggregate_type": "vet", "aggregate_id": "v-1"}
    below = {one["path"]: one for one in mother["resolved"]["references"]}
    assert below["vet"]["status"] == "not_found"
    last = {one["path"]: one["status"] for one in below["mother"]["resolved"]["references"]}
    assert last == {"farm": "ok", "mother": "cycle"}
    farm_of = next(one for one in below["mother"]["resolved"]["references"] if one["path"] == "farm")
    assert "references" not in farm_of["resolved"]
    listed = farm.ok("aggregate", "list", "cow", "--resolve", "--resolve-depth", "0", "--json").json
    assert {one["status"] for tree in listed for one in tree["references"]} == {"depth_exceeded"}
    assert farm("aggregate", "list", "cow", "--resolve").status == 2
    assert farm("aggregate", "get", "cow", "c-1", "--resolve-depth", "1").status == 2
    farm.ok("config", "reference_default_depth", "0")
    farm.ok("config", "reference_max_depth", "1")
    one = farm.ok("aggregate", "get", "cow", "c-3", "--resolve", "--resolve-depth", "9").json["resolved"]
    inner = one["references"][0]["resolved"]["references"]
    assert {below["status"] for below in inner} == {"depth_exceeded"}
    none = farm.ok("aggregate", "get", "cow", "c-3", "--resolve").json["resolved"]
    assert none["references"][0]["status"] == "depth_exceeded"


def test_migrate_spells_old_references_anew(run: Runner) -> None:
    run.ok("init")
    for name, mother in (("c-1", "#c-0"), ("c-2", "default#cow#c-1"), ("c-3", "cow#c-2")):
        cow(run, name, f"mother={mother}")
    run.ok("schema", "create", "cow", "-e", "born,moved,fixed")
    field(run, "mother", "--reference-integrity", "weak")
    assert referrers(run, "cow", "c-2") == [("c-3", "mother")]
    command = ("aggregate", "migrate", "cow", "--event", "fixed", "--field", "mother")
    assert run.ok(*command, "--dry-run").lines == [
        "aggregate_type=cow aggregate_id=c-1 would update fields: mother",
        "aggregate_type=cow aggregate_id=c-3 would update fields: mother",
        "migrate references summary: planned=2 applied=0 unchanged=1 skipped=2 errors=0",
    ]
    done = run.ok(*command, "--note", "spelling", "--json").json
    assert (done["planned"], done["applied"], done["unchanged"], done["errors"]) == (2, 2, 1, 0)
    assert state(run, "c-3") == {"mother": "default#cow#c-2"}
    assert run.ok("log", "--json").json[0]["count"] == 2
    assert run.ok(*command).lines == ["migrate references summary: planned=0 applied=0 unchanged=3 skipped=0 errors=0"]
    assert run("aggregate", "migrate", "cow", "--event", "fixed", "--field", "name").status == 5
    assert run("aggregate", "migrate", "cow", "--event", "nope", "--field", "mother").status in (0, 5)
    assert run("aggregate", "migrate", "pig", "--event", "fixed", "--field", "mother").status == 3
    assert run(*command, "--aggregate-id", "c-9").status == 3


def test_a_staged_archiving_is_asked_again_at_the_commit(farm: Runner) -> None:
    farm.ok("aggregate", "archive", "farm", "f-1", "--stage")
    cow(farm, "c-1", "farm=farm#f-1")
    refused = farm("commit")
    assert (refused.status, "cow/c-1 (farm)" in refused.stderr) == (4, True)
    farm.ok("aggregate", "create", "farm", "f-2", "--event", "opened")
    cow(farm, "c-1", "farm=farm#f-2", event="moved", options=("--stage",))
    farm.ok("commit")
    cow(farm, "c-2")
    farm.ok("aggregate", "archive", "cow", "c-2", "--stage")
    cow(farm, "c-3", "mother=#c-2", options=("--stage",))
    refused = farm("commit")
    assert (refused.status, "'cow/c-3' refers to it since" in refused.stderr) == (4, True)


def test_an_aggregate_that_refers_to_itself_can_be_archived(farm: Runner) -> None:
    farm.ok("schema", "field", "cow", "self", "--type", "reference", "--reference-integrity", "weak")
    farm.ok("schema", "field", "cow", "self", "--reference-cascade", "restrict")
    cow(farm, "c-1", "self=#c-1")
    farm.ok("aggregate", "archive", "cow", "c-1")


def test_what_is_not_there_may_be_referred_to(farm: Runner) -> None:
    cow(farm, "c-1", "vet=vet#none")
    assert referrers(farm, "vet", "none") == [("c-1", "vet")]
    assert farm("aggregate", "referrers", "vet", "other").status == 3


def called(run: Runner, domain: str) -> str | None:
    """What references call a domain where that is not its name."""
    found = run("-d", domain, "config", "reference_domain", "--json").json["value"]
    return None if found is None else str(found)


def test_references_lead_on_where_the_domain_has_another_name(farm: Runner) -> None:
    """In a clone, a fork, after a renaming and by a bundle; and what is written there can go back."""
    cow(farm, "c-1", "farm=farm#f-1")
    farm.ok("schema", "publish")
    near = Runner(farm.cwd.parent / "near", farm.home)
    near.cwd.mkdir()
    near.ok("init")
    near.ok("clone", str(farm.cwd), "copy")
    near.ok("checkout", "copy")

    def assert_leads(name: str) -> None:
        near.ok("checkout", name)
        assert called(near, name) == "default"
        assert ("c-1", "farm") in referrers(near, "farm", "f-1")
        shown = near.ok("aggregate", "get", "cow", "c-1", "--resolve", "--json").json
        assert shown["resolved"]["references"][0]["status"] == "ok"
        assert near("aggregate", "archive", "farm", "f-1").status == 4

    assert_leads("copy")
    cow(near, "c-2", "farm=farm#f-1")
    assert state(near, "c-2") == {"farm": "default#farm#f-1"}
    cow(near, "c-3", "farm=farm#f-9", status=5)
    near.ok("push")
    assert referrers(farm, "farm", "f-1") == [("c-1", "farm"), ("c-2", "farm")]
    near.ok("checkout", "-c", "draft", "--from", "copy")
    assert_leads("draft")
    cow(near, "c-4", "farm=farm#f-1")
    near.ok("merge", "--from", "draft", "--into", "copy")
    near.ok("checkout", "default")
    near.ok("domain", "rename", "copy", "third")
    assert_leads("third")
    near.ok("bundle", "create", "all.bundle")
    near.ok("checkout", "-c", "fourth")
    near.ok("bundle", "apply", "all.bundle")
    assert_leads("fourth")
    near.ok("clone", f"{near.cwd}#third", "fifth")
    assert_leads("fifth")
    near.ok("clone", str(farm.cwd), "part", "--aggregate", "cow")
    assert called(near, "part") == "default"
    near.ok("fsck", "--all")
    farm.ok("fsck")


def test_a_domain_without_history_is_called_by_its_new_name(run: Runner) -> None:
    run.ok("init")
    run.ok("checkout", "-c", "orders")
    run.ok("checkout", "default")
    run.ok("domain", "rename", "orders", "sales")
    assert called(run, "sales") is None
    run.ok("-d", "sales", "aggregate", "create", "order", "o-1", "--event", "placed")
    run.ok("domain", "rename", "sales", "shop")
    assert called(run, "shop") == "sales"
    run.ok("domain", "rename", "shop", "sales")
    assert called(run, "sales") is None
    assert run("config", "reference_domain", "No Name").status == 5


def test_a_remote_of_another_name_takes_references_as_they_are(farm: Runner) -> None:
    """The domain there is empty, and called otherwise: it becomes ours, with what ours is called."""
    cow(farm, "c-1", "farm=farm#f-1")
    farm.ok("schema", "publish")
    farm.ok("checkout", "-c", "main")
    farm.ok("checkout", "default")
    farm.ok("remote", "add", "origin", str(farm.cwd), "--remote-domain", "main")
    farm.ok("push")
    farm.ok("checkout", "main")
    assert called(farm, "main") == "default"
    assert referrers(farm, "farm", "f-1") == [("c-1", "farm")]
    cow(farm, "c-2", "farm=farm#f-1")
    farm.ok("-d", "default", "pull")
    farm.ok("fsck", "--all")
