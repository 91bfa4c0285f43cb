"""Tags, their reflogs, and what a crash between the two leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbx.errors import Conflict, Corrupt, Invalid, NotFound
from dbx.formats.envelope import Actor
from dbx.repo.domain import Domain
from dbx.repo.refs.tags import create_tag, delete_tag, find_tag, list_tags
from dbx.store.reflog import Reflog
from tests.history import fill, open_repository

JANE = Actor("ops", "jane")


@pytest.fixture
def domain(tmp_path: Path) -> Domain:
    fill(tmp_path, 3)
    return open_repository(tmp_path).domain()


def make(domain: Domain, name: str, ref: str = "HEAD", message: str | None = None, *, force: bool = False) -> None:
    create_tag(domain, name, ref, message=message, actor=JANE, force=force)


def test_what_a_tag_tells(domain: Domain) -> None:
    made, old = create_tag(domain, "v1", "HEAD~1", message="why", actor=JANE)
    assert old is None
    assert (made.name, made.seq, made.signed, made.actor, made.message) == ("v1", 1, False, JANE, "why")
    assert list_tags(domain) == [made] == [find_tag(domain, "v1")]
    moved, old = create_tag(domain, "v1", "HEAD", message=None, actor=JANE, force=True)
    assert (old, moved.seq, moved.message) == (made, 2, None)
    assert domain.directory.read("refs/undone/tags/v1", 100) == f"commit {made.commit_id} 1\n".encode()
    assert delete_tag(domain, "v1", actor=JANE) == moved
    assert domain.directory.read("refs/undone/tags/v1", 100) == f"commit {moved.commit_id} 2\n".encode()
    assert list_tags(domain) == []


def test_refusals(domain: Domain) -> None:
    make(domain, "v1")
    with pytest.raises(Conflict):
        make(domain, "v1")
    with pytest.raises(NotFound):
        delete_tag(domain, "v2", actor=JANE)
    with pytest.raises(NotFound):
        delete_tag(domain, "../v1", actor=JANE)
    for name in ("head", "main", "V2", "a..b"):
        with pytest.raises(Invalid):
            make(domain, name)
    assert [tag.name for tag in list_tags(domain)] == ["v1"]


def test_a_line_without_its_tag_is_nothing(domain: Domain) -> None:
    # As a crash leaves it between the two.
    make(domain, "v1", message="lost")
    domain.directory.remove("refs/tags/v1")
    assert list_tags(domain) == []
    make(domain, "v1", "HEAD~1")
    found = find_tag(domain, "v1")
    assert found is not None
    assert (found.seq, found.message) == (1, None)


def test_a_tag_without_a_reflog_is_a_tag(domain: Domain) -> None:
    make(domain, "v1", message="gone")
    domain.directory.remove("logs/refs/tags/v1")
    found = find_tag(domain, "v1")
    assert found is not None
    assert (found.seq, found.tagged_at, found.actor, found.message) == (2, None, None, None)


def test_a_checkpoint_counts_commits(domain: Domain) -> None:
    note = b"dbx/x\n2\n" + b"A" * 43 + b"=\n\n\xe2\x80\x94 shop AAAA\n"
    domain.directory.write("refs/tags/signed", note)
    found = find_tag(domain, "signed")
    assert found is not None
    assert (found.seq, found.signed, len(found.commit_id)) == (1, True, 64)
    delete_tag(domain, "signed", actor=JANE)
    assert domain.directory.read("refs/undone/tags/signed", 1000) == note


def test_damage_is_told(domain: Domain) -> None:
    domain.directory.write("refs/tags/torn", b"commit")
    with pytest.raises(Corrupt, match="refs/tags/torn"):
        list_tags(domain)


def test_the_line_is_there_before_the_tag(domain: Domain) -> None:
    make(domain, "v1", message="why")
    (entry,) = Reflog(domain.directory, "refs/tags/v1").read()
    assert (entry.old, entry.seq, entry.actor, entry.reason) == (None, 2, JANE, "tag: why")
