"""A root file: every aggregate of a domain with its version and root, to compare without events or keys.

Format.md §8.

    {"commit":"<the commit line>","count":2,"format":"dbx-roots/1","index":"<index root>"}
    ["order","o-17",3,"<aggregate root>"]
    ["order","o-18",1,"<aggregate root>"]
    {"proof":"<tlog-proof of the commit, with its checkpoint>"}

JSON lines, each in its one spelling. The aggregates stand in the order of their keys; the last line is there only where
the commit is signed. `commit` is null where no commit has this index. What is read here is well-formed and no more: who
reads it recomputes the index root before he believes any line.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Corrupt
from dbx.formats import canonical
from dbx.formats.commit import MAX_COMMIT_BYTES, decode_commit
from dbx.formats.envelope import HASH, MAX_INTEGER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from dbx.formats.commit import Commit

FORMAT = "dbx-roots/1"
MAX_HEADER_BYTES = 6 * MAX_COMMIT_BYTES + 1024
"""Every byte of a commit line may need an escape of six."""
MAX_ENTRY_BYTES = 512
MAX_PROOF_BYTES = 256 * 1024
_NAME = "dbx-roots/"
_HEADER = frozenset(("commit", "count", "format", "index"))


class Header(NamedTuple):
    """The first line: the commit's line, None where there is none, and what it says; aggregates; raw index root."""

    line: bytes | None
    commit: Commit | None
    aggregates: int
    root: bytes


class Entry(NamedTuple):
    """An aggregate: its version (from 1) and raw root."""

    type: str
    id: str
    version: int
    root: bytes


def encode_header(commit: bytes | None, count: int, index: bytes) -> bytes:
    """The first line, with its newline. `commit` is a commit's line."""
    text = None if commit is None else commit.decode()
    return canonical.encode({"commit": text, "count": count, "format": FORMAT, "index": index.hex()}) + b"\n"


def encode_entry(entry: Entry) -> bytes:
    """An aggregate's line, with its newline. Names need no escaping (format.md §3)."""
    return f'["{entry.type}","{entry.id}",{entry.version},"{entry.root.hex()}"]\n'.encode()


def encode_proof(proof: str) -> bytes:
    """The last line, with its newline."""
    return canonical.encode({"proof": proof}) + b"\n"


def decode_header(line: bytes) -> Header:
    """The first line, without its newline. Raises Corrupt."""
    value = _object(line, "it is not the first line of a root file")
    form = value.get("format")
    if isinstance(form, str) and form.startswith(_NAME) and form != FORMAT:
        raise Corrupt(
            f"it was written by a newer dbx: its format is {canonical.encode(form).decode()[:40]}", hint="upgrade dbx"
        )
    if form != FORMAT:
        raise Corrupt("it is not the first line of a root file", hint="make one with 'dbx root export'")
    if unknown := sorted(value.keys() - _HEADER):
        raise Corrupt(
            f"it has the unknown member {canonical.encode(unknown[0]).decode()[:80]}: written by a newer dbx",
            hint="upgrade dbx",
        )
    text, count, index = value.get("commit", 0), value.get("count"), value.get("index")
    if type(count) is not int or not 0 <= count <= MAX_INTEGER:
        raise Corrupt("its count is not a number of aggregates")
    if not isinstance(index, str) or not re.fullmatch(HASH, index):
        raise Corrupt("its index is not a hash")
    if text is None:
        return Header(None, None, count, bytes.fromhex(index))
    if not isinstance(text, str):
        raise Corrupt("its commit is neither a commit line nor null")
    commit = decode_commit(text.encode())
    if commit.index != index:
        raise Corrupt("its index is not the one that its commit names")
    return Header(text.encode(), commit, count, bytes.fromhex(index))


def decode_entry(line: bytes) -> Entry:
    """An aggregate's line, without its newline. Raises Corrupt unless it is the one spelling of a valid one."""
    found = _entry_pattern()(line.decode("ascii", "replace"))
    if found is None or int(found[3]) > MAX_INTEGER:
        raise Corrupt('it is not an aggregate, spelled ["type","id",version,"root"]')
    return Entry(found[1], found[2], int(found[3]), bytes.fromhex(found[4]))


def decode_proof(line: bytes) -> str:
    """The proof in the last line, without its newline. Raises Corrupt."""
    value = _object(line, "it is neither an aggregate nor a proof")
    proof = value.get("proof")
    if value.keys() - {"proof"}:
        unknown = sorted(value.keys() - {"proof"})[0]
        raise Corrupt(
            f"it has the unknown member {canonical.encode(unknown).decode()[:80]}: written by a newer dbx",
            hint="upgrade dbx",
        )
    if not isinstance(proof, str):
        raise Corrupt("its proof is not text")
    return proof


class Reader:
    """The lines of a root file, one at a time; no line is longer in memory than it may be.

    `readline(n)` gives the next line, or its first n bytes, as of a binary file. `line` is the number of the line that
    was read last, from 1; `proof` is there once all entries were read. Raises Corrupt, its details holding `line`.
    """

    def __init__(self, readline: Callable[[int], bytes], name: str) -> None:
        self._readline = readline
        self._name = name
        self.line = 0
        self.proof: str | None = None
        self.header = self._decode(decode_header, self._next(MAX_HEADER_BYTES))

    def entries(self) -> Iterator[Entry]:
        """The aggregates, as many as the first line counts; then nothing but a proof may follow."""
        for _ in range(self.header.aggregates):
            line = self._next(MAX_ENTRY_BYTES)
            if not line:
                raise self.fault(f"the file ends here, but line 1 counts {self.header.aggregates} aggregates")
            if line.startswith(b"{"):
                raise self.fault(f"the aggregates end here, but line 1 counts {self.header.aggregates}")
            yield self._decode(decode_entry, line)
        line = self._next(MAX_PROOF_BYTES)
        if line.startswith(b"["):
            raise self.fault(f"line 1 counts {self.header.aggregates} aggregates, and here is one more")
        if line:
            self.proof = self._decode(decode_proof, line)
            if self._next(1):
                raise self.fault("something follows the proof")

    def fault(self, reason: str, *, line: int | None = None, hint: str | None = None) -> Corrupt:
        """An error about a line, by default the one that was read last."""
        at = self.line if line is None else line
        return Corrupt(
            f"root file '{self._name}', line {at}: {reason}", hint=hint, details={"file": self._name, "line": at}
        )

    def _next(self, max_bytes: int) -> bytes:
        line = self._readline(max_bytes + 1)
        self.line += 1
        if len(line) > max_bytes:
            raise self.fault(f"it is longer than {max_bytes} bytes")
        if line and not line.endswith(b"\n"):
            raise self.fault("it does not end with a newline: the file was cut off")
        return line

    def _decode(self, decode: Callable[[bytes], Any], line: bytes) -> Any:
        try:
            return decode(line[:-1])
        except Corrupt as error:
            raise self.fault(error.message, hint=error.hint) from None


def _object(line: bytes, otherwise: str) -> dict[str, Any]:
    try:
        value = canonical.decode(line)
    except Corrupt:
        raise Corrupt(otherwise) from None
    if not isinstance(value, dict):
        raise Corrupt(otherwise)
    return value


@cache
def _entry_pattern() -> Callable[[str], re.Match[str] | None]:
    return re.compile(
        rf'\["([a-z][a-z0-9_]{{0,63}})","([A-Za-z0-9][A-Za-z0-9_.:@/+~-]{{0,127}})",([1-9][0-9]{{0,15}}),"({HASH})"\]',
        re.ASCII,
    ).fullmatch
