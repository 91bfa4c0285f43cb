from __future__ import annotations

import pytest

from dbx.errors import Invalid
from dbx.model.charset import DIGIT, WORD, negate
from dbx.model.pattern import MAX_CHARS, MAX_POSITIONS, At, Chars, Choice, Repeat, Sequence, parse_pattern


def _one(char: str) -> Chars:
    return Chars(((ord(char), ord(char)),))


@pytest.mark.parametrize(
    ("pattern", "node"),
    [
        ("", Sequence(())),
        ("a", _one("a")),
        ("^a$", Sequence((At("start"), _one("a"), At("end")))),
        (r"\A\z\Z\b\B", Sequence(tuple(map(At, ("start", "end", "end", "boundary", "inside"))))),
        ("a|", Choice((_one("a"), Sequence(())))),
        ("a*?", Repeat(_one("a"), 0, None)),
        ("a{2,5}", Repeat(_one("a"), 2, 5)),
        ("a{3}", Repeat(_one("a"), 3, 3)),
        ("a{3,}", Repeat(_one("a"), 3, None)),
        ("(?:a)", _one("a")),
        ("(?P<name>a)", _one("a")),
        ("(?<name>a)", _one("a")),
        ("(?i)a", Chars(((65, 65), (97, 97)))),
        ("a(?i)b", Sequence((_one("a"), Chars(((66, 66), (98, 98)))))),
        ("(?i:a)b", Sequence((Chars(((65, 65), (97, 97))), _one("b")))),
        (".", Chars(negate(((10, 10),)))),
        ("(?s).", Chars(((0, 0x10FFFF),))),
        (r"\d", Chars(DIGIT)),
        (r"\W", Chars(negate(WORD))),
        (r"[\d\-a-c]", Chars(((45, 45), (48, 57), (97, 99)))),
        ("[]a]", Chars(((93, 93), (97, 97)))),
        ("[^]]", Chars(negate(((93, 93),)))),
        ("[a-]", Chars(((45, 45), (97, 97)))),
        ("[[:digit:]_]", Chars(((48, 57), (95, 95)))),
        ("[[:^digit:]]", Chars(negate(DIGIT))),
        (r"\x41\u0042\u{43}\x{44}\U00000045", Sequence(tuple(map(_one, "ABCDE")))),
        (r"\.\*\[\-", Sequence(tuple(map(_one, ".*[-")))),
        ("a}]", Sequence(tuple(map(_one, "a}]")))),
    ],
)
def test_what_patterns_mean(pattern: str, node: object) -> None:
    assert parse_pattern(pattern) == node


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("(a", "'(' without its ')' at character 1"),
        ("a)", "')' without its '(' at character 2"),
        ("[a", "'[' without its ']'"),
        ("*a", "repeats nothing at character 1"),
        ("a**", "two quantifiers"),
        ("a*+", "two quantifiers"),
        ("a{,3}", "is no quantifier"),
        ("a{x}", "is no quantifier"),
        ("a{", "is no quantifier"),
        ("a{3,2}", "repeats at most fewer"),
        ("a{501}", "more than 500 times"),
        ("a{99999999999999999999}", "more than 500 times"),
        ("(a{100}){6}", "600 characters"),
        ("(.*){1,32000}[bc]", "more than 500 times"),
        ("^*", "repeats a place"),
        ("(?=a)", "looks ahead"),
        ("(?!a)", "looks ahead"),
        ("(?<=a)", "looks back"),
        ("(?<!a)", "looks back"),
        ("(?>a)", "atomic"),
        (r"(a)\1", "refers back"),
        ("(?P<a>x)(?P=a)", "refers back"),
        ("(a)?(?(1)b)", "condition"),
        ("(?m)^a", "flag 'm'"),
        ("(?-i)a", "kind of group"),
        ("(?P<1>a)", "proper name"),
        (r"\p{L}", "Unicode class"),
        (r"\q", "unknown escape"),
        ("a\\", "ends in a backslash"),
        (r"\x4", "not hexadecimal"),
        (r"\u{110000}", "code of no character"),
        (r"\ud800", "code of no character"),
        ("[z-a]", "goes nowhere"),
        (r"[a-\d]", "goes nowhere"),
        ("[a[b]]", "'[' in a class"),
        ("[a&&b]", "'&&' in a class"),
        ("[[:nope:]]", "no known class"),
        ("(" * 60 + ")" * 60, "nests deeper"),
        ("a" * (MAX_CHARS + 1), f"at most {MAX_CHARS}"),
        ("a" * (MAX_POSITIONS + 1), f"at most {MAX_POSITIONS}"),
    ],
)
def test_what_is_refused(pattern: str, says: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_pattern(pattern)
    assert says in caught.value.message
