"""What a thread writes ahead belongs to the transaction that takes it over, and is nothing without one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dbx.store.ahead import Ahead
from dbx.store.index import Head, Index, IndexDamaged, MovedIndex


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    made = Index(str(tmp_path / "index.db"))
    yield made
    made.close()


@pytest.fixture
def other(tmp_path: Path, index: Index) -> Iterator[Index]:
    made = Index(str(tmp_path / "index.db"), timeout_s=0.05)
    yield made
    made.close()


def note(index: Index) -> None:
    index.set_meta("ahead", 1)


def test_it_is_kept_with_what_takes_it_over(index: Index, other: Index) -> None:
    ahead = Ahead(index, note)
    ahead.wait()
    assert other.get_meta("ahead") is None
    with index.write(index.head(), ahead):
        index.set_meta("more", 2)
        assert other.get_meta("ahead") is None
    ahead.drop()
    assert (other.get_meta("ahead"), other.get_meta("more")) == (1, 2)


def test_dropped_it_never_was_and_others_may_write(index: Index, other: Index) -> None:
    ahead = Ahead(index, note)
    ahead.drop()
    with other.write(None):
        other.set_meta("more", 2)
    ahead.drop()
    assert (index.get_meta("ahead"), index.get_meta("more")) == (None, 2)


def test_it_is_lost_with_what_takes_it_over(index: Index) -> None:
    ahead = Ahead(index, note)
    with pytest.raises(ValueError, match="no"), index.write(None, ahead):
        raise ValueError("no")
    assert index.get_meta("ahead") is None
    ahead = Ahead(index, note)
    with pytest.raises(MovedIndex), index.write(Head(3, b"c" * 32, 4, b"r" * 32, b"", "", "", 0), ahead):
        pass
    ahead.drop()
    assert index.get_meta("ahead") is None
    with index.write(None):
        note(index)
    assert index.get_meta("ahead") == 1


def test_what_goes_wrong_is_raised_where_it_is_taken_over(index: Index) -> None:
    def fail(index: Index) -> None:
        note(index)
        index.all("SELECT nothing")

    ahead = Ahead(index, fail)
    with pytest.raises(IndexDamaged), index.write(None, ahead):
        pytest.fail("there is nothing to go on with")
    assert index.get_meta("ahead") is None
