"""dbx/formats/httphead.py: heads of requests, and what is refused."""

from __future__ import annotations

import pytest

from dbx.errors import Invalid
from dbx.formats.httphead import parse_head


def test_a_head() -> None:
    head = parse_head(b"POST /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\nAccept: a\r\nACCEPT:\tb ")
    assert (head.method, head.target, head.minor, head.length, head.keeps_open) == ("POST", "/a?b=c", 1, 12, True)
    assert head.fields["accept"] == "a, b"


@pytest.mark.parametrize(
    ("data", "keeps"),
    [
        (b"GET / HTTP/1.1", True),
        (b"GET / HTTP/1.1\r\nConnection: x, Close", False),
        (b"GET / HTTP/1.0", False),
        (b"GET / HTTP/1.0\r\nConnection: Keep-Alive", True),
    ],
)
def test_who_stays(data: bytes, keeps: bool) -> None:
    assert parse_head(data).keeps_open is keeps


def test_chunks_have_no_length() -> None:
    assert parse_head(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked").length is None
    assert parse_head(b"GET / HTTP/1.1").length == 0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET /",
        b"GET / HTTP/2.0",
        b"GET  / HTTP/1.1",
        b"GET / HTTP/1.1 ",
        b" GET / HTTP/1.1",
        b"GET /\x00 HTTP/1.1",
        b"G\xc3\x89T / HTTP/1.1",
        b"GET / HTTP/1.1\nHost: x",
        b"GET / HTTP/1.1\r\nHost : x",
        b"GET / HTTP/1.1\r\n folded",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b",
        b"GET / HTTP/1.1\r\nA: b\x00c",
        b"GET / HTTP/1.1\r\nA: b\rc",
        b"GET / HTTP/1.1\r\n: b",
        b"GET / HTTP/1.1\r\nContent-Length: +1",
        b"GET / HTTP/1.1\r\nContent-Length: 1, 1",
        b"GET / HTTP/1.1\r\nContent-Length: -1",
        b"GET / HTTP/1.1\r\nContent-Length: 0x1",
        b"GET / HTTP/1.1\r\nContent-Length: ",
        b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1",
        b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
        b"GET / HTTP/1.1\r\nContent-Length: 999999999999999999",
        b"GET / HTTP/1.1" + b"\r\nA: b" * 101,
    ],
)
def test_what_two_could_read_differently_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid):
        parse_head(data)
