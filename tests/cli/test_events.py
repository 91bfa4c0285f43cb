"""dbx events: lists, pages, and single events."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Runner


@pytest.fixture
def shop(run: Runner) -> Runner:
    """Five events: two of order p-1, one of order p-10, one of item p-1, one more of order p-1."""
    run.ok("init")
    names = [("order", "p-1"), ("order", "p-1"), ("order", "p-10"), ("item", "p-1"), ("order", "p-1")]
    lines = [
        json.dumps({"aggregate_type": kind, "aggregate_id": name, "event_type": "e", "payload": {"n": n}})
        for n, (kind, name) in enumerate(names)
    ]
    run.ok("aggregate", "apply", "--stage", "--from", "-", stdin="\n".join(lines))
    run.ok("commit")
    return run


def numbers(run: Runner, *arguments: str) -> list[int]:
    return [event["payload"]["n"] for event in run.ok("events", *arguments, "--json").json]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], [0, 1, 2, 3, 4]),
        (["order"], [0, 1, 2, 4]),
        (["order", "p-1"], [0, 1, 4]),
        (["--aggregate", "item"], [3]),
        (["--aggregate", "order", "--aggregate-id", "p-10"], [2]),
        (["--aggregate", "order", "p-10"], [2]),
        (["person"], []),
        (["--take", "2"], [0, 1]),
        (["--take", "9"], [0, 1, 2, 3, 4]),
        (["--cursor", "e:1"], [2, 3, 4]),
        (["--cursor", "e:1", "order"], [2, 4]),
        (["--cursor", "e:0", "order", "p-1", "--take", "1"], [1]),
        (["--cursor", "e:4"], []),
        (["--cursor", "e:999999999999999"], []),
    ],
)
def test_which_events(shop: Runner, arguments: list[str], expected: list[int]) -> None:
    assert numbers(shop, *arguments) == expected
    lines = shop.ok("events", *arguments, "--jsonl").lines
    assert [json.loads(text)["payload"]["n"] for text in lines] == expected
    text = shop.ok("events", *arguments)
    assert len(text.lines) == max(1, len(expected))
    assert (text.stdout == "no events\n") == (not expected)


def test_pages_lead_to_one_another(shop: Runner) -> None:
    seen: list[int] = []
    cursor: list[str] = []
    while True:
        page = shop.ok("events", "order", "--take", "3", "--json", *cursor)
        seen += [event["position"] for event in page.json]
        if not page.stderr:
            break
        assert page.stderr.startswith("dbx: hint: there is more, next cursor: e:")
        cursor = ["--cursor", page.stderr.split()[-1]]
    assert seen == [0, 1, 2, 4]
    assert shop.ok("events", "order", "--take", "3", "--quiet").stderr == ""


def test_a_line_is_as_eventdbx_has_it(shop: Runner) -> None:
    shop.ok("aggregate", "apply", "order", "p-1", "e", "--note", "a note", env={"DBX_ACTOR": "ops:ada"})
    line = shop.ok("events", "order", "p-1").lines[-1]
    event = shop.ok("events", "order", "p-1", "--json").json[-1]
    assert line == (
        f"aggregate_type=order aggregate_id=p-1 version=4 event_type=e event_id={event['event_id']}"
        f' created_at={event["created_at"]} issued_by=ops:ada note="a note"'
    )


def test_one_event(shop: Runner) -> None:
    event = shop.ok("events", "item", "--json").json[0]
    assert shop.ok("events", event["event_id"], "--json").json == event
    assert shop.ok("events", "--event", event["event_id"], "--json").json == event
    (text,) = shop.ok("events", "-e", event["event_id"], "--jsonl").lines
    assert json.loads(text) == event
    lines = shop.ok("events", event["event_id"]).lines
    assert lines[:5] == [
        "aggregate_type=item", "aggregate_id=p-1", "version=1", "event_type=e", f"event_id={event['event_id']}",
    ]  # fmt: skip
    assert lines[-4:] == ["payload={", '  "n": 3', "}", "metadata={}"]


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["12"], 3),
        (["--event", "12"], 3),
        (["--event", "abc"], 5),
        (["--event", "012"], 5),
        (["99999999999999999999"], 5),
        (["12", "--take", "1"], 2),
        (["12", "--cursor", "e:1"], 2),
        (["order", "--event", "12"], 2),
        (["--aggregate", "order", "--event", "12"], 2),
        (["--take", "0"], 2),
        (["--aggregate-id", "p-1"], 2),
        (["order", "p-1", "more"], 2),
        (["order", "p-2"], 3),
        (["Order"], 5),
        (["order", "../p"], 5),
        (["--cursor", "a:order:p-1"], 5),
        (["--cursor", "e:"], 5),
        (["--cursor", "e:-1"], 5),
        (["--cursor", "e:" + "9" * 30], 5),
    ],
)
def test_what_is_wrong(shop: Runner, arguments: list[str], status: int) -> None:
    outcome = shop("events", *arguments)
    assert (outcome.status, outcome.stdout) == (status, "")


def test_no_events_yet(run: Runner) -> None:
    run.ok("init")
    assert run.ok("events").stdout == "no events\n"
    assert run.ok("events", "--json").json == []
    assert run.ok("events", "--jsonl").stdout == ""
