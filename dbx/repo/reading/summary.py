"""What a commit is about, without its payloads: which events, how often, over how many aggregates."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from dbx.formats.commit import Commit
    from dbx.repo.domain import Domain
    from dbx.repo.log import LogReader
    from dbx.repo.working import WorkingSet

_CHUNK = 8192


class EventCount(NamedTuple):
    """How many events of one kind."""

    aggregate_type: str
    event_type: str
    events: int


class Summary(NamedTuple):
    """`aggregates` is how many got events; `counts` are sorted by type and event type."""

    aggregates: int
    counts: list[EventCount]


def summarise(domain: Domain, commit: Commit) -> Summary:
    """Count a commit's events, from their envelopes alone. Memory grows with the aggregates it touched."""
    counts: dict[tuple[str, str], int] = {}
    seen: set[tuple[str, str]] = set()
    end = commit.position + commit.count

    def count(_: WorkingSet, reader: LogReader, positions: range) -> list[list[str]]:
        return [stored.envelope.decode().split('"', 24) for stored in reader.events(positions)]

    for start in range(commit.position, end, _CHUNK):
        part = range(start, min(start + _CHUNK, end))
        for words in domain.read(lambda working, reader, part=part: count(working, reader, part)):  # type: ignore[misc]
            seen.add((words[7], words[3]))
            kind = words[7], words[23]
            counts[kind] = counts.get(kind, 0) + 1
    return Summary(len(seen), [EventCount(*kind, counts[kind]) for kind in sorted(counts)])
