"""Taking an index back to an older commit, within a transaction that nobody sees: what was added since is unlearned.

The work grows with what was added, and with the histories of the aggregates it was added to; only the edge of the
commit log is made anew from all ids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dbx.crypto import merkle
from dbx.crypto.indextree import BUCKET, key_of, leaf_hash
from dbx.errors import Corrupt
from dbx.model.event import ARCHIVED, RESTORED, fold
from dbx.repo.events import decode_stored
from dbx.repo.query import get_commit
from dbx.repo.record import Record
from dbx.repo.working import WorkingSet
from dbx.store.index import Head

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dbx.formats.bundle import Point
    from dbx.repo.domain import Domain
    from dbx.repo.log import LogReader, Stored
    from dbx.store.heldindex import HeldIndex

Name = tuple[str, str]
_CHUNK = 4096


class Advance(NamedTuple):
    """By how much an aggregate was advanced: from version `first` to `last`."""

    first: int
    last: int


def advances(envelopes: Iterable[bytes], found: dict[Name, Advance]) -> None:
    """Note which aggregates events advance. The envelopes are right and in order."""
    for envelope in envelopes:
        parts = envelope.decode().split('"')
        name, version = (parts[7], parts[3]), int(parts[-1][1:-1])
        known = found.get(name)
        found[name] = Advance(version if known is None else known.first, version)


def advances_since(domain: Domain, position: int) -> dict[Name, Advance]:
    """The aggregates that our own events from `position` on advance."""
    found: dict[Name, Advance] = {}
    end: int = domain.read(lambda working, _: working.head.position)
    for start in range(position, end, _CHUNK):
        part = range(start, min(start + _CHUNK, end))
        advances(
            domain.read(lambda _, reader, part=part: [stored.envelope for stored in reader.events(part)]),  # type: ignore[misc]
            found,
        )
    return found


def rewind(domain: Domain, held: HeldIndex, to: Point, added: Mapping[Name, Advance]) -> WorkingSet:
    """The working set as it was at `to`, on an index that stands at the domain's head. `added` is what came behind.

    The journal must be sealed. Raises Corrupt where that does not give the root that the commit names.
    """
    working = WorkingSet(held)
    changes: dict[bytes, bytes | None] = {}
    dropped: list[int] = []
    kept: list[tuple[Record, list[int]]] = []
    for (kind, name), advance in added.items():
        row = held.find(kind, name)
        if row is None or row.n is None:
            raise Corrupt(f"the index does not know aggregate '{kind}/{name}'", hint="run 'dbx reindex'")
        key = key_of(kind, name)
        if advance.first == 1:
            dropped.append(row.n)
            changes[key] = None
            continue
        positions = held.positions(row.n, 1, advance.first - 1)
        record = _refold(domain, kind, name, positions)
        record.n, record.key = row.n, key
        changes[key] = leaf_hash(key, record.version, record.root())
        kept.append((record, positions))
    root = working.tree.update(changes)
    entry = None if to.seq < 0 else get_commit(domain, to.seq)
    if root.hex() != (merkle.root([]).hex() if entry is None else entry.commit.index):
        raise Corrupt(f"the index does not lead back to commit {to.seq}", hint="run 'dbx reindex'")
    with held.write(working.indexed):
        for n in dropped:
            held.drop_aggregate(n)
        for record, positions in kept:
            held.replace_chain(record.n or 0, positions)
        held.update_rows(record.row() for record, _ in kept)
        held.forget_commits(to.seq, to.position)
        held.put_pages(working.tree.take_pages())
        held.drop_thin_pages((key for key, leaf in changes.items() if leaf is None), BUCKET)
        edge: list[bytes] = []
        merkle.extend(edge, 0, held.commit_ids())
        head = working.head
        commit_id = b"" if entry is None else entry.id
        held.set_head(Head(to.seq, commit_id, to.position, root, b"".join(edge), head.manifest, "", 0))
    return WorkingSet(held)


def _refold(domain: Domain, kind: str, name: str, positions: Sequence[int]) -> Record:
    """An aggregate as its events at these positions make it."""

    def query(_: WorkingSet, reader: LogReader) -> list[Stored]:
        return list(reader.events(positions))

    record = Record(kind, name)
    for stored in domain.read(query):
        event = decode_stored(stored, 0)
        merkle.append(record.edge, record.version, merkle.leaf_hash(stored.envelope))
        record.version += 1
        record.created_at = record.created_at or event.created_at
        record.updated_at = event.created_at
        if event.event_type in (ARCHIVED, RESTORED):
            record.archived = event.event_type == ARCHIVED
        fold(record.state, record.extensions, event.event_type, event.payload, event.metadata)
    record.base = record.version
    return record
