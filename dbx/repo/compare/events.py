"""The events that one side has and the other has not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.model.missing import no_aggregate
from dbx.repo.query import events_at
from dbx.store.indexlayout import IndexDamaged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.model.event import Event
    from dbx.repo.domain import Domain
    from dbx.repo.log import LogReader
    from dbx.repo.working import WorkingSet

_CHUNK = 512


def events_between(domain: Domain, aggregate_type: str, aggregate_id: str, first: int, last: int) -> Iterator[Event]:
    """Versions `first`..`last` of an aggregate, in bounded memory. Raises NotFound."""
    for start in range(first, last + 1, _CHUNK):
        end = min(last, start + _CHUNK - 1)

        def query(working: WorkingSet, _: LogReader, start: int = start, end: int = end) -> list[int]:
            row = working.index.find(aggregate_type, aggregate_id)
            if row is None or row.n is None:
                raise no_aggregate(domain.name, aggregate_type, aggregate_id)
            positions = working.index.positions(row.n, start, end)
            if len(positions) != end - start + 1:
                raise IndexDamaged(
                    f"the index does not know where the events of aggregate '{row.type}/{row.id}' lie",
                    hint="run 'dbx reindex'",
                )
            return positions

        yield from events_at(domain, domain.read(query))
