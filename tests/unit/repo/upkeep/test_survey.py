"""What a domain says of itself, checked against the history that made it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dbx.crypto.indextree import EMPTY
from dbx.repo.batch.staging import clear
from dbx.repo.upkeep.survey import count_archived, get_root, measure, survey
from dbx.store.index import Index
from dbx.store.indexsurvey import count_aggregates, find_ids, find_types
from dbx.store.stagedindex import clear_staged
from tests.history import START_US, append, fill, open_repository, stage_events


def test_an_empty_domain(tmp_path: Path) -> None:
    domain = open_repository(tmp_path).domain()
    assert survey(domain) == (None, 0, 0, None, 0, False, 0, False, ())
    assert get_root(domain) == (EMPTY.hex(), None, -1, 0, 0)


def test_where_a_history_stands(tmp_path: Path) -> None:
    ids = fill(tmp_path, 3)
    found = survey(open_repository(tmp_path).domain())
    assert found.head is not None
    assert (found.head.id.hex(), found.events, found.aggregates) == (ids[-1], 6, 4)
    (journal,) = (tmp_path / ".dbx" / "domains" / "default").glob("journal-*")
    assert 0 < found.journal_bytes <= journal.stat().st_size
    assert (found.staged, found.torn, found.caught_up, found.in_memory) == (None, False, 0, False)


def test_since_when_something_is_staged(tmp_path: Path) -> None:
    stage_events(tmp_path, 3)
    stage_events(tmp_path, 2)
    domain = open_repository(tmp_path).domain()
    staged = survey(domain).staged
    assert staged is not None
    assert staged.events == 5
    assert START_US <= staged.since_us < START_US + 60_000_000
    # An index made anew does not know; the file does, roughly.
    with domain.index().write(None):
        clear_staged(domain.index())
    domain.index().set_meta("staged_since", "")
    path = os.path.join(domain.directory.path, "staging.jsonl")
    os.utime(path, ns=(0, 1_700_000_000_000_000_000))
    again = survey(domain).staged
    assert again is not None
    assert (again.batch, again.events, again.since_us) == (staged.batch, 5, 1_700_000_000_000_000)
    clear(domain)
    assert survey(domain).staged is None


def test_a_torn_write_and_a_lagging_index_are_seen(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    index = tmp_path / ".dbx" / "domains" / "default" / "index.db"
    old = index.read_bytes()
    fill(tmp_path, 2)
    index.write_bytes(old)
    for name in ("index.db-wal", "index.db-shm"):
        index.with_name(name).unlink(missing_ok=True)
    (journal,) = index.parent.glob("journal-*")
    with journal.open("ab") as file:
        file.write(b"E\x00\x00\x00half a frame")
    found = survey(open_repository(tmp_path).domain())
    assert (found.torn, found.caught_up, found.events) == (True, 2, 6)
    assert survey(open_repository(tmp_path).domain()).caught_up == 0


@pytest.mark.parametrize("seq", [0, 1, 2, 3])
def test_the_root_at_an_older_commit_is_the_one_it_had(tmp_path: Path, seq: int) -> None:
    domain = open_repository(tmp_path).domain()
    roots = []
    for n in range(4):
        append(domain, f"o-{n}", "all", "all")
        roots.append(get_root(domain))
    assert get_root(domain, seq) == roots[seq]
    assert (roots[seq].events, roots[seq].aggregates) == (3 * (seq + 1), seq + 2)


def test_the_root_at_a_commit_of_a_staged_batch(tmp_path: Path) -> None:
    from dbx.repo.batch.commit import commit_staged

    fill(tmp_path, 2)
    stage_events(tmp_path, 4)
    domain = open_repository(tmp_path).domain()
    assert commit_staged(domain, actor=None) is not None
    append(domain, "o-7")
    assert [get_root(domain, seq).aggregates for seq in range(4)] == [2, 3, 4, 5]


def test_counting_looks_only_at_what_was_added(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    domain = open_repository(tmp_path).domain()
    index = domain.sync().index
    assert count_aggregates(index) == 4
    noted = index.get_meta("counted")
    append(domain, "o-100", "o-101")
    domain.flush()
    assert count_aggregates(index) == 6
    assert index.get_meta("counted") == noted
    assert count_archived(domain) == 0


def test_the_size_is_that_of_every_file(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    domain = open_repository(tmp_path).domain()
    files = [path for path in Path(domain.directory.path).rglob("*") if path.is_file()]
    assert measure(domain) == sum(path.stat().st_size for path in files)


def test_names_that_begin_so(tmp_path: Path) -> None:
    fill(tmp_path, 12)
    stage_events(tmp_path)
    index = Index(str(tmp_path / ".dbx" / "domains" / "default" / "index.db"))
    assert find_types(index, "", 10) == ["order"]
    assert find_types(index, "orx", 10) == []
    assert find_ids(index, "order", "o-1", 10) == ["o-1", "o-10", "o-11"]
    assert find_ids(index, "order", "s", 10) == ["staged"]
    assert find_ids(index, "order", "", 3) == ["all", "o-0", "o-1"]
    assert find_ids(index, "nothing", "", 3) == []
