"""Versions and roots at an older commit: only what changed since is looked at."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from dbx.crypto import merkle
from dbx.repo.compare.leaves import Leaves, standing_of
from dbx.repo.compare.trees import Reading, edge_task, work_out
from dbx.repo.compare.values import Standing, Touched
from dbx.store.indexlayout import IndexDamaged

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dbx.repo.log import LogReader
    from dbx.store.index import Index

Name = tuple[str, str]

BATCH = 16_384
"""So many aggregates are looked at in one pass over the log."""


def touched_between(reader: LogReader, start: int, end: int) -> dict[Name, Touched]:
    """The aggregates that events from position `start` on, and before `end`, are about: (type, id) to versions."""
    found: dict[Name, Touched] = {}
    for stored in reader.events(range(start, end)):
        parts = stored.envelope.decode().split('"')
        name, version = (parts[7], parts[3]), int(parts[-1][1:-1])
        known = found.get(name)
        found[name] = Touched(version if known is None else known.first, version)
    return found


def standings_at(
    index: Index, reader: LogReader, versions: Mapping[Name, int]
) -> Iterator[tuple[Name, Standing | None]]:
    """Aggregates as they stood at older versions; None for version 0, before the first event."""
    names = iter(versions.items())
    while batch := list(islice(names, BATCH)):
        yield from _batch(index, reader, batch)


def _batch(index: Index, reader: LogReader, batch: list[tuple[Name, int]]) -> Iterator[tuple[Name, Standing | None]]:
    reading = Reading(Leaves(index, reader))
    latest: list[Standing] = []
    tasks = []
    for name, version in batch:
        if version == 0:
            yield name, None
            continue
        row = index.find(*name)
        if row is None or row.version < version:
            raise IndexDamaged(f"the index does not have aggregate '{name[0]}/{name[1]}'", hint="run 'dbx reindex'")
        now = standing_of(row)
        latest.append(now._replace(version=version))
        tasks.append(edge_task(reading.tree(now, version), version))
    for standing, edge in zip(latest, work_out(tasks), strict=True):
        yield (standing.type, standing.id), standing._replace(edge=edge, root=merkle.edge_root(edge))
