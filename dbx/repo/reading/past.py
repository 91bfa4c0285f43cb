"""Aggregates as they were at an older commit.

An aggregate's version then is the number of its events before the commit's end. Where that is its latest version, the
index has the state; else it is folded from the events up to there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.errors import NotFound
from dbx.repo import query
from dbx.store.indexsurvey import count_events_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.model.event import Aggregate
    from dbx.repo.domain import Domain
    from dbx.repo.log import LogReader
    from dbx.repo.reading.revision import Revision
    from dbx.repo.working import WorkingSet

_PAGE = 512


def version_at(domain: Domain, aggregate_type: str, aggregate_id: str, revision: Revision) -> int:
    """An aggregate's version at a revision, 0 when it was made later. Raises NotFound where there is none to this day.

    The work does not grow with the aggregate's history.
    """

    def find(working: WorkingSet, _: LogReader) -> int:
        row = query.get_row(domain, working.index, aggregate_type, aggregate_id)
        assert row.n is not None  # noqa: S101 - a stored row
        return count_events_at(working.index, row.n, revision.position_end)

    return domain.read(find)


def get_aggregate_at(domain: Domain, aggregate_type: str, aggregate_id: str, revision: Revision) -> Aggregate:
    """An aggregate as it was at a revision. Raises NotFound, also when it was made later."""

    def find(working: WorkingSet, reader: LogReader) -> Aggregate:
        row = query.get_row(domain, working.index, aggregate_type, aggregate_id)
        assert row.n is not None  # noqa: S101 - a stored row
        version = count_events_at(working.index, row.n, revision.position_end)
        if version == 0:
            raise NotFound(
                f"aggregate '{aggregate_type}/{aggregate_id}' did not exist yet at commit {revision.seq}"
                f" of domain '{domain.name}'"
            )
        if version == row.version:
            return query.aggregate_of(row)
        return query.fold_version(domain, working, reader, aggregate_type, aggregate_id, version)

    return domain.read(find)


def iterate_aggregates_at(
    domain: Domain,
    revision: Revision,
    aggregate_type: str | None = None,
    *,
    after: tuple[str, str] | None = None,
    archived: bool | None = False,
) -> Iterator[Aggregate]:
    """The aggregates there were at a revision, by type and id, as they were then, in bounded memory.

    `after` is the (type, id) to begin behind; `archived` says what they were then, None takes both kinds.
    """
    while True:
        found, last = _page(domain, revision, aggregate_type, after)
        yield from (each for each in found if archived is None or each.archived == archived)
        if last is None:
            return
        after = last


def _page(
    domain: Domain, revision: Revision, aggregate_type: str | None, after: tuple[str, str] | None
) -> tuple[list[Aggregate], tuple[str, str] | None]:
    """(aggregates, behind which (type, id) to go on): of the next rows, those that were there already."""
    where, values = ["1"], []
    if aggregate_type is not None:
        where.append("type = ?")
        values.append(aggregate_type)
    if after is not None:
        where.append("(type, id) > (?, ?)")
        values += after

    def find(working: WorkingSet, reader: LogReader) -> tuple[list[Aggregate], tuple[str, str] | None]:
        rows = working.index.rows(" AND ".join(where), values, "type, id", _PAGE)
        found: list[Aggregate] = []
        for row in rows:
            assert row.n is not None  # noqa: S101 - a stored row
            version = count_events_at(working.index, row.n, revision.position_end)
            if version == row.version:
                found.append(query.aggregate_of(row))
            elif version:
                found.append(query.fold_version(domain, working, reader, row.type, row.id, version))
        return found, (rows[-1].type, rows[-1].id) if len(rows) == _PAGE else None

    return domain.read(find)
