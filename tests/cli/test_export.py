"""aggregate export: CSV and JSON, files, directories and archives."""

from __future__ import annotations

import csv
import json
import os
import zipfile
from pathlib import Path

import pytest

from tests.cli.conftest import Runner


@pytest.fixture
def shop(run: Runner) -> Runner:
    run.ok("init")
    events = [
        ("order", "o-2", {"status": "paid", "total": -1.5, "to": {"zip": None, "city": "Bern"}, "gone": None}),
        ("order", "o-10", {"status": 'a "b", c\nd', "text": "42", "ok": True}),
        ("order", "o-1", {"=key": "=1+1", "status": "@x", "number": -5}),
        ("order", "o-3", {"status": "archived"}),
        ("item", "i-1", {"name": "é"}),
    ]
    lines = [
        json.dumps({"aggregate_type": kind, "aggregate_id": name, "event_type": "made", "payload": payload})
        for kind, name, payload in events
    ]
    run.ok("aggregate", "apply", "--stage", "--from", "-", stdin="\n".join(lines))
    run.ok("commit")
    run.ok("aggregate", "archive", "order", "o-3")
    return run


def export(run: Runner, *arguments: str) -> str:
    return run.ok("aggregate", "export", *arguments).stdout


def test_csv(shop: Runner) -> None:
    assert export(shop, "order", "--output", "o.csv") == "wrote o.csv\nExported 1 aggregate type(s) in CSV format\n"
    data = (shop.cwd / "o.csv").read_bytes()
    assert data.startswith(b"__aggregate_id,'=key,gone,number,ok,status,text,to,total\no-1,'=1+1,,-5,,'@x,,,\n")
    with (shop.cwd / "o.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["__aggregate_id"] for row in rows] == ["o-1", "o-10", "o-2"]
    assert rows[1]["status"] == 'a "b", c\nd'
    assert (rows[1]["text"], rows[1]["ok"], rows[1]["total"]) == ("42", "true", "")
    assert (rows[2]["to"], rows[2]["total"], rows[2]["gone"]) == ('{"city":"Bern","zip":null}', "-1.5", "")


def test_the_formula_guard_can_be_left_out(shop: Runner) -> None:
    export(shop, "order", "--output", "o.csv", "--no-formula-guard")
    assert (shop.cwd / "o.csv").read_bytes().split(b"\n")[1] == b"o-1,=1+1,,-5,,@x,,,"


@pytest.mark.parametrize("pretty", [[], ["--pretty"]])
def test_json_keeps_its_types(shop: Runner, pretty: list[str]) -> None:
    export(shop, "order", "--format", "json", "--output", "o.json", *pretty)
    text = (shop.cwd / "o.json").read_text()
    assert text.endswith("]\n")
    assert (text.count("\n") == 1) is not bool(pretty)
    found = json.loads(text)
    assert [next(iter(each)) for each in found] == ["__aggregate_id"] * 3
    assert found[0] == {"__aggregate_id": "o-1", "=key": "=1+1", "number": -5, "status": "@x"}
    assert found[2]["to"] == {"city": "Bern", "zip": None}
    assert found[2]["gone"] is None
    assert found[1]["text"] == "42"


def test_where_files_go(shop: Runner) -> None:
    assert export(shop, "order", "--output", "out").splitlines()[0] == "wrote out/order.csv"
    assert export(shop, "--all", "--output", "deep/er/").splitlines() == [
        "wrote deep/er/item.csv",
        "wrote deep/er/order.csv",
        "Exported 2 aggregate type(s) in CSV format",
    ]
    assert export(shop, "--aggregate", "item", "--output", "one").splitlines()[0] == "wrote one/item.csv"
    (shop.cwd / "file").write_text("old")
    assert export(shop, "order", "--output", "file").splitlines()[0] == "wrote file"
    assert (shop.cwd / "file").read_text().startswith("__aggregate_id,")
    (shop.cwd / "d.csv").mkdir()
    assert export(shop, "order", "--output", "d.csv").splitlines()[0] == "wrote d.csv/order.csv"
    told = shop.ok("aggregate", "export", "--all", "--output", "o", "--format", "json", "--json").json
    assert told == {
        "format": "json",
        "archive": None,
        "types": [
            {"aggregate_type": "item", "path": "o/item.json", "aggregates": 1},
            {"aggregate_type": "order", "path": "o/order.json", "aggregates": 3},
        ],
    }


def test_zip_archives_are_the_same_for_the_same_states(shop: Runner) -> None:
    assert export(shop, "--all", "--output", "a", "--zip") == "Exported 2 aggregate type(s) to a.zip (zip archive)\n"
    export(shop, "--all", "--output", "b.tar", "--zip")
    (shop.cwd / "d").mkdir()
    export(shop, "--all", "--output", "d", "--zip")
    export(shop, "order", "--output", "d", "--zip", "--format", "json")
    assert sorted(os.listdir(shop.cwd / "d")) == ["aggregates_csv.zip", "order_json.zip"]
    first = (shop.cwd / "a.zip").read_bytes()
    assert first == (shop.cwd / "b.zip").read_bytes() == (shop.cwd / "d" / "aggregates_csv.zip").read_bytes()
    with zipfile.ZipFile(shop.cwd / "a.zip") as archive:
        assert archive.namelist() == ["item.csv", "order.csv"]
        assert archive.read("item.csv").decode() == "__aggregate_id,name\ni-1,é\n"
        assert archive.testzip() is None


def test_nothing_to_export_is_no_error(shop: Runner) -> None:
    assert export(shop, "person", "--output", "p.csv") == "no aggregates found for 'person'\n"
    shop.ok("aggregate", "archive", "item", "i-1")
    assert export(shop, "item", "--output", "i.csv") == "no aggregates found for 'item'\n"
    shop.ok("checkout", "-c", "other")
    assert export(shop, "--all", "--output", "x") == "no aggregates found\n"
    assert sorted(os.listdir(shop.cwd)) == [".dbx"]


def test_a_member_with_the_name_of_the_id_gives_way(shop: Runner) -> None:
    shop.ok("aggregate", "apply", "item", "i-1", "e", "--field", "__aggregate_id=other")
    done = shop.ok("aggregate", "export", "item", "--output", "i.csv")
    assert (shop.cwd / "i.csv").read_text() == "__aggregate_id,name\ni-1,é\n"
    assert "have a member '__aggregate_id'" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["order"], 2),
        (["--output", "x"], 2),
        (["order", "--all", "--output", "x"], 2),
        (["order", "--aggregate", "order", "--output", "x"], 2),
        (["order", "--output", ""], 2),
        (["order", "--output", "x", "--format", "xml"], 2),
        (["order", "--output", "x", "--pretty"], 2),
        (["order", "--output", "x", "--format", "json", "--no-formula-guard"], 2),
        (["order", "item", "--output", "x"], 2),
        (["Order", "--output", "x"], 5),
        (["--all", "--output", "x.csv"], 1),
        (["--all", "--output", "file"], 1),
        (["order", "--output", "none/o.csv"], 1),
        (["order", "--output", "file/o.csv"], 1),
        (["order", "--output", "/dev/null"], 1),
        (["order", "--output", "fifo"], 1),
    ],
)
def test_what_cannot_be_written_leaves_nothing_behind(shop: Runner, arguments: list[str], status: int) -> None:
    (shop.cwd / "file").write_text("mine")
    os.mkfifo(shop.cwd / "fifo")
    outcome = shop("aggregate", "export", *arguments)
    assert (outcome.status, outcome.stdout) == (status, "")
    assert sorted(os.listdir(shop.cwd)) == [".dbx", "fifo", "file"]
    assert (shop.cwd / "file").read_text() == "mine"


def test_a_link_is_followed_and_stays(shop: Runner) -> None:
    target = Path(shop.home) / "real.csv"
    target.write_text("old")
    (shop.cwd / "o.csv").symlink_to(target)
    export(shop, "order", "--output", "o.csv")
    assert (shop.cwd / "o.csv").is_symlink()
    assert target.read_text().startswith("__aggregate_id,")
    assert os.listdir(shop.home) == ["real.csv"]
