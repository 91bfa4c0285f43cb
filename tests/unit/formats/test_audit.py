"""Lines and head of the audit trail: one spelling, and everything else is damage."""

from __future__ import annotations

import pytest

from dbx.errors import Corrupt
from dbx.formats.audit import AuditEntry, AuditHead, decode_entry, decode_head, encode_entry, encode_head
from dbx.formats.envelope import Actor

ENTRY = AuditEntry(0, "2026-11-26T08:00:00.000000Z", Actor("ops", "jane"), "token.issue", None, {"jti": "a"}, "t")


def test_round_trip() -> None:
    for entry in (ENTRY, ENTRY._replace(token=None, domain="sales", n=12)):
        assert decode_entry(encode_entry(entry)) == entry
    head = AuditHead(3, 99, (b"a" * 32, b"b" * 32))
    assert decode_head(encode_head(head)) == head


@pytest.mark.parametrize(
    "line", [b"", b"1", b"{}", encode_entry(ENTRY)[:-1], encode_entry(ENTRY).replace(b'"v":1', b'"v":2')]
)
def test_other_lines_are_damage(line: bytes) -> None:
    with pytest.raises(Corrupt):
        decode_entry(line)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}\n",
        b'{"bytes":0,"edge":[],"size":1}\n',
        b'{"bytes":-1,"edge":[],"size":0}\n',
        b'{"bytes":0,"edge":["00"],"size":1}\n',
        b'{"bytes":0,"edge":[],"size":0}',
    ],
)
def test_other_heads_are_damage(data: bytes) -> None:
    with pytest.raises(Corrupt):
        decode_head(data)
