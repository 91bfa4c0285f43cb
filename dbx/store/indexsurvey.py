"""What index.db tells at a glance: how many aggregates there are, and which names begin how."""

from __future__ import annotations

from bisect import bisect_left
from contextlib import suppress
from typing import TYPE_CHECKING

from dbx.store.indexlayout import IndexUnavailable, unpack_positions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.store.index import Index

_NOTED = "counted"
_PAGE = 10_000
# Names are ASCII, so every name with a prefix lies between the prefix and this behind it.
_LAST = "\x7f"


def count_aggregates(index: Index) -> int:
    """How many aggregates there are. Rows are only ever added, so only those added since it was last asked are counted.

    The first count is noted in the index, and another whenever many have been added.
    """
    text = index.get_meta(_NOTED)
    if text:
        upto, counted = map(int, text.split("|"))
        more = int(index.one("SELECT count(*) FROM aggregate WHERE n > ?", upto)[0])
    else:
        counted, more = 0, int(index.one("SELECT count(*) FROM aggregate")[0])
    if more >= _PAGE or not text:
        # A row added meanwhile would be counted and not be covered, or the other way round: look at both at once.
        upto, total = index.one("SELECT coalesce(max(n), 0), count(*) FROM aggregate")
        with suppress(IndexUnavailable):
            index.set_meta(_NOTED, f"{upto}|{total}")
        return int(total)
    return counted + more


def count_aggregates_at(index: Index, position: int) -> int:
    """How many aggregates had an event before `position`, the first of some commit."""
    return int(index.one("SELECT count(*) FROM chain WHERE version = 1 AND base < ?", position)[0])


def count_events_at(index: Index, aggregate: int, position: int) -> int:
    """How many events of an aggregate, named by its row number, lie before `position`: its version at that point."""
    found = index.one(
        "SELECT version, base, positions FROM chain WHERE aggregate = ?1 AND base < ?2 ORDER BY version DESC LIMIT 1",
        aggregate, position,
    )  # fmt: skip
    if found is None:
        return 0
    version, base, packed = found
    return int(version) - 1 + bisect_left(unpack_positions(packed), position - base)


def find_seq_at(index: Index, position: int) -> int | None:
    """The seq of the commit that holds the event at a position, None before the first. By halving: positions grow."""
    low, high = 0, int(index.one("SELECT coalesce(max(seq), -1) FROM log")[0]) + 1
    while low < high:
        middle = (low + high) // 2
        found = index.find_commit(middle)
        if found is not None and found[1] <= position:
            low = middle + 1
        else:
            high = middle
    return low - 1 if low else None


def iterate_versions(index: Index) -> Iterator[tuple[str, str, int]]:
    """(type, id, version) of every aggregate, in bounded memory."""
    last = 0
    while found := index.all("SELECT n, type, id, version FROM aggregate WHERE n > ? ORDER BY n LIMIT ?", last, _PAGE):
        for _, aggregate_type, aggregate_id, version in found:
            yield aggregate_type, aggregate_id, version
        last = found[-1][0]


def walk_keys(index: Index, after: bytes, limit: int) -> list[tuple[bytes, str, str, int, bytes]]:
    """(key, type, id, version, root) of the next aggregates in the order of their keys. The checksums are not read."""
    return index.all(
        "SELECT key, type, id, version, root FROM aggregate WHERE key > ? ORDER BY key LIMIT ?", after, limit
    )


def longest_histories(index: Index) -> list[tuple[str, int, str, int, int]]:
    """(type, how many aggregates, id and version of the longest, mean bytes of a state) of every type.

    Looks at every aggregate.
    """
    # Of a query with a single max(), SQLite takes the other columns from the row that has it.
    return index.all(
        "SELECT type, count(*), id, max(version), sum(length(state)) / count(*) FROM aggregate"
        " GROUP BY type ORDER BY type"
    )


def find_version(index: Index, aggregate_type: str, aggregate_id: str) -> int:
    """The latest version of an aggregate, 0 when there is none."""
    found = index.one("SELECT version FROM aggregate WHERE type = ? AND id = ?", aggregate_type, aggregate_id)
    return 0 if found is None else int(found[0])


def find_types(index: Index, prefix: str, limit: int) -> list[str]:
    """The first `limit` types of stored and staged aggregates that begin so, sorted; one look-up for each."""
    types: list[str] = []
    last = ""
    while len(types) < limit:
        found = index.one(
            "SELECT min(t) FROM (SELECT min(type) AS t FROM aggregate WHERE type >= ?1 AND type > ?2 AND type < ?3"
            " UNION ALL SELECT min(type) FROM staged WHERE type >= ?1 AND type > ?2 AND type < ?3)",
            prefix, last, prefix + _LAST,
        )  # fmt: skip
        if found[0] is None:
            break
        last = found[0]
        types.append(last)
    return types


def find_ids(index: Index, aggregate_type: str, prefix: str, limit: int) -> list[str]:
    """The first `limit` ids of stored and staged aggregates of a type that begin so, sorted."""
    found = index.all(
        "SELECT id FROM aggregate WHERE type = ?1 AND id >= ?2 AND id < ?3"
        " UNION SELECT id FROM staged WHERE type = ?1 AND id >= ?2 AND id < ?3 ORDER BY id LIMIT ?4",
        aggregate_type, prefix, prefix + _LAST, limit,
    )  # fmt: skip
    return [row[0] for row in found]


def commit_ids(index: Index, first: int, last: int) -> list[bytes]:
    """The ids of commits `first`..`last`-1 (seqs), in order; fewer where the index does not have them."""
    return [found[0] for found in index.all("SELECT id FROM log WHERE seq >= ? AND seq < ? ORDER BY seq", first, last)]
