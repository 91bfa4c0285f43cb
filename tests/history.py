"""A small history for tests whose subject is not how it is written."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from dbx.repo.batch.staging import stage
from dbx.repo.domain import Domain
from dbx.repo.repository import Repository
from dbx.repo.writer import Append, Appender

START_US = 1_790_000_000_000_000


def item(aggregate_id: str, event_type: str = "placed", **payload: Any) -> dict[str, Any]:
    return {"aggregate_type": "order", "aggregate_id": aggregate_id, "event_type": event_type, "payload": payload}


def open_repository(directory: Path | str) -> Repository:
    ticks = itertools.count(START_US, 1_000_000)
    return Repository.init(str(directory), clock=lambda: next(ticks))[0]


def append(domain: Domain, *aggregate_ids: str) -> str:
    """One commit with an event for each of the ids; the commit's id."""
    return Appender(domain).append(Append([item(name) for name in aggregate_ids], issued_by=None)).id


def fill(directory: Path | str, commits: int = 3, domain: str | None = None) -> list[str]:
    """Commits of two events each: commit n is about the orders `o-n` and `all`. Their ids."""
    repository = open_repository(directory)
    try:
        opened = repository.domain(domain)
        return [append(opened, f"o-{n}", "all") for n in range(commits)]
    finally:
        repository.close()


def stage_events(directory: Path | str, count: int = 1, domain: str | None = None) -> None:
    """Events of the order `staged`."""
    repository = open_repository(directory)
    try:
        stage(repository.domain(domain), [(n, item("staged"), None) for n in range(1, count + 1)], issued_by=None)
    finally:
        repository.close()


def cut_journal(domain_path: Path | str, commits: int) -> None:
    """Shorten the journal to its first `commits` commits, as a disk that lost writes would."""
    from dbx.store.journal import scan
    from dbx.store.segments import Commits, FrameReader

    (journal,) = Path(domain_path).glob("journal-*")
    with journal.open("rb+") as file:
        reader = FrameReader(file.fileno(), journal.name)
        ends = [found.end for found in scan(reader, reader.header()[1]).items if isinstance(found, Commits)]
        file.truncate(ends[commits - 1])
