"""What a token lets a command do: asked of the installed command, with tokens of every kind."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.cli.conftest import Outcome, Runner

RACERS = 8


@pytest.fixture
def run(run: Runner) -> Runner:
    run.ok("init")
    for kind, name in (("order", "o-1"), ("order", "o-2"), ("person", "p-1")):
        run.ok("aggregate", "apply", kind, name, "made", "--create", "--field", "a=1")
    return run


def issue(run: Runner, *options: str, **also: Any) -> str:
    found = run.ok("token", "generate", "-g", "ops", "-u", "jane", *options, "--json", **also).json
    return str(found["token"])


def act(run: Runner, token: str, *arguments: str, **also: Any) -> Outcome:
    return run(*arguments, env={"DBX_TOKEN": token}, **also)


def apply(run: Runner, token: str, kind: str, name: str, *options: str) -> Outcome:
    return act(run, token, "aggregate", "apply", kind, name, "changed", "--field", "a=2", *options, "--json")


def test_events_and_commits_name_the_holder(run: Runner) -> None:
    token = issue(run, "--action", "aggregate.*")
    event = apply(run, token, "order", "o-1").json
    assert event["issued_by"] == {"group": "ops", "user": "jane"}
    commit = run.ok("show", "HEAD", "--json").json
    (listed,) = run.ok("token", "list", "--json").json
    assert commit["actor"] == {"group": "ops", "user": "jane", "token": listed["jti"]}
    act(run, token, "aggregate", "apply", "order", "o-1", "changed", "--stage", "--field", "a=3")
    assert act(run, token, "commit").status == 0
    assert run.ok("show", "HEAD", "--json").json["actor"]["token"] == listed["jti"]


@pytest.mark.parametrize("how", ["--token", "-", "--token-file", "DBX_TOKEN", "DBX_TOKEN_FILE"])
def test_every_way_to_give_a_token(run: Runner, how: str) -> None:
    token = issue(run, "--action", "schema.read")
    (run.cwd / "token.txt").write_text(token + "\n")
    words, env, stdin = ("aggregate", "get", "order", "o-1"), {}, ""
    if how == "-":
        words, stdin = (*words, "--token", "-"), token
    elif how.startswith("--"):
        words = (*words, how, token if how == "--token" else "token.txt")
    else:
        env = {how: token if how == "DBX_TOKEN" else "token.txt"}
    assert run(*words, env=env, stdin=stdin).status == 6


def test_resources_bound_what_is_read_and_written(run: Runner) -> None:
    token = issue(run, "--action", "aggregate.*", "--resource", "aggregate:order:*")
    assert act(run, token, "aggregate", "get", "order", "o-1").status == 0
    assert act(run, token, "aggregate", "get", "person", "p-1").status == 6
    listed = act(run, token, "aggregate", "list", "--json").json
    assert [one["aggregate_id"] for one in listed] == ["o-1", "o-2"]
    assert len(act(run, token, "aggregate", "list", "--take", "1", "--json").json) == 1
    events = act(run, token, "events", "--json").json
    assert {one["aggregate_type"] for one in events} == {"order"}
    event = run.ok("events", "person", "p-1", "--json").json[0]["event_id"]
    assert act(run, token, "events", event).status == 6
    assert apply(run, token, "person", "p-1").status == 6
    assert apply(run, token, "order", "o-1").status == 0
    for words in (
        ("log",),
        ("show", "HEAD"),
        ("diff",),
        ("aggregate", "export", "order", "-o", "x.csv"),
        ("root", "export", "x"),
    ):
        assert act(run, token, *words).status == 6, words


def test_staged_events_are_checked_when_they_are_committed(run: Runner) -> None:
    token = issue(run, "--action", "aggregate.*", "--resource", "aggregate:order:*")
    line = {"aggregate_type": "person", "aggregate_id": "p-1", "event_type": "changed", "payload": {}}
    run.ok("aggregate", "apply", "--stage", "--from", "-", stdin=json.dumps(line) + "\n")
    head = run.ok("root", "--json").stdout
    assert act(run, token, "commit").status == 6
    assert run.ok("root", "--json").stdout == head
    assert len(run.ok("staged", "--json").json) == 1
    run.ok("commit")


@pytest.mark.parametrize(
    ("actions", "allowed"),
    [
        (["aggregate.read"], {"get"}),
        (["aggregate.append"], {"apply"}),
        (["aggregate.create"], set()),
        (["aggregate.create", "aggregate.append"], {"apply", "create"}),
        (["aggregate.archive"], {"archive"}),
        (["schema.read"], {"schemas"}),
        (["schema.*"], {"schemas", "schema"}),
        (["admin.config"], {"config", "restrict"}),
        (["admin.domain"], {"checkout", "tag"}),
        (["admin.key"], {"key"}),
        (["tenant.manage"], set()),
        (["*.*"], {"get", "apply", "create", "archive", "schemas", "schema", "config", "restrict", "checkout"}),
    ],
)
def test_each_action_opens_its_commands_and_no_other(run: Runner, actions: list[str], allowed: set[str]) -> None:
    token = issue(run, *(word for action in actions for word in ("--action", action)))
    commands = {
        "get": ("aggregate", "get", "order", "o-1"),
        "apply": ("aggregate", "apply", "order", "o-1", "changed"),
        "create": ("aggregate", "create", "order", "o-9", "--event", "made"),
        "archive": ("aggregate", "archive", "order", "o-2"),
        "schemas": ("schema", "list"),
        "schema": ("schema", "create", "order", "--events", "made,changed"),
        "config": ("config", "user.name", "x"),
        "restrict": ("restrict", "off"),
        "tag": ("tag", "v1"),
        "checkout": ("checkout", "-c", "other"),
        "key": ("key", "generate", "--witness"),
    }
    if actions == ["*.*"]:
        allowed = set(commands)
    found = {name: act(run, token, *words).status for name, words in commands.items()}
    assert found == {name: 0 if name in allowed else 6 for name in commands}


def test_create_is_asked_for_where_an_append_makes_an_aggregate(run: Runner) -> None:
    token = issue(run, "--action", "aggregate.append")
    assert apply(run, token, "order", "o-7", "--create").status == 6
    assert run("aggregate", "get", "order", "o-7").status == 3


def test_domains_and_environments(run: Runner) -> None:
    run.ok("checkout", "-c", "sales")
    token = issue(run, "--action", "*.*", "--domain", "sales")
    assert act(run, token, "status").status == 0
    assert act(run, token, "status", "-d", "default").status == 6
    run.ok("config", "env", "production")
    other = issue(run, "--action", "*.*", "--env", "staging")
    same = issue(run, "--action", "*.*", "--env", "production")
    assert act(run, same, "status").status == 0
    assert act(run, other, "status").status == 6
    assert act(run, other, "status", "--cross-env").status == 0


def test_revoked_is_revoked_in_every_domain(run: Runner) -> None:
    token = issue(run, "--action", "*.*")
    run.ok("checkout", "-c", "sales")
    assert act(run, token, "status", "-d", "default").status == 0
    run.ok("token", "revoke", token)
    for domain in ("default", "sales"):
        refused = act(run, token, "status", "-d", domain)
        assert refused.status == 6
        assert token[:30] not in refused.stderr


def test_a_required_token(run: Runner) -> None:
    run.ok("config", "auth.required", "true")
    assert run("status").status == 6
    assert run.ok("version").status == 0
    run.ok("token", "bootstrap")
    assert run("status").status == 0
    assert run("config", "--unset", "auth.required").status == 0
    (run.cwd / ".dbx" / "cli.token").unlink()
    assert run("status").status == 0


def test_a_token_issues_no_wider_one(run: Runner) -> None:
    token = issue(run, "--action", "admin.token", "--action", "aggregate.read")
    words = ("token", "generate", "-g", "a", "-u", "b", "--action")
    assert act(run, token, *words, "aggregate.read").status == 0
    for action in ("aggregate.append", "aggregate.*", "*.*"):
        assert act(run, token, *words, action).status == 6
    assert act(run, token, "token", "bootstrap").status == 6
    plain = issue(run, "--action", "aggregate.*")
    assert act(run, plain, *words, "aggregate.read").status == 6
    assert act(run, plain, "token", "list").status == 6


def test_the_write_limit_is_exact_when_many_race(run: Runner) -> None:
    run.ok("checkout", "-c", "sales")
    run.ok("aggregate", "apply", "order", "o-1", "made", "--create")
    token = issue(run, "--action", "aggregate.append", "--write-limit", "5")

    def race(n: int) -> list[int]:
        domain = ("default", "sales")[n % 2]
        return [
            act(run, token, "aggregate", "apply", "order", "o-1", "changed", "-d", domain, "--wait", "60").status
            for _ in range(2)
        ]

    with ThreadPoolExecutor(RACERS) as pool:
        statuses = [status for found in pool.map(race, range(RACERS)) for status in found]
    assert sorted(statuses) == [0] * 5 + [6] * (2 * RACERS - 5)
    written = [
        one
        for domain in ("default", "sales")
        for one in run.ok("events", "--json", "-d", domain).json
        if one["issued_by"] == {"group": "ops", "user": "jane"}
    ]
    assert len(written) == 5
    (run.cwd / ".dbx" / "uses.json").unlink()
    assert apply(run, token, "order", "o-1").status == 6


def test_a_batch_over_the_limit_is_refused_whole(run: Runner) -> None:
    token = issue(run, "--action", "aggregate.append", "--write-limit", "2")
    for n in range(3):
        run.ok("aggregate", "apply", "order", "o-1", "changed", "--stage", "--field", f"a={n}")
    assert act(run, token, "commit").status == 6
    assert len(run.ok("events", "order", "o-1", "--json").json) == 1
    run.ok("reset", "--yes")
    assert apply(run, token, "order", "o-1").status == 0


def test_refresh_hands_on_what_is_left_to_write(run: Runner) -> None:
    token = issue(run, "--action", "aggregate.append", "--write-limit", "3")
    assert apply(run, token, "order", "o-1").status == 0
    fresh = run.ok("token", "refresh", token, "--json").json
    assert fresh["limits"]["write_events"] == 2


def test_every_flipped_bit_is_refused(run: Runner) -> None:
    """Through the command line for all of them, in one process; some through the installed command."""
    token = issue(run, "--action", "aggregate.read").encode()
    words = ("aggregate", "get", "order", "o-1", "--token-file", "flipped")
    driver = (
        "import sys\n"
        "from dbx.cli.main import main\n"
        "token = bytes.fromhex(sys.stdin.read())\n"
        "for bit in range(len(token) * 8):\n"
        "    flipped = bytearray(token)\n"
        "    flipped[bit // 8] ^= 1 << bit % 8\n"
        "    with open('flipped', 'wb') as file:\n"
        "        file.write(flipped)\n"
        f"    if main({list(words)!r}) != 6:\n"
        "        sys.exit(bit + 1000)\n"
        "print('refused', bit + 1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", driver],
        input=token.hex().encode(),
        capture_output=True,
        cwd=run.cwd,
        env=run.environment(),
        timeout=300,
        check=False,
    )
    assert done.stdout.decode() == f"refused {len(token) * 8}\n", done
    assert b"Traceback" not in done.stderr
    assert token[:40] not in done.stderr
    (run.cwd / "flipped").write_bytes(token[:-1] + bytes([token[-1] ^ 4]))
    assert run(*words).status == 6
    (run.cwd / "flipped").write_bytes(token)
    assert run(*words).status == 0


def test_a_remote_of_another_environment_is_not_reached(run: Runner) -> None:
    run.ok("init", "../far")
    run.ok("remote", "add", "origin", "../far", "--env", "production")
    assert run.ok("remote", "show", "--json").json["env"] == "production"
    assert run("push").status == 6
    run.ok("config", "env", "staging")
    assert run("push").status == 6
    run.ok("push", "--cross-env")
    run.ok("config", "env", "production")
    run.ok("fetch")
    staging = issue(run, "--action", "*.*", "--env", "staging")
    assert run("fetch", "--token", staging).status == 6
    run.ok("fetch", "--token", staging, "--cross-env")
