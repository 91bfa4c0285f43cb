"""Lines of the staging file: one spelling each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbx.errors import Corrupt
from dbx.formats import canonical, staging
from dbx.formats.envelope import Actor, Body, Envelope, encode_body, encode_envelope

BATCH = "11111111-1111-4111-8111-111111111111"
DOMAIN = "01234567-89ab-4def-8123-456789abcdef"


def test_the_header() -> None:
    line = staging.encode_header(BATCH, DOMAIN)
    assert line == b'{"batch":"%b","domain":"%b","format":1}\n' % (BATCH.encode(), DOMAIN.encode())
    assert staging.decode_header(line) == staging.decode_header(line[:-1]) == (BATCH, DOMAIN)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"\xff",
        staging.encode_header(BATCH.upper().replace("1", "A"), DOMAIN),
        staging.encode_header(BATCH, DOMAIN)[1:],
        staging.encode_header(BATCH, DOMAIN) + b"x",
        staging.encode_header(BATCH, DOMAIN).replace(b":1", b": 1"),
        staging.encode_header(BATCH, DOMAIN).replace(b'"format":1', b'"format":1,"x":2'),
    ],
)
def test_no_header(line: bytes) -> None:
    with pytest.raises(Corrupt, match="does not begin as it should"):
        staging.decode_header(line)


def test_a_header_of_a_newer_dbx() -> None:
    with pytest.raises(Corrupt, match="newer dbx") as caught:
        staging.decode_header(staging.encode_header(BATCH, DOMAIN).replace(b'"format":1', b'"format":2'))
    assert caught.value.hint == "upgrade dbx"


def test_the_seal() -> None:
    line = staging.encode_seal(12, "ab" * 32)
    assert line.startswith(staging.SEAL_START)
    assert staging.decode_seal(line) == staging.decode_seal(line[:-1]) == (12, "ab" * 32)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"12", b"0"), (b"12", b"012"), (b"12", b"-1"), (b"12", b"1e3"), (b"ab", b"AB"), (b"}", b"} "), (b"ab", b"")],
)
def test_no_seal(old: bytes, new: bytes) -> None:
    with pytest.raises(Corrupt, match="a seal of the staging file"):
        staging.decode_seal(staging.encode_seal(12, "ab" * 32).replace(old, new, 1))


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn", "Co"]), min_size=1, max_size=20)


@given(
    user=TEXT | st.sampled_from(['},"body":{', '"},"body":{"', "}}", "\\"]),
    payload=st.dictionaries(TEXT, TEXT | st.sampled_from(['},"body":{', '}},"body":{"'])),
)
def test_lines_are_taken_apart_where_they_were_joined(user: str, payload: dict[str, str]) -> None:
    envelope = encode_envelope(
        Envelope("o-1", "order", "ab" * 32, "2026-11-23T07:42:00.123456Z", 5, "placed", Actor("g", user), 1)
    )
    body = encode_body(Body(payload, None, None, "A" * 16))
    lines = staging.encode_lines([envelope, envelope], [body, body])
    first, second, rest = lines.split(b"\n")
    assert (staging.split_line(first), staging.split_line(second), rest) == ((envelope, body), (envelope, body), b"")
    canonical.loads(first)


@pytest.mark.parametrize(
    "line", [b"", b"{}", b'{"envelope":{},"body":{}', b'{"body":{},"envelope":{}}', b' {"envelope":{},"body":{}}']
)
def test_no_event(line: bytes) -> None:
    with pytest.raises(Corrupt, match="is not an event"):
        staging.split_line(line)
