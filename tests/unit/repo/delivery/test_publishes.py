"""What --publish says is durable before the event is, and says nothing of any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbx.errors import Invalid
from dbx.model.plugin import LogConfig, Plugin
from dbx.repo import query
from dbx.repo.delivery import jobs
from dbx.repo.delivery.plugins import changing
from dbx.repo.delivery.publishes import check_targets, recorder
from dbx.repo.repository import Repository
from dbx.repo.writer import Append, Appender
from tests.history import item, open_repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repository = open_repository(tmp_path)
    with changing(repository) as plugins:
        for name in ("Hook", "audit"):
            plugins.append(Plugin(name, LogConfig(), "2020-01-01T00:00:00.000000Z"))
        plugins.append(Plugin("off", LogConfig(), "2020-01-01T00:00:00.000000Z", enabled=False))
        plugins.append(Plugin("mute", LogConfig(), "2020-01-01T00:00:00.000000Z", emit_events=False))
    return repository


def test_targets_get_the_plugins_own_spelling(repository: Repository) -> None:
    found = check_targets(repository, ["HOOK:event-only", "audit::high", "hook:all:low"])
    assert [tuple(target) for target in found] == [("Hook", "event-only", "normal"), ("audit", None, "high")]


@pytest.mark.parametrize("text", ["nobody", "off", "mute", "hook:x", "hook:all:x", "", ":all", "hook:all:low:", "a b"])
def test_what_is_no_target(repository: Repository, text: str) -> None:
    with pytest.raises(Invalid):
        check_targets(repository, ["audit", text])


def test_a_commit_that_fails_after_it_was_announced_leaves_nothing_that_counts(repository: Repository) -> None:
    domain = repository.domain()
    record = recorder(domain, check_targets(repository, ["audit"]))

    def fail(committed: object) -> None:
        record(committed)  # type: ignore[arg-type]
        raise OSError("no room")

    request = Append([item("o-1")], issued_by=None)
    request.announce = fail
    with pytest.raises(OSError, match="no room"):
        Appender(domain).append(request)
    with jobs.opened_queue(domain) as queue:
        assert queue.has_publish()
    committed = Appender(domain).append(Append([item("o-1")], issued_by=None))
    (event,) = query.events_at(domain, [0])
    with jobs.opened_queue(domain) as queue:
        assert queue.find_publish([bytes.fromhex(event.hash)]) == {}
    assert committed.commit.position == 0


def test_what_was_said_is_kept_until_every_plugin_has_passed(repository: Repository) -> None:
    domain = repository.domain()
    for name in ("Hook", "audit"):
        jobs.start_plugin(domain, name)
    request = Append([item("o-1")], issued_by=None)
    request.announce = recorder(domain, check_targets(repository, ["audit"]))
    Appender(domain).append(request)
    with jobs.opened_queue(domain) as queue:
        jobs.prune(domain, queue, ttl_s=0, most=None, interval_s=60)
        assert queue.has_publish()
        with queue.write():
            queue.set_cursor("Hook", 1)
        jobs.prune(domain, queue, ttl_s=0, most=None, interval_s=60, force=True)
        assert queue.has_publish()
        with queue.write():
            queue.set_cursor("audit", 1)
        jobs.prune(domain, queue, ttl_s=0, most=None, interval_s=60, force=True)
        assert not queue.has_publish()
