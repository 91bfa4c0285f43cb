"""Erasing what events say for good: nothing of it is left, and everything else can be verified as before."""

from __future__ import annotations

import base64
import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.canary import find_word
from tests.cli.conftest import Runner

CANARY = "Xanthippe"
REASON = "request 2026-118"
ERASE = ("aggregate", "redact", "person", "p-1", "--version", "2", "--reason", REASON, "--yes")


def events_of(run: Runner, *words: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in run.ok("events", *words, "--jsonl").lines]


@pytest.fixture
def people(run: Runner) -> Runner:
    """Two persons; the second version of the first one holds the canary."""
    run.ok("init")
    run.ok("aggregate", "create", "person", "p-1", "--event", "created", "--field", "town=Athens")
    run.ok(
        "aggregate", "apply", "person", "p-1", "named", "--field", f"name={CANARY}", "--note", CANARY,
        "--metadata", json.dumps({"@from": CANARY}),
    )  # fmt: skip
    run.ok("aggregate", "apply", "person", "p-1", "moved", "--field", "town=Thebes")
    run.ok("aggregate", "create", "person", "p-2", "--event", "created", "--field", "town=Delphi")
    return run


def test_nothing_of_it_is_left_and_every_hash_stays(people: Runner) -> None:
    people.ok("snapshots", "create", "person", "p-1")
    people.ok("gc")
    people.ok("aggregate", "apply", "person", "p-1", "moved", "--field", "town=Sparta")
    assert find_word(people.cwd / ".dbx", CANARY)
    before = people.ok("log", "--json").json
    root = people.ok("root", "HEAD", "--json").json
    events = [(event["event_id"], event["hash"]) for event in events_of(people, "person", "p-1")]
    done = people.ok(*ERASE, "--json").json
    assert (done["redacted"], done["purged"], done["seq"], done["copies"]) == (1, True, 5, [])
    assert len(done["rewritten"]) == 1
    assert find_word(people.cwd / ".dbx", CANARY) == []
    assert people.ok("log", "--json").json[1:] == before
    assert people.ok("root", "HEAD~1", "--json").json["root"] == root["root"]
    after = events_of(people, "person", "p-1")
    assert [(event["event_id"], event["hash"]) for event in after[:4]] == events
    assert [event["payload"] is None for event in after] == [False, True, False, False, False]
    assert after[1]["metadata"] is None
    assert after[4]["event_type"] == "body_erased"
    assert after[4]["payload"] == {"reason": REASON, "version": 2}
    assert people.ok("aggregate", "get", "person", "p-1", "--json").json["state"] == {"town": "Sparta"}
    assert people.ok("aggregate", "get", "person", "p-1", "--version", "2", "--json").json["state"] == {
        "town": "Athens"
    }
    (snapshot,) = people.ok("snapshots", "list", "--json").json
    assert people.ok("snapshots", "get", snapshot["snapshot_id"], "--json").json["state"] == {"town": "Thebes"}
    people.ok("snapshots", "verify")
    people.ok("aggregate", "verify", "person", "p-1")
    people.ok("fsck")
    people.ok("reindex")
    assert people.ok("aggregate", "get", "person", "p-1", "--json").json["state"] == {"town": "Sparta"}
    assert find_word(people.cwd / ".dbx", CANARY) == []


def test_once_more_says_that_it_was_erased_before(people: Runner) -> None:
    people.ok(*ERASE)
    again = people.ok(*ERASE, "--json").json
    assert (again["redacted"], again["commit"]) == (0, None)
    assert again["events"][0]["redacted_before"] is True
    assert len(events_of(people, "person", "p-1")) == 4


def test_a_dry_run_asks_nothing_and_changes_nothing(people: Runner) -> None:
    before = people.ok("log", "--json").json
    done = people.ok(*ERASE[:-1], "--dry-run", "--json").json
    assert (done["dry_run"], done["redacted"], done["commit"]) == (True, 1, None)
    assert people.ok("log", "--json").json == before
    assert people.ok("aggregate", "get", "person", "p-1", "--json").json["state"]["name"] == CANARY


def test_it_asks(people: Runner) -> None:
    outcome = people(*ERASE[:-1])
    assert outcome.status == 2
    assert "for good" in outcome.stderr
    assert CANARY not in outcome.stderr


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("person", "p-1", "--version", "9", "--reason", REASON), 3),
        (("person", "p-9", "--version", "1", "--reason", REASON), 3),
        (("person", "p-1", "--version", "0", "--reason", REASON), 2),
        (("person", "p-1", "--version", "x", "--reason", REASON), 2),
        (("person", "p-1", "--reason", REASON), 2),
        (("person", "p-1", "--version", "2"), 2),
        (("person", "--version", "2", "--reason", REASON), 2),
        (("person", "p-1", "p-2", "--version", "2", "--reason", REASON), 2),
        (("Person", "p-1", "--version", "2", "--reason", REASON), 5),
        (("person", "p-1", "--version", "2", "--reason", " "), 5),
        (("person", "p-1", "--version", "2", "--reason", "x" * 1001), 5),
    ],
)
def test_bad_input_changes_nothing(people: Runner, words: tuple[str, ...], status: int) -> None:
    before = people.ok("log", "--json").json
    assert people("aggregate", "redact", *words, "--yes").status == status
    assert people.ok("log", "--json").json == before


def test_what_says_that_something_was_erased_stays(people: Runner) -> None:
    people.ok(*ERASE)
    outcome = people("aggregate", "redact", "person", "p-1", "--version", "4", "--reason", "x", "--yes", "--json")
    assert outcome.status == 5
    assert "stays readable" in outcome.error["message"]


def test_staged_events_stand_in_the_way_of_their_aggregate_only(people: Runner) -> None:
    people.ok("aggregate", "apply", "person", "p-2", "moved", "--field", "town=Argos", "--stage")
    people.ok(*ERASE)
    people.ok("aggregate", "apply", "person", "p-1", "moved", "--field", "town=Argos", "--stage")
    assert people("aggregate", "redact", "person", "p-1", "--version", "1", "--reason", "x", "--yes").status == 4
    people.ok("commit")
    people.ok("fsck")


def test_an_archived_aggregate_can_be_redacted_and_stays_archived(people: Runner) -> None:
    people.ok("aggregate", "archive", "person", "p-1")
    people.ok(*ERASE)
    found = people.ok("aggregate", "get", "person", "p-1", "--json").json
    assert (found["archived"], found["state"]) == (True, {"town": "Thebes"})
    assert find_word(people.cwd / ".dbx", CANARY) == []
    people.ok("fsck")


def test_it_cannot_be_taken_back_and_what_was_taken_back_goes(people: Runner) -> None:
    people.ok("undo", "--yes")
    people.ok("aggregate", "create", "person", "p-3", "--event", "created", "--field", "town=Delos")
    assert (people.cwd / ".dbx/domains/default/refs/undone/commits").is_dir()
    done = people.ok(*ERASE, "--json").json
    assert any(name.startswith("refs/undone/") for name in done["removed"])
    assert find_word(people.cwd / ".dbx", CANARY) == []
    assert people("undo", "--yes").status == 4
    people.ok("fsck")


def test_forgetting_an_aggregate(people: Runner) -> None:
    people.ok(*ERASE)
    done = people.ok("aggregate", "forget", "person", "p-1", "--reason", REASON, "--yes", "--json").json
    assert (done["redacted"], len(done["events"])) == (2, 3)
    for word in (CANARY, "Athens", "Thebes"):
        assert find_word(people.cwd / ".dbx", word) == []
    assert people.ok("aggregate", "get", "person", "p-1", "--json").json["state"] == {}
    assert [event["payload"] is None for event in events_of(people, "person", "p-1")] == [True] * 3 + [False] * 3
    people.ok("aggregate", "apply", "person", "p-1", "moved", "--field", "town=Samos")
    assert people.ok("aggregate", "get", "person", "p-1", "--json").json["state"] == {"town": "Samos"}
    people.ok("fsck")


def test_a_fork_is_named_and_keeps_what_it_has(people: Runner) -> None:
    people.ok("checkout", "-c", "other", "--from", "default")
    people.ok("checkout", "default")
    outcome = people.ok(*ERASE, "--json")
    assert outcome.json["copies"] == [{"domain": "other", "bodies": 1}]
    assert all(name.startswith(".dbx/domains/other/") for name in find_word(people.cwd, CANARY))
    people.ok(*ERASE, "-d", "other")
    assert find_word(people.cwd, CANARY) == []
    people.ok("fsck", "--all")


def test_a_fork_of_what_was_before_says_that_it_is_redacted(people: Runner) -> None:
    people.ok(*ERASE)
    people.ok("checkout", "-c", "old", "--from", "default@HEAD~1")
    assert "redacted: true" in (people.cwd / ".dbx/domains/old/domain.yaml").read_text()
    people.ok("fsck")
    people.ok("checkout", "-c", "new", "--from", "default")
    assert "redacted" not in (people.cwd / ".dbx/domains/new/domain.yaml").read_text()
    people.ok("fsck")


def test_those_who_pull_and_are_pushed_to_drop_theirs(people: Runner, tmp_path: Path) -> None:
    main = people.cwd
    clone, server = tmp_path / "clone", tmp_path / "server"
    for place in (clone, server):
        place.mkdir()
        people.ok("init", cwd=place)
    people.ok("clone", str(main), "copy", cwd=clone)
    people.ok("remote", "add", "origin", f"{server}#default")
    people.ok("push", "origin")
    assert find_word(clone, CANARY)
    assert find_word(server, CANARY)
    people.ok(*ERASE)
    people.ok("push", "origin")
    people.ok("pull", "-d", "copy", cwd=clone)
    for place in (main, clone, server):
        assert find_word(place, CANARY) == []
        people.ok("fsck", "--all", cwd=place)
    assert people.ok("aggregate", "get", "person", "p-1", "-d", "copy", "--json", cwd=clone).json["state"] == {
        "town": "Thebes"
    }
    assert people.ok("root", cwd=server).stdout == people.ok("root").stdout
    people.ok("clone", str(server), "again", cwd=clone)
    assert find_word(clone, CANARY) == []


def test_pulling_single_aggregates_and_commits_made_anew(people: Runner, tmp_path: Path) -> None:
    main = people.cwd
    one, two = tmp_path / "one", tmp_path / "two"
    for place in (one, two):
        place.mkdir()
        people.ok("init", cwd=place)
        people.ok("clone", str(main), "copy", cwd=place)
        people.ok("aggregate", "create", "person", "mine", "--event", "created", "-d", "copy", cwd=place)
    people.ok(*ERASE)
    people.ok("pull", "--aggregate", "person", "--id", "p-1", "-d", "copy", cwd=one)
    people.ok("pull", "-d", "copy", cwd=two)
    for place in (one, two):
        assert find_word(place, CANARY) == []
        people.ok("fsck", "--all", cwd=place)


def test_a_bundle_takes_the_erasure_along(people: Runner, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    people.ok("init", cwd=other)
    people.ok("bundle", "create", "first.bundle")
    people.ok("bundle", "apply", str(people.cwd / "first.bundle"), cwd=other)
    assert find_word(other, CANARY)
    people.ok(*ERASE)
    people.ok("bundle", "create", "second.bundle")
    people.ok("bundle", "apply", str(people.cwd / "second.bundle"), cwd=other)
    assert find_word(other, CANARY) == []
    people.ok("fsck", cwd=other)


def test_a_bundle_does_not_end_before_an_erasure(people: Runner, tmp_path: Path) -> None:
    people.ok("tag", "early")
    people.ok(*ERASE)
    people.ok("tag", "erased")
    people.ok("aggregate", "apply", "person", "p-2", "moved", "--field", "town=Sparta")
    refused = people("bundle", "create", "x.bundle", "..early", "--json")
    assert refused.status == 4
    assert refused.error["details"]["first"]["commit"] == people.ok("show", "erased", "--json").json["id"]
    assert refused.error["details"]["first"]["commit"][:12] in refused.error["hint"]
    assert not (people.cwd / "x.bundle").exists()
    other = tmp_path / "other"
    other.mkdir()
    people.ok("init", cwd=other)
    for words in (("..erased",), ("erased..",)):
        people.ok("bundle", "create", "x.bundle", *words)
        people.ok("bundle", "verify", "x.bundle")
        people.ok("bundle", "apply", str(people.cwd / "x.bundle"), cwd=other)
    people.ok("fsck", cwd=other)
    people.ok("bundle", "create", "x.bundle", "HEAD~2..HEAD")  # what was erased lies before it


def test_aggregates_that_were_redacted_travel_by_themselves(people: Runner, tmp_path: Path) -> None:
    main, some = people.cwd, tmp_path / "some"
    people.ok("checkout", "-c", "into", "--from", "default@HEAD~3")
    people.ok("checkout", "default")
    people.ok(*ERASE)
    people.ok("merge", "--from", "default", "--into", "into")
    some.mkdir()
    people.ok("clone", str(main), "copy", "--aggregate", "person", cwd=some)
    people.ok("remote", "add", "origin", f"{some}#default", "-d", "default")
    people.ok("push", "--aggregate", "person")
    people.ok("checkout", "-c", "last", cwd=some)
    people.ok("remote", "add", "origin", f"{main}#default", cwd=some)
    people.ok("pull", "--aggregate", "person", cwd=some)
    for place in (main, some):
        assert find_word(place, CANARY) == []
        people.ok("fsck", "--all", cwd=place)
    roots = [people.ok("root", name, "--json", cwd=some).json["root"] for name in ("copy", "default", "last")]
    assert roots == [people.ok("root", "into", "--json").json["root"]] * 3


def test_a_redacted_copy_goes_to_redacted_ones(people: Runner, tmp_path: Path) -> None:
    people.ok(*ERASE)
    people.ok("checkout", "-c", "old", "--from", "default@HEAD~1")
    there = Runner(tmp_path / "there", people.home)
    there.cwd.mkdir()
    for refused in (
        there("clone", f"{people.cwd}#old", "--json"),
        there("clone", f"{people.cwd}#old", "--aggregate", "person", "--json"),
    ):
        assert refused.status == 8
        assert "redacted" in refused.error["hint"]
    there.ok("init")
    file = there.cwd / ".dbx/domains/default/domain.yaml"
    file.write_text(file.read_text() + "redacted: true\n")
    there.ok("clone", f"{people.cwd}#old", "default")
    there.ok("fsck")


def test_a_certificate_is_signed_and_says_what_was_done(people: Runner) -> None:
    people.ok("key", "generate")
    body = people.ok("events", "person", "p-1", "--json").stdout
    people.ok(*ERASE, "--certificate", "c.json")
    envelope = json.loads((people.cwd / "c.json").read_text())
    statement = json.loads(base64.b64decode(envelope["payload"]))
    said = statement["predicate"]
    assert statement["predicateType"] == "urn:dbx:redaction:v1"
    assert [one["name"] for one in statement["subject"]] == ["person/p-1@2"]
    (event,) = said["events"]
    assert event["event_id"] in body
    assert statement["subject"][0]["digest"]["sha256"] == event["body"]
    assert event["erased_by"]["reason"] == REASON
    assert event["erased_by"]["version"] == 4
    assert event["erased_by"]["commit"] == people.ok("log", "--json").json[0]["id"]
    assert said["files"]["rewritten"]
    assert said["purged"] is True
    assert "ackups" in said["backups"]
    assert len(envelope["signatures"]) == 1
    assert CANARY not in json.dumps(statement)
    verified = people.ok("attest", "verify", "c.json", "--json").json
    assert (verified["kind"], len(verified["signers"]), verified["events"]) == ("redaction", 1, said["events"])
    assert "person/p-1@2" in people.ok("attest", "verify", "c.json").stdout
    forged = {**envelope, "payload": base64.b64encode(base64.b64decode(envelope["payload"]).replace(b"p-1", b"p-2"))}
    (people.cwd / "f.json").write_text(json.dumps({**forged, "payload": forged["payload"].decode()}))
    assert people("attest", "verify", "f.json").status == 7
    (people.cwd / "c.json").unlink()
    people.ok(*ERASE, "--certificate", "c.json")
    assert (
        json.loads(base64.b64decode(json.loads((people.cwd / "c.json").read_text())["payload"]))["subject"]
        == (statement["subject"])
    )
    assert people(*ERASE, "--certificate", "none/c.json").status == 1


SCHEMA = """\
aggregate: person
columns:
  email: {type: text, pii: subject}
  phone: {type: text, pii: true}
  town: text
events: {created: {}, changed: {}}
"""


@pytest.fixture
def marked(run: Runner) -> Runner:
    run.ok("init")
    (run.cwd / ".dbx/domains/default/schemas").mkdir(exist_ok=True)
    (run.cwd / ".dbx/domains/default/schemas/person.yaml").write_text(SCHEMA)
    run.ok("aggregate", "create", "person", "p-1", "--event", "created", "--field", "email=jane@example.com")
    run.ok("aggregate", "apply", "person", "p-1", "changed", "--field", "phone=5550123")
    run.ok("aggregate", "apply", "person", "p-1", "changed", "--field", "town=Athens")
    run.ok("aggregate", "apply", "person", "p-1", "changed", "--field", "email=joe@example.com")
    run.ok("aggregate", "apply", "person", "p-1", "changed", "--field", "phone=5550199")
    run.ok("aggregate", "create", "person", "p-2", "--event", "created", "--field", "email=jane@example.com")
    return run


def test_forgetting_a_person(marked: Runner) -> None:
    words = ("forget", "--reason", REASON, "--json")
    planned = marked.ok(*words, "--subject", "jane@example.com", "--dry-run").json
    assert [(one["aggregate_id"], one["version"]) for one in planned["events"]] == [("p-1", 1), ("p-1", 2), ("p-2", 1)]
    done = marked.ok(*words, "--subject", "-", "--yes", stdin="jane@example.com\n").json
    assert done["redacted"] == 3
    for word in ("jane@example.com", "5550123"):
        assert find_word(marked.cwd, word) == []
    assert marked.ok("aggregate", "get", "person", "p-1", "--json").json["state"] == {
        "email": "joe@example.com",
        "phone": "5550199",
        "town": "Athens",
    }
    marked.ok("fsck")
    assert marked(*words, "--subject", "jane@example.com", "--yes").status == 3


def test_a_person_needs_marks_to_be_found(people: Runner) -> None:
    assert people("forget", "--subject", CANARY, "--reason", REASON, "--yes").status == 5
    assert people("forget", "--subject", "", "--reason", REASON, "--yes").status == 2
    assert people("forget", "--reason", REASON, "--yes").status == 2


def test_a_crash_between_the_two_is_finished_by_the_next_writer(people: Runner, tmp_path: Path) -> None:
    # Old files put back, as if the process had died right after the ref had moved.
    domain = people.cwd / ".dbx" / "domains" / "default"
    people.ok("gc")
    old = tmp_path / "old"
    shutil.copytree(domain, old)
    people.ok(*ERASE)
    for path in [*old.glob("segments/*"), *old.glob("index.db")]:
        shutil.copy(path, domain / path.relative_to(old))
    (domain / "erasing").write_text('{"aggregates":[["person","p-1"]],"format":1}\n')
    assert find_word(domain, CANARY)
    assert people.ok("aggregate", "get", "person", "p-1", "--json").json["state"] == {"town": "Thebes"}
    people.ok("fsck")
    people.ok("aggregate", "apply", "person", "p-2", "moved", "--field", "town=Argos")
    assert find_word(domain, CANARY) == []
    assert not (domain / "erasing").exists()
    people.ok("fsck")


def test_with_sealed_payloads(people: Runner) -> None:
    dek = people.ok("key", "generate", "--dek").stdout.strip()
    env = {"DBX_DEK": dek}
    people.ok("config", "--dek", dek, "--no-store")
    people.ok("gc", "--reseal", env=env)
    assert people(*ERASE).status == 10
    people.ok(*ERASE, env=env)
    found = people.ok("aggregate", "get", "person", "p-1", "--json", env=env).json
    assert found["state"] == {"town": "Thebes"}
    events = [json.loads(line) for line in people.ok("events", "person", "p-1", "--jsonl", env=env).lines]
    assert [event["payload"] is None for event in events] == [False, True, False, False]
    people.ok("fsck", env=env)
    people.ok("fsck")
    note = people.cwd / ".dbx/domains/default/erasing"
    note.write_text('{"aggregates":[["person","p-1"]],"format":1}\n')
    people.ok("gc")
    assert note.exists()
    people.ok("gc", env=env)
    assert not note.exists()


def test_it_shows_as_redacted_everywhere(people: Runner) -> None:
    vkey = people.ok("key", "generate", "--name", "acme").lines[0]
    people.ok(*ERASE)
    event = events_of(people, "person", "p-1")[1]
    assert (event["redacted"], event["payload"]) == (True, None)
    assert "redacted" not in events_of(people, "person", "p-1")[0]
    shown = people.ok("events", str(event["event_id"])).stdout
    assert "payload=(erased)" in shown
    assert people.ok("show", str(event["event_id"]), "--json").json["redacted"] is True
    got = people.ok("aggregate", "get", "person", "p-1", "--include-events", "--json").json
    assert [one.get("redacted", False) for one in got["events"]] == [False, True, False, False]
    assert people.ok("blame", "person", "p-1", "--json").json["erased"] == [2]
    assert "erased" in people.ok("log", "-p").stdout
    people.ok("prove", "event", "person/p-1@2", "--out", "proof.json")
    links = people.ok("verify-proof", "proof.json", "--key", vkey, "--json").json["links"]
    assert [link["holds"] for link in links if link["link"] == "body"] == [None]
    people.ok("prove", "aggregate", "person/p-1", "--events", "--out", "whole.json")
    people.ok("verify-proof", "whole.json", "--key", vkey)
    people.ok("evidence", "export", "pack")
    told = subprocess.run(
        [sys.executable, str(people.cwd / "pack/verify.py"), "--key", vkey], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stdout
    assert "1 were left out, 1 of them erased for good" in told.stdout
    assert find_word(people.cwd, CANARY) == []
    assert people.ok("audit-log", "--json").json


def test_somebody_who_reads_meanwhile_is_not_waited_for(people: Runner) -> None:
    index = people.cwd / ".dbx/domains/default/index.db"
    with closing(sqlite3.connect(index, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM aggregate").fetchone()
        outcome = people(*ERASE, "--json")
        assert (outcome.status, outcome.json["purged"]) == (1, False)
        assert people("fsck", "--json").status == 0
    people.ok("gc")
    assert find_word(people.cwd / ".dbx", CANARY) == []
    assert not (people.cwd / ".dbx/domains/default/erasing").exists()


def test_a_damaged_note_is_named(people: Runner) -> None:
    (people.cwd / ".dbx/domains/default/erasing").write_text('{"aggregates":[["a"]],"format":1}\n')
    assert "'erasing'" in people("gc").stderr
    assert people("fsck").status == 7
    people.ok("aggregate", "apply", "person", "p-2", "moved", "--field", "town=Argos")
