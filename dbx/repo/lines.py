"""Reads JSON Lines from strangers: plain or gzip, in bounded memory, whatever the bytes are.

This is on the hot path of an import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.errors import DbxError, Invalid

if TYPE_CHECKING:
    import zlib
    from collections.abc import Callable, Iterable, Iterator

CHUNK = 1024 * 1024
MAX_LINE_BYTES = 4 * 1024 * 1024
"""No event is longer, however it is spelled: its payload has at most 256 KiB, its metadata 64 KiB."""
GZIP = b"\x1f\x8b"
_GZIP_WINDOW = 31  # zlib's name for a gzip stream
_MAX_RATIO = 500  # real events shrink to a tenth, a bomb to a thousandth
_RATIO_FROM = 64 * CHUNK
_SPACE = b" \t\r"
_BRACE = ord("{")


def read_lines(
    read: Callable[[int], bytes], *, progress: Callable[[int], None] | None = None, first_line: int = 1
) -> Iterator[tuple[int, str | DbxError]]:
    """(line number from 1, text without its line feed), blank lines left out; a line that cannot be read is an Invalid.

    `read(n)` gives at most n bytes, and none at the end. `progress` is told how many bytes each call gave. Lines may
    end with CR LF: the CR stays, it is white space to JSON. A line beyond MAX_LINE_BYTES is passed over, not kept.

    What begins with a later line than the first is a part of a file, and no gzip.
    """
    number = first_line
    for item in _blocks(read, progress, plain=first_line > 1):
        if isinstance(item, DbxError):
            yield number, item
            number += 1
            continue
        # Cut first: few lines have letters beyond ASCII, but most blocks do, and those are slow to decode and to cut.
        for line in item.removesuffix(b"\n").split(b"\n"):
            # Nearly every line begins like this: one comparison tells that it is not blank.
            if line and (line[0] == _BRACE or line.strip(_SPACE)):
                try:
                    yield number, line.decode()
                except UnicodeDecodeError as fault:
                    yield number, _unreadable(line, fault)
            number += 1


def _unreadable(line: bytes, fault: UnicodeDecodeError) -> Invalid:
    hint = "it looks like UTF-16; send UTF-8" if line.startswith((b"\xff\xfe", b"\xfe\xff")) else None
    return Invalid(
        f"the line is not UTF-8: bad byte at offset {fault.start}", hint=hint, details={"offset": fault.start}
    )


def _blocks(
    read: Callable[[int], bytes], progress: Callable[[int], None] | None, *, plain: bool
) -> Iterator[bytes | Invalid]:
    """Whole lines, many at once; a fault stands for one line, or for the end of a stream that cannot be read on."""
    rest = b""
    skipping = False
    try:
        for chunk in _chunks(read, progress) if plain else _plain(read, progress):
            cut = chunk.rfind(b"\n") + 1
            if skipping:
                if not cut:
                    continue
                skipping = False
                yield _too_long()
                start = chunk.find(b"\n") + 1
                if start < cut:
                    yield chunk[start:cut]
            elif cut:
                if rest and len(rest) + chunk.find(b"\n") > MAX_LINE_BYTES:
                    yield _too_long()
                    start = chunk.find(b"\n") + 1
                    if start < cut:
                        yield chunk[start:cut]
                else:
                    yield rest + chunk[:cut]
            rest = chunk[cut:] if cut else rest + chunk
            if len(rest) > MAX_LINE_BYTES:
                rest, skipping = b"", True
    except Invalid as fault:
        yield fault
        return
    if skipping:
        yield _too_long()
    elif rest:
        yield rest


def _too_long() -> Invalid:
    return Invalid(f"the line has more than {MAX_LINE_BYTES} bytes")


def _plain(read: Callable[[int], bytes], progress: Callable[[int], None] | None) -> Iterator[bytes]:
    """The input in chunks of at most CHUNK bytes, inflated if it is gzip, which its first two bytes tell."""
    chunks = _chunks(read, progress)
    first = next(chunks, b"")
    while len(first) < len(GZIP) and (more := next(chunks, b"")):
        first += more
    if first.startswith(GZIP):
        yield from _inflate(first, chunks)
        return
    yield first
    yield from chunks


def _chunks(read: Callable[[int], bytes], progress: Callable[[int], None] | None) -> Iterator[bytes]:
    while chunk := read(CHUNK):
        if progress is not None:
            progress(len(chunk))
        yield chunk


def _inflate(first: bytes, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The content of a gzip stream of one or more members (RFC 1952), never more than CHUNK bytes of it at once."""
    import zlib

    stream = zlib.decompressobj(_GZIP_WINDOW)
    taken = given = 0
    for data in _with_first(first, chunks):
        taken += len(data)
        left = data
        while left:
            if stream.eof:
                left = left.lstrip(b"\0")  # padding behind a member
                if not left:
                    break
                stream = zlib.decompressobj(_GZIP_WINDOW)
            out = _inflate_some(stream, left)
            given += len(out)
            if given > _RATIO_FROM and given > taken * _MAX_RATIO:
                raise Invalid(f"the gzip data grow more than {_MAX_RATIO}-fold", hint="if they are sound, unpack them")
            if out:
                yield out
            left = stream.unused_data if stream.eof else stream.unconsumed_tail
    if not stream.eof:
        raise Invalid("the gzip data end too early")


def _with_first(first: bytes, chunks: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from chunks


def _inflate_some(stream: zlib._Decompress, data: bytes) -> bytes:
    import zlib

    try:
        return stream.decompress(data, CHUNK)
    except zlib.error:
        raise Invalid("the gzip data are damaged") from None
