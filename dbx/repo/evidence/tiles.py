"""A domain's commit log as static files for any web server (c2sp.org/tlog-tiles).

The checkpoint is written last: whoever fetches meanwhile finds the tiles of the one that is there. A second export adds
what is new, after checking that what lies there is the beginning of the same log.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from dbx.crypto import merkle
from dbx.errors import Corrupt, Failure, Invalid, NotFound
from dbx.formats.checkpoint import parse_checkpoint
from dbx.formats.note import MAX_NOTE_BYTES, parse_note
from dbx.formats.tile import HEIGHT, WIDTH, encode_bundle, tile_path, tiles_between
from dbx.repo.evidence.committree import CommitTree
from dbx.repo.outfile import shared_mode
from dbx.store.fs import Directory

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.formats.checkpoint import Checkpoint
    from dbx.formats.tile import Tile
    from dbx.repo.domain import Domain

CHECKPOINT = "checkpoint"


class Exported(NamedTuple):
    """The head that was exported, the size that lay there before, and how many files and bytes were written."""

    checkpoint: Checkpoint
    before: int
    files: int
    bytes: int


def export_tiles(domain: Domain, path: str, note: bytes, progress: Callable[[int], None] | None = None) -> Exported:
    """Write the tiles of the log that the signed checkpoint `note` is about into the directory `path`, made if need be.

    Raises Invalid when another log lies there, Corrupt when that one or the checkpoint contradicts the domain.
    """
    tree = CommitTree(domain)
    checkpoint = parse_checkpoint(parse_note(note).text)
    if not 1 <= checkpoint.size <= tree.size or tree.root_at(checkpoint.size) != checkpoint.root:
        raise Corrupt("the checkpoint is not one of this domain", details={"reason": "forked"})
    directory = _open(path)
    before = _known(directory, tree, checkpoint)
    files = written = 0
    for tile in tiles_between(before, checkpoint.size):
        data = _content(tree, tile)
        directory.write(tile_path(tile), data, shared_mode())
        files += 1
        written += len(data)
        if progress is not None:
            progress(tile.width if tile.level is None else 0)
    directory.write(CHECKPOINT, note, shared_mode())
    return Exported(checkpoint, before, files + 1, written + len(note))


def _open(path: str) -> Directory:
    parent, name = os.path.split(os.path.abspath(path))
    if not os.path.isdir(parent):
        raise Failure(f"there is no directory '{parent}'", hint="make it first")
    if os.path.isdir(path):
        entries = set(os.listdir(path))
        if entries and CHECKPOINT not in entries and not entries <= {"tile"}:
            raise Invalid(f"'{path}' is not empty, and holds no tiles", hint="export into a directory of its own")
    else:
        Directory(parent).make(name)
    return Directory(os.path.abspath(path))


def _known(directory: Directory, tree: CommitTree, checkpoint: Checkpoint) -> int:
    """How many commits the tiles cover that lie there."""
    data = directory.find(CHECKPOINT, MAX_NOTE_BYTES)
    if data is None:
        return 0
    there = parse_checkpoint(parse_note(data).text)
    if there.origin != checkpoint.origin:
        raise Invalid(f"'{directory.path}' holds the tiles of another log, '{there.origin}'")
    if there.size > checkpoint.size:
        raise Invalid(f"'{directory.path}' holds the tiles of {there.size} commits, more than {checkpoint.size}")
    if there.size and tree.root_at(there.size) != there.root:
        raise Corrupt(
            f"'{directory.path}' holds the tiles of another history", hint="keep it: it shows a fork",
            details={"reason": "forked"},
        )  # fmt: skip
    return there.size


def _content(tree: CommitTree, tile: Tile) -> bytes:
    first = tile.number * WIDTH
    if tile.level is not None:
        return b"".join(tree.hashes(HEIGHT * tile.level, first, tile.width))
    lines = tree.lines(first, first + tile.width)
    if [merkle.leaf_hash(line) for line in lines] != tree.ids(first, first + tile.width):
        raise NotFound("commits of the log could not be read")
    return encode_bundle(lines)
