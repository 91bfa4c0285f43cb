"""Where the leaves of aggregates come from: the envelopes in the log, found through the index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.crypto import merkle
from dbx.repo.compare.values import Standing
from dbx.store.indexlayout import IndexDamaged

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dbx.repo.log import LogReader
    from dbx.store.index import Index, Row


def standing_of(row: Row) -> Standing:
    """A row of the index as a standing."""
    return Standing(row.type, row.id, row.version, row.root, tuple(merkle.decode_edge(row.edge, row.version)), row.n)


class Leaves:
    """Reads leaf hashes through an index."""

    def __init__(self, index: Index, reader: LogReader) -> None:
        self._index = index
        self._reader = reader

    def leaves(self, wanted: Iterable[tuple[Standing, int, int]]) -> list[list[bytes]]:
        """The leaf hashes of events first+1 .. last of each (aggregate, first, last), all in one pass over the log."""
        return _read(self._index, self._reader, wanted)


def _read(index: Index, reader: LogReader, wanted: Iterable[tuple[Standing, int, int]]) -> list[list[bytes]]:
    results: list[list[bytes]] = []
    places: list[tuple[int, int, int]] = []  # position, which of the wanted, which leaf
    names: list[Standing] = []
    for which, (standing, first, last) in enumerate(wanted):
        assert standing.row is not None  # noqa: S101 - it came from this index
        positions = index.positions(standing.row, first + 1, last)
        if len(positions) != last - first:
            raise IndexDamaged(
                f"the index does not know where the events of aggregate '{standing.type}/{standing.id}' lie",
                hint="run 'dbx reindex'",
            )
        places += [(position, which, n) for n, position in enumerate(positions)]
        results.append([b""] * len(positions))
        names.append(standing._replace(version=first + 1))
    places.sort()
    starts = [f'{{"aggregate_id":"{one.id}","aggregate_type":"{one.type}","'.encode() for one in names]
    for stored, (_, which, n) in zip(reader.events([place[0] for place in places]), places, strict=True):
        end = f'"version":{names[which].version + n}}}'.encode()
        if not stored.envelope.startswith(starts[which]) or not stored.envelope.endswith(end):
            raise IndexDamaged(
                f"the event at position {stored.position} is not the one that the index says", hint="run 'dbx reindex'"
            )
        results[which][n] = merkle.leaf_hash(stored.envelope)
    return results
