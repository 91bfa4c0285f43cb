"""Looking for a word in every byte of a directory, within compressed frames of segments and journals as well."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

_HEADER = struct.Struct(">cBHIII")
_MAGIC = b"DBXSEG1\n"


def find_word(where: Path, word: str) -> list[str]:
    """The files below `where` that hold the word, in their names or in what they hold."""
    needle = word.encode()
    found = []
    for path in sorted(where.rglob("*")):
        if path.is_file() and (word in path.name or any(needle in piece for piece in _pieces(path.read_bytes()))):
            found.append(str(path.relative_to(where)))
    return found


def _pieces(data: bytes) -> Iterator[bytes]:
    """The bytes of a file, and of every zlib stream in a place where a frame may begin, whole or torn."""
    yield data
    if data[: len(_MAGIC)] == _MAGIC:
        yield from _frames(data)
    else:
        at = data.find(b"\x78\x01")
        while at >= 0:
            yield _inflate(data[at:])
            at = data.find(b"\x78\x01", at + 1)


def _frames(data: bytes) -> Iterator[bytes]:
    at = len(_MAGIC)
    while at + _HEADER.size <= len(data) and data[at]:
        _, flags, _, stored, _, _ = _HEADER.unpack_from(data, at)
        at += _HEADER.size
        if flags & 1:
            yield _inflate(data[at : at + stored])
        at += stored


def _inflate(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, 16 * 1024 * 1024)
    except zlib.error:
        return b""
