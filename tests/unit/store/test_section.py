"""Sections of staging.jsonl as they are written: lines where there are few events, blocks where there are many."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dbx.errors import Corrupt
from dbx.formats import staging
from dbx.store.fs import Directory
from dbx.store.section import Section, encode_events, pack_lines
from dbx.store.segments import BLOCK_BYTES, MOST_BYTES
from dbx.store.staging import NAME, read_blocks, read_events, scan_seals, sealed_size

BATCH = "11111111-1111-4111-8111-111111111111"
HEADER = staging.encode_header(BATCH, "01234567-89ab-4def-8123-456789abcdef")


@pytest.fixture
def root(tmp_path: Path) -> Directory:
    return Directory(str(tmp_path))


def events(count: int, size: int = 10) -> tuple[list[bytes], list[bytes]]:
    return [b'{"e":%d}' % n for n in range(count)], [b'{"b":"%b"}' % (b"%d" % n * size) for n in range(count)]


def add(root: Directory, at: int, *parts: tuple[list[bytes], list[bytes]]) -> int:
    section = Section(root, header=b"" if at else HEADER, at=at)
    try:
        for part in parts:
            section.add(*part)
        return section.finish()
    finally:
        section.discard()


def test_many_events_are_blocks_that_a_segment_takes_as_they_are(root: Directory) -> None:
    few, many = events(5), events(9000)
    end = add(root, 0, few, many, few)
    end = add(root, end, many, few)
    expected = [pair for part in (few, many, few, many, few) for pair in zip(*part, strict=True)]
    assert [pair for part in read_events(root, end) for pair in part] == expected
    blocks = list(read_blocks(root, end))
    assert sum(block.events for block in blocks) == len(expected)
    sizes = [max(block.envelopes.raw, block.bodies.raw) for block in blocks if not block.lines]
    assert len(sizes) > 4
    assert BLOCK_BYTES * 0.9 < min(sizes) <= max(sizes) < BLOCK_BYTES * 1.5
    data = Path(root.path_of(NAME)).read_bytes()
    for block in blocks:
        assert len(block.lines) or data[block.offset :].startswith(pack_lines([e for e, _ in block.pairs()]).stored)
        for at, envelope, _ in block.located():
            assert at == block.offset if not block.lines else data[at:].startswith(b'{"envelope":' + envelope)


def test_blocks_of_unlike_events_stay_small(root: Directory) -> None:
    envelopes, bodies = events(200)
    bodies[150:154] = [b'{"b":"%b"}' % (b"x" * 200_000)] * 4
    end = add(root, 0, (envelopes, bodies))
    blocks = list(read_blocks(root, end))
    assert max(block.bodies.raw for block in blocks) <= MOST_BYTES
    assert [pair for block in blocks for pair in block.pairs()] == list(zip(envelopes, bodies, strict=True))


def test_an_interrupted_section_of_blocks_counts_for_nothing_wherever_it_ends(root: Directory) -> None:
    end = add(root, 0, events(80))
    whole = Path(root.path_of(NAME)).read_bytes()
    add(root, end, events(90, 30))
    more = Path(root.path_of(NAME)).read_bytes()
    seals = scan_seals(root)
    for size in range(end, len(more), 37):
        Path(root.path_of(NAME)).write_bytes(more[:size])
        assert sealed_size(root) == end
        # Pages that never came, before others that did.
        Path(root.path_of(NAME)).write_bytes(more[:end] + bytes(size - end) + more[size : size + 2000])
        if size + 2000 < len(more):
            assert sealed_size(root) == end
    Path(root.path_of(NAME)).write_bytes(more)
    assert scan_seals(root) == seals
    assert whole == more[:end]


def test_every_flipped_bit_of_a_section_of_blocks_is_found(root: Directory) -> None:
    end = add(root, 0, events(70, 3))
    whole = Path(root.path_of(NAME)).read_bytes()
    for at in range(len(HEADER), end):
        for bit in (1, 16):
            Path(root.path_of(NAME)).write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
            with pytest.raises(Corrupt, match=f"'{NAME}' is damaged"):
                list(read_events(root, end))
            if at < end - 2:  # else the seal itself is cut short, as an interrupted write leaves it
                try:
                    assert sealed_size(root) != end
                except Corrupt:
                    continue


@pytest.mark.parametrize(
    "block",
    [
        b'{"block":{"bodies":4,"envelopes":8,"events":2}}\n{"e":1}\n{}\n\n',
        b'{"block":{"bodies":7,"envelopes":8,"events":1}}\n{"e":1}\n{}\n{}\n\n',
        b'{"block":{"bodies":3,"envelopes":8,"events":2}}\n{"e":1}\n{}\n',
        b'{"block":{"bodies":9999999,"envelopes":8,"events":1}}\n{"e":1}\n{}\n',
        b'{"block":{"bodies":3,"envelopes":8,"events":0}}\n{"e":1}\n{}\n',
        b'{"block":{"bodies":3,"envelopes":8,"events":1,"raw":[8,4]}}\n{"e":1}\n{}\n\n',
        b'{"block":{"bodies":3,"envelopes":8,"events":1,"raw":[7,3]}}\n{"e":1}\n{}\n\n',
        b'{"block":{"bodies":3,"envelopes":8,"events":1,"raw":[8,2]}}\n{"e":1}\n{}\n\n',
        b'{"block":{"bodies":3,"envelopes":8,"events":1,"raw":[8,9999999]}}\n{"e":1}\n{}\n\n',
        b'{"block":{"bodies":3,"envelopes":8,"events":1,"raw":[8,3]}}\n{"e":1}\n{}\n',
        b'{"block":{"bodies":3,"envelopes":8,"events":1,"sealed":true}}\n{"e":1}\n{}\n',
        b'{"block":{}}\n{"e":1}\n{}\n',
    ],
)
def test_a_sealed_block_that_is_none_is_damage(root: Directory, block: bytes) -> None:
    from hashlib import sha256

    for count in (1, 2, 3, 4):
        seal = staging.encode_seal(count, sha256(block).hexdigest())
        Path(root.path_of(NAME)).write_bytes(HEADER + block + seal)
        with pytest.raises(Corrupt, match=f"'{NAME}' is damaged"):
            list(read_events(root, len(HEADER) + len(block) + len(seal)))


def test_another_process_writes_a_part(root: Directory) -> None:
    section = Section(root, header=HEADER)
    section.add(*events(100))
    fd, at = section.target()
    data = encode_events(*events(300))
    os.pwrite(fd, data, at)
    section.take(len(data), 300)
    section.add(*events(3))
    end = section.finish()
    assert sum(map(len, read_events(root, end))) == 403
