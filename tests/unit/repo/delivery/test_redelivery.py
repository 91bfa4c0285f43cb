"""Which events a replay is about, from where it goes on, and that it notices when history was taken back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dbx.errors import Conflict, NotFound
from dbx.formats.envelope import Actor
from dbx.model.plugin import HttpConfig, Plugin
from dbx.repo.delivery import deliveries, jobs, redelivery
from dbx.repo.delivery.redelivery import Bookmark, Redelivery, Wanted
from dbx.repo.domain import Domain
from dbx.repo.refs.undo import plan_undo, undo
from dbx.repo.repository import Repository
from dbx.repo.writer import Append, Appender
from dbx.store.queuelayout import QueueDamaged
from tests.history import item, open_repository

PLUGIN = Plugin("hook", HttpConfig("http://192.0.2.1/"), "2020-01-01T00:00:00.000000Z")
START = Bookmark()


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    made = open_repository(tmp_path)
    yield made
    made.close()


@pytest.fixture
def domain(repository: Repository) -> Domain:
    return repository.domain()


def append(domain: Domain, *names: str, **payload: Any) -> None:
    for name in names:
        Appender(domain).append(Append([item(name, **payload)], issued_by=None))


def append_at_once(domain: Domain, *names: str) -> None:
    Appender(domain).append(Append([item(name) for name in names], issued_by=None))


def take_back(domain: Domain) -> None:
    undo(domain, plan_undo(domain), actor=Actor("ops", "jane"))


def replayed(domain: Domain, wanted: Wanted, begin: Bookmark = START) -> list[tuple[str, int]]:
    going = Redelivery(domain, PLUGIN, wanted, begin)
    steps = [step for batch in going.batches() for step in batch]
    assert [step.position for step in steps] == sorted({step.position for step in steps})
    assert begin.seen + len(steps) == going.total
    found = [step.delivery for step in steps if step.delivery is not None]
    assert all(delivery.replay for delivery in found)
    return [(delivery.aggregate_id, delivery.version) for delivery in found]


def test_events_come_in_the_order_of_the_log(domain: Domain) -> None:
    append(domain, "o-1", "o-2", "o-1", "o-3", "o-2")
    assert replayed(domain, Wanted("order")) == [("o-1", 1), ("o-2", 1), ("o-1", 2), ("o-3", 1), ("o-2", 2)]
    assert replayed(domain, Wanted("order", "o-2")) == [("o-2", 1), ("o-2", 2)]
    assert replayed(domain, Wanted("order", from_version=2)) == [("o-1", 2), ("o-2", 2)]
    assert replayed(domain, Wanted("order", "o-1", from_version=2)) == [("o-1", 2)]
    created = [
        step.delivery for batch in Redelivery(domain, PLUGIN, Wanted("order"), Bookmark()).batches() for step in batch
    ]
    assert created[3] is not None
    since = created[3].parts["event"]["metadata"]["created_at"]
    assert replayed(domain, Wanted("order", since=since)) == [("o-3", 1), ("o-2", 2)]


def test_more_than_a_batch_with_the_state_at_each(domain: Domain) -> None:
    count = 3 * redelivery.BATCH + 5
    for n in range(count):
        append(domain, "o-1", **{f"k{n}": n})
    going = Redelivery(domain, PLUGIN, Wanted("order"), Bookmark())
    states = [step.delivery.parts["state"] for batch in going.batches() for step in batch if step.delivery is not None]
    assert [(state["version"], len(state["state"])) for state in states] == [(n + 1, n + 1) for n in range(count)]


def test_what_is_not_there_is_said_before_anything_is_sent(domain: Domain) -> None:
    append(domain, "o-1")
    for wanted in (Wanted("parcel"), Wanted("order", "o-2"), Wanted("order", "o-1", from_version=2)):
        with pytest.raises(NotFound):
            Redelivery(domain, PLUGIN, wanted, Bookmark())


def test_archived_aggregates_only_when_they_are_asked_for(domain: Domain) -> None:
    append(domain, "o-1", "o-2")
    archive = item("o-1", "aggregate_archived")
    Appender(domain).append(Append([archive], issued_by=None, reserved=True))
    assert replayed(domain, Wanted("order")) == [("o-2", 1)]
    assert replayed(domain, Wanted("order", archived=True)) == [("o-1", 1), ("o-2", 1), ("o-1", 2)]
    assert replayed(domain, Wanted("order", "o-1")) == [("o-1", 1), ("o-1", 2)]


def marked(domain: Domain, upto: int) -> Bookmark:
    steps = [s for batch in Redelivery(domain, PLUGIN, Wanted("order"), Bookmark()).batches() for s in batch]
    last = steps[upto - 1]
    return Bookmark(last.position + 1, last.leaf.hex(), upto, upto)


def test_it_goes_on_behind_its_bookmark(domain: Domain) -> None:
    append(domain, "o-1", "o-2", "o-1")
    begin = marked(domain, 2)
    with jobs.opened_queue(domain) as queue:
        name = redelivery.bookmark_name("hook", "order", None)
        assert redelivery.find_bookmark(domain, queue, name) == (None, False)
        redelivery.put_bookmark(domain, queue, name, begin)
        found, astray = redelivery.find_bookmark(domain, queue, name)
        assert found is not None
        assert (found._replace(at=0), astray) == (begin, False)
        assert redelivery.list_bookmarks(domain, queue, "hook") == [(["order", None], found)]
        assert redelivery.list_bookmarks(domain, queue, "hoo") == []
        assert replayed(domain, Wanted("order"), begin) == [("o-1", 2)]
        redelivery.drop_bookmark(queue, name)
        assert redelivery.find_bookmark(domain, queue, name) == (None, False)


def test_a_bookmark_is_kept_for_a_month(domain: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    append(domain, "o-1", "o-2")
    with jobs.opened_queue(domain) as queue:
        names = ["replay hook [1]", "replay hook [2]", "replay other [1]"]
        for name in names:
            redelivery.put_bookmark(domain, queue, name, marked(domain, 1))
        redelivery.drop_old_bookmarks(domain, queue, "hook")
        assert list(queue.metas("replay")) == names
        monkeypatch.setattr(redelivery, "KEPT_DAYS", 0)  # the clock goes on by a second each time
        assert redelivery.find_bookmark(domain, queue, names[0]) == (None, False)
        assert redelivery.list_bookmarks(domain, queue, "hook") == []
        redelivery.drop_old_bookmarks(domain, queue, "hook")
        assert list(queue.metas("replay")) == names[2:]


def test_a_bookmark_in_history_that_was_taken_back_does_not_hold(domain: Domain) -> None:
    append(domain, "o-1", "o-2", "o-1")
    begin = marked(domain, 3)
    take_back(domain)
    with jobs.opened_queue(domain) as queue:
        redelivery.put_bookmark(domain, queue, "replay hook x", begin)
        assert redelivery.find_bookmark(domain, queue, "replay hook x") == (None, True)
        append(domain, "o-9")
        assert redelivery.find_bookmark(domain, queue, "replay hook x") == (None, True)


def test_history_that_is_taken_back_meanwhile_stops_it(domain: Domain) -> None:
    append_at_once(domain, *[f"o-{n}" for n in range(redelivery.BATCH - 2)])
    append_at_once(domain, *[f"p-{n}" for n in range(5)])
    batches = Redelivery(domain, PLUGIN, Wanted("order"), Bookmark()).batches()
    next(batches)
    take_back(domain)
    append_at_once(domain, *[f"q-{n}" for n in range(9)])
    with pytest.raises(Conflict, match="taken back"):
        next(batches)


def test_a_bookmark_that_is_none_is_damage(domain: Domain) -> None:
    with jobs.opened_queue(domain) as queue:
        for text in ("{", "[]", '{"place":1}', '{"leaf":"x"}'):
            queue.set_meta("replay hook x", text)
            with pytest.raises(QueueDamaged):
                redelivery.find_bookmark(domain, queue, "replay hook x")


def test_a_plugin_that_is_removed_leaves_no_bookmark(domain: Domain) -> None:
    append(domain, "o-1")
    jobs.start_plugin(domain, "hook")
    with jobs.opened_queue(domain) as queue:
        for name in ("replay hook x", "pause hook", "replay hook2 x", "pause hook2"):
            queue.set_meta(name, "1")
    jobs.forget_plugin(domain, "hook")
    with jobs.opened_queue(domain) as queue:
        assert set(queue.metas("replay")) == {"replay hook2 x"}
        assert set(queue.metas("pause")) == {"pause hook2"}


def test_aggregates_that_were_let_go_are_folded_again(domain: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many are remembered while they are small; the state at an event does not depend on it."""
    for round_ in range(4):
        append_at_once(domain, *[f"o-{n}" for n in range(5)])
        append(domain, *[f"o-{n}" for n in range(5)], **{f"k{round_}": "x" * 100})
    limits: tuple[dict[str, int], ...]
    limits = (
        {},
        {"_KEPT": 2},
        {"_KEPT_STATES": 2, "_KEPT_BYTES": 300},
        {"_KEPT_STATES": 1, "_KEPT_BYTES": 0},
    )
    found = []
    for limit in limits:
        with monkeypatch.context() as patch:
            for name, value in limit.items():
                patch.setattr(deliveries, name, value)
            for mode in ("all", "event-only"):
                going = Redelivery(domain, replace(PLUGIN, payload_mode=mode), Wanted("order"), Bookmark())
                found.append([s.delivery.parts for batch in going.batches() for s in batch if s.delivery is not None])
    assert [parts["state"]["version"] for parts in found[0]] == [parts["event"]["version"] for parts in found[0]]
    assert found[0::2] == [found[0]] * len(limits)
    assert found[1::2] == [found[1]] * len(limits)
