"""Reading the blocks of a run into a part."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from dbx.errors import Corrupt
from dbx.formats import segment
from dbx.repo.check.blocks import BlockReader, Columns, Fault, find_damaged_bodies, read_slowly
from dbx.repo.check.frames import BLOCK, LOST
from dbx.repo.check.named import NamedPart
from dbx.repo.check.part import NotCanonical, Part
from dbx.repo.check.sealed import open_bodies

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dbx.repo.check.frames import Source
    from dbx.repo.check.part import Job, Place


def check_blocks(
    jobs: Sequence[Job], sources: Sequence[Source], progress: Callable[[int], None], *, are_many: bool = False
) -> Part:
    """Read every block of a run, of which there may be many. `progress` is told of events, and with a negative number
    when it begins again."""
    told = 0

    def count(events: int) -> None:
        nonlocal told
        told += events
        progress(events)

    part = new_part(sources, are_many=are_many)
    try:
        add_blocks(part, BlockReader(), jobs, sources, count)
        part.fold()
    except NotCanonical:
        progress(-told)
        part = Part()
        add_blocks(part, None, jobs, sources, progress)
        part.fold()
    return part


def new_part(sources: Sequence[Source], *, are_many: bool) -> Part:
    """An empty part for few blocks, or for many, whose bodies are better read twice."""
    return NamedPart(lambda place: read_bodies(place, sources)) if are_many else Part()


def add_blocks(
    part: Part,
    reader: BlockReader | None,
    jobs: Sequence[Job],
    sources: Sequence[Source],
    progress: Callable[[int], None],
) -> None:
    """Read blocks into a part, event by event where there is no reader. Raises NotCanonical, as `Part.fold` may."""
    for number, kind, envelopes_at, bodies_at in jobs:
        source = sources[number]
        if kind == LOST:
            _add_lost(part, source, bodies_at)
            continue
        try:
            envelopes = source.frame(envelopes_at)[0]
        except Corrupt as error:
            _add_lost(part, source, bodies_at, [Fault(-1, "frame", error.message, {})])
            continue
        columns, sealed = _read(reader, source, envelopes, envelopes_at, bodies_at)
        position = source.place[1] if source.place[0] == envelopes_at else None
        part.add(columns, sealed, (number, envelopes_at, bodies_at, position, source.domain))
        progress(len(columns.names))


def read_bodies(place: Place, sources: Sequence[Source]) -> bytes:
    """The bodies of a block that was read before, in one piece. Raises NotCanonical where they cannot be read now."""
    number, envelopes_at, bodies_at, position, domain = place
    source = sources[number]
    if position is not None:
        source.place, source.domain = (envelopes_at, position), domain  # so that it need not be looked for
    try:
        bodies, flags, _ = source.frame(bodies_at)
        opened = open_bodies(source, bodies, envelopes_at, bodies_at) if flags & segment.SEALED else bodies
    except Corrupt:
        opened = None
    if opened is None:
        raise NotCanonical
    return opened


def _read(
    reader: BlockReader | None, source: Source, envelopes: bytes, envelopes_at: int, bodies_at: int
) -> tuple[Columns, int]:
    """(the block's events, how many of their bodies are sealed)."""
    if bodies_at < 0:
        columns = read_slowly(envelopes, None)
        return columns._replace(faults=[*columns.faults, *_salvage(source, envelopes, envelopes_at)]), 0
    try:
        bodies, flags, _ = source.frame(bodies_at)
    except Corrupt as error:
        columns = read_slowly(envelopes, None)
        return columns._replace(faults=[Fault(-1, "frame", error.message, {}), *columns.faults]), 0
    if flags & segment.SEALED:
        try:
            opened = open_bodies(source, bodies, envelopes_at, bodies_at)
        except Corrupt as error:
            columns = read_slowly(envelopes, None)
            sentence = f"the frame at byte {bodies_at} is damaged: {error.message}"
            return columns._replace(faults=[Fault(-1, "frame", sentence, {}), *columns.faults]), 0
        if opened is None:
            columns = read_slowly(envelopes, None)
            return columns, len(columns.names)
        bodies = opened
    columns_or_none = None if reader is None else reader.read(envelopes, bodies)
    return columns_or_none or read_slowly(envelopes, bodies), 0


def _add_lost(part: Part, source: Source, bodies_at: int, faults: Sequence[Fault] = ()) -> None:
    """A block without envelopes: its bodies still tell how many events it held."""
    events, sealed = -1, 0
    if bodies_at >= 0:
        try:
            bodies, flags, _ = source.frame(bodies_at)
        except Corrupt as error:
            faults = [*faults, Fault(-1, "frame", error.message, {})]
        else:
            events = -1 if flags & segment.SEALED else bodies.count(b"\n")
    part.add_lost(events, sealed, list(faults))


def _salvage(source: Source, envelopes: bytes, envelopes_at: int) -> list[Fault]:
    """Which events' bodies a damaged B frame has lost, where its bytes still show it."""
    end = source.frame(envelopes_at)[2]
    header = segment.parse_header(source.get(end, segment.HEADER_BYTES), 0)
    if header is None or header.kind != segment.B or header.flags & segment.SEALED:
        return []
    stored = source.get(end + segment.HEADER_BYTES, header.stored)
    if header.flags & segment.ZLIB:
        stream = zlib.decompressobj()
        try:
            stored = stream.decompress(stored, header.raw)
        except zlib.error:
            return []
    return find_damaged_bodies(envelopes, stored)


assert BLOCK != LOST  # noqa: S101 - jobs tell them apart
