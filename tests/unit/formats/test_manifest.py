"""Manifests: one line per segment, one log without gaps."""

from dataclasses import replace

import pytest

from dbx.errors import Corrupt
from dbx.formats.envelope import MAX_INTEGER
from dbx.formats.manifest import ManifestEntry, decode_manifest, encode_manifest

FIRST = ManifestEntry("0a" * 32, 700, 0, 4, "0b" * 32)
SECOND = ManifestEntry("0c" * 32, 900, 5, 5, "0d" * 32)
LINES = f"{'0a' * 32} 700 0 4 {'0b' * 32}\n{'0c' * 32} 900 5 5 {'0d' * 32}\n".encode()


def test_manifest_has_the_spelling_of_the_format_page() -> None:
    assert encode_manifest([FIRST, SECOND]) == LINES
    assert decode_manifest(LINES) == (FIRST, SECOND)


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [SECOND],
        [SECOND, FIRST],
        [FIRST, replace(SECOND, first_seq=6, last_seq=6)],
        [FIRST, replace(SECOND, first_seq=4)],
        [replace(FIRST, first_seq=1)],
        [FIRST, replace(SECOND, last_seq=4)],
        [replace(FIRST, size=0)],
        [replace(FIRST, size=MAX_INTEGER + 1)],
        [replace(FIRST, last_seq=MAX_INTEGER + 1)],
        [FIRST, replace(SECOND, sha256=FIRST.sha256)],
        [FIRST, replace(SECOND, last_commit=FIRST.last_commit)],
    ],
)
def test_what_is_not_one_log_is_neither_written_nor_read(entries: list[ManifestEntry]) -> None:
    with pytest.raises(Corrupt):
        encode_manifest(entries)
    text = "".join(f"{e.sha256} {e.size} {e.first_seq} {e.last_seq} {e.last_commit}\n" for e in entries)
    with pytest.raises(Corrupt):
        decode_manifest(text.encode())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"700", b"0700"),
        (b"700", b"+700"),
        (b"700", b"7_00"),
        (b"700", "٧".encode()),
        (b"0a", b"0A"),
        (b" 700", b"  700"),
        (b"\n", b"\r\n"),
        (b"\n", b" \n"),
        (b"\n", b"\n\n"),
        (b" 900", b""),
    ],
)
def test_any_other_spelling_is_refused(old: bytes, new: bytes) -> None:
    assert old in LINES
    with pytest.raises(Corrupt):
        decode_manifest(LINES.replace(old, new, 1))
