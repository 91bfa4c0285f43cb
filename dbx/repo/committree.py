"""The commit log as a Merkle tree (format.md §4): its head, and inclusion and consistency proofs for any of its sizes.

The leaf of commit n is its id. Ids come from the index, which is derived; so every proof is verified against the root
that the head carries before it is given away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.crypto import merkle
from dbx.errors import NotFound
from dbx.store.indexlayout import IndexDamaged
from dbx.store.indexsurvey import commit_ids

if TYPE_CHECKING:
    from dbx.repo.domain import Domain
    from dbx.repo.log import LogReader
    from dbx.repo.working import WorkingSet

_WIDTH = 256


class CommitTree:
    """The tree over a domain's commits as it was when this was made.

    The roots of perfect subtrees of 256 leaves and more are kept: the first question costs a hash for each commit, the
    others a few hundred. Raises IndexDamaged where ids of the index do not add up.
    """

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._known: dict[tuple[int, int], bytes] = {}
        self.size, self.root = domain.read(_head)

    def root_at(self, size: int) -> bytes:
        """The root over the first `size` commits, 0..`self.size`. Raises NotFound beyond."""
        self._check(0 <= size <= self.size, f"{size} commits")
        if size in (0, self.size):
            return self.root if size else merkle.EMPTY
        return self._verified_root(size)

    def prove_inclusion(self, seq: int, size: int) -> list[bytes]:
        """The path of commit `seq` in the tree of the first `size` commits (RFC 9162 §2.1.3.1). Raises NotFound."""
        self._check(0 <= seq < size <= self.size, f"commit {seq} among its first {size}")
        root = self.root_at(size)
        proof: list[bytes] = []
        low, high = 0, size
        while high - low > 1:
            middle = low + _split(high - low)
            if seq < middle:
                proof.append(self._node(middle, high))
                high = middle
            else:
                proof.append(self._node(low, middle))
                low = middle
        proof.reverse()
        if not merkle.verify_inclusion(self._node(seq, seq + 1), seq, size, proof, root):
            raise _damaged()
        return proof

    def prove_consistency(self, first: int, second: int) -> list[bytes]:
        """That the tree of `first` commits grew into that of `second` (RFC 9162 §2.1.4.1); 1 <= first <= second."""
        self._check(1 <= first <= second <= self.size, f"commits {first} to {second}")
        old, new = self.root_at(first), self.root_at(second)
        proof = self._growth(first, second)
        if not merkle.verify_consistency(first, second, old, new, proof):
            raise _damaged()
        return proof

    def ids(self, first: int, last: int) -> list[bytes]:
        """The ids of commits `first`..`last`-1, as the index has them."""
        return self._domain.read(lambda working, _: _ids(working, first, last))

    def _verified_root(self, size: int) -> bytes:
        root = self._node(0, size)
        if not merkle.verify_consistency(size, self.size, root, self.root, self._growth(size, self.size)):
            raise _damaged()
        return root

    def _growth(self, first: int, second: int) -> list[bytes]:
        low, high = 0, second
        proof: list[bytes] = []
        while first != high:
            middle = low + _split(high - low)
            if first <= middle:
                proof.append(self._node(middle, high))
                high = middle
            else:
                proof.append(self._node(low, middle))
                low = middle
        if low:
            proof.append(self._node(low, high))
        proof.reverse()
        return proof

    def _node(self, low: int, high: int) -> bytes:
        """The root over leaves `low`..`high`-1, which is a node of every tree that is split where RFC 9162 splits."""
        known = self._known.get((low, high))
        if known is not None:
            return known
        if high - low <= _WIDTH:
            node = merkle.root(self.ids(low, high))
        else:
            middle = low + _split(high - low)
            node = merkle.node_hash(self._node(low, middle), self._node(middle, high))
        if high - low >= _WIDTH and (high - low).bit_count() == 1:
            self._known[low, high] = node
        return node

    def _check(self, there: bool, what: str) -> None:
        if not there:
            raise NotFound(f"domain '{self._domain.name}' does not have {what}: it has {self.size}")


def _head(working: WorkingSet, _: LogReader) -> tuple[int, bytes]:
    size = working.head.seq + 1
    return size, merkle.edge_root(merkle.decode_edge(working.head.edge, size))


def _ids(working: WorkingSet, first: int, last: int) -> list[bytes]:
    found = commit_ids(working.index, first, last)
    if len(found) != last - first:
        raise _damaged()
    return found


def _split(size: int) -> int:
    """The largest power of two smaller than `size`, which is at least 2."""
    return 1 << (size - 1).bit_length() - 1


def _damaged() -> IndexDamaged:
    return IndexDamaged("the ids of commits in the index do not add up to the head", hint="run 'dbx reindex'")
