"""The commit log as a Merkle tree (format.md §4): its head, and inclusion and consistency proofs for any of its sizes.

The leaf of commit n is its id. Ids come from the index, which is derived; so every proof is verified against the root
that the head carries before it is given away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.crypto import merkle
from dbx.crypto.lazytree import LazyTree
from dbx.errors import NotFound
from dbx.store.indexlayout import IndexDamaged
from dbx.store.indexsurvey import commit_ids

if TYPE_CHECKING:
    from dbx.repo.domain import Domain
    from dbx.repo.log import LogReader
    from dbx.repo.working import WorkingSet


class CommitTree:
    """The tree over a domain's commits as it was when this was made; `size` commits, `root`.

    The first question costs a hash for each commit, the others a few hundred. Raises IndexDamaged where ids of the
    index do not add up.
    """

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._tree = LazyTree(self.ids)
        self.size, self.root = domain.read(_head)

    def root_at(self, size: int) -> bytes:
        """The root over the first `size` commits, 0..`self.size`. Raises NotFound beyond."""
        self._check(0 <= size <= self.size, f"{size} commits")
        if size in (0, self.size):
            return self.root if size else merkle.EMPTY
        root = self._tree.root(size)
        proof = self._tree.prove_consistency(size, self.size)
        if not merkle.verify_consistency(size, self.size, root, self.root, proof):
            raise _damaged()
        return root

    def prove_inclusion(self, seq: int, size: int) -> list[bytes]:
        """The path of commit `seq` in the tree of the first `size` commits (RFC 9162 §2.1.3.1). Raises NotFound."""
        self._check(0 <= seq < size <= self.size, f"commit {seq} among its first {size}")
        proof = self._tree.prove_inclusion(seq, size)
        if not merkle.verify_inclusion(self.ids(seq, seq + 1)[0], seq, size, proof, self.root_at(size)):
            raise _damaged()
        return proof

    def prove_consistency(self, first: int, second: int) -> list[bytes]:
        """That the tree of `first` commits grew into that of `second` (RFC 9162 §2.1.4.1); 1 <= first <= second."""
        self._check(1 <= first <= second <= self.size, f"commits {first} to {second}")
        proof = self._tree.prove_consistency(first, second)
        if not merkle.verify_consistency(first, second, self.root_at(first), self.root_at(second), proof):
            raise _damaged()
        return proof

    def hashes(self, level: int, first: int, count: int) -> list[bytes]:
        """The roots of `count` perfect subtrees of 2^level commits, from number `first` on."""
        if level == 0:
            return self.ids(first, first + count)
        return [self._tree.subtree(level, number) for number in range(first, first + count)]

    def lines(self, first: int, last: int) -> list[bytes]:
        """The commits `first`..`last`-1, which are the entries of the log."""
        return self._domain.read(lambda _, reader: [reader.commit(seq).line for seq in range(first, last)])

    def ids(self, first: int, last: int) -> list[bytes]:
        """The ids of commits `first`..`last`-1, as the index has them."""
        found = self._domain.read(lambda working, _: commit_ids(working.index, first, last))
        if len(found) != last - first:
            raise _damaged()
        return found

    def _check(self, there: bool, what: str) -> None:
        if not there:
            raise NotFound(f"domain '{self._domain.name}' does not have {what}: it has {self.size}")


def _head(working: WorkingSet, _: LogReader) -> tuple[int, bytes]:
    size = working.head.seq + 1
    return size, merkle.edge_root(merkle.decode_edge(working.head.edge, size))


def _damaged() -> IndexDamaged:
    return IndexDamaged("the ids of commits in the index do not add up to the head", hint="run 'dbx reindex'")
