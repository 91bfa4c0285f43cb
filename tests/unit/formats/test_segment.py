"""Frames: the layout of format.md §6 written out by hand, bounded inflation, and telling torn from damaged."""

import mmap
import os
import random
import struct
import tempfile
import time
import tracemalloc
import zlib

import pytest

from dbx.errors import Corrupt, Invalid
from dbx.formats.segment import (
    HEADER_BYTES,
    MAGIC,
    MAX_RAW_BYTES,
    MAX_STORED_BYTES,
    SEALED,
    ZLIB,
    B,
    C,
    E,
    H,
    SegmentHeader,
    decode_frame,
    decode_header,
    encode_frame,
    encode_header_frame,
    encode_plain_frames,
    find_commit_frame,
    parse_header,
    split_lines,
)

UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
COMMIT = b'{"v":1}\n'


def _frame(
    kind: bytes, flags: int, zero: int, stored: bytes, raw: int, offset: int, *, length: int | None = None
) -> bytes:
    """A frame spelled from the table of §6, without the code under test."""
    head = kind + bytes([flags]) + struct.pack(">H", zero)
    head += struct.pack(">I", len(stored) if length is None else length) + struct.pack(">I", raw)
    return head + struct.pack(">I", zlib.crc32(struct.pack(">Q", offset) + head + stored)) + stored


def test_plain_frame_has_the_layout_of_the_format_page() -> None:
    frame = encode_frame(E, b"line\n", 1234, compress=False)
    assert frame == _frame(b"E", 0, 0, b"line\n", 5, 1234)
    header, raw, end = decode_frame(b"???" + frame + b"!", 3, 1234)
    assert (header.kind, header.flags, header.stored, header.raw, raw, end) == (E, 0, 5, 5, b"line\n", 3 + len(frame))
    assert parse_header(frame, 0) == header


def test_compressed_frame_is_one_zlib_stream() -> None:
    raw = b"the same again\n" * 1000
    frame = encode_frame(B, raw, 8, compress=True)
    assert len(frame) < 500
    assert frame[1] == ZLIB
    assert zlib.decompress(frame[HEADER_BYTES:]) == raw
    assert decode_frame(frame, 0, 8)[1] == raw


def test_compression_that_does_not_help_is_left_out() -> None:
    raw = random.Random(1).randbytes(300)
    assert encode_frame(B, raw, 8, compress=True) == encode_frame(B, raw, 8, compress=False)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_can_be_read(kind: type) -> None:
    data = MAGIC + encode_frame(C, COMMIT, 8, compress=False)
    assert decode_frame(kind(data), 8, 8)[1] == COMMIT
    assert find_commit_frame(kind(data), 0) == 8
    assert find_commit_frame(kind(data), 9) is None


def test_a_mapped_file_can_be_read_and_closed() -> None:
    data = MAGIC + encode_frame(C, COMMIT, 8, compress=False) + b"C\0\0\0 torn"
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        with mmap.mmap(file.fileno(), len(data), access=mmap.ACCESS_READ) as view:
            header, raw, end = decode_frame(view, 8, 8)
            assert (header.kind, raw) == (C, COMMIT)
            assert find_commit_frame(view, 0) == 8
            with pytest.raises(Corrupt) as caught:
                decode_frame(view, end, end)
        assert view.closed
        assert caught.value.status == 7


def test_a_frame_that_was_moved_is_damaged() -> None:
    with pytest.raises(Corrupt, match="checksum"):
        decode_frame(encode_frame(E, b"x\n", 8, compress=False), 0, 9)


@pytest.mark.parametrize("size", [0, MAX_RAW_BYTES + 1])
def test_a_frame_holds_one_byte_to_four_mebibytes(size: int) -> None:
    with pytest.raises(Invalid):
        encode_frame(E, bytes(size), 8, compress=True)
    assert parse_header(_frame(b"E", 1, 0, b"x", size, 0), 0) is None
    with pytest.raises(Corrupt, match="lengths"):
        decode_frame(_frame(b"E", 1, 0, b"x", size, 0), 0, 0)


def test_the_largest_frame_passes() -> None:
    raw = bytes(MAX_RAW_BYTES)
    for compress in (False, True):
        assert decode_frame(encode_frame(E, raw, 8, compress=compress), 0, 8)[1] == raw


def test_a_stored_length_beyond_the_bound_is_refused_before_it_is_believed() -> None:
    frame = _frame(b"B", SEALED, 0, b"x", 1, 0, length=MAX_STORED_BYTES + 1)
    with pytest.raises(Corrupt, match="lengths"):
        decode_frame(frame, 0, 0)
    with pytest.raises(Corrupt, match="cut short"):
        decode_frame(_frame(b"B", SEALED, 0, b"x", 1, 0, length=MAX_STORED_BYTES), 0, 0)


@pytest.mark.parametrize(
    ("stored", "raw"),
    [
        (zlib.compress(b"abc") + b"x", 3),
        (zlib.compress(b"abc") + zlib.compress(b""), 3),
        (zlib.compress(b"abc")[:-1], 3),
        (zlib.compress(b"abc")[:-4], 3),
        (zlib.compress(b"abc"), 2),
        (zlib.compress(b"abc"), 4),
        (zlib.compress(bytes(100_000)), 1000),
        (zlib.compress(b"abc")[2:-4], 3),
        (b"\x1f\x8b" + zlib.compress(b"abc"), 3),
        (b"x", 3),
    ],
)
def test_a_stream_is_whole_and_alone_and_as_long_as_the_header_says(stored: bytes, raw: int) -> None:
    with pytest.raises(Corrupt, match="inflate"):
        decode_frame(_frame(b"E", ZLIB, 0, stored, raw, 0), 0, 0)


def test_a_bomb_is_not_inflated() -> None:
    frame = _frame(b"E", ZLIB, 0, zlib.compress(bytes(64 << 20), 9), 1000, 0)
    tracemalloc.start()
    try:
        with pytest.raises(Corrupt, match="inflate"):
            decode_frame(frame, 0, 0)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_plain_lengths_must_agree() -> None:
    with pytest.raises(Corrupt, match="differ"):
        decode_frame(_frame(b"E", 0, 0, b"abc", 4, 0), 0, 0)


@pytest.mark.parametrize("flags", [SEALED, SEALED | ZLIB])
def test_a_sealed_block_comes_back_as_it_is_stored(flags: int) -> None:
    stored = random.Random(2).randbytes(90)
    header, data, _ = decode_frame(_frame(b"B", flags, 0, stored, 54, 7), 0, 7)
    assert (data, header.flags, header.raw) == (stored, flags, 54)


@pytest.mark.parametrize(
    ("kind", "flags", "zero"),
    [
        *[(b"X", 0, 0), (b"e", 0, 0), (b"\0", 0, 0), (b"E", 4, 0), (b"B", 4, 0)],
        *[(b"E", SEALED, 0), (b"C", SEALED, 0), (b"H", SEALED | ZLIB, 0), (b"C", 128, 0), (b"E", 0, 1)],
    ],
)
def test_a_whole_frame_of_unknown_kind_is_newer_not_torn(kind: bytes, flags: int, zero: int) -> None:
    frame = _frame(kind, flags, zero, b"x\n", 2, 0)
    assert parse_header(frame, 0) is None
    with pytest.raises(Corrupt, match="newer dbx") as caught:
        decode_frame(frame, 0, 0)
    assert caught.value.details == {"newer": True}
    with pytest.raises(Corrupt) as caught:
        decode_frame(frame[:-1] + b"?", 0, 0)
    assert not caught.value.details


@pytest.mark.parametrize("size", range(HEADER_BYTES + 2))
def test_a_cut_frame_is_cut_short(size: int) -> None:
    frame = encode_frame(E, b"x\n", 0, compress=False)
    with pytest.raises(Corrupt, match="cut short"):
        decode_frame(frame[:size], 0, 0)
    assert (parse_header(frame[:size], 0) is None) == (size < HEADER_BYTES)


def test_zeros_are_no_frame() -> None:
    assert parse_header(bytes(64), 0) is None
    assert find_commit_frame(bytes(64), 0) is None
    with pytest.raises(Corrupt):
        decode_frame(bytes(64), 0, 0)


def test_lines_end_with_newlines() -> None:
    assert split_lines(b"a\n\nb\r\n") == [b"a", b"", b"b\r"]
    with pytest.raises(Corrupt):
        split_lines(b"a\nb")


@pytest.mark.parametrize(("parent", "position", "seq"), [(None, 0, 0), ("0c" * 32, 1040, 512)])
def test_header_frame_comes_back(parent: str | None, position: int, seq: int) -> None:
    frame = encode_header_frame(UUID, parent, position, seq)
    header, raw, end = decode_frame(MAGIC + frame, len(MAGIC), len(MAGIC))
    assert (header.kind, header.flags, end) == (H, 0, len(MAGIC + frame))
    assert decode_header(raw) == SegmentHeader(UUID, 1, parent, position, seq)


GOOD_HEADER = '{"domain":"' + UUID + '","format":1,"parent":"' + "0c" * 32 + '","position":1040,"seq":512}'


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (UUID, UUID.upper()),
        (f'"{UUID}"', "null"),
        ('"format":1', '"format":1.0'),
        ('"format":1', '"format":true'),
        ('"' + "0c" * 32 + '"', "null"),
        ('"' + "0c" * 32 + '"', "7"),
        ("0c" * 32, "0C" * 32),
        ("0c", "0c0c"),
        ("1040", "-1"),
        ("1040", "1"),
        ("1040", "1040.0"),
        ("1040", "9007199254740992"),
        ("512", "0"),
        ("512", '"512"'),
        ('"seq":512', '"seq":512,"seq":512'),
        (',"seq":512', ""),
        ("{", " {"),
        ("}", "}\n"),
        ("{", "["),
    ],
)
def test_any_other_header_is_refused(old: str, new: str) -> None:
    assert decode_header(GOOD_HEADER.encode()).seq == 512
    with pytest.raises(Corrupt):
        decode_header(GOOD_HEADER.replace(old, new).encode())


@pytest.mark.parametrize("raw", [b"", b"\xff", b"7", b"[]", b"[" * 100_000, GOOD_HEADER.encode("utf-16")])
def test_what_is_no_header_is_refused(raw: bytes) -> None:
    with pytest.raises(Corrupt):
        decode_header(raw)


@pytest.mark.parametrize("change", [('"format":1', '"format":2'), ('"seq":512', '"seq":512,"tier":1')])
def test_newer_header_is_told_as_such(change: tuple[str, str]) -> None:
    with pytest.raises(Corrupt, match="newer dbx"):
        decode_header(GOOD_HEADER.replace(*change).encode())


@pytest.mark.parametrize("compress", [False, True])
def test_the_first_whole_commit_frame_is_found(compress: bool) -> None:
    commits = COMMIT * 50
    noise = b"C\0\0\0" * 10 + b"C\1\0\0" * 10 + b"C\0\0\0\0\0\0\1\0\0\0\1CRC?x"
    data = MAGIC + noise
    first = len(data)
    data += encode_frame(C, commits, first, compress=compress) + noise
    second = len(data)
    data += encode_frame(C, commits, second, compress=not compress)
    assert find_commit_frame(data, 0) == first
    assert find_commit_frame(data, first) == first
    assert find_commit_frame(data, first + 1) == second
    assert find_commit_frame(data, second + 1) is None
    assert find_commit_frame(data[:-1], first + 1) is None
    assert find_commit_frame(b"?" + data, 0) is None


def test_the_search_is_quick() -> None:
    """8 MiB of noise, and of the pattern itself, each in far less time than a person notices, and no checksum."""
    for data in (os.urandom(8 << 20), b"C\0\0\0" * (2 << 20)):
        before = time.perf_counter()
        assert find_commit_frame(data, 0) is None
        assert time.perf_counter() - before < 10


def test_three_plain_frames_at_once_are_the_three_one_by_one() -> None:
    for offset in (0, 24, 2**33):
        two, last = encode_plain_frames(b"e" * 500, b"body", b"commit", offset)
        first = encode_frame(E, b"e" * 500 + b"\n", offset, compress=False)
        second = encode_frame(B, b"body\n", offset + len(first), compress=False)
        assert two == first + second
        assert last == encode_frame(C, b"commit\n", offset + len(two), compress=False)
