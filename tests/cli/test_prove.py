"""`dbx prove` and `dbx verify-proof`: a file and a key, nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from dbx.formats.proof import encode_proof
from dbx.repo.evidence.proofs import Prover
from tests.cli.conftest import DBX, Runner
from tests.history import fill, open_repository


@pytest.fixture
def shop(run: Runner) -> Runner:
    run.ok("init")
    fill(run.cwd, 3)
    (run.cwd / "key").write_text(run.ok("key", "generate", "--name", "acme").stdout)
    return run


PROOFS = [
    ("event", "order/all@2"),
    ("event", "order/all@3", "--redact"),
    ("aggregate", "order/all"),
    ("aggregate", "order/all", "--events"),
    ("aggregate", "order/all", "--events", "--redact"),
    ("absent", "order/none"),
    ("consistency", "1"),
    ("consistency", "HEAD~1", "HEAD"),
    ("consistency", "1", "--aggregate", "order/all"),
    ("consistency", "1", "2", "--aggregate", "order/all"),
]


@pytest.mark.parametrize("arguments", PROOFS, ids=" ".join)
def test_proofs_hold_elsewhere(shop: Runner, arguments: tuple[str, ...]) -> None:
    shop.ok("prove", *arguments, "--out", "proof.json")
    vkey = (shop.cwd / "key").read_text().strip()
    path = str(shop.cwd / "proof.json")
    found = shop.ok("verify-proof", path, "--key", vkey, "--json", cwd=shop.home).json
    assert found["verified"] is True
    assert found["reason"] is None
    assert found["signers"] == ["acme"]
    assert all(link["holds"] in (True, None) for link in found["links"])
    assert shop.ok("verify-proof", path).lines[-1] == "verified"
    stranger = shop("verify-proof", path, "--json", cwd=shop.home)
    assert (stranger.status, stranger.json["reason"]) == (7, "unknown-key")


def test_by_event_id_on_standard_output(shop: Runner) -> None:
    event = shop.ok("events", "order", "all", "--json").json[1]
    event_id = event["metadata"]["event_id"] if "event_id" in event["metadata"] else event["event_id"]
    proof = shop.ok("prove", "event", event_id).stdout
    assert shop.ok("verify-proof", "-", stdin=proof).lines[-1] == "verified"
    assert json.loads(json.loads(proof)["envelope"])["event_id"] == event_id


def test_redacted_proofs_hold_no_body(shop: Runner) -> None:
    proof = json.loads(shop.ok("prove", "event", "order/all@1", "--redact").stdout)
    assert proof["body"] is None
    assert "salt" not in json.dumps(proof)


def test_tampering_is_named(shop: Runner) -> None:
    proof = json.loads(shop.ok("prove", "event", "order/all@1").stdout)
    for member, text in (("body", proof["body"].replace("{}", '{"a":1}')), ("envelope", proof["envelope"][:-2] + "2}")):
        changed = {**proof, member: text}
        del changed["sum"]
        forged = subprocess.run(
            ["python3", "-c", _RESUM], input=json.dumps(changed), capture_output=True, text=True, check=True
        ).stdout
        found = shop("verify-proof", "-", "--json", stdin=forged)
        assert (found.status, found.json["reason"]) == (7, "changed"), member
    broken = shop("verify-proof", "-", "--json", stdin=json.dumps({**proof, "body": None}))
    assert broken.status == 7
    assert broken.error["message"]


_RESUM = """
import sys, json, hashlib
d = json.load(sys.stdin)
write = lambda: json.dumps(d, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
d["sum"] = hashlib.sha256(write().encode()).hexdigest()
sys.stdout.write(write() + "\\n")
"""


def test_what_cannot_be_proven(shop: Runner) -> None:
    for arguments, status in (
        (("event", "order/all@9"), 3),
        (("event", "order/none@1"), 3),
        (("event", "123"), 3),
        (("event", "order/all"), 5),
        (("event", "order/all@x"), 5),
        (("event", "abc"), 5),
        (("aggregate", "order/none"), 3),
        (("aggregate", "order"), 5),
        (("aggregate", "Order/x"), 5),
        (("absent", "order/all"), 5),
        (("consistency", "9"), 3),
        (("consistency", "0"), 3),
        (("consistency", "2", "1"), 3),
        (("consistency", "x", "--aggregate", "order/all"), 5),
        (("consistency", "2", "1", "--aggregate", "order/all"), 3),
        (("consistency",), 2),
    ):
        done = shop("prove", *arguments)
        assert done.status == status, (arguments, done)
        assert done.stdout == ""


def test_what_is_no_proof(shop: Runner) -> None:
    for data in ("", "{}", "[]", "null", '{"format":"dbx-proof/9"}\n', "x" * 1000, "[" * 100_000, "\0"):
        done = shop("verify-proof", "-", stdin=data)
        assert done.status == 7, data[:20]


def test_a_changed_file_says_so(shop: Runner) -> None:
    shop.ok("prove", "event", "order/all@2", "--out", "p.json")
    text = (shop.cwd / "p.json").read_text()
    (shop.cwd / "p.json").write_text(text.replace('"version', '"Version', 1))
    assert shop("verify-proof", "p.json", "--json").error["details"]["reason"] == "changed"


def test_unsigned(run: Runner) -> None:
    run.ok("init")
    fill(run.cwd, 1)
    repository = open_repository(run.cwd)
    made = Prover(repository.domain()).prove_event(0)
    (run.cwd / "p.json").write_bytes(encode_proof(made))
    repository.close()
    found = run("verify-proof", "p.json", "--json")
    assert (found.status, found.json["reason"]) == (7, "unsigned")


def test_against_a_checkpoint_that_was_signed_before(shop: Runner) -> None:
    shop.ok("checkpoint", "--sign", "--out", "cp")
    fill(shop.cwd, 1)
    shop.ok("prove", "event", "order/all@1", "--checkpoint", "cp", "--out", "p.json")
    assert shop.ok("verify-proof", "p.json", "--checkpoint", "cp").lines[-1] == "verified"
    shop.ok("checkpoint", "--sign", "--out", "newer")
    stale = shop("verify-proof", "p.json", "--checkpoint", "newer", "--json")
    assert (stale.status, stale.json["reason"]) == (7, "stale")
    assert shop("prove", "aggregate", "order/all", "--checkpoint", "cp").status == 5
    assert shop("prove", "consistency", "1", "2", "--checkpoint", "cp").status == 2
    shop.ok("checkout", "-c", "other")
    fill(shop.cwd, 1)
    assert shop("prove", "event", "order/all@1", "--checkpoint", "cp").status in (3, 5)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_verifying_opens_no_socket(shop: Runner) -> None:
    shop.ok("prove", "event", "order/all@1", "--out", "p.json")
    trace = shop.cwd / "trace"
    done = subprocess.run(
        ["strace", "-f", "-e", "trace=network", "-o", str(trace), DBX, "verify-proof", "p.json"],
        cwd=shop.cwd,
        env=shop.environment(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    assert "socket(" not in trace.read_text()
