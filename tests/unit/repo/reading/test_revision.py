"""What refs name, against a history whose commits are known."""

from __future__ import annotations

import itertools
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbx.errors import Corrupt, Invalid, NotFound
from dbx.formats.refs import Ref, encode_ref, encode_tag
from dbx.model.time import format_time
from dbx.repo.domain import Domain
from dbx.repo.query import get_commit
from dbx.repo.reading.revision import Revision, get_revision, is_moment, resolve_revision
from dbx.repo.repository import Repository
from dbx.repo.upkeep.gc import collect
from tests.history import append, fill, open_repository

DAY = 86_400_000_000
FIRST_DAY = 1_790_000_000_000_000 // DAY * DAY


def with_times(directory: Path, times: list[int]) -> Domain:
    """A domain with a commit of two events at each of these times."""
    clock = iter([FIRST_DAY, *times])
    now = [FIRST_DAY]
    domain = Repository.init(str(directory), clock=lambda: now[0])[0].domain()
    next(clock)
    for n, time in enumerate(clock):
        now[0] = time
        append(domain, f"o-{n}", "all")
    return domain


def test_what_a_revision_tells(tmp_path: Path) -> None:
    ids = fill(tmp_path, 4)
    domain = open_repository(tmp_path).domain()
    for seq, commit_id in enumerate(ids):
        root = get_commit(domain, seq).commit.index
        assert resolve_revision(domain, commit_id) == Revision(seq, commit_id, 2 * seq + 2, root)
        assert get_revision(domain, seq) == resolve_revision(domain, commit_id[:12])
    with pytest.raises(NotFound):
        get_revision(domain, 4)


@pytest.mark.parametrize(
    ("text", "seq"),
    [
        ("HEAD", 4), ("@", 4), ("main", 4), ("refs/heads/main", 4),
        ("HEAD~0", 4), ("HEAD~", 3), ("HEAD~1", 3), ("HEAD^", 3), ("HEAD~2~1", 1), ("HEAD~4", 0), ("HEAD^^~", 1),
        ("v1.0", 2), ("v1.0~2", 0), ("refs/tags/v1.0", 2), ("main~3", 1),
        ("origin/main", 3), ("origin/main~1", 2), ("refs/remotes/origin/main", 3), ("remotes/origin/main", 3),
    ],
)  # fmt: skip
def test_names(tmp_path: Path, text: str, seq: int) -> None:
    ids = fill(tmp_path, 5)
    domain = open_repository(tmp_path).domain()
    domain.directory.write("refs/tags/v1.0", encode_tag(ids[2], 2))
    domain.directory.make("refs/remotes/origin")
    domain.directory.write("refs/remotes/origin/main", encode_ref(Ref(ids[3], 3, "0" * 64)))
    assert resolve_revision(domain, text).commit_id == ids[seq]
    domain.directory.remove("refs/remotes/origin/main")
    collect(domain)
    domain.directory.write("refs/remotes/origin/main", encode_ref(Ref(ids[3], 3, "0" * 64)))
    assert resolve_revision(domain, text).seq == seq


def test_a_tag_that_is_a_checkpoint_names_the_last_of_its_commits(tmp_path: Path) -> None:
    ids = fill(tmp_path, 5)
    domain = open_repository(tmp_path).domain()
    root = b64encode(bytes(32))
    for size in (0, 3, 5, 6):
        note = b"dbx/some-domain\n%d\n%s\n\n\xe2\x80\x94 shop %s\n" % (size, root, b64encode(bytes(68)))
        domain.directory.write(f"refs/tags/signed-{size}", note)
    assert resolve_revision(domain, "signed-3").commit_id == ids[2]
    assert resolve_revision(domain, "signed-5~1").commit_id == ids[3]
    with pytest.raises(NotFound, match="no commits"):
        resolve_revision(domain, "signed-0")
    with pytest.raises(Corrupt, match="names commit 5"):
        resolve_revision(domain, "signed-6")


def test_a_whole_id_before_a_tag_before_digits(tmp_path: Path) -> None:
    ids = fill(tmp_path, 3)
    domain = open_repository(tmp_path).domain()
    for name in (ids[2], ids[2][:8]):
        domain.directory.write(f"refs/tags/{name}", encode_tag(ids[0], 0))
    assert resolve_revision(domain, ids[2]).seq == 2
    assert resolve_revision(domain, ids[2][:8]).seq == 0
    assert resolve_revision(domain, ids[2][:9]).seq == 2
    assert resolve_revision(domain, f"refs/tags/{ids[2]}").seq == 0


def test_the_beginning_of_two_ids_lists_both(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    domain = open_repository(tmp_path).domain()
    ids = {0: get_commit(domain, 0).id.hex()}
    twins: list[str] = []
    for seq in itertools.count(1):
        ids[seq] = append(domain, "o")
        twins = [found for found in ids.values() if found[:4] == ids[seq][:4]]
        if len(twins) > 1:
            break
    with pytest.raises(Invalid, match="is ambiguous") as refused:
        resolve_revision(domain, twins[0][:4])
    assert refused.value.details == {"candidates": sorted(twins)}
    assert resolve_revision(domain, twins[0]).commit_id == twins[0]


@pytest.mark.parametrize(
    ("text", "character"),
    [
        ("", 1), ("~1", 1), ("HEAD~x", 6), ("HEAD~1x", 7), ("HEAD~-1", 6), ("HEAD~" + "1" * 16, 21), ("v1~2..", 5),
        ("Head", 1), ("a b", 2), ("ünchen", 1), ("v1..v2", 3), ("../main", 1), ("origin/other", 7), ("a/b/main", 2),
        ("a" * 101, 101), ("@yesterday", 2), ("@2026-13-01", 2), ("@2026-11-01T10:00:00", 2), ("@~1", None),
        ("-v", 1), ("v1\n", 3),
    ],
)  # fmt: skip
def test_what_is_no_ref(tmp_path: Path, text: str, character: int | None) -> None:
    fill(tmp_path, 2)
    domain = open_repository(tmp_path).domain()
    if character is None:
        assert resolve_revision(domain, text).seq == 0
        return
    with pytest.raises(Invalid, match="is not a ref") as refused:
        resolve_revision(domain, text)
    assert refused.value.details == {"character": character}
    assert f"at character {character}" in refused.value.message


@pytest.mark.parametrize(
    "text", ["v9", "abc", "ffffffff", "f" * 64, "nowhere/main", "HEAD~3", "v9~1", "@2020-01-01", "refs/tags/abcd"]
)
def test_names_that_nothing_has(tmp_path: Path, text: str) -> None:
    fill(tmp_path, 3)
    with pytest.raises(NotFound):
        resolve_revision(open_repository(tmp_path).domain(), text)


@pytest.mark.parametrize("text", ["HEAD", "main~2", "v1", "abcd", "@2030-01-01", "origin/main", "@1d"])
def test_an_empty_domain_has_no_commit(tmp_path: Path, text: str) -> None:
    with pytest.raises(NotFound):
        resolve_revision(open_repository(tmp_path).domain(), text)


def test_damaged_tags_are_told(tmp_path: Path) -> None:
    ids = fill(tmp_path, 2)
    domain = open_repository(tmp_path).domain()
    domain.directory.write("refs/tags/torn", b"commit 12")
    domain.directory.write("refs/tags/other", encode_tag(ids[0], 1))
    domain.directory.write("refs/tags/later", encode_tag("0" * 64, 2))
    for name in ("torn", "other", "later"):
        with pytest.raises(Corrupt, match=f"refs/tags/{name}"):
            resolve_revision(domain, name)
    domain.directory.make("refs/remotes/origin")
    domain.directory.write("refs/remotes/origin/main", encode_ref(Ref("0" * 64, 9, "0" * 64)))
    with pytest.raises(NotFound, match="does not have yet"):
        resolve_revision(domain, "origin/main")


def test_times_are_those_of_commits(tmp_path: Path) -> None:
    domain = with_times(tmp_path, [FIRST_DAY + n * DAY + 1 for n in range(3)])

    def seq(text: str) -> int:
        return resolve_revision(domain, text).seq

    days = [format_time(FIRST_DAY + n * DAY)[:10] for n in range(5)]
    # A date is its first moment.
    assert [seq(f"@{day}") for day in days[1:]] == [0, 1, 2, 2]
    assert seq(f"@{days[1]}T00:00:00.000001Z") == 1
    assert seq(f"@{days[1]}T02:00:00+02:00") == 0
    assert seq(f"@{days[2]}~1") == 0
    assert seq("@0") == 2
    assert seq("@1d") == 1
    assert seq("@172800") == 0
    with pytest.raises(NotFound, match="no commit that is so old"):
        seq(f"@{days[0]}")
    with pytest.raises(NotFound, match="no commit that is so old"):
        seq("@3d")


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.integers(-1, 10), st.booleans())
def test_the_last_commit_whose_time_is_not_later_also_when_clocks_jump(
    tmp_path_factory: pytest.TempPathFactory, hours: list[int], asked: int, sealed: bool
) -> None:
    hour = 3_600_000_000
    domain = with_times(tmp_path_factory.mktemp("clock"), [FIRST_DAY + h * hour for h in hours])
    if sealed:
        collect(domain)
    expected = [seq for seq, h in enumerate(hours) if h <= asked]
    text = f"@{format_time(FIRST_DAY + asked * hour)}"
    if expected:
        assert resolve_revision(domain, text).seq == expected[-1]
    else:
        with pytest.raises(NotFound):
            resolve_revision(domain, text)
    domain.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Domain]:
    where = tmp_path_factory.mktemp("shared")
    fill(where, 5)
    repository = open_repository(where)
    yield repository.domain()
    repository.close()


@settings(deadline=None)
@given(text=st.text(max_size=12) | st.from_regex(r"\A[@HEADmain~^0-9a-f/.:TZ-]{0,20}\Z"))
def test_any_text_is_answered_or_refused(shared: Domain, text: str) -> None:
    try:
        assert 0 <= resolve_revision(shared, text).seq < 5
    except (NotFound, Invalid) as refused:
        message = refused.message
        assert message.isprintable()


def test_what_looks_like_a_time() -> None:
    assert [is_moment(text) for text in ("2026-11-01", "2026-11-01T10:00:00Z", "2026-11-01-hot", "HEAD")] == [
        True, True, False, False,
    ]  # fmt: skip
