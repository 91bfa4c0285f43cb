"""`dbx undo`: the last move of a ref is taken back, unless somebody else has it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Runner


def apply(run: Runner, number: int, aggregate: str = "o-1") -> str:
    run.ok(
        "aggregate", "apply", "order", aggregate, "placed", "--field", f"n:={number}", "--create", "-m", f"c{number}"
    )
    return str(run.ok("root", "--json").json["commit"])


@pytest.fixture
def shop(run: Runner) -> Runner:
    run.ok("init")
    return run


def directory(run: Runner) -> Path:
    return run.cwd / ".dbx" / "domains" / "default"


def listed(run: Runner) -> list[str]:
    return [commit["message"] for commit in run.ok("log", "--json").json]


def sound(run: Runner) -> None:
    """Nothing looks like damage, also with an index made anew."""
    report = run.ok("fsck", "--json").json
    text = json.dumps(report)
    assert '"severity":"error"' not in text.replace(" ", "")
    assert '"severity":"warning"' not in text.replace(" ", "")
    root = run.ok("root").stdout
    run.ok("reindex")
    assert run.ok("root").stdout == root


@pytest.mark.parametrize("sealed", [False, True])
def test_the_last_commit_goes_and_comes_back(shop: Runner, sealed: bool) -> None:
    ids = [apply(shop, n) for n in range(3)]
    if sealed:
        shop.ok("gc")
    before, event = shop.ok("root").stdout, shop.ok("show", "HEAD", "--json").json["first_events"][0]
    roots = [shop.ok("root", f"HEAD~{n}").stdout for n in range(3)]
    done = shop.ok("undo", "--yes", "--json").json
    assert done == {
        "domain": "default",
        "dry_run": False,
        "kind": "commit",
        "ref": "refs/heads/main",
        "reason": "commit: c2",
        "old": ids[2],
        "new": ids[1],
        "seq": 1,
        "commits": 1,
        "events": 1,
        "kept": f"refs/undone/commits/{ids[2]}",
    }
    assert (directory(shop) / done["kept"]).exists()
    assert listed(shop) == ["c1", "c0"]
    assert shop.ok("root").stdout == roots[1]
    assert shop.ok("aggregate", "get", "order", "o-1", "--json").json["state"] == {"n": 1}
    assert shop("show", ids[2]).status == shop("events", event["event_id"]).status == 3
    newest = shop.ok("reflog", "-n", "1", "--json").json[0]
    assert (newest["old"], newest["new"], newest["seq"]) == (ids[2], ids[1], 1)
    assert newest["reason"] == "undo: 1 commit with 1 event"
    sound(shop)
    again = shop.ok("undo", "--yes").stdout
    assert again == f"took back the undoing of 1 commit with 1 event: HEAD is {ids[2][:12]}\n"
    assert shop.ok("root").stdout == before
    assert shop.ok("events", event["event_id"], "--json").json == event
    sound(shop)
    shop.ok("undo", "--yes")
    assert listed(shop) == ["c1", "c0"]
    sound(shop)


def test_what_is_committed_then_is_new_history(shop: Runner) -> None:
    apply(shop, 0)
    gone = apply(shop, 1)
    event = shop.ok("show", "--json").json["first_events"][0]
    shop.ok("undo", "--yes")
    other = apply(shop, 2)
    assert other != gone
    assert shop.ok("show", "--json").json["first_events"][0]["event_id"] != event["event_id"]
    assert listed(shop) == ["c2", "c0"]
    sound(shop)
    shop.ok("undo", "--yes")
    assert listed(shop) == ["c0"]
    shop.ok("gc")
    sound(shop)
    # Both are kept, and the last that was taken back comes back.
    assert {path.name for path in (directory(shop) / "refs/undone/commits").iterdir()} == {gone, other}
    shop.ok("undo", "--yes")
    assert listed(shop) == ["c2", "c0"]
    sound(shop)


def test_ids_are_not_drawn_twice_while_the_clock_stands(shop: Runner) -> None:
    env = {"DBX_NOW": "2026-11-23T07:42:00Z"}
    seen = set()
    for _ in range(3):
        made = shop.ok("aggregate", "apply", "order", "o", "e", "--create", "--json", env=env).json
        seen.add(made["event_id"])
        shop.ok("undo", "--yes", env=env)
    assert len(seen) == 3


def test_a_batch_and_the_first_commit(shop: Runner) -> None:
    lines = "".join(
        json.dumps({"aggregate_type": "order", "aggregate_id": f"o-{n % 7}", "event_type": "e", "payload": {"n": n}})
        + "\n"
        for n in range(50)
    )
    shop.ok("aggregate", "apply", "--stage", "--from", "-", stdin=lines)
    shop.ok("commit", "-m", "all")
    root = shop.ok("root").stdout
    assert shop.ok("undo", "--dry-run").stdout.startswith(
        "would take back 1 commit with 50 events (commit: all): HEAD "
    )
    assert listed(shop) == ["all"]
    done = shop.ok("undo", "--yes", "--json").json
    assert (done["new"], done["seq"], done["events"]) == (None, None, 50)
    assert shop.ok("log", "--json").json == []
    assert shop.ok("aggregate", "list", "--json").json == []
    sound(shop)
    shop.ok("undo", "--yes")
    assert shop.ok("root").stdout == root
    sound(shop)
    shop.ok("undo", "--yes")
    apply(shop, 1)
    sound(shop)


def test_tags_are_taken_back_too(shop: Runner) -> None:
    ids = [apply(shop, n) for n in range(2)]
    shop.ok("tag", "v1", "HEAD~1", "-m", "why")
    shop.ok("tag", "v1", "-f", "-m", "moved")
    assert (
        shop.ok("undo", "--yes").stdout
        == f"took back the last move of the tag 'v1' (tag: moved): v1 is {ids[0][:12]}\n"
    )
    assert [(tag["seq"], tag["message"]) for tag in shop.ok("tag", "--json").json] == [(0, "why")]
    shop.ok("tag", "-d", "v1")
    done = shop.ok("undo", "--yes", "--json").json
    assert (done["kind"], done["ref"], done["old"], done["new"]) == ("tag", "refs/tags/v1", None, ids[0])
    assert [(tag["seq"], tag["message"]) for tag in shop.ok("tag", "--json").json] == [(0, "why")]
    shop.ok("undo", "--yes")
    assert shop.ok("tag").stdout == ""
    shop.ok("tag", "v2")
    shop.ok("undo", "--yes")
    assert shop.ok("tag").stdout == ""
    assert shop.ok("reflog", "v2", "-n", "1", "--json").json[0]["reason"] == "undo: tag"
    assert listed(shop) == ["c1", "c0"]
    sound(shop)


def test_what_came_last_goes_first_whatever_the_clocks_say(shop: Runner) -> None:
    apply(shop, 0)
    shop.ok("tag", "v1", env={"DBX_NOW": "2030-01-01T00:00:00Z"})
    apply(shop, 1)
    shop.ok("undo", "--yes")
    assert (listed(shop), shop.ok("tag").lines) == (["c0"], ["v1"])


def test_what_is_shared_stays(shop: Runner) -> None:
    ids = [apply(shop, n) for n in range(2)]
    shop.ok("gc")
    remote = directory(shop) / "refs/remotes/origin/main"
    remote.parent.mkdir(parents=True)
    remote.write_bytes((directory(shop) / "refs/heads/main").read_bytes())
    refused = shop("undo", "--yes", "--json")
    assert (refused.status, refused.stdout) == (4, "")
    assert refused.error["message"] == "commit 1 is shared: 'origin/main' has commits up to 1"
    assert shop("undo", "--dry-run").status == 4
    apply(shop, 2)
    shop.ok("undo", "--yes")
    assert shop.ok("root", "--json").json["commit"] == ids[1]


def test_what_a_tag_names_stays(shop: Runner) -> None:
    apply(shop, 0)
    commit = apply(shop, 1)
    shop.ok("tag", "v1", "HEAD~1")
    apply(shop, 2)
    shop.ok("tag", "v2", "HEAD~1")
    apply(shop, 3)
    shop.ok("undo", "--yes")
    apply(shop, 4)
    (directory(shop) / "refs/tags/v3").write_text(f"commit {shop.ok('root', '--json').json['commit']} 3\n")
    refused = shop("undo", "--yes")
    assert refused.status == 4
    assert "dbx tag -d v3" in refused.stderr
    shop.ok("tag", "-d", "v3")
    assert shop.ok("undo", "--dry-run", "--json").json["kind"] == "tag"
    note = b"dbx/x\n4\n" + b"A" * 43 + b"=\n\n\xe2\x80\x94 shop AAAA\n"
    (directory(shop) / "refs/tags/signed").write_bytes(note)
    (directory(shop) / "logs/refs/tags/v3").unlink()
    refused = shop("undo", "--yes")
    assert (refused.status, "signed checkpoint" in refused.stderr) == (4, True)
    assert commit in shop.ok("log", "--json").stdout


def test_what_a_remote_was_given_stays_also_when_its_ref_is_gone(shop: Runner) -> None:
    apply(shop, 0)
    (shop.cwd / "there").mkdir()
    shop.ok("init", cwd=shop.cwd / "there")
    shop.ok("remote", "add", "origin", str(shop.cwd / "there"))
    shop.ok("push")
    refused = shop("undo", "--yes", "--json")
    assert (refused.status, "'origin" in refused.error["message"]) == (4, True)
    (directory(shop) / "refs/remotes/origin/main").unlink(missing_ok=True)
    refused = shop("undo", "--yes", "--json")
    assert (refused.status, "'origin' had commits up to 0" in refused.error["message"]) == (4, True)
    apply(shop, 1)
    shop.ok("undo", "--yes")


def test_what_a_signed_checkpoint_covers_stays(shop: Runner) -> None:
    apply(shop, 0)
    shop.ok("key", "generate")
    shop.ok("checkpoint", "--sign")
    refused = shop("undo", "--yes", "--json")
    assert (refused.status, refused.error["message"]) == (4, "commit 0 is shared: a signed checkpoint covers it")
    apply(shop, 1)
    shop.ok("undo", "--yes")
    assert listed(shop) == ["c0"]
    shop.ok("undo", "--yes")
    assert listed(shop) == ["c1", "c0"]


def test_what_is_staged_upon_stays(shop: Runner) -> None:
    apply(shop, 0)
    shop.ok("aggregate", "apply", "order", "o-1", "later", "--stage")
    refused = shop("undo", "--yes")
    assert (refused.status, "staged" in refused.stderr) == (4, True)
    shop.ok("reset", "--yes")
    shop.ok("undo", "--yes")


def test_nothing_to_take_back(shop: Runner) -> None:
    refused = shop("undo", "--yes")
    assert (refused.status, refused.stdout) == (1, "")
    assert "nothing to take back" in refused.stderr
    apply(shop, 0)
    shop.ok("checkout", "-c", "fork", "--from", "default")
    refused = shop("undo", "--yes")
    assert (refused.status, "begins with this" in refused.stderr) == (4, True)
    apply(shop, 1)
    shop.ok("undo", "--yes")
    assert shop.ok("-d", "default", "log", "--oneline").lines == shop.ok("log", "--oneline").lines
    sound(shop)


def test_what_was_thrown_away_does_not_come_back(shop: Runner) -> None:
    apply(shop, 0)
    gone = apply(shop, 1)
    shop.ok("undo", "--yes")
    (directory(shop) / f"refs/undone/commits/{gone}").unlink()
    shop.ok("gc")
    refused = shop("undo", "--yes")
    assert (refused.status, "cannot be put back" in refused.stderr) == (1, True)
    sound(shop)


def test_damage_does_not_come_back(shop: Runner) -> None:
    apply(shop, 0)
    gone = apply(shop, 1)
    shop.ok("undo", "--yes")
    manifest = (directory(shop) / f"refs/undone/commits/{gone}").read_text().split()[-1]
    sha = (directory(shop) / "manifests" / manifest).read_text().split()[0]
    segment = directory(shop) / f"segments/{sha}.seg"
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.chmod(0o600)
    segment.write_bytes(data)
    refused = shop("undo", "--yes")
    assert (refused.status, sha in refused.stderr) == (7, True)
    assert listed(shop) == ["c0"]


def test_it_asks(shop: Runner, in_terminal: Callable[..., tuple[int, str]]) -> None:
    apply(shop, 0)
    refused = shop("undo")
    assert (refused.status, refused.stdout) == (2, "")
    assert "this takes back 1 commit with 1 event (commit: c0)" in refused.stderr
    status, shown = in_terminal(shop, "undo", keys=b"n\n")
    assert (status, "Go on? [y/N]" in shown) == (1, True)
    assert listed(shop) == ["c0"]
    status, _ = in_terminal(shop, "undo", keys=b"y\n")
    assert status == 0
    assert listed(shop) == []
    assert shop("undo", "more").status == 2


def test_snapshots_of_what_is_gone_go_with_it(shop: Runner) -> None:
    apply(shop, 0)
    shop.ok("snapshots", "create", "order", "o-1")
    apply(shop, 1)
    apply(shop, 2, "other")
    shop.ok("snapshots", "create", "order", "other")
    shop.ok("undo", "--yes")
    apply(shop, 3)
    shop.ok("snapshots", "create", "order", "o-1")
    shop.ok("undo", "--yes")
    kept = [(each["aggregate_id"], each["version"]) for each in shop.ok("snapshots", "list", "--json").json]
    assert kept == [("o-1", 1)]
    shop.ok("snapshots", "verify")
    sound(shop)


def test_real_loss_is_still_told(shop: Runner) -> None:
    for n in range(3):
        apply(shop, n)
    shop.ok("undo", "--yes")
    ref, index = directory(shop) / "refs/heads/main", directory(shop) / "index.db"
    short = ref.read_bytes()
    apply(shop, 3)
    shop.ok("gc")
    # An older copy of the ref is put back: that is not what the reflog says.
    ref.write_bytes(short)
    outcome = shop("log")
    assert outcome.status == 7, outcome
    assert index.exists()
