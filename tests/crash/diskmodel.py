"""What a disk may hold after a power cut, derived from the system calls that a command made.

The model is harsher than ext4 and xfs are: what was synced is there; of the rest any part may be missing, whatever
came first. Data are kept or lost by page, and the last page that reaches a file may be torn at a 512-byte sector. An
entry of a directory (made, renamed, removed) is certain once the directory was synced; before, it is kept or lost. A
part of the states follows journalling file systems: entries in the order of the calls, up to some point.

File sizes follow data, or run ahead of them (then zeros show). Memory that SQLite maps (`-shm`) is not modelled: those
files are lost, as by a reboot they may be.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

PAGE = 4096
SECTOR = 512
_CALLS = (
    "write pwrite64 fsync fdatasync rename renameat renameat2 unlink unlinkat rmdir mkdir mkdirat link linkat symlink "
    "symlinkat truncate ftruncate fallocate copy_file_range sendfile openat open creat close dup dup2 dup3 fcntl lseek "
    "writev pwritev pwritev2"
)
NAMES = tuple(_CALLS.split())
OPTIONS = ("--seccomp-bpf", "-y", "-xx", "-s", "100000000", "-e", f"trace={','.join(NAMES)}")
UNKNOWN = frozenset(("fallocate", "copy_file_range", "sendfile", "writev", "pwritev", "pwritev2", "truncate"))

_LINE = re.compile(r"(\d+) +([a-z0-9_]+)\((.*)\) += (-?\d+|\?)(.*)$", re.DOTALL)
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_FD = re.compile(r"^(-?\d+|AT_FDCWD)(?:<((?:\\x[0-9a-f]{2})*)>)?")


def _text(escaped: str) -> bytes:
    return bytes.fromhex(escaped.replace("\\x", ""))


class Write(NamedTuple):
    """Bytes at an offset of a file."""

    file: int
    offset: int
    data: bytes


class Cut(NamedTuple):
    """A file's size is set."""

    file: int
    size: int


class Sync(NamedTuple):
    """All that was done to a file is on disk."""

    file: int


class Entry(NamedTuple):
    """Names of directories begin or cease to lead to files: (directory, name, file or None), all or none of them."""

    changes: tuple[tuple[int, bytes, int | None], ...]


class SyncDirectory(NamedTuple):
    """All entries of a directory are on disk."""

    directory: int


class Acknowledged(NamedTuple):
    """Something was written to standard output."""


Operation = Write | Cut | Sync | Entry | SyncDirectory | Acknowledged


@dataclass
class Disk:
    """Files and directories by number, as they were before; then what was done to them, in order."""

    root: str
    content: dict[int, bytes] = field(default_factory=dict)
    entries: dict[int, dict[bytes, int]] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)

    @staticmethod
    def of(root: Path) -> Disk:
        """The tree at `root`; number 0 is `root` itself."""
        disk = Disk(str(root))
        disk._load(root)
        return disk

    def _load(self, path: Path) -> int:
        number = len(self.content) + len(self.entries)
        self.names[number] = path.name
        if path.is_dir():
            self.entries[number] = {}
            for entry in sorted(os.listdir(path)):
                inner = self._load(path / entry)
                self.entries[number][entry.encode()] = inner
        else:
            self.content[number] = path.read_bytes()
        return number

    def follow(self, log: Path) -> None:
        """Read the calls of a command, as strace printed them with OPTIONS."""
        _Follower(self).follow(log.read_text(encoding="ascii", errors="replace").splitlines())


class _Follower:
    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.now = {number: dict(names) for number, names in disk.entries.items()}
        self.size = {number: len(data) for number, data in disk.content.items()}
        self.at: dict[tuple[str, int], int] = {}
        self.count = len(disk.content) + len(disk.entries)
        self.opened: dict[int, int] = {}

    def follow(self, lines: Sequence[str]) -> None:
        for line in lines:
            found = _LINE.match(line)
            if found is None:
                assert "unfinished" not in line, "two threads write at once: the order of their calls is not known"
                continue
            _, name, arguments, result, _ = found.groups()
            if result.startswith(("-", "?")):
                continue
            self.call(name, arguments, int(result))

    def call(self, name: str, arguments: str, result: int) -> None:
        fd = _FD.match(arguments)
        assert not (name in UNKNOWN and self.disk.root.encode().hex() in arguments.replace("\\x", "")), name
        if name in ("open", "openat", "creat"):
            self.open(arguments, result)
        elif fd is not None and fd[1].isdigit():
            self.on_descriptor(name, int(fd[1]), arguments, result)
        if name in (
            "rename",
            "renameat",
            "renameat2",
            "unlink",
            "unlinkat",
            "rmdir",
            "mkdir",
            "mkdirat",
            "link",
            "linkat",
        ):
            self.rearrange(name, arguments)

    def open(self, arguments: str, result: int) -> None:
        (path, *_) = self.paths(arguments)
        self.opened.pop(result, None)
        if path is None:
            return
        directory, base = path
        number = self.now[directory].get(base) if base else directory
        if number is None:
            assert "O_CREAT" in arguments, arguments
            number = self.new_file(base)
            self.enter(((directory, base, number),))
        if "O_TRUNC" in arguments:
            self.disk.operations.append(Cut(number, 0))
            self.size[number] = 0
        self.opened[result] = number
        self.at["", result] = 0

    def on_descriptor(self, name: str, fd: int, arguments: str, result: int) -> None:
        operations = self.disk.operations
        number = self.opened.get(fd)
        if name == "write" and fd == 1:
            operations.append(Acknowledged())
        elif name == "close":
            self.opened.pop(fd, None)
        elif name in ("dup", "fcntl") and number is not None:
            if name == "dup" or "F_DUPFD" in arguments:
                self.opened[result] = number
        elif number is None:
            return
        elif name in ("fsync", "fdatasync"):
            operations.append(SyncDirectory(number) if number in self.now else Sync(number))
        elif name == "ftruncate":
            self.size[number] = int(arguments.rpartition(",")[2])
            operations.append(Cut(number, self.size[number]))
        elif name == "lseek":
            self.at["", fd] = result
        elif name in ("write", "pwrite64"):
            text = _STRING.search(arguments)
            assert text is not None, arguments[:200]
            assert not text[2], "strace cut a string short"
            data = _text(text[1])[:result]
            offset = self.at["", fd] if name == "write" else int(arguments.rpartition(",")[2])
            self.at["", fd] = offset + result if name == "write" else self.at["", fd]
            operations.append(Write(number, offset, data))
            self.size[number] = max(self.size[number], offset + result)

    def rearrange(self, name: str, arguments: str) -> None:
        paths = self.paths(arguments)
        if paths[0] is None:
            return
        directory, base = paths[0]
        if name.startswith("mkdir"):
            number = self.new_file(base, directory=True)
            self.enter(((directory, base, number),))
        elif name.startswith(("unlink", "rmdir")):
            self.enter(((directory, base, None),))
        else:
            assert paths[1] is not None
            number = self.now[directory][base]
            moved = ((*paths[1], number),)
            self.enter(moved if name.startswith("link") else (*moved, (directory, base, None)))

    def new_file(self, base: bytes, *, directory: bool = False) -> int:
        number = self.count
        self.disk.names[number] = base.decode()
        self.count += 1
        if directory:
            self.now[number] = {}
            self.disk.entries[number] = {}
        else:
            self.size[number] = 0
            self.disk.content[number] = b""
        return number

    def enter(self, changes: tuple[tuple[int, bytes, int | None], ...]) -> None:
        for directory, base, number in changes:
            if number is None:
                self.now[directory].pop(base, None)
            else:
                self.now[directory][base] = number
        self.disk.operations.append(Entry(changes))

    def paths(self, arguments: str) -> list[tuple[int, bytes] | None]:
        """Every path among the arguments, as (directory, name); None for one outside the root."""
        found: list[tuple[int, bytes] | None] = []
        base = b""
        for part in re.findall(r'(?:AT_FDCWD|\d+)<(?:\\x[0-9a-f]{2})*>|"(?:\\x[0-9a-f]{2})*"', arguments):
            if part.startswith('"'):
                found.append(self.resolve(os.path.join(base, _text(part[1:-1]))))
                base = b""
            else:
                base = _text(part.partition("<")[2][:-1])
        return found

    def resolve(self, path: bytes) -> tuple[int, bytes] | None:
        root = self.disk.root.encode()
        path = os.path.normpath(path)
        if path != root and not path.startswith(root + b"/"):
            return None
        number, base = 0, b""
        for part in path[len(root) + 1 :].split(b"/"):
            if base:
                number = self.now[number][base]
            base = part
        return number, base


class Cutoff(NamedTuple):
    """A moment at which the power fails: after so many operations; whether the command had said that it was done.

    `is_tense`: most is at stake, for the next thing to happen is that a file or a directory is synced.
    """

    operations: int
    acknowledged: bool
    is_tense: bool


def cutoffs(disk: Disk) -> list[Cutoff]:
    """Every moment between two operations, and the end."""
    acknowledged = False
    found = []
    for number, operation in enumerate(disk.operations):
        is_sync = isinstance(operation, Sync | SyncDirectory)
        tense = is_sync and not disk.names[operation[0]].startswith("index.db")
        found.append(Cutoff(number, acknowledged, tense))
        acknowledged = acknowledged or isinstance(operation, Acknowledged)
    return [*found, Cutoff(len(disk.operations), acknowledged, is_tense=True)]


def survive(disk: Disk, cutoff: Cutoff, dice: random.Random) -> tuple[dict[int, bytes], dict[int, dict[bytes, int]]]:
    """One state that the disk may be in when the power fails then: contents and directory entries by number."""
    done = disk.operations[: cutoff.operations]
    style = dice.choice(("all", "none", "ordered", "any", "any", "any"))
    return _contents(disk, done, dice, style), _entries(disk, done, dice, style)


def _contents(disk: Disk, done: Sequence[Operation], dice: random.Random, style: str) -> dict[int, bytes]:
    pending: dict[int, list[Write | Cut]] = {}
    contents = {number: bytearray(data) for number, data in disk.content.items()}
    for operation in done:
        if isinstance(operation, Write | Cut):
            pending.setdefault(operation.file, []).append(operation)
        elif isinstance(operation, Sync):
            for earlier in pending.pop(operation.file, []):
                _apply(contents[operation.file], earlier)
    for number, operations in pending.items():
        keep = {"all": "all", "none": "none"}.get(style) or dice.choice(
            ("all", "none", "first", "some", "some", "sizes")
        )
        _survive_file(contents[number], operations, keep, dice)
    return {number: bytes(data) for number, data in contents.items()}


def _survive_file(content: bytearray, operations: Sequence[Write | Cut], keep: str, dice: random.Random) -> None:
    if keep == "none":
        return
    pieces = [piece for operation in operations for piece in _pieces(operation)]
    if keep == "first":
        pieces = pieces[: dice.randrange(len(pieces) + 1)]
        if pieces and isinstance(pieces[-1], Write):
            last = pieces[-1]
            torn = (last.offset // SECTOR + dice.randrange(PAGE // SECTOR)) * SECTOR - last.offset
            pieces[-1] = last._replace(data=last.data[: max(0, torn)])
    elif keep in ("some", "sizes"):
        chance = dice.choice((0.1, 0.5, 0.9))
        chosen = [dice.random() < chance for _ in pieces]
        end = len(content)
        for piece in pieces:
            end = piece.size if isinstance(piece, Cut) else max(end, piece.offset + len(piece.data))
        pieces = [piece for piece, kept in zip(pieces, chosen, strict=True) if kept]
        if keep == "sizes" and end > len(content):
            content.extend(bytes(end - len(content)))
    for piece in pieces:
        _apply(content, piece)


def _pieces(operation: Write | Cut) -> Iterator[Write | Cut]:
    """A write by pages, as the disk takes it."""
    if isinstance(operation, Cut):
        yield operation
        return
    at = operation.offset
    end = at + len(operation.data)
    while at < end:
        upto = min(end, (at // PAGE + 1) * PAGE)
        yield Write(operation.file, at, operation.data[at - operation.offset : upto - operation.offset])
        at = upto


def _apply(content: bytearray, operation: Write | Cut) -> None:
    if isinstance(operation, Cut):
        del content[operation.size :]
        content.extend(bytes(operation.size - len(content)))
        return
    end = operation.offset + len(operation.data)
    if operation.data and end > len(content):
        content.extend(bytes(end - len(content)))
    content[operation.offset : end] = operation.data


def _entries(disk: Disk, done: Sequence[Operation], dice: random.Random, style: str) -> dict[int, dict[bytes, int]]:
    entries = {number: dict(names) for number, names in disk.entries.items()}
    moves = [operation for operation in done if isinstance(operation, Entry)]
    certain = _certain(done)
    upto = dice.randrange(len(moves) + 1)
    if certain:
        upto = max(upto, max(certain) + 1)
    for number, move in enumerate(moves):
        if style == "ordered":
            kept = number < upto
        else:
            kept = number in certain or style == "all" or (style == "any" and dice.random() < 0.5)
        if kept:
            for directory, base, file in move.changes:
                if file is None:
                    entries[directory].pop(base, None)
                else:
                    entries[directory][base] = file
    return entries


def _certain(done: Sequence[Operation]) -> set[int]:
    """Which of the moves stand, because every directory they concern was synced afterwards."""
    certain: set[int] = set()
    waiting: list[tuple[int, set[int]]] = []
    number = -1
    for operation in done:
        if isinstance(operation, Entry):
            number += 1
            waiting.append((number, {directory for directory, _, _ in operation.changes}))
        elif isinstance(operation, SyncDirectory):
            for move, directories in waiting:
                directories.discard(operation.directory)
                if not directories:
                    certain.add(move)
    return certain


def lay_out(root: Path, contents: dict[int, bytes], entries: dict[int, dict[bytes, int]], number: int = 0) -> None:
    """Write a state to a directory that is there and empty. Hard links stay hard links."""
    _lay_out(str(root), contents, entries, number, {})


def _lay_out(
    root: str, contents: dict[int, bytes], entries: dict[int, dict[bytes, int]], number: int, seen: dict[int, str]
) -> None:
    for base, inner in entries[number].items():
        path = os.path.join(root, os.fsdecode(base))
        if inner in entries:
            os.mkdir(path, 0o700)
            _lay_out(path, contents, entries, inner, seen)
        elif path.endswith("-shm"):
            continue
        elif inner in seen:
            os.link(seen[inner], path)
        else:
            seen[inner] = path
            fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
            try:
                os.write(fd, contents[inner])
            finally:
                os.close(fd)
