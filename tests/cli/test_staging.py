"""Staging and committing: one event, many from JSON lines, several processes at once."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import DBX, Runner
from tests.vectors import CHECKOUT, shared

FLIGHTS = CHECKOUT / "fixtures/events/flights.jsonl"


@pytest.fixture
def empty(run: Runner) -> Runner:
    run.ok("init")
    return run


def line(aggregate_id: str = "o-1", **members: Any) -> str:
    return json.dumps(
        {"aggregate_type": "order", "aggregate_id": aggregate_id, "event_type": "e", "payload": {"k": 1}, **members}
    )


def stage(run: Runner, text: str | bytes, *arguments: str) -> Any:
    return run("aggregate", "apply", "--stage", "--from", "-", *arguments, stdin=text)


def faults(run: Runner, text: str | bytes, *arguments: str) -> list[tuple[int, str]]:
    """What is wrong with which lines; nothing may have been staged."""
    outcome = stage(run, text, "--json", *arguments)
    assert (outcome.status, outcome.stdout) == (outcome.error["status"], "")
    assert run.ok("staged", "--json").json == []
    return [(found["line"], found["message"]) for found in outcome.error["details"]["lines"]]


# -- staging and committing ----------------------------------------------------------------------------------------


def test_one_event_is_staged_then_committed(empty: Runner) -> None:
    staged = empty.ok("aggregate", "apply", "order", "o-1", "e", "--create", "--stage", "--field", "k=v")
    assert staged.stdout.endswith(" staged=true\n")
    assert empty("aggregate", "get", "order", "o-1").status == 3
    assert empty.ok("staged").lines[0].endswith(" base_version=0")
    (event,) = empty.ok("aggregate", "list", "--stage", "--json").json
    assert (event["version"], event["base_version"], event["position"], event["seq"]) == (1, 0, None, None)
    done = empty.ok("commit", "-m", "first")
    assert done.stdout.startswith("committed 1 event(s) in commit ")
    (stored,) = empty.ok("events", "--json").json
    del event["base_version"]
    assert stored == {**event, "position": 0, "seq": 0}
    assert empty.ok("staged").stdout == "no staged events\n"


def test_staged_events_stand_on_one_another(empty: Runner) -> None:
    for _ in range(3):
        empty.ok("aggregate", "apply", "order", "o-1", "e", "--create", "--stage")
    assert [s["base_version"] for s in empty.ok("staged", "--json").json] == [0, 0, 0]
    assert [json.loads(text)["version"] for text in empty.ok("staged", "--jsonl", "--take", "2").lines] == [1, 2]
    empty.ok("commit")
    empty.ok("aggregate", "apply", "order", "o-1", "e", "--stage")
    assert empty.ok("staged", "order", "--json").json[0]["base_version"] == 3
    assert empty.ok("staged", "item", "--json").json == []


def test_committing_with_json_gives_the_commit(empty: Runner) -> None:
    stage(empty, line() + "\n" + line())
    commit = empty.ok("commit", "-m", "two", "--json").json
    assert (commit["seq"], commit["count"], commit["position"], commit["parent"], commit["message"]) == (
        0, 2, 0, None, "two",
    )  # fmt: skip
    assert len(commit["id"]) == 64
    assert empty.ok("commit", "--json").json == {"id": None, "count": 0}
    assert empty.ok("aggregate", "commit").stdout == "no staged events to commit\n"


def test_dropping_asks_first(empty: Runner, in_terminal: Callable[..., tuple[int, str]]) -> None:
    stage(empty, line())
    refused = empty("reset")
    assert refused.status == 2
    assert "drops 1 staged event(s) of domain 'default'" in refused.stderr
    status, shown = in_terminal(empty, "reset", keys=b"n\n")
    assert (status, "Go on?" in shown) == (1, True)
    assert len(empty.ok("staged").lines) == 1
    assert in_terminal(empty, "aggregate", "clear", keys=b"y\n")[0] == 0
    assert empty.ok("staged").stdout == "no staged events\n"
    assert empty.ok("reset").stdout == "no staged events\n"
    stage(empty, line())
    assert empty.ok("reset", "--yes", "--json").json == {"dropped": 1}


def test_a_damaged_staging_file_is_named_and_can_be_dropped(empty: Runner) -> None:
    stage(empty, line(payload={"k": "canary"}))
    file = empty.cwd / ".dbx/domains/default/staging.jsonl"
    file.write_bytes(file.read_bytes().replace(b"canary", b"canarz"))
    for index in file.parent.glob("index.db*"):
        index.unlink()
    for command in (["commit"], ["staged"]):
        outcome = empty(*command)
        assert outcome.status == 7
        assert "staging.jsonl" in outcome.stderr
    assert empty.ok("reset", "--yes").stdout == "dropped the damaged staging file\n"
    assert empty.ok("commit").stdout == "no staged events to commit\n"


def test_a_moved_aggregate_keeps_the_staging(empty: Runner) -> None:
    empty.ok("aggregate", "create", "order", "o-1", "--event", "e")
    stage(empty, line() + "\n" + line("o-2"))
    empty.ok("aggregate", "apply", "order", "o-1", "e")
    for arguments in ([], ["--dry-run"]):
        refused = empty("commit", *arguments, "--json")
        assert refused.status == 4
        assert refused.error["details"]["aggregates"] == [
            {"aggregate_type": "order", "aggregate_id": "o-1", "staged_on": 1, "version": 2}
        ]
    assert empty("aggregate", "get", "order", "o-2").status == 3
    assert len(empty.ok("staged").lines) == 2
    assert empty("aggregate", "apply", "order", "o-1", "e", "--stage").status == 4
    empty.ok("reset", "--yes")
    stage(empty, line() + "\n" + line("o-2"))
    assert empty.ok("commit", "--json").json["count"] == 2


def test_a_dry_run_of_the_commit(empty: Runner) -> None:
    assert empty.ok("commit", "--dry-run").stdout == "no staged events to commit\n"
    stage(empty, line())
    assert empty.ok("commit", "--dry-run").stdout == "would commit 1 event(s)\n"
    assert empty.ok("commit", "--dry-run", "--json").json == {"id": None, "count": 1, "dry_run": True}
    assert empty.ok("events", "--json").json == []
    assert len(empty.ok("staged").lines) == 1


# -- lines ---------------------------------------------------------------------------------------------------------


def test_a_dry_run_stages_nothing(empty: Runner) -> None:
    text = line() + "\n" + line() + "\n" + line("o-2")
    assert stage(empty, text, "--dry-run").stdout == "would stage 3 event(s) of 2 aggregate(s)\n"
    document = stage(empty, text, "--dry-run", "--json").json
    assert document == {"staged": 0, "events": 3, "aggregates": 2, "total": 0, "batch": None, "dry_run": True}
    assert empty.ok("staged").stdout == "no staged events\n"
    assert stage(empty, text).stdout == "staged 3 event(s) of 2 aggregate(s)\n"
    assert stage(empty, text).stdout == "staged 3 event(s) of 2 aggregate(s); 6 are staged in all\n"


def test_every_optional_member_arrives(empty: Runner) -> None:
    stage(
        empty,
        line(metadata={"@a": [1]}, note="n", expected_version=0, created_at="2020-01-02T03:04:05.5+01:00", event_id="7")
        + "\n"
        + line(expected_version=1, event_id=9, note="", metadata={}),
    )
    empty.ok("commit")
    first, second = empty.ok("events", "--json").json
    assert (first["event_id"], first["created_at"], first["metadata"], first["note"]) == (
        "7", "2020-01-02T02:04:05.500000Z", {"@a": [1]}, "n",
    )  # fmt: skip
    assert (second["event_id"], second["metadata"], "note" in second) == ("9", {}, False)


def test_what_is_no_fault(empty: Runner) -> None:
    text = f"{line()}\r\n\r\n  \n\n{line()}".encode()
    assert stage(empty, text, "--json").json["staged"] == 2
    assert stage(empty, gzip.compress(text), "--json").json["staged"] == 2
    assert stage(empty, b"", "--json").json["staged"] == 0
    (empty.cwd / "x.jsonl.gz").write_bytes(gzip.compress(text))
    assert empty.ok("aggregate", "apply", "--stage", "--from", "x.jsonl.gz", "--json").json["total"] == 6
    assert empty("aggregate", "apply", "--stage", "--from", "missing").status == 3


def test_every_bad_line_is_named(empty: Runner) -> None:
    lines = [line() for _ in range(30)]
    lines[2] = '{"aggregate_type":'
    lines[9] = line(aggregate_type="Order")
    lines[19] = line(payload=[])
    lines[29] = "[]"
    outcome = stage(empty, "\n".join(lines))
    assert outcome.status == 5
    assert outcome.stderr.splitlines()[0] == "dbx: error: 4 lines are refused, so nothing was stored"
    assert [told.split(":")[0] for told in outcome.stderr.splitlines()[1:]] == [
        "  line 3", "  line 10", "  line 20", "  line 30",
    ]  # fmt: skip
    assert [number for number, _ in faults(empty, "\n".join(lines))] == [3, 10, 20, 30]
    assert [number for number, _ in faults(empty, "\n".join(lines), "--max-errors", "2")] == [3, 10]
    assert [number for number, _ in faults(empty, "\n".join(lines), "--dry-run")] == [3, 10, 20, 30]


def test_at_most_a_hundred_lines_are_named(empty: Runner) -> None:
    outcome = stage(empty, "x\n" * 1000)
    assert len(outcome.stderr.splitlines()) == 102
    assert "--max-errors" in outcome.stderr.splitlines()[-1]
    assert len(faults(empty, "x\n" * 1000, "--max-errors", "300")) == 300


def test_one_bad_line_is_one_sentence(empty: Runner) -> None:
    outcome = stage(empty, line() + "\n" + line(payload={"a": "é" * 140_000}))
    assert outcome.status == 5
    (sentence,) = outcome.stderr.splitlines()
    assert sentence.startswith("dbx: error: line 2: the payload has 280008 bytes")


def test_only_conflicts_are_a_conflict(empty: Runner) -> None:
    conflicts = [line(expected_version=3), line("o-2", event_id="5"), line("o-3", event_id="5")]
    assert stage(empty, "\n".join(conflicts)).status == 4
    assert stage(empty, "\n".join([*conflicts, "{}"])).status == 5
    empty.ok("aggregate", "apply", "order", "o-1", "e", "--create", "--stage")
    assert stage(empty, line(expected_version=0)).status == 4
    assert stage(empty, line(expected_version=1)).status == 0


def raw(payload: str) -> str:
    return f'{{"aggregate_type":"t","aggregate_id":"i","event_type":"e","payload":{payload}}}'


TRAPS = {
    raw('{"a":1,"a":2}'): "duplicate key 'a'",
    raw('{"a":{"b":1,"b":1}}'): "duplicate key 'b'",
    raw('{"a":1}').replace('"t"', '"t","aggregate_type":"t"'): "duplicate key 'aggregate_type'",
    raw('{"a":NaN}'): "non-JSON number 'NaN' in field 'payload.a'",
    raw('{"a":-Infinity}'): "in field 'payload.a'",
    raw('{"a":1e400}'): "number too large for a double in field 'payload.a'",
    raw('{"a":9007199254740993}'): "beyond ±(2^53-1) in field 'payload.a'",
    raw('{"a":1e17}'): "beyond ±(2^53-1) in field 'payload.a'",
    raw('{"a":' + "1" * 5000 + "}"): "number too large for a double in field 'payload.a'",
    raw('{"a":"\\ud800"}'): "lone surrogate U+D800 in field 'payload.a'",
    raw('{"x":{"a":"\\uffff"}}'): "noncharacter U+FFFF in field 'payload.x.a'",
    raw('{"a":' + "[" * 64 + "]" * 64 + "}"): "the payload nests deeper than 64",
    raw('{"a":' + "[" * 100_000 + "]" * 100_000 + "}"): "nests deeper than",
    raw("[" * 1_000_000): "nests",
    raw('{"a":"\x01"}'): "invalid control character",
    raw('{"a":01}'): "not JSON",
    raw("{}") + " {}": "more follows",
    "\ufeff" + raw("{}"): "byte order mark",
    raw("null"): "the payload must be a JSON object",
    raw('{},"metadata":[]'): "the metadata must be a JSON object",
    raw('{},"metadata":{"a":1}'): "metadata key 'a'",
    raw('{},"metadata":{"@a":"' + "x" * 65_536 + '"}'): "the metadata has",
    raw('{},"note":"' + "x" * 129 + '"'): "the note has 129 characters",
    raw('{},"note":null,"expected_version":-1'): "note must be text",
    raw('{},"expected_version":1.5'): "'expected_version' must be",
    raw('{},"created_at":"yesterday"'): "'yesterday'",
    raw('{},"event_id":"-1"'): "event id '-1'",
    raw('{"a":"' + "x" * 262_144 + '"}'): "the payload has",
    raw('{"a":"' + "x" * 5_000_000 + '"}'): "the line has more than",
    raw("{}").replace("payload", "paylaod"): "unknown member 'paylaod'",
    raw("{}").replace('"event_type":"e",', ""): "member 'event_type' is missing",
    raw("{}").replace('"e"', '"aggregate_archived"'): "reserved",
    raw("{}").replace('"i"', '"../i"'): "aggregate id '../i'",
}


@pytest.fixture(scope="module")
def trapped(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """One repository for all traps: none of them may change it."""
    root = tmp_path_factory.mktemp("traps")
    (root / "work").mkdir()
    run = Runner(root / "work", root)
    run.ok("init")
    return run


@pytest.mark.parametrize("text", TRAPS, ids=lambda text: text[60:100])
def test_a_trap_in_a_line_is_one_sentence(trapped: Runner, text: str) -> None:
    ((number, sentence),) = faults(trapped, f"{line()}\n\n{text}\n{line()}" if text[0] != "\ufeff" else text)
    assert number == (3 if text[0] != "\ufeff" else 1)
    assert TRAPS[text] in sentence
    assert "\n" not in sentence
    assert not any(word in sentence for word in ("the line field", "at line", "Traceback"))


def test_lines_that_are_no_utf8(trapped: Runner) -> None:
    ((number, sentence),) = faults(trapped, line().encode() + b"\n" + raw('{"a":"\xff"}').encode("latin-1"))
    assert (number, sentence) == (2, "the line is not UTF-8: bad byte at offset 74")
    assert faults(trapped, line().encode("utf-16"))[0] == (1, "the line is not UTF-8: bad byte at offset 0")
    assert faults(trapped, gzip.compress(line().encode())[:-9]) == [(1, "the gzip data end too early")]


# -- real data -----------------------------------------------------------------------------------------------------


def import_all(run: Runner, path: Path, events: int, aggregates: int) -> None:
    staged = run.ok("aggregate", "apply", "--stage", "--from", str(path), "--json").json
    assert (staged["staged"], staged["aggregates"]) == (events, aggregates)
    assert sum(1 for _ in run.ok("staged", "--jsonl").lines) == events
    assert run.ok("commit", "-m", path.name, "--json").json["count"] == events
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    sent = [json.loads(text) for text in data.splitlines()]
    for given, text in zip(sent, run.ok("events", "--jsonl").lines, strict=True):
        stored = json.loads(text)
        assert {key: stored[key] for key in ("aggregate_type", "aggregate_id", "event_type", "payload")} == {
            key: given[key] for key in ("aggregate_type", "aggregate_id", "event_type", "payload")
        }
    found = run.ok("aggregate", "verify", "--all", "--jsonl").lines
    assert len(found) == aggregates
    listed = run.ok("aggregate", "list", "--jsonl").lines
    assert [json.loads(a)["merkle_root"] for a in listed] == [json.loads(a)["merkle_root"] for a in found]


def test_flights(empty: Runner) -> None:
    import_all(empty, FLIGHTS, 5216, 391)


def test_building_permits(empty: Runner) -> None:
    import_all(empty, shared("events/wabo_receipt.jsonl.gz"), 8577, 1434)


# -- several at once -----------------------------------------------------------------------------------------------

STAGERS, EACH = 2, 12


def test_two_stage_while_a_third_commits(empty: Runner, tmp_path: Path) -> None:
    def stager(name: int) -> subprocess.Popen[bytes]:
        script = "\n".join(
            f"'{DBX}' aggregate apply order o-{name} e --create --stage --field n:={n} || exit" for n in range(EACH)
        )
        return subprocess.Popen(["sh", "-c", script], cwd=empty.cwd, env=empty.environment(), stdout=subprocess.DEVNULL)

    stagers = [stager(name) for name in range(STAGERS)]
    commits = 0
    while any(process.poll() is None for process in stagers):
        commits += empty.ok("commit", "--json").json["count"] > 0
    assert [process.wait() for process in stagers] == [0] * STAGERS
    empty.ok("commit")
    assert commits > 1
    for name in range(STAGERS):
        events = empty.ok("events", "order", f"o-{name}", "--json").json
        assert [event["payload"]["n"] for event in events] == list(range(EACH))
        assert [event["version"] for event in events] == list(range(1, EACH + 1))
    assert len({event["event_id"] for event in empty.ok("events", "--json").json}) == STAGERS * EACH
    empty.ok("aggregate", "verify", "--all")


def test_two_commit_at_once(empty: Runner) -> None:
    stage(empty, "\n".join(line(f"o-{n}") for n in range(500)))
    both = [empty.start("commit", "--json", stdout=subprocess.PIPE) for _ in range(2)]
    counts = sorted(json.loads(process.communicate(timeout=60)[0])["count"] for process in both)
    assert counts == [0, 500]
    assert len(empty.ok("events", "--jsonl").lines) == 500


def test_waiting_for_a_stager_times_out(empty: Runner) -> None:
    import fcntl

    stage(empty, line())
    with (empty.cwd / ".dbx/domains/default/staging.lock").open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for command in (["aggregate", "apply", "order", "o-1", "e", "--stage"], ["commit"], ["reset", "--yes"]):
            outcome = empty(*command, "--wait", "0.1")
            assert outcome.status == 9, outcome
    assert empty.ok("commit", "--json").json["count"] == 1


# -- output --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command", ["events", "events --jsonl", "events --json", "staged", "aggregate list", "aggregate verify --all"]
)
def test_a_closed_pipe_is_no_error(flown: Runner, command: str) -> None:
    script = f"'{DBX}' {command} 2>err | head -n 1 >out; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], cwd=flown.cwd, env=flown.environment(), check=False)
    assert (done.returncode, (flown.cwd / "err").read_text()) == (0, "")
    assert (flown.cwd / "out").read_text()


@pytest.fixture(scope="module")
def flown(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """A repository with a week of flights, committed, and once more, staged."""
    root = tmp_path_factory.mktemp("flown")
    (root / "work").mkdir()
    run = Runner(root / "work", root)
    run.ok("init")
    run.ok("aggregate", "apply", "--stage", "--from", str(FLIGHTS))
    run.ok("commit")
    run.ok("aggregate", "apply", "--stage", "--from", str(FLIGHTS))
    return run


def test_a_full_disk_for_the_output_is_told(flown: Runner) -> None:
    with Path("/dev/full").open("wb") as full:
        process = flown.start("events", stdout=full, stderr=subprocess.PIPE)
        stderr = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 1
    assert "cannot write the output" in stderr
