"""What every transport must do. Each has a test file that subclasses `TransportContract` and makes its far end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from dbx.errors import Conflict, RemoteFailure
from dbx.formats.bundle import START, Point
from dbx.formats.envelope import Actor
from dbx.model.address import parse_address
from dbx.ops.clone import clone
from dbx.ops.fetch import fetch, pull, pull_aggregates
from dbx.ops.link import Access
from dbx.ops.push import push, push_aggregates
from dbx.ops.remote import add_remote
from dbx.ops.session import Session, Who
from dbx.remotes.base import Means, Transport, connect
from dbx.repo.check.domain import check_domain
from dbx.repo.domain import Domain
from dbx.repo.replica import offer as offers
from dbx.repo.replica.histories import Wanted, list_roots
from dbx.repo.replica.quarantine import quarantined
from tests.history import append, fill, open_repository

ACCESS = Access(timeout_s=20.0)


class Far(NamedTuple):
    """The far end: the directory of its repository, and the address it is reached at."""

    path: Path
    url: str


@contextmanager
def opened(path: Path) -> Iterator[Domain]:
    """The checked-out domain of a repository, for as long as it takes."""
    repository = open_repository(path)
    try:
        yield repository.domain()
    finally:
        repository.close()


def filled(path: Path) -> Path:
    """A new repository of three commits at a path."""
    path.mkdir()
    fill(path)
    return path


@contextmanager
def cloned(far: Path, path: Path) -> Iterator[Session]:
    """A session in a new repository at `path` whose domain is a clone of that of `far`."""
    path.mkdir()
    repository = open_repository(path)
    try:
        session = Session(repository, None, Who("ops", "jane", "jane"))
        clone(session, str(far), "default", ACCESS)
        yield session
    finally:
        repository.close()


def grow(path: Path, *aggregate_ids: str) -> str:
    """One commit in the repository at a path."""
    with opened(path) as domain:
        return append(domain, *aggregate_ids)


def head(path: Path) -> Point:
    with opened(path) as domain:
        return offers.describe(domain).head


def root(path: Path) -> str:
    with opened(path) as domain:
        return offers.describe(domain).root


def assert_sound(path: Path) -> None:
    """fsck finds nothing wrong in any domain of a repository."""
    repository = open_repository(path)
    try:
        for name in repository.domain_names():
            domain = repository.domain(name)
            report = check_domain(domain.directory, name)
            assert not report.errors, report
    finally:
        repository.close()


class ReadContract:
    """Tests that take `far`, a fixture of the subclass, whose repository has three commits; nothing is pushed."""

    @pytest.fixture
    def near(self, tmp_path: Path) -> Iterator[Session]:
        path = tmp_path / "near"
        path.mkdir()
        repository = open_repository(path)
        try:
            yield Session(repository, None, Who("ops", "jane", "jane"))
        finally:
            repository.close()

    @pytest.fixture
    def cloned(self, near: Session, far: Far) -> Session:
        clone(near, far.url, "default", ACCESS)
        return near

    @contextmanager
    def transport(self, far: Far) -> Iterator[Transport]:
        means = Means(lambda: 1_790_000_000_000_000, Actor("ops", "jane"), "default", lambda: None, lambda: None)
        found = connect(parse_address(far.url), None, means)
        try:
            yield found
        finally:
            found.close()

    def test_it_says_where_the_far_end_stands(self, far: Far) -> None:
        with self.transport(far) as transport, opened(far.path) as domain:
            assert transport.describe() == offers.describe(domain)

    def test_it_gives_commit_ids(self, far: Far) -> None:
        with self.transport(far) as transport, opened(far.path) as domain:
            assert transport.commit_ids([0, 2, 9]) == offers.commit_ids(domain, [0, 2, 9])
            assert transport.commit_ids([9]) == [None]

    def test_it_brings_all_or_what_is_behind_a_commit(self, far: Far, near: Session) -> None:
        with self.transport(far) as transport, quarantined(near.domain.directory) as directory:
            whole = transport.fetch(directory, START, None)
            assert whole.entries[0].first_seq == 0
            assert whole.header.head == head(far.path)
            with opened(far.path) as domain:
                base = offers.point_at(domain, 1)
            part = transport.fetch(directory, base, None)
            assert [(entry.first_seq, entry.last_seq) for entry in part.entries] == [(2, 2)]

    def test_a_commit_that_the_far_end_lacks_is_a_conflict(self, far: Far, near: Session) -> None:
        quarantine = quarantined(near.domain.directory)
        with self.transport(far) as transport, quarantine as directory, pytest.raises(Conflict):
            transport.fetch(directory, Point(1, "0" * 64, 2), None)

    def test_clone_is_byte_for_byte(self, cloned: Session, far: Far) -> None:
        assert offers.describe(cloned.domain).head == head(far.path)
        assert offers.describe(cloned.domain).root == root(far.path)
        assert offers.describe(cloned.domain).domain == _id(far.path)
        assert_sound(Path(cloned.repository.path).parent)

    def test_a_pull_without_news_changes_nothing(self, cloned: Session) -> None:
        done = pull(cloned, None, ACCESS)
        assert done.up_to_date
        assert done.commits == 0

    def test_pull_brings_what_is_new(self, cloned: Session, far: Far) -> None:
        grow(far.path, "o-1", "o-9")
        grow(far.path, "o-9")
        done = pull(cloned, None, ACCESS)
        assert (done.commits, done.events, done.recommitted) == (2, 3, 0)
        assert offers.describe(cloned.domain).head == head(far.path)

    def test_fetch_leaves_our_history(self, cloned: Session, far: Far) -> None:
        before = offers.describe(cloned.domain).head
        grow(far.path, "o-9")
        done = fetch(cloned, None, ACCESS)
        assert (done.commits, done.head) == (1, before)
        assert offers.describe(cloned.domain).head == before
        assert pull(cloned, None, ACCESS).head == head(far.path)
        assert_sound(Path(cloned.repository.path).parent)

    def test_a_push_that_is_behind_says_so(self, cloned: Session, far: Far) -> None:
        grow(far.path, "o-9")
        before = head(far.path)
        with pytest.raises(Conflict) as refused:
            push(cloned, None, ACCESS)
        assert refused.value.hint == "run 'dbx pull'"
        assert refused.value.details["reason"] == "behind"
        assert head(far.path) == before

    def test_diverged_aggregates_are_named(self, cloned: Session, far: Far) -> None:
        append(cloned.domain, "all", "o-8")
        grow(far.path, "all")
        before = offers.describe(cloned.domain).head, head(far.path)
        for act in (pull, push):
            with pytest.raises(Conflict) as refused:
                act(cloned, None, ACCESS)
            (aggregate,) = refused.value.details["aggregates"]
            assert aggregate == {
                "aggregate_type": "order", "aggregate_id": "all", "version": 4, "local": 4, "remote": 4,
            }  # fmt: skip
            assert "order/all" in refused.value.message
        assert (offers.describe(cloned.domain).head, head(far.path)) == before
        assert_sound(far.path)

    def test_it_gives_roots_of_versions(self, far: Far) -> None:
        with self.transport(far) as transport, opened(far.path) as domain:
            (found,) = transport.roots("order", "all")
            assert [found] == list(list_roots(domain, "order", "all"))
            wanted = [Wanted("order", "all", 3), Wanted("order", "all", 4), Wanted("order", "none", 1)]
            assert transport.prefix_roots(wanted) == [found.root, None, None]

    def test_unrelated_histories_are_told_apart(self, near: Session, far: Far) -> None:
        append(near.domain, "o-1")
        add_remote(near, "origin", far.url, domain=None, token=None, start=".")
        for act in (pull, push, fetch):
            with pytest.raises(Conflict, match="no commit in common"):
                act(near, None, ACCESS)

    def test_a_domain_that_is_not_there(self, near: Session, far: Far) -> None:
        with pytest.raises(RemoteFailure, match="'nix' does not exist"):
            clone(near, far.url, "copy", ACCESS, remote_domain="nix")

    def test_a_remote_that_goes_back_or_forks_is_refused(self, cloned: Session, far: Far) -> None:
        import shutil

        older = far.path.parent / "older"
        shutil.copytree(far.path, older)
        grow(far.path, "o-9")
        pull(cloned, None, ACCESS)
        before = offers.describe(cloned.domain).head
        for lie in ("older", "fork"):
            shutil.rmtree(far.path / ".dbx")
            shutil.copytree(older / ".dbx", far.path / ".dbx")
            if lie == "fork":
                grow(far.path, "o-5")
                grow(far.path, "o-5")
            for act in (pull, fetch, push):
                with pytest.raises(RemoteFailure) as refused:
                    act(cloned, None, ACCESS)
                assert refused.value.details["reason"] == lie
                evidence = Path(refused.value.details["evidence"]).read_text()
                assert before.commit in evidence
            assert offers.describe(cloned.domain).head == before
        assert_sound(Path(cloned.repository.path).parent)


class TransportContract(ReadContract):
    """And those that push."""

    def test_what_was_fetched_is_not_asked_for_again(self, cloned: Session, far: Far) -> None:
        grow(far.path, "o-8")
        assert fetch(cloned, None, ACCESS).commits == 1
        assert pull(cloned, None, ACCESS).commits == 1
        grow(far.path, "o-9")
        fetch(cloned, None, ACCESS)
        grow(far.path, "o-9", "o-10")
        assert fetch(cloned, None, ACCESS).commits == 2
        append(cloned.domain, "mine")
        grow(far.path, "o-11")
        assert fetch(cloned, None, ACCESS).commits == 3
        done = pull(cloned, None, ACCESS)
        assert (done.commits, done.recommitted) == (3, 1)
        push(cloned, None, ACCESS)
        assert root(far.path) == offers.describe(cloned.domain).root
        assert_sound(Path(cloned.repository.path).parent)

    def test_push_hands_over_what_is_new(self, cloned: Session, far: Far) -> None:
        append(cloned.domain, "o-1", "o-7")
        assert push(cloned, None, ACCESS, dry_run=True).commits == 1
        assert head(far.path).seq == 2
        assert push(cloned, None, ACCESS).commits == 1
        assert head(far.path) == offers.describe(cloned.domain).head
        assert root(far.path) == offers.describe(cloned.domain).root
        assert push(cloned, None, ACCESS).up_to_date
        assert_sound(far.path)

    def test_commits_of_different_aggregates_are_put_on_top(self, cloned: Session, far: Far) -> None:
        mine = append(cloned.domain, "o-8")
        append(cloned.domain, "o-8")
        grow(far.path, "o-9")
        done = pull(cloned, None, ACCESS)
        assert (done.commits, done.recommitted) == (1, 2)
        assert mine not in offers.commit_ids(cloned.domain, list(range(6)))
        assert push(cloned, None, ACCESS).commits == 2
        assert root(far.path) == offers.describe(cloned.domain).root
        assert_sound(Path(cloned.repository.path).parent)
        assert_sound(far.path)

    def test_single_aggregates_go_both_ways(self, near: Session, far: Far) -> None:
        done = clone(near, far.url, "part", ACCESS, aggregate_type="order", aggregate_id="all")
        part = Session(near.repository, "part", near.who)
        assert done.partial
        assert part.domain.id != _id(far.path)
        with opened(far.path) as domain:
            assert list(list_roots(part.domain, "order")) == list(list_roots(domain, "order", "all"))
        grow(far.path, "all")
        assert pull_aggregates(part, None, "order", "all", ACCESS).events == 1
        append(part.domain, "all")
        assert push_aggregates(part, None, "order", None, ACCESS).events == 1
        with opened(far.path) as domain:
            assert list(list_roots(part.domain, "order")) == list(list_roots(domain, "order", "all"))
        append(part.domain, "all")
        grow(far.path, "all")
        for act in (pull_aggregates, push_aggregates):
            with pytest.raises(Conflict) as refused:
                act(part, None, "order", "all", ACCESS)
            assert refused.value.details["aggregates"][0]["version"] == 6
        assert_sound(far.path)

    def test_an_empty_far_end_becomes_a_clone(self, near: Session, far: Far) -> None:
        repository = open_repository(far.path)
        repository.create_domain("fresh")
        repository.close()
        append(near.domain, "o-1")
        add_remote(near, "origin", far.url, domain="fresh", token=None, start=".")
        assert push(near, None, ACCESS).commits == 1
        repository = open_repository(far.path)
        assert repository.domain("fresh").id == near.domain.id
        repository.close()
        assert_sound(far.path)


def _id(path: Path) -> str:
    with opened(path) as domain:
        return domain.id
