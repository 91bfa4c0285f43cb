"""Checkpoints (format.md §8, c2sp.org/tlog-checkpoint): the text of a signed note about the size and root of a log.

dbx/018f9c2e-5b1a-4c3d-9e8f-0a1b2c3d4e5f
42
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
"""

from __future__ import annotations

import re
from typing import NamedTuple

from dbx.errors import Corrupt
from dbx.formats.base64text import encode_base64, find_base64

_HASH_BYTES = 32
_MAX_SIZE = (1 << 63) - 1


class Checkpoint(NamedTuple):
    """A log's origin, its number of entries, and the RFC 9162 root over them (32 bytes)."""

    origin: str
    size: int
    root: bytes


def default_origin(domain_id: str) -> str:
    """The origin of a domain's commit log, unless another one was chosen."""
    return f"dbx/{domain_id}"


def format_checkpoint(checkpoint: Checkpoint) -> str:
    """The three lines."""
    return f"{checkpoint.origin}\n{checkpoint.size}\n{encode_base64(checkpoint.root)}\n"


def parse_checkpoint(text: str, *, extensions: bool = False) -> Checkpoint:
    """A checkpoint from a note's text. Raises Corrupt.

    dbx writes three lines and takes no others, because nobody could audit them. With `extensions` lines behind the
    third are taken and left out, for the checkpoints of other logs.
    """
    lines = text.split("\n")
    if len(lines) < 4 or (len(lines) > 4 and not extensions) or (lines[-1] and not extensions):
        raise Corrupt("the checkpoint does not have the three lines origin, size and root")
    origin, size, root = lines[:3]
    if not origin:
        raise Corrupt("the checkpoint has no origin")
    if not re.fullmatch("0|[1-9][0-9]{0,18}", size) or int(size) > _MAX_SIZE:
        raise Corrupt("the size in the checkpoint is not a number of entries")
    data = find_base64(root)
    if data is None or len(data) != _HASH_BYTES:
        raise Corrupt("the root in the checkpoint is not the base64 of 32 bytes")
    return Checkpoint(origin, int(size), data)
