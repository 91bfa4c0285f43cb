"""staging.jsonl: whole sections only, whatever an interruption or a hand has left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dbx.errors import Corrupt
from dbx.formats import staging
from dbx.store.fs import Directory
from dbx.store.section import Section
from dbx.store.staging import NAME, find_header, read_events, sealed_size

BATCH = "11111111-1111-4111-8111-111111111111"
DOMAIN = "01234567-89ab-4def-8123-456789abcdef"
HEADER = staging.encode_header(BATCH, DOMAIN)


@pytest.fixture
def root(tmp_path: Path) -> Directory:
    return Directory(str(tmp_path))


def add(root: Directory, at: int, *names: bytes, body: bytes = b'{"payload":{}}') -> int:
    section = Section(root, header=b"" if at else HEADER, at=at)
    try:
        for name in names:
            section.add([b'{"%b":1}' % name], [body])
        return section.finish()
    finally:
        section.discard()


def names(root: Directory, size: int) -> list[str]:
    return [envelope.split(b'"')[1].decode() for part in read_events(root, size) for envelope, _ in part]


def test_sections_are_read_in_order(root: Directory, tmp_path: Path) -> None:
    assert find_header(root) is None
    end = add(root, 0, b"a", b"b")
    found = find_header(root)
    assert found is not None
    header, size = found
    assert (header.batch, header.domain, header.size, size) == (BATCH, DOMAIN, len(HEADER), end)
    end = add(root, end, b"c")
    end = add(root, end, b"d", b"e")
    assert names(root, end) == ["a", "b", "c", "d", "e"]
    assert sealed_size(root) == end == (tmp_path / NAME).stat().st_size
    assert os.listdir(tmp_path) == [NAME]
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


def test_a_section_that_is_not_finished_leaves_nothing(root: Directory, tmp_path: Path) -> None:
    section = Section(root, header=HEADER)
    section.add([b'{"a":1}'] * 6000, [b'{"payload":"%b"}' % os.urandom(1000).hex().encode() for _ in range(6000)])
    assert os.listdir(tmp_path) != []
    section.discard()
    section.discard()
    assert os.listdir(tmp_path) == []


def test_large_sections_are_spilled_and_read_with_little_memory(root: Directory, tmp_path: Path) -> None:
    end = add(root, 0, b"a", body=b'{"payload":"%b"}' % (b"x" * 2_000_000))
    end = add(root, end, *[b"n%d" % n for n in range(9000)], body=b'{"payload":"%b"}' % os.urandom(500).hex().encode())
    assert len(names(root, end)) == 9001
    assert max(sum(len(body) for _, body in part) for part in read_events(root, end)) < 5_000_000
    assert os.listdir(tmp_path) == [NAME]


def test_a_tail_without_a_seal_is_passed_over_at_every_byte(root: Directory, tmp_path: Path) -> None:
    first = add(root, 0, b"a")
    end = add(root, first, b"b", b"c")
    whole = (tmp_path / NAME).read_bytes()
    for size in range(first, end):
        (tmp_path / NAME).write_bytes(whole[:size])
        assert sealed_size(root) == first
        assert names(root, first) == ["a"]
    again = add(root, first, b"d")
    assert names(root, again) == ["a", "d"]
    assert (tmp_path / NAME).stat().st_size == again


def test_every_flipped_bit_before_the_last_seal_is_found(root: Directory, tmp_path: Path) -> None:
    end = add(root, 0, b"a", b"b")
    end = add(root, end, b"c")
    whole = (tmp_path / NAME).read_bytes()
    for at in range(len(HEADER), end):
        (tmp_path / NAME).write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(Corrupt):
            names(root, end)


def test_a_damaged_seal_names_the_file(root: Directory, tmp_path: Path) -> None:
    end = add(root, 0, b"a")
    (tmp_path / NAME).write_bytes((tmp_path / NAME).read_bytes().replace(b'"sha256"', b'"sha257"'))
    with pytest.raises(Corrupt, match=f"'{NAME}' is damaged"):
        names(root, end)


def test_header_faults_name_the_file(root: Directory, tmp_path: Path) -> None:
    for data in (b"", b"{", HEADER[:-1], b"x" * 5000, HEADER.replace(b'"format":1', b'"format":2'), HEADER.upper()):
        (tmp_path / NAME).write_bytes(data)
        with pytest.raises(Corrupt, match=f"'{NAME}' is damaged") as caught:
            find_header(root)
        assert caught.value.details == {"file": NAME, "offset": 0}


def test_the_size_must_end_with_a_seal(root: Directory) -> None:
    end = add(root, 0, b"a", b"b")
    for size in (end - 1, end + 1, len(HEADER) + 1):
        with pytest.raises(Corrupt, match="no seal"):
            names(root, size)


def test_the_file_is_no_link(root: Directory, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(HEADER)
    (tmp_path / NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Corrupt):
        find_header(root)
