"""A range may be handed over when it holds an event for each body that it lacks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dbx.errors import Conflict
from dbx.formats.bundle import START
from dbx.formats.envelope import Actor
from dbx.repo.domain import Domain
from dbx.repo.replica.erased import Late, find_late
from dbx.repo.replica.offer import describe, offering, point_at
from dbx.repo.upkeep.redact import find_bodies, redact
from tests.history import append, open_repository


@pytest.fixture
def domain(tmp_path: Path) -> Iterator[Domain]:
    repository = open_repository(tmp_path)
    yield repository.domain()
    repository.close()


def erase(domain: Domain, name: str, version: int) -> None:
    redact(domain, find_bodies(domain, "order", name, version), "asked for", Actor("ops", "jane"))


def late(domain: Domain, base: int, head: int) -> Late | None:
    return find_late(domain, point_at(domain, base), point_at(domain, head))


@pytest.fixture
def history(domain: Domain) -> Domain:
    """Commits 0 to 2 are events of a, b and a; 3 erases a's second, 4 is one of b, 5 erases b's second, 6 a's first."""
    for name in ("a", "b", "a"):
        append(domain, name)
    erase(domain, "a", 2)
    append(domain, "b")
    erase(domain, "b", 2)
    erase(domain, "a", 1)
    return domain


@pytest.mark.parametrize(
    ("base", "head", "expected"),
    [
        (-1, 6, None),
        (-1, -1, None),
        (0, 1, None),  # nothing of it is erased
        (1, 2, Late("order", "a", 2, 3)),
        (1, 3, None),
        (2, 3, None),  # the event that erases, and not what it erases
        (2, 2, None),
        (3, 4, Late("order", "b", 2, 5)),
        (0, 4, Late("order", "b", 2, 5)),
        (-1, 2, Late("order", "a", 2, 6)),  # which lacks more, the further it goes
        (-1, 0, Late("order", "a", 1, 6)),
        (0, 5, None),
        (4, 5, None),
    ],
)
def test_what_a_range_lacks(history: Domain, base: int, head: int, expected: Late | None) -> None:
    assert late(history, base, head) == expected


def test_a_copy_that_is_redacted_is_not_asked(history: Domain) -> None:
    path = Path(history.directory.path) / "domain.yaml"
    path.write_text(path.read_text() + "redacted: true\n")
    history.forget_file()
    assert late(history, 1, 2) is None


def test_it_is_refused_with_the_commit_that_will_do(history: Domain) -> None:
    said = r"up to commit 2 .* version 2 of 'order/a' was erased later"
    with pytest.raises(Conflict, match=said) as refused, offering(history, START, 2):
        raise AssertionError
    assert refused.value.details["first"]["seq"] == 6
    with offering(history, START) as offer:
        assert offer.header.head == describe(history).head
