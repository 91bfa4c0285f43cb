"""Envelopes and bodies: the examples of format.md §3, the limits, and what a stranger may not slip in."""

import json

import pytest

from dbx.errors import Corrupt, Invalid
from dbx.formats import canonical
from dbx.formats.envelope import (
    MAX_BODY_BYTES,
    MAX_ENVELOPE_BYTES,
    MAX_EVENT_ID,
    MAX_INTEGER,
    MAX_METADATA_BYTES,
    MAX_PAYLOAD_BYTES,
    Actor,
    Body,
    Envelope,
    decode_body,
    decode_envelope,
    encode_body,
    encode_envelope,
    is_actor_text,
    is_text,
    is_time,
    join_body,
)

HASH = "0f" * 32
EVENT = Envelope(
    "o-17", "order", HASH, "2026-11-23T07:42:00.123456Z", 250526281754464263, "order_placed", Actor("ops", "jane"), 3
)
LINE = (
    '{"aggregate_id":"o-17","aggregate_type":"order","body":"' + HASH + '","created_at":"2026-11-23T07:42:00.123456Z",'
    '"event_id":"250526281754464263","event_type":"order_placed","issued_by":{"group":"ops","user":"jane"},"version":3}'
).encode()
SALT = "AAECAwQFBgcICQ-_"


def test_envelope_has_the_spelling_of_the_format_page() -> None:
    assert encode_envelope(EVENT) == LINE
    assert decode_envelope(LINE) == EVENT
    assert canonical.encode(json.loads(LINE)) == LINE


def test_envelope_without_issuer_leaves_it_out() -> None:
    event = EVENT._replace(issued_by=None)
    line = encode_envelope(event)
    assert b"issued_by" not in line
    assert canonical.encode(json.loads(line)) == line
    assert decode_envelope(line) == event


@pytest.mark.parametrize(
    "name", ['say "hi"', "back\\slash", "Jürgen", "𝔘𝔫𝔦", "a" * 128, " ", "\u2028", "\ue000\U0001f600"]
)
def test_issuer_text_is_escaped_canonically(name: str) -> None:
    event = EVENT._replace(issued_by=Actor(name, name))
    line = encode_envelope(event)
    assert canonical.encode(json.loads(line)) == line
    assert decode_envelope(line) == event


@pytest.mark.parametrize("name", ["", "a" * 129, "a\nb", "\x00", "\x7f", "\x85", "\ud800", "\ufffe", "\ufdd0"])
def test_unfit_issuer_is_refused(name: str) -> None:
    assert not is_actor_text(name)
    with pytest.raises(Invalid):
        encode_envelope(EVENT._replace(issued_by=Actor(name, "u")))
    with pytest.raises(Invalid):
        encode_envelope(EVENT._replace(issued_by=Actor("g", name)))
    for spelled in (json.dumps(name), json.dumps(name, ensure_ascii=False)):
        with pytest.raises(Corrupt):
            decode_envelope(LINE.replace(b'"jane"', spelled.encode("utf-8", "surrogatepass")))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"version":3', '"version":0'),
        ('"version":3', '"version":03'),
        ('"version":3', '"version":-3'),
        ('"version":3', '"version":3.0'),
        ('"version":3', '"version":"3"'),
        ('"version":3', f'"version":{MAX_INTEGER + 1}'),
        ('"version":3', '"version":3 '),
        ("250526281754464263", "0250526281754464263"),
        ("250526281754464263", str(MAX_EVENT_ID + 1)),
        ("250526281754464263", "٣"),
        ('"250526281754464263"', "250526281754464263"),
        ("o-17", ""),
        ("o-17", "-17"),
        ("o-17", "o" * 129),
        ("o-17", "ö"),
        ("o-17", "o\\u002d17"),
        ('"order"', '"Order"'),
        ('"order"', '"order_' + "x" * 60 + '"'),
        ("order_placed", "order.placed"),
        ("order_placed", "o" * 129),
        (HASH, HASH.upper()),
        (HASH, HASH[1:]),
        ("2026-11-23", "2026-11-31"),
        ("2026-11-23", "2026-02-29"),
        ("2026-11-23", "0000-11-23"),
        ("T07:42:00", "T24:00:00"),
        ("T07:42:00", "T07:42:60"),
        ("T07:42:00", " 07:42:00"),
        (".123456Z", ".123Z"),
        (".123456Z", ".123456+00:00"),
        (',"issued_by":{"group":"ops","user":"jane"}', ',"issued_by":null'),
        ('{"group":"ops","user":"jane"}', '{"user":"jane","group":"ops"}'),
        ('{"group":"ops","user":"jane"}', '{"group":"ops"}'),
        ('"jane"', '"\\u006aane"'),
        ('"jane"', '"a\\/b"'),
        ('"jane"', '"a\\x"'),
        (',"aggregate_type":"order"', ""),
        ('{"aggregate_id"', ' {"aggregate_id"'),
        ('"version":3}', '"version":3}\n'),
    ],
)
def test_any_other_spelling_is_refused(old: str, new: str) -> None:
    assert old.encode() in LINE
    with pytest.raises(Corrupt):
        decode_envelope(LINE.replace(old.encode(), new.encode()))


@pytest.mark.parametrize("line", [b"", b"{}", b"\xff", b"null", b"[" * 60_000, b"{" * 60_000])
def test_what_is_no_envelope_is_refused(line: bytes) -> None:
    with pytest.raises(Corrupt):
        decode_envelope(line)


def test_unknown_member_is_from_a_newer_dbx() -> None:
    with pytest.raises(Corrupt, match="newer dbx"):
        decode_envelope(LINE[:-1] + b',"zone":"eu"}')


def test_overlong_envelope_is_refused_unread() -> None:
    with pytest.raises(Corrupt, match="more than"):
        decode_envelope(b" " * (MAX_ENVELOPE_BYTES + 1))


def test_the_longest_envelope_fits() -> None:
    longest = Envelope(
        "a" * 128, "t" * 64, HASH, EVENT.created_at, MAX_EVENT_ID, "e" * 128, Actor('"' * 128, "𝔘" * 128), MAX_INTEGER
    )
    assert decode_envelope(encode_envelope(longest)) == longest


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("2024-02-29T23:59:59.999999Z", True),
        ("0001-01-01T00:00:00.000000Z", True),
        ("2023-02-29T00:00:00.000000Z", False),
        ("2023-02-28T00:00:00.00000Z", False),
        ("2023-02-28T00:00:00.000000z", False),
        ("2023-02-28T00:00:00.000000Z\n", False),
        ("２023-02-28T00:00:00.000000Z", False),
    ],
)
def test_a_time_has_one_spelling(text: str, good: bool) -> None:
    assert is_time(text) is good


def test_text_is_what_i_json_carries() -> None:
    assert is_text("a\n\t\x00é𝔘\ufffd")
    assert not is_text("a\n\ud800")
    assert not is_text("a\n\U0010ffff")


def test_body_has_the_spelling_of_the_format_page() -> None:
    body = Body({"b": 1, "a": [True, None, 1.5]}, {"@actor": "csr-22"}, "naïve", SALT)
    line = (
        '{"metadata":{"@actor":"csr-22"},"note":"naïve","payload":{"a":[true,null,1.5],"b":1},"salt":"' + SALT + '"}'
    ).encode()
    assert encode_body(body) == line
    assert decode_body(line) == body
    assert join_body('{"a":[true,null,1.5],"b":1}', '{"@actor":"csr-22"}', '"naïve"', SALT) == line


def test_body_leaves_out_what_is_empty() -> None:
    line = b'{"payload":{},"salt":"' + SALT.encode() + b'"}'
    assert encode_body(Body({}, {}, "", SALT)) == line
    assert decode_body(line) == Body({}, None, None, SALT)


@pytest.mark.parametrize(
    "line",
    [
        '{"payload":{},"salt":"%s"} ',
        ' {"payload":{},"salt":"%s"}',
        '{"payload":{} ,"salt":"%s"}',
        '{"payload":{"b":1,"a":1},"salt":"%s"}',
        '{"payload":{"a":1,"a":1},"salt":"%s"}',
        '{"payload":{"a":1.0},"salt":"%s"}',
        '{"payload":{"a":"\\u0061"},"salt":"%s"}',
        '{"payload":{"a":"\ufffe"},"salt":"%s"}',
        '{"payload":{"a":NaN},"salt":"%s"}',
        '{"payload":[],"salt":"%s"}',
        '{"payload":null,"salt":"%s"}',
        '{"salt":"%s"}',
        '{"salt":"%s","payload":{}}',
        '{"payload":{}}',
        '{"payload":{},"salt":"%s="}',
        '{"payload":{},"salt":"%s\\n"}',
        '{"payload":{},"salt":null}',
        '{"payload":{"a":{},"salt":"%s"}',
        '{"metadata":{},"payload":{},"salt":"%s"}',
        '{"metadata":null,"payload":{},"salt":"%s"}',
        '{"metadata":[1],"payload":{},"salt":"%s"}',
        '{"metadata":{"actor":1},"payload":{},"salt":"%s"}',
        '{"metadata":{"@":1},"payload":{},"salt":"%s"}',
        '{"metadata":{"@-a":1},"payload":{},"salt":"%s"}',
        '{"metadata":{"@a\\n":1},"payload":{},"salt":"%s"}',
        '{"note":"","payload":{},"salt":"%s"}',
        '{"note":null,"payload":{},"salt":"%s"}',
        '{"note":1,"payload":{},"salt":"%s"}',
        '{"note":"n","payload":[],"salt":"%s"}',
        '{"note":"n","payload":{},"salt":1}',
        '{"note":"n","salt":"%s"}',
        '{"payload":{},"note":"n","salt":"%s"}',
        "",
        "[]",
        "{}",
    ],
)
def test_any_other_body_is_refused(line: str) -> None:
    with pytest.raises(Corrupt):
        decode_body(line.replace("%s", SALT).encode())


@pytest.mark.parametrize("salt", ["AAECAwQFBgcICQo", "AAECAwQFBgcICQo/", "AAECAwQFBgcICQ==", "AAECAwQFBgcICQéé"])
def test_salt_is_base64url_of_twelve_bytes(salt: str) -> None:
    with pytest.raises(Corrupt):
        decode_body(f'{{"payload":{{}},"salt":"{salt}"}}'.encode())
    with pytest.raises(Corrupt):
        decode_body(f'{{"note":"n","payload":{{}},"salt":"{salt}"}}'.encode())


@pytest.mark.parametrize("start", ['{"payload":{},"salt":"%s"', '{"note":"n","payload":{},"salt":"%s"'])
def test_unknown_body_member_is_from_a_newer_dbx(start: str) -> None:
    with pytest.raises(Corrupt, match="newer dbx"):
        decode_body(start.replace("%s", SALT).encode() + b',"zone":"eu"}')


def _nested(depth: int) -> dict[str, object]:
    value: dict[str, object] = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


def _padded(length: int) -> dict[str, object]:
    """An object whose canonical text is `length` bytes."""
    return {"@a": "x" * (length - len('{"@a":""}'))}


@pytest.mark.parametrize(
    "body",
    [
        Body(_nested(64), None, None, SALT),
        Body(_nested(64), _nested(63) | {"@a": _nested(63)}, "n", SALT),
        Body(_padded(MAX_PAYLOAD_BYTES), _padded(MAX_METADATA_BYTES), "é" * 128, SALT),
    ],
)
def test_what_just_fits_passes(body: Body) -> None:
    if body.metadata:
        body = body._replace(metadata={key: value for key, value in body.metadata.items() if key[0] == "@"})
    assert decode_body(encode_body(body)) == body


@pytest.mark.parametrize(
    "body",
    [
        Body(_nested(65), None, None, SALT),
        Body({}, {"@a": _nested(64)}, None, SALT),
        Body(_padded(MAX_PAYLOAD_BYTES + 1), None, None, SALT),
        Body(_padded(MAX_PAYLOAD_BYTES + 1), None, "n", SALT),
        Body({}, _padded(MAX_METADATA_BYTES + 1), None, SALT),
        Body({}, {"a": 1}, None, SALT),
        Body({}, None, "é" * 129, SALT),
    ],
)
def test_what_just_does_not_fit_is_refused(body: Body) -> None:
    with pytest.raises(Invalid):
        encode_body(body)
    line = join_body(
        canonical.encode_text(body.payload),
        canonical.encode_text(body.metadata) if body.metadata else None,
        canonical.encode_text(body.note) if body.note else None,
        SALT,
    )
    with pytest.raises(Corrupt):
        decode_body(line)


def test_overlong_body_is_refused_unread() -> None:
    with pytest.raises(Corrupt, match="more than"):
        decode_body(b" " * (MAX_BODY_BYTES + 1))
