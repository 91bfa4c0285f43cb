"""Root files: written from a domain, and read as one side of a comparison (format.md §8)."""

from __future__ import annotations

import os
import stat
from array import array
from collections.abc import Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, overload

from dbx.crypto.indextree import key_of, leaf_hash, root_of
from dbx.crypto.treediff import list_view
from dbx.errors import Corrupt, Failure, NotFound
from dbx.formats.rootfile import Entry, Reader, decode_entry, encode_entry, encode_header, encode_proof
from dbx.repo.compare.side import DomainSide
from dbx.repo.compare.values import Standing
from dbx.store.fs import Directory
from dbx.store.indexlayout import IndexDamaged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import BinaryIO

    from dbx.crypto.indextree import Item
    from dbx.crypto.treediff import Subtree
    from dbx.formats.rootfile import Header
    from dbx.repo.domain import Domain
    from dbx.repo.log import LogReader
    from dbx.repo.working import WorkingSet

_PAGE = 10_000
_ITEM_BYTES = 64
_HASH_BYTES = 32


class Exported(NamedTuple):
    """What was written: the index root (hex), the commit it is that of (hex id and seq), and how many aggregates."""

    root: str
    commit: str | None
    seq: int
    aggregates: int


def export_roots(
    domain: Domain, write: Callable[[bytes], object], seq: int | None = None, *, proof: str | None = None
) -> Exported:
    """Write a root file of a domain as it stands at `seq`, by default at its head, in bounded memory.

    Everything is checked before the first byte is written: the lines have the root that the commit names.
    """

    def query(working: WorkingSet, reader: LogReader) -> Exported:
        at = working.head.seq if seq is None else seq
        side = DomainSide(working, reader, at)
        entry = reader.commit(at) if at >= 0 else None
        count = 0

        def items() -> Iterator[Item]:
            nonlocal count
            for key, one in side.walk(_PAGE):
                if key_of(one.type, one.id) != key:
                    raise IndexDamaged(f"the index has a wrong key for '{one.type}/{one.id}'", hint="run 'dbx reindex'")
                count += 1
                yield key, leaf_hash(key, one.version, one.root)

        if root_of(items()) != side.root:
            raise IndexDamaged("the aggregates of the index do not have its root", hint="run 'dbx reindex'")
        write(encode_header(None if entry is None else entry.line, count, side.root))
        for _, one in side.walk(_PAGE):
            write(encode_entry(Entry(one.type, one.id, one.version, one.root)))
        if proof is not None:
            write(encode_proof(proof))
        return Exported(side.root.hex(), None if entry is None else entry.id.hex(), at, count)

    return domain.read(query)


def export_roots_to(domain: Domain, path: str, seq: int | None = None, *, proof: str | None = None) -> Exported:
    """`export_roots` to a file, replacing what was there; after a crash there is the old file or the new one."""
    folder, name = os.path.split(os.path.abspath(path))
    if not name or os.path.isdir(path):
        raise Failure(f"cannot write '{path}': it is a directory")
    if os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode):
        raise Failure(f"cannot write '{path}': it is not a regular file", hint="write '-' for standard output")
    with Directory(folder).temporary() as temporary:
        held: list[bytes] = []

        def write(line: bytes) -> None:
            held.append(line)
            if len(held) >= _PAGE:
                temporary.write(b"".join(held))
                held.clear()

        done = export_roots(domain, write, seq, proof=proof)
        temporary.write(b"".join(held))
        temporary.publish(name)
    return done


class RootFile:
    """A root file that was read and verified whole, as one side of a comparison. Made by `open_root_file`.

    In memory it takes 72 bytes for each aggregate.
    """

    has_trees = False

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        reader = Reader(file.readline, name)
        items = bytearray()
        self._offsets = array("Q")
        offset = file.tell()
        previous = b""
        for entry in reader.entries():
            key = key_of(entry.type, entry.id)
            if key <= previous:
                reason = "it is there twice" if key == previous else "it does not stand in the order of its key"
                raise reader.fault(f"aggregate '{entry.type}/{entry.id}': {reason}")
            previous = key
            items += key + leaf_hash(key, entry.version, entry.root)
            self._offsets.append(offset)
            offset = file.tell()
        self.header: Header = reader.header
        self.proof = reader.proof
        self._items = _Items(items)
        found = root_of(self._items)
        if found != self.header.root:
            last = self.header.aggregates + 1
            where = f"or one of the lines 2 to {last} was changed" if last > 1 else "though it names no aggregates"
            raise reader.fault(
                f"its index is not the root of the aggregates below: line 1 {where}",
                line=1,
                hint="do not believe any line of it; get another copy",
            )

    def view(self) -> Subtree | None:
        """Its index tree."""
        return list_view(self._items)

    def standings(self, keys: Sequence[bytes]) -> Mapping[bytes, Standing]:
        """The aggregates of these keys, read from the file again. Raises Corrupt when it was changed meanwhile."""
        found: dict[bytes, Standing] = {}
        for key in keys:
            at = self._items.find(key)
            if at is None:
                continue
            self._file.seek(self._offsets[at])
            entry = decode_entry(self._file.readline(1024)[:-1])
            if leaf_hash(key, entry.version, entry.root) != self._items[at][1] or key_of(entry.type, entry.id) != key:
                raise Corrupt(f"root file '{self._name}', line {at + 2}: it was changed while it was read")
            found[key] = Standing(entry.type, entry.id, entry.version, entry.root)
        return found

    def leaves(self, wanted: Iterable[tuple[Standing, int, int]]) -> list[list[bytes]]:
        """A root file has none: nobody asks who looked at `has_trees`."""
        raise ValueError(f"a root file has no leaves, {len(list(wanted))} were asked for")


@contextmanager
def open_root_file(path: str) -> Iterator[RootFile]:
    """Read and verify a root file. Raises NotFound, and Corrupt naming the line."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO without a writer would never open
    except FileNotFoundError:
        raise NotFound(f"there is no root file '{path}'") from None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise Failure(f"'{path}' is not a regular file", hint="a root file is read twice: save it first")
    with os.fdopen(fd, "rb") as file:
        yield RootFile(file, path)


def find_commit_id(header: Header) -> str | None:
    """The id (hex) of the commit that a root file names."""
    return None if header.line is None else sha256(b"\0" + header.line).hexdigest()


class _Items(Sequence[tuple[bytes, bytes]]):
    """Keys and leaf hashes, 64 bytes for each aggregate."""

    __slots__ = ("data",)

    def __init__(self, data: bytearray | memoryview) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data) // _ITEM_BYTES

    @overload
    def __getitem__(self, at: int) -> Item: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[Item]: ...

    def __getitem__(self, at: int | slice) -> Item | Sequence[Item]:
        if isinstance(at, slice):
            first, last, _ = at.indices(len(self))
            return _Items(memoryview(self.data)[first * _ITEM_BYTES : last * _ITEM_BYTES])
        start = at * _ITEM_BYTES
        if not 0 <= start < len(self.data):
            raise IndexError(at)
        item = bytes(self.data[start : start + _ITEM_BYTES])
        return item[:_HASH_BYTES], item[_HASH_BYTES:]

    def __iter__(self) -> Iterator[Item]:
        return (self[at] for at in range(len(self)))

    def find(self, key: bytes) -> int | None:
        """Where a key stands."""
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self[middle][0] < key:
                low = middle + 1
            else:
                high = middle
        return low if low < len(self) and self[low][0] == key else None
