"""Strict JSON in, canonical JSON out, and every trap on the way. Published vectors: test_canonical_vectors.py."""

from __future__ import annotations

import json
from collections import OrderedDict
from enum import IntEnum
from itertools import count
from typing import Any

import pytest

from dbx.errors import Corrupt, Invalid
from dbx.formats import canonical, es6json

SAFE = 2**53 - 1


def refusal(text: str | bytes, **options: Any) -> Invalid:
    with pytest.raises(Invalid) as caught:
        canonical.loads(text, what="payload", **options)
    return caught.value


# --- the traps --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a":1,"b":2,"a":3}', "duplicate key 'a' in payload at line 1 column 14"),
        ('{"x":{"a":1,\n  "\\u0061":2}}', "duplicate key 'a' in payload at line 2 column 3"),
        ('{"a":[{"b":1},{"b":1,"b":1}]}', "duplicate key 'b' in payload at line 1 column 22"),
        ('{"":1,"":1}', "duplicate key '' in payload at line 1 column 7"),
        ('{"\\u001b[0m":1,"\\u001b[0m":1}', "duplicate key '\\x1b[0m' in payload at line 1 column 16"),
        ('{"amount":NaN}', "non-JSON number 'NaN' in payload field 'amount' at line 1 column 11"),
        ("[Infinity]", "non-JSON number 'Infinity' in payload at line 1 column 2"),
        ("[-Infinity]", "non-JSON number '-Infinity' in payload at line 1 column 2"),
        ('{"a":{"b":[1,\n1e400]}}', "number too large for a double in payload field 'a.b' at line 2 column 1"),
        ("-1e400", "number too large for a double in payload at line 1 column 1"),
        ("9" * 5000, "number too large for a double in payload at line 1 column 1"),
        ('{"n":' + "-" + "9" * 5000 + "}", "number too large for a double in payload field 'n' at line 1 column 6"),
        ('{"n":9007199254740992}', "whole number beyond ±(2^53-1) in payload field 'n' at line 1 column 6"),
        ("-9007199254740992", "whole number beyond ±(2^53-1) in payload at line 1 column 1"),
        ("9007199254740991.5", "whole number beyond ±(2^53-1) in payload at line 1 column 1"),
        ("1e20", "whole number beyond ±(2^53-1) in payload at line 1 column 1"),
        ("[9007199254740993-5]", "whole number beyond ±(2^53-1) in payload at line 1 column 2"),
        ('{"k":"\\ud800"}', "lone surrogate U+D800 in payload field 'k' at line 1 column 6"),
        ('"\\uDC00\\uD800"', "lone surrogate U+DC00 in payload at line 1 column 1"),
        ('"\ud800"', "lone surrogate U+D800 in payload at line 1 column 1"),
        ('{"k":"\ufffe"}', "noncharacter U+FFFE in payload field 'k' at line 1 column 6"),
        ('"\\ud83f\\udfff"', "noncharacter U+1FFFF in payload at line 1 column 1"),
        ('"\\uFDEF"', "noncharacter U+FDEF in payload at line 1 column 1"),
        ('{"\\ud800":1}', "lone surrogate U+D800 in payload field '\\ud800' at line 1 column 2"),
        ("\ufeff{}", "payload starts with a byte order mark"),
        ("", "payload is empty where JSON is expected"),
        (" \n", "payload is empty where JSON is expected"),
        ("{} x", "payload is not JSON: more follows after the value at line 1 column 4"),
        ("\n\n{}\n{}", "payload is not JSON: more follows after the value at line 4 column 1"),
        ("[1,]", "payload is not JSON: expecting a value at line 1 column 4"),
        ('["a\nb"]', "payload is not JSON: invalid control character at line 1 column 4"),
        ('["a', "payload is not JSON: unterminated string at line 1 column 2"),
        ("\u00a0{}", "payload is not JSON: expecting a value at line 1 column 1"),
        ("[" * 100_000, "payload nests deeper than 64 at line 1 column 65"),
        ("[" * 65 + "]" * 65, "payload nests deeper than 64 at line 1 column 65"),
        ('{"a":' * 100_000, "payload nests deeper than 64 at line 1 column 321"),
        ('\n{"a":[' * 50_000 + "1" + "]}" * 50_000, "payload nests deeper than 64 at line 34 column 1"),
    ],
    ids=count(),  # the texts are too long to be names
)
def test_a_refusal_says_what_and_where(text: str, message: str) -> None:
    fault = refusal(text)
    assert fault.message == message
    if " at line " in message:
        assert message.endswith(f" at line {fault.details['line']} column {fault.details['column']}")
        later = refusal(text, first_line=41)
        assert later.details == {"line": fault.details["line"] + 40, "column": fault.details["column"]}
    try:
        assert refusal(text.encode()).message == message
    except UnicodeEncodeError:
        assert "\ud800" in text


@pytest.mark.parametrize(
    ("data", "offset"),
    [
        (b"\xff\xfe{\x00}\x00", 0),
        (b'{"a":"\xc3("}', 6),
        (b'"\xed\xa0\x80"', 1),
        (b'"\xc0\xaf"', 1),
        (b'"abc\xe2\x82', 4),
    ],
)
def test_bytes_are_strict_utf8(data: bytes, offset: int) -> None:
    fault = refusal(data)
    assert fault.message == f"payload is not UTF-8: bad byte at offset {offset}"
    assert fault.details == {"offset": offset}


def test_utf16_without_a_mark_is_refused() -> None:
    for encoding in ("utf-16-le", "utf-16-be", "utf-32-le"):
        assert refusal('{"a":1}'.encode(encoding)).status == 5


def test_no_value_is_ever_told() -> None:
    secret = "tell-nobody"
    for text in (
        f'{{"k":"{secret}","k":"{secret}"}}',
        f'{{"k":"{secret}\\ud800"}}',
        f'{{"k":"{secret}',
        f'{{"k":"{secret}" x}}',
        f'["{secret}",123456789012345678]',
        f'["{secret}\x01"]',
    ):
        fault = refusal(text)
        assert secret not in fault.message + str(fault.hint) + str(fault.details)
        assert "12345" not in fault.message
    with pytest.raises(Invalid) as caught:
        canonical.encode({"k": [secret.encode()]})
    assert secret not in caught.value.message


def test_long_keys_are_shortened_in_messages() -> None:
    key = "k" * 10_000
    assert len(refusal(f'{{"{key}":1,"{key}":2}}').message) < 200
    assert len(refusal(f'{{"{key}":1e999}}').message) < 200


def test_refusals_take_linear_time() -> None:
    # Quadratic behaviour would take minutes on any of these.
    quotes = '"' + '\\"' * 500_000
    for text in ("[" * 100_000 + quotes, quotes, '{"a":' * 500_000, "9" * 1_000_000, "[" + "1," * 500_000 + "1e999]"):
        assert refusal(text).status == 5


def test_depth_counts_containers_not_brackets_in_strings() -> None:
    for text in (
        "[" * 64 + "]" * 64,
        '{"a":' * 64 + "1" + "}" * 64,
        '["' + "[{" * 500 + '"]',
        "[" + "[]," * 100 + "[]]",
    ):
        canonical.loads(text)
        canonical.check_rest(text)
    assert refusal('{"a":[[]]}', max_depth=2).message == "payload nests deeper than 2 at line 1 column 7"


def test_depth() -> None:
    cases = [(None, 0), ("[[", 0), ({}, 1), ([], 1), ([1], 1), ({"a": {}}, 2), ([[], [[[]]], {"a": 1}], 4)]
    for value, wanted in cases:
        assert canonical.depth(value) == wanted


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-0", 0),
        ("-0.0", 0),
        ("0e7", 0),
        ("1.0", 1),
        ("1e2", 100),
        ("1.5e1", 15),
        ("9007199254740991", SAFE),
        ("-9007199254740991", -SAFE),
        ("9007199254740991.0", SAFE),
        ("90071992547409.91e2", SAFE),
        ("123456789012345", 123456789012345),
        ("1" + "0" * 21, 1e21),
        ("-1e21", -1e21),
        ("1e-400", 0),
        ("0." + "3" * 5000, 1 / 3),
        ("4.9e-324", 5e-324),
        ("1.7976931348623157e308", 1.7976931348623157e308),
    ],
)
def test_equal_numbers_become_one_value(text: str, value: float) -> None:
    for found in (canonical.loads(text), canonical.scan(text)[0], canonical.normalise(value)):
        assert found == value
        assert type(found) is type(value)
        assert str(found) == str(value)


# --- scan -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ('{"a":1}', True),
        (' {"a":1}\r\n', True),
        ('{"a":1,"a":2}', True),
        ('{"a":"ü"}', False),
        ('{"a":"\\n"}', False),
        ('"\\ud800"', False),
        ("[" * 100 + "]" * 100, True),
    ],
)
def test_scan_says_what_remains(text: str, complete: bool) -> None:
    value, found = canonical.scan(text)
    assert found is complete
    assert value == json.loads(text)


@pytest.mark.parametrize(
    "text", ["NaN", "1e999", "9007199254740992", "{}x", "", "[1,]", '"\n"', "[" * 100_000, "\ufeff1"]
)
def test_scan_refuses_at_once_what_it_checks(text: str) -> None:
    with pytest.raises(Invalid, match=r"^line 7\b|line 7"):
        canonical.scan(text, what="line 7")


@pytest.mark.parametrize(
    "text", ['{"a":1,"a":2}', '{"a":1,"\\u0061":2}', '"\\ud800"', '"\uffff"', "[" * 65 + "]" * 65, '{"k":{"":0,"":0}}']
)
def test_check_rest_refuses_what_scan_lets_pass(text: str) -> None:
    canonical.scan(text)
    with pytest.raises(Invalid):
        canonical.check_rest(text)


# --- encoding ---------------------------------------------------------------------------------------------------------


class Colour(IntEnum):
    RED = 1


class Name(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [True, False, None]}, '{"a":[true,false,null],"b":1}'),
        ({"a": (1, (2.0,)), "b": ()}, '{"a":[1,[2]],"b":[]}'),
        (OrderedDict(z=1.0, y=-0.0), '{"y":0,"z":1}'),
        ([Colour.RED, Name("x")], '[1,"x"]'),
        ([1e-5, 1.5e-6, 1e-7, 1.25e-9, 1e-10, 0.0001], "[0.00001,0.0000015,1e-7,1.25e-9,1e-10,0.0001]"),
        ({"ids": ["1e-05", "3e-07]"]}, '{"ids":["1e-05","3e-07]"]}'),
        ([1e21, -1.5e300, 5e-324], "[1e+21,-1.5e+300,5e-324]"),
        ({"\U0001f600": 1, "\ufb33": 2, "\u20ac": 3, "1": 4}, '{"1":4,"\u20ac":3,"\U0001f600":1,"\ufb33":2}'),
        ('\x00\b\t\n\f\r\x1f\x7f"\\/\u2028é', '"\\u0000\\b\\t\\n\\f\\r\\u001f\x7f\\"\\\\/\u2028é"'),
        ({}, "{}"),
        ([], "[]"),
        (True, "true"),
    ],
)
def test_encode_writes_rfc_8785(value: Any, text: str) -> None:
    assert canonical.encode_text(value) == es6json.write(value, what="it") == text
    assert canonical.encode(value) == text.encode()
    made = canonical.normalise(value)
    assert made == canonical.loads(text)
    assert canonical.encode_scanned(made) == text


def circle() -> list[Any]:
    ring: list[Any] = []
    ring.append({"again": ring})
    return ring


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [float("nan")]}, "number that is not finite in event field 'a'"),
        (float("-inf"), "number that is not finite in event"),
        ({"a": {"b": 2**53}}, "whole number beyond ±(2^53-1) in event field 'a.b'"),
        (-(2**53), "whole number beyond ±(2^53-1) in event"),
        ([10**6000], "whole number beyond ±(2^53-1) in event"),
        (10**21, "whole number beyond ±(2^53-1) in event"),
        ({"a": 1e16}, "whole number beyond ±(2^53-1) in event field 'a'"),
        ({1: 2}, "key of type 'int', not a string, in event"),
        ({"a": {None: 2}}, "key of type 'NoneType', not a string, in event field 'a'"),
        ({True: 2, "true": 2}, "key of type 'bool', not a string, in event"),
        ({"a": b"x"}, "Python type 'bytes', which JSON does not have, in event field 'a'"),
        ([{1, 2}], "Python type 'set', which JSON does not have, in event"),
        ({"a": "\ud800"}, "lone surrogate U+D800 in event field 'a'"),
        ({"a\udfff": 1}, "lone surrogate U+DFFF in event"),
        ({"a": "\U0010fffe"}, "noncharacter U+10FFFE in event field 'a'"),
        (circle(), "event nests too deep, or holds itself"),
    ],
)
def test_encode_refuses_what_json_cannot_hold(value: Any, message: str) -> None:
    for make in (canonical.encode_text, canonical.encode, canonical.normalise):
        with pytest.raises(Invalid) as caught:
            make(value, what="event")
        assert caught.value.message == message


def test_normalise_makes_a_fresh_value_and_limits_depth() -> None:
    given: dict[str, Any] = {"a": [{}], "n": 2.0}
    made = canonical.normalise(given)
    assert made == given
    assert made["a"] is not given["a"]
    assert type(made["n"]) is int
    deep: list[Any] = []
    for _ in range(64):
        deep = [deep]
    with pytest.raises(Invalid, match=r"^payload nests deeper than 64$"):
        canonical.normalise(deep, what="payload")
    assert canonical.normalise(deep[0]) == deep[0]


def test_scanned_values_with_unchecked_characters_are_refused_where_it_shows() -> None:
    with pytest.raises(Invalid, match="lone surrogate"):
        canonical.encode_scanned(canonical.scan('["\\ud800",1e-5]')[0])


def test_depth_near_the_end_of_the_stack_gives_invalid_and_no_other_error() -> None:
    refused = 0
    for levels in range(300, 1100, 5):
        text = "[" * levels + "1e-7" + "]" * levels
        try:
            value, _ = canonical.scan(text)
            assert canonical.encode_scanned(value) == text
            assert canonical.encode_text(value) == text
        except Invalid as fault:
            assert "nests" in fault.message  # noqa: PT017 - which step refuses depends on the stack below us
            refused += 1
    assert refused > 10


# --- decode -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b'{"a": 1}',
        b'{"a":1}\n',
        b' {"a":1}',
        b'{"b":1,"a":1}',
        b'{"a":1,"a":1}',
        b'{"a":1.0}',
        b'{"a":-0}',
        b'{"a":1e-05}',
        b'{"a":1e-5}',
        b'{"a":"\\u0061"}',
        b'{"a":"\\/"}',
        b'{"a":"\\u001F"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\\ud800","b":0.00001}',
        b'{"a":"\xef\xbf\xbe"}',
        b'{"a":9007199254740992}',
        b'{"\xef\xac\xb3":2,"\xf0\x9f\x98\x80":1}',
        b"\xef\xbb\xbf{}",
        b'{"a":"\xff"}',
        b"{",
        b"",
        b"[" * 129 + b"]" * 129,
        b"[" * 100_000,
    ],
)
def test_decode_takes_canonical_bytes_only(data: bytes) -> None:
    with pytest.raises(Corrupt) as caught:
        canonical.decode(data, what="commit")
    assert "commit" in caught.value.message


def test_decode_gives_back_what_was_encoded() -> None:
    for value in ({"a": [0.00001, {"\U0001f600": 1, "\ufb33": "ü"}], "b": "\n"}, [], 1, "x", None):
        assert canonical.decode(canonical.encode(value)) == value
    canonical.decode(b"[" * 128 + b"]" * 128)


def test_the_fallback_without_the_c_encoder_writes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("json.encoder.c_make_encoder", None)
    chunks = canonical._make_writer()
    for value in ({"b": [1, 2.5, "ü\n"], "a": {}}, [True, None], "x", 1e22):
        assert "".join(chunks(value, 0)) == canonical.encode_text(value)
    with pytest.raises(TypeError):
        chunks({"a": b""}, 0)
