"""A manifest: the segments of a log, in order (format.md §7).

    <sha256> <bytes> <first seq> <last seq> <last commit id>\\n

It is named by the SHA-256 of its bytes, so it says nothing twice and has no second spelling.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dbx.errors import Corrupt
from dbx.formats.envelope import HASH, INTEGER, MAX_INTEGER

_LINE = f"({HASH}) ({INTEGER}) ({INTEGER}) ({INTEGER}) ({HASH})"


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One segment: the SHA-256 of its bytes, their number, and the commits first_seq to last_seq that it holds."""

    sha256: str
    size: int
    first_seq: int
    last_seq: int
    last_commit: str


def encode_manifest(entries: Sequence[ManifestEntry], *, first_seq: int = 0) -> bytes:
    """The manifest's bytes. Raises Corrupt when the entries are not one log from seq 0, in a bundle from another."""
    _check_chain(entries, first_seq)
    return "".join(f"{e.sha256} {e.size} {e.first_seq} {e.last_seq} {e.last_commit}\n" for e in entries).encode("ascii")


def decode_manifest(data: bytes, *, first_seq: int = 0) -> tuple[ManifestEntry, ...]:
    """The entries of a manifest, at least one. Raises Corrupt unless the bytes are the one spelling of a whole log.

    That of a bundle may begin at a later seq.
    """
    try:
        lines = data.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise Corrupt("the manifest is not ASCII") from error
    if lines.pop():
        raise Corrupt("the manifest is cut short")
    match = re.compile(_LINE).fullmatch
    entries = []
    for number, line in enumerate(lines, 1):
        found = match(line)
        if found is None:
            raise Corrupt(f"line {number} of the manifest is not spelled as dbx writes it")
        sha256, size, first, last, last_commit = found.groups()
        entries.append(ManifestEntry(sha256, int(size), int(first), int(last), last_commit))
    _check_chain(entries, first_seq)
    return tuple(entries)


def _check_chain(entries: Sequence[ManifestEntry], expected: int) -> None:
    if not entries:
        raise Corrupt("the manifest is empty")
    for number, entry in enumerate(entries, 1):
        if entry.first_seq != expected:
            raise Corrupt(f"line {number} of the manifest begins at seq {entry.first_seq} instead of {expected}")
        if not entry.first_seq <= entry.last_seq <= MAX_INTEGER or not 0 < entry.size <= MAX_INTEGER:
            raise Corrupt(f"line {number} of the manifest has a number that cannot be")
        expected = entry.last_seq + 1
    # A segment says its own seqs and every commit its parent, so none can come twice.
    for what in ("sha256", "last_commit"):
        if len({getattr(entry, what) for entry in entries}) != len(entries):
            raise Corrupt("the manifest names a segment or a commit twice")
