"""Frames that fill a given room: what they hold is as if they did not."""

from __future__ import annotations

import pytest

from dbx.formats import segment

RAW = b'{"actor":null,"batch":null}\n' * 14


@pytest.mark.parametrize("raw", [b"\n", RAW, bytes(range(256)) * 255, b"x" * 65_535])
def test_a_padded_frame_has_its_size_and_its_content(raw: bytes) -> None:
    plain = len(segment.encode_frame(segment.C, raw, 4000, compress=False))
    made = 0
    for extra in [*range(300), 1000, 4095]:
        frame = segment.encode_padded_frame(segment.C, raw, 4000, plain + extra)
        if frame is None:
            continue
        made += 1
        assert len(frame) == plain + extra
        header, found, end = segment.decode_frame(frame, 0, 4000)
        assert (header.kind, header.flags, found, end) == (segment.C, segment.ZLIB, raw, len(frame))
        assert segment.find_commit_frame(bytes(4000) + frame, 4000) == 4000
    assert made > 280


def test_every_room_of_some_size_can_be_filled() -> None:
    for extra in range(26, 2100):
        assert segment.encode_padded_frame(segment.C, RAW, 0, segment.HEADER_BYTES + len(RAW) + extra) is not None


@pytest.mark.parametrize("raw", [b"", b"x" * 65_536])
def test_what_cannot_be_padded(raw: bytes) -> None:
    assert segment.encode_padded_frame(segment.C, raw, 0, 70_000) is None


def test_a_room_that_is_too_small() -> None:
    for size in range(segment.HEADER_BYTES + len(RAW) + 11):
        assert segment.encode_padded_frame(segment.C, RAW, 0, size) is None
