"""The staged half of the index follows the file: whatever somebody wrote into it, and whatever became of the half."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from string import ascii_lowercase
from typing import Any

import pytest

from dbx.errors import Corrupt
from dbx.repo.batch.commit import check_staged, commit_staged
from dbx.repo.batch.staging import clear, find_batch, stage, staged_events
from dbx.repo.domain import Domain
from dbx.repo.writer import LARGE_BYTES
from dbx.store.section import encode_events
from tests.history import append, item, open_repository
from tests.oracle import agrees


@pytest.fixture
def domain(tmp_path: Path) -> Iterator[Domain]:
    with closing(open_repository(tmp_path)) as opened:
        yield opened.domain()


@pytest.fixture
def file(domain: Domain) -> Path:
    return Path(domain.directory.path_of("staging.jsonl"))


def put(domain: Domain, *items: dict[str, Any]) -> None:
    stage(domain, [(n, sent, None) for n, sent in enumerate(items, 1)], issued_by=None)


def edited(file: Path, edit: Callable[[list[dict[str, Any]]], list[dict[str, Any]]], *, section: int = 0) -> None:
    """Change the events of a section, each body's hash put right, and seal it anew."""
    sections: list[list[bytes]] = [[]]
    with file.open("rb") as source:
        header = source.readline()
        while line := source.readline():
            if line.startswith(b'{"count"'):
                sections.append([])
            elif line.startswith(b'{"block"'):
                block = json.loads(line)["block"]
                halves = [zlib.decompress(source.read(block[half])).splitlines() for half in ("envelopes", "bodies")]
                assert source.read(1) == b"\n"
                sections[-1] += [b'{"envelope":%b,"body":%b}\n' % pair for pair in zip(*halves, strict=True)]
            else:
                sections[-1].append(line)
    sections.pop()
    data = header
    for number, section_lines in enumerate(sections):
        events = [json.loads(line) for line in section_lines]
        if number == section:
            events = edit(events)
        envelopes, bodies = [], []
        for event in events:
            bodies.append(canonical(event["body"]))
            sha = hashlib.sha256(bodies[-1]).hexdigest()
            envelopes.append(canonical(event["envelope"] | {"body": sha}))
        joined = encode_events(envelopes, bodies)
        data += joined + b'{"count":%d,"sha256":"%b"}\n' % (len(events), hashlib.sha256(joined).hexdigest().encode())
    file.write_bytes(data)


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def renamed(kind: str) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    def edit(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for event in events:
            event["envelope"]["event_type"] = kind
        return events

    return edit


def versioned(version: int) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    def edit(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        events[-1]["envelope"]["version"] = version
        return events

    return edit


def twice(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    events[-1]["envelope"]["event_id"] = events[0]["envelope"]["event_id"]
    return events


def erasing(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    events[-1]["envelope"]["event_type"] = "body_erased"
    return events


@pytest.mark.parametrize("size", [10, LARGE_BYTES // 3], ids=["journal", "segment"])
@pytest.mark.parametrize("section", [0, 1])
def test_what_was_edited_and_fits_is_committed_as_it_is_now(
    domain: Domain, file: Path, size: int, section: int
) -> None:
    append(domain, "o-1")
    for n in range(2):
        put(domain, *[item("o-1", a="x" * (size // 100), n=n) for _ in range(200)])
    before = file.read_bytes()
    # One that packs to the same size: neither that nor the last seal, if it is not in there, shall tell of the edit.
    draw = Random(1)
    for _ in range(3000):
        kind = "".join(draw.choices(ascii_lowercase, k=6))
        file.write_bytes(before)
        edited(file, renamed(kind), section=section)
        if file.stat().st_size == len(before):
            break
    assert file.stat().st_size == len(before)
    assert check_staged(domain) == 400
    assert commit_staged(domain, actor=None)
    log = agrees(domain)
    kinds = [envelope["event_type"] for envelope, _ in log.events][1:]
    assert kinds.count(kind) == 200
    assert kinds[200 * section] == kind


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (versioned(7), "it is version 7 of its aggregate where 3 should come"),
        (versioned(1), "it is version 1 of its aggregate where 3 should come"),
        (twice, "was given to another one before"),
        (erasing, "has no body, or says that another has none"),
    ],
    ids=["gap", "again", "id", "erased"],
)
def test_what_was_edited_and_cannot_be_history_is_named_and_never_committed(
    domain: Domain, file: Path, edit: Any, sentence: str
) -> None:
    put(domain, item("o-1"), item("o-1"), item("o-1"))
    edited(file, edit)
    for act in (lambda: commit_staged(domain, actor=None), lambda: put(domain, item("o-1"))):
        with pytest.raises(Corrupt, match=f"'staging.jsonl' is damaged: staged event 3 .*{sentence}") as caught:
            act()
        assert caught.value.details == {"file": "staging.jsonl", "event": 3}
    assert agrees(domain).events == []
    assert clear(domain) == 3
    put(domain, item("o-1"))
    assert commit_staged(domain, actor=None)
    agrees(domain)


def test_events_that_were_taken_out_are_not_staged_any_more(domain: Domain, file: Path) -> None:
    put(domain, *[item("o-1", n=n) for n in range(5)])
    edited(file, lambda events: events[:2])
    put(domain, item("o-1", n=9))
    assert [event.version for event in staged_events(domain)] == [1, 2, 3]
    commit_staged(domain, actor=None)
    assert len(agrees(domain).events) == 3


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE staged SET root = zeroblob(32) WHERE id = 'o-2'",
        "UPDATE staged SET version = version + 1 WHERE id = 'o-2'",
        "UPDATE staged SET aggregate = 2 WHERE id = 'o-1'",
        "UPDATE staged SET aggregate = NULL WHERE id = 'o-1'",
        "UPDATE staged SET key = 'text' WHERE id = 'o-2'",
        "UPDATE meta SET value = 'a|b' WHERE name = 'staging'",
        "UPDATE meta SET value = x'00' WHERE name = 'staging'",
        "UPDATE meta SET value = 'x' WHERE name = 'ids.stage'",
        "DROP TABLE staged",
        "DROP TABLE staged_run",
    ],
)
@pytest.mark.parametrize("more", [False, True])
def test_damage_of_the_staged_half_is_mended(domain: Domain, damage: str, more: bool) -> None:
    for n in range(3):
        append(domain, f"o-{n}")
    put(domain, item("o-1"), item("o-2"), item("o-3"))
    domain.close()
    with closing(sqlite3.connect(domain.directory.path_of("index.db"))) as db:
        db.execute(damage)
        db.commit()
    assert find_batch(domain)
    if more:
        put(domain, item("o-2"), item("o-1"), item("o-0"))
    assert commit_staged(domain, actor=None)
    log = agrees(domain)
    assert len(log.events) == (9 if more else 6)
    append(domain, "o-1", "o-2", "o-3")
    agrees(domain)


def test_an_index_that_breaks_between_two_events_of_a_batch_is_mended(domain: Domain) -> None:
    for n in range(4):
        append(domain, f"o-{n}")
    put(domain, item("o-1"))

    def items() -> Iterator[tuple[int, dict[str, Any], None]]:
        yield 1, item("o-1"), None
        with closing(sqlite3.connect(domain.directory.path_of("index.db"))) as db:
            db.execute("UPDATE aggregate SET root = zeroblob(32) WHERE id = 'o-2'")
            # The index that is made anew numbers its rows otherwise.
            db.execute("UPDATE aggregate SET n = n + 10")
            db.commit()
        yield 2, item("o-2"), None
        yield 3, item("new"), None

    assert stage(domain, items(), issued_by=None).total == 4
    assert commit_staged(domain, actor=None)
    assert len(agrees(domain).events) == 8
