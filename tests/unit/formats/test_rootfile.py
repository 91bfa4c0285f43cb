"""Root files as bytes: one spelling, bounded lines, and every fault with its line."""

from __future__ import annotations

import io

import pytest

from dbx.errors import Corrupt
from dbx.formats.commit import Commit, encode_commit
from dbx.formats.rootfile import (
    MAX_ENTRY_BYTES,
    MAX_HEADER_BYTES,
    MAX_PROOF_BYTES,
    Entry,
    Reader,
    decode_entry,
    decode_header,
    encode_entry,
    encode_header,
    encode_proof,
)

ROOT = bytes(range(32))
UUID = "0190c0de-0000-4000-8000-000000000001"
COMMIT = Commit(
    None, None, 1, UUID, "a" * 64, ROOT.hex(), 'said "ä"\n', None, 0, None, 0, "2026-11-01T00:00:00.000000Z"
)
LINE = encode_commit(COMMIT)
ENTRIES = (Entry("order", "o-1", 3, b"\x01" * 32), Entry("order", "a/b:c@d", 2**53 - 1, b"\x02" * 32))


def text(*, commit: bytes | None = LINE, count: int = 2, proof: str | None = None) -> bytes:
    lines = encode_header(commit, count, ROOT) + b"".join(map(encode_entry, ENTRIES))
    return lines + (encode_proof(proof) if proof is not None else b"")


def read(data: bytes) -> tuple[Reader, list[Entry]]:
    reader = Reader(io.BytesIO(data).readline, "x.roots")
    return reader, list(reader.entries())


def test_the_bytes() -> None:
    assert encode_header(None, 0, ROOT) == (
        f'{{"commit":null,"count":0,"format":"dbx-roots/1","index":"{ROOT.hex()}"}}\n'.encode()
    )
    assert encode_entry(ENTRIES[0]) == b'["order","o-1",3,"' + b"01" * 32 + b'"]\n'
    assert encode_proof("a\nb") == b'{"proof":"a\\nb"}\n'


@pytest.mark.parametrize("proof", [None, "c2sp.org/tlog-proof@v1\nindex 3\n"])
@pytest.mark.parametrize("commit", [None, LINE])
def test_what_was_written_is_read(commit: bytes | None, proof: str | None) -> None:
    reader, entries = read(text(commit=commit, proof=proof))
    assert tuple(entries) == ENTRIES
    assert reader.header.line == commit
    assert reader.header.commit == (None if commit is None else COMMIT)
    assert (reader.header.aggregates, reader.header.root, reader.proof) == (2, ROOT, proof)


def fault(data: bytes) -> tuple[int, str]:
    with pytest.raises(Corrupt) as caught:
        read(data)
    assert caught.value.details["file"] == "x.roots"
    line = caught.value.details["line"]
    assert f"line {line}:" in caught.value.message
    return line, caught.value.message


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        (b"dbx-roots/1", b"dbx-roots/2", 1, "newer dbx"),
        (b'"format":"dbx-roots/1"', b'"format":"tar"', 1, "not the first line"),
        (b'"format"', b'"extra":1,"format"', 1, "newer dbx"),
        (b'"count":2', b'"count":-2', 1, "count"),
        (b'"count":2', b'"count":true', 1, "count"),
        (b'"count":2', b'"count":3', 4, "ends here"),
        (b'"count":2', b'"count":1', 3, "one more"),
        (b'"index":"00', b'"index":"0G', 1, "not a hash"),
        (b'"index":"00', b'"index":"ff', 1, "that its commit names"),
        (b'{"commit"', b'{ "commit"', 1, "not the first line"),
        (b'"commit":"', b'"commit":"x', 1, "commit"),
        (b'"o-1",3', b'"o-1",0', 2, "not an aggregate"),
        (b'"o-1",3', b'"o-1",03', 2, "not an aggregate"),
        (b'"o-1",3', b'"o-1", 3', 2, "not an aggregate"),
        (b'"o-1",3', b'"o-1",9007199254740992', 2, "not an aggregate"),
        (b'"o-1",3', b'"o 1",3', 2, "not an aggregate"),
        (b'"order","o-1"', b'"Order","o-1"', 2, "not an aggregate"),
        (b"01" * 32, b"0A" * 32, 2, "not an aggregate"),
        (b'02"]\n', b'02"]', 3, "cut off"),
        (b'02"]\n', b'02"]\n{"proof":1}\n', 4, "not text"),
        (b'02"]\n', b'02"]\n{"proof":"a","x":1}\n', 4, "newer dbx"),
        (b'02"]\n', b'02"]\n{"proof":"a"}\n\n', 5, "follows the proof"),
        (b'02"]\n', b'02"]\nrubbish\n', 4, "neither"),
        (b'["order","o-1"', b'{"proof":"a"}\n["order","o-1"', 2, "end here"),
    ],
)
def test_a_fault_is_named_with_its_line(old: bytes, new: bytes, line: int, said: str) -> None:
    whole = text()
    assert whole.count(old) >= 1
    found = fault(whole.replace(old, new, 1))
    assert found[0] == line
    assert said in found[1]


@pytest.mark.parametrize("data", [b"", b"\n", b"[]\n", b"\xff\xfe\n", b"null\n", b"{}\n", b"[" * 100_000])
def test_what_is_no_root_file(data: bytes) -> None:
    assert fault(data)[0] == 1


def test_no_line_is_read_beyond_its_bound() -> None:
    asked: list[int] = []

    class Endless:
        def __init__(self, *lines: bytes) -> None:
            self.lines = list(lines)

        def readline(self, size: int) -> bytes:
            asked.append(size)
            return self.lines.pop(0) if self.lines else b"x" * size

    for lines, bound in (
        ((), MAX_HEADER_BYTES),
        ((encode_header(None, 1, ROOT),), MAX_ENTRY_BYTES),
        ((encode_header(None, 0, ROOT),), MAX_PROOF_BYTES),
    ):
        with pytest.raises(Corrupt, match=f"longer than {bound} bytes"):
            list(Reader(Endless(*lines).readline, "x").entries())
        assert asked[-1] == bound + 1


def test_the_longest_lines_fit() -> None:
    entry = Entry("t" * 64, "i" * 128, 2**53 - 1, ROOT)
    assert len(encode_entry(entry)) <= MAX_ENTRY_BYTES
    assert decode_entry(encode_entry(entry)[:-1]) == entry
    long = encode_commit(
        Commit(None, None, 1, UUID, "a" * 64, ROOT.hex(), "\u0001" * 10_000, None, 0, None, 0, COMMIT.time)
    )
    line = encode_header(long, 2**53 - 1, ROOT)
    assert len(line) <= MAX_HEADER_BYTES
    assert decode_header(line[:-1]).line == long
