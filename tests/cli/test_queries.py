"""aggregate list and events: filters, sorting, cursors and pages."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from itertools import pairwise

import pytest

from dbx.store.descriptor import is_readable
from tests.cli.conftest import Runner

DAYS = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z", "2026-01-02T00:00:00.000001Z")


@pytest.fixture
def shop(run: Runner) -> Runner:
    """Four orders and an item; o-2 has two events; o-4's state has what only JSON tells apart."""
    run.ok("init")
    events = [
        ("order", "o-1", "placed", {"status": "open", "total": 10, "to": {"city": "Bern"}}, 2),
        ("order", "o-2", "placed", {"status": "open", "total": 20.5}, 0),
        ("order", "o-3", "placed", {"status": "paid", "total": 30, "due": "2026-05-01T02:00:00+02:00"}, 1),
        ("order", "o-2", "paid", {"status": "paid"}, 3),
        ("order", "o-4", "placed", {"status": None, "total": "30", "tags": ["a"]}, 0),
        ("item", "i-1", "listed", {"status": "paid"}, 1),
    ]
    lines = [
        json.dumps(
            {
                "aggregate_type": kind,
                "aggregate_id": name,
                "event_type": event,
                "payload": payload,
                "created_at": DAYS[day],
                "metadata": {"@n": n},
            }
        )
        for n, (kind, name, event, payload, day) in enumerate(events)
    ]
    run.ok("aggregate", "apply", "--stage", "--from", "-", stdin="\n".join(lines))
    run.ok("commit")
    return run


def ids(run: Runner, *arguments: str) -> list[str]:
    return [aggregate["aggregate_id"] for aggregate in run.ok("aggregate", "list", *arguments, "--json").json]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("status = paid", ["i-1", "o-2", "o-3"]),
        ("status = paid AND aggregate_type = order", ["o-2", "o-3"]),
        ("aggregate_type IN [order] and version > 1", ["o-2"]),
        ("aggregate_id LIKE 'o-_' AND NOT status = paid", ["o-1", "o-4"]),
        ("total >= 20.5", ["o-2", "o-3"]),
        ("total = 30", ["o-3"]),
        ("total = '30'", ["o-4"]),
        ("status IS NULL", ["o-4"]),
        ("total = null", ["i-1"]),
        ("to.city = Bern", ["o-1"]),
        ("due = '2026-05-01T00:00:00Z'", ["o-3"]),
        ("updated_at >= 2026-01-02 AND updated_at < 2026-01-03", ["i-1", "o-2", "o-3"]),
        ("created_at = 1767225600000", ["o-2", "o-4"]),
        ("@n >= 4", ["i-1", "o-4"]),
        ("metadata.@n = 3", ["o-2"]),
        ("payload.status = open", ["o-1"]),
        ("version = 5", []),
        ("tags.0 = a", ["o-4"]),
    ],
)
def test_filters(shop: Runner, expression: str, expected: list[str]) -> None:
    assert ids(shop, "--filter", expression) == expected
    assert ids(shop, "--at", "HEAD", "--filter", expression) == expected


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("aggregate_id:desc", ["o-4", "o-3", "o-2", "o-1", "i-1"]),
        ("updated_at", ["o-4", "i-1", "o-3", "o-2", "o-1"]),
        ("updatedAt:DESC", ["o-1", "o-2", "o-3", "i-1", "o-4"]),
        ("created_at", ["o-2", "o-4", "i-1", "o-3", "o-1"]),
        ("created_at:desc", ["o-1", "o-3", "i-1", "o-4", "o-2"]),
        ("version:desc", ["o-2", "i-1", "o-1", "o-3", "o-4"]),
        ("version:desc,aggregate_type:desc,aggregate_id:desc", ["o-2", "o-4", "o-3", "o-1", "i-1"]),
    ],
)
def test_sorting(shop: Runner, sort: str, expected: list[str]) -> None:
    assert ids(shop, "--sort", sort) == expected
    assert ids(shop, "--sort", sort, "--take", "3") == expected[:3]
    assert ids(shop, "--sort", sort, "--at", "HEAD") == expected
    assert ids(shop, "--sort", sort, "order") == [name for name in expected if name != "i-1"]


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--filter", "NOT status = x"],
        ["--sort", "updated_at"],
        ["--sort", "updated_at:desc"],
        ["--sort", "created_at:desc", "--filter", "version < 9"],
        ["--at", "HEAD"],
        ["--include-archived"],
        ["--include-archived", "--sort", "updated_at"],
    ],
)
def test_pages_of_any_size_make_up_the_whole(shop: Runner, options: list[str]) -> None:
    shop.ok("aggregate", "archive", "order", "o-3")
    whole = ids(shop, *options)
    assert len(whole) == (5 if "--include-archived" in options else 4) + ("--at" in options and 0)
    for size in (1, 2, 5):
        seen: list[str] = []
        cursor: list[str] = []
        while True:
            page = shop.ok("aggregate", "list", *options, "--take", str(size), "--json", *cursor)
            seen += [each["aggregate_id"] for each in page.json]
            if not page.stderr:
                break
            assert page.stderr.startswith("dbx: hint: there is more, next cursor: ")
            cursor = ["--cursor", page.stderr.split()[-1]]
        assert seen == whole


def test_active_ones_come_before_archived_ones(shop: Runner) -> None:
    shop.ok("aggregate", "archive", "item", "i-1")
    assert ids(shop, "--include-archived") == ["o-1", "o-2", "o-3", "o-4", "i-1"]
    assert ids(shop, "--archived-only") == ["i-1"]
    assert ids(shop) == ["o-1", "o-2", "o-3", "o-4"]
    assert ids(shop, "--filter", "status = paid") == ["o-2", "o-3"]
    assert ids(shop, "--filter", "status = paid AND archived = true") == ["i-1"]
    assert ids(shop, "--filter", "archived != null AND status = paid") == ["o-2", "o-3", "i-1"]
    assert ids(shop, "--archived-only", "--filter", "archived = false") == []
    assert "archived=true" in shop.ok("aggregate", "list", "--filter", "archived = true").stdout


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--cursor", "order"], "invalid cursor: this is not as a listing shows it at column 1"),
        (["--cursor", "a:order:"], "invalid cursor: this is not as a listing shows it at column 9"),
        (["--cursor", "r:order:o-1"], "invalid cursor: cursor points to archived aggregates but scope uses active"),
        (["--cursor", "a:order:o-1", "--archived-only"], "invalid cursor: cursor points to active aggregates"),
        (["--cursor", "a:order:o-1", "--sort", "version"], "invalid cursor: only a listing that is not sorted"),
        (["--cursor", "a:order:o-1", "--sort", "updated_at"], "invalid cursor: it belongs to a listing that is not"),
        (["--cursor", "ts:order:o-1"], "invalid cursor: it belongs to a listing sorted by a time"),
        (["--cursor", "ts:order:o-9", "--sort", "updated_at"], "invalid cursor: aggregate 'order/o-9' does not exist"),
        (
            ["--cursor", "ts:created_at:desc:a:5:order:o-1", "--sort", "created_at"],
            "invalid cursor: it belongs to a listing sorted by created_at:desc",
        ),
        (["--cursor", "ts:order:o-1", "--sort", "updated_at", "--at", "HEAD"], "invalid cursor: a sorted listing"),
        (["--sort", "total"], "invalid sort specification: there is no such field at column 1"),
        (["--sort", "version:up"], "invalid sort specification: the order is asc or desc at column 9"),
        (["--filter", "status ="], "invalid filter expression: a value is expected at column 9"),
        (["--filter", ""], "invalid filter expression: the filter is empty at column 1"),
        (["--filter", "total > big"], "invalid filter expression: '>' compares numbers and times only at column 9"),
    ],
)
def test_what_cannot_be_understood_is_invalid_and_has_its_place(shop: Runner, options: list[str], says: str) -> None:
    outcome = shop("aggregate", "list", *options)
    assert (outcome.status, outcome.stdout) == (5, "")
    assert outcome.stderr.startswith(f"dbx: error: {says}")
    told = shop("aggregate", "list", *options, "--json")
    assert (told.status, told.stdout) == (5, "")
    if "at column" in says:
        text = next(option for option in reversed(options) if not option.startswith("--") and option != "HEAD")
        assert told.error["details"]["excerpt"][0] == text
        assert told.error["details"]["column"] == int(says.split()[-1])
        assert f"  {text}\n  " in outcome.stderr


def test_wrong_command_lines(shop: Runner) -> None:
    for options in (
        ["--take", "0"],
        ["--take", "x"],
        ["--stage", "--filter", "a = 1"],
        ["--stage", "--sort", "version"],
        ["--stage", "--cursor", "a:order:o-1"],
        ["--include-archived", "--archived-only"],
    ):
        assert shop("aggregate", "list", *options).status == 2, options
    for options in (
        ["--follow", "--sort", "version"],
        ["--follow", "--event", "5"],
        ["5", "--filter", "a = 1"],
        ["--include-archived", "--archived-only"],
    ):
        assert shop("events", *options).status == 2, options


def test_an_eventdbx_cursor_of_milliseconds_goes_on_behind_its_aggregate(shop: Runner) -> None:
    # o-2 was updated a microsecond after midnight, which milliseconds do not say.
    options = ["--sort", "updated_at", "--cursor", "ts:updated_at:asc:a:1767312000000:order:o-2"]
    assert ids(shop, *options) == ["o-1"]
    assert ids(shop, "--sort", "updated_at", "--cursor", "ts:order:o-2") == ["o-1"]


def test_page_settings_have_an_effect_once_they_are_set(shop: Runner) -> None:
    assert len(ids(shop)) == 5
    shop.ok("config", "list_page_size", "2")
    assert ids(shop) == ["i-1", "o-1"]
    assert ids(shop, "--take", "4") == ["i-1", "o-1", "o-2", "o-3"]
    assert len(shop.ok("events", "--json").json) == 2
    shop.ok("config", "page_limit", "3")
    assert ids(shop, "--take", "4") == ["i-1", "o-1", "o-2"]
    shop.ok("config", "--unset", "list_page_size")
    assert len(ids(shop)) == 3


def numbers(run: Runner, *arguments: str) -> list[int]:
    return [event["position"] for event in run.ok("events", *arguments, "--json").json]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--filter", "status = paid"], [2, 3, 5]),
        (["--filter", "payload.total > 10"], [1, 2]),
        (["order", "--filter", "event_type = placed AND version = 1"], [0, 1, 2, 4]),
        (["order", "o-2", "--filter", "event_type != placed"], [3]),
        (["--filter", "aggregate_type = item"], [5]),
        (["--filter", "aggregate_type = item AND status = open"], []),
        (["--filter", "created_at >= 2026-01-02T00:00:00.000001Z"], [0, 3]),
        (["--filter", "extensions.@n IN [1, 3]"], [1, 3]),
        (["--filter", "metadata.@n = 1"], [1]),
        (["--filter", "note IS NULL", "--take", "2"], [0, 1]),
        (["--filter", "status = paid", "--cursor", "e:2"], [3, 5]),
        (["order", "--cursor", "a:order:o-3:1"], [3, 4]),
        (["order", "o-2", "--cursor", "a:order:o-2:1"], [3]),
        (["--sort", "created_at"], [1, 4, 2, 5, 3, 0]),
        (["--sort", "created_at:desc"], [0, 3, 2, 5, 1, 4]),
        (["--sort", "created_at:desc", "--take", "2"], [0, 3]),
        (["--sort", "version:desc,aggregate_id:desc"], [3, 4, 2, 1, 0, 5]),
        (["--sort", "event_type,event_id:desc", "order"], [3, 4, 2, 1, 0]),
        (["--sort", "aggregate_type,aggregate_id,version", "--filter", "status = paid"], [5, 3, 2]),
        (["--sort", "event_id:desc", "--take", "2"], [5, 4]),
    ],
)
def test_events_filtered_and_sorted(shop: Runner, options: list[str], expected: list[int]) -> None:
    assert numbers(shop, *options) == expected


def test_events_of_archived_aggregates_are_hidden_unless_asked_for(shop: Runner) -> None:
    shop.ok("aggregate", "archive", "order", "o-3")
    assert numbers(shop) == [0, 1, 3, 4, 5]
    assert numbers(shop, "order") == [0, 1, 3, 4]
    assert numbers(shop, "--include-archived") == [0, 1, 2, 3, 4, 5, 6]
    assert numbers(shop, "--archived-only") == [2, 6]
    assert numbers(shop, "order", "o-3") == [2, 6]
    assert numbers(shop, "--sort", "version:desc", "--take", "1", "--include-archived") == [3]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--cursor", "a:order:o-1"], "invalid cursor: this is not as a listing shows it at column 9"),
        (["--cursor", "x"], "invalid cursor: this is not as a listing shows it at column 1"),
        (["item", "--cursor", "a:order:o-1:1"], "invalid cursor: cursor does not match the requested event scope"),
        (["--cursor", "a:order:o-1:7"], "invalid cursor: aggregate 'order/o-1' has no version 7"),
        (["--cursor", "e:1", "--sort", "version"], "invalid cursor: only a listing in the order of the log"),
        (["--sort", "updated_at"], "invalid sort specification: there is no such field at column 1"),
        (["--filter", "merkle_root = x"], "invalid filter expression: events have no field 'merkle_root' at column 1"),
        (["--follow", "--filter", "a ="], "invalid filter expression: a value is expected at column 4"),
        (["--follow", "--cursor", "q"], "invalid cursor: this is not as a listing shows it at column 1"),
    ],
)
def test_what_cannot_be_understood_of_events(shop: Runner, options: list[str], says: str) -> None:
    outcome = shop("events", *options)
    assert (outcome.status, outcome.stdout) == (5, "")
    assert outcome.stderr.startswith(f"dbx: error: {says}")


def test_an_unpaged_order_says_so(shop: Runner) -> None:
    shown = shop.ok("events", "--sort", "version", "--take", "2")
    assert "no cursor" in shown.stderr
    assert shop.ok("events", "--sort", "version", "--take", "6").stderr == ""


def lines_of(process: subprocess.Popen[bytes], count: int) -> list[bytes]:
    """The next lines that a process prints, each within ten seconds."""
    assert process.stdout is not None
    found: list[bytes] = []
    while len(found) < count:
        assert is_readable(process.stdout.fileno(), 10), found
        line = process.stdout.readline()
        assert line, found
        found.append(line)
    return found


def test_follow_shows_what_there_is_and_what_comes_until_ctrl_c(shop: Runner) -> None:
    following = shop.start(
        "events", "order", "--filter", "status = paid", "--follow", "--jsonl", stdout=subprocess.PIPE, bufsize=0
    )
    try:
        assert [json.loads(line)["position"] for line in lines_of(following, 2)] == [2, 3]
        shop.ok("aggregate", "apply", "order", "o-1", "paid", "--field", "status=paid")
        shop.ok("aggregate", "apply", "item", "i-1", "sold", "--field", "status=paid")
        shop.ok("aggregate", "apply", "order", "o-1", "noted", "--field", "x=1")
        shop.ok("aggregate", "apply", "order", "o-4", "paid", "--field", "status=paid")
        assert [json.loads(line)["position"] for line in lines_of(following, 2)] == [6, 9]
        following.send_signal(signal.SIGINT)
        assert following.wait(20) == 130
    finally:
        following.kill()
        following.wait()


def test_follow_begins_behind_a_cursor_or_with_the_last_events(shop: Runner) -> None:
    for options, expected in ((["--cursor", "e:3"], [4, 5]), (["--take", "1"], [5])):
        following = shop.start("events", "--follow", "--json", *options, stdout=subprocess.PIPE, bufsize=0)
        try:
            assert [json.loads(line)["position"] for line in lines_of(following, len(expected))] == expected
        finally:
            following.send_signal(signal.SIGTERM)
            following.wait()


def test_follow_ends_when_its_reader_has_gone(shop: Runner) -> None:
    ours, theirs = os.pipe()
    following = shop.start("events", "--follow", stdout=theirs, stderr=subprocess.PIPE)
    os.close(theirs)
    assert os.read(ours, 1)
    os.close(ours)
    _, told = following.communicate(timeout=20)
    assert (following.returncode, told) == (0, b"")


def test_a_listing_by_update_time_is_stable_under_writes(shop: Runner) -> None:
    first = shop.ok("aggregate", "list", "--sort", "updated_at:desc", "--take", "2", "--json")
    cursor = first.stderr.split()[-1]
    shop.ok("aggregate", "apply", "order", "o-4", "touched")
    rest = ids(shop, "--sort", "updated_at:desc", "--cursor", cursor)
    assert [each["aggregate_id"] for each in first.json] == ["o-1", "o-2"]
    assert rest == ["o-3", "i-1"]
    times = [a["updated_at"] for a in shop.ok("aggregate", "list", "--sort", "updated_at", "--json").json]
    assert all(a <= b for a, b in pairwise(times))


def test_what_is_far_too_much_is_not_too_much(shop: Runner) -> None:
    many = str(10**30)
    for options in ([], ["--sort", "version"], ["--sort", "updated_at"], ["--filter", "version < 9"]):
        assert len(ids(shop, "--take", many, *options)) == 5
    assert len(numbers(shop, "--take", many)) == len(numbers(shop, "--take", many, "--sort", "version")) == 6
    following = shop.start("events", "--follow", "--jsonl", "--take", many, stdout=subprocess.PIPE, bufsize=0)
    try:
        assert len(lines_of(following, 6)) == 6
    finally:
        following.kill()
        following.wait()
    for joined in (" AND ", " OR "):
        assert ids(shop, "--filter", joined.join(["version > 1"] * 4000)) == ["o-2"]
    listed = ", ".join(f"'o-{n}'" for n in range(4000))
    assert ids(shop, "--filter", f"aggregate_id IN [{listed}]") == ["o-1", "o-2", "o-3", "o-4"]
    assert ids(shop, "--filter", "version < 99999999999999999999 AND version > -1e300") == ids(shop)


def test_the_type_may_be_an_option(shop: Runner) -> None:
    assert ids(shop, "--aggregate", "item") == ids(shop, "item") == ["i-1"]
    assert shop("aggregate", "list", "item", "--aggregate", "item").status == 2
    assert shop("aggregate", "list", "--aggregate", "Item").status == 5


def test_what_is_no_text_is_refused(shop: Runner) -> None:
    outcome = shop("aggregate", "list", "--filter", b'aggregate_id = "\xff"'.decode("utf-8", "surrogateescape"))
    assert (outcome.status, "this is no character at column 17" in outcome.stderr) == (5, True)
    for option in ("--sort", "--cursor"):
        assert shop("aggregate", "list", option, b"\xff".decode("utf-8", "surrogateescape")).status == 5
