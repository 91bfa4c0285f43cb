"""Staging: complete events that are not yet history, whatever becomes of the file or of the index in between."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dbx.crypto.indextree import key_of
from dbx.errors import Conflict, Corrupt, DbxError, Invalid, NotFound
from dbx.formats.envelope import Actor
from dbx.repo import query
from dbx.repo.batch.commit import commit_staged
from dbx.repo.batch.staging import StagedResult, clear, find_batch, new_uuid, stage, staged_events
from dbx.repo.domain import Domain
from dbx.repo.repository import Repository
from dbx.repo.writer import Append, Appender
from tests.history import START_US, append, item, open_repository
from tests.oracle import agrees

JANE = Actor("ops", "jane")


@pytest.fixture
def domain(tmp_path: Path) -> Iterator[Domain]:
    with closing(open_repository(tmp_path)) as opened:
        yield opened.domain()


@pytest.fixture
def file(domain: Domain) -> Path:
    return Path(domain.directory.path_of("staging.jsonl"))


def put(domain: Domain, *items: dict[str, Any], **options: Any) -> StagedResult:
    return stage(domain, [(n, sent, None) for n, sent in enumerate(items, 1)], issued_by=JANE, **options)


def reopened(domain: Domain, *, lose: str = "") -> None:
    """Close all files, and delete one."""
    domain.close()
    if lose:
        Path(domain.directory.path_of(lose)).unlink()


def test_staged_events_are_complete_and_not_yet_history(domain: Domain) -> None:
    append(domain, "o-1")
    result = put(domain, item("o-1", a=1) | {"note": "hm", "metadata": {"@x": 1}}, item("o-2"), item("o-1", a=2))
    assert (result.events, result.aggregates, result.total) == (3, 2, 3)
    events = list(staged_events(domain))
    assert [(e.aggregate_id, e.version, e.position, e.commit) for e in events] == [
        ("o-1", 2, 0, -1),
        ("o-2", 1, 1, -1),
        ("o-1", 3, 2, -1),
    ]
    assert events[0].issued_by == JANE
    assert result.last == events[-1]
    assert len(agrees(domain).events) == 1
    assert query.get_aggregate(domain, "order", "o-1").version == 1


def test_sections_add_up_and_commit_as_one(domain: Domain) -> None:
    for n in range(4):
        assert put(domain, item("o-1", n=n), item(f"p-{n}")).total == 2 * n + 2
        assert put(domain, item("o-1", dry=True), dry_run=True).total == 2 * n + 2
    before = list(staged_events(domain))
    done = commit_staged(domain, actor=JANE, message="all")
    assert done is not None
    assert (done[0].count, done[0].message) == (8, "all")
    assert [event.hash for event in query.iterate_events(domain)] == [event.hash for event in before]
    assert (find_batch(domain), list(staged_events(domain)), commit_staged(domain, actor=JANE)) == (None, [], None)
    agrees(domain)


@pytest.mark.parametrize("bad", [{"payload": 1}, {"expected_version": 9}, {"aggregate_type": "No"}])
def test_nothing_of_a_refused_command_stays(domain: Domain, file: Path, bad: dict[str, Any]) -> None:
    for _ in range(2):
        before = file.read_bytes() if file.exists() else None
        with pytest.raises(DbxError, match="so nothing was stored"):
            put(domain, item("o-1"), item("o-1") | bad)
        assert (file.read_bytes() if file.exists() else None) == before
        put(domain, item("o-1"))
    assert [event.version for event in staged_events(domain)] == [1, 2]
    assert [name for name in domain.directory.names() if name.startswith(".tmp")] == []


def test_faults_are_all_told_with_their_lines(domain: Domain) -> None:
    sent = [item("o-1") if n % 3 else item("no id") for n in range(1, 30)]
    with pytest.raises(Invalid, match="9 lines are refused") as caught:
        put(domain, *sent)
    assert [fault["line"] for fault in caught.value.details["lines"]] == list(range(3, 30, 3))
    with pytest.raises(Invalid, match="2 lines are refused"):
        put(domain, *sent, max_faults=2)
    with pytest.raises(NotFound, match="line 1: aggregate 'order/o-1' does not exist"):
        put(domain, item("o-1"), existence="known")


def test_versions_and_existence_count_what_is_staged(domain: Domain) -> None:
    put(domain, item("o-1") | {"expected_version": 0})
    put(domain, item("o-1") | {"expected_version": 1}, existence="known")
    for options in ({"existence": "new"}, {}):
        with pytest.raises(Conflict):
            put(domain, item("o-1") | {"expected_version": 0}, **options)
    put(domain, item("o-1", "aggregate_archived"), reserved=True)
    with pytest.raises(Conflict, match="is archived"):
        put(domain, item("o-1"))
    reopened(domain, lose="index.db")
    with pytest.raises(Conflict, match="is archived"):
        put(domain, item("o-1"))
    commit_staged(domain, actor=None)
    assert query.get_aggregate(domain, "order", "o-1").archived
    agrees(domain)


# -- aggregates that move ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lose", ["", "index.db"])
def test_an_aggregate_that_moved_refuses_the_commit_and_keeps_what_is_staged(
    domain: Domain, file: Path, lose: str
) -> None:
    append(domain, "o-1")
    put(domain, item("o-1"), item("o-2"), item("o-3"))
    append(domain, "o-1", "o-2")
    before = file.read_bytes()
    reopened(domain, lose=lose)
    for act in (lambda: commit_staged(domain, actor=None), lambda: put(domain, item("o-1"))):
        with pytest.raises(
            Conflict, match="'order/o-1' is at version 2, but events were staged on version 1"
        ) as caught:
            act()
        listed = caught.value.details.get("aggregates", [])
        assert listed[:1] in ([], [{"aggregate_type": "order", "aggregate_id": "o-1", "staged_on": 1, "version": 2}])
    assert file.read_bytes() == before
    put(domain, item("o-3"))
    assert len(agrees(domain).events) == 3
    assert clear(domain) == 4
    put(domain, item("o-1"))
    commit_staged(domain, actor=None)
    agrees(domain)


# -- the file ----------------------------------------------------------------------------------------------------------


def test_an_interrupted_section_counts_for_nothing_at_any_byte(domain: Domain, file: Path) -> None:
    put(domain, item("o-1"))
    first = file.read_bytes()
    put(domain, item("o-1"), item("o-2"))
    second = file.read_bytes()
    for size in [*range(len(first), len(second), 23), len(second) - 1]:
        file.write_bytes(second[:size])
        assert [event.version for event in staged_events(domain)] == [1]
        assert find_batch(domain).events == 1  # type: ignore[union-attr]
    put(domain, item("o-3"))
    assert [event.aggregate_id for event in staged_events(domain)] == ["o-1", "o-3"]
    commit_staged(domain, actor=None)
    agrees(domain)


def test_a_first_section_that_was_cut_short(domain: Domain, file: Path) -> None:
    put(domain, item("o-1"))
    whole = file.read_bytes()
    file.write_bytes(whole[: whole.index(b"\n") + 20])
    domain.close()
    assert find_batch(domain) is None
    assert commit_staged(domain, actor=None) is None
    assert not file.exists()
    put(domain, item("o-1"))
    assert find_batch(domain)


@pytest.mark.parametrize("lose", ["", "index.db"])
def test_a_flipped_byte_is_never_committed(domain: Domain, file: Path, lose: str) -> None:
    put(domain, item("o-1", a="canary"), item("o-2"))
    put(domain, item("o-1"))
    whole = file.read_bytes()
    for at in [*range(0, len(whole), 61), whole.index(b"canary"), len(whole) - 3]:
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 2]) + whole[at + 1 :])
        reopened(domain, lose=lose)
        with pytest.raises((Corrupt, Conflict)):
            commit_staged(domain, actor=None)
        assert agrees(domain).events == []
    clear(domain)
    put(domain, item("o-1"))
    commit_staged(domain, actor=None)
    assert len(agrees(domain).events) == 1


def test_a_file_edited_and_sealed_again_makes_no_broken_history(domain: Domain, file: Path) -> None:
    put(domain, item("o-1", a=1), item("o-1", a=2))
    header, first, second, _ = file.read_bytes().splitlines(keepends=True)
    first = first.replace(b'"event_type":"placed"', b'"event_type":"placid"')
    seal = hashlib.sha256(first + second).hexdigest()
    file.write_bytes(header + first + second + b'{"count":2,"sha256":"%b"}\n' % seal.encode())
    domain.close()
    try:
        commit_staged(domain, actor=None)
    except (Corrupt, Conflict):
        clear(domain)
    agrees(domain)


def test_a_file_of_another_domain_is_refused(tmp_path: Path, domain: Domain, file: Path) -> None:
    with closing(open_repository(tmp_path)) as opened:
        other = opened.create_domain("other")
        put(other, item("o-1"))
        theirs = Path(other.directory.path_of("staging.jsonl")).read_bytes()
    file.write_bytes(theirs)
    for act in (lambda: commit_staged(domain, actor=None), lambda: put(domain, item("o-1"))):
        with pytest.raises(Conflict, match="staged for another domain"):
            act()
    clear(domain)
    put(domain, item("o-1"))
    commit_staged(domain, actor=None)
    agrees(domain)


@pytest.mark.parametrize("lose", ["", "index.db"])
def test_a_file_left_after_its_commit_is_dropped(domain: Domain, file: Path, lose: str) -> None:
    put(domain, item("o-1"), item("o-2"))
    left = file.read_bytes()
    commit_staged(domain, actor=None)
    file.write_bytes(left)
    reopened(domain, lose=lose)
    assert find_batch(domain) is None
    assert list(staged_events(domain)) == []
    assert commit_staged(domain, actor=None) is None
    assert not file.exists()
    file.write_bytes(left)
    put(domain, item("o-1"))
    assert [event.version for event in staged_events(domain)] == [2]
    assert len(agrees(domain).events) == 2


def test_clearing(domain: Domain, file: Path) -> None:
    assert clear(domain) == 0
    put(domain, item("o-1"), item("o-2"))
    assert clear(domain) == 2
    assert not file.exists()
    put(domain, item("o-1"))
    reopened(domain, lose="staging.jsonl")
    assert commit_staged(domain, actor=None) is None
    assert put(domain, item("o-1")).last.version == 1  # type: ignore[union-attr]


def test_clearing_tells_how_many_there_were_when_the_index_is_lost(domain: Domain) -> None:
    put(domain, item("o-1"), item("o-2"))
    reopened(domain, lose="index.db")
    list(staged_events(domain))
    reopened(domain, lose="index.db")
    assert clear(domain) == 2
    assert find_batch(domain) is None


@pytest.mark.parametrize("lose", ["", "index.db"])
def test_an_index_row_that_is_damaged_is_made_again(domain: Domain, lose: str) -> None:
    for n in range(20):
        append(domain, f"o-{n}")
    put(domain, item("o-1"), item("new"))
    reopened(domain, lose=lose)
    assert put(domain, item("o-1"), item("new")).last.version == 2  # type: ignore[union-attr]
    commit_staged(domain, actor=None)
    agrees(domain)


@pytest.mark.parametrize("staged_before", [False, True])
def test_a_damaged_index_is_mended_by_staging_and_committing(domain: Domain, staged_before: bool) -> None:
    for n in range(20):
        append(domain, f"o-{n}", "all")
    if staged_before:
        put(domain, item("o-3"), item("all"))
    domain.close()
    index = Path(domain.directory.path_of("index.db"))
    data = bytearray(index.read_bytes())
    data[data.index(b"orderall" + key_of("order", "all")) + 8 + 32 + 5] ^= 0x10  # in its root
    index.write_bytes(data)
    if not staged_before:
        put(domain, item("o-3"), item("all"))
    commit_staged(domain, actor=None)
    assert len(agrees(domain).events) == 42


# -- event ids ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def standing(tmp_path: Path) -> Iterator[Domain]:
    """A domain whose clock stands."""
    with closing(Repository.init(str(tmp_path), clock=lambda: START_US)[0]) as opened:
        yield opened.domain()


def test_ids_increase_within_what_is_staged(standing: Domain) -> None:
    for _ in range(3):
        put(standing, item("o-1"), item("o-2"))
        append(standing, "p-1")
        standing.close()
    ids = [event.event_id for event in staged_events(standing)]
    assert ids == sorted(set(ids))
    commit_staged(standing, actor=None)
    put(standing, item("o-1"))
    assert next(staged_events(standing)).event_id > ids[-1]
    commit_staged(standing, actor=None)
    agrees(standing)


def test_ids_stay_unique_when_the_index_is_lost(standing: Domain) -> None:
    for _ in range(3):
        put(standing, item("o-1"), item("o-2"))
        append(standing, "p-1")
        reopened(standing, lose="index.db")
    commit_staged(standing, actor=None)
    put(standing, item("o-1"))
    reopened(standing, lose="index.db")
    commit_staged(standing, actor=None)
    agrees(standing)


def test_given_ids_against_the_log_and_the_staged(standing: Domain) -> None:
    committed = Appender(standing).append(Append([item("o-1")], issued_by=None)).events()[0].event_id
    staged = put(standing, item("o-2"), item("o-2") | {"event_id": 77}).last.event_id  # type: ignore[union-attr]
    drawn = next(staged_events(standing)).event_id
    for taken in (committed, staged, drawn, 77, "77"):
        with pytest.raises(Conflict, match="is taken by an event"):
            put(standing, item("o-3") | {"event_id": taken})
    with pytest.raises(Conflict, match="is given twice"):
        put(standing, item("o-3") | {"event_id": 78}, item("o-3") | {"event_id": 78})
    commit_staged(standing, actor=None)
    agrees(standing)


def test_a_given_id_that_was_committed_meanwhile(standing: Domain) -> None:
    put(standing, item("o-2") | {"event_id": 77})
    Appender(standing).append(Append([item("o-1") | {"event_id": 77}], issued_by=None))
    with pytest.raises(Conflict, match="event id '77' was committed since it was staged"):
        commit_staged(standing, actor=None)
    assert len(agrees(standing).events) == 1


def test_a_drawn_id_that_was_committed_meanwhile(standing: Domain) -> None:
    drawn = put(standing, item("o-2"), item("o-2")).last.event_id  # type: ignore[union-attr]
    Appender(standing).append(Append([item("o-1") | {"event_id": drawn}], issued_by=None))
    with pytest.raises(Conflict, match=f"event id '{drawn}' was committed since it was staged"):
        commit_staged(standing, actor=None)
    assert len(agrees(standing).events) == 1


def test_ids_drawn_after_a_given_one_keep_clear_of_it(standing: Domain) -> None:
    drawn = put(standing, item("o-1")).last.event_id  # type: ignore[union-attr]
    put(standing, item("o-1") | {"event_id": drawn + 2})
    put(standing, *[item("o-1") for _ in range(3)])
    ids = [event.event_id for event in staged_events(standing)]
    assert len(set(ids)) == len(ids)


def test_appended_ids_keep_clear_of_a_given_one(standing: Domain) -> None:
    appender = Appender(standing)
    drawn = appender.append(Append([item("o-1")], issued_by=None)).events()[0].event_id
    appender.append(Append([item("o-1") | {"event_id": drawn + 2}], issued_by=None))
    for _ in range(3):
        append(standing, "o-1")
    agrees(standing)


def test_one_drawn_id_that_is_given_in_the_same_batch(standing: Domain) -> None:
    drawn = Appender(standing).append(Append([item("o-1")], issued_by=None)).events()[0].event_id
    both = [item("o-1"), item("o-1") | {"event_id": drawn + 1}]
    with pytest.raises(Conflict, match="was drawn for another event"):
        Appender(standing).append(Append(both, issued_by=None))


def test_uuids_are_of_version_four() -> None:
    ones, zeros = new_uuid(b"\xff" * 16), new_uuid(bytes(16))
    assert (ones, zeros) == ("ffffffff-ffff-4fff-bfff-ffffffffffff", "00000000-0000-4000-8000-000000000000")
    assert len({new_uuid(bytes([n]) * 16) for n in itertools.islice(itertools.count(), 256)}) == 256


def test_drawn_ids_go_round_those_that_are_given_in_the_same_batch(standing: Domain) -> None:
    drawn = put(standing, item("o-1")).last.event_id  # type: ignore[union-attr]
    ids = [None, drawn + 3, None, None, drawn + 4, drawn + 5, None, 7]
    put(standing, *[item("o-1") if given is None else item("o-1") | {"event_id": given} for given in ids])
    put(standing, item("o-1"))
    commit_staged(standing, actor=None)
    assert len(agrees(standing).events) == 10


def test_appended_ids_keep_clear_of_a_given_one_that_is_staged(standing: Domain) -> None:
    drawn = Appender(standing).append(Append([item("o-1")], issued_by=None)).events()[0].event_id
    put(standing, item("o-2") | {"event_id": drawn + 1})
    for _ in range(2):
        append(standing, "o-1")
    commit_staged(standing, actor=None)
    for _ in range(3):
        append(standing, "o-1")
    agrees(standing)


def test_given_ids_in_a_row_are_one_run(standing: Domain) -> None:
    put(standing, *[item("o-1") | {"event_id": 1000 + n} for n in range(5)], item("o-1") | {"event_id": 2000})
    index = standing.sync().index
    assert index.all("SELECT first, count, position FROM staged_run ORDER BY first") == [(1000, 5, 0), (2000, 1, 5)]
    with pytest.raises(Conflict, match="event id '1004' is taken"):
        put(standing, item("o-1") | {"event_id": 1004})
    Appender(standing).append(Append([item("p-1") | {"event_id": 1002}], issued_by=None))
    with pytest.raises(Conflict, match="event id '1002' was committed since it was staged"):
        commit_staged(standing, actor=None)


def test_many_given_ids_in_the_way_cost_little(standing: Domain) -> None:
    drawn = put(standing, item("o-1")).last.event_id  # type: ignore[union-attr]
    lane = 1 << 22
    both = [item("o-1") | {"event_id": drawn + lane * n} if n % 2 else item("o-1") for n in range(1, 4000)]
    put(standing, *both)
    ids = [event.event_id for event in staged_events(standing)]
    assert len(set(ids)) == len(ids) == 4000
