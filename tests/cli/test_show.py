"""`dbx show`: one thing, by any name it has."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Runner
from tests.history import fill


@pytest.fixture
def shop(run: Runner) -> Runner:
    run.ok("init")
    return run


@pytest.fixture
def filled(shop: Runner) -> tuple[Runner, list[str]]:
    return shop, fill(shop.cwd, 4)


def test_a_commit(filled: tuple[Runner, list[str]]) -> None:
    shop, ids = filled
    newest = shop.ok("show", "--json").json
    assert newest == shop.ok("show", "HEAD", "--json").json == shop.ok("show", ids[3], "--json").json
    assert (newest["kind"], newest["id"], newest["seq"], newest["aggregates"]) == ("commit", ids[3], 3, 2)
    assert newest["summary"] == [{"aggregate_type": "order", "event_type": "placed", "events": 2}]
    assert [(e["aggregate_id"], e["version"]) for e in newest["first_events"]] == [("o-3", 1), ("all", 4)]
    older = shop.ok("show", "HEAD~2").lines
    assert older[0] == f"commit {ids[1]}"
    assert older[-4:-1] == ["  2 order placed", "", older[-2]]
    assert older[-2].startswith("aggregate_type=order aggregate_id=o-1 version=1 event_type=placed event_id=")


def test_a_large_commit_is_summarised(shop: Runner) -> None:
    events = [("order", f"o-{n}", "placed") for n in range(25)] + [("person", "p-1", "born"), ("order", "o-1", "paid")]
    text = "".join(
        f'{{"aggregate_type":"{kind}","aggregate_id":"{name}","event_type":"{event}","payload":{{}}}}\n'
        for kind, name, event in events
    )
    shop.ok("aggregate", "apply", "--stage", "--from", "-", stdin=text)
    shop.ok("commit", "-m", "many")
    shown = shop.ok("show", "--json").json
    assert (shown["aggregates"], len(shown["first_events"])) == (26, 20)
    assert [(s["aggregate_type"], s["event_type"], s["events"]) for s in shown["summary"]] == [
        ("order", "paid", 1),
        ("order", "placed", 25),
        ("person", "born", 1),
    ]
    lines = shop.ok("show").lines
    start = lines.index("26 aggregates:")
    assert lines[start + 1 : start + 5] == ["   1 order paid", "  25 order placed", "   1 person born", ""]
    assert lines[-1] == "… and 7 more: dbx events --cursor e:19 --take 7"
    assert len(shop.ok("events", "--cursor", "e:19", "--take", "7").lines) == 7


def test_a_tag(filled: tuple[Runner, list[str]]) -> None:
    shop, ids = filled
    shop.ok("tag", "2026", "HEAD~1", "-m", "why", env={"DBX_ACTOR": "ops:jane", "DBX_NOW": "2026-11-23T07:42:00Z"})
    shown = shop.ok("show", "2026", "--json").json
    assert (shown["kind"], shown["id"]) == ("commit", ids[2])
    assert shown["tag"] == shop.ok("tag", "--json").json[0]
    assert shop.ok("show", "2026").lines[:7] == [
        "tag 2026",
        "Tagger: ops:jane",
        "Time:   2026-11-23T07:42:00.000000Z",
        "",
        "    why",
        "",
        f"commit {ids[2]}",
    ]
    assert "tag" not in shop.ok("show", "2026~1", "--json").json
    assert shop.ok("show", "refs/tags/2026", "--json").json == shown
    assert shop.ok("show", "refs/heads/main~1", "--json").json["id"] == ids[2]


def test_an_event(filled: tuple[Runner, list[str]]) -> None:
    shop, _ = filled
    event = shop.ok("show", "--json").json["first_events"][0]
    assert shop.ok("show", event["event_id"], "--json").json == {"kind": "event", **event}
    lines = shop.ok("show", event["event_id"]).lines
    assert lines[:4] == ["aggregate_type=order", "aggregate_id=o-3", "version=1", "event_type=placed"]
    assert shop.ok("events", event["event_id"]).lines == lines


def test_an_aggregate(shop: Runner) -> None:
    shop.ok("aggregate", "create", "order", "o-1", "--event", "placed", "--field", "a=1")
    shop.ok("aggregate", "apply", "order", "o-1", "paid", "--field", "a=2")
    now = shop.ok("show", "order/o-1", "--json").json
    assert (now["kind"], now["version"], now["state"]) == ("aggregate", 2, {"a": "2"})
    assert shop.ok("show", "order/o-1@1", "--json").json["state"] == {"a": "1"}
    assert shop.ok("show", "order", "o-1@1").stdout == shop.ok("show", "order/o-1@1").stdout
    assert shop.ok("show", "order/o-1").stdout == shop.ok("aggregate", "get", "order", "o-1").stdout


def test_an_id_that_ends_like_a_version_is_an_id_first(shop: Runner) -> None:
    shop.ok("aggregate", "create", "order", "o@7", "--event", "placed")
    shop.ok("aggregate", "create", "order", "a/b@x:y", "--event", "placed")
    assert shop.ok("show", "order/o@7", "--json").json["aggregate_id"] == "o@7"
    assert shop.ok("show", "order/o@7@1", "--json").json["aggregate_id"] == "o@7"
    assert shop.ok("show", "order/a/b@x:y", "--json").json["aggregate_id"] == "a/b@x:y"


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("HEAD~4", 3, "before the first commit"),
        ("ffffffff", 3, "no commit 'ffffffff'"),
        ("7", 3, "event '7' does not exist"),
        ("250596579996745728", 3, "event '250596579996745728' does not exist"),
        ("order/nobody", 3, "aggregate 'order/nobody' does not exist"),
        ("order/nobody@1", 3, "aggregate 'order/nobody' does not exist"),
        ("order/o-1@9", 3, "has no version 9"),
        ("order/o-1@0", 3, "has no version 0"),
        ("Order/o-1", 5, "aggregate type 'Order'"),
        ("order/", 5, "aggregate id"),
        ("what is this", 5, "is not a ref"),
        ("99999999999999999999999", 3, "no commit"),
    ],
)
def test_what_is_not_there(filled: tuple[Runner, list[str]], name: str, status: int, said: str) -> None:
    outcome = filled[0]("show", name, "--json")
    assert (outcome.status, outcome.stdout) == (status, "")
    assert said in outcome.error["message"]


def test_nothing_to_show(shop: Runner, run: Runner) -> None:
    assert shop("show").status == 3
    assert shop("show", "a", "b").status == 3
    assert shop("show", "a", "b", "c").status == 2
