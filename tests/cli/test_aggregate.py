"""dbx aggregate create, apply, get, list, select, verify: one event at a time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import dbx
from tests.cli.conftest import Runner


@pytest.fixture
def shop(run: Runner) -> Runner:
    """A repository with the order o-1, at version 2."""
    run.ok("init")
    run.ok("aggregate", "create", "order", "o-1", "--event", "order.placed", "--field", "total=49.50")
    run.ok("aggregate", "apply", "order", "o-1", "order_paid", "--field", "paid:=true", "--metadata", '{"@by":"x"}')
    return run


def get(run: Runner, *arguments: str) -> dict[str, Any]:
    return dict(run.ok("aggregate", "get", *arguments, "--json").json)


# -- create and apply ----------------------------------------------------------------------------------------------


def test_creating_says_what_eventdbx_says(run: Runner) -> None:
    run.ok("init")
    made = run.ok("aggregate", "create", "order", "o-1", "--event", "order.placed", "--field", "total=49.50")
    assert made.stdout == "aggregate_type=order aggregate_id=o-1 version=1 archived=false\n"
    assert made.stderr == ""
    state = run.ok("aggregate", "create", "order", "o-2", "--event", "order_placed", "--json").json
    assert state == get(run, "order", "o-2")
    assert (state["version"], state["state"], state["archived"]) == (1, {}, False)


def test_creating_twice_is_a_conflict(shop: Runner) -> None:
    again = shop("aggregate", "create", "order", "o-1", "--event", "order_placed")
    assert again.status == 4
    assert again.stderr.splitlines()[0] == "dbx: error: aggregate 'order/o-1' exists already"
    assert get(shop, "order", "o-1")["version"] == 2


def test_applying_says_where_the_event_went(shop: Runner) -> None:
    done = shop.ok("aggregate", "apply", "order", "o-1", "order.shipped")
    pairs = dict(pair.split("=") for pair in done.stdout.split())
    assert list(pairs) == ["aggregate_type", "aggregate_id", "version", "event_type", "event_id"]
    assert (pairs["version"], pairs["event_type"]) == ("3", "order_shipped")
    shown = shop.ok("events", pairs["event_id"], "--json").json
    assert (shown["version"], shown["event_type"], shown["payload"]) == (3, "order_shipped", {})


def test_applying_with_json_gives_the_event(shop: Runner) -> None:
    event = shop.ok("aggregate", "apply", "order", "o-1", "noted", "--note", "a b", "--json").json
    assert event == shop.ok("events", event["event_id"], "--json").json
    assert (event["note"], event["position"], event["seq"]) == ("a b", 2, 2)


def test_an_aggregate_must_exist_unless_it_may_be_created(shop: Runner) -> None:
    assert shop("aggregate", "apply", "order", "o-2", "order_paid").status == 3
    assert shop("aggregate", "apply", "order", "o-2", "order_paid", "--stage").status == 3
    shop.ok("aggregate", "apply", "order", "o-2", "order_paid", "--create")
    assert get(shop, "order", "o-2")["version"] == 1


@pytest.mark.parametrize("stage", [[], ["--stage"]])
def test_the_expected_version(shop: Runner, stage: list[str]) -> None:
    refused = shop("aggregate", "apply", "order", "o-1", "e", "--expect-version", "1", *stage, "--json")
    assert refused.status == 4
    assert refused.error["details"] == {"expected": 1, "version": 2}
    shop.ok("aggregate", "apply", "order", "o-1", "e", "--expect-version", "2", *stage)
    shop.ok("aggregate", "apply", "order", "o-9", "e", "--expect-version", "0", "--create", *stage)
    assert shop("aggregate", "apply", "order", "o-9", "e", "--expect-version", "0", "--create", *stage).status == 4


def test_fields_keep_their_json_types(shop: Runner) -> None:
    shop.ok(
        "aggregate", "apply", "order", "o-1", "e", "--field", "text=42", "--field", "number:=42",
        "--field", "none:=null", "--field", 'nested:={"a":[1,2.50]}',
        "--field", "twice=1", "--field", " twice = 2 ", "--field", "empty=",
    )  # fmt: skip
    state = get(shop, "order", "o-1")["state"]
    assert state == {
        "total": "49.50", "paid": True, "text": "42", "number": 42, "none": None, "nested": {"a": [1, 2.5]},
        "twice": "2", "empty": "",
    }  # fmt: skip


def test_a_payload_from_everywhere(shop: Runner) -> None:
    (shop.cwd / "p.json").write_text('{"from":\n "file"}')
    shop.ok("aggregate", "apply", "order", "o-1", "e", "--payload", '{"from":"argument"}')
    shop.ok("aggregate", "apply", "order", "o-1", "e", "--payload", "@p.json")
    shop.ok("aggregate", "apply", "order", "o-1", "e", "--payload", "-", stdin='{"from":"stdin"}')
    shown = shop.ok("events", "order", "o-1", "--json").json
    assert [event["payload"].get("from") for event in shown[2:]] == ["argument", "file", "stdin"]


def test_standard_input_is_read_once(shop: Runner) -> None:
    both = shop("aggregate", "apply", "order", "o-1", "e", "--payload", "-", "--metadata", "-", stdin="{}")
    assert both.status == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["apply", "--aggregate", "order", "--aggregate-id", "o-1", "--event", "e"],
        ["apply", "--aggregate", "order", "o-1", "e"],
        ["apply", "order", "o-1", "--event", "e"],
        ["apply", "--aggregate-id", "o-1", "order", "e"],
    ],
)
def test_the_words_of_eventdbx(shop: Runner, arguments: list[str]) -> None:
    assert shop.ok("aggregate", *arguments, "--json").json["version"] == 3
    found = get(shop, "--aggregate", "order", "--aggregate-id", "o-1")
    assert found["version"] == 3


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["apply"], "needs the aggregate type"),
        (["apply", "order"], "needs the aggregate id"),
        (["apply", "order", "o-1"], "needs the event type"),
        (["apply", "order", "o-1", "e", "f"], "unexpected argument 'f'"),
        (["apply", "order", "o-1", "e", "--field", "a=1", "--payload", "{}"], "--payload cannot be used together"),
        (["apply", "order", "o-1", "e", "--field", "a"], "KEY=VALUE"),
        (["apply", "order", "o-1", "e", "--field", "=b"], "KEY=VALUE"),
        (["apply", "order", "o-1", "e", "--stage", "-m", "x"], "no message of its own"),
        (["apply", "order", "o-1", "e", "--expect-version", "-1"], "--expect-version"),
        (["apply", "--from", "x.jsonl"], "--from needs --stage"),
        (["apply", "--stage", "--from", "x", "--field", "a=b"], "'--field' cannot be used with it"),
        (["apply", "--stage", "--from", "x", "--expect-version", "1"], "'--expect-version' cannot be used with it"),
        (["apply", "--stage", "--from", "x", "--aggregate", "t"], "'--aggregate' cannot be used with it"),
        (["apply", "--stage", "--from", "x", "order"], "unexpected argument 'order'"),
        (["create", "order", "o-1"], "--event"),
        (["get", "order"], "needs the aggregate id"),
        (["get", "order", "o-1", "--version", "0"], "--version"),
        (["select", "order", "o-1"], "needs the field"),
        (["list", "--take", "0"], "--take"),
        (["list", "--include-archived", "--archived-only"], "--include-archived"),
        (["list", "--stage", "--cursor", "a:a:a"], "--stage lists events"),
        (["verify", "order", "o-1", "--jsonl"], "--jsonl goes with --all"),
        (["verify", "--all", "order", "o-1"], "unexpected argument 'o-1'"),
    ],
)
def test_a_command_line_that_is_wrong(shop: Runner, arguments: list[str], complaint: str) -> None:
    outcome = shop("aggregate", *arguments)
    assert (outcome.status, outcome.stdout) == (2, "")
    assert complaint in outcome.stderr.splitlines()[0]


@pytest.mark.parametrize("name", ["../o", "-o", "o b", "", "ø", "o" * 129, "\u200bo", "o\n"])
def test_an_id_that_is_none(shop: Runner, name: str) -> None:
    for command in (["apply", "--create", "--", "order", name, "e"], ["get", "--", "order", name]):
        assert shop("aggregate", *command).status == 5


@pytest.mark.parametrize("name", ["Order", "order-x", "1order", "o" * 65, "orde\u0433", "con.txt"])
def test_a_type_that_is_none(shop: Runner, name: str) -> None:
    outcome = shop("aggregate", "apply", name, "o-1", "e", "--create")
    assert outcome.status == 5
    assert "aggregate type" in outcome.stderr


@pytest.mark.parametrize("name", ["user@example.org", "urn:isbn:0451450523", "a/b/../c", "x" * 128, "1+~-"])
def test_ids_may_be_addresses_and_paths(shop: Runner, name: str) -> None:
    shop.ok("aggregate", "create", "person", name, "--event", "person_created")
    assert get(shop, "person", name)["aggregate_id"] == name


@pytest.mark.parametrize(
    "event", ["Order", "order-paid", "order..paid", "e" * 129, "aggregate_archived", "body.erased"]
)
def test_an_event_type_that_is_none(shop: Runner, event: str) -> None:
    assert shop("aggregate", "apply", "order", "o-1", event).status == 5


def test_a_dry_run_writes_nothing(shop: Runner) -> None:
    before = shop.ok("root").stdout
    dry = shop.ok("aggregate", "apply", "order", "o-1", "e", "--field", "a=b", "--dry-run")
    assert dry.stdout.endswith(" dry_run=true\n")
    assert " version=3 " in dry.stdout
    assert shop("aggregate", "apply", "order", "o-2", "e", "--dry-run").status == 3
    assert shop.ok("aggregate", "create", "order", "o-2", "--event", "e", "--dry-run", "--json").json["version"] == 1
    staged = shop.ok("aggregate", "apply", "order", "o-1", "e", "--stage", "--dry-run")
    assert staged.stdout.endswith(" staged=true dry_run=true\n")
    assert shop.ok("staged").stdout == "no staged events\n"
    assert shop.ok("root").stdout == before
    assert shop.ok("aggregate", "apply", "order", "o-1", "e", "--json").json["version"] == 3


def test_the_message_is_the_commits(shop: Runner) -> None:
    shop.ok("aggregate", "apply", "order", "o-1", "e", "-m", "why not")
    with dbx.open(shop.cwd) as repository:
        head = repository.domain().head
    assert head is not None
    assert head.message == "why not"


def test_the_actor(shop: Runner) -> None:
    event = shop.ok("aggregate", "apply", "order", "o-1", "e", "--json", env={"DBX_ACTOR": "ops:ada"}).json
    assert event["issued_by"] == {"group": "ops", "user": "ada"}
    assert shop("aggregate", "apply", "order", "o-1", "e", env={"DBX_ACTOR": "ops:\x07"}).status == 5


def test_no_repository(run: Runner) -> None:
    for arguments in (["apply", "t", "i", "e"], ["apply", "t", "i", "e", "--stage"], ["list"], ["commit"]):
        outcome = run("aggregate", *arguments)
        assert outcome.status == 3
        assert "dbx init" in outcome.stderr


# -- limits and traps ----------------------------------------------------------------------------------------------

TRAPS = {
    '{"a":1,"a":2}': "duplicate key 'a'",
    '{"a":{"b":1,"b":2}}': "duplicate key 'b'",
    '{"a":NaN}': "field 'payload.a'",
    '{"a":[1e400]}': "too large for a double",
    '{"a":9007199254740993}': "beyond",
    '{"a":' + "1" * 5000 + "}": "too large for a double",
    '{"a":"\\ud800"}': "lone surrogate U+D800",
    '{"a":"\\uffff"}': "noncharacter U+FFFF",
    "\ufeff{}": "byte order mark",
    '{"a":' + "[" * 64 + "]" * 64 + "}": "deeper than 64",
    "[" * 50_000: "",
    '{"a":"\t"}': "control character",
    "{} {}": "more follows",
    "{'a':1}": "not JSON",
    "": "empty",
    "[1]": "must be a JSON object",
    "null": "must be a JSON object",
}


@pytest.mark.parametrize("text", TRAPS, ids=lambda text: text[:24])
def test_a_trap_in_a_payload_is_one_sentence(shop: Runner, text: str) -> None:
    for stage in ([], ["--stage"]):
        outcome = shop("aggregate", "apply", "order", "o-1", "e", "--payload", "-", *stage, stdin=text)
        assert (outcome.status, outcome.stdout) == (5, "")
        sentence = outcome.stderr.splitlines()[0]
        assert sentence.startswith("dbx: error: ")
        assert TRAPS[text].replace("'payload.a'", "'a'") in sentence
    assert get(shop, "order", "o-1")["version"] == 2


@pytest.mark.parametrize(
    "value", ["NaN", "1e400", "9007199254740993", '"\\ud800"', '{"a":1,"a":1}', "", "1 2", "[" * 99]
)
def test_a_trap_in_a_field_names_it(shop: Runner, value: str) -> None:
    outcome = shop("aggregate", "apply", "order", "o-1", "e", "--field", f"key:={value}", "--json")
    assert (outcome.status, outcome.stdout) == (5, "")
    assert "field 'key'" in outcome.error["message"]


def test_text_that_is_no_unicode(shop: Runner) -> None:
    import subprocess

    from tests.cli.conftest import DBX

    for arguments in (
        [b"--field", b"a=\xff"],
        [b"--field", b"\xff=a"],
        [b"--note", b"\xff"],
        [b"--payload", b'{"a":"\xff"}'],
    ):
        command = [DBX.encode(), b"aggregate", b"apply", b"order", b"o-1", b"e", *arguments]
        done = subprocess.run(command, cwd=shop.cwd, env=shop.environment(), capture_output=True, check=False)
        assert (done.returncode, done.stdout) == (5, b""), done.stderr
        assert len(done.stderr.splitlines()) <= 2


def test_the_limits(shop: Runner) -> None:
    most = {"payload": '{"a":"%s"}' % ("x" * (262_144 - 8)), "metadata": '{"@a":"%s"}' % ("x" * (65_536 - 9))}
    for name, text in most.items():
        shop.ok("aggregate", "apply", "order", "o-1", "e", f"--{name}", "-", stdin=text)
        over = shop("aggregate", "apply", "order", "o-1", "e", f"--{name}", "-", stdin=text.replace('x"', 'xx"'))
        assert over.status == 5
        assert f"the {name} has" in over.stderr
    shop.ok("aggregate", "apply", "order", "o-1", "e", "--note", "ä" * 128)
    assert shop("aggregate", "apply", "order", "o-1", "e", "--note", "ä" * 129).status == 5
    huge = shop("aggregate", "apply", "order", "o-1", "e", "--payload", "-", stdin=" " * 5_000_000)
    assert huge.status == 5


@pytest.mark.parametrize("metadata", ["null", "[]", '"x"', '{"a":1}', '{"@":1}', '{"@a b":1}'])
def test_metadata_that_is_none(shop: Runner, metadata: str) -> None:
    assert shop("aggregate", "apply", "order", "o-1", "e", "--metadata", metadata).status == 5


@pytest.mark.parametrize("message", ["x" * 70_000, "bell \x07", "\ufffe"])
def test_a_message_that_cannot_be_stored(shop: Runner, message: str) -> None:
    outcome = shop("aggregate", "apply", "order", "o-1", "e", "-m", message)
    assert outcome.status in (0, 5)
    assert get(shop, "order", "o-1")["version"] == (3 if outcome.status == 0 else 2)


# -- get, select, list, verify -------------------------------------------------------------------------------------


def test_getting_shows_state_and_extensions(shop: Runner) -> None:
    shown = shop.ok("aggregate", "get", "order", "o-1")
    found = json.loads(shown.stdout)
    assert found == get(shop, "order", "o-1")
    assert found["state"] == {"paid": True, "total": "49.50"}
    assert (found["@by"], found["version"], found["archived"]) == ("x", 2, False)
    assert set(found) >= {"aggregate_type", "aggregate_id", "merkle_root", "created_at", "updated_at"}


def test_getting_an_older_version_and_the_events(shop: Runner) -> None:
    old = get(shop, "order", "o-1", "--version", "1", "--include-events")
    assert (old["version"], old["state"]) == (1, {"total": "49.50"})
    assert "@by" not in old
    assert [event["version"] for event in old["events"]] == [1]
    assert old["merkle_root"] == old["events"][0]["hash"]
    assert [event["version"] for event in get(shop, "order", "o-1", "--include-events")["events"]] == [1, 2]
    assert shop("aggregate", "get", "order", "o-1", "--version", "3").status == 3
    assert shop("aggregate", "get", "order", "o-2").status == 3


def test_staged_events_are_not_state_yet(shop: Runner) -> None:
    shop.ok("aggregate", "apply", "order", "o-1", "e", "--field", "total=0", "--stage")
    assert get(shop, "order", "o-1")["state"]["total"] == "49.50"


def test_selecting(shop: Runner) -> None:
    shop.ok("aggregate", "apply", "order", "o-1", "e", "--payload", '{"lines":[{"n":1}],"a.b":7,"a":{"b":8,"c":null}}')
    paths = ["total", "lines.0.n", "lines.1", "lines.00000000000000", "lines.x", "a.b", "a.c", "a.b.c", "@by", "none.x"]
    document = shop.ok("aggregate", "select", "order", "o-1", *paths, "--json").json
    assert list(document) == ["aggregate_type", "aggregate_id", "version", "selection"]
    assert document["selection"] == dict(
        zip(paths, ["49.50", 1, None, None, None, 7, None, None, "x", None], strict=True)
    )
    plain = shop.ok("aggregate", "select", "--aggregate", "order", "--aggregate-id", "o-1", "total")
    assert json.loads(plain.stdout)["selection"] == {"total": "49.50"}


def test_listing_page_by_page(shop: Runner) -> None:
    for name in ("b", "a:x", "c"):
        shop.ok("aggregate", "create", "item", name, "--event", "e")
    assert (
        shop.ok("aggregate", "list").lines[0].startswith("aggregate_type=item aggregate_id=a:x version=1 merkle_root=")
    )
    seen: list[str] = []
    cursor: list[str] = []
    for expected in (2, 2):
        page = shop.ok("aggregate", "list", "--take", "2", "--json", *cursor)
        assert len(page.json) == expected
        seen += [f"{a['aggregate_type']}/{a['aggregate_id']}" for a in page.json]
        if page.stderr:
            cursor = ["--cursor", page.stderr.split()[-1]]
    assert seen == ["item/a:x", "item/b", "item/c", "order/o-1"]
    assert cursor == ["--cursor", "a:item:b"]
    assert page.stderr == ""


def test_listing_one_type_and_as_lines(shop: Runner) -> None:
    shop.ok("aggregate", "create", "item", "a", "--event", "e")
    (line,) = shop.ok("aggregate", "list", "item", "--jsonl").lines
    assert json.loads(line) == get(shop, "item", "a")
    assert shop.ok("aggregate", "list", "nothing").stdout == "no aggregates\n"
    assert shop.ok("aggregate", "list", "nothing", "--json").json == []
    assert shop("aggregate", "list", "Nothing").status == 5
    assert "archived=false" in shop.ok("aggregate", "list", "--include-archived").stdout
    assert shop.ok("aggregate", "list", "--archived-only", "--json").json == []


@pytest.mark.parametrize("cursor", ["x", "a:", "a:order", "e:1", "a:Order:o-1", "a:order:"])
def test_a_cursor_that_is_none(shop: Runner, cursor: str) -> None:
    assert shop("aggregate", "list", "--cursor", cursor).status == 5


def test_verifying(shop: Runner) -> None:
    one = shop.ok("aggregate", "verify", "order", "o-1")
    document = shop.ok("aggregate", "verify", "order", "o-1", "--json").json
    assert list(document) == ["aggregate_type", "aggregate_id", "merkle_root", "version"]
    assert one.stdout == " ".join(f"{key}={value}" for key, value in document.items()) + "\n"
    assert document["merkle_root"] == get(shop, "order", "o-1")["merkle_root"]
    assert shop.ok("aggregate", "verify", "--all", "--json").json == [document]
    assert shop.ok("aggregate", "verify", "--all", "order", "--jsonl").lines == [
        json.dumps(document, separators=(",", ":"))
    ]
    assert shop.ok("aggregate", "verify", "--all", "nothing").stdout == "no aggregates\n"
    assert shop("aggregate", "verify", "order", "o-2").status == 3


def test_verifying_finds_a_flipped_bit(shop: Runner) -> None:
    shop.ok("aggregate", "create", "item", "a", "--event", "e", "--field", "k=sound")
    assert shop.ok("aggregate", "verify", "--all").lines[1:]
    (journal,) = Path(shop.cwd / ".dbx/domains/default").glob("journal-*")
    data = bytearray(journal.read_bytes())
    data[data.index(b"49.50")] ^= 1
    journal.write_bytes(data)
    assert shop("aggregate", "verify", "order", "o-1").status == 7
    whole = shop("aggregate", "verify", "--all")
    assert whole.status == 7
    assert "order/o-1" in whole.stderr or "journal" in whole.stderr
