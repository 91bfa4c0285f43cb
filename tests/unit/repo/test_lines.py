"""The reader of JSON Lines: numbers, faults, and bounded memory whatever comes."""

from __future__ import annotations

import gzip
import io
import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbx.errors import Invalid
from dbx.repo.lines import CHUNK, MAX_LINE_BYTES, read_lines


def collect(data: bytes, step: int | None = None) -> list[tuple[int, str]]:
    """Every line; a fault as its message."""
    stream = io.BytesIO(data)
    read = stream.read if step is None else lambda n: stream.read(min(n, step))
    return [(n, line.message if isinstance(line, Invalid) else str(line)) for n, line in read_lines(read)]


def test_lines_are_numbered_from_one_and_blank_ones_count_only() -> None:
    assert collect(b'{"a":1}\n\n  \t\r\n{"b":2}\r\n7') == [(1, '{"a":1}'), (4, '{"b":2}\r'), (5, "7")]


@pytest.mark.parametrize("data", [b"", b"\n", b"\n\n \n"])
def test_nothing_gives_nothing(data: bytes) -> None:
    assert collect(data) == []


def test_a_line_separator_of_unicode_ends_no_line() -> None:
    text = "\u2028\x0b\x0c\x1c\x85"
    assert collect(f'{{"a":"{text}"}}\n{{}}'.encode()) == [(1, f'{{"a":"{text}"}}'), (2, "{}")]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=12), max_size=12),
    st.integers(1, 9),
)
def test_the_sizes_of_reads_do_not_matter(lines: list[str], step: int) -> None:
    data = "\n".join(lines).encode()
    expected = [(n, line) for n, line in enumerate(lines, 1) if line.strip(" \t\r")]
    assert collect(data, step) == expected
    assert collect(gzip.compress(data), step) == expected


def test_what_is_not_utf8_is_a_fault_of_its_line_alone() -> None:
    assert collect(b"{}\n{\xff}\n{}\n\xc3") == [
        (1, "{}"),
        (2, "the line is not UTF-8: bad byte at offset 1"),
        (3, "{}"),
        (4, "the line is not UTF-8: bad byte at offset 0"),
    ]


def test_utf16_is_named() -> None:
    ((_, fault),) = list(read_lines(io.BytesIO("{}".encode("utf-16")).read))
    assert isinstance(fault, Invalid)
    assert fault.hint == "it looks like UTF-16; send UTF-8"


@pytest.mark.parametrize("length", [MAX_LINE_BYTES + 1, MAX_LINE_BYTES + CHUNK, 2 * MAX_LINE_BYTES])
@pytest.mark.parametrize("end", [b"", b"\n", b"\n{}\n{}", b"\n\n{}\n{}\n"])
def test_a_line_that_is_too_long_is_passed_over(length: int, end: bytes) -> None:
    found = collect(b"{}\n" + b"x" * length + end)
    after = [(n, line.decode()) for n, line in enumerate(end.split(b"\n")[1:], 3) if line]
    assert found == [(1, "{}"), (2, f"the line has more than {MAX_LINE_BYTES} bytes"), *after]


def test_a_line_of_the_greatest_length_passes() -> None:
    data = b"x" * MAX_LINE_BYTES
    assert collect(data + b"\n{}") == [(1, data.decode()), (2, "{}")]


def _endless(total: int) -> Callable[[int], bytes]:
    left = iter(range(0, total, CHUNK))
    return lambda n: b"x" * n if next(left, None) is not None else b""


def test_a_line_of_a_gigabyte_takes_little_memory() -> None:
    tracemalloc.start()
    try:
        ((number, fault),) = list(read_lines(_endless(1 << 30)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (number, type(fault)) == (1, Invalid)
    assert peak < 24 * CHUNK


def test_gzip_of_several_members_and_padding() -> None:
    data = gzip.compress(b'{"a":1}\n') + gzip.compress(b'{"b":2}\n') + b"\0" * 20
    assert collect(data) == [(1, '{"a":1}'), (2, '{"b":2}')]


def test_gzip_that_ends_too_early() -> None:
    whole = gzip.compress(b'{"a":1}\n{"b":2}\n')
    assert collect(whole[:-5])[-1][1] == "the gzip data end too early"
    assert collect(whole[:2]) == [(1, "the gzip data end too early")]


def test_gzip_that_is_damaged_or_followed_by_something() -> None:
    whole = bytearray(gzip.compress(b'{"a":1}\n'))
    whole[-6] ^= 1  # the checksum
    assert collect(bytes(whole))[-1][1] == "the gzip data are damaged"
    assert collect(gzip.compress(b"{}\n") + b"more")[-1] == (2, "the gzip data are damaged")


def _bomb() -> Iterator[bytes]:
    deflate = zlib.compressobj(9, zlib.DEFLATED, 31)
    for _ in range(200):
        yield deflate.compress(b" " * CHUNK)
    yield deflate.flush()


def test_a_gzip_bomb_is_refused_early() -> None:
    stream = io.BytesIO(b"".join(_bomb()))
    tracemalloc.start()
    try:
        found = [fault.message for _, fault in read_lines(stream.read) if isinstance(fault, Invalid)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == ["the gzip data grow more than 500-fold"]
    assert peak < 24 * CHUNK


def test_progress_counts_the_bytes_read() -> None:
    seen: list[int] = []
    data = gzip.compress(b"{}\n" * 100)
    assert len(list(read_lines(io.BytesIO(data).read, progress=seen.append))) == 100
    assert sum(seen) == len(data)
