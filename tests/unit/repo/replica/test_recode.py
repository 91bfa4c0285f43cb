"""A segment that is recoded holds the same events, whatever is done to its bodies, and nothing odd is let through."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dbx.crypto.vault import Vault
from dbx.errors import Corrupt, KeyFailure
from dbx.repo.replica.recode import PLAIN, Recoding, body_keys, measure, recode, recode_file
from dbx.store.fs import Directory
from dbx.store.segments import Block, FrameReader, SegmentWriter

DOMAIN = "01234567-89ab-4def-8123-456789abcdef"
MINE, THEIRS = b"m" * 8, b"t" * 8


def vault_of(key_id: bytes) -> Vault:
    vault = Vault()
    vault.put({key_id: key_id * 4}, key_id, is_sealed=True)
    return vault


def write(path: Path, vault: Vault | None) -> int:
    """A segment of three blocks and two C frames, open for reading."""
    directory = Directory(str(path))
    with directory.temporary("") as temporary:
        writer = SegmentWriter(temporary, domain=DOMAIN, parent=None, position=0, seq=0, pool=None, vault=vault)
        for n in range(2):
            writer.add([b'{"envelope":%d}' % n] * 3, [b'{"payload":"%s"}' % (b"x" * 40_000), b"", b"short"])
            writer.add_commits([b'{"commit":%d}' % n])
        writer.finish()
    (segment,) = path.glob("*.seg")
    return os.open(segment, os.O_RDONLY)


def copy(path: Path, blocks: Iterator[bytes]) -> int:
    path.write_bytes(b"".join(blocks))
    return os.open(path, os.O_RDONLY)


def lines(fd: int, vault: Vault | None = None) -> list[tuple[list[bytes], list[bytes] | None]]:
    reader = FrameReader(fd, "segment", vault=vault)
    found = reader.items(reader.header()[1])
    return [(item.envelopes, item.bodies) for item in found if isinstance(item, Block)]


def reader_of(data: bytes) -> Callable[[int], bytes]:
    rest = memoryview(data)

    def read(size: int) -> bytes:
        nonlocal rest
        part, rest = bytes(rest[:size]), rest[size:]
        return part

    return read


def test_opened_and_sealed_it_holds_the_same(tmp_path: Path) -> None:
    mine, theirs = vault_of(MINE), vault_of(THEIRS)
    fd = write(tmp_path, mine)
    expected = lines(fd, mine)
    assert body_keys(fd, "segment") == {MINE}
    plain = copy(tmp_path / "plain", recode_file(fd, Recoding(opens=mine)))
    assert body_keys(plain, "segment") == {PLAIN}
    assert lines(plain) == expected
    again = copy(tmp_path / "again", recode_file(fd, Recoding(opens=mine)))
    assert measure(recode_file(again, Recoding())) == measure(recode_file(plain, Recoding()))
    for source, recoding in ((plain, Recoding(seals=theirs)), (fd, Recoding(mine, theirs))):
        sealed = copy(tmp_path / "sealed", recode_file(source, recoding))
        assert body_keys(sealed, "segment") == {THEIRS}
        assert lines(sealed, theirs) == expected
    kept = copy(tmp_path / "kept", recode_file(fd, Recoding(seals=theirs)))
    assert body_keys(kept, "segment") == {MINE}


def test_what_cannot_be_opened_is_not_passed_on(tmp_path: Path) -> None:
    fd = write(tmp_path, vault_of(MINE))
    with pytest.raises(KeyFailure):
        list(recode_file(fd, Recoding(opens=vault_of(THEIRS))))


def test_damage_is_told(tmp_path: Path) -> None:
    data = os.pread(write(tmp_path, None), 1 << 24, 0)
    for bad in (
        b"",
        data[:5],
        b"X" + data[1:],
        data[:-1],
        data + b"\0" * 40,
        data[:30] + bytes([data[30] ^ 1]) + data[31:],
        data[:-5] + bytes([data[-5] ^ 1]) + data[-4:],
        data[:8] + b"Z" + data[9:],
        data[:12] + b"\xff\xff\xff\xff" + data[16:],
    ):
        with pytest.raises(Corrupt):
            list(recode(reader_of(bad), len(bad), Recoding(seals=vault_of(MINE))))
