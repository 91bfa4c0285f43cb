"""`dbx attest`: what was found is signed, good or bad."""

from __future__ import annotations

import base64
import json

import pytest

from tests.cli.conftest import Runner
from tests.history import fill


@pytest.fixture
def shop(run: Runner) -> Runner:
    run.ok("init")
    fill(run.cwd, 3)
    return run


def test_a_sound_domain(shop: Runner) -> None:
    vkey = shop.ok("key", "generate", "--name", "acme").lines[0]
    assert shop.ok("attest", "list").stdout == "no attestations\n"
    found = shop.ok("attest", "--out", "a.json", "--json", env={"DBX_ACTOR": "audit:jane"}).json
    assert (found["result"], found["events"], found["findings"]) == ("passed", 6, 0)
    assert found["verifier"] == {"group": "audit", "user": "jane"}
    (listed,) = shop.ok("attest", "list", "--json").json
    assert listed["signers"] == [vkey]
    shown = shop.ok("attest", "verify", str(shop.cwd / "a.json"), "--key", vkey, "--json", cwd=shop.home).json
    assert shown["root"] == found["root"]
    refused = shop("attest", "verify", str(shop.cwd / "a.json"), "--json", cwd=shop.home)
    assert (refused.status, refused.error["details"]["reason"]) == (7, "unknown-key")
    statement = json.loads(base64.b64decode(json.loads((shop.cwd / "a.json").read_text())["payload"]))
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert shop("attest", "verify", "-", stdin="{}").status == 7


def test_damage_is_attested_too(shop: Runner) -> None:
    shop.ok("key", "generate")
    shop.ok("gc")
    (segment,) = (shop.cwd / ".dbx" / "domains" / "default" / "segments").iterdir()
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.chmod(0o600)
    segment.write_bytes(data)
    done = shop("attest", "--json")
    assert done.status == 7
    assert done.json["result"] == "failed"
    assert done.json["findings"] > 0
    assert shop.ok("attest", "list", "--json").json[0]["result"] == "failed"
