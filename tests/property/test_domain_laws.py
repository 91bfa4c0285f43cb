"""A domain behaves like a dict of lists: batched, staged, closed, tidied, robbed of its index."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import dbx
from dbx.crypto import indextree, merkle
from dbx.errors import Conflict, DbxError, Invalid
from dbx.repo.batch.commit import commit_staged
from dbx.repo.batch.staging import clear, find_batch, stage, staged_events
from dbx.repo.upkeep.gc import collect
from dbx.repo.writer import Append

MEMORY = "/dev/shm"
"""Where a sync costs nothing, so that many histories can be tried."""

Name = tuple[str, str]
Entry = tuple[str, dict[str, Any], dict[str, Any]]

MEMBERS = ("aggregate_type", "aggregate_id", "event_type", "payload", "metadata")
NAMES = st.sampled_from([("order", "o-1"), ("order", "o-2"), ("person", "o-1"), ("person", "p@x:y"), ("a", "Z")])
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=6)
VALUES = (
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXTS | st.lists(st.integers(0, 9), max_size=2)
)
PAYLOADS = st.dictionaries(st.sampled_from("abcdé"), VALUES, max_size=3)
METADATA = st.dictionaries(st.sampled_from(["@a", "@b"]), VALUES, max_size=2)
EVENTS = st.tuples(st.sampled_from(["placed", "paid"]), PAYLOADS, METADATA)
BATCHES = st.lists(st.tuples(NAMES, EVENTS), min_size=1, max_size=12)
UNFIT = st.sampled_from([("Order", "o-1", "x", {}), ("order", "", "x", {}), ("order", "o-1", "x", {"a": 1e999})])


class DomainMachine(RuleBasedStateMachine):
    """`model` holds each aggregate's events, `order` all of them, `staged` what is staged and on which version."""

    def __init__(self) -> None:
        super().__init__()
        self.path = tempfile.mkdtemp(dir=MEMORY if os.path.isdir(MEMORY) else None)
        self.now_us = 1_790_000_000_000_000
        self.model: dict[Name, list[Entry]] = {}
        self.order: list[tuple[Name, Entry]] = []
        self.archived: set[Name] = set()
        self.commits = 0
        self.staged: list[tuple[Name, Entry]] = []
        self.bases: dict[Name, int] = {}
        self.kept: str | None = None

    @initialize()
    def begin(self) -> None:
        self.open()

    def open(self) -> None:
        self.repository = dbx.init(self.path, clock=lambda: self.now_us)
        self.domain = self.repository.domain()
        self.inner = self.domain._inner

    def teardown(self) -> None:
        if hasattr(self, "repository"):
            self.everything_agrees()
            self.repository.close()
        shutil.rmtree(self.path)

    def version(self, name: Name) -> int:
        return len(self.model.get(name, []))

    def note(self, name: Name, entry: Entry) -> None:
        self.model.setdefault(name, []).append(entry)
        self.order.append((name, entry))

    # -- writing ---------------------------------------------------------------------------------------------------

    @rule(name=NAMES, event=EVENTS, expect=st.booleans())
    def append(self, name: Name, event: Entry, expect: bool) -> None:
        expected = self.version(name) if expect else None
        if name in self.archived:
            refused(Conflict, lambda: self.domain.append(*name, event[0], event[1]))
            return
        made = self.domain.append(*name, event[0], event[1], metadata=event[2], expected_version=expected)
        self.note(name, event)
        self.commits += 1
        assert (made.version, made.position) == (self.version(name), len(self.order) - 1)
        assert (made.payload, made.metadata) == (event[1], event[2])

    @rule(name=NAMES, event=EVENTS, off=st.sampled_from([-1, 1, 5]))
    def append_on_a_wrong_version(self, name: Name, event: Entry, off: int) -> None:
        expected = self.version(name) + off
        kind = Conflict if expected >= 0 else Invalid
        refused(kind, lambda: self.domain.append(*name, event[0], event[1], expected_version=expected))

    @rule(unfit=UNFIT)
    def append_what_cannot_be(self, unfit: tuple[str, str, str, dict[str, Any]]) -> None:
        refused(Invalid, lambda: self.domain.append(*unfit))

    @rule(events=BATCHES)
    def batch(self, events: list[tuple[Name, Entry]]) -> None:
        batch = self.domain.batch("several")
        for name, event in events:
            batch.append(*name, event[0], event[1], metadata=event[2])
        if any(name in self.archived for name, _ in events):
            refused(Conflict, lambda: batch.__exit__(None, None, None))
            return
        with batch:
            pass
        for name, event in events:
            self.note(name, event)
        self.commits += 1
        assert batch.commit is not None
        assert (batch.commit.seq, batch.commit.count) == (self.commits - 1, len(events))

    @rule(events=BATCHES, cut=st.integers(0, 11))
    def batch_that_is_refused(self, events: list[tuple[Name, Entry]], cut: int) -> None:
        batch = self.domain.batch()
        for number, (name, event) in enumerate(events):
            unfit = {"expected_version": 10**6} if number == min(cut, len(events) - 1) else {}
            batch.append(*name, event[0], event[1], **unfit)  # type: ignore[arg-type]
        refused(Conflict, lambda: batch.__exit__(None, None, None))

    @rule(name=NAMES)
    def archive_or_restore(self, name: Name) -> None:
        if name not in self.model:
            return
        event_type = "aggregate_restored" if name in self.archived else "aggregate_archived"
        item = {"aggregate_type": name[0], "aggregate_id": name[1], "event_type": event_type, "payload": {}}
        self.domain._appender.append(Append([item], issued_by=None, reserved=True))
        self.archived ^= {name}
        self.note(name, (event_type, {}, {}))
        self.commits += 1

    # -- staging ---------------------------------------------------------------------------------------------------

    @rule(events=BATCHES)
    def stage(self, events: list[tuple[Name, Entry]]) -> None:
        items = [
            (line, dict(zip(MEMBERS, (*name, *event), strict=True)), None)
            for line, (name, event) in enumerate(events, 1)
        ]
        moved = any(self.version(name) != base for name, base in self.bases.items() if name in {n for n, _ in events})
        if moved or any(name in self.archived for name, _ in events):
            refused(Conflict, lambda: stage(self.inner, items, issued_by=None))
            return
        for name, _ in events:
            self.bases.setdefault(name, self.version(name))
        self.staged += events
        result = stage(self.inner, items, issued_by=None)
        assert (result.events, result.total) == (len(events), len(self.staged))

    @precondition(lambda self: self.staged)
    @rule()
    def commit(self) -> None:
        if any(self.version(name) != base for name, base in self.bases.items()):
            refused(Conflict, lambda: commit_staged(self.inner, actor=None))
            return
        done = commit_staged(self.inner, actor=None, message="staged")
        assert done is not None
        assert done[0].count == len(self.staged)
        for name, event in self.staged:
            self.note(name, event)
        self.commits += 1
        self.staged, self.bases = [], {}

    @rule()
    def reset(self) -> None:
        assert clear(self.inner) == len(self.staged)
        self.staged, self.bases = [], {}

    # -- what must change nothing ----------------------------------------------------------------------------------

    @rule(forward_us=st.sampled_from([0, 1, 1000, 10**9, -(10**8)]))
    def reopen(self, forward_us: int) -> None:
        self.repository.close()
        self.now_us += forward_us
        self.open()

    @rule()
    def lose_the_index(self) -> None:
        self.repository.close()
        os.unlink(self.inner.directory.path_of("index.db"))
        self.open()

    @rule()
    def keep_the_index(self) -> None:
        self.repository.close()
        self.kept = os.path.join(self.path, "kept")
        shutil.copyfile(self.inner.directory.path_of("index.db"), self.kept)
        self.open()

    @precondition(lambda self: self.kept)
    @rule()
    def go_back_to_an_old_index(self) -> None:
        self.repository.close()
        assert self.kept is not None
        shutil.copyfile(self.kept, self.inner.directory.path_of("index.db"))
        self.open()

    @rule()
    def tidy_up(self) -> None:
        collect(self.inner)

    @rule()
    def forget(self) -> None:
        """As when a process dies: what is in memory and not in the index is gone."""
        with self.inner.mutex:
            self.inner.reset()

    # -- looking ---------------------------------------------------------------------------------------------------

    @rule(name=NAMES)
    def get(self, name: Name) -> None:
        found = self.domain.find(*name)
        assert (found.version if found else 0) == self.version(name)
        if found:
            assert (found.state, found.extensions) == folded(self.model[name])
            assert found.archived == (name in self.archived)

    @rule(name=NAMES, data=st.data())
    def get_version(self, name: Name, data: st.DataObject) -> None:
        if name in self.model:
            version = data.draw(st.integers(1, self.version(name)))
            found = self.domain.get(*name, version)
            assert (found.state, found.extensions) == folded(self.model[name][:version])

    @invariant()
    def staged_events_are_what_was_staged(self) -> None:
        if not hasattr(self, "repository"):
            return
        batch = find_batch(self.inner)
        assert (batch.events if batch else 0) == len(self.staged)

    @rule()
    def everything_agrees(self) -> None:
        events = list(self.domain.events())
        assert [
            ((e.aggregate_type, e.aggregate_id), (e.event_type, e.payload, e.metadata)) for e in events
        ] == self.order
        assert [e.position for e in events] == list(range(len(events)))
        assert len({e.event_id for e in events}) == len(events)
        assert [c.seq for c in self.domain.commits()] == list(range(self.commits - 1, -1, -1))
        assert [(a.aggregate_type, a.aggregate_id) for a in self.domain.list(archived=None)] == sorted(self.model)
        assert [e.payload for e in staged_events(self.inner)] == [event[1] for _, event in self.staged]
        leaves = []
        for name in self.model:
            found = self.domain.verify(*name)
            assert found == self.domain.get(*name)
            own = [bytes.fromhex(e.hash) for e in events if (e.aggregate_type, e.aggregate_id) == name]
            assert found.root == merkle.root(own).hex()
            key = indextree.key_of(*name)
            leaves.append((key, indextree.leaf_hash(key, len(own), merkle.root(own))))
        assert self.domain.root() == indextree.root_of(sorted(leaves)).hex()


def refused(kind: type[DbxError], action: Any) -> None:
    """It raises exactly this; that it left nothing behind, the other rules find out."""
    try:
        action()
    except kind:
        return
    raise AssertionError(f"expected {kind.__name__}")


def folded(entries: list[Entry]) -> tuple[dict[str, Any], dict[str, Any]]:
    state: dict[str, Any] = {}
    extensions: dict[str, Any] = {}
    for _, payload, metadata in entries:
        state |= payload
        extensions |= metadata
    return state, extensions


DomainMachine.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestDomain = DomainMachine.TestCase
