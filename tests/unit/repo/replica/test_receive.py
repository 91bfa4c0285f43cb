"""What is taken in is checked without the writer's lock: others go on writing, and who is faster wins."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from dbx.errors import Conflict
from dbx.formats.bundle import START
from dbx.formats.commit import Commit
from dbx.formats.envelope import Actor
from dbx.repo.batch.staging import find_batch
from dbx.repo.check.domain import check_domain
from dbx.repo.domain import Domain
from dbx.repo.replica import offer as offers
from dbx.repo.replica.quarantine import Arrived, bring, quarantined
from dbx.repo.replica.receive import Received, Terms, receive
from dbx.repo.repository import Repository
from dbx.repo.upkeep.gc import collect
from dbx.repo.upkeep.reindex import reindex
from tests.history import START_US, append, open_repository, stage_events

JANE = Actor("ops", "jane")


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Domain]:
    (tmp_path / "source").mkdir()
    repository = open_repository(tmp_path / "source")
    for n in range(3):
        append(repository.domain(), f"o-{n}", "all")
    yield repository.domain()
    repository.close()


@pytest.fixture
def where(tmp_path: Path) -> Path:
    (tmp_path / "target").mkdir()
    open_repository(tmp_path / "target").close()
    return tmp_path / "target"


@contextmanager
def target(where: Path) -> Iterator[Domain]:
    """The receiver, for somebody who does not wait for anybody."""
    ticks = itertools.count(START_US + 1_000_000_000, 1_000_000)
    repository = Repository(str(where / ".dbx"), clock=lambda: next(ticks), wait_s=0)
    try:
        yield repository.domain()
    finally:
        repository.close()


@contextmanager
def arriving(source: Domain, domain: Domain) -> Iterator[Arrived]:
    with offers.offering(source, START) as offer, quarantined(domain.directory) as directory:
        yield bring(directory, offer)


def take_in(source: Domain, where: Path, meanwhile: Callable[[], None]) -> Received:
    """Take in all of it; what happens `meanwhile` happens while the last commit is being checked."""

    def judge(commit: Commit, envelopes: Sequence[bytes], bodies: Sequence[bytes]) -> None:
        if commit.seq == 2:
            meanwhile()

    with target(where) as domain, arriving(source, domain) as arrived:
        return receive(domain, arrived, Terms(JANE, "push: by a remote", judge=judge))


def is_whole(where: Path, seq: int) -> None:
    with target(where) as domain:
        assert offers.describe(domain).head.seq == seq
        assert not check_domain(domain.directory, domain.name).errors


def test_an_append_does_not_wait_and_wins(source: Domain, where: Path) -> None:
    def meanwhile() -> None:
        with target(where) as domain:
            append(domain, "local")

    with pytest.raises(Conflict, match="begins the history of domain 'default', but others were faster") as caught:
        take_in(source, where, meanwhile)
    assert caught.value.hint == "the history has moved meanwhile: run 'dbx pull'"
    is_whole(where, 0)


def test_of_two_at_once_one_wins(source: Domain, where: Path) -> None:
    def meanwhile() -> None:
        with target(where) as domain, arriving(source, domain) as arrived:
            assert receive(domain, arrived, Terms(JANE, "push: the other one")).commits == 3

    with pytest.raises(Conflict, match="others were faster"):
        take_in(source, where, meanwhile)
    is_whole(where, 2)


def test_what_writes_to_the_index_alone_does_no_harm(source: Domain, where: Path) -> None:
    def meanwhile() -> None:
        with target(where) as domain:
            reindex(domain, actor=JANE)  # another file in the place of the one that is being read

    assert take_in(source, where, meanwhile).commits == 3
    is_whole(where, 2)


def test_whoever_tidies_up_meanwhile_was_faster(source: Domain, where: Path) -> None:
    """Merged segments are another manifest, though the history is the same."""
    for name in ("one", "two"):
        with target(where) as domain, arriving(source, domain) as arrived:
            receive(domain, arrived, Terms(JANE, "pull: from origin"))
        append(source, name)

    def meanwhile(*_: object) -> None:
        with target(where) as domain:
            assert collect(domain).merged == 2

    with (
        target(where) as domain,
        arriving(source, domain) as arrived,
        pytest.raises(Conflict, match="others were faster"),
    ):
        receive(domain, arrived, Terms(JANE, "push: by a remote", judge=meanwhile))
    is_whole(where, 3)
    with target(where) as domain, arriving(source, domain) as arrived:
        assert receive(domain, arrived, Terms(JANE, "push: by a remote")).commits == 1
    is_whole(where, 4)


def test_staging_does_not_wait_either(source: Domain, where: Path) -> None:
    with target(where) as domain, arriving(source, domain) as arrived:
        receive(domain, arrived, Terms(JANE, "pull: from origin"))
    append(source, "more")
    append(source, "o-more")

    def meanwhile(*_: object) -> None:
        with target(where) as domain:
            if find_batch(domain) is None:
                stage_events(where)

    with target(where) as domain, arriving(source, domain) as arrived:
        assert receive(domain, arrived, Terms(JANE, "pull: from origin", judge=meanwhile)).commits == 2
    with target(where) as domain:
        assert find_batch(domain) is not None
    is_whole(where, 4)
