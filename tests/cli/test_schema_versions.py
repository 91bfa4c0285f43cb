"""Published versions: what commits name, history, diff, activate, rollback, and what an interruption leaves."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Runner


@pytest.fixture
def shop(run: Runner) -> Runner:
    run.ok("init")
    run.ok("schema", "create", "order", "-e", "placed,paid")
    return run


def domain_of(shop: Runner) -> Path:
    return shop.cwd / ".dbx" / "domains" / "default"


def place(shop: Runner, name: str, *options: str, status: int = 0) -> Any:
    outcome = shop("aggregate", "apply", "order", name, "placed", "--create", *options, "--json")
    assert outcome.status == status, outcome
    return outcome


def schema_of_head(shop: Runner) -> Any:
    return shop.ok("log", "--json").json[0]["schema"]


def test_a_commit_names_the_version_it_was_checked_under(shop: Runner) -> None:
    place(shop, "o-1")
    first = schema_of_head(shop)
    data = (domain_of(shop) / f"schemas/versions/{first}.yaml").read_bytes()
    assert sha256(data).hexdigest() == first
    version = json.loads(data)
    assert data == json.dumps(version, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()
    assert version.keys() == {"actor", "labels", "parent", "published_at", "reason", "schemas"}
    assert (version["parent"], version["reason"], version["labels"]) == (None, "recorded on commit", [])
    sha = version["schemas"]["order"]
    assert (domain_of(shop) / f"schemas/objects/{sha}.yaml").read_bytes() == (
        domain_of(shop) / "schemas/order.yaml"
    ).read_bytes()
    assert (domain_of(shop) / "refs/schemas/main").read_text() == first + "\n"
    place(shop, "o-2")
    assert schema_of_head(shop) == first
    shop.ok("schema", "add", "order", "sent")
    place(shop, "o-3")
    assert schema_of_head(shop) != first
    assert [one["parent"] for one in shop.ok("schema", "history", "--json").json["versions"]] == [first, None]
    shop.ok("fsck")


def test_without_schemas_a_commit_names_none(run: Runner) -> None:
    run.ok("init")
    place(run, "o-1")
    assert schema_of_head(run) is None
    assert run.ok("schema", "history").stdout == "domain=default has no published schema versions\n"
    assert run.ok("schema", "history", "--json").json == {"active_version": None, "versions": []}


def test_a_refused_event_publishes_nothing(shop: Runner) -> None:
    assert shop("aggregate", "create", "order", "o-1", "--event", "nope").status == 5
    assert shop("aggregate", "create", "order", "o-1", "--event", "placed", "--dry-run").status == 0
    assert shop.ok("schema", "history", "--json").json["versions"] == []


def test_publishing_may_be_left_to_people(shop: Runner) -> None:
    shop.ok("config", "schema.require_publish", "true")
    refused = place(shop, "o-1", status=5)
    assert "unpublished changes" in refused.error["message"]
    shop.ok("aggregate", "apply", "order", "o-1", "placed", "--create", "--stage")
    assert shop("commit").status == 5
    done = shop.ok("schema", "publish", "--reason", "first", "--label", "a,b", "--label", "c", "--actor", "ops:jane")
    version = shop.ok("schema", "history", "--json").json["versions"][0]
    assert done.stdout == f"domain=default published version={version['id']} (activated)\n"
    assert (version["reason"], version["labels"], version["active"]) == ("first", ["a", "b", "c"], True)
    assert version["actor"] == {"group": "ops", "user": "jane"}
    shop.ok("commit")
    assert schema_of_head(shop) == version["id"]
    again = shop.ok("schema", "publish")
    assert again.stdout == f"domain=default no schema changes detected; version={version['id']} retained\n"
    assert shop.ok("schema", "publish", "--json").json["new"] is False
    assert shop.ok("schema", "publish", "--force", "--json").json["new"] is True


def test_diff_activate_and_rollback(shop: Runner) -> None:
    first = shop.ok("schema", "publish", "--json").json["id"]
    assert shop.ok("schema", "diff").stdout.endswith("has no changes\n")
    shop.ok("schema", "add", "order", "sent")
    differs = shop.ok("schema", "diff", "--json")
    assert shop("schema", "diff", "--exit-code").status == 1
    assert differs.json == [{"op": "add", "path": "/order/events/sent", "value": {}}]
    assert "+  sent: {}" in shop("schema", "diff").lines
    assert '{"op":"add","path":"/order/events/sent","value":{}}' in shop("schema", "diff", "--style", "patch").lines
    assert any(line.endswith(">   sent: {}") for line in shop("schema", "diff", "--style", "split").lines)
    for verb in ("rollback", "activate"):
        refused = shop("schema", verb, "--version", first[:8], "--json")
        assert (refused.status, refused.error["details"]["changed"]) == (4, ["order"])
    second = shop.ok("schema", "publish", "--json").json["id"]
    third = shop.ok("schema", "rollback", "--reason", "oops", "--json").json
    assert (third["restored"], third["parent"], third["reason"]) == (first, second, "oops")
    assert "sent" not in (domain_of(shop) / "schemas/order.yaml").read_text()
    assert shop("schema", "rollback").status == 3
    fourth = shop.ok("schema", "activate", "--version", second, "--json").json
    assert fourth["schemas"] == shop.ok("schema", "show", "--version", second, "--json").json["schemas"]
    assert "sent" in shop.ok("schema", "order", "--json").json["events"]
    assert "sent" in shop.ok("schema", "show", "order", "--version", "active", "--json").json["events"]
    assert "sent" not in shop.ok("schema", "show", "order", "--version", first[:9], "--json").json["events"]
    audit = shop.ok("schema", "history", "--audit", "--json").json["audit_log"]
    assert [one["action"] for one in audit] == ["activate", "rollback", "publish", "publish"]
    assert [one["restored"] for one in audit] == [second, first, None, None]
    assert [line[0] for line in shop.ok("schema", "history").lines] == ["*", " ", " ", " "]
    shop.ok("fsck")


def test_activating_removes_and_brings_back_files(shop: Runner) -> None:
    first = shop.ok("schema", "publish", "--json").json["id"]
    shop.ok("schema", "create", "customer", "-e", "signed_up")
    second = shop.ok("schema", "publish", "--json").json["id"]
    shop.ok("schema", "activate", "--version", first)
    assert [line.split()[0] for line in shop.ok("schema", "list").lines] == ["schema=order"]
    shop.ok("schema", "activate", "--version", second)
    assert len(shop.ok("schema", "list").lines) == 2
    (domain_of(shop) / "schemas/customer.yaml").write_text("broken: [")
    assert shop("schema", "activate", "--version", first).status == 4
    shop.ok("schema", "activate", "--version", first, "--force")
    shop.ok("fsck")


def test_an_interrupted_activation_is_finished_by_who_comes_next(shop: Runner) -> None:
    first = shop.ok("schema", "publish", "--json").json["id"]
    shop.ok("schema", "add", "order", "sent")
    shop.ok("schema", "publish")
    third = shop.ok("schema", "activate", "--version", first, "--json").json["id"]
    # As it was when the note had been written, and nothing more.
    second = json.loads((domain_of(shop) / f"schemas/versions/{third}.yaml").read_bytes())["parent"]
    newer = json.loads((domain_of(shop) / f"schemas/versions/{second}.yaml").read_bytes())["schemas"]["order"]
    (domain_of(shop) / "refs/schemas/main").write_text(second + "\n")
    text = (domain_of(shop) / f"schemas/objects/{newer}.yaml").read_text()
    (domain_of(shop) / "schemas/order.yaml").write_text(text)
    (domain_of(shop) / "schemas/activating").write_text(f"{third} activate {first}\n")
    assert shop("aggregate", "create", "order", "o-1", "--event", "sent").status == 5
    assert not (domain_of(shop) / "schemas/activating").exists()
    assert (domain_of(shop) / "refs/schemas/main").read_text() == third + "\n"
    place(shop, "o-1")
    assert schema_of_head(shop) == third


def test_staged_events_are_checked_again_under_the_rules_in_force(shop: Runner) -> None:
    shop.ok("aggregate", "apply", "order", "o-1", "placed", "--create", "--stage", "--field", "total=x")
    assert shop("aggregate", "apply", "order", "o-2", "nope", "--create", "--stage").status == 5
    shop.ok("schema", "field", "order", "total", "--type", "integer")
    refused = shop("commit", "--json")
    assert (refused.status, refused.error["details"]["count"]) == (4, 1)
    assert shop("commit", "--dry-run").status == 4
    assert shop.ok("schema", "history", "--json").json["versions"] == []
    assert len(shop.ok("staged", "--json").json) == 1
    shop.ok("schema", "field", "order", "total", "--type", "text")
    shop.ok("commit")
    assert schema_of_head(shop) is not None


def test_events_staged_before_there_was_a_schema_are_checked(run: Runner) -> None:
    run.ok("init")
    run.ok("aggregate", "apply", "order", "o-1", "nope", "--create", "--stage")
    run.ok("schema", "create", "order", "-e", "placed")
    assert run("commit").status == 4
    assert run.ok("status", "--json").json["staged"]["events"] == 1
    run.ok("restrict", "off")
    run.ok("commit")
    assert schema_of_head(run) is None


def test_required_on_create_counts_what_is_staged(shop: Runner) -> None:
    shop.ok("schema", "field", "order", "code", "--type", "text", "--required-on-create")
    lines = [
        {"aggregate_type": "order", "aggregate_id": "a", "event_type": "placed", "payload": {"code": "x"}},
        {"aggregate_type": "order", "aggregate_id": "a", "event_type": "paid", "payload": {}},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    shop.ok("aggregate", "apply", "--stage", "--from", "-", stdin=text)
    shop.ok("aggregate", "apply", "order", "a", "paid", "--stage")
    assert shop("aggregate", "apply", "order", "b", "paid", "--stage", "--create").status == 5
    wrong = text.replace('"a"', '"c"').replace('"code"', '"note"')
    assert shop("aggregate", "apply", "--stage", "--from", "-", stdin=wrong).status == 5
    shop.ok("commit")


def test_patch_archive_and_restore_under_strict_rules(shop: Runner) -> None:
    shop.ok("schema", "field", "order", "total", "--type", "integer")
    shop.ok("restrict", "strict")
    place(shop, "o-1", "--field", "total:=1")
    bad = '[{"op":"replace","path":"/total","value":"many"}]'
    assert shop("aggregate", "patch", "order", "o-1", "paid", "--patch", bad).status == 5
    shop.ok("aggregate", "patch", "order", "o-1", "paid", "--patch", bad.replace('"many"', "2"))
    shop.ok("aggregate", "archive", "order", "o-1")
    shop.ok("aggregate", "restore", "order", "o-1")
    shop.ok("schema", "lock", "order")
    assert shop("aggregate", "apply", "order", "o-1", "paid").status == 5


@pytest.mark.parametrize("what", ["versions", "objects", "ref"])
def test_damage_is_found_and_named(shop: Runner, what: str) -> None:
    place(shop, "o-1")
    file = domain_of(shop) / "refs/schemas/main"
    if what != "ref":
        (file,) = (domain_of(shop) / "schemas" / what).iterdir()
    data = bytearray(file.read_bytes())
    data[3] ^= 1
    file.write_bytes(bytes(data))
    report = shop("fsck", "--json")
    assert report.status == 7
    assert file.name in report.stdout
    assert shop("schema", "show", "--version", "active").status == 7


def test_a_fork_takes_the_schemas_along(shop: Runner) -> None:
    place(shop, "o-1")
    shop.ok("checkout", "-c", "copy", "--from", "default")
    assert len(shop.ok("schema", "history", "copy", "--json").json["versions"]) == 1
    assert shop("aggregate", "create", "order", "o-2", "--event", "nope").status == 5
    place(shop, "o-2")
    shop.ok("fsck", "--all")


def test_names_are_completed(shop: Runner) -> None:
    shop.ok("schema", "field", "order", "total", "--type", "integer")
    version = shop.ok("schema", "publish", "--json").json["id"]

    def complete(*words: str) -> list[str]:
        env = {"_DBX_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(("dbx", *words)), "COMP_CWORD": str(len(words))}
        return [line.partition(",")[2] for line in shop(env=env).lines]

    assert complete("schema", "show", "o") == ["order"]
    assert complete("schema", "remove", "order", "pl") == ["placed"]
    assert complete("schema", "field", "order", "t") == ["total"]
    assert complete("schema", "diff", "--from", version[:5]) == [version]


def test_status(shop: Runner) -> None:
    assert shop.ok("schema", "status").lines == ["domain=default version=- published=false", "  added: order"]
    version = shop.ok("schema", "publish", "--json").json["id"]
    assert shop.ok("schema", "status").lines == [f"domain=default version={version} published=true"]
    shop.ok("schema", "add", "order", "sent")
    found = shop.ok("schema", "status", "--json").json
    assert (found["active_version"], found["published"], found["changed"]) == (version, False, ["order"])
    (domain_of(shop) / "schemas/order.yaml").unlink()
    assert shop.ok("schema", "status", "default", "--json").json["removed"] == ["order"]


def test_a_version_may_stand_as_a_word(shop: Runner) -> None:
    first = shop.ok("schema", "publish", "--json").json["id"]
    shop.ok("schema", "add", "order", "sent")
    second = shop.ok("schema", "publish", "--json").json["id"]
    assert shop.ok("schema", "diff", first[:8], second[:8], "--json").json[0]["path"] == "/order/events/sent"
    assert shop.ok("schema", "diff", second, first, "--json").json[0]["op"] == "remove"
    assert shop.ok("schema", "diff", first, "--json").json[0]["op"] == "add"
    assert shop.ok("schema", "diff", "default", "--json").json == []
    assert shop.ok("schema", "rollback", first, "--json").json["restored"] == first
    assert shop.ok("schema", "activate", second, "--json").json["restored"] == second
    assert shop("schema", "diff", first, second, first).status == 2
    assert shop("schema", "diff", first, second, "--to", first).status == 2
    # A domain of that name goes first.
    shop.ok("checkout", "-c", first[:8])
    shop.ok("checkout", "default")
    assert "no schema version" in shop("schema", "activate", first[:8]).stderr
    for name in ("nope", "v20251201T000000000Z", "0" * 65):
        assert shop("schema", "activate", "--version", name).status == 3
