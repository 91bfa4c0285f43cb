"""Laws of canonical JSON: fast and exact ways never differ, and bad input gives Invalid and nothing else."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dbx.errors import Corrupt, Invalid
from dbx.formats import canonical, es6json
from dbx.formats.es6number import EXPONENT_FROM, MAX_SAFE, format_number

NONCHARACTERS = "".join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
NONCHARACTERS += "".join(map(chr, range(0xFDD0, 0xFDF0)))

# Few enough characters that keys collide and sort across the planes, with every kind that is special.
SPECIAL = st.sampled_from('ab01"\\/\n\x1f\x7fé\u2028\ud7ff\ue000\ufb33\uffef\U00010000\U0001f600\U0010fffdeE+-.')
TEXTS = st.text(SPECIAL, max_size=6) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=NONCHARACTERS), max_size=8
)
SMALL = st.floats(1e-12, 1e-3) | st.floats(-1e-3, -1e-12) | st.sampled_from([1e-5, 1.5e-6, 1e-7, 9.9e-9, 1e-10, -1e-9])
NUMBERS = st.integers(-MAX_SAFE, MAX_SAFE) | SMALL | st.floats(allow_nan=False, allow_infinity=False)


def holdable(number: float) -> bool:
    return abs(number) <= MAX_SAFE or abs(number) >= EXPONENT_FROM


SCALARS = st.none() | st.booleans() | NUMBERS.filter(holdable) | TEXTS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=5), max_leaves=20
)
ANYTHING = st.recursive(
    SCALARS | st.floats() | st.integers() | st.text(st.characters(), max_size=3) | st.binary(max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(TEXTS | st.integers() | st.none(), inner, max_size=3)
    ),
    max_leaves=8,
)


def same(one: Any, other: Any) -> bool:
    """Equality that tells True from 1 and 1 from 1.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(item, other[key]) for key, item in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def attempt(call: Callable[[], Any]) -> tuple[Any, Invalid | None]:
    try:
        return call(), None
    except Invalid as fault:
        return None, fault


@given(VALUES)
@settings(max_examples=200)
def test_every_way_to_encode_gives_the_exact_text(value: Any) -> None:
    exact = es6json.write(value, what="it")
    assert canonical.encode_text(value) == exact
    made = canonical.normalise(value)
    assert canonical.encode_scanned(made) == exact
    assert canonical.encode_text(made) == exact
    assert same(canonical.loads(exact), made)
    assert same(canonical.loads(json.dumps(value)), made)
    assert same(canonical.scan(json.dumps(value, ensure_ascii=False))[0], made)
    assert same(canonical.decode(exact.encode()), made)


@given(ANYTHING)
@settings(max_examples=200)
def test_fast_and_exact_refuse_alike(value: Any) -> None:
    exact, exact_fault = attempt(lambda: es6json.write(value, what="value"))
    text, fault = attempt(lambda: canonical.encode_text(value))
    assert text == exact
    assert str(fault) == str(exact_fault)


@given(st.dictionaries(TEXTS, st.integers(0, 9), max_size=8))
def test_keys_stand_in_utf16_order(value: dict[str, int]) -> None:
    def units(key: str) -> list[int]:
        data = key.encode("utf-16-le")
        return list(struct.unpack(f"<{len(data) // 2}H", data))

    written = [key for key, _ in json.loads(canonical.encode(value), object_pairs_hook=list)]
    assert written == sorted(value, key=units)


@given(SMALL | st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=200)
def test_python_and_ecmascript_differ_only_where_the_cheap_test_looks(number: float) -> None:
    written = format_number(number)
    assert float(written) == number
    assert len(written.lstrip("-").replace(".", "").strip("0")) <= len(repr(number))
    if written != repr(number):
        integral = number.is_integer() and abs(number) < EXPONENT_FROM
        assert integral or re.search(canonical._SMALL_FLOAT, repr(number))


def pairs_text(pairs: list[tuple[str, Any]]) -> str:
    inner = (f"{json.dumps(key)}:{pairs_text(item) if isinstance(item, list) else item}" for key, item in pairs)
    return "{" + ",".join(inner) + "}"


PLAIN_KEYS = st.text("ab", max_size=2)
PAIRS = st.recursive(
    st.lists(st.tuples(PLAIN_KEYS, st.integers(0, 3)), max_size=4),
    lambda inner: st.lists(st.tuples(PLAIN_KEYS, inner | st.sampled_from(['"x"', '"{["'])), max_size=4),
    max_leaves=6,
)


def has_duplicate(pairs: Any) -> bool:
    if not isinstance(pairs, list):
        return False
    return len({key for key, _ in pairs}) != len(pairs) or any(has_duplicate(item) for _, item in pairs)


@given(PAIRS)
@settings(max_examples=200)
def test_counting_quotes_finds_exactly_the_duplicate_keys(pairs: list[tuple[str, Any]]) -> None:
    text = pairs_text(pairs)
    value, complete = canonical.scan(text)
    assert complete
    lost = text.count('"') - canonical.encode_scanned(value).count('"')
    assert (lost > 0) is has_duplicate(pairs)
    _, fault = attempt(lambda: canonical.check_rest(text))
    assert (fault is not None) is (lost > 0)
    assert fault is None or "duplicate key" in fault.message


@given(st.text(st.characters(), max_size=4), st.booleans())
@settings(max_examples=200)
def test_characters_are_judged_alike_raw_and_escaped(text: str, ascii_only: bool) -> None:
    written = json.dumps({"k": text}, ensure_ascii=ascii_only)
    # Two escaped or literal halves of a pair become one character; what the parser makes of them is what counts.
    meant = json.loads(written)["k"]
    bad = any(0xD800 <= ord(one) <= 0xDFFF or one in NONCHARACTERS for one in meant)
    found, fault = attempt(lambda: canonical.loads(written))
    if bad:
        assert fault is not None
        assert "field 'k' at line 1 column 7" in fault.message
    else:
        assert found == {"k": meant}


PIECES = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"',
    '"a"',
    '"b":',
    "1",
    "-0",
    "1e5",
    "1e999",
    "NaN",
    "true",
    "\\",
    "\\u",
    "d800",
]
PIECES += ["ü", "9007199254740992", "-", "Infinity", "0.1", "'"]
PIECES += [" ", "\n", "\t", "\x00", "\ud800", "\ufffe", "\ufeff"]
FRAGMENTS = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)


@given(FRAGMENTS | st.binary(max_size=12) | VALUES.map(json.dumps).map(lambda text: text[:-1]))
@settings(max_examples=200)
def test_any_input_is_taken_or_refused_in_one_sentence(data: str | bytes) -> None:
    value, fault = attempt(lambda: canonical.loads(data))
    if fault is not None:
        assert "\n" not in fault.message
        assert "nests too deep" not in fault.message
        fault.message.encode()
    else:
        assert same(canonical.loads(canonical.encode(value)), value)
        assert value == json.loads(data, parse_int=float)
        if isinstance(data, str):
            assert canonical.scan(data)[0] == value
            canonical.check_rest(data)
    try:
        again = canonical.decode(data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass"))
    except Corrupt:
        return
    assert canonical.encode(again) == (data if isinstance(data, bytes) else data.encode())


@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text("ab"), inner), max_leaves=30))
def test_depth_is_the_longest_way_down(value: Any) -> None:
    def measure(item: Any) -> int:
        inner = item.values() if isinstance(item, dict) else item if isinstance(item, list) else None
        return 0 if inner is None else 1 + max(map(measure, inner), default=0)

    assert canonical.depth(value) == measure(value)
