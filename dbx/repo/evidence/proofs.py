"""Making proofs from a domain, against a checkpoint over its commits. Every proof is one that `model.proof` accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dbx.crypto import merkle
from dbx.crypto.indextree import key_of
from dbx.crypto.lazytree import LazyTree
from dbx.errors import Corrupt, Invalid, NotFound
from dbx.formats.checkpoint import Checkpoint, default_origin, format_checkpoint, parse_checkpoint
from dbx.formats.note import parse_note
from dbx.formats.proof import AbsenceProof, AggregateProof, Current, EventProof, GrowthProof, HistoryProof, Own
from dbx.formats.tlogproof import TlogProof, format_tlog_proof
from dbx.model.missing import no_aggregate, no_event, no_version
from dbx.repo.evidence.committree import CommitTree
from dbx.store.indexlayout import IndexDamaged
from dbx.store.indexsurvey import find_seq_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbx.repo.domain import Domain
    from dbx.repo.log import LogReader, Stored
    from dbx.repo.working import WorkingSet


_KEPT = 16
Leaf = tuple[bytes, int, bytes]
Path = tuple[tuple[int, bytes], ...]


class Place(NamedTuple):
    """Where an event lies: its position, and the seq, first position and number of events of its commit."""

    position: int
    seq: int
    first: int
    events: int


class Prover:
    """Proofs about one domain that all end in one checkpoint: `note`, signed, or an unsigned one of `size` commits.

    Keep it for many proofs: what it knows of the commit log stays. Raises Invalid for a checkpoint of another log,
    Corrupt for one that contradicts the domain.
    """

    def __init__(self, domain: Domain, note: bytes | None = None, *, size: int | None = None) -> None:
        self.domain = domain
        self.tree = CommitTree(domain)
        self._trees: dict[int, LazyTree] = {}
        if note is None:
            size = self.tree.size if size is None else size
            self.checkpoint = Checkpoint(default_origin(domain.id), size, self.tree.root_at(size))
            note = format_checkpoint(self.checkpoint).encode() + b"\n"
        else:
            self.checkpoint = parse_checkpoint(parse_note(note).text)
            _check_checkpoint(domain, self.tree, self.checkpoint)
        self.note = note

    @property
    def is_signed(self) -> bool:
        """Whether anybody signed the checkpoint."""
        return bool(self.note.partition(b"\n\n")[2])

    @property
    def is_current(self) -> bool:
        """Whether the checkpoint covers every commit, so that the newest index can be proven."""
        return self.checkpoint.size == self.tree.size

    def prove_event(self, position: int, *, body: bool = True) -> EventProof:
        """The event at a position of the log. Raises NotFound when the checkpoint does not cover it."""
        place = self.domain.read(lambda working, _: _place(working, position))
        if place.seq >= self.checkpoint.size:
            raise NotFound(f"the checkpoint covers {self.checkpoint.size} commits, and the event came later")
        at = position - place.first
        stored = self._stored(range(position, position + 1))[0]
        path = tuple(self._tree_of(place).prove_inclusion(at, place.events))
        own = Own(at, path, self._commit(place.seq), self._log(place.seq))
        parts = stored.envelope.decode().split('"')
        name, version = (parts[7], parts[3]), int(parts[-1][1:-1])
        current = self._current(name, version) if self.is_current else None
        shown = stored.body.decode() if body and stored.body else None
        return EventProof(stored.envelope.decode(), shown, own, current)

    def prove_aggregate(self, name: tuple[str, str], *, events: bool = False, bodies: bool = True) -> AggregateProof:
        """An aggregate at its newest version. Raises NotFound, Invalid where the checkpoint is not the newest."""
        current = self._current(name)
        if not events:
            return AggregateProof(name, current, None)
        found = self._events(name)
        lines = [(each.envelope.decode(), each.body.decode() if bodies and each.body else None) for each in found]
        return AggregateProof(name, current, tuple(lines))

    def prove_absence(self, name: tuple[str, str]) -> AbsenceProof:
        """That there is no such aggregate. Raises Invalid when there is."""
        self._need_current()
        key = key_of(*name)

        def query(
            working: WorkingSet, _: LogReader
        ) -> tuple[tuple[bytes, int, bytes] | None, tuple[tuple[int, bytes], ...]]:
            self._check_head(working)
            found = working.tree.prove(key)
            if found is None:
                return None, ()
            if found.key == key:
                raise Invalid(f"aggregate '{name[0]}/{name[1]}' exists", hint="see 'dbx prove aggregate'")
            row = working.index.one("SELECT version, root FROM aggregate WHERE key = ?", found.key)
            if row is None:
                raise IndexDamaged("the index lacks an aggregate that its tree has", hint="run 'dbx reindex'")
            return (found.key, int(row[0]), bytes(row[1])), found.path

        other, path = self.domain.read(query)
        seq = self.checkpoint.size - 1
        return AbsenceProof(name, other, path, self._commit(seq), self._log(seq))

    def prove_growth(self, first: Checkpoint | int) -> GrowthProof:
        """That the checkpoint's log begins with an older one of `first` commits. Raises NotFound, Corrupt."""
        size = first if isinstance(first, int) else first.size
        if not 1 <= size <= self.checkpoint.size:
            raise NotFound(f"there is no growth from {size} to {self.checkpoint.size} commits")
        old = Checkpoint(self.checkpoint.origin, size, self.tree.root_at(size))
        if isinstance(first, Checkpoint) and first != old:
            raise Corrupt(
                "the older checkpoint is not one of this history",
                hint="keep both: they show that the history was forked",
                details={"reason": "forked"},
            )
        path = self.tree.prove_consistency(size, self.checkpoint.size)
        return GrowthProof(format_checkpoint(old), self.note.decode(), tuple(path))

    def prove_history(self, name: tuple[str, str], first: int, second: int) -> HistoryProof:
        """That version `second` of an aggregate begins with version `first`. Raises NotFound, Invalid."""
        current = self._current(name)
        if not 1 <= first <= second <= current.version:
            raise NotFound(
                f"aggregate '{name[0]}/{name[1]}' has versions 1 to {current.version}, and the first comes first"
            )
        leaves = [merkle.leaf_hash(each.envelope) for each in self._events(name)]
        return HistoryProof(
            name,
            (first, merkle.root(leaves[:first])),
            (second, merkle.root(leaves[:second])),
            tuple(merkle.prove_consistency(leaves[:second], first)),
            tuple(merkle.prove_consistency(leaves, second)),
            current,
        )

    def prove_commit(self, seq: int) -> str:
        """That a commit is in the checkpoint's log, as a tlog-proof. Raises NotFound when it does not cover it."""
        if not 0 <= seq < self.checkpoint.size:
            raise NotFound(f"the checkpoint covers {self.checkpoint.size} commits, and commit {seq} is not one of them")
        return self._log(seq)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _current(self, name: tuple[str, str], version: int | None = None) -> Current:
        """The aggregate's place in the newest index, with the path of one of its versions."""
        self._need_current()
        key = key_of(*name)

        def query(
            working: WorkingSet, reader: LogReader
        ) -> tuple[int, bytes, list[bytes], tuple[tuple[int, bytes], ...]]:
            self._check_head(working)
            row = working.index.find(*name)
            if row is None or row.n is None:
                raise NotFound(
                    f"aggregate '{name[0]}/{name[1]}' does not exist in domain '{self.domain.name}'",
                    hint="see 'dbx prove absent'",
                )
            found = working.tree.prove(key)
            if found is None or found.key != key:
                raise IndexDamaged("the index lacks an aggregate in its tree", hint="run 'dbx reindex'")
            leaves = []
            if version is not None:
                positions = working.index.positions(row.n)
                leaves = [merkle.leaf_hash(each.envelope) for each in reader.events(positions)]
            return row.version, row.root, leaves, found.path

        newest, root, leaves, index = self.domain.read(query)
        path: Sequence[bytes] = ()
        if version is not None:
            if len(leaves) != newest or not 1 <= version <= newest:
                raise IndexDamaged("the index does not know every event of an aggregate", hint="run 'dbx reindex'")
            path = merkle.prove_inclusion(leaves, version - 1)
        seq = self.checkpoint.size - 1
        return Current(newest, root, tuple(path), index, self._commit(seq), self._log(seq))

    def _events(self, name: tuple[str, str]) -> list[Stored]:
        def query(working: WorkingSet, reader: LogReader) -> list[Stored]:
            self._check_head(working)
            row = working.index.find(*name)
            return [] if row is None or row.n is None else list(reader.events(working.index.positions(row.n)))

        return self.domain.read(query)

    def _stored(self, positions: Sequence[int]) -> list[Stored]:
        return self.domain.read(lambda _, reader: list(reader.events(positions)))

    def _tree_of(self, place: Place) -> LazyTree:
        """The tree over the events of a commit; those of the last few commits are kept."""
        tree = self._trees.pop(place.seq, None)
        if tree is None:
            first = place.first

            def read(low: int, high: int) -> list[bytes]:
                return [merkle.leaf_hash(each.envelope) for each in self._stored(range(first + low, first + high))]

            tree = LazyTree(read)
            if len(self._trees) >= _KEPT:
                del self._trees[next(iter(self._trees))]
        self._trees[place.seq] = tree
        return tree

    def _commit(self, seq: int) -> str:
        return self.domain.read(lambda _, reader: reader.commit(seq)).line.decode()

    def _log(self, seq: int) -> str:
        hashes = self.tree.prove_inclusion(seq, self.checkpoint.size)
        return format_tlog_proof(TlogProof(seq, tuple(hashes), self.note)).decode()

    def _need_current(self) -> None:
        if not self.is_current:
            raise Invalid(
                f"the checkpoint covers {self.checkpoint.size} commits of {self.tree.size}, and only the newest index"
                " can be proven",
                hint="leave the checkpoint out, or make a new one with 'dbx checkpoint --sign'",
            )
        if self.checkpoint.size == 0:
            raise NotFound(f"domain '{self.domain.name}' has no commits, so there is nothing to prove")

    def _check_head(self, working: WorkingSet) -> None:
        """Nothing was committed since: a proof of the index must be about the checkpoint's last commit."""
        if working.head.seq + 1 != self.tree.size:
            raise Invalid("something was committed meanwhile", hint="run the command again")


def _place(working: WorkingSet, position: int) -> Place:
    if not 0 <= position < working.head.position:
        raise NotFound(f"there is no event at position {position}")
    seq = find_seq_at(working.index, position)
    found = None if seq is None else working.index.find_commit(seq)
    if seq is None or found is None:
        raise IndexDamaged("the index does not know which commit holds an event", hint="run 'dbx reindex'")
    following = working.index.find_commit(seq + 1)
    end = working.head.position if following is None else following[1]
    return Place(position, seq, found[1], end - found[1])


def _check_checkpoint(domain: Domain, tree: CommitTree, checkpoint: Checkpoint) -> None:
    if checkpoint.origin.startswith("dbx/") and checkpoint.origin != default_origin(domain.id):
        raise Invalid(f"the checkpoint is about another domain than '{domain.name}'")
    if checkpoint.size > tree.size:
        raise Corrupt(
            f"the checkpoint covers {checkpoint.size} commits, and domain '{domain.name}' has {tree.size}",
            details={"reason": "missing"},
        )
    if checkpoint.size < 1 or tree.root_at(checkpoint.size) != checkpoint.root:
        raise Corrupt(
            f"the checkpoint is about another history than that of domain '{domain.name}'",
            hint="keep it: it shows that the history was forked",
            details={"reason": "forked"},
        )


def position_of_event(domain: Domain, event_id: int) -> int:
    """Where an event lies in the log. Raises NotFound."""
    found = domain.read(lambda working, _: working.index.find_event(event_id))
    if found is None:
        raise no_event(domain.name, event_id)
    return found


def position_of_version(domain: Domain, name: tuple[str, str], version: int) -> int:
    """Where version `version` of an aggregate lies in the log. Raises NotFound."""

    def query(working: WorkingSet, _: LogReader) -> int:
        row = working.index.find(*name)
        if row is None or row.n is None:
            raise no_aggregate(domain.name, *name)
        if not 1 <= version <= row.version:
            raise no_version(*name, version, row.version)
        return working.index.positions(row.n, version, version)[0]

    return domain.read(query)
