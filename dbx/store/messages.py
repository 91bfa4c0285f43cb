"""Messages of several parts through the pipes between a process and one that it forked."""

from __future__ import annotations

import os
from array import array

from dbx.store.descriptor import write_all

SAYS = b"M"
"""With this byte each begins, so that what is not a message can be told apart."""
_WORD = 8


def send(fd: int, *parts: bytes) -> None:
    """Write a message of several parts."""
    write_all(fd, message(*parts))


def message(*parts: bytes) -> bytes:
    """Several parts with their sizes before them, as `receive` takes them."""
    sizes = array("Q", [len(part) for part in parts]).tobytes()
    return b"".join((SAYS, len(parts).to_bytes(_WORD, "big"), sizes, *parts))


def receive(fd: int, count: int) -> list[bytes]:
    """A message of `count` parts, behind its SAYS. Raises EOFError."""
    if int.from_bytes(read_exactly(fd, _WORD), "big") != count:
        raise EOFError
    sizes = array("Q", read_exactly(fd, _WORD * count))
    return [read_exactly(fd, size) for size in sizes]


def read_exactly(fd: int, size: int) -> bytes:
    """So many bytes of a pipe. Raises EOFError."""
    data = bytearray()
    while len(data) < size:
        piece = os.read(fd, min(size - len(data), 1 << 20))
        if not piece:
            raise EOFError
        data += piece
    return bytes(data)
