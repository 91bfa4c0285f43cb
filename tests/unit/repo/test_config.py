"""Settings: what they may be, where they are kept, and that event ids follow the one about workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbx.errors import Invalid
from dbx.model import snowflake
from dbx.repo import config
from dbx.repo.batch.staging import stage
from dbx.repo.domain import Domain
from dbx.repo.repository import Repository
from dbx.repo.writer import Append, Appender

NOW_US = 1_790_000_000_000_000


def clock() -> int:
    return NOW_US


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made, fresh = Repository.init(str(tmp_path), clock=clock)
    assert fresh
    return made


def append(domain: Domain) -> int:
    item = {"aggregate_type": "order", "aggregate_id": "1", "event_type": "placed", "payload": {}}
    return Appender(domain).append(Append([item], issued_by=None)).events()[0].event_id


def stage_one(domain: Domain) -> int:
    item = {"aggregate_type": "order", "aggregate_id": "2", "event_type": "placed", "payload": {}}
    event = stage(domain, [(1, item, None)], issued_by=None).last
    assert event is not None
    return event.event_id


def worker_of(event_id: int) -> int:
    return snowflake.split(event_id)[1]


def test_every_default_is_a_value_the_setting_may_have() -> None:
    for key, setting in config.SETTINGS.items():
        assert key == setting.key
        if setting.default is not None:
            assert config.check(setting, setting.default) == setting.default


def test_what_is_set_is_what_is_got(repository: Repository) -> None:
    domain = repository.domain()
    assert config.get(repository, None, "list_page_size") == 10
    config.change(repository, domain, {"list_page_size": 25, "user.name": "ann", "snapshot_threshold": 7})
    assert config.get(repository, None, "list_page_size") == 25
    assert config.get(repository, domain, "user.name") == "ann"
    assert config.get(repository, domain, "snapshot_threshold") == 7
    assert config.get(repository, repository.create_domain("other"), "snapshot_threshold") is None
    assert repository.read_config() == {"format": 1, "list_page_size": 25, "user": {"name": "ann"}}
    config.change(repository, domain, {}, ["list_page_size", "user.name", "snapshot_threshold"])
    assert repository.read_config() == {"format": 1}
    assert domain.file.settings == {}


def test_nothing_is_written_when_one_of_many_is_bad(repository: Repository) -> None:
    with pytest.raises(Invalid, match="'page_limit' must be a whole number from 1 to"):
        config.change(repository, repository.domain(), {"list_page_size": 3, "page_limit": 0})
    with pytest.raises(Invalid, match="there is no setting 'list_pagesize'") as caught:
        config.change(repository, repository.domain(), {"list_page_size": 3, "list_pagesize": 1})
    assert caught.value.hint == "did you mean 'list_page_size'?"
    assert repository.read_config() == {"format": 1}


def test_the_default_depth_is_not_above_the_greatest(repository: Repository) -> None:
    domain = repository.domain()
    config.change(repository, domain, {"reference_default_depth": 4})
    with pytest.raises(Invalid, match="must not be above 'reference_max_depth', which is 3"):
        config.change(repository, domain, {"reference_max_depth": 3})
    config.change(repository, domain, {"reference_default_depth": 1, "reference_max_depth": 3})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("list_page_size: many\n", "'list_page_size' must be a whole number"),
        ("list_page_size: 10.5\n", "'list_page_size' must be a whole number"),
        ("verbose_responses: 1\n", "'verbose_responses' must be true or false"),
        ("list_pages: 10\n", "unknown setting 'list_pages'"),
        ("user: ann\n", "unknown setting 'user'"),
        ("user:\n  nam: ann\n", "unknown setting 'user.nam'"),
        ('user:\n  name: ""\n', "'user.name' must be text"),
        ("snapshot_threshold: 5\n", "'snapshot_threshold' does not belong into"),
    ],
)
def test_a_file_that_somebody_edited_is_checked(repository: Repository, text: str, message: str) -> None:
    Path(repository.path, "config.yaml").write_text("format: 1\n" + text)
    with pytest.raises(Invalid, match=message) as caught:
        config.get(repository, None, "page_limit")
    assert caught.value.details["file"] == f"{repository.path}/config.yaml"


def test_a_refusal_does_not_repeat_the_value(repository: Repository) -> None:
    with pytest.raises(Invalid) as caught:
        config.parse(config.get_setting("list_page_size"), "hunter2")
    assert "hunter2" not in f"{caught.value.message} {caught.value.hint} {caught.value.details}"


def test_appends_draw_from_the_worker_that_was_set(repository: Repository) -> None:
    domain = repository.domain()
    config.change(repository, domain, {"snowflake_worker_id": 7})
    ids = [append(domain), append(domain), append(domain)]
    assert [worker_of(event_id) for event_id in ids] == [7, 7, 7]
    assert ids == sorted(set(ids))
    assert worker_of(stage_one(domain)) != 7


def test_a_worker_that_is_set_goes_on_behind_all_that_it_drew(tmp_path: Path) -> None:
    repository, _ = Repository.init(str(tmp_path), clock=clock)
    appended, staged = append(repository.domain()), stage_one(repository.domain())
    for before in (appended, staged):
        config.change(repository, repository.domain(), {"snowflake_worker_id": worker_of(before)})
        repository.close()
        repository = Repository(repository.path, clock=clock)
        after = append(repository.domain())
        assert worker_of(after) == worker_of(before)
        assert after > before
        # Staging never draws from the same worker: two processes may do both at once.
        assert worker_of(stage_one(repository.domain())) != worker_of(before)


def test_two_open_domains_never_draw_the_same_id(repository: Repository) -> None:
    one, other = repository.domain(), Repository(repository.path, clock=clock).domain()
    ids = [append(domain) for domain in (one, one, other, other, one, other)]
    assert len(set(ids)) == len(ids)
