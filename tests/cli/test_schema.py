"""`dbx schema`: make, change, look at and check the files; `dbx restrict`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Runner


@pytest.fixture
def shop(run: Runner) -> Runner:
    run.ok("init")
    return run


@pytest.fixture
def orders(shop: Runner) -> Runner:
    shop.ok("schema", "create", "order", "-e", "placed,order.paid", "-e", "closed")
    return shop


def file_of(shop: Runner, aggregate: str = "order") -> Path:
    return shop.cwd / ".dbx" / "domains" / "default" / "schemas" / f"{aggregate}.yaml"


def add(shop: Runner, *fields: str, event: str = "placed", name: str = "o-1", status: int = 0) -> str:
    options = [part for field in fields for part in ("--field", field)]
    outcome = shop("aggregate", "apply", "order", name, event, "--create", *options)
    assert outcome.status == status, outcome
    return outcome.stderr


def test_create_writes_a_file_for_editors_and_people(shop: Runner) -> None:
    outcome = shop.ok("schema", "create", "order", "--events", "order.placed,paid", "-s", "5")
    assert outcome.stdout == "schema=order events=2 snapshot_threshold=5\n"
    text = "# yaml-language-server: $schema=../../../schema.json\naggregate: order\nsnapshot_threshold: 5\n"
    assert file_of(shop).read_text() == text + "events:\n  order_placed: {}\n  paid: {}\n"
    guide = (file_of(shop).parent / "../../../schema.json").resolve()
    assert json.loads(guide.read_text())["required"] == ["events"]
    again = shop("schema", "create", "order", "-e", "x", "--json")
    assert (again.status, again.error["type"]) == (4, "conflict")


def test_the_threshold_of_the_settings_is_copied(shop: Runner) -> None:
    shop.ok("config", "snapshot_threshold", "7")
    made = shop.ok("schema", "create", "order", "-e", "placed", "--json").json
    assert made["snapshot_threshold"] == 7
    assert made["events"] == {"placed": {"fields": []}}
    assert made["aggregate"] == "order"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("create", "order"), 2),
        (("create", "Order", "-e", "a"), 5),
        (("create", "order", "-e", "a,,b"), 5),
        (("create", "order", "-e", "A"), 5),
        (("create", "order", "-e", "a.b,a_b"), 5),
        (("create", "order", "-e", "aggregate_archived"), 5),
        (("create", "order", "-e", "a", "-s", "0"), 2),
        (("show", "order"), 3),
        (("order",), 3),
        (("add", "order", "a"), 3),
        (("edit", "order"), 3),
        (("publish",), 3),
        (("rollback",), 3),
        (("activate",), 3),
        (("show",), 3),
        (("diff",), 3),
        (("show", "--version", "zz"), 3),
    ],
)
def test_what_is_refused_where_there_is_no_schema(shop: Runner, arguments: tuple[str, ...], status: int) -> None:
    assert shop("schema", *arguments).status == status
    assert not file_of(shop).exists()


def test_list_and_show(orders: Runner) -> None:
    orders.ok("schema", "create", "customer", "-e", "signed_up")
    assert orders.ok("schema", "list").lines == [
        "schema=customer events=1 locked=false snapshot_threshold=-",
        "schema=order events=3 locked=false snapshot_threshold=-",
    ]
    listed = orders.ok("schema", "list", "--json").json
    assert [one["aggregate"] for one in listed] == ["customer", "order"]
    assert orders.ok("schema", "order", "--json").json == listed[1] == orders.ok("schema", "show", "order").json
    assert orders("schema", "ordr", "--json").error["hint"] == "did you mean 'order'?"


def test_no_schemas_are_an_empty_list(shop: Runner) -> None:
    assert shop.ok("schema", "list").stdout == ""
    assert shop.ok("schema", "list", "--json").json == []
    assert shop.ok("schema", "lint").lines == ["no findings"]


def test_events_are_added_removed_annotated_and_altered(orders: Runner) -> None:
    added = orders.ok("schema", "add", "order", "sent,placed", "order.lost")
    assert added.stdout == "schema=order added_events=sent,placed,order_lost total_events=5\n"
    removed = orders.ok("schema", "remove", "order", "order.lost")
    assert removed.stdout == "schema=order removed_event=order_lost remaining_events=4\n"
    noted = orders.ok("schema", "annotate", "order", "sent", "--note", "it left")
    assert noted.stdout == 'aggregate=order event=sent note_set="it left"\n'
    assert orders.ok("schema", "order", "--json").json["events"]["sent"] == {"fields": [], "note": "it left"}
    cleared = orders.ok("schema", "annotate", "order", "sent", "--clear")
    assert cleared.stdout == "aggregate=order event=sent note_cleared\n"
    altered = orders.ok("schema", "alter", "order", "placed", "--set", "a,b")
    assert altered.stdout == "aggregate=order event=placed fields=a,b\n"
    altered = orders.ok("schema", "alter", "order", "placed", "--add", "c", "--remove", "a")
    assert altered.stdout == "aggregate=order event=placed added=c removed=a\n"
    assert orders.ok("schema", "order", "--json").json["events"]["placed"]["fields"] == ["b", "c"]
    altered = orders.ok("schema", "alter", "order", "placed", "--clear")
    assert altered.stdout == "aggregate=order event=placed fields=cleared\n"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("add", "order"), 2),
        (("add", "order", "Bad"), 5),
        (("remove", "order", "nope"), 3),
        (("annotate", "order", "placed"), 2),
        (("annotate", "order", "placed", "--note", "x", "--clear"), 2),
        (("annotate", "order", "placed", "--note", "x" * 129), 5),
        (("alter", "order", "placed"), 2),
        (("alter", "order", "placed", "--set", "a", "--add", "b"), 2),
        (("alter", "order", "nope", "--add", "b"), 3),
        (("alter", "order", "placed", "--remove", "b"), 3),
        (("field", "order", "total"), 2),
        (("field", "order", "total", "--required"), 5),
        (("field", "order", "total", "--type", "money"), 5),
        (("field", "order", "total", "--type", "integer", "--format", "email"), 5),
        (("field", "order", "total", "--type", "text", "--regex", "(a"), 5),
        (("field", "order", "total", "--type", "text", "--regex", "(?=a)b"), 5),
        (("field", "order", "total", "--clear-type"), 3),
        (("field", "order", "total", "--type", "text", "--clear-type"), 2),
        (("field", "order", "total", "--type", "text", "--rules", "[]"), 2),
        (("field", "order", "total", "--type", "text", "--rules", '{"colour":1}'), 5),
        (("hide", "order", " "), 2),
        (("hide", "order", "a", "b"), 2),
        (("lock", "nope"), 3),
        (("validate", "order"), 2),
        (("validate", "order", "placed"), 2),
        (("validate", "order", "placed", "--payload", "[]"), 5),
        (("validate", "order", "--history", "--from", "x"), 2),
    ],
)
def test_what_is_refused_changes_nothing(orders: Runner, arguments: tuple[str, ...], status: int) -> None:
    before = file_of(orders).read_bytes()
    outcome = orders("schema", *arguments)
    assert outcome.status == status, outcome
    assert file_of(orders).read_bytes() == before


def test_the_last_event_stays(shop: Runner) -> None:
    shop.ok("schema", "create", "order", "-e", "placed")
    assert shop("schema", "remove", "order", "placed").status == 5


def test_rules_of_a_field_are_merged_and_none_is_lost_unseen(orders: Runner) -> None:
    def field(*options: str) -> object:
        outcome = orders.ok("schema", "field", "order", "code", *options, "--json")
        return outcome.json["columns"].get("code")

    assert field("--type", "string") in ("text", "string")
    assert field("--required") == {"type": "text", "required": True}
    assert field("--regex", "^a{1,3}$", "--regex", "b,c")["regex"] == ["^a{1,3}$", "b,c"]  # type: ignore[index]
    assert field("--length-min", "1") != field("--length-max", "9")
    assert field("--contains", "a,b") == {
        "type": "text", "required": True, "length": {"min": 1, "max": 9}, "regex": ["^a{1,3}$", "b,c"],
        "contains": ["a", "b"],
    }  # fmt: skip
    assert orders("schema", "field", "order", "code", "--type", "integer").status == 5
    assert field("--type", "text") == field("--not-required", "--required")
    assert field("--clear-regex", "--clear-contains", "--not-required") == {
        "type": "text", "length": {"min": 1, "max": 9}
    }  # fmt: skip
    assert field("--type", "integer", "--clear-rules") == "integer"
    assert field("--range-min", "1", "--range-max", "5") == {"type": "integer", "range": {"min": 1, "max": 5}}
    assert field("--rules", '{"required":true,"range":{"min":"2","max":null}}') == {
        "type": "integer", "required": True, "range": {"min": "2"}
    }  # fmt: skip
    assert field("--clear-type") is None


def test_what_field_says(orders: Runner) -> None:
    def said(*options: str) -> str:
        return orders.ok("schema", "field", "order", "who", *options).stdout.strip()

    assert said("--type", "reference", "--required") == "aggregate=order field=who type=reference rules=updated"
    column = orders.ok("schema", "order", "--json").json["columns"]["who"]
    assert column["format"] == "reference"
    assert column["required"] is True
    assert said("--reference-aggregate", "customer") == "aggregate=order field=who rules=reference"
    assert said("--lock") == "aggregate=order field=who locked=true"
    assert said("--unlock") == "aggregate=order field=who locked=false"
    assert said("--clear-rules") == "aggregate=order field=who rules=cleared"
    assert said("--clear-type") == "aggregate=order field=who type=cleared"


def test_a_reference_flag_alone_makes_a_reference(orders: Runner) -> None:
    orders.ok("schema", "field", "order", "who", "--reference-integrity", "weak")
    column = orders.ok("schema", "order", "--json").json["columns"]["who"]
    assert (column["type"], column["format"], column["reference"]["integrity"]) == ("text", "reference", "weak")


def test_hide_and_lock(orders: Runner) -> None:
    assert orders.ok("schema", "hide", "--aggregate", "order", "--field", "a").stdout == (
        "aggregate=order field=a hidden\n"
    )
    assert orders.ok("schema", "hide", "order", "a", "--json").json["hidden_fields"] == ["a"]
    assert orders.ok("schema", "hide", "order", "a", "--show").stdout == "aggregate=order field=a unhidden\n"
    assert orders.ok("schema", "hide", "order", "--json").json["hidden"] is True
    assert orders.ok("schema", "lock", "order", "--field", "a").stdout == "aggregate=order field=a locked=true\n"
    assert "locked" in add(orders, "a=1", status=5)
    add(orders, "b=1")
    orders.ok("schema", "lock", "order")
    assert "is locked" in add(orders, "b=1", status=5)
    orders.ok("schema", "lock", "order", "--unlock")
    add(orders, "b=2")


def test_edits_keep_comments_and_order(orders: Runner) -> None:
    text = "# ours\nevents:\n  # first\n  placed: {}  # yes\n\naggregate: order\ncolumns: {total: integer}\n"
    file_of(orders).write_text(text)
    orders.ok("schema", "field", "order", "code", "--type", "text")
    orders.ok("schema", "add", "order", "paid")
    assert file_of(orders).read_text() == (
        "# ours\nevents:\n  # first\n  placed: {}  # yes\n  paid: {}\n\naggregate: order\n"
        "columns: {total: integer, code: text}\n"
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("aggregate: order\nevents:\n  a: {}\ncolums: {}\n", 4),
        ("events: {a: {}}\ncolumns:\n  t: txet\n", 3),
        ("events: {a: {}}\ncolumns:\n  t:\n    type: text\n    regex: '(a+'\n", 5),
        ("events: {a: {}}\ncolumns:\n  t: {type: integer, format: email}\n", 3),
        ("events:\n  a.b: {}\n  a_b: {}\n", 3),
        ("events:\n  Order: {}\n", 2),
        ("events: {a: {}}\nevents: {b: {}}\n", 2),
        ("events: &x {a: {}}\n", 1),
        ("events: {a: *x}\n", 1),
        ("events: !!map {a: {}}\n", 1),
        ("events: {a: {}}\nlocked: no\n", 2),
        ("events: {a: {}}\nlocked: 1e999\n", 2),
        ("events: {a: {}}\n<<: {locked: true}\n", 2),
        ("%YAML 1.1\n---\nevents: {a: {}}\n", 1),
        ("events: {a: {}}\n---\nevents: {b: {}}\n", 2),
        ("events: " + "[" * 5000, 1),
        ("events:\n\ta: {}\n", 2),
        ("a: &a [x]\nb: &b [*a,*a]\nc: [*b,*b]\n", 1),
    ],
)
def test_a_file_with_a_fault_is_refused_with_its_line_and_no_event_is_taken(
    orders: Runner, text: str, line: int
) -> None:
    file_of(orders).write_text(text)
    outcome = orders("schema", "order", "--json")
    assert outcome.status == 5
    assert outcome.error["details"]["line"] == line
    assert outcome.error["details"]["file"].endswith("schemas/order.yaml")
    assert orders("aggregate", "create", "order", "o-1", "--event", "a").status == 5
    assert orders("schema", "add", "order", "b").status == 5
    assert file_of(orders).read_text() == text
    assert orders("schema", "lint").status == 5
    assert orders.ok("log", "--json").json == []


def test_other_bytes_are_refused(orders: Runner) -> None:
    for data in (b"\xff\xfe", b"", b"events: {a: {}}\n#\x00", b"#" * (1 << 21), "events: {a: {}}\u0085".encode()):
        file_of(orders).write_bytes(data)
        assert orders("schema", "order").status == 5
    file_of(orders).unlink()
    file_of(orders).symlink_to("/etc/passwd")
    assert orders("schema", "order").status == 7


def test_every_fault_is_told_at_once_with_the_word_that_was_meant(orders: Runner) -> None:
    file_of(orders).write_text("aggregat: order\nevents:\n  a: {feilds: [x]}\ncolumns:\n  t: txet\n")
    outcome = orders("schema", "order")
    assert outcome.status == 5
    assert "has 3 faults" in outcome.stderr
    for line, word in ((1, "aggregate"), (3, "fields"), (5, "text")):
        assert f"  line {line}: " in outcome.stderr
        assert f"did you mean '{word}'" in outcome.stderr


def test_a_file_must_be_named_after_a_type(orders: Runner) -> None:
    file_of(orders, "Order").write_text("events: {a: {}}\n")
    assert orders("schema", "list").status == 5
    file_of(orders, "Order").unlink()
    (file_of(orders).parent / ".order.yaml.swp").write_text("x")
    (file_of(orders).parent / "order.yaml~").write_text("x")
    assert len(orders.ok("schema", "list").lines) == 1


def test_validate_stores_nothing(orders: Runner) -> None:
    orders.ok("schema", "field", "order", "total", "--type", "integer", "--required-on-create")
    ok = orders.ok("schema", "validate", "--aggregate", "order", "--event", "order.paid", "--payload", '{"total":1}')
    assert ok.stdout == "aggregate=order event=order_paid validation=ok\n"
    assert orders.ok("schema", "validate", "free", "any", "--payload", "{}").stdout.endswith("validation=ok\n")
    assert orders("schema", "validate", "order", "placed", "--payload", '{"total":"x"}').status == 5
    assert orders.ok("schema", "validate", "order", "placed", "--payload", "{}")
    assert orders("schema", "validate", "order", "placed", "--payload", "{}", "--first").status == 5
    assert orders("schema", "validate", "order", "nope", "--payload", "{}").status == 5
    lines = [
        {"aggregate_type": "order", "aggregate_id": name, "event_type": "placed", "payload": payload}
        for name, payload in (("a", {"total": 1}), ("a", {}), ("b", {}), ("c", {"total": "x"}))
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (orders.cwd / "events.jsonl").write_text(text)
    for given in (["events.jsonl"], ["@events.jsonl"], ["./events.jsonl"], ["--from", "events.jsonl"]):
        assert orders("schema", "validate", *given).lines[-1] == "checked 4 event(s), 2 invalid"
    assert orders("schema", "validate", "none.jsonl").status == 3
    outcome = orders("schema", "validate", "-", "--json", stdin=text)
    assert outcome.status == 5
    assert (outcome.json["checked"], outcome.json["invalid"]) == (4, 2)
    assert [fault["line"] for fault in outcome.json["faults"]] == [3, 4]
    assert orders.ok("log", "--json").json == []


def test_validate_history(orders: Runner) -> None:
    add(orders, "total=1", "code=x")
    add(orders, "total=2", event="closed")
    assert orders.ok("schema", "validate", "--history").lines == ["checked 2 event(s), 0 invalid"]
    orders.ok("schema", "alter", "order", "closed", "--set", "code")
    outcome = orders("schema", "validate", "order", "--history", "--json")
    assert outcome.status == 5
    (fault,) = outcome.json["faults"]
    assert (fault["aggregate_id"], fault["version"]) == ("o-1", 2)


def test_lint_says_which_aggregates_a_schema_contradicts(orders: Runner) -> None:
    for name in ("o-1", "o-2"):
        add(orders, "total=lots", name=name)
    orders.ok("schema", "field", "order", "total", "--type", "integer")
    outcome = orders("schema", "lint", "--json")
    assert outcome.status == 1
    (finding,) = outcome.json["findings"]
    assert (finding["code"], finding["field"], finding["count"]) == ("schema.contradicts_history", "total", 2)
    assert finding["ids"] == ["o-1", "o-2"]
    refused = orders("schema", "publish")
    assert refused.status == 5
    assert "2 aggregates of 'order' ('o-1', 'o-2')" in refused.stderr
    assert add(orders, "code=x", status=5)
    orders.ok("schema", "publish", "--force")
    add(orders, "code=x")


def test_a_schema_that_no_event_can_keep_says_so(orders: Runner) -> None:
    add(orders, "code=x")
    orders.ok("schema", "field", "order", "code", "--type", "text", "--required", "--lock")
    refused = orders("schema", "publish", "--force")
    assert refused.status == 5
    assert "1 aggregate of 'order' ('o-1') take no event" in refused.stderr


EDITOR = """\
import pathlib, sys
file = pathlib.Path(sys.argv[-1])
turns = pathlib.Path(sys.argv[1])
todo = turns.read_text().split("|")
with open(str(turns) + ".seen", "a") as seen:
    seen.write(file.read_text() + "\\0")
step = todo.pop(0)
turns.write_text("|".join(todo))
if step == "fail":
    sys.exit(3)
if step:
    old, new = step.split("=>")
    file.write_text(file.read_text().replace(old, new))
"""


def edit(shop: Runner, *steps: str) -> tuple[int, str, list[str]]:
    (shop.cwd / "editor.py").write_text(EDITOR)
    turns = shop.cwd / "turns"
    turns.write_text("|".join(steps))
    Path(f"{turns}.seen").unlink(missing_ok=True)
    editor = f"{sys.executable} {shop.cwd / 'editor.py'} {turns}"
    outcome = shop("schema", "edit", "order", env={"EDITOR": "false", "VISUAL": editor})
    return outcome.status, outcome.stdout + outcome.stderr, Path(f"{turns}.seen").read_text().split("\0")[:-1]


def test_edit_saves_what_is_good(orders: Runner) -> None:
    status, said, seen = edit(orders, "placed: {}=>placed: {note: hello}")
    assert (status, said) == (0, "schema=order saved\n")
    assert len(seen) == 1
    assert "note: hello" in file_of(orders).read_text()


def test_edit_comes_back_with_the_errors_until_it_is_good(orders: Runner) -> None:
    before = file_of(orders).read_text()
    status, _, seen = edit(orders, "aggregate:=>colour: red\naggregate:", "colour: red\n=>")
    assert status == 0
    assert seen[1].splitlines()[1].startswith("#! unknown key 'colour'")
    assert file_of(orders).read_text() == before
    status, said, seen = edit(orders, "events:=>event:", "event:=>events:")
    assert (status, "unchanged" in said) == (0, True)


def test_edit_leaves_the_file_when_nothing_changes(orders: Runner) -> None:
    before = file_of(orders).read_text()
    assert edit(orders, "")[:2] == (0, "schema=order unchanged\n")
    status, said, _ = edit(orders, "events:=>event:", "")
    assert (status, "was left as it was" in said) == (5, True)
    assert edit(orders, "fail")[0] == 1
    assert file_of(orders).read_text() == before
    assert orders("schema", "edit", "order", env={"EDITOR": "/no/such/editor"}).status == 2


def test_restrict(orders: Runner) -> None:
    assert orders.ok("restrict").stdout == "restrict=default\n"
    assert orders.ok("restrict", "enforced").stdout == "restrict=strict\n"
    assert orders("aggregate", "create", "free", "1", "--event", "x").status == 5
    assert orders("aggregate", "apply", "free", "1", "x", "--create", "--stage").status == 5
    assert orders.ok("restrict", "--json").json == {"domain": "default", "restrict": "strict", "set": True}
    assert orders.ok("restrict", "OFF ").stdout == "restrict=off\n"
    orders.ok("aggregate", "create", "order", "1", "--event", "not_declared")
    assert orders.ok("log", "--json").json[0]["schema"] is None
    assert orders.ok("restrict", "--unset").stdout == "restrict=default\n"
    assert orders("aggregate", "create", "order", "2", "--event", "not_declared").status == 5
    for word in ("sometimes", ""):
        assert orders("restrict", word).status == 5
        assert orders("config", "restrict", word or "x").status == 5
    assert orders("status", env={"DBX_RESTRICT": "sometimes"}).status == 5
    assert orders.ok("restrict", env={"DBX_RESTRICT": "strict"}).stdout == "restrict=strict\n"
    orders.ok("aggregate", "create", "order", "2", "--event", "not_declared", env={"DBX_RESTRICT": "dev"})
    assert orders("aggregate", "create", "free", "2", "--event", "x", env={"DBX_RESTRICT": "strict"}).status == 5


def test_restrict_in_the_file_may_be_one_of_yamls_booleans(orders: Runner) -> None:
    domain = orders.cwd / ".dbx/domains/default/domain.yaml"
    text = domain.read_text()
    for spelled, status in (("off", 0), ("false", 0), ("true", 5), ("strict", 5), ("bogus", 5)):
        domain.write_text(text.replace("settings: {}", f"settings:\n  restrict: {spelled}"))
        outcome = orders("aggregate", "apply", "order", "1", "not_declared", "--create", "--dry-run")
        assert outcome.status == status, (spelled, outcome)


def test_a_json_schema_goes_out_and_comes_back(orders: Runner) -> None:
    orders.ok("schema", "field", "order", "total", "--type", "decimal(8,2)", "--range-min", "0")
    orders.ok("schema", "field", "order", "email", "--type", "text", "--format", "email", "--required-on-create")
    exported = orders.ok("schema", "export", "order")
    assert exported.json["$id"] == "urn:dbx:aggregate:order"
    assert exported.stdout == orders.ok("schema", "export", "order").stdout
    assert orders.ok("schema", "export", "--json").json["$defs"]["order"] == exported.json
    document = json.loads(exported.stdout.replace("urn:dbx:aggregate:order", "urn:dbx:aggregate:copy"))
    imported = orders.ok("schema", "import", "copy", "-", "--json", stdin=json.dumps(document)).json
    assert imported["unmapped"] == []
    assert imported["columns"] == orders.ok("schema", "order", "--json").json["columns"]
    assert list(imported["events"]) == ["placed", "order_paid", "closed"]
    assert orders("schema", "import", "copy", "-", stdin=exported.stdout).status == 4
    other = '{"type":"object","properties":{"a":{"type":"string","maxLength":3,"not":{}}}}'
    again = orders.ok("schema", "import", "copy", "-", "--replace", stdin=other)
    assert again.stdout == "schema=copy events=1 columns=1 unmapped=1\n"
    assert "warning" in again.stderr


def test_asyncapi_and_files(orders: Runner) -> None:
    document = orders.ok("schema", "export", "--format", "asyncapi").json
    assert document["asyncapi"].startswith("3.")
    assert "order" in document["channels"]
    orders.ok("schema", "export", "order", "--output", "out.json")
    assert json.loads((orders.cwd / "out.json").read_text())["title"] == "order"
    assert orders("schema", "export", "nope").status == 3
    assert orders("schema", "export", "--output", "/no/such/dir/x").status == 1


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a":1,"a":2}', "NaN", '{"type":"object","properties":5}'])
def test_what_is_no_json_schema_is_refused(shop: Runner, text: str) -> None:
    assert shop("schema", "import", "order", "-", stdin=text).status == 5
    assert not file_of(shop).exists()
    assert shop("schema", "import", "order", "/no/such/file").status == 3


def test_what_is_hidden_is_not_shown_with_state(orders: Runner) -> None:
    add(orders, "total=1", "margin=9")
    orders.ok("schema", "hide", "order", "margin")
    assert orders.ok("aggregate", "get", "order", "o-1", "--json").json["state"] == {"total": "1"}
    assert orders.ok("aggregate", "list", "--json").json[0]["state"] == {"total": "1"}
    assert orders.ok("aggregate", "select", "order", "o-1", "margin", "--json").json["selection"] == {"margin": None}
    whole = {"total": "1", "margin": "9"}
    assert orders.ok("aggregate", "get", "order", "o-1", "--include-hidden", "--json").json["state"] == whole
    tree = orders.ok("aggregate", "get", "order", "o-1", "--resolve").json["resolved"]
    assert tree["aggregate"]["state"] == {"total": "1"}
    orders.ok("aggregate", "create", "free", "f-1", "--event", "x")
    orders.ok("schema", "hide", "order")
    listed = orders.ok("aggregate", "list", "--json", "--take", "1").json
    assert [one["aggregate_type"] for one in listed] == ["free"]
    assert orders.ok("aggregate", "list", "order", "--json").json == []
    assert len(orders.ok("aggregate", "list", "--include-hidden", "--json").json) == 2
    orders.ok("schema", "publish")
    file_of(orders).write_text("events: [")
    assert orders.ok("aggregate", "get", "order", "o-1", "--json").json["state"] == {"total": "1"}
    orders.ok("aggregate", "verify", "order", "o-1")


def test_import_takes_the_type_from_the_title(orders: Runner) -> None:
    text = json.dumps({"title": "Line-Item", "type": "object", "properties": {"a": {"type": "string"}}})
    (orders.cwd / "line.json").write_text(text)
    assert (
        orders.ok("schema", "import", "--format", "json-schema", "line.json", "--json").json["aggregate"] == "line_item"
    )
    assert orders("schema", "import", "line.json").status == 4
    assert orders.ok("schema", "import", "--aggregate", "other", "line.json", "--json").json["aggregate"] == "other"
    assert orders("schema", "import", "x", "line.json", "--aggregate", "y").status == 2
    untitled = orders("schema", "import", "-", stdin="{}")
    assert (untitled.status, "schema import TYPE FILE" in untitled.stderr) == (5, True)


def test_hidden_fields_are_left_out_wherever_state_is_shown(orders: Runner) -> None:
    add(orders, "total=1", "secret=canary")
    orders.ok("schema", "hide", "order", "secret")
    made = orders.ok("snapshots", "create", "order", "o-1", "--json").json
    shown = [
        ("aggregate", "get", "order", "o-1"),
        ("aggregate", "list", "--json"),
        ("aggregate", "select", "order", "o-1", "secret"),
        ("aggregate", "snapshot", "order", "o-1"),
        ("snapshots", "create", "order", "o-1"),
        ("snapshots", "list", "--json"),
        ("snapshots", "get", made["snapshot_id"]),
        ("snapshots", "verify", "--json"),
        ("show", "order/o-1"),
        ("show", "order/o-1@1", "--json"),
        ("blame", "order", "o-1"),
    ]
    for arguments in shown:
        assert "canary" not in orders.ok(*arguments).stdout, arguments
    assert "secret" not in orders.ok("bisect", "order", "o-1", "--filter", 'total = "1"', "--json").json["state"]
    for number, style in enumerate(("csv", "json")):
        for more in ([], ["--include-hidden"]):
            path = orders.cwd / f"{number}{len(more)}.{style}"
            orders.ok("aggregate", "export", "order", "-o", str(path), "--format", style, *more)
            assert ("canary" in path.read_text()) is bool(more)
    for arguments in (shown[0], ("blame", "order", "o-1"), ("snapshots", "get", made["snapshot_id"])):
        assert "canary" in orders.ok(*arguments, "--include-hidden").stdout
    # Whatever is hidden is kept: it can be shown again.
    orders.ok("schema", "hide", "order", "secret", "--unhide")
    assert "canary" in orders.ok("snapshots", "get", made["snapshot_id"]).stdout
