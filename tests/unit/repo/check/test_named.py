"""Bodies that are read again when they are folded add up to what they add up to when they are held back."""

from __future__ import annotations

import random
from hashlib import sha256
from pathlib import Path

import pytest

from dbx.formats.envelope import Body, Envelope, encode_body, encode_envelope
from dbx.repo.check import named as module
from dbx.repo.check import parallel
from dbx.repo.check import part as parts
from dbx.repo.check.blocks import BlockReader, read_slowly
from dbx.repo.check.named import NamedPart
from dbx.repo.check.part import NotCanonical, Part, Place
from tests.unit.repo.check.build import (
    append,
    check,
    collect_without_merging,
    fill,
    item,
    open_repository,
    spoil_journal,
)

SALT = "AAECAwQFBgcICQoL"
TIME = "2026-11-26T10:00:00.000000Z"
KINDS = ("placed", "paid", "sent")


class Blocks:
    """Blocks of random events: how they are put into a part, and their bodies by their place."""

    def __init__(self, count: int, *, erased: bool = False) -> None:
        draw = random.Random(5)
        self.bodies: dict[Place, bytes] = {}
        self.asked: list[Place] = []
        self._envelopes: dict[Place, bytes] = {}
        versions = [0] * 9
        for n in range(count):
            envelopes, bodies = b"", b""
            for row in range(draw.randrange(1, 12)):
                number = draw.randrange(9)
                versions[number] += 1
                payload = {draw.choice("abcdef"): draw.randrange(99), "n": n}
                metadata = {"@by": str(row)} if draw.random() < 0.4 else None
                line = encode_body(Body(payload, metadata, None, SALT))
                digest = sha256(line).hexdigest()
                kind = draw.choice(KINDS)
                envelope = Envelope(f"o-{number}", "order", digest, TIME, 7 + n, kind, None, versions[number])
                envelopes += encode_envelope(envelope) + b"\n"
                bodies += (b"" if erased and not row and n % 2 else line) + b"\n"
            place: Place = (0, n, n, None, None)
            self._envelopes[place], self.bodies[place] = envelopes, bodies

    def put(self, part: Part) -> None:
        reader = BlockReader()
        for place, bodies in self.bodies.items():
            envelopes = self._envelopes[place]
            part.add(reader.read(envelopes, bodies) or read_slowly(envelopes, bodies), 0, place)

    def read(self, place: Place) -> bytes:
        self.asked.append(place)
        return self.bodies[place]


@pytest.mark.parametrize("live", [0, 40_000])
@pytest.mark.parametrize("erased", [False, True])
def test_they_add_up_to_the_same(monkeypatch: pytest.MonkeyPatch, live: int, erased: bool) -> None:
    monkeypatch.setattr(parts, "_LIVE", live)
    monkeypatch.setattr(parts, "_PACKED_BYTES", 500)
    monkeypatch.setattr(parts, "_AT_ONCE", 3)
    monkeypatch.setattr(module, "_AT_ONCE", 4)
    blocks = Blocks(30, erased=erased)
    held, named = Part(), NamedPart(blocks.read)
    for part in (held, named):
        blocks.put(part)
        part.fold()
    assert named.names == held.names
    assert named.digest_states() == held.digest_states()
    assert [named.state(n) for n in range(9)] == [held.state(n) for n in range(9)]
    assert named.specials == held.specials
    assert bool(named.specials) == erased
    assert len(set(blocks.asked)) == len(blocks.asked)
    assert len(blocks.asked) > 25, "all but those in which nothing is folded"
    assert blocks.asked[0] > blocks.asked[-1], "the last ones are read first"


def test_what_comes_before_is_folded_below(monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = Blocks(7), Blocks(12)
    first = Part(folds=False)
    before.put(first)
    expected, named = Part(), NamedPart(after.read)
    for part in (expected, named):
        after.put(part)
        part.fold()
        part.fold_before(first.encode_held(), before.read)
    assert named.digest_states() == expected.digest_states()
    assert named.names == expected.names


def test_a_block_without_some_bodies_is_named_too() -> None:
    blocks = Blocks(30, erased=True)
    named = NamedPart(blocks.read)
    first = Part(folds=False)
    for part in (named, first):
        blocks.put(part)
    named.fold()
    after = Part()
    after.fold_before(first.encode_held(), blocks.read)
    assert after.digest_states() == named.digest_states()
    assert b"payload" not in first.encode_held()


def test_a_block_that_cannot_be_read_again_as_it_was_is_not_named() -> None:
    blocks = Blocks(3)
    last = list(blocks.bodies)[-1]
    blocks.bodies[last] = blocks.bodies[last][:-1]
    for part in (NamedPart(blocks.read), Part(folds=False)):
        with pytest.raises(NotCanonical):
            blocks.put(part)


def test_bodies_that_changed_meanwhile_or_are_not_canonical() -> None:
    for change in (b"", b"x" * 5000 + b"\n"):
        blocks = Blocks(5)
        part = NamedPart(blocks.read)
        blocks.put(part)
        last = list(blocks.bodies)[-1]
        blocks.bodies[last] = change
        with pytest.raises(NotCanonical):
            part.fold()
    blocks = Blocks(5)
    part = NamedPart(blocks.read)
    blocks.put(part)
    first = next(iter(blocks.bodies))
    blocks.bodies[first] = blocks.bodies[first].replace(b'":', b'": ', 1)
    with pytest.raises(NotCanonical):
        part.fold()


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_the_report_is_the_same_for_a_large_domain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    path = fill(tmp_path)
    spoilt = spoil_journal(path, tmp_path / "spoilt")
    expected = [check(where) for where in (path, spoilt)]
    monkeypatch.setattr(parallel, "_SMALL", 0)
    monkeypatch.setattr(parallel, "_LARGE", -1)
    monkeypatch.setattr(parallel, "_LARGE_ALONE", -1)
    assert [check(where, processes=processes) for where in (path, spoilt)] == expected


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_many_small_commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int) -> None:
    monkeypatch.setattr(parallel, "_SMALL", 0)
    monkeypatch.setattr(parallel, "_LARGE", -1)
    monkeypatch.setattr(parallel, "_LARGE_ALONE", -1)
    domain = open_repository(tmp_path).domain()
    for n in range(40):
        append(domain, *[item(f"o-{m}", payload={"n": n, f"m{m}": m}) for m in range(n % 7, n % 7 + 3)])
        if n % 9 == 5:
            collect_without_merging(domain)
    domain.close()
    report = check(Path(domain.directory.path), processes=processes)
    assert (report.clean, report.events, report.aggregates, report.commits) == (True, 120, 9, 40)
