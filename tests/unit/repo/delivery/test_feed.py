"""A feed turns positions of the log into deliveries, in order, and forgets nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dbx.model.delivery import DONE, Delivery, Outcome, failed
from dbx.model.plugin import HttpConfig, Plugin
from dbx.repo.delivery import jobs
from dbx.repo.delivery.feed import Feed
from dbx.repo.repository import Repository
from dbx.repo.writer import Append, Appender
from tests.history import item

START_US = 1_800_000_000_000_000


class World:
    """A domain with a clock of its own, and feeds of it."""

    def __init__(self, path: Path) -> None:
        self.now_us = START_US
        self.path = path
        repository, _ = Repository.init(str(path), clock=lambda: self.now_us)
        self.repository = repository
        self.domain = repository.domain()
        self.sent: list[Delivery] = []
        self.answer: Callable[[Delivery], Outcome] = lambda _: DONE

    def plugin(self, **more: Any) -> Plugin:
        made = Plugin("hook", HttpConfig("http://192.0.2.1/"), "2020-01-01T00:00:00.000000Z", **more)
        jobs.start_plugin(self.domain, made.name)
        return made

    def append(self, *names: str) -> None:
        for name in names:
            Appender(self.domain).append(Append([item(name, n=len(self.sent))], issued_by=None))

    def feed(self, plugin: Plugin, max_attempts: int = 3) -> Feed:
        queue = jobs.open_queue(self.domain, durable=False)
        return Feed(self.domain, plugin, queue, max_attempts=max_attempts, chance=lambda: 0.0)

    def run(self, feed: Feed) -> list[int]:
        """Deliver what is due; the positions that were sent."""
        before = len(self.sent)

        def deliver(delivery: Delivery) -> Outcome:
            self.sent.append(delivery)
            return self.answer(delivery)

        while tickets := feed.take():
            for ticket in tickets:
                feed.attempt(ticket, deliver)
        feed.save()
        return [delivery.position for delivery in self.sent[before:]]

    def wait(self, seconds: float) -> None:
        self.now_us += int(seconds * 1e6)

    def state(self, plugin: Plugin) -> jobs.PluginState:
        return jobs.survey(self.domain, [plugin]).plugins[0]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.repository.close()


def test_each_event_is_delivered_once_and_in_order(world: World) -> None:
    world.append("o-0")
    plugin = world.plugin()
    world.append("o-1", "o-2", "o-1")
    assert world.state(plugin).behind == 3
    feed = world.feed(plugin)
    assert world.run(feed) == [1, 2, 3]
    world.append("o-3")
    assert world.run(feed) == [4]
    assert world.run(world.feed(plugin)) == []
    state = world.state(plugin)
    assert (state.behind, state.done, state.dead, state.lag_s) == (0, 4, 0, 0.0)
    assert world.sent[0].id == f"{world.domain.id}/hook/1"


def test_the_state_is_the_one_at_the_event(world: World) -> None:
    plugin = world.plugin()
    for n in range(40):
        Appender(world.domain).append(Append([item("o-1", n=n, **{f"k{n}": n})], issued_by=None))
    world.run(world.feed(plugin))
    for n, delivery in enumerate(world.sent):
        state = delivery.parts["state"]
        assert (state["version"], state["state"]["n"], len(state["state"])) == (n + 1, n, n + 2)
        assert delivery.parts["event"]["merkle_root"] == state["merkle_root"]
    world.wait(1)


def test_an_event_that_fails_holds_its_aggregate_only(world: World) -> None:
    plugin = world.plugin()
    world.append("o-1", "o-2", "o-1", "o-2", "o-1")
    world.answer = lambda delivery: failed("no") if delivery.aggregate_id == "o-1" else DONE
    feed = world.feed(plugin)
    assert world.run(feed) == [0, 1, 3]
    assert feed.next_due_s() == pytest.approx(1.0)
    assert world.state(plugin).behind == 3
    world.wait(1)
    assert world.run(world.feed(plugin)) == [0]  # also in another process
    world.answer = lambda _: DONE
    assert world.run(feed) == []
    world.wait(2)
    assert world.run(feed) == [0, 2, 4]
    assert [d.attempt for d in world.sent if d.position == 0] == [1, 2, 3]
    state = world.state(plugin)
    assert (state.behind, state.done, state.dead) == (0, 5, 0)
    world.append("o-1")
    assert world.run(feed) == [5]


@pytest.mark.parametrize("on_dead", ["skip", "hold"])
def test_a_poison_event_goes_to_the_dead_while_others_go_on(world: World, on_dead: str) -> None:
    plugin = world.plugin(on_dead=on_dead)
    world.append("o-1", "o-2", "o-1")
    world.answer = lambda delivery: failed("poison") if delivery.position == 0 else DONE
    feed = world.feed(plugin, max_attempts=2)
    assert world.run(feed) == [0, 1]
    world.wait(1)
    assert world.run(feed) == ([0, 2] if on_dead == "skip" else [0])
    state = world.state(plugin)
    assert (state.dead, state.behind, state.error) == (1, 0 if on_dead == "skip" else 1, "poison")
    assert jobs.count_dead(world.domain) == 1
    world.wait(100)
    assert world.run(feed) == []
    world.answer = lambda _: DONE
    assert jobs.retry(world.domain, [plugin], "nonsense") == (0, 1)
    assert jobs.retry(world.domain, [plugin]) == (1, 0)
    assert world.run(feed) == ([0] if on_dead == "skip" else [0, 2])
    assert (world.state(plugin).dead, world.state(plugin).behind) == (0, 0)


def test_what_is_cleared_is_given_up(world: World) -> None:
    plugin = world.plugin(on_dead="hold")
    world.append("o-1", "o-1")
    world.answer = lambda delivery: failed("poison", retry=False) if delivery.position == 0 else DONE
    feed = world.feed(plugin)
    assert world.run(feed) == [0]
    assert jobs.clear_dead(world.domain) == 1
    assert world.run(feed) == [1]
    assert jobs.count_dead(world.domain) == 0


def test_a_plugin_that_is_down_is_asked_for_one_event_only(world: World) -> None:
    plugin = world.plugin()
    world.append(*(f"o-{n}" for n in range(200)))
    world.answer = lambda _: failed("connection refused", reached=False)
    feed = world.feed(plugin)
    assert not feed.is_paused()
    assert world.run(feed) == [0]
    assert feed.is_paused()
    assert world.state(plugin).behind == 200
    world.wait(1)
    assert world.run(feed) == [0]
    world.answer = lambda _: DONE
    world.wait(2)
    assert world.run(feed) == list(range(200))
    assert not feed.is_paused()


def test_many_failures_in_a_row_are_taken_for_being_down(world: World) -> None:
    plugin = world.plugin()
    world.append(*(f"o-{n}" for n in range(200)))
    world.answer = lambda _: failed("500")
    feed = world.feed(plugin)
    tried = world.run(feed)
    assert len(tried) == 8


def test_many_aggregates_that_failed_are_tried_again_in_order(world: World) -> None:
    plugin = world.plugin()
    world.append(*(f"o-{n}" for n in range(150)), *(f"o-{n}" for n in range(150)))
    world.answer = lambda delivery: DONE if delivery.position % 5 == 0 else failed("500")
    feed = world.feed(plugin)
    first = world.run(feed)
    assert len(first) == 180  # of those that failed the second event waits
    assert world.state(plugin).behind == 240
    world.answer = lambda _: DONE
    world.wait(60)
    again = world.run(feed)
    assert sorted(again) == [n for n in range(300) if n % 5]
    assert [at for at in again if at < 150] == [n for n in range(150) if n % 5]
    for n in range(150):
        assert [at for at in again if at % 150 == n] == sorted(at for at in again if at % 150 == n)
    assert world.state(plugin).behind == 0


def test_retry_after_holds_everything(world: World) -> None:
    plugin = world.plugin()
    world.append("o-1", "o-2", "o-3")
    world.answer = lambda _: failed("429", retry_after_s=30)
    feed = world.feed(plugin)
    assert world.run(feed)[0] == 0
    assert feed.is_paused()
    world.answer = lambda _: DONE
    world.wait(29)
    assert world.run(feed) == []
    assert world.run(world.feed(plugin)) == []
    world.wait(1)
    assert sorted(world.run(feed)) == [0, 1, 2]


def test_a_crash_delivers_again_and_skips_nothing(world: World) -> None:
    plugin = world.plugin()
    world.append("o-1", "o-2", "o-3", "o-4")
    feed = world.feed(plugin)
    tickets = feed.take()
    for ticket in tickets[:2]:
        feed.attempt(ticket, lambda _: DONE)
    # Nothing is saved: the process dies here.
    assert world.run(world.feed(plugin)) in ([0, 1, 2, 3], [1, 2, 3], [2, 3])
    assert world.run(world.feed(plugin)) == []


def test_a_queue_that_was_lost_begins_where_the_plugin_was_configured(world: World) -> None:
    world.append("o-1")
    world.wait(10)
    plugin = Plugin("hook", HttpConfig("http://192.0.2.1/"), "2027-01-15T08:00:05.000000Z")
    world.append("o-2")
    assert world.run(world.feed(plugin)) == [1]


def test_history_that_was_taken_back_is_delivered_anew(world: World) -> None:
    from dbx.formats.envelope import Actor
    from dbx.repo.refs.undo import plan_undo, undo

    plugin = world.plugin()
    world.append(*(f"o-{n}" for n in range(10)))
    feed = world.feed(plugin)
    assert world.run(feed) == list(range(10))
    undo(world.domain, plan_undo(world.domain), actor=Actor("ops", "jane"))
    assert world.run(feed) == []
    world.append("x-1", "x-2")
    # Nothing of the new history is missed, though some of it lies below where the cursor was.
    assert world.run(world.feed(plugin)) == [9, 10]
    assert [delivery.aggregate_id for delivery in world.sent[-2:]] == ["x-1", "x-2"]
    world.append("x-3")
    assert world.run(feed) == [11]
    assert world.run(world.feed(plugin)) == []


def test_a_dead_letter_that_was_taken_back_is_gone(world: World) -> None:
    from dbx.formats.envelope import Actor
    from dbx.repo.refs.undo import plan_undo, undo

    plugin = world.plugin()
    world.append("o-1", "o-2")
    world.answer = lambda delivery: failed("no") if delivery.position == 1 else DONE
    feed = world.feed(plugin, max_attempts=1)
    assert world.run(feed) == [0, 1]
    assert world.state(plugin).dead == 1
    undo(world.domain, plan_undo(world.domain), actor=Actor("ops", "jane"))
    world.run(feed)
    assert world.state(plugin).dead == 0
