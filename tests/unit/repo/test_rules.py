"""Rules in every way to write: one event, a batch, two processes, the loop that stays open."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dbx.errors import Invalid
from dbx.repo import query
from dbx.repo.batch import bulk
from dbx.repo.batch.commit import commit_staged
from dbx.repo.domain import Domain
from dbx.repo.enforcement import find_rules
from dbx.repo.repository import Repository
from dbx.repo.schema.schemas import file_of
from dbx.repo.writer import Append, Appender

SCHEMA = """\
columns:
  code: {type: text, required: create, regex: "^[a-z]+$"}
  total: {type: 'decimal(8,2)', range: {min: 0, max: 100}}
events:
  placed: {}
  paid: {fields: [total]}
"""


@pytest.fixture
def domain(tmp_path: Path) -> Domain:
    made, _ = Repository.init(str(tmp_path), clock=lambda: 1_790_000_000_000_000)
    domain = made.domain()
    domain.directory.write(file_of("order"), SCHEMA.encode())
    return domain


def event(name: str, event_type: str = "placed", **payload: Any) -> dict[str, Any]:
    return {"aggregate_type": "order", "aggregate_id": name, "event_type": event_type, "payload": payload}


def stage(domain: Domain, tmp_path: Path, items: list[dict[str, Any]], large_bytes: int) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text("".join(json.dumps(item) + "\n" for item in items))
    with file.open("rb") as opened:
        bulk.stage_lines(domain, opened.read, file=opened.fileno(), issued_by=None, large_bytes=large_bytes)


def test_no_schema_no_rules(tmp_path: Path) -> None:
    made, _ = Repository.init(str(tmp_path), clock=lambda: 1_790_000_000_000_000)
    assert find_rules(made.domain()) is None
    assert made.domain().rules is not None


def test_a_loop_of_appends_follows_the_file(domain: Domain) -> None:
    appender = Appender(domain)
    appender.append(Append([event("a", code="x")], issued_by=None))
    with pytest.raises(Invalid, match="'code' is missing"):
        appender.append(Append([event("b")], issued_by=None))
    first = appender.append(Append([event("a", total="7")], issued_by=None)).commit.schema
    domain.directory.write(file_of("order"), SCHEMA.replace("max: 100", "max: 5").encode())
    with pytest.raises(Invalid, match="'total'"):
        appender.append(Append([event("a", total="7")], issued_by=None))
    second = appender.append(Append([event("a", total="4")], issued_by=None)).commit.schema
    assert None not in (first, second)
    assert first != second
    domain.directory.write(file_of("order"), b"events: [")
    with pytest.raises(Invalid, match=r"order\.yaml"):
        appender.append(Append([event("a", total="4")], issued_by=None))
    other = {**event("a"), "aggregate_type": "free"}
    with pytest.raises(Invalid):  # the version that it would record cannot be published
        appender.append(Append([other], issued_by=None))


def test_a_transaction_is_refused_as_a_whole(domain: Domain) -> None:
    with pytest.raises(Invalid):
        Appender(domain).append(Append([event("a", code="x"), event("a", total="1000")], issued_by=None))
    assert query.list_aggregates(domain) == []


@pytest.mark.parametrize("large_bytes", [1, 1 << 30])
def test_a_file_is_checked_by_one_process_or_two(domain: Domain, tmp_path: Path, large_bytes: int) -> None:
    items = [event(f"o{n % 500}", code="x") for n in range(500)]
    items += [event(f"o{n % 500}", "paid", total="5") for n in range(2500)]
    stage(domain, tmp_path, items, large_bytes)
    done = commit_staged(domain, actor=None)
    assert done is not None
    assert (done[0].count, done[0].schema) == (3000, find_rules(domain).published_id)  # type: ignore[union-attr]


@pytest.mark.parametrize("large_bytes", [1, 1 << 30])
@pytest.mark.parametrize(
    "bad",
    [event("o1", "paid", total="500"), event("new", total="5"), event("o1", "sent"), event("o1", "paid", code="x")],
)
def test_what_breaks_a_rule_in_the_second_half_is_found(
    domain: Domain, tmp_path: Path, large_bytes: int, bad: dict[str, Any]
) -> None:
    items = [event(f"o{n}", code="x") for n in range(1500)] + [event(f"o{n}", "paid", total="5") for n in range(1500)]
    items.insert(2900, bad)
    with pytest.raises(Invalid, match="line 2901"):
        stage(domain, tmp_path, items, large_bytes)
    assert commit_staged(domain, actor=None) is None
