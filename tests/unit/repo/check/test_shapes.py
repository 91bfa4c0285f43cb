"""Folding by patterns: the same as parsing, and never more than parsing would let pass."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbx.errors import Corrupt
from dbx.formats import canonical
from dbx.formats.envelope import Body, decode_body, encode_body
from dbx.repo.check.shapes import Block, Shapes, Tokens, join_tokens, split_tokens, unpack

SALT = "AAECAwQFBgcICQoL"
BODIES = [
    Body({"total": 12.5, "city": "Łódź", "tags": ["a", "b"], "note": None, "ok": True}, {"@by": "jane"}, "hello", SALT),
    Body({"n": 1, "deep": {"er": [{"x": 1, "y": []}, {"x": 2, "y": [1.25]}]}, "z": -3}, None, None, SALT),
    Body({"n": 0, "list": [[1, 2], [3]], "empty": {}, "none": []}, {"@a": {"b": 1}, "@z": [False]}, None, SALT),
    Body({"a b": 1, 'quote"d': "\\", "é": 1e21, "\U0001f600": 1e-7, "\uffee": 5}, None, "n", SALT),
    Body({}, None, None, SALT),
]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c d"]), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
payloads = st.dictionaries(st.sampled_from(["a", "b", "n", "Z", "a_", "a!", "é", "\uffee", "\U0001f600"]), json_values)


def fold(shapes: Shapes, lines: list[bytes]) -> tuple[bytes, bytes]:
    shapes.check(["kind"] * len(lines), lines)
    return fold_blocks(shapes, [([0] * len(lines), lines)], 1)[0]


def fold_blocks(shapes: Shapes, blocks: list[tuple[list[int], list[bytes]]], count: int) -> list[tuple[bytes, bytes]]:
    """(state, extensions) of each aggregate after blocks of (numbers, bodies); what they are depends on no option."""
    found = []
    for pack, in_one_piece, windows in itertools.product((False, True), (False, True), (1, 2)):
        states: list[Tokens | bytes] = [{} for _ in range(count)]
        extensions: list[Tokens] = [{} for _ in range(count)]
        held: list[Block] = [
            (numbers, ["kind"] * len(lines), b"".join(line + b"\n" for line in lines) if in_one_piece else lines)
            for numbers, lines in blocks
        ]
        half = len(held) // windows
        for window in (held[:half], held[half:]):
            shapes.fold(reversed(window), states, extensions, pack=pack)
        texts = [shapes.render(unpack(state)) for state in states]
        found.append(list(zip(texts, map(shapes.render, extensions), strict=True)))
    found.append(put_under(blocks, count))
    assert all(other == found[0] for other in found)
    return found[0]


def put_under(blocks: list[tuple[list[int], list[bytes]]], count: int) -> list[tuple[bytes, bytes]]:
    """The same by `put_under`, block by block, the last one first."""
    shapes = Shapes()
    kept: list[Tokens] = [{} for _ in range(count)]
    seen = [0] * count
    for numbers, lines in reversed(blocks):
        shapes.put_under(numbers, ["kind"] * len(lines), lines, seen, kept.__getitem__)
    found = []
    for tokens in kept:
        state, extensions = split_tokens(tokens)
        assert split_tokens(join_tokens(state, extensions)) == (state, extensions)
        found.append((shapes.render(state), shapes.render(extensions)))
    return found


def parsed(lines: list[bytes]) -> tuple[bytes, bytes]:
    state: dict[str, Any] = {}
    extensions: dict[str, Any] = {}
    for line in lines:
        body = decode_body(line)
        state.update(body.payload)
        extensions.update(body.metadata or {})
    return canonical.encode(state), canonical.encode(extensions)


@given(st.lists(payloads, min_size=1, max_size=6))
@settings(max_examples=150, deadline=None)
def test_folding_by_patterns_is_folding(found: list[dict[str, Any]]) -> None:
    lines = []
    for payload in found:
        try:
            lines.append(encode_body(Body(payload, None, None, SALT)))
        except Exception:
            continue
    assert fold(Shapes(), lines * 2) == parsed(lines)


@given(st.lists(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(BODIES)), max_size=5), max_size=5))
@settings(max_examples=100, deadline=None)
def test_later_events_overwrite_earlier_ones(found: list[list[tuple[int, Body]]]) -> None:
    """Events of three aggregates in any order, in any blocks."""
    blocks = [([number for number, _ in rows], [encode_body(body) for _, body in rows]) for rows in found]
    expected = [
        parsed([line for numbers, lines in blocks for n, line in zip(numbers, lines, strict=True) if n == number])
        for number in range(3)
    ]
    assert fold_blocks(Shapes(), blocks, 3) == expected


def test_bodies_of_one_kind() -> None:
    lines = [encode_body(body) for body in BODIES] * 3
    assert fold(Shapes(), lines) == parsed(lines)


@pytest.mark.parametrize("body", BODIES)
def test_what_a_pattern_lets_pass_is_canonical(body: Body) -> None:
    """Every spoilt line that folds decodes as well, and to the same values."""
    line = encode_body(body)
    draw = random.Random(7)
    alphabet = b'{}[]":,\\0123456789.-+eEunlltrfas \t\r@xXA\x7f\x00\x1f\xc3\xbf'
    for _ in range(1500):
        at = draw.randrange(len(line))
        with_what = bytes(draw.choices(alphabet, k=draw.randrange(3)))
        spoilt = line[:at] + with_what + line[at + draw.randrange(3) :]
        if not is_utf8(spoilt) or b"\n" in spoilt:
            continue  # looked at before
        shapes = Shapes()
        fold(shapes, [line])
        try:
            found = fold(shapes, [spoilt])
        except Corrupt:
            continue
        assert found == parsed([spoilt])


def is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize(
    "number",
    ["0", "-1", "0.5", "-0.25", "123456789.123456", "999999999999999", "1e+21", "5e-7", "0.000001", "0.1", "1e-7"],
)
def test_numbers_in_their_one_spelling(number: str) -> None:
    shapes = Shapes()
    first = encode_body(Body({"n": 1}, None, None, SALT))
    line = first.replace(b'"n":1', f'"n":{number}'.encode())
    assert fold(shapes, [first, line]) == parsed([line])


@pytest.mark.parametrize(
    "number",
    [
        "-0",
        "0.0",
        "1.0",
        "1.50",
        "01",
        "1e2",
        "0.0000001",
        "12345678901234567",
        "1e400",
        "-0.0",
        "+1",
        ".5",
        "1.",
        "NaN",
    ],
)
def test_numbers_in_another_spelling(number: str) -> None:
    shapes = Shapes()
    first = encode_body(Body({"n": 1}, None, None, SALT))
    with pytest.raises(Corrupt):
        fold(shapes, [first, first.replace(b'"n":1', f'"n":{number}'.encode())])


def test_a_long_note_is_refused_whatever_was_seen_before() -> None:
    shapes = Shapes()
    first = encode_body(Body({"n": 1}, None, "short", SALT))
    fold(shapes, [first, first.replace(b"short", "é".encode() * 128)])
    with pytest.raises(Corrupt):
        fold(shapes, [first.replace(b"short", b"x" * 129)])
    with pytest.raises(Corrupt):
        fold(shapes, [first.replace(b"short", b"")])


def test_shapes_are_bounded() -> None:
    shapes = Shapes()
    lines = [encode_body(Body({f"k{n}": n}, None, None, SALT)) for n in range(400)]
    for n, line in enumerate(lines):
        shapes.check([f"kind_{n % 100}"], [line])
    assert shapes._count <= 256
    assert fold(shapes, lines) == parsed(lines)
