"""`dbx key`: keys are made once, kept to oneself, handed around as one line."""

from __future__ import annotations

import base64
import stat

import pytest

from tests.cli.conftest import Runner


@pytest.fixture
def shop(run: Runner) -> Runner:
    run.ok("init")
    return run


def test_a_signing_key(shop: Runner) -> None:
    assert shop.ok("key", "list").stdout == "no keys\n"
    assert shop.ok("key", "list", "--json").json == []
    (vkey,) = shop.ok("key", "generate", "--name", "acme.example/books").lines
    assert vkey.startswith("acme.example/books+")
    assert shop.ok("key", "export").lines == [vkey]
    (listed,) = shop.ok("key", "list", "--json").json
    assert listed["vkey"] == vkey
    assert (listed["role"], listed["kind"], listed["until"], listed["signs"]) == ("own", "signature", None, True)
    again = shop("key", "generate", "--json")
    assert (again.status, again.error["type"]) == (4, "conflict")
    assert shop("key", "generate", "--name", "a b").status == 4
    keys = shop.cwd / ".dbx" / "keys"
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in keys.iterdir())


def test_bad_names(shop: Runner) -> None:
    for name in ("a b", "a+b", "", "x" * 300, "a\nb"):
        assert shop("key", "generate", "--name", name).status in (0, 5), name
        if name:
            assert shop.ok("key", "list", "--json").json == []
        else:
            break


def test_a_data_key_is_printed_and_not_kept(shop: Runner) -> None:
    (first,) = shop.ok("key", "generate", "--dek").lines
    assert len(base64.b64decode(first, validate=True)) == 32
    assert shop.ok("key", "generate", "--dek", "--json").json["dek"] != first
    assert not (shop.cwd / ".dbx" / "keys").exists()
    assert shop("key", "generate", "--dek", "--witness").status == 2


def test_rotation(shop: Runner) -> None:
    first = shop.ok("key", "generate").lines[0]
    witness = shop.ok("key", "generate", "--witness").lines[0]
    rotated = shop.ok("key", "rotate", "--json").json
    assert rotated["old"] == first
    assert shop.ok("key", "export").lines == [rotated["new"]]
    listed = shop.ok("key", "list", "--json").json
    assert {key["vkey"]: key["signs"] for key in listed} == {first: False, witness: True, rotated["new"]: True}
    assert shop.ok("key", "export", first.split("+")[1]).lines == [first]


def test_trust(shop: Runner) -> None:
    vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    assert shop.ok("key", "trust", vkey, "--json").json["role"] == "trusted"
    assert shop("key", "trust", vkey).status == 4
    assert shop.ok("key", "list", "--json").json[0]["role"] == "trusted"
    shop.ok("key", "distrust", "c74f20a3")
    assert shop("key", "distrust", "c74f20a3").status == 3
    for bad in ("", "x", vkey[:-1], vkey.replace("c74f", "c74e"), "é+00000000+AA=="):
        refused = shop("key", "trust", bad, "--json")
        assert refused.status == 5, bad
        assert refused.error["hint"]


def test_private_keys_move_in_sealed_files(shop: Runner, tmp_path) -> None:
    vkey = shop.ok("key", "generate", "--name", "acme").lines[0]
    passphrase = shop.cwd / "pass"
    passphrase.write_text("open sesame\n")
    out = shop.cwd / "acme.pem"
    for wrong in (
        ("--private",),
        ("--private", "--out", str(out)),
        ("--private", "--no-passphrase"),
        ("--private", "--pem", "--no-passphrase", "--out", str(out)),
        ("--no-passphrase",),
        ("--passphrase-file", str(passphrase)),
    ):
        assert shop("key", "export", *wrong).status == 2, wrong
    shop.ok("key", "export", "--private", "--passphrase-file", str(passphrase), "--out", str(out))
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert b"ENCRYPTED" in out.read_bytes()
    other = shop.cwd / "other"
    shop.ok("init", str(other))
    assert shop("-C", str(other), "key", "import", str(out)).status == 10
    wrong_one = shop("-C", str(other), "key", "import", str(out), env={"DBX_PASSPHRASE": "wrong"})
    assert wrong_one.status == 10
    done = shop.ok("-C", str(other), "key", "import", "-", "--name", "acme", stdin=out.read_bytes(),
                   env={"DBX_PASSPHRASE": "open sesame"})  # fmt: skip
    assert done.lines == [vkey]
    third = shop.cwd / "third"
    shop.ok("init", str(third))
    assert shop("-C", str(third), "key", "import", "-", stdin=b"rubbish").status == 5
    assert shop("-C", str(third), "key", "import", str(third / "none")).status == 3


def test_keys_that_others_can_read(shop: Runner) -> None:
    shop.ok("key", "generate")
    (path,) = (shop.cwd / ".dbx" / "keys").glob("*.pem")
    path.chmod(0o644)
    refused = shop("key", "rotate", "--json")
    assert refused.status == 10
    assert "chmod" in refused.error["hint"]
