"""Appends to a journal with zeros ahead: they seldom straddle a page, and what they wrote is read back."""

from __future__ import annotations

from pathlib import Path

import pytest

import dbx
from dbx.formats import segment
from dbx.store.fs import PAGE, Directory
from dbx.store.journal import Journal, scan
from dbx.store.segments import Block, FrameReader

COUNT = 400


@pytest.mark.parametrize("text", [0, 10, 200, 700])
def test_appends_of_one_size_do_not_straddle_pages(tmp_path: Path, text: int) -> None:
    with dbx.init(tmp_path) as repository:
        domain = repository.domain()
        for n in range(COUNT):
            domain.append("order", f"o-{n % 9}", "placed", {"n": n, "text": "x" * text})
        directory = domain._inner.directory
        name = domain._inner._working.head.journal  # type: ignore[union-attr]
        fd = directory.open_read(name)
        reader = FrameReader(fd, name)
        items = scan(reader, reader.header()[1]).items
        blocks = [item for item in items if isinstance(item, Block)]
        straddling = sum(block.offset // PAGE != block.end // PAGE for block in blocks[20:])
        assert len(blocks) == COUNT
        assert straddling <= COUNT // 50
        size = items[-1].end
        assert size < 1.25 * COUNT * (blocks[2].offset - blocks[1].offset)
    with dbx.open(tmp_path) as repository:
        events = list(repository.domain().events())
        assert [event.payload["n"] for event in events if event.payload] == list(range(COUNT))


def test_a_gap_is_only_filled_where_it_is_small_and_zeros_lie_ahead(tmp_path: Path) -> None:
    header = segment.encode_header_frame("01234567-89ab-4def-8123-456789abcdef", None, 0, 0)
    journal = Journal.create(Directory(str(tmp_path)), "journal-0-" + "0" * 16, header)
    try:
        assert journal.gap(PAGE - 100, 200) == 0
        journal.size = 2 * PAGE
        assert journal.gap(PAGE - 100, 200) == 100
        assert journal.gap(PAGE - 100, 99) == 0
        assert journal.gap(PAGE - 100, PAGE) == 0
        assert journal.gap(PAGE, 200) == 0
        assert journal.gap(2 * PAGE + 10, 200) == 0
    finally:
        journal.close()
