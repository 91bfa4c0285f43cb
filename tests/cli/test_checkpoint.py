"""`dbx checkpoint` and `dbx witness`: what is signed is never contradicted, here or by a second office."""

from __future__ import annotations

import shutil

import pytest

from tests.cli.conftest import Runner
from tests.history import append, fill, open_repository


@pytest.fixture
def shop(run: Runner) -> Runner:
    run.ok("init")
    fill(run.cwd, 3)
    return run


def more(shop: Runner, name: str) -> None:
    repository = open_repository(shop.cwd)
    append(repository.domain(), name)
    repository.close()


def test_unsigned(shop: Runner) -> None:
    lines = shop.ok("checkpoint").lines
    assert lines[0].startswith("dbx/")
    assert lines[1] == "3"
    assert len(lines) == 3
    found = shop.ok("checkpoint", "HEAD~1", "--json").json
    assert (found["size"], found["signer"]) == (2, None)
    assert shop("checkpoint", "none").status == 3


def test_the_first_signature_makes_the_key(shop: Runner) -> None:
    made = shop.ok("checkpoint", "--sign", "-o", "cp")
    (vkey,) = shop.ok("key", "export").lines
    assert made.stderr == f"dbx: made a key for this workspace to sign with: {vkey}\n"
    assert shop.ok("checkpoint", "verify", "cp", "--key", vkey, "--json").json["signers"] == ["work"]
    assert shop.ok("checkpoint", "--sign", "--output", "again").stderr == ""
    assert "key.generate" in shop.ok("audit-log").stdout
    for path in (shop.cwd / ".dbx/keys").glob("signing-*"):
        path.chmod(0o644)
    assert shop("checkpoint", "--sign").status == 10


def test_a_key_that_is_exported_before_anything_is_signed(shop: Runner) -> None:
    (vkey,) = shop.ok("key", "export").lines
    shop.ok("prove", "absent", "order", "none", "-o", "absent.json")
    shop.ok("prove", "event", "order", "all@1", "--output", "event.json")
    shop.ok("prove", "aggregate", "--aggregate", "order", "--aggregate-id", "all", "--out", "all.json")
    shop.ok("prove", "consistency", "1", "2", "--aggregate", "order", "--id", "all", "--out", "growth.json")
    for name in ("absent", "event", "all", "growth"):
        assert shop.ok("verify-proof", f"{name}.json", "--key", vkey).lines[-1] == "verified"
    assert shop("prove", "aggregate", "order", "all", "more").status == 2
    assert shop("prove", "consistency", "1", "2", "--id", "all").status == 2


def test_signed_and_verified_anywhere(shop: Runner) -> None:
    vkey = shop.ok("key", "generate", "--name", "acme").lines[0]
    shop.ok("checkpoint", "--sign", "--out", "cp")
    outside = shop.cwd / "elsewhere"
    outside.mkdir()
    found = shop.ok("checkpoint", "verify", str(shop.cwd / "cp"), "--key", vkey, "--json", cwd=outside).json
    assert (found["size"], found["signers"], found["domain"]) == (3, ["acme"], "default")
    bare = shop.home
    found = shop.ok(
        "checkpoint", "verify", "-", "--key", vkey, "--json", cwd=bare, stdin=(shop.cwd / "cp").read_bytes()
    )
    assert found.json["domain"] is None
    refused = shop("checkpoint", "verify", str(shop.cwd / "cp"), "--json", cwd=bare)
    assert (refused.status, refused.error["details"]["reason"]) == (7, "unknown-key")
    more(shop, "later")
    assert shop.ok("checkpoint", "verify", "cp", "--json").json["state"] == "older"
    assert "has grown since" in shop.ok("checkpoint", "verify", "cp").stdout
    data = (shop.cwd / "cp").read_text()
    for bad in (data.replace("\n3\n", "\n4\n"), data[:-10], "", "x" * 2_000_000, data.split("\n\n")[0] + "\n"):
        assert shop("checkpoint", "verify", "-", stdin=bad).status in (5, 7)
    assert shop("checkpoint", "verify", "cp", "--key", "x").status == 5
    assert (
        shop("checkpoint", "verify", "cp", "--witness-policy", "1", "--json").error["details"]["reason"] == "unsigned"
    )


def test_an_older_copy_cannot_be_signed(shop: Runner) -> None:
    shop.ok("key", "generate")
    domain = shop.cwd / ".dbx" / "domains" / "default"
    shutil.copytree(domain, shop.cwd / "copy")
    more(shop, "real")
    shop.ok("checkpoint", "--sign")
    shutil.rmtree(domain)
    (shop.cwd / "copy").rename(domain)
    more(shop, "other")
    refused = shop("checkpoint", "--sign", "--json")
    assert (refused.status, refused.error["details"]["reason"]) == (7, "forked")
    assert "signed before" in refused.error["message"]


def test_a_second_office(shop: Runner) -> None:
    vkey = shop.ok("key", "generate", "--name", "acme").lines[0]
    for name in ("one", "two"):
        shop.ok("checkpoint", "--sign", "--out", f"{name}.note")
        shop.ok("prove", "consistency", "3", "--out", f"{name}.json")
        more(shop, name)
    office = shop.cwd / "office"
    shop.ok("init", str(office))

    def witness(name: str, *options: str):
        return shop("-C", str(office), "witness", "sign", f"{name}.note", *options, "--json")

    assert witness("one").status == 10
    shop.ok("-C", str(office), "key", "generate", "--witness", "--name", "office")
    assert witness("one").error["details"]["reason"] == "unknown-key"
    assert witness("one", "--key", vkey, "--out", "one-cosigned.note").json["seen_size"] is None
    shop.ok("-C", str(office), "key", "trust", vkey)
    assert witness("one").status == 0
    needed = witness("two")
    assert (needed.status, needed.error["details"]["seen_size"]) == (4, 3)
    assert witness("two", "--proof", "one.json").error["details"]["reason"] == "forked"
    assert witness("two", "--proof", "two.json", "--out", "two-cosigned.note").json["seen_size"] == 3
    assert witness("one").error["details"]["reason"] == "stale"
    cosigner = shop.ok("-C", str(office), "key", "list", "--json").json[0]["vkey"]
    found = shop.ok("checkpoint", "verify", "two-cosigned.note", "--key", vkey, "--key", cosigner,
                    "--witness-policy", "1", "--json").json  # fmt: skip
    assert [one["name"] for one in found["witnesses"]] == ["office"]
    only = shop("checkpoint", "verify", "two-cosigned.note", "--key", cosigner, "--json")
    assert only.error["details"]["reason"] == "unknown-key"
    assert witness("two", "--proof", str(shop.cwd / "two.note")).status == 7
