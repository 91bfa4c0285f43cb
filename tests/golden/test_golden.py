"""Repositories written by dbx 0.1, frozen: every later dbx must read them, and go on writing them."""

from __future__ import annotations

import base64
import itertools
import json
import pathlib
import shutil
import subprocess
import sys

import pytest

from dbx.formats.envelope import Actor
from dbx.repo import query
from dbx.repo.batch.commit import commit_staged
from dbx.repo.batch.staging import find_batch, staged_events
from dbx.repo.repository import Repository
from dbx.repo.vault.keyring import DEK, KEYRING, KEYS
from dbx.repo.writer import Append, Appender
from tests.reader import data_keys, read

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "fixtures" / "repositories" / "v1"
NAMES = sorted(path.stem for path in GOLDEN.glob("*.json"))
JANE = Actor("ops", "jane")


def opened(name: str, tmp_path: pathlib.Path) -> Repository:
    """A workspace whose default domain is a copy of a golden one."""
    ticks = itertools.count(1_800_000_000_000_000, 1_000_137)
    repository, _ = Repository.init(str(tmp_path), clock=lambda: next(ticks))
    target = tmp_path / ".dbx" / "domains" / "default"
    shutil.rmtree(target)
    shutil.copytree(GOLDEN / name, target)
    for part in ("segments", "manifests", "refs/heads", "schemas"):
        (target / part).mkdir(parents=True, exist_ok=True)  # git keeps no empty directories
    told = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    if "dek" in told:
        repository.directory.make(KEYS)
        repository.directory.write(KEYRING, told["keyring"].encode())
        repository.directory.write(DEK, told["dek"].encode() + b"\n")
    return repository


def keys_of(base: pathlib.Path, name: str) -> dict[bytes, bytes]:
    """What opens the sealed bodies of a golden repository."""
    told = json.loads((base / f"{name}.json").read_text(encoding="utf-8"))
    return data_keys(told["keyring"], base64.b64decode(told["dek"])) if "dek" in told else {}


def test_there_are_some() -> None:
    assert len(NAMES) >= 6


@pytest.mark.parametrize("name", NAMES)
def test_it_reads_as_it_did(name: str, tmp_path: pathlib.Path) -> None:
    told = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    domain = opened(name, tmp_path).domain()
    head = domain.sync().head
    assert (head.commit.hex() or None, head.seq, head.position, head.root.hex()) == (
        told["commit"],
        told["seq"],
        told["events"],
        told["index"],
    )
    assert {
        f"{a.aggregate_type}/{a.aggregate_id}": [a.version, a.root, a.state, a.extensions, a.archived]
        for a in query.iterate_aggregates(domain, archived=None)
    } == told["aggregates"]
    assert [event.hash for event in query.iterate_events(domain)] == told["event_hashes"]


@pytest.mark.parametrize("name", NAMES)
def test_the_independent_reader_agrees(name: str) -> None:
    told = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    log = read(GOLDEN / name, keys_of(GOLDEN, name))
    assert log.index == told["index"]
    assert (log.commit_ids[-1] if log.commit_ids else None) == told["commit"]
    assert log.torn == (name == "torn")


@pytest.mark.parametrize("name", NAMES)
def test_it_can_be_written_on(name: str, tmp_path: pathlib.Path) -> None:
    domain = opened(name, tmp_path).domain()
    before = domain.sync().head
    fresh = {"aggregate_type": "order", "aggregate_id": "o-new", "event_type": "order_placed", "payload": {"n": 1}}
    Appender(domain).append(Append([fresh], issued_by=JANE, existence="new"))
    log = read(domain.directory.path, keys_of(GOLDEN, name))
    assert (len(log.commits), len(log.events), log.torn) == (before.seq + 2, before.position + 1, False)
    assert len(list((tmp_path / ".dbx/domains/default").glob("journal.torn-*"))) == (name == "torn")


def test_what_was_staged_can_be_committed(tmp_path: pathlib.Path) -> None:
    domain = opened("staged", tmp_path).domain()
    batch = find_batch(domain)
    assert batch is not None
    assert len(list(staged_events(domain))) == batch.events == 12
    done = commit_staged(domain, actor=JANE)
    assert done is not None
    assert (done[0].batch, done[0].count) == (batch.id, 12)
    assert read(domain.directory.path).commits[-1]["batch"] == batch.id


def test_the_script_that_made_them_still_tells_the_same_story(tmp_path: pathlib.Path) -> None:
    """Salts and ids are drawn in an order that may change; what happened, and what it adds up to, may not."""
    script = [sys.executable, str(ROOT / "fixtures" / "golden.py"), str(tmp_path)]
    subprocess.run(script, check=True, capture_output=True, cwd=ROOT)
    for name in NAMES:
        now, then = (json.loads((base / f"{name}.json").read_text(encoding="utf-8")) for base in (tmp_path, GOLDEN))
        for told in (now, then):
            for value in told["aggregates"].values():
                value[1] = "root"
        assert (now["seq"], now["events"], now["aggregates"]) == (then["seq"], then["events"], then["aggregates"]), name
        assert read(tmp_path / name, keys_of(tmp_path, name)).index == now["index"]
