"""A remote that answers about single aggregates what was not asked, or not what it had shown: 8, nothing changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dbx.errors import DbxError, RemoteFailure
from dbx.formats import canonical
from dbx.ops.clone import clone
from dbx.ops.fetch import pull_aggregates
from dbx.ops.push import push_aggregates
from dbx.ops.remote import set_url
from dbx.ops.session import Session
from dbx.repo.replica import offer as offers
from tests.history import append
from tests.unit.remotes.contract import ACCESS, assert_sound, cloned, filled, grow, head
from tests.unit.remotes.liar import lying

Lines = list[bytes]
FAKE = "ab" * 32


@pytest.fixture
def far(tmp_path: Path) -> Path:
    return filled(tmp_path / "far")


@pytest.fixture
def near(tmp_path: Path, far: Path) -> Iterator[Session]:
    """A clone that lacks events of two aggregates."""
    with cloned(far, tmp_path / "near") as session:
        grow(far, "all", "o-9")
        grow(far, "o-9")
        yield session


def lines_of(data: bytes) -> Lines:
    return data.split(b"\n")[:-1]


def joined(lines: Lines) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def changed(line: bytes, at: int, value: Any) -> bytes:
    parts = json.loads(line)
    parts[at] = value
    return json.dumps(parts, separators=(",", ":")).encode()


def renamed(line: bytes) -> bytes:
    return line.replace(b'"o-9"', b'"o-8"')


ROOTS: dict[str, Callable[[Lines], Lines]] = {
    "a name that leaves the directory": lambda lines: [changed(lines[0], 1, "../../evil"), *lines[1:]],
    "a type that is none": lambda lines: [changed(lines[0], 0, "../order"), *lines[1:]],
    "a type too long": lambda lines: [changed(lines[0], 0, "x" * 65), *lines[1:]],
    "a control character": lambda lines: [changed(lines[0], 1, "a\u0007b"), *lines[1:]],
    "another type": lambda lines: [changed(lines[0], 0, "invoice"), *lines],
    "one twice": lambda lines: [lines[0], *lines],
    "no version": lambda lines: [changed(lines[0], 2, 0), *lines[1:]],
    "a huge version": lambda lines: [changed(lines[0], 2, 2**53), *lines[1:]],
    "no root": lambda lines: [changed(lines[0], 3, "x"), *lines[1:]],
    "cut short": lambda lines: lines[:-1],
    "not lines": lambda lines: [b"<html>"],
    "nothing at all": lambda lines: [],
    "a line without end": lambda lines: [b'["' + b"x" * 3_000_000],
    "deep": lambda lines: [b"[" * 100_000],
}
PREFIXES: dict[str, Callable[[Lines], Lines]] = {
    "too few": lambda lines: [b"[]"],
    "too many": lambda lines: [canonical.encode([FAKE] * 50)],
    "no hashes": lambda lines: [b'["x"]'],
}
HISTORIES: dict[str, Callable[[Lines], Lines]] = {
    "a flipped event": lambda lines: [lines[0], lines[1].replace(b'"placed"', b'"placee"'), *lines[2:]],
    "another body": lambda lines: [lines[0], lines[1].replace(b'"body":{', b'"body":{"evil":1,'), *lines[2:]],
    "events left out": lambda lines: [lines[0], *lines[2:]],
    "in another order": lambda lines: lines[::-1],
    "an event twice": lambda lines: [lines[0], lines[1], lines[1], *lines[2:]],
    "cut short": lambda lines: lines[:2],
    "without its end": lambda lines: lines[:-1],
    "nothing at all": lambda lines: [],
    "only its end": lambda lines: [b"null"],
    "an older version": lambda lines: [changed(lines[0], 3, 0), lines[-1]],
    "another root": lambda lines: [changed(lines[0], 4, FAKE), *lines[1:]],
    "from elsewhere on": lambda lines: [changed(lines[0], 2, 1), *lines[1:]],
    "of another aggregate": lambda lines: [renamed(line) for line in lines],
    "of one more": lambda lines: [*lines[:-1], canonical.encode(["order", "evil", 0, 0, FAKE]), lines[-1]],
    "a name that leaves the directory": lambda lines: [changed(lines[0], 1, "../../evil"), *lines[1:]],
    "announced twice": lambda lines: [*lines[:-1], *lines],
    "a long line": lambda lines: [lines[0], b"x" * 6_000_000, *lines[2:]],
    "not lines": lambda lines: [b"<html>"],
}
ANSWERS = {
    **{f"roots: {name}": ("roots", spoil) for name, spoil in ROOTS.items()},
    **{f"prefixes: {name}": ("prefixes", spoil) for name, spoil in PREFIXES.items()},
    **{f"histories: {name}": ("histories", spoil) for name, spoil in HISTORIES.items()},
}


def spoiling(name: str) -> Callable[[str, bytes], bytes]:
    verb, spoil = ANSWERS[name]
    return lambda path, data: joined(spoil(lines_of(data))) if path.endswith(f"/{verb}") else data


def sound(near: Session, far: Path) -> None:
    near.domain.close()
    assert_sound(Path(near.repository.path).parent)
    assert_sound(far)


@pytest.mark.parametrize("name", ANSWERS)
def test_nothing_is_pulled_of_who_lies(near: Session, far: Path, name: str) -> None:
    before = offers.describe(near.domain)
    verb = ANSWERS[name][0]
    wanted = "all" if verb == "prefixes" else None if verb == "roots" else "o-9"
    with lying(far, spoiling(name)) as url:
        set_url(near, "origin", url, domain=None, token=None, start=".")
        with pytest.raises(RemoteFailure) as refused:
            pull_aggregates(near, None, "order", wanted, ACCESS)
    assert refused.value.hint is not None
    assert offers.describe(near.domain) == before
    assert not list(Path(near.domain.directory.path, "segments").glob(".tmp*"))
    sound(near, far)


@pytest.mark.parametrize("name", [name for name in ANSWERS if not name.startswith("prefixes")])
def test_nothing_is_cloned_of_who_lies(near: Session, far: Path, name: str) -> None:
    wanted = None if name.startswith("roots") else "o-9"
    domains = sorted(near.repository.domain_names())
    with lying(far, spoiling(name)) as url, pytest.raises(RemoteFailure):
        clone(near, url, "part", ACCESS, aggregate_type="order", aggregate_id=wanted)
    assert sorted(near.repository.domain_names()) == domains
    assert not list(Path(near.repository.path, "domains").glob(".clone*"))
    sound(near, far)


@pytest.mark.parametrize("name", [name for name in ANSWERS if name.startswith("roots")])
def test_nothing_is_pushed_to_who_lies_about_what_it_has(near: Session, far: Path, name: str) -> None:
    append(near.domain, "o-1")
    mine, theirs = offers.describe(near.domain), head(far)
    with lying(far, spoiling(name)) as url:
        set_url(near, "origin", url, domain=None, token=None, start=".")
        with pytest.raises(RemoteFailure):
            push_aggregates(near, None, "order", None, ACCESS)
    assert offers.describe(near.domain) == mine
    assert head(far) == theirs
    sound(near, far)


@pytest.mark.parametrize("name", ["roots", "histories", "prefixes"])
def test_a_root_that_is_wrong_is_a_divergence(near: Session, far: Path, name: str) -> None:
    """Nobody can tell a lie from a history that differs: it is named, and nothing is changed."""
    before = offers.describe(near.domain)

    def spoil(path: str, data: bytes) -> bytes:
        if name == "prefixes" and path.endswith("/prefixes"):
            return canonical.encode([FAKE] * len(json.loads(data)))
        if name == "roots" and path.endswith("/roots"):
            return joined([changed(line, 3, FAKE) if line != b"null" else line for line in lines_of(data)])
        return data

    with lying(far, spoil) as url:
        set_url(near, "origin", url, domain=None, token=None, start=".")
        if name == "histories":
            assert pull_aggregates(near, None, "order", "all", ACCESS).events == 1
            return
        with pytest.raises(DbxError) as refused:
            pull_aggregates(near, None, "order", "all" if name == "prefixes" else None, ACCESS)
    assert refused.value.status in (4, 8)
    assert offers.describe(near.domain) == before
    sound(near, far)
