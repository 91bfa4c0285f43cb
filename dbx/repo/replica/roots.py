"""The trees of aggregates that events which are being taken in make, and the index root after each of their commits.

`Roots` follows them here. `RootsApart` has a process of its own do it, for hashing them takes as long as all the rest
of the checking does; leaf hashes are all that travels. What it finds wrong is told later, but before the end.
"""

from __future__ import annotations

import gc
import os
import signal
import struct
import threading
from array import array
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from dbx.crypto.forest import HASH_BYTES, Forest
from dbx.crypto.keytree import KeyTree
from dbx.errors import Failure
from dbx.store.descriptor import close_all_but
from dbx.store.messages import message, read_exactly, receive, send
from dbx.store.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dbx.crypto.forest import Tree
    from dbx.crypto.indextree import IndexTree, Item
    from dbx.repo.working import WorkingSet

Follower: TypeAlias = "Roots | RootsApart"

MOST_KEYS = 150_000
"""So many aggregates may be held in memory while their roots are followed."""
_FEW_EVENTS = 5_000
"""Fewer events are not worth a tree in memory, nor a process."""
_MANY_EVENTS = 1024
_EDGES = 4096
_MOST_WAITING = 16 * 1024 * 1024
_MEET, _EVENTS, _COLLECT = b"M", b"E", b"C"
_WRONG, _FINE = b"W", b"F"
_PARTS = 3
_END = struct.Struct("<QQ32s")
"""Behind how many events a commit ends, its seq, and the index root that it names."""


class WrongRoot(Exception):  # noqa: N818 - the one who knows where the commit stands says what is wrong
    """The index root that a commit names is not that of its aggregates."""

    def __init__(self, seq: int) -> None:
        super().__init__(seq)
        self.seq = seq


class PagedTree:
    """A domain's index tree, which keeps in mind what changes until pages and aggregates are written."""

    def __init__(self, tree: IndexTree) -> None:
        self._tree = tree

    @property
    def root(self) -> bytes:
        """The index root."""
        return self._tree.root

    def update(self, changes: Mapping[bytes, bytes]) -> bytes:
        """Set the leaf hash of each key; the new root."""
        return self._tree.update(changes, keep=True)


class Roots:
    """Aggregates by number, in the order in which they were met, followed in this process."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._forest = Forest(tree)

    def meet(self, keys: Sequence[bytes], versions: Sequence[int], edges: Sequence[bytes]) -> None:
        """The aggregates that come next are these."""
        self._forest.meet(keys, versions, edges)

    def add(self, numbers: Sequence[int], leaves: bytes) -> None:
        """Events of the commit that is going on: their aggregates, their leaf hashes joined."""
        self._forest.add(numbers, leaves)

    def close(self, seq: int, index: bytes) -> None:
        """The commit ends here, and names this index root. Raises WrongRoot, of it or of an earlier one."""
        if self._forest.close() != index:
            raise WrongRoot(seq)

    def root(self) -> bytes:
        """The commit ends here: the index root that it is to name."""
        return self._forest.close()

    def root_of(self, number: int) -> bytes:
        """The root of an aggregate's tree."""
        return self._forest.root_of(number)

    def collect(self) -> list[bytes]:
        """The right edge of every aggregate's tree, its hashes joined. All of them are forgotten, numbers begin again.

        In the middle of a commit, its tree comes along as far as it goes. Raises as `close`.
        """
        forest = self._forest
        forest.close()
        edges = forest.edges
        self._forest = Forest(forest.tree)
        return edges

    def stop(self) -> None:
        """It is needed no longer."""


class RootsApart:
    """As `Roots`, in another process over a tree in memory that begins with `items`. It must be stopped.

    Raises Failure when that process has died.
    """

    def __init__(self, items: Sequence[Item]) -> None:
        self._met = 0
        self._numbers = array("I")
        self._leaves: list[bytes] = []
        self._ends: list[bytes] = []
        reading, self._writing = os.pipe()
        self._reading, writing = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            _run(reading, writing, items)
        os.close(reading)
        os.close(writing)
        # Reading blocks comes in bursts, and neither process is to wait for the other.
        self._told = Outbox(self._writing, most=_MOST_WAITING)

    def meet(self, keys: Sequence[bytes], versions: Sequence[int], edges: Sequence[bytes]) -> None:
        """The aggregates that come next are these."""
        self._met += len(keys)
        self._tell(_MEET, b"".join(keys), array("Q", versions).tobytes(), b"".join(edges))

    def add(self, numbers: Sequence[int], leaves: bytes) -> None:
        """Events of the commit that is going on: their aggregates, their leaf hashes joined."""
        self._numbers.extend(numbers)
        self._leaves.append(leaves)
        if len(self._numbers) >= _MANY_EVENTS:
            self._tell_events()

    def close(self, seq: int, index: bytes) -> None:
        """The commit ends here, and names this index root. Raises WrongRoot, of it or of an earlier one."""
        self._ends.append(_END.pack(len(self._numbers), seq, index))

    def collect(self) -> list[bytes]:
        """The right edge of every aggregate's tree, its hashes joined. All of them are forgotten, numbers begin again.

        In the middle of a commit, its tree comes along as far as it goes. Raises as `close`.
        """
        self._tell_events()
        self._tell(_COLLECT)
        found: list[bytes] = []
        while True:
            sizes, edges = self._hear()
            found += _cut(edges, sizes)
            if len(found) >= self._met:
                self._met = 0
                return found

    def stop(self) -> None:
        """End the process. Safe to call twice."""
        if self.pid:
            pid, self.pid = self.pid, 0
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            with suppress(OSError):
                self._told.close()  # nobody reads it any more
            os.close(self._reading)
            os.close(self._writing)

    def _tell_events(self) -> None:
        self._tell(_EVENTS, self._numbers.tobytes(), b"".join(self._leaves), b"".join(self._ends))
        self._numbers = array("I")
        self._leaves, self._ends = [], []

    def _tell(self, kind: bytes, *parts: bytes) -> None:
        try:
            self._told.put(message(kind, *parts, *[b""] * (_PARTS - len(parts))))
        except BrokenPipeError:
            self._hear()
            raise self._died() from None  # it says nothing unasked but what raises

    def _hear(self) -> list[bytes]:
        """What the other process answers. Raises WrongRoot, Failure."""
        try:
            read_exactly(self._reading, 1)
            kind, *parts = receive(self._reading, 3)
        except EOFError:
            raise self._died() from None
        if kind == _WRONG:
            raise WrongRoot(int.from_bytes(parts[0], "big"))
        return parts

    def _died(self) -> Failure:
        self.stop()
        return Failure(
            "the process that compares index roots has died, so nothing was taken in",
            hint="try again; it may have been out of memory",
        )


def follow_roots(working: WorkingSet, events: int) -> Follower:
    """What follows the roots of some `events`, as their sender counts them, on top of a working set."""
    if events < _FEW_EVENTS or (known := working.index.count()[0]) > min(events, MOST_KEYS):
        return Roots(PagedTree(working.tree))
    items = working.index.read_leaves(b"") if known else []
    if can_fork():
        return RootsApart(items)
    tree = KeyTree()
    tree.update(dict(items))
    return Roots(tree)


def can_fork() -> bool:
    """Whether another process may help: two cores, and no other thread."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores > 1 and hasattr(os, "fork") and threading.active_count() == 1


def _run(reading: int, writing: int, items: Sequence[Item]) -> NoReturn:
    """The other process. It never comes back, and cleans up nothing that is its parent's."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted as well, and ends this process
        gc.disable()
        close_all_but(reading, writing)
        with suppress(EOFError, BrokenPipeError):  # the parent is gone
            _follow(reading, writing, items)
        status = 0
    finally:
        os._exit(status)


def _follow(reading: int, writing: int, items: Sequence[Item]) -> None:
    tree = KeyTree()
    tree.update(dict(items))
    roots = Roots(tree)
    while True:
        read_exactly(reading, 1)
        kind, first, second, third = receive(reading, 1 + _PARTS)
        if kind == _MEET:
            keys = [first[at : at + HASH_BYTES] for at in range(0, len(first), HASH_BYTES)]
            versions = array("Q", second)
            roots.meet(keys, versions, _cut(third, [version.bit_count() for version in versions]))
        elif kind == _EVENTS:
            try:
                _follow_events(roots, array("I", first), second, third)
            except WrongRoot as wrong:
                send(writing, _WRONG, wrong.seq.to_bytes(8, "big"), b"")
                return
        else:
            edges = roots.collect()
            for at in range(0, max(len(edges), 1), _EDGES):  # piece by piece: the other process has no room to spare
                some = edges[at : at + _EDGES]
                send(writing, _FINE, bytes([len(edge) // HASH_BYTES for edge in some]), b"".join(some))


def _cut(edges: bytes, sizes: Iterable[int]) -> list[bytes]:
    """Edges that were joined, which have so many hashes each."""
    found: list[bytes] = []
    at = 0
    for size in sizes:
        found.append(edges[at : at + size * HASH_BYTES])
        at += size * HASH_BYTES
    return found


def _follow_events(roots: Roots, numbers: array[int], leaves: bytes, ends: bytes) -> None:
    """Events of many commits; `ends` says where they end, and which roots they name."""
    at = 0
    for end, seq, index in _END.iter_unpack(ends):
        roots.add(numbers[at:end], leaves[at * HASH_BYTES : end * HASH_BYTES])
        roots.close(seq, index)
        at = end
    roots.add(numbers[at:], leaves[at * HASH_BYTES :])
