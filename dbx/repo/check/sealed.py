"""Opening sealed bodies while a file is checked: for that, each block's place in the log must be known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.errors import Corrupt, KeyFailure
from dbx.formats import segment
from dbx.formats.commit import decode_commit

if TYPE_CHECKING:
    from dbx.repo.check.frames import Source


def open_bodies(source: Source, stored: bytes, envelopes_at: int, bodies_at: int) -> bytes | None:
    """The bodies of the block whose E and B frames begin at these offsets; None where their key is not here.

    Raises Corrupt where they are not what was sealed for this place.
    """
    vault = source.vault
    header = segment.parse_header(source.get(bodies_at, segment.HEADER_BYTES), 0)
    if vault is None or vault.is_locked or header is None:
        return None
    position = find_position(source, envelopes_at)
    if position is None or source.domain is None:
        return None
    try:
        opened = vault.open_block(stored, source.domain, position)
        return segment.finish_sealed(header.flags, header.raw, opened, bodies_at)
    except KeyFailure:
        return None


def find_position(source: Source, offset: int) -> int | None:
    """The position of the first event of the block at an offset; None where what is before it is damaged.

    What was found is kept: going on from there costs nothing.
    """
    if source.place[0] > offset:
        source.place = 0, None
    at, position = source.place
    while at < offset:
        if at == 0:
            at, position = _begin(source)
            continue
        header = segment.parse_header(source.get(at, segment.HEADER_BYTES), 0)
        if header is None:
            return None
        if header.kind == segment.E:
            position = _count(source, at, position)
        elif header.kind == segment.C and position is None:
            position = _behind(source, at)
        at += segment.HEADER_BYTES + header.stored
    source.place = at, position
    return position


def _begin(source: Source) -> tuple[int, int | None]:
    try:
        raw, _, end = source.frame(len(segment.MAGIC))
        header = segment.decode_header(raw)
    except Corrupt:
        return source.size, None
    source.domain = bytes.fromhex(header.domain.replace("-", ""))
    return end, header.position


def _count(source: Source, at: int, position: int | None) -> int | None:
    """The position behind the envelopes of a frame."""
    try:
        return None if position is None else position + source.frame(at)[0].count(b"\n")
    except Corrupt:
        return None


def _behind(source: Source, at: int) -> int | None:
    """The position behind the commits of a frame: they know where they are."""
    try:
        commit = decode_commit(source.frame(at)[0].split(b"\n")[-2])
    except (Corrupt, IndexError):
        return None
    return commit.position + commit.count
