"""`dbx lint`: what, where, why, and the command that mends it."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Runner


@pytest.fixture
def shop(run: Runner) -> Runner:
    run.ok("init")
    run.ok("aggregate", "create", "order", "o-1", "--event", "placed", "--field", "total:=12")
    return run


def test_nothing_to_say(shop: Runner) -> None:
    assert shop.ok("lint").stdout == "no findings\n"
    assert shop.ok("lint", "--strict", "--json").json == {
        "domain": "default", "findings": [], "examined": 1, "events": 1,
    }  # fmt: skip


def test_findings(shop: Runner) -> None:
    shop.ok("aggregate", "apply", "order", "o-1", "order_updated", "--payload", '{"total":"12","firstName":"Ann"}')
    shop.ok("aggregate", "apply", "order", "o-1", "paid", "--stage", env={"DBX_NOW": "2026-01-01T00:00:00Z"})
    later = {"DBX_NOW": "2026-01-09T00:00:00Z"}
    found = shop.ok("lint", "--json", env=later).json["findings"]
    assert [(one["rule"], one["where"]) for one in found] == [
        ("crud-name", "order order_updated"),
        ("field-type", "order.total"),
        ("name-style", "order.firstName"),
        ("old-staging", "default"),
    ]
    assert all(set(one) == {"rule", "where", "what", "why", "command"} for one in found)
    text = shop.ok("lint", env=later).lines
    assert len(text) == 12
    assert (
        text[0] == "order order_updated: 'order_updated' says that something was written, not what happened [crud-name]"
    )
    assert text[2] == "  fix: dbx schema add order WHAT_HAPPENED"
    assert shop("lint", "--strict", env=later).status == 1
    shop.ok("commit")
    assert "old-staging" not in shop.ok("lint", env=later).stdout


def test_schemas(shop: Runner) -> None:
    shop.ok("schema", "create", "order", "--events", "placed")
    shop.ok("schema", "publish", env={"DBX_NOW": "2026-01-01T00:00:00Z"})
    found = shop.ok("lint", "--json", env={"DBX_NOW": "2026-06-01T00:00:00Z"}).json["findings"]
    assert {one["rule"] for one in found} == {"no-allow-list", "no-rules", "restrict-default"}
    shop.ok("schema", "field", "order", "total", "--type", "integer", "--required")
    shop.ok("schema", "alter", "order", "placed", "--set", "total")
    shop.ok("restrict", "strict")
    assert shop.ok("lint", "--strict").stdout == "no findings\n"


def test_hostile_names_cannot_steer_the_terminal(shop: Runner) -> None:
    shop.ok("aggregate", "apply", "order", "o-1", "paid", "--payload", '{"a\\u001b[31mb\\nc":1}')
    text = shop.ok("lint").stdout
    assert "\x1b" not in text
    assert len(text.splitlines()) == 3


def test_bad_input(shop: Runner) -> None:
    assert shop("lint", "x").status == 2
    assert shop("lint", "-d", "nothing").status == 3
    (shop.cwd / ".dbx" / "domains" / "default" / "schemas" / "order.yaml").write_text("aggregate: order\nevent: x\n")
    done = shop("lint")
    assert (done.status, "order.yaml" in done.stderr) == (5, True)


def test_a_remote_is_stale_until_it_is_heard_of(run: Runner) -> None:
    far = run.cwd.parent / "far"
    run.ok("init", str(far))
    run.ok("aggregate", "apply", "order", "o-1", "placed", "--field", "a=b", "--create", cwd=far)
    run.ok("clone", str(far))

    def stale(**environment: str) -> list[str]:
        findings = run.ok("lint", "--json", env=environment).json["findings"]
        return [one["what"] for one in findings if one["rule"] == "stale-remote"]

    assert stale() == []
    late = {"DBX_NOW": "2099-01-01T00:00:00Z"}
    assert len(stale(**late)) == 1
    # A pull that finds nothing new is news of the remote all the same.
    run.ok("pull", env=late)
    assert stale(**late) == []
    run.ok("remote", "add", "other", "../nowhere")
    assert stale(**late) == ["nothing was ever fetched from or pushed to 'other'"]


def test_a_token_that_expired_is_told_until_it_is_revoked(run: Runner) -> None:
    run.ok("init")
    options = ("-g", "ops", "-u", "jane", "--action", "aggregate.read", "--ttl", "60", "--json")
    made = run.ok("token", "generate", *options, env={"DBX_NOW": "2026-11-01T00:00:00Z"}).json

    def told(now: str) -> list[dict[str, str]]:
        found = run.ok("lint", "--json", env={"DBX_NOW": now}).json["findings"]
        return [one for one in found if one["where"] == made["jti"]]

    assert told("2026-11-01T00:00:59Z") == []
    (finding,) = told("2026-11-02T00:00:00Z")
    assert finding["rule"] == "expired-token"
    assert "expired at 2026-11-01T00:01:00" in finding["what"]
    run.ok(*finding["command"].split()[1:])
    assert told("2026-11-02T00:00:00Z") == []


def test_a_plugin_that_is_sent_too_much(shop: Runner) -> None:
    shop.ok("plugin", "config", "http", "--name", "hook", "--endpoint", "https://example.org/")
    assert shop.ok("lint", "--strict").stdout == "no findings\n"
    note = "x" * 6000
    shop.ok("aggregate", "apply", "order", "o-1", "described", "--field", f"note={note}")
    for n in range(40):
        shop.ok("aggregate", "apply", "order", "o-1", "counted", "--field", f"total:={n}", "--stage")
    shop.ok("commit")
    (found,) = shop.ok("lint", "--json").json["findings"]
    assert (found["rule"], found["where"]) == ("payload-mode", "hook")
    assert found["command"] == "dbx plugin config http --name hook … --payload event-only"
    shop.ok(
        "plugin", "config", "http", "--name", "hook", "--endpoint", "https://example.org/", "--payload", "event-only"
    )
    assert shop.ok("lint", "--strict").stdout == "no findings\n"


def test_plugins_that_cannot_be_read(shop: Runner) -> None:
    dek = shop.ok("key", "generate", "--dek").stdout.strip()
    shop.ok("config", "--dek", "-", "--no-store", stdin=dek)
    shop.ok(
        "plugin", "config", "http", "--name", "hook", "--endpoint", "https://example.org/", "--header", "A=secret",
        env={"DBX_DEK": dek},
    )  # fmt: skip
    assert shop.ok("lint").stdout == "no findings\n"  # it is sealed, and the DEK is not there
    (shop.cwd / ".dbx" / "plugins.yaml").chmod(0o644)
    assert shop("lint").status == 6
