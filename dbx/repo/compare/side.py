"""A domain at a commit, as one side of a comparison. It lives inside a `Domain.read`."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from dbx.crypto.indextree import IndexTree, key_of, leaf_hash
from dbx.crypto.treediff import tree_view
from dbx.errors import Corrupt
from dbx.repo.compare.leaves import Leaves, standing_of
from dbx.repo.compare.past import standings_at, touched_between
from dbx.repo.compare.values import Standing
from dbx.store.indexsurvey import walk_keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from dbx.crypto.treediff import Subtree
    from dbx.repo.log import LogReader
    from dbx.repo.working import WorkingSet

_KEYS = 500
_CHANGES = 64  # an IndexTree keeps what that many changes at once touched


class DomainSide:
    """The aggregates of a domain as they stand at `seq`, by default at its head.

    Raises Corrupt when the index root of an older commit cannot be made again.
    """

    has_trees = True

    def __init__(self, working: WorkingSet, reader: LogReader, seq: int | None = None) -> None:
        self._index = working.index
        self._reader = reader
        self._leaves = Leaves(working.index, reader)
        self._past: dict[bytes, Standing | None] = {}
        self._tree = IndexTree(working.index, working.head.root)
        if seq is not None and seq < working.head.seq:
            self._go_back(working, seq)

    @property
    def root(self) -> bytes:
        """Its index root."""
        return self._tree.root

    def view(self) -> Subtree | None:
        """Its index tree."""
        return tree_view(self._tree)

    def standings(self, keys: Sequence[bytes]) -> Mapping[bytes, Standing]:
        """The aggregates of these keys."""
        found: dict[bytes, Standing] = {}
        now = []
        for key in keys:
            if key in self._past:
                standing = self._past[key]
                if standing is not None:
                    found[key] = standing
            else:
                now.append(key)
        for at in range(0, len(now), _KEYS):
            part = now[at : at + _KEYS]
            for row in self._index.rows(f"key IN ({','.join('?' * len(part))})", part, "key"):
                found[row.key] = standing_of(row)
        return found

    def leaves(self, wanted: Iterable[tuple[Standing, int, int]]) -> list[list[bytes]]:
        """Leaf hashes of runs of events, read in the order of the log."""
        return self._leaves.leaves(wanted)

    def walk(self, page: int) -> Iterator[tuple[bytes, Standing]]:
        """Every aggregate in the order of its key, read in pages of so many. What stands in the index is believed."""
        last = b""
        while rows := walk_keys(self._index, last, page):
            for key, aggregate_type, aggregate_id, version, root in rows:
                if key in self._past:
                    standing = self._past[key]
                    if standing is not None:
                        yield key, standing
                else:
                    yield key, Standing(aggregate_type, aggregate_id, version, root)
            last = rows[-1][0]

    def _go_back(self, working: WorkingSet, seq: int) -> None:
        entry = self._reader.commit(seq) if seq >= 0 else None
        end = 0 if entry is None else entry.commit.position + entry.commit.count
        touched = touched_between(self._reader, end, working.head.position)
        versions = {name: found.first - 1 for name, found in touched.items()}
        for name, standing in standings_at(self._index, self._reader, versions):
            self._past[key_of(*name)] = standing
        changes = iter(self._past.items())
        while part := list(islice(changes, _CHANGES)):
            self._tree.update({key: None if one is None else _leaf(key, one) for key, one in part})
        if entry is not None and self._tree.root.hex() != entry.commit.index:
            raise Corrupt(
                f"the index root of commit {seq} cannot be made again from the log",
                hint="run 'dbx fsck' to see where history was changed",
            )


def _leaf(key: bytes, standing: Standing) -> bytes:
    return leaf_hash(key, standing.version, standing.root)
