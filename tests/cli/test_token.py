"""`dbx token`: issued, explained, checked, revoked, refreshed; and `dbx audit-log`, which tells of it."""

from __future__ import annotations

import os
import stat
from typing import Any

import pytest

from tests.cli.conftest import Runner


@pytest.fixture
def run(run: Runner) -> Runner:
    run.ok("init")
    return run


def generate(run: Runner, *options: str) -> dict[str, Any]:
    found: dict[str, Any] = run.ok("token", "generate", "-g", "ops", "-u", "jane", *options, "--json").json
    return found


def test_generate_and_list(run: Runner) -> None:
    assert run.ok("token", "list").stdout == "no issued tokens\n"
    assert run.ok("token", "list", "--json").json == []
    made = generate(run, "--action", "aggregate.read", "--tenant", "Default", "--ttl", "10m", "--write-limit", "3")
    assert made["token"].count(".") == 2
    assert made["tenants"] == ["default"]
    assert made["limits"] == {"write_events": 3, "keep_alive": False}
    assert (made["subject"], made["status"], made["resources"]) == ("ops:jane", "active", ["*"])
    (listed,) = run.ok("token", "list", "--json").json
    assert listed == {key: value for key, value in made.items() if key != "token"}
    shown = run.ok("token", "list").lines
    assert shown[0] == "token=<hidden>"
    assert f"  jti={made['jti']}" in shown


def test_defaults_from_the_environment(run: Runner) -> None:
    env = {"DBX_ACTION": "aggregate.read,schema.read", "DBX_RESOURCE": "aggregate:order:*"}
    made = run.ok("token", "generate", "-g", "ops", "-u", "jane", "--json", env=env).json
    assert made["actions"] == ["aggregate.read", "schema.read"]
    assert made["resources"] == ["aggregate:order:*"]
    assert run("token", "check", made["token"], env=env | {"DBX_RESOURCE": "aggregate:order:o-1"}).status == 0
    assert run("token", "check", made["token"], env=env | {"DBX_RESOURCE": "aggregate:person:p-1"}).status == 6


def test_check_show_and_every_way_to_give_a_token(run: Runner) -> None:
    made = generate(run, "--action", "aggregate.append", "--resource", "aggregate:order:*", "--domain", "default")
    token = made["token"]
    ask = ("--action", "aggregate.append", "--resource", "aggregate:order:o-1")
    (run.cwd / "token.txt").write_text(token + "\n")
    assert run.ok("token", "check", token, *ask).stdout == "yes\n"
    assert run.ok("token", "check", "-", *ask, stdin=token + "\n").stdout == "yes\n"
    assert run.ok("token", "check", "--token-file", "token.txt", *ask).stdout == "yes\n"
    assert run.ok("token", "check", *ask, env={"DBX_TOKEN": token}).stdout == "yes\n"
    assert run.ok("token", "check", *ask, "--json", env={"DBX_TOKEN_FILE": "token.txt"}).json["allowed"] is True
    assert run("token", "check", token, "--action", "aggregate.append", "--resource", "aggregate:person:p").status == 6
    assert run("token", "check", token, "--action", "aggregate.create").status == 6
    assert run("token", "check", token, *ask, "-d", "sales").status == 6
    assert run("token", "check", token, "--action", "aggregate.fly").status == 5
    assert run("token", "check", *ask).status == 2
    shown = run.ok("token", "show", made["jti"]).stdout
    assert "may append events" in shown
    assert "aggregate:order:*" in shown
    assert run.ok("token", "show", token, "--json").json["valid"] is True


def test_revoke_and_refresh(run: Runner) -> None:
    made = generate(run, "--action", "*.*")
    fresh = run.ok("token", "refresh", "--token", made["token"], "--json").json
    assert [one["status"] for one in run.ok("token", "list", "--json").json] == ["revoked", "active"]
    assert run("token", "check", made["token"]).status == 6
    assert run("token", "refresh", made["token"]).status == 6
    assert run("token", "refresh", made["jti"]).status == 6
    done = run.ok("token", "revoke", fresh["jti"], "--reason", "lost", "--json").json
    assert (done["jti"], done["revoked"], done["reason"]) == (fresh["jti"], True, "lost")
    assert fresh["token"] not in str(done)
    assert run.ok("token", "revoke", fresh["token"]).stdout == f"revoked {fresh['jti']}\n"
    assert run.ok("token", "revoke", "--token", fresh["token"]).stdout == f"revoked {fresh['jti']}\n"
    assert run("token", "revoke", fresh["jti"], "--token", fresh["token"]).status == 2
    assert run("token", "revoke", "00000000-0000-4000-8000-000000000000").status == 3
    assert run.ok("token", "show", fresh["jti"], "--json").json["valid"] is False


def test_bootstrap(run: Runner) -> None:
    path = run.cwd / ".dbx" / "cli.token"
    printed = run.ok("token", "bootstrap", "--stdout").stdout.strip()
    assert printed.count(".") == 2
    assert not path.exists()
    assert run.ok("token", "bootstrap").stdout.startswith("Bootstrap token stored at ")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first = path.read_text()
    run.ok("token", "bootstrap")
    assert path.read_text() == first
    run.ok("token", "bootstrap", "--ttl", "60")
    assert path.read_text() != first
    assert run("token", "bootstrap", "--persist").status == 2


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ((), 2),
        (("--action", "aggregate.fly"), 5),
        (("--action", "aggregate.read", "--ttl", "soon"), 2),
        (("--action", "aggregate.read", "--write-limit", "-1"), 2),
        (("--action", "aggregate.read", "--domain", "../x"), 5),
        (("--action", "aggregate.read", "--not-before", "tomorrow"), 5),
        (("--action", "aggregate.read", "--resource", "x" * 300), 5),
    ],
)
def test_what_no_token_can_say(run: Runner, options: tuple[str, ...], status: int) -> None:
    assert run("token", "generate", "-g", "ops", "-u", "jane", *options).status == status
    assert not (run.cwd / ".dbx" / "tokens.json").exists()


def test_a_token_whose_time_has_not_come_or_is_over(run: Runner) -> None:
    made = generate(run, "--action", "*.*", "--not-before", "2099-01-01T00:00:00Z")
    assert run("token", "check", made["token"]).status == 6
    old = run.ok(
        *("token", "generate", "-g", "a", "-u", "b", "--action", "*.*", "--json"),
        env={"DBX_NOW": "2026-01-01T00:00:00Z"},
    ).json
    assert run("token", "check", old["token"]).status == 6
    assert run("token", "check", old["token"], env={"DBX_NOW": "2026-01-01T01:00:29Z"}).status == 0
    assert run("token", "check", old["token"], env={"DBX_NOW": "2026-01-01T01:01:01Z"}).status == 6


def test_every_error_is_silent_about_the_token(run: Runner) -> None:
    token = generate(run, "--action", "aggregate.read")["token"]
    for bad in (token[:-1], token + "A", token.replace("e", "f", 1), f"{token}.x", f"{token.rpartition('.')[0]}."):
        for command in ("check", "show", "revoke", "refresh"):
            done = run("token", command, bad)
            assert done.status == 6, (command, done)
            assert bad[:40] not in done.stdout + done.stderr


def test_the_audit_trail_tells_of_tokens(run: Runner) -> None:
    made = generate(run, "--action", "aggregate.read")
    run.ok("token", "revoke", made["jti"], "--reason", "lost")
    entries = run.ok("audit-log", "--json").json
    assert [one["event"] for one in entries] == ["key.generate", "token.issue", "token.revoke"]
    assert entries[2]["details"] == {"jti": made["jti"], "reason": "lost"}
    assert [one["n"] for one in run.ok("audit-log", "-n", "1", "--json").json] == [2]
    assert run.ok("audit-log", "--since", "2099-01-01", "--json").json == []
    assert "token.revoke" in run.ok("audit-log").lines[2]
    assert run.ok("audit-log", "--verify", "--json").json["entries"] == 3
    assert run.ok("audit-log", "checkpoint", "--sign", "--out", "a.note").stdout == "wrote 'a.note'\n"
    assert run.ok("audit-log", "checkpoint").lines[1] == "3"
    log = run.cwd / ".dbx" / "audit.jsonl"
    os.truncate(log, log.stat().st_size - 10)
    assert run("audit-log", "--verify").status == 7
    assert run("token", "revoke", made["jti"]).status == 0
    assert run("token", "generate", "-g", "a", "-u", "b", "--action", "*.*").status == 7
    assert run("audit-log", "--verify", "-n", "2").status == 2


def test_the_audit_trail_tells_of_everything_that_is_no_commit(run: Runner) -> None:
    run.ok("aggregate", "apply", "order", "o-1", "placed", "--create", "--field", "card=4111")
    run.ok("init", "far", "--json")
    secret = ("--endpoint", "https://example.org/sEcReT?a=sEcReT", "--header", "A=sEcReT", "--hmac-key", "sEcReT")
    done = [
        (("config", "user.name", "ann"), "config.set"),
        (("restrict", "off"), "config.set"),
        (("key", "generate"), "key.generate"),
        (("key", "rotate"), "key.rotate"),
        (("tag", "v1"), "tag.create"),
        (("tag", "-d", "v1"), "tag.delete"),
        (("remote", "add", "origin", "far", "--token", "sEcReT-token"), "remote.add"),
        (("push",), None),
        (("remote", "remove", "origin"), "remote.remove"),
        (("aggregate", "apply", "order", "o-1", "paid"), None),
        (("undo", "--yes"), "ref.undo"),
        (("checkout", "-c", "sales"), "domain.create"),
        (("domain", "rename", "sales", "shop"), "domain.rename"),
        (("checkout", "default"), None),
        (("checkout", "shop", "--delete", "--force"), "domain.delete"),
        (("plugin", "config", "http", "--name", "hook", *secret), "plugin.config"),
        (("plugin", "config", "log", "--name", "audit", "--file", "lines"), "plugin.config"),
        (("plugin", "enable", "audit"), None),
        (("plugin", "disable", "audit"), "plugin.disable"),
        (("plugin", "enable", "audit"), "plugin.enable"),
        (("plugin", "replay", "audit", "order", "--dry-run"), None),
        (("plugin", "replay", "audit", "order", "o-1"), "plugin.replay"),
        (("plugin", "remove", "hook", "--disable"), "plugin.remove"),
    ]
    for words, _ in done:
        run.ok(*words)
    entries = run.ok("audit-log", "--json").json
    assert [one["event"] for one in entries] == [event for _, event in done if event is not None]
    assert run.ok("audit-log", "--verify", "--json").json["ok"] is True
    assert entries[-6]["details"]["to"] == "https://example.org"
    assert entries[-2]["details"] == {"plugin": "audit", "aggregate_type": "order", "aggregate_id": "o-1"}
    (pushed,) = run.ok("audit-log", "--json", cwd=run.cwd / "far").json
    assert pushed["event"] == "ref.push"
    trail = (run.cwd / ".dbx" / "audit.jsonl").read_text()
    assert "sEcReT" not in trail
    assert "4111" not in trail


def test_the_stored_token_is_sealed_where_the_workspace_seals(run: Runner) -> None:
    path = run.cwd / ".dbx" / "cli.token"
    run.ok("token", "bootstrap")
    token = path.read_text().strip()
    assert token.count(".") == 2
    dek = run.ok("key", "generate", "--dek").stdout.strip()
    key = {"DBX_DEK": dek}
    run.ok("config", "--dek", dek, "--no-store", env=key)
    sealed = path.read_text()
    assert token not in sealed
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    run.ok("token", "bootstrap", env=key)
    assert path.read_text() == sealed
    assert run("token", "bootstrap").status == 10
    run.ok("config", "auth.required", "true", env=key)
    run.ok("status", env=key)
    run.ok("key", "rotate", "--data", env=key)
    run.ok("gc", "--reseal", env=key)
    assert path.read_text() != sealed
    run.ok("status", env=key)
