"""Where the tiles of a log lie, and what is in them (c2sp.org/tlog-tiles).

A tile is up to 256 hashes of one level, of 32 bytes each, one after the other; an entry bundle is up to 256 entries,
each behind its length in two bytes. Full ones never change. The last one of a level may be partial: `.p/<width>`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Corrupt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WIDTH = 256
HEIGHT = 8
MAX_ENTRY_BYTES = 65_535


class Tile(NamedTuple):
    """`level` from 0 (leaves), None for an entry bundle; `number` within the level, from 0; `width` 1 to 256."""

    level: int | None
    number: int
    width: int


def tile_path(tile: Tile) -> str:
    """The path below the log's prefix, such as `tile/0/x001/x234/067.p/8`.

    >>> tile_path(Tile(None, 1234067, 256))
    'tile/entries/x001/x234/067'
    """
    left, last = divmod(tile.number, 1000)
    path = f"{last:03d}"
    while left:
        left, part = divmod(left, 1000)
        path = f"x{part:03d}/{path}"
    level = "entries" if tile.level is None else str(tile.level)
    return f"tile/{level}/{path}" + (f".p/{tile.width}" if tile.width < WIDTH else "")


def tiles_between(before: int, size: int) -> Iterator[Tile]:
    """The tiles and bundles of a log of `size` entries that one of `before` entries did not have, bottom level first.

    With `before` 0 these are all. A partial tile that became full is among them, under its new path.
    """
    for level in (None, *range(64 // HEIGHT)):
        shift = HEIGHT * (level or 0)
        hashes, known = size >> shift, before >> shift
        if not hashes:
            return
        if hashes == known:
            continue
        for number in range(known // WIDTH, -(-hashes // WIDTH)):
            yield Tile(level, number, min(WIDTH, hashes - number * WIDTH))


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """An entry bundle. Raises ValueError for an entry of more than 65,535 bytes."""
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise ValueError("a log entry has at most 65,535 bytes")
        parts += len(entry).to_bytes(2, "big"), entry
    return b"".join(parts)


def decode_bundle(data: bytes) -> list[bytes]:
    """The entries of a bundle. Raises Corrupt."""
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        start = at + 2
        at = start + int.from_bytes(data[at:start], "big")
        if at > len(data) or start > len(data) or len(entries) == WIDTH:
            raise Corrupt("the entry bundle is not a run of at most 256 entries behind their lengths")
        entries.append(data[start:at])
    return entries
