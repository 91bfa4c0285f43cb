"""What an Access lets through: against the table of rights, the limits, the domains; and that nobody is forgotten."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from dbx.errors import Denied
from dbx.formats.envelope import Actor
from dbx.model.rights import COMMANDS, FREE, action_of
from dbx.repo import config
from dbx.repo.repository import Repository
from dbx.repo.security import tokens
from dbx.repo.security.access import Access, admit, check_command
from dbx.repo.security.tokens import Wanted
from dbx.repo.security.uses import count_uses
from dbx.repo.writer import Append, Appender
from tests.history import append, item, open_repository

BY = Actor("local", "root")
ORDERS = ("aggregate:order:*",)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = open_repository(tmp_path)
    append(made.domain(), "a", "b")
    return made


def access(repository: Repository, *actions: str, **more: object) -> Access:
    wanted = Wanted("ops", "jane", actions)._replace(**more)
    found = admit(repository, tokens.generate(repository, wanted, BY).text)
    assert found is not None
    return found


def opened(repository: Repository, *actions: str, **more: object) -> Repository:
    """The same repository again, held to a token."""
    other = Repository(repository.path, clock=repository.clock, wait_s=30)
    other.access = access(repository, *actions, **more)
    return other


def write(repository: Repository, *names: str, domain: str | None = None) -> None:
    request = Append([item(name) for name in names], issued_by=BY)
    Appender(repository.domain(domain)).append(request)


def test_without_a_token_nobody_is_held_to_anything(repository: Repository) -> None:
    assert admit(repository, None) is None
    assert repository.domain().access is None


def test_a_token_of_another_workspace(repository: Repository, tmp_path: Path) -> None:
    other = open_repository(tmp_path / "other")
    text = tokens.generate(other, Wanted("a", "b", ("*.*",)), BY).text
    with pytest.raises(Denied):
        admit(repository, text)
    assert admit(repository, text, foreign=True) is None


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_a_token_without_actions_that_matter_runs_only_what_asks_for_none(repository: Repository, command: str) -> None:
    right = COMMANDS[command]
    none = access(repository, "tenant.manage")
    all_of_it = access(repository, "*.*")
    check_command(all_of_it, command, "default")
    if right.scope == FREE or not right.action:
        check_command(none, command, "default")
        return
    with pytest.raises(Denied):
        check_command(none, command, "default")
    own = access(repository, "aggregate.append", right.action)
    check_command(own, command, "default")
    bounded = access(repository, "aggregate.append", right.action, resources=ORDERS)
    if right.scope in ("subject", "whole"):
        with pytest.raises(Denied):
            check_command(bounded, command, "default")
    if right.scope in ("subject", "rows"):
        check_command(bounded, command, "default", ("order", "a"))
        with pytest.raises(Denied):
            check_command(bounded, command, "default", ("person", "a"))


def test_a_command_that_the_table_does_not_know_is_denied(repository: Repository) -> None:
    with pytest.raises(Denied):
        check_command(access(repository, "*.*"), "format.disk", "default")


def test_the_action_of_an_event() -> None:
    assert action_of("placed", 1) == "aggregate.create"
    assert action_of("placed", 2) == "aggregate.append"
    assert action_of("aggregate_archived", 3) == action_of("aggregate_restored", 4) == "aggregate.archive"
    assert action_of("body_erased", 5) == "admin.domain"


def test_a_writer_is_checked_event_by_event(repository: Repository) -> None:
    held = opened(repository, "aggregate.append", resources=("aggregate:order:a",))
    write(held, "a")
    before = repository.domain().read(lambda working, _: working.head.position)
    for names in (("b",), ("a", "b"), ("new",)):
        with pytest.raises(Denied):
            write(held, *names)
    assert repository.domain().read(lambda working, _: working.head.position) == before
    held.close()


def test_domains_and_environments(repository: Repository) -> None:
    repository.create_domain("sales")
    held = opened(repository, "*.*", tenants=("sales",))
    held.domain("sales")
    with pytest.raises(Denied):
        held.domain("default")
    config.change(repository, repository.domain("sales"), {"env": "production"})
    for environment, fits in (("production", True), ("staging", False)):
        other = opened(repository, "*.*", environment=environment)
        if fits:
            other.domain("sales")
        else:
            with pytest.raises(Denied, match="production"):
                other.domain("sales")
            assert other.access is not None
            other.access.cross = True
            other.domain("sales")


def test_the_limit_counts_history_in_all_domains_and_each_commit_once(repository: Repository) -> None:
    repository.create_domain("sales")
    held = opened(repository, "*.*", write_events=4)
    assert held.access is not None
    token_id = held.access.token_id
    write(held, "a", "b")
    write(held, "x", domain="sales")
    assert count_uses(repository, token_id) == 3
    with pytest.raises(Denied, match="limit"):
        write(held, "a", "b")
    from dbx.repo.upkeep.fork import fork_domain

    fork_domain(repository, "copy", repository.domain("default"), None, actor=BY)
    assert count_uses(repository, token_id) == 3
    Path(repository.directory.path_of("uses.json")).unlink()
    assert count_uses(repository, token_id) == 3
    write(held, "a")
    with pytest.raises(Denied, match="limit"):
        write(held, "a")
    held.close()


def test_threads_share_what_is_left(repository: Repository) -> None:
    held = opened(repository, "aggregate.*", write_events=5)
    appender = Appender(held.domain())
    refused = []

    def work() -> None:
        for _ in range(3):
            try:
                appender.append(Append([item("a")], issued_by=BY))
            except Denied as error:
                refused.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert held.access is not None
    assert count_uses(repository, held.access.token_id) == 5
    assert len(refused) == 7
    held.close()
