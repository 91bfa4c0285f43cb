"""A journal is read while it grows into the zeros that were written ahead."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dbx.errors import Corrupt
from dbx.formats import segment
from dbx.store.segments import FrameReader


def test_a_reader_sees_what_was_written_after_it_looked(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(bytes(10_000))
    fd = os.open(path, os.O_RDWR)
    try:
        reader = FrameReader(fd, "journal")
        at = 0
        for n in range(50):
            with pytest.raises(Corrupt, match="'journal' is damaged at byte"):
                reader.commits(at)
            frame = segment.encode_frame(segment.C, b"line %d\n" % n, at, compress=False)
            os.pwrite(fd, frame, at)
            found = reader.commits(at)
            assert (found.lines, found.end) == ([b"line %d" % n], at + len(frame))
            at = found.end
    finally:
        os.close(fd)
