"""Bundles whose every hash fits, and whose history does not: each is refused, and nothing is changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from dbx.crypto import merkle
from dbx.crypto.keytree import KeyTree
from dbx.errors import Conflict, Corrupt, DbxError
from dbx.formats.bundle import START, BundleHeader, Point
from dbx.formats.commit import Commit, encode_commit
from dbx.formats.envelope import Actor, decode_envelope, encode_envelope
from dbx.formats.manifest import ManifestEntry, encode_manifest
from dbx.repo.check.domain import check_domain
from dbx.repo.domain import Domain
from dbx.repo.query import get_commit
from dbx.repo.replica import offer as offers
from dbx.repo.replica.offer import point_at
from dbx.repo.replica.quarantine import Arrived, quarantined
from dbx.repo.replica.receive import Terms, receive
from dbx.repo.replica.roots import Follower, Roots, RootsApart
from dbx.repo.replica.vet import Vetting
from dbx.repo.working import WorkingSet
from dbx.store.fs import Directory
from dbx.store.heldindex import HeldIndex
from dbx.store.index import Index
from dbx.store.segments import SEGMENTS, SegmentWriter
from tests.history import append, open_repository

TERMS = Terms(Actor("ops", "jane"), "test")


class Part:
    """A commit with its events, open to be changed."""

    def __init__(self, commit: Commit, envelopes: list[bytes], bodies: list[bytes]) -> None:
        self.commit = commit
        self.envelopes = envelopes
        self.bodies = bodies


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Domain]:
    path = tmp_path / "source"
    path.mkdir()
    repository = open_repository(path)
    for n in range(4):
        append(repository.domain(), f"o-{n}", "all")
    yield repository.domain()
    repository.close()


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Domain]:
    path = tmp_path / "target"
    path.mkdir()
    repository = open_repository(path)
    yield repository.domain()
    repository.close()


def parts(domain: Domain, first: int = 0) -> list[Part]:
    found = []
    for seq in range(first, offers.describe(domain).head.seq + 1):
        commit = get_commit(domain, seq).commit
        span = range(commit.position, commit.position + commit.count)
        events = domain.read(lambda _, reader, span=span: list(reader.events(span)))  # type: ignore[misc]
        found.append(Part(commit, [one.envelope for one in events], [one.body or b"" for one in events]))
    return found


def forge(directory: Directory, domain: Domain, forged: list[Part], base: Point = START) -> Arrived:
    """A bundle of these commits, each made to follow the one before it; events roots and ids fit."""
    parent, position = base.commit or None, base.position
    lines: list[bytes] = []
    with directory.temporary(SEGMENTS) as temporary:
        writer = SegmentWriter(
            temporary, domain=domain.id, parent=parent, position=position, seq=base.seq + 1, pool=None, vault=None
        )
        for part in forged:
            commit = replace(
                part.commit,
                parent=parent,
                position=position,
                count=len(part.envelopes),
                events=merkle.root([merkle.leaf_hash(one) for one in part.envelopes]).hex(),
            )
            line = encode_commit(commit)
            writer.add(part.envelopes, part.bodies)
            writer.add_commits([line])
            lines.append(line)
            parent, position = merkle.leaf_hash(line).hex(), position + len(part.envelopes)
        sha, size = writer.finish()
    assert parent is not None
    last = base.seq + len(forged)
    entry = ManifestEntry(sha, size, base.seq + 1, last, parent)
    manifest = sha256(encode_manifest([entry], first_seq=base.seq + 1)).hexdigest()
    header = BundleHeader(domain.id, domain.name, base, Point(last, parent, position), manifest, None)
    return Arrived(directory, header, (entry,), {})


@contextmanager
def quarantine(domain: Domain) -> Iterator[Directory]:
    with quarantined(domain.directory) as directory:
        yield directory


def envelope(part: Part, row: int, **changes: object) -> None:
    changed = decode_envelope(part.envelopes[row])._replace(**changes)
    part.envelopes[row] = encode_envelope(changed)


def raw(part: Part, row: int, old: bytes, new: bytes) -> None:
    assert old in part.envelopes[row]
    part.envelopes[row] = part.envelopes[row].replace(old, new)


def body(part: Part, row: int, text: bytes) -> None:
    part.bodies[row] = text
    envelope(part, row, body=sha256(text).hexdigest())


SALT = b',"salt":"AAAAAAAAAAAAAAAA"}'
FORGERIES: dict[str, Callable[[list[Part]], None]] = {
    "an index root": lambda p: setattr(p[1], "commit", replace(p[1].commit, index="0" * 64)),
    "a version twice": lambda p: envelope(p[2], 1, version=2),
    "a version left out": lambda p: envelope(p[2], 1, version=4),
    "a first version that is not 1": lambda p: envelope(p[0], 0, version=2),
    "an event id twice": lambda p: envelope(p[2], 0, event_id=decode_envelope(p[0].envelopes[0]).event_id),
    "an event id twice in one commit": lambda p: envelope(
        p[2], 0, event_id=decode_envelope(p[2].envelopes[1]).event_id
    ),
    "a body that is not the one": lambda p: p[1].bodies.__setitem__(0, p[0].bodies[0]),
    "bodies swapped": lambda p: p[1].bodies.reverse(),
    "a body with blanks": lambda p: body(p[1], 0, b'{"payload": {}' + SALT),
    "a payload that is no object": lambda p: body(p[1], 0, b'{"payload":[]' + SALT),
    "a duplicate key": lambda p: body(p[1], 0, b'{"payload":{"a":1,"a":2}' + SALT),
    "a number that is none": lambda p: body(p[1], 0, b'{"payload":{"a":NaN}' + SALT),
    "a number too large": lambda p: body(p[1], 0, b'{"payload":{"a":9007199254740993}' + SALT),
    "a surrogate": lambda p: body(p[1], 0, b'{"payload":{"a":"\\ud800"}' + SALT),
    "a payload too deep": lambda p: body(p[1], 0, b'{"payload":' + b'{"a":' * 70 + b"1" + b"}" * 70 + SALT),
    "a body without salt": lambda p: body(p[1], 0, b'{"payload":{}}'),
    "a body from nowhere": lambda p: body(p[1], 0, b"\xff\xfe"),
    "a body missing": lambda p: p[1].bodies.__setitem__(0, b""),
    "a name of a type": lambda p: raw(p[1], 0, b'"order"', b'"Order"'),
    "a path for an id": lambda p: raw(p[1], 0, b'"o-1"', b'"../1"'),
    "a time that cannot be": lambda p: envelope(p[1], 0, created_at="2026-02-30T00:00:00.000000Z"),
    "a member too many": lambda p: raw(p[1], 0, b'"version":1}', b'"version":1,"x":1}'),
    "an event of an archived aggregate": lambda p: envelope(p[0], 1, event_type="aggregate_archived"),
    "a batch id twice": lambda p: [
        setattr(one, "commit", replace(one.commit, batch="3f2a1c9e-8f5b-4b6e-9d4f-0a1b2c3d4e5f")) for one in p[1:3]
    ],  # type: ignore[dict-item,return-value]
    "commits in another order": lambda p: p.insert(1, p.pop(2)),
    "a commit left out": lambda p: p.pop(1),  # type: ignore[dict-item,return-value]
    "a commit of another domain": lambda p: setattr(
        p[1], "commit", replace(p[1].commit, domain="00000000-0000-4000-8000-000000000000")
    ),
}


@pytest.mark.parametrize("known", [0, 1])
@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_history_is_refused(source: Domain, target: Domain, name: str, known: int) -> None:
    with quarantine(target) as directory:
        whole = forge(directory, source, parts(source)[:known]) if known else None
        if whole is not None:
            receive(target, whole, TERMS)
    before = offers.describe(target)
    base = point_at(target, known - 1)
    forged = parts(source)
    FORGERIES[name](forged)
    with quarantine(target) as directory:
        if known and forged[0].envelopes == parts(source)[0].envelopes:
            forged = forged[1:]
        arrived = forge(directory, source, forged, base if len(forged) < 4 or known else START)
        with pytest.raises(DbxError) as refused:
            receive(target, arrived, TERMS)
    assert isinstance(refused.value, Corrupt), refused.value
    assert refused.value.details["received"]
    assert offers.describe(target) == before
    assert not target.directory.names("quarantine")
    assert not check_domain(target.directory, target.name).errors


def test_what_is_right_is_taken_in(source: Domain, target: Domain) -> None:
    with quarantine(target) as directory:
        done = receive(target, forge(directory, source, parts(source)), TERMS)
    assert (done.commits, done.events) == (4, 8)
    assert offers.describe(target) == offers.describe(source)._replace(name=target.name)
    assert not check_domain(target.directory, target.name).errors


def test_a_commit_under_an_unknown_schema_is_refused(source: Domain, target: Domain) -> None:
    forged = parts(source)
    forged[1].commit = replace(forged[1].commit, schema="1" * 64)
    with quarantine(target) as directory, pytest.raises(Conflict, match="which is not here"):
        receive(target, forge(directory, source, forged), TERMS)
    assert offers.describe(target).head == START


def test_the_judge_is_asked_of_every_commit_and_may_refuse(source: Domain, target: Domain) -> None:
    asked: list[tuple[int, int]] = []

    def judge(commit: Commit, envelopes: object, bodies: object) -> None:
        asked.append((commit.seq, len(envelopes)))  # type: ignore[arg-type]
        if commit.seq == 2:
            raise Conflict("no")

    with quarantine(target) as directory, pytest.raises(Conflict, match="no"):
        receive(target, forge(directory, source, parts(source)), TERMS._replace(judge=judge))
    assert asked == [(0, 2), (1, 2), (2, 2)]
    assert offers.describe(target).head == START


def test_what_a_dead_process_left_is_swept(source: Domain, target: Domain) -> None:
    left = Path(target.directory.path, "quarantine", "999999999-0011", "segments")
    left.mkdir(parents=True)
    (left / "half").write_bytes(b"x")
    mine = Path(target.directory.path, "quarantine", f"{os.getpid()}-0011", "segments")
    mine.mkdir(parents=True)
    with quarantine(target) as directory:
        receive(target, forge(directory, source, parts(source)), TERMS)
    assert target.directory.names("quarantine") == [f"{os.getpid()}-0011"]


# -- many commits, whose roots are followed in memory ------------------------------------------------------------------

FOLLOWERS: dict[str, Callable[[], Follower]] = {"here": lambda: Roots(KeyTree()), "apart": lambda: RootsApart([])}


@contextmanager
def vetting(domain: Domain, roots: Follower | None) -> Iterator[tuple[Vetting, HeldIndex]]:
    working = domain.sync()
    held = HeldIndex(working.index.path, working.indexed, domain.vault)
    try:
        with Vetting(WorkingSet(held), has_schema=lambda _: True, roots=roots) as made:
            yield made, held
    finally:
        held.close()
        domain.reset()


def refusal(domain: Domain, arrived: Arrived, roots: Follower | None) -> DbxError:
    try:
        with vetting(domain, roots) as (made, _):
            made.take(arrived.directory, arrived.entries[0])
            made.finish()
    except (Corrupt, Conflict) as error:
        return error
    raise AssertionError("it was taken in")


@pytest.mark.parametrize("follower", FOLLOWERS)
@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_history_is_refused_however_roots_are_followed(
    source: Domain, target: Domain, name: str, follower: str
) -> None:
    forged = parts(source)
    FORGERIES[name](forged)
    with quarantine(target) as directory:
        arrived = forge(directory, source, forged)
        other, plain = refusal(target, arrived, FOLLOWERS[follower]()), refusal(target, arrived, None)
    assert other.details["received"]
    if name == "an index root":  # of other forgeries, what is found first may differ
        assert (str(other), other.details) == (str(plain), plain.details)


def test_a_body_that_nobody_folds_is_looked_at_too(source: Domain, target: Domain) -> None:
    forged = parts(source)
    envelope(forged[-1], 1, event_type="aggregate_archived")
    body(forged[-1], 1, b'{"payload": {}' + SALT)
    with quarantine(target) as directory:
        error = refusal(target, forge(directory, source, forged), None)
    assert "a body is not spelled as dbx writes it" in str(error)


@pytest.mark.parametrize("flushes", [False, True])
@pytest.mark.parametrize("follower", FOLLOWERS)
def test_the_index_becomes_what_the_log_says(source: Domain, target: Domain, follower: str, flushes: bool) -> None:
    for n in range(40):
        append(source, "all", *(f"o-{m}" for m in range(n % 7, 300, n + 3)))
    with quarantine(target) as directory:
        arrived = forge(directory, source, parts(source))
        with vetting(target, FOLLOWERS[follower]()) as (made, held):
            made.take(arrived.directory, arrived.entries[0])
            made.flush(all_of_it=flushes)
            made.finish()
            assert (made.commits, made.events) == (arrived.header.head.seq + 1, arrived.header.head.position)
            found = contents(held)
    source.sync()
    source.flush()
    assert found == contents(source.index())


def contents(index: Index) -> dict[str, list[object]]:
    """What an index knows, however it is cut into rows."""
    names = index.all("SELECT type, id, n FROM aggregate ORDER BY type, id")
    columns = "key, version, root, edge, state, extensions, created_at, updated_at, archived"
    return {
        "aggregates": index.all(f"SELECT type, id, {columns} FROM aggregate ORDER BY type, id"),
        "places": [index.positions(n) for *_, n in names],
        "pages": index.all("SELECT * FROM page ORDER BY prefix"),
        "ids": [
            n
            for first, count in index.all("SELECT first, count FROM run ORDER BY position")
            for n in range(first, first + count)
        ],
        "commits": index.all("SELECT * FROM log ORDER BY seq"),
    }
