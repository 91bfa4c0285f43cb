"""Evidence packages, verified by the script that is in them, in a process that cannot see dbx."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from dbx.errors import Conflict, Failure, NotFound
from dbx.formats.note import Vkey, format_vkey
from dbx.repo.domain import Domain
from dbx.repo.evidence.checkpoints import sign_checkpoint
from dbx.repo.evidence.package import AGGREGATE, RANGE, TYPE, Packed, Scope, export_evidence
from dbx.repo.repository import Repository
from dbx.repo.vault.keys import generate_key
from dbx.repo.writer import Append, Appender
from tests.history import append, item, open_repository


class Shop:
    """A domain with a key, and evidence of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.repository: Repository = open_repository(directory / "shop")
        self.domain: Domain = self.repository.domain()
        for n in range(6):
            append(self.domain, f"o-{n}", "all")
        Appender(self.domain).append(Append([item("big", secret=f"canary-{n}") for n in range(20)], issued_by=None))
        self.key: Vkey = generate_key(self.repository, "acme")
        self.note = sign_checkpoint(self.repository, self.domain).note

    def pack(self, name: str, scope: Scope = Scope(), **options: Any) -> Packed:  # noqa: B008 - a frozen value
        return export_evidence(self.domain, str(self.directory / name), scope, self.note, [self.key], **options)

    def verify(self, name: str, key: str | None = None) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "verify.py", *(("--key", key or format_vkey(self.key)) if key != "" else ())],
            cwd=self.directory / name,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        return done.returncode, done.stdout


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


SCOPES = {
    "domain": Scope(),
    "type": Scope(TYPE, "order"),
    "aggregate": Scope(AGGREGATE, "order", "all"),
    "range": Scope(RANGE, first=2, last=4),
}


@pytest.mark.parametrize("bodies", [True, False])
@pytest.mark.parametrize("kind", SCOPES)
def test_what_is_packed_verifies(shop: Shop, kind: str, bodies: bool) -> None:
    packed = shop.pack("e", SCOPES[kind], bodies=bodies)
    assert packed.report
    assert packed.events == {"domain": 32, "type": 32, "aggregate": 6, "range": 6}[kind]
    status, text = shop.verify("e")
    assert (status, text.splitlines()[-1]) == (0, "verified"), text
    everything = b"".join(path.read_bytes() for path in (shop.directory / "e").rglob("*") if path.is_file())
    assert (b"canary-7" in everything) == (bodies and kind in ("domain", "type"))


def test_it_is_a_bag(shop: Shop) -> None:
    shop.pack("e")
    bag = shop.directory / "e"
    assert (bag / "bagit.txt").read_text() == "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
    listed: set[str] = set()
    for manifest in ("manifest-sha256.txt", "tagmanifest-sha256.txt"):
        for line in (bag / manifest).read_text().splitlines():
            digest, name = line.split("  ")
            assert sha256((bag / name).read_bytes()).hexdigest() == digest
            listed.add(name)
    there = {str(path.relative_to(bag)) for path in bag.rglob("*") if path.is_file()}
    assert there == listed | {"tagmanifest-sha256.txt"}
    info = dict(line.split(": ") for line in (bag / "bag-info.txt").read_text().splitlines())
    payload = [path for path in (bag / "data").rglob("*") if path.is_file()]
    assert info["Payload-Oxum"] == f"{sum(path.stat().st_size for path in payload)}.{len(payload)}"


def test_a_zip_file(shop: Shop) -> None:
    shop.pack("e")
    shop.pack("e.zip")
    with zipfile.ZipFile(shop.directory / "e.zip") as packed:
        packed.extractall(shop.directory / "z")
    assert shop.verify("z")[0] == 0
    names = {str(path.relative_to(shop.directory / "e")) for path in (shop.directory / "e").rglob("*")}
    assert names == {str(path.relative_to(shop.directory / "z")) for path in (shop.directory / "z").rglob("*")}
    assert not [path for path in shop.directory.iterdir() if path.name.startswith(".tmp")]


def test_which_key(shop: Shop) -> None:
    shop.pack("e")
    assert shop.verify("e", "")[0] == 2
    status, text = shop.verify("e", format_vkey(shop.key._replace(public=bytes(32))))
    assert (status, "unknown-key" in text) == (1, True)
    assert shop.verify("e", format_vkey(shop.key)[:-2])[0] == 1
    assert shop.verify("e", "nonsense")[0] == 1


def repack(bag: Path) -> None:
    """Make the manifests right again, as somebody would who knows what a bag is."""
    for manifest in ("manifest-sha256.txt", "tagmanifest-sha256.txt"):
        lines = [line.split("  ")[1] for line in (bag / manifest).read_text().splitlines()]
        text = "".join(f"{sha256((bag / name).read_bytes()).hexdigest()}  {name}\n" for name in lines)
        (bag / manifest).write_text(text)


def edit_events(change: Callable[[list[Any]], object]) -> Callable[[Path], None]:
    def edit(bag: Path) -> None:
        path = bag / "data" / "events.ndjson"
        events = [json.loads(line) for line in path.read_text().splitlines()]
        change(events)
        path.write_text("".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events))

    return edit


def swap(events: list[Any]) -> None:
    """Two events of one aggregate change places."""
    events[1]["position"], events[3]["position"] = events[3]["position"], events[1]["position"]


def truncate(name: str) -> Callable[[Path], None]:
    def edit(bag: Path) -> None:
        path = bag / "data" / name
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))

    return edit


def replace(name: str, old: str, new: str) -> Callable[[Path], None]:
    def edit(bag: Path) -> None:
        path = bag / "data" / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return edit


TAMPERING = {
    "changed body": edit_events(lambda events: events[2].update(body=events[2]["body"].replace("{}", '{"a":1}'))),
    "changed envelope": edit_events(lambda e: e[2].update(envelope=e[2]["envelope"].replace("placed", "placid"))),
    "missing event": edit_events(lambda events: events.pop(5)),
    "last event missing": edit_events(lambda events: events.pop()),
    "extra event": edit_events(lambda events: events.append({**events[0], "position": 99})),
    "reordered events": edit_events(swap),
    "commit left out": truncate("commits.ndjson"),
    "id left out": truncate("log-ids.txt"),
    "aggregate left out": truncate("roots.jsonl"),
    "changed time of a commit": replace("commits.ndjson", "2026-", "2025-"),
    "changed size": replace("checkpoint.txt", "\n7\n", "\n8\n"),
    "changed version": replace("roots.jsonl", '"all",6,', '"all",5,'),
    "not JSON": replace("events.ndjson", "{", "["),
    "not UTF-8": lambda bag: (bag / "data" / "commits.ndjson").write_bytes(b"\xff\xfe\n"),
    "no events": lambda bag: (bag / "data" / "events.ndjson").write_bytes(b""),
    "no scope": lambda bag: (bag / "data" / "scope.json").write_text("{}"),
}


@pytest.mark.parametrize("how", TAMPERING)
def test_tampering(shop: Shop, how: str) -> None:
    shop.pack("e")
    bag = shop.directory / "e"
    TAMPERING[how](bag)
    status, text = shop.verify("e")
    assert (status, "changed: data/" in text) == (1, True)
    repack(bag)
    status, text = shop.verify("e")
    assert status == 1, how
    assert "FAILED" in text
    assert "Traceback" not in text


def test_files_that_were_added_or_removed(shop: Shop) -> None:
    shop.pack("e")
    (shop.directory / "e" / "data" / "more.txt").touch()
    assert "more.txt" in shop.verify("e")[1]
    (shop.directory / "e" / "data" / "more.txt").unlink()
    (shop.directory / "e" / "README.txt").unlink()
    assert shop.verify("e")[0] == 1


def test_what_cannot_be_packed(shop: Shop) -> None:
    shop.pack("e")
    with pytest.raises(Conflict):
        shop.pack("e")
    with pytest.raises(NotFound):
        shop.pack("f", Scope(AGGREGATE, "order", "none"))
    with pytest.raises(NotFound):
        shop.pack("f", Scope(TYPE, "user"))
    with pytest.raises(Failure, match="no directory"):
        shop.pack("no/where")
    assert sorted(path.name for path in shop.directory.iterdir()) == ["e", "shop"]


def test_an_older_checkpoint(shop: Shop) -> None:
    append(shop.domain, "later", "all")
    packed = shop.pack("e")
    assert packed.events == 32
    assert shop.verify("e")[0] == 0
