"""Segment files: written block by block, read frame by frame, every fault with its file and byte."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from dbx.errors import Corrupt, Invalid
from dbx.formats import segment
from dbx.store import segments
from dbx.store.fs import Directory
from dbx.store.segments import BLOCK_BYTES, Block, Commits, FrameReader, SegmentWriter, segment_name
from tests.reader import frames as independent_frames

DOMAIN = "01234567-89ab-4def-8123-456789abcdef"


def write(directory: Path, sizes: list[int], *, each: int = 10_000, threads: bool = False) -> Path:
    """A segment of events with bodies of these sizes, a commit after every `each` of them."""
    pool = ThreadPoolExecutor(1) if threads else None
    with Directory(str(directory)).temporary("segments") as temporary:
        writer = SegmentWriter(temporary, domain=DOMAIN, parent=None, position=0, seq=0, pool=pool, vault=None)
        for first in range(0, len(sizes), each):
            part = range(first, min(first + each, len(sizes)))
            writer.add([b"envelope %d" % n for n in part], [b"%d:" % n + b"y" * sizes[n] for n in part])
            writer.add_commits([b"commit up to %d" % part[-1]])
        assert writer.position == len(sizes)
        sha, size = writer.finish()
    if pool:
        pool.shutdown()
    path = directory / segment_name(sha)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sha
    assert path.stat().st_size == size
    assert os.listdir(directory / "segments") == [f"{sha}.seg"]
    return path


def test_no_segment_grows_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("most", "same", "less"):
        (tmp_path / name).mkdir()
    size = write(tmp_path / "most", [100] * 50).stat().st_size
    monkeypatch.setattr(segments, "MAX_BYTES", size)
    write(tmp_path / "same", [100] * 50)
    monkeypatch.setattr(segments, "MAX_BYTES", size - 1)
    with pytest.raises(Invalid, match="does not fit into one"):
        write(tmp_path / "less", [100] * 50)
    assert os.listdir(tmp_path / "less/segments") == []


@contextmanager
def reading(path: Path) -> Iterator[FrameReader]:
    fd = os.open(path, os.O_RDONLY)
    try:
        yield FrameReader(fd, path.name)
    finally:
        os.close(fd)


def items(path: Path) -> list[Block | Commits]:
    with reading(path) as reader:
        header, at = reader.header()
        assert (header.domain, header.position, header.seq, header.parent) == (DOMAIN, 0, 0, None)
        return list(reader.items(at))


@pytest.mark.parametrize(
    "sizes",
    [[10], [0, 1, 2], [100] * 3000, [70_000] * 5, [10, 250_000, 10, 250_000, 250_000, 5], [2_000_000, 2_000_000, 3]],
)
@pytest.mark.parametrize("threads", [False, True])
def test_what_is_written_is_read(tmp_path: Path, sizes: list[int], threads: bool) -> None:
    path = write(tmp_path, sizes, each=7, threads=threads)
    found = items(path)
    blocks = [item for item in found if isinstance(item, Block)]
    assert [line for block in blocks for line in block.envelopes] == [b"envelope %d" % n for n in range(len(sizes))]
    bodies = [line for block in blocks for line in block.bodies or ()]
    assert [len(body) - len(b"%d:" % n) for n, body in enumerate(bodies)] == sizes
    independent, end, torn = independent_frames(path.read_bytes(), path.name)
    assert (len(independent), end, torn) == (1 + 2 * len(blocks) + len(found) - len(blocks), path.stat().st_size, False)
    with reading(path) as reader:
        for item in found:
            again = reader.block(item.offset) if isinstance(item, Block) else reader.commits(item.offset)
            assert again == item == reader.item(item.offset)


def test_blocks_have_a_good_size(tmp_path: Path) -> None:
    path = write(tmp_path, [300] * 4000)
    blocks = [item for item in items(path) if isinstance(item, Block)]
    raw = [sum(len(body) + 1 for body in block.bodies or ()) for block in blocks]
    assert all(BLOCK_BYTES <= size < 4 * BLOCK_BYTES for size in raw[:-1])


def test_locators_tell_where_blocks_and_commits_lie(tmp_path: Path) -> None:
    with Directory(str(tmp_path)).temporary("segments") as temporary:
        writer = SegmentWriter(temporary, domain=DOMAIN, parent="ab" * 32, position=40, seq=7, pool=None, vault=None)
        for _ in range(3):
            writer.add([b"e"] * 100, [b"b" * 2000] * 100)
            writer.add_commits([b"c1", b"c2"])
        sha, _ = writer.finish()
    with reading(tmp_path / segment_name(sha)) as reader:
        header, at = reader.header()
        assert (header.position, header.seq, header.parent) == (40, 7, "ab" * 32)
        position, seq = 40, 7
        expected: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
        for item in reader.items(at):
            if isinstance(item, Block):
                expected[0].append((position, item.offset))
                position += len(item.envelopes)
            else:
                expected[1].append((seq, item.offset))
                seq += len(item.lines)
    assert (writer.blocks, writer.frames) == expected


def test_every_flipped_bit_is_found_and_named(tmp_path: Path) -> None:
    path = write(tmp_path, [50] * 40, each=10)
    whole = path.read_bytes()
    for at in range(0, len(whole), 3):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        with pytest.raises(Corrupt, match=f"'{path.name}' is damaged at byte") as caught:
            items(path)
        assert caught.value.details["file"] == path.name
        assert caught.value.details["offset"] <= at


def test_every_cut_is_found(tmp_path: Path) -> None:
    path = write(tmp_path, [50] * 6, each=2)
    whole = path.read_bytes()
    ends = {item.end for item in items(path) if isinstance(item, Commits)}
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        if size in ends:  # the manifest tells these
            assert isinstance(items(path)[-1], Commits)
            continue
        with pytest.raises(Corrupt):
            items(path)


def test_frames_in_a_wrong_place_are_refused(tmp_path: Path) -> None:
    def made(*kinds: bytes) -> Path:
        data = segment.MAGIC + segment.encode_header_frame(DOMAIN, None, 0, 0)
        for kind in kinds:
            raw = segment.encode_header_frame(DOMAIN, None, 0, 0)[16:] if kind == b"H" else b"x\n" * (len(kind))
            data += segment.encode_frame(kind[:1], raw, len(data), compress=False)
        (tmp_path / "s").write_bytes(data)
        return tmp_path / "s"

    assert len(items(made(b"E", b"B", b"C"))) == 2
    for kinds in ((b"E", b"C"), (b"B", b"E", b"C"), (b"E", b"B", b"B", b"C"), (b"E", b"B"), (), (b"H", b"C")):
        with pytest.raises(Corrupt, match="'s' is damaged at byte"):
            items(made(*kinds))
    with pytest.raises(Corrupt, match="1 envelopes have 2 bodies"):
        items(made(b"E", b"BB", b"C"))
    with reading(made(b"E", b"B", b"C")) as reader:
        found = list(reader.items(reader.header()[1]))
        with pytest.raises(Corrupt, match="a frame of commits was expected"):
            reader.commits(found[0].offset)
        with pytest.raises(Corrupt, match="a frame of envelopes was expected"):
            reader.block(found[1].offset)


@pytest.mark.parametrize("data", [b"", b"DBXSEG", b"DBXSEG2\n", b"DBXSEG1\n", b"DBXSEG1\n" + b"H" * 100])
def test_what_is_no_segment(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "s").write_bytes(data)
    with reading(tmp_path / "s") as reader, pytest.raises(Corrupt, match="'s' is damaged at byte"):
        reader.header()


def test_zeros(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(bytes(5) + b"x" + bytes(600_000))
    with reading(tmp_path / "s") as reader:
        assert [reader.zeros_from(at) for at in (0, 5, 6, 600_006, 700_000)] == [False, False, True, True, True]
