"""The staged half of index.db: for each aggregate with staged events, what it will be once they are committed.

Derived from staging.jsonl. It makes staging one more event, and committing many, independent of how much is staged.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from dbx.crypto.indextree import leaf_hash
from dbx.crypto.merkle import decode_edge
from dbx.errors import Corrupt
from dbx.store.index import IndexDamaged, Row
from dbx.store.indexlayout import checked_row, unpack_positions
from dbx.store.sealedrows import seal_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dbx.store.index import Index

_ROW = "type, id, key, version, root, edge, state, extensions, created_at, updated_at, archived"
_GUARD_BYTES = 8
_SET = "version, root, edge, state, extensions, updated_at, archived, checksum"


class Batch(NamedTuple):
    """What the staged tables follow: the batch, the size of staging.jsonl up to its last seal, and its events.

    `last_id` is the last event id drawn for staging, `seals` what the seals of the file say (`staging.chain_seal`),
    `edge` the right edge of the tree over its events.
    """

    id: str
    size: int
    events: int
    last_id: int
    seals: str
    edge: tuple[bytes, ...]

    def follows(self, batch: str, size: int, seal: str) -> bool:
        """Whether a file of that batch and size, whose last line is a seal of that hash, may be what this follows.

        The seals before the last one are compared when all of the file is read.
        """
        return (self.id, self.size) == (batch, size) and bool(seal) and self.seals.endswith(seal)


def get_batch(index: Index) -> Batch | None:
    """What the staged tables follow; None when nothing is staged."""
    text = index.get_meta("staging")
    if not text:
        return None
    try:
        line, _, checksum = text.rpartition("|")
        if checksum != _checksum(line):
            raise ValueError
        batch, size, events, last_id, seals, edge = line.split("|")
        return Batch(
            batch, int(size), int(events), int(last_id), seals, tuple(decode_edge(bytes.fromhex(edge), int(events)))
        )
    except (ValueError, AttributeError, TypeError, Corrupt) as error:
        raise IndexDamaged("the index does not say what is staged", hint="run 'dbx reindex'") from error


def set_batch(index: Index, batch: Batch | None) -> None:
    """Note what the staged tables follow, inside `write`."""
    line = "" if batch is None else "|".join([*map(str, batch[:-1]), b"".join(batch.edge).hex()])
    index.set_meta("staging", f"{line}|{_checksum(line)}" if line else "")


def _checksum(line: str) -> str:
    return sha256(line.encode()).hexdigest()[:16]


def find_staged(index: Index, aggregate_type: str, aggregate_id: str) -> tuple[Row, int, list[int]] | None:
    """The row an aggregate will have, the version it is based on, and the offsets of its staged events."""
    found = index.one(
        f"SELECT aggregate, {_ROW}, checksum, base, positions FROM staged WHERE type = ? AND id = ?",
        aggregate_type,
        aggregate_id,
    )
    if found is None:
        return None
    try:
        row = checked_row(found[:13], index.vault)
    except IndexDamaged:
        message = f"the staged row of aggregate '{aggregate_type}/{aggregate_id}' is damaged"
        raise IndexDamaged(message, hint="run 'dbx reindex'") from None
    return row, found[13], list(unpack_positions(found[14]))


def find_archived(index: Index) -> list[tuple[str, str]]:
    """(type, id) of the aggregates that will be archived."""
    return index.all("SELECT type, id FROM staged WHERE archived ORDER BY type, id")


def find_with(index: Index, aggregate_type: str, text: bytes) -> list[Row]:
    """The rows that aggregates of a type will have whose state then has a text in it."""
    found = index.all(
        f"SELECT aggregate, {_ROW}, checksum FROM staged WHERE type = ? AND instr(state, ?)", aggregate_type, text
    )
    return [checked_row(values) for values in found]


def put_staged(index: Index, rows: Iterable[tuple[Row, int, Sequence[int]]]) -> None:
    """(row, base version, offsets of its staged events) of aggregates, replacing what was staged; inside `write`."""
    index.many(
        f"INSERT OR REPLACE INTO staged (aggregate, {_ROW}, checksum, base, positions, leaf)"
        " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            (*row, row.checksum(), base, struct.pack(f"<{len(offsets)}I", *offsets), _guarded_leaf(row))
            for row, base, offsets in _sealed(index, rows)
        ),
    )


def _sealed(index: Index, rows: Iterable[tuple[Row, int, Sequence[int]]]) -> Iterable[tuple[Row, int, Sequence[int]]]:
    if index.vault is None or not index.vault.seals:
        return rows
    return ((next(seal_rows((row,), index.vault)), base, offsets) for row, base, offsets in rows)


def _guarded_leaf(row: Row) -> bytes:
    leaf = leaf_hash(row.key, row.version, row.root)
    return leaf + sha256(row.key + leaf).digest()[:_GUARD_BYTES]


def put_staged_runs(index: Index, runs: Iterable[tuple[int, int, int]]) -> None:
    """(first event id, count, offset) of staged events, inside `write`."""
    index.many("INSERT INTO staged_run VALUES (?, ?, ?)", runs)


def spare_memory(index: Index) -> None:
    """Keep less of the index in memory from now on: a large import needs each aggregate once, and holds them all."""
    index.one("PRAGMA cache_size=-8000")


def clear_staged(index: Index) -> None:
    """Forget all that is staged, inside `write`."""
    index.many("DELETE FROM staged", [()])
    index.many("DELETE FROM staged_run", [()])
    set_batch(index, None)


def moved_aggregates(index: Index, limit: int) -> list[tuple[str, str, int, int]]:
    """(type, id, base, version now) of staged aggregates that are no longer at the version they were staged on.

    Raises IndexDamaged where a staged row is not tied to the row of its aggregate.
    """
    found = index.all(
        "SELECT s.type, s.id, s.base, coalesce(a.version, 0) FROM staged s LEFT JOIN aggregate a"
        " ON a.type = s.type AND a.id = s.id WHERE s.base != coalesce(a.version, 0) OR s.aggregate IS NOT a.n"
        " ORDER BY s.type, s.id"
    )
    moved = [row for row in found if row[2] != row[3]]
    if found and not moved:
        raise IndexDamaged("a staged row of the index belongs to another aggregate", hint="run 'dbx reindex'")
    return moved[:limit]


def taken_ids(index: Index, limit: int) -> list[int]:
    """Staged event ids that an event of the log has meanwhile; of each run that is taken in part, the last such id."""
    # Runs of the log do not overlap: the last one that begins within a staged run, or before it, reaches furthest.
    found = index.all(
        "SELECT min(s.first + s.count, r.first + r.count) - 1 FROM staged_run s JOIN run r ON r.first ="
        " (SELECT max(first) FROM run WHERE first < s.first + s.count)"
        " WHERE r.first + r.count > s.first ORDER BY s.first LIMIT ?",
        limit,
    )
    return [row[0] for row in found]


def last_ids(index: Index) -> tuple[int, int]:
    """The largest event id of the log, and of what is staged; -1 for none."""
    log, staged = index.one(
        "SELECT (SELECT first + count - 1 FROM run ORDER BY first DESC LIMIT 1),"
        " (SELECT first + count - 1 FROM staged_run ORDER BY first DESC LIMIT 1)"
    )
    return -1 if log is None else int(log), -1 if staged is None else int(staged)


def staged_leaves(index: Index) -> dict[bytes, bytes]:
    """The leaf in the index tree, by its key, of every staged aggregate. Raises IndexDamaged: it becomes history."""
    found = index.all("SELECT key, leaf FROM staged")
    with suppress(TypeError):  # one bit makes a text of a blob
        leaves = {key: guarded[:-_GUARD_BYTES] for key, guarded in found}
        sums = [sha256(key + guarded[:-_GUARD_BYTES]).digest()[:_GUARD_BYTES] for key, guarded in found]
        if sums == [guarded[-_GUARD_BYTES:] for _, guarded in found] and len(leaves) == len(found):
            return leaves
    raise IndexDamaged("the leaf of a staged aggregate is damaged in the index", hint="run 'dbx reindex'")


def count_staged(index: Index) -> int:
    """How many aggregates have staged events."""
    return int(index.one("SELECT count(*) FROM staged")[0])


def adopt_staged(index: Index, position: int) -> None:
    """Make what is staged the latest state, its first event standing at `position`; inside `write`."""
    last = index.last_n()
    index.many(
        f"INSERT INTO aggregate (n, {_ROW}, checksum)"
        f" SELECT ? + n, {_ROW}, checksum FROM staged WHERE aggregate IS NULL",
        [(last,)],
    )
    changes = ", ".join(f"{column} = s.{column}" for column in _SET.split(", "))
    # UPDATE FROM walks what is staged and finds each row by its number; a subquery would walk it once for every row.
    index.many(f"UPDATE aggregate SET {changes} FROM staged s WHERE s.aggregate = aggregate.n", [()])
    index.many(
        "INSERT INTO chain SELECT coalesce(aggregate, ? + n), base + 1, ?, positions FROM staged", [(last, position)]
    )
    index.many("INSERT INTO run SELECT first, count, ? + position FROM staged_run", [(position,)])
    # Some builds of SQLite overwrite what is deleted with zeros, page by page. Here it all goes on in other tables.
    before = index.one("PRAGMA secure_delete")[0]
    index.one("PRAGMA secure_delete=FAST")
    clear_staged(index)
    index.one(f"PRAGMA secure_delete={int(before)}")
