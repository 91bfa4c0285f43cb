"""What interrupted changes to a workspace leave is no domain, is swept up, and a rename is brought to its end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dbx.errors import Corrupt, NotFound
from dbx.formats.envelope import Actor
from dbx.repo.check.domain import check_domain
from dbx.repo.domainfile import load_domain_file
from dbx.repo.repository import Repository
from dbx.repo.writer import Append, Appender


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    opened, fresh = Repository.init(str(tmp_path), clock=lambda: 1_800_000_000_000_000)
    assert fresh
    with closing(opened):
        yield opened


def test_a_rename_that_was_interrupted_is_brought_to_its_end(repository: Repository) -> None:
    identity = repository.create_domain("old").id
    repository.switch("old")
    domains = Path(repository.path) / "domains"
    os.rename(domains / "old", domains / "new")
    assert repository.active == "new"
    assert (Path(repository.path) / "HEAD").read_text() == "ref: domains/new\n"
    file = load_domain_file(repository.directory.below("domains/new"))
    assert (file.id, file.name) == (identity, "new")


def test_the_name_in_a_renamed_domain_is_mended_by_the_next_change(repository: Repository) -> None:
    repository.create_domain("old")
    domains = Path(repository.path) / "domains"
    os.rename(domains / "old", domains / "new")
    report = check_domain(repository.directory.below("domains/new"), "new", processes=1)
    assert report.clean
    assert "domain.renamed" in [finding.code for finding in report.findings]
    repository.create_domain("another")
    assert load_domain_file(repository.directory.below("domains/new")).name == "new"


def test_a_domain_file_of_another_domain_is_damage(repository: Repository) -> None:
    repository.create_domain("other")
    domains = Path(repository.path) / "domains"
    (domains / "default" / "domain.yaml").write_bytes((domains / "other" / "domain.yaml").read_bytes())
    assert not check_domain(repository.directory.below("domains/default"), "default", processes=1).clean


def test_head_may_name_no_domain(repository: Repository) -> None:
    (Path(repository.path) / "HEAD").write_text("ref: domains/gone\n")
    assert repository.active == "gone"
    with pytest.raises(NotFound, match="'gone' does not exist"):
        repository.domain()


def test_half_a_creation_and_half_a_deletion_are_no_domains(repository: Repository) -> None:
    domains = Path(repository.path) / "domains"
    for name in (".new-a", ".deleted-b-00112233"):
        (domains / name / "segments").mkdir(parents=True)
        (domains / name / "domain.yaml").write_text("id: half")
    assert repository.domain_names() == ["default"]
    repository.create_domain("a")
    assert sorted(os.listdir(domains)) == ["a", "default"]


def test_half_an_init_is_no_repository_until_init_is_run_again(tmp_path: Path, repository: Repository) -> None:
    (Path(repository.path) / "HEAD").unlink()
    with pytest.raises(NotFound, match="interrupted"):
        _ = repository.active
    again, fresh = Repository.init(str(tmp_path), clock=lambda: 1_800_000_000_000_000)
    with closing(again):
        assert fresh
        assert again.active == "default"


def test_a_lost_head_of_a_repository_with_events_is_damage(repository: Repository) -> None:
    item = {"aggregate_type": "order", "aggregate_id": "o-1", "event_type": "placed", "payload": {}}
    Appender(repository.domain()).append(Append([item], issued_by=Actor("ops", "jane")))
    (Path(repository.path) / "HEAD").unlink()
    with pytest.raises(Corrupt, match="HEAD' is missing"):
        _ = repository.active
