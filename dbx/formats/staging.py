r"""staging.jsonl: events that are complete but not yet history. JSON lines:

    {"batch":"<uuid>","domain":"<uuid>","format":1}
    {"envelope":{…},"body":{…}}        one line an event, both halves exactly as the log will hold them
    {"count":2,"sha256":"<hex>"}       a seal: of how many event lines before it, and the SHA-256 of their bytes

Every staging command adds one section of event lines and its seal. Lines behind the last seal are an interrupted write
and count for nothing. The batch id makes the commit happen once: a batch whose id is in history is dropped.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dbx.errors import Corrupt
from dbx.formats.envelope import HASH, UUID

if TYPE_CHECKING:
    from collections.abc import Iterable

FORMAT = 1
MAX_LINE_BYTES = 3 * 1024 * 1024
SEAL_START = b'{"count":'
_OPEN = b'{"envelope":'
_BETWEEN = b'},"body":{'


def encode_header(batch: str, domain: str) -> bytes:
    """The first line, with its newline."""
    return f'{{"batch":"{batch}","domain":"{domain}","format":{FORMAT}}}\n'.encode()


def decode_header(line: bytes) -> tuple[str, str]:
    """(batch, domain) of the first line. Raises Corrupt."""
    found = re.fullmatch(
        rf'{{"batch":"({UUID})","domain":"({UUID})","format":([0-9]{{1,9}})}}\n?', line.decode("utf-8", "replace")
    )
    if found is None:
        raise Corrupt("the staging file does not begin as it should")
    if int(found[3]) != FORMAT:
        raise Corrupt("the staging file was written by a newer dbx", hint="upgrade dbx")
    return found[1], found[2]


def encode_seal(count: int, sha256: str) -> bytes:
    """The line that ends a section, with its newline."""
    return f'{{"count":{count},"sha256":"{sha256}"}}\n'.encode()


def decode_seal(line: bytes) -> tuple[int, str]:
    """(count, sha256). Raises Corrupt."""
    found = re.fullmatch(rf'{{"count":([1-9][0-9]{{0,15}}),"sha256":"({HASH})"}}\n?', line.decode("utf-8", "replace"))
    if found is None:
        raise Corrupt("a seal of the staging file is not spelled as it should be")
    return int(found[1]), found[2]


def encode_lines(envelopes: Iterable[bytes], bodies: Iterable[bytes]) -> bytes:
    """Event lines with their newlines."""
    return b"".join(
        [b'{"envelope":%b,"body":%b}\n' % (envelope, body) for envelope, body in zip(envelopes, bodies, strict=True)]
    )


def split_line(line: bytes) -> tuple[bytes, bytes]:
    """(envelope, body) of an event line without its newline, as slices. Raises Corrupt.

    No string can hold the separator, because a quote inside a string is escaped, and an envelope has no member "body"
    that is an object: so its first occurrence is the place.
    """
    cut = line.find(_BETWEEN)
    if cut < 0 or not line.startswith(_OPEN) or not line.endswith(b"}}"):
        raise Corrupt("a line of the staging file is not an event")
    return line[12 : cut + 1], line[cut + 9 : -1]
