r"""staging.jsonl: events that are complete but not yet history. JSON lines:

    {"batch":"<uuid>","domain":"<uuid>","format":1}
    {"envelope":{…},"body":{…}}        one line an event, both halves exactly as the log will hold them
    {"block":{"bodies":b,"envelopes":e,"events":n}}    or many: n lines of envelopes, e bytes, then n of bodies, b bytes
    {"count":2,"sha256":"<hex>"}       a seal: of how many events before it, and the SHA-256 of all bytes since the last

    {"block":{…,"sealed":true}}        the same in a workspace that seals: the bodies are one sealed text of b bytes

A block is what a segment will hold of its events: committing moves the bytes, and looks into none of them.

Every staging command adds one section of events and its seal. What stands behind the last seal is an interrupted write
and counts for nothing. The batch id makes the commit happen once: a batch whose id is in history is dropped.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Corrupt
from dbx.formats.envelope import HASH, UUID, is_hash, is_uuid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

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


def encode_block(
    envelopes: Sequence[bytes],
    bodies: Sequence[bytes],
    most_bytes: int,
    seal: Callable[[bytes, bytes], bytes] | None = None,
) -> bytes:
    """Events as blocks: as few as may be, none with more than `most_bytes` of envelopes or of bodies if it has two.

    `seal` is given a block's envelopes and its bodies, and makes of the bodies what is stored.
    """
    first, second = b"\n".join(envelopes) + b"\n", b"\n".join(bodies) + b"\n"
    count = len(envelopes)
    if count > 1 and max(len(first), len(second)) > most_bytes:
        cut = count // 2
        begin = encode_block(envelopes[:cut], bodies[:cut], most_bytes, seal)
        return begin + encode_block(envelopes[cut:], bodies[cut:], most_bytes, seal)
    sealed = ""
    if seal is not None:
        second, sealed = seal(first, second), ',"sealed":true'
    start = f'{{"block":{{"bodies":{len(second)},"envelopes":{len(first)},"events":{count}{sealed}}}}}\n'.encode()
    return b"".join((start, first, second))


class BlockLine(NamedTuple):
    """What follows a line: bytes of envelopes and of bodies, how many events, and whether the bodies are sealed."""

    envelopes: int
    bodies: int
    events: int
    sealed: bool


def find_block(line: bytes) -> BlockLine | None:
    """What a line says that follows it; None if it says no such."""
    found = re.fullmatch(
        rb'{"block":{"bodies":([1-9]\d{0,6}),"envelopes":([1-9]\d{0,6}),"events":([1-9]\d{0,6})'
        rb'(,"sealed":true)?}}\n?',
        line,
    )
    if found is None:
        return None
    bodies, envelopes, events = map(int, found.groups()[:3])
    if envelopes > MAX_BLOCK_BYTES or bodies > MAX_BLOCK_BYTES + MAX_SEALED_BYTES:
        return None
    return BlockLine(envelopes, bodies, events, found[4] is not None)


def split_line(line: bytes) -> tuple[bytes, bytes]:
    """(envelope, body) of an event line without its newline, as slices. Raises Corrupt.

    No string can hold the separator, because a quote inside a string is escaped, and an envelope has no member "body"
    that is an object: so its first occurrence is the place.
    """
    cut = line.find(_BETWEEN)
    if cut < 0 or not line.startswith(_OPEN) or not line.endswith(b"}}"):
        raise Corrupt("a line of the staging file is not an event")
    return line[12 : cut + 1], line[cut + 9 : -1]
