r"""staging.jsonl: events that are complete but not yet history. JSON lines:

    {"batch":"<uuid>","domain":"<uuid>","format":1}
    {"envelope":{…},"body":{…}}        one line an event, both halves exactly as the log will hold them
    {"block":{"bodies":b,"envelopes":e,"events":n}}    or many: n lines of envelopes, e bytes, then n of bodies, b bytes
    {"count":2,"sha256":"<hex>"}       a seal: of how many events before it, and the SHA-256 of all bytes since the last

    {"block":{…,"raw":[r,s]}}   packed: lines of r bytes, of bodies of s, each half a zlib stream where that is shorter,
                                and a newline behind both
    {"block":{…,"raw":[r,s],"sealed":true}}    the same in a workspace that seals: the bodies are one sealed text

A packed block is what a segment will hold of its events: committing moves the bytes, and looks into none of them.

Every staging command adds one section of events and its seal. What stands behind the last seal is an interrupted write
and counts for nothing. The batch id makes the commit happen once: a batch whose id is in history is dropped.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Corrupt
from dbx.formats.envelope import HASH, UUID, is_hash, is_uuid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dbx.formats.segment import Packed

FORMAT = 1
MAX_LINE_BYTES = 3 * 1024 * 1024
SEAL_START = b'{"count":'
BLOCK_START = b'{"block":'
MAX_BLOCK_BYTES = 4 * 1024 * 1024
"""Of envelopes or bodies: a frame of a segment takes no more."""
MAX_SEALED_BYTES = 64
"""By so much bodies may grow when they are sealed."""
_OPEN = b'{"envelope":'
_BETWEEN = b'},"body":{'


def encode_header(batch: str, domain: str) -> bytes:
    """The first line, with its newline."""
    return f'{{"batch":"{batch}","domain":"{domain}","format":{FORMAT}}}\n'.encode()


def decode_header(line: bytes) -> tuple[str, str]:
    """(batch, domain) of the first line. Raises Corrupt."""
    text = line.decode("utf-8", "replace")
    batch, domain = text[10:46], text[58:94]
    if line == encode_header(batch, domain) and is_uuid(batch) and is_uuid(domain):
        return batch, domain  # without an expression: to compile it takes longer than the rest of reading the file
    found = re.fullmatch(rf'{{"batch":"({UUID})","domain":"({UUID})","format":([0-9]{{1,9}})}}\n?', text)
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
    text = line.decode("utf-8", "replace")
    digits, sha256 = text[9:-78], text[-67:-3]
    if 0 < len(digits) <= 16 and digits.isdecimal() and is_hash(sha256):
        count = int(digits)
        if count and line == encode_seal(count, sha256):
            return count, sha256
    found = re.fullmatch(rf'{{"count":([1-9][0-9]{{0,15}}),"sha256":"({HASH})"}}\n?', text)
    if found is None:
        raise Corrupt("a seal of the staging file is not spelled as it should be")
    return int(found[1]), found[2]


def encode_lines(envelopes: Iterable[bytes], bodies: Iterable[bytes]) -> bytes:
    """Event lines with their newlines."""
    return b"".join(
        [b'{"envelope":%b,"body":%b}\n' % (envelope, body) for envelope, body in zip(envelopes, bodies, strict=True)]
    )


def encode_block(events: int, envelopes: Packed, bodies: Packed, *, sealed: bool = False) -> bytes:
    """Events as a packed block. Where they are sealed, `bodies` are so, their length being that of what is sealed."""
    about = f'"events":{events},"raw":[{envelopes.raw},{bodies.raw}]'
    more = ',"sealed":true' if sealed else ""
    start = f'{{"block":{{"bodies":{len(bodies.stored)},"envelopes":{len(envelopes.stored)},{about}{more}}}}}\n'
    return b"".join((start.encode(), envelopes.stored, bodies.stored, b"\n"))


class BlockLine(NamedTuple):
    """What follows a line: how many bytes of envelopes and of bodies and behind them, how many events, how many bytes
    of lines the two halves hold, and whether the bodies are sealed."""

    envelopes: int
    bodies: int
    behind: int
    events: int
    raw_envelopes: int
    raw_bodies: int
    sealed: bool


def find_block(line: bytes) -> BlockLine | None:
    """What a line says that follows it; None if it says no such."""
    found = re.fullmatch(
        rb'{"block":{"bodies":([1-9]\d{0,6}),"envelopes":([1-9]\d{0,6}),"events":([1-9]\d{0,6})'
        rb'(?:,"raw":\[([1-9]\d{0,6}),([1-9]\d{0,6})\](,"sealed":true)?)?}}\n?',
        line,
    )
    if found is None:
        return None
    bodies, envelopes, events = map(int, found.groups()[:3])
    is_packed, sealed = found[4] is not None, found[6] is not None
    raw_envelopes, raw_bodies = (int(found[4]), int(found[5])) if is_packed else (envelopes, bodies)
    if max(raw_envelopes, raw_bodies) > MAX_BLOCK_BYTES or envelopes > raw_envelopes:
        return None
    if bodies > raw_bodies + MAX_SEALED_BYTES * sealed:
        return None
    return BlockLine(envelopes, bodies, int(is_packed), events, raw_envelopes, raw_bodies, sealed)


def split_line(line: bytes) -> tuple[bytes, bytes]:
    """(envelope, body) of an event line without its newline, as slices. Raises Corrupt.

    No string can hold the separator, because a quote inside a string is escaped, and an envelope has no member "body"
    that is an object: so its first occurrence is the place.
    """
    cut = line.find(_BETWEEN)
    if cut < 0 or not line.startswith(_OPEN) or not line.endswith(b"}}"):
        raise Corrupt("a line of the staging file is not an event")
    return line[12 : cut + 1], line[cut + 9 : -1]
