"""Events as lines between a client and a server; the other messages are tested with those who send them."""

from __future__ import annotations

import pytest

from dbx.errors import Corrupt
from dbx.formats import wire

ENVELOPE = b'{"aggregate_id":"o-1","issued_by":{"group":"ops","user":"jane"},"version":3}'
BODY = b'{"payload":{"a":{"body":null}},"salt":"AAAAAAAAAAAAAAAA"}'


def test_events_with_and_without_a_body() -> None:
    lines = wire.encode_events([ENVELOPE, ENVELOPE], [BODY, b""]).split(b"\n")
    assert lines == [b'{"envelope":%b,"body":%b}' % (ENVELOPE, body) for body in (BODY, b"null")] + [b""]
    assert [wire.split_event(line) for line in lines[:2]] == [(ENVELOPE, BODY), (ENVELOPE, b"")]


@pytest.mark.parametrize(
    "line", [b"", b"null", b"{}", b'{"envelope":{},"body":}', b'{"envelope":{}', b'},"body":null}']
)
def test_what_is_no_event(line: bytes) -> None:
    with pytest.raises(Corrupt, match="should hold an event"):
        wire.split_event(line)
