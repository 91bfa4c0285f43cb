"""Comparisons of domains, commits and root files, checked against looking at everything."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dbx.repo.batch.staging import stage, staged_events
from dbx.repo.compare.between import (
    Wanted,
    compare,
    compare_commits,
    compare_domains,
    compare_staged,
    find_common,
    gather_staged,
)
from dbx.repo.compare.events import events_between
from dbx.repo.compare.rootfile import export_roots_to, open_root_file
from dbx.repo.compare.side import DomainSide
from dbx.repo.compare.values import Difference
from dbx.repo.domain import Domain
from dbx.repo.query import get_aggregate, get_commit, iterate_events
from dbx.repo.upkeep.fork import fork_domain
from tests.history import append, item, open_repository

Hashes = dict[str, list[str]]


def hashes(domain: Domain, upto: int | None = None) -> Hashes:
    """The event hashes of every aggregate, by walking the log."""
    found: Hashes = {}
    end = None
    if upto is not None:
        commit = get_commit(domain, upto).commit
        end = commit.position + commit.count
    for event in iterate_events(domain, end=end):
        found.setdefault(event.aggregate_id, []).append(event.hash)
    return found


def expected(a: Hashes, b: Hashes) -> dict[str, tuple[str, int, int, int]]:
    """(status, version in A, in B, common) of every aggregate that differs."""
    found = {}
    for name in sorted(a.keys() | b.keys()):
        mine, theirs = a.get(name, []), b.get(name, [])
        if mine == theirs:
            continue
        size = min(len(mine), len(theirs))
        common = next((n for n in range(size) if mine[n] != theirs[n]), size)
        if not mine or not theirs:
            status = "removed" if mine else "added"
        elif common < size:
            status = "diverged"
        else:
            status = "ahead" if len(theirs) > len(mine) else "behind"
        found[name] = (status, len(mine), len(theirs), common)
    return found


def told(differences: list[Difference]) -> dict[str, tuple[str, int, int, int | None]]:
    for one in differences:
        assert one.certain
        assert one.parts_at == (None if one.status != "diverged" or one.common is None else one.common + 1)
    return {
        one.id: (one.status, one.a.version if one.a else 0, one.b.version if one.b else 0, one.common)
        for one in differences
    }


def grow(domain: Domain, source: random.Random, commits: int) -> None:
    for _ in range(commits):
        append(domain, *(f"o-{source.randrange(40)}" for _ in range(source.randrange(1, 12))))


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Domain, Domain]:
    """A domain and its fork, both of which went on."""
    source = random.Random(7)
    repository = open_repository(tmp_path_factory.mktemp("forks"))
    mine = repository.domain()
    append(mine, *["long"] * 100)
    grow(mine, source, 20)
    theirs = fork_domain(repository, "fork", mine, None)
    grow(mine, source, 6)
    append(mine, *["long"] * 3, "only-here")
    grow(theirs, source, 5)
    append(theirs, *["long"] * 30, "only-there")
    return mine, theirs


def test_two_domains(forks: tuple[Domain, Domain]) -> None:
    mine, theirs = forks
    found = expected(hashes(mine), hashes(theirs))
    assert {one[0] for one in found.values()} == {"added", "removed", "ahead", "behind", "diverged"}
    assert told(compare_domains(mine, theirs)) == found
    assert told(compare_domains(theirs, mine)) == expected(hashes(theirs), hashes(mine))
    assert compare_domains(mine, fork_domain_view(theirs, mine)) == []


def fork_domain_view(_: Domain, domain: Domain) -> Domain:
    """The same domain, opened once more."""
    return Domain(domain.directory, domain.name, clock=domain.clock)


@pytest.mark.parametrize(("a", "b"), [(3, None), (None, 22), (10, 24), (21, 4), (0, 0)])
def test_older_commits_of_two_domains(forks: tuple[Domain, Domain], a: int | None, b: int | None) -> None:
    mine, theirs = forks
    assert told(compare_domains(mine, theirs, a, b)) == expected(hashes(mine, a), hashes(theirs, b))


@pytest.mark.parametrize(("a", "b"), [(0, 26), (26, 0), (5, 9), (20, 26), (-1, 7), (7, -1), (4, 4)])
def test_two_commits_of_one_domain(forks: tuple[Domain, Domain], a: int, b: int) -> None:
    mine, _ = forks
    found = mine.read(lambda working, reader: list(compare_commits(working, reader, a, b)))
    assert told(found) == expected(*({} if n < 0 else hashes(mine, n) for n in (a, b)))
    for one in found:
        for standing in (one.a, one.b):
            if standing is not None:
                assert standing.root.hex() == get_aggregate(mine, "order", one.id, standing.version).root


def test_of_one_type_and_of_one_aggregate(forks: tuple[Domain, Domain]) -> None:
    mine, theirs = forks

    def ask(wanted: Wanted) -> list[str]:
        return mine.read(
            lambda w, r: theirs.read(lambda v, s: [d.id for d in compare(DomainSide(w, r), DomainSide(v, s), wanted)])
        )

    assert len(ask(Wanted("order"))) == len(ask(Wanted()))
    assert ask(Wanted("invoice")) == []
    assert ask(Wanted("order", "long")) == ["long"]
    assert ask(Wanted("order", "nobody")) == []
    same = sorted(hashes(mine).keys() - expected(hashes(mine), hashes(theirs)).keys())
    assert all(ask(Wanted("order", name)) == [] for name in same)


def test_a_root_file_proves_what_a_root_can(forks: tuple[Domain, Domain], tmp_path: Path) -> None:
    mine, theirs = forks
    path = str(tmp_path / "mine.roots")
    export_roots_to(mine, path)
    truth = expected(hashes(mine), hashes(theirs))
    with open_root_file(path) as file:
        found = theirs.read(lambda working, reader: list(compare(file, DomainSide(working, reader))))
        again = theirs.read(lambda working, reader: list(compare(DomainSide(working, reader), file)))
        assert mine.read(lambda working, reader: list(compare(file, DomainSide(working, reader)))) == []
        assert list(compare(file, file)) == []
    assert {one.id for one in found} == {one.id for one in again} == truth.keys()
    for one in found:
        status, a, b, common = truth[one.id]
        if one.certain:
            assert one.status == status
            assert one.common in (common, None)
            assert one.parts_by is None or common + 1 <= one.parts_by <= min(a, b)
        else:
            # The longer history is the file's, of which only its last root is known.
            assert a > b
            assert one.status == "behind"
            assert one.common is None


def test_an_older_root_file_is_the_beginning_of_what_came_of_it(forks: tuple[Domain, Domain], tmp_path: Path) -> None:
    mine, theirs = forks
    path = str(tmp_path / "old.roots")
    done = export_roots_to(mine, path, 12)
    assert done.root == get_commit(mine, 12).commit.index
    for domain in (mine, theirs):
        with open_root_file(path) as file:
            found = domain.read(lambda working, reader, file=file: list(compare(file, DomainSide(working, reader))))
            assert told(found) == expected(hashes(mine, 12), hashes(domain))


def test_the_last_common_commit(forks: tuple[Domain, Domain]) -> None:
    mine, theirs = forks

    def ask(a: Domain, b: Domain, seq_a: int = 99, seq_b: int = 99) -> int | None:
        found = a.read(lambda w, _: b.read(lambda v, _: find_common(w, v, seq_a, seq_b)))
        if found is None:
            return None
        assert found.id == get_commit(a, found.seq).id == get_commit(b, found.seq).id
        return found.seq

    assert ask(mine, theirs) == ask(theirs, mine) == 20
    assert ask(mine, theirs, 7) == 7
    assert ask(mine, theirs, -1) is None


def test_unrelated_domains(tmp_path: Path) -> None:
    repository = open_repository(tmp_path)
    mine, theirs = repository.domain(), repository.create_domain("other")
    assert compare_domains(mine, theirs) == []
    append(mine, "a", "b", "b")
    append(theirs, "b", "c")
    assert told(compare_domains(mine, theirs)) == expected(hashes(mine), hashes(theirs))
    assert mine.read(lambda w, _: theirs.read(lambda v, _: find_common(w, v, 0, 0))) is None


def test_what_is_staged(tmp_path: Path) -> None:
    domain = open_repository(tmp_path).domain()
    append(domain, "a", "b", "b")
    names = ["b", "b", "new", "a"]
    stage(domain, [(n, item(name, n=n), None) for n, name in enumerate(names, 1)], issued_by=None)
    gathered = gather_staged(staged_events(domain))
    found = domain.read(lambda working, _: compare_staged(working.index, gathered))
    assert told(found) == {"a": ("ahead", 1, 2, 1), "b": ("ahead", 2, 4, 2), "new": ("added", 0, 1, 0)}
    append(domain, "a", "new")
    moved = domain.read(lambda working, _: compare_staged(working.index, gathered))
    assert told(moved) == {"a": ("diverged", 2, 2, 1), "b": ("ahead", 2, 4, 2), "new": ("diverged", 1, 1, 0)}
    from dbx.repo.batch.commit import commit_staged
    from dbx.repo.batch.staging import clear

    clear(domain)
    stage(domain, [(1, item("b", n=1), None), (2, item("b", n=2), None)], issued_by=None)
    gathered = gather_staged(staged_events(domain), Wanted("order", "b"))
    (one,) = domain.read(lambda working, _: compare_staged(working.index, gathered))
    commit_staged(domain, actor=None)
    assert one.b is not None
    assert one.b.root.hex() == get_aggregate(domain, "order", "b").root


def test_the_events_between_two_versions(forks: tuple[Domain, Domain]) -> None:
    mine, _ = forks
    found = list(events_between(mine, "order", "long", 40, 103))
    assert [event.version for event in found] == list(range(40, 104))
    assert [event.hash for event in found] == hashes(mine)["long"][39:]
