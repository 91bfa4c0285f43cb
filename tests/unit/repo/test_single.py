"""One event by itself is stored exactly as `Builder` would store it, or is left to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import dbx
from dbx.errors import Conflict, DbxError, Invalid
from dbx.formats.envelope import Actor
from dbx.repo.query import verify_aggregate
from dbx.repo.single import NameCache, draft_event
from dbx.repo.transaction import Append, drafted_event
from dbx.repo.writer import Appender

if TYPE_CHECKING:
    from pathlib import Path

    from dbx.repo.domain import Domain

JANE = Actor("ops", "jane")


def _domain(where: Path) -> Domain:
    ticks = iter(range(1_790_000_000_000_000, 1_800_000_000_000_000, 1_234_567))
    from dbx.repo.repository import Repository

    repository, _ = Repository.init(str(where), clock=lambda: next(ticks), entropy=lambda size: b"\x07" * size)
    return repository.domain()


EVENTS: list[tuple[dict[str, Any], dict[str, Any] | None]] = [
    ({"a": 1, "b": [1.5, None, {"c": "é"}]}, None),
    ({"z": 1, "a": {}}, {"@who": "x"}),
    ({}, {}),
    ({"b": True}, {"@who": "y", "@a-b": [1]}),
    ({"a": 'quote " and \\ and \n'}, None),
]


@pytest.mark.parametrize("by", [None, JANE])
def test_it_stores_what_the_builder_stores(tmp_path: Path, by: Actor | None) -> None:
    fast, slow = _domain(tmp_path / "fast"), _domain(tmp_path / "slow")
    cache = NameCache()
    drawn = []
    for n, (payload, metadata) in enumerate(EVENTS * 3):
        drafts = draft_event(cache, "order", f"o-{n % 2}", "changed", payload, metadata, None)
        assert drafts is not None
        item = {"aggregate_type": "order", "aggregate_id": f"o-{n % 2}", "event_type": "changed", "payload": payload}
        if metadata is not None:
            item["metadata"] = metadata
        first, second = Append([item], issued_by=by), Append([item], issued_by=by)
        first.draft = drafts
        mine, theirs = Appender(fast).append(first), Appender(slow).append(second)
        assert mine.bodies == theirs.bodies
        event, other = drafted_event(drafts, by, mine), theirs.events()[0]
        assert event == mine.events()[0]
        assert list(event.payload or {}) == list(other.payload or {})  # in canonical order
        assert (event.version, event.payload, event.metadata) == (other.version, other.payload, other.metadata)
        drawn.append(event.event_id)
    assert drawn == sorted(set(drawn))
    for n in range(2):
        mine_state, their_state = (verify_aggregate(domain, "order", f"o-{n}") for domain in (fast, slow))
        assert mine_state.state == their_state.state
        assert mine_state.extensions == their_state.extensions


@pytest.mark.parametrize(
    ("event_type", "payload", "metadata"),
    [
        ("a.b", {}, None),
        ("Bad", {}, None),
        ("body_erased", {}, None),
        ("aggregate_archived", {}, None),
        ("fine", {1: 2}, None),
        ("fine", {"x": 1.0}, None),
        ("fine", {"x": 2**53}, None),
        ("fine", {"x": "\ud800"}, None),
        ("fine", {"x": float("nan")}, None),
        ("fine", {"x": (1, 2)}, None),
        ("fine", [1], None),
        ("fine", {"x": "y" * 20_000}, None),
        ("fine", {}, {"who": 1}),
        ("fine", {}, []),
        ("fine", {}, {"@who": {1}}),
    ],
)
def test_what_is_odd_is_left_to_the_builder(event_type: str, payload: Any, metadata: Any) -> None:
    assert draft_event(NameCache(), "order", "o-1", event_type, payload, metadata, None) is None


def test_what_nests_deep_is_left_to_the_builder() -> None:
    value: Any = 1
    for _ in range(65):
        value = [value]
    assert draft_event(NameCache(), "order", "o-1", "fine", {"x": value}, None, None) is None


def test_what_depends_on_the_aggregate_is_refused_as_ever(tmp_path: Path) -> None:
    repository = dbx.init(str(tmp_path / "r"))
    domain = repository.domain()
    domain.append("order", "o-1", "placed", {"a": 1}, expected_version=0)
    with pytest.raises(Conflict):
        domain.append("order", "o-1", "placed", {"a": 1}, expected_version=0)
    with pytest.raises(Conflict):
        domain.append("order", "o-1", "placed", {"a": 1}, expected_version=7)
    for bad in (-1, True, "1"):
        with pytest.raises(DbxError):
            domain.append("order", "o-1", "placed", {"a": 1}, expected_version=bad)  # type: ignore[arg-type]
    for kind, name in (("Order", "o-1"), ("order", "-x"), ("order", "")):
        with pytest.raises(Invalid):
            domain.append(kind, name, "placed", {"a": 1})
    with pytest.raises(DbxError):
        domain.append("order", "new", "placed", {"a": 1}, create=False)
    assert domain.append("order", "o-1", "placed", {"b": 2}, expected_version=1, create=False).version == 2
    assert domain.verify("order", "o-1").state == {"a": 1, "b": 2}
    repository.close()


def test_what_was_appended_is_the_callers_no_longer(tmp_path: Path) -> None:
    with dbx.init(str(tmp_path / "r")) as repository:
        domain = repository.domain()
        payload = {"a": [1]}
        event = domain.append("order", "o-1", "placed", payload)
        payload["a"].append(2)
        assert event.payload is not None
        event.payload["a"].append(3)
        assert domain.get("order", "o-1").state == {"a": [1]}


def test_an_id_that_came_with_another_event_is_not_drawn(tmp_path: Path) -> None:
    with dbx.init(str(tmp_path / "r"), clock=lambda: 1_790_000_000_000_000) as repository:
        domain = repository.domain()
        first = domain.append("order", "o-1", "placed", {}).event_id
        domain.append("order", "o-1", "placed", {}, event_id=first + 1)
        drawn = [domain.append("order", "o-1", "placed", {}).event_id for _ in range(20)]
        assert len({first, first + 1, *drawn}) == 22
        assert drawn == sorted(drawn)
