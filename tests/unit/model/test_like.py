"""dbx/model/like.py: patterns, in linear time."""

from __future__ import annotations

import time

import pytest

from dbx.model.like import MAX_PATTERN_CHARS, compile_like


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("abc", ["abc"], ["", "ab", "abcd", "ABC", "xabc"]),
        ("", [""], ["a"]),
        ("%", ["", "a", "abc"], ["a\nb", "\n"]),
        ("*", ["", "abc"], ["\n"]),
        ("_", ["a", "é", "%"], ["", "ab", "\n"]),
        ("?", ["a"], ["", "ab"]),
        ("a%", ["a", "abc"], ["", "ba", "a\n"]),
        ("%a", ["a", "cba"], ["", "ab"]),
        ("%a%", ["a", "bab"], ["", "b"]),
        ("a%a", ["aa", "aba"], ["a", "ab"]),
        ("a_c", ["abc", "a_c"], ["ac", "abbc"]),
        ("%a_c%b", ["abcb", "xaacabcb"], ["abc", "abb"]),
        ("%ab%ab%", ["abab", "xabyabz"], ["ab", "aba"]),
        ("%_a", ["ba", "xba"], ["a", "ab"]),
        ("_%", ["a", "ab"], [""]),
        ("%__%", ["ab", "abc"], ["", "a"]),
        ("%%a**b", ["ab", "xaxb"], ["a"]),
        ("a.c", ["a.c"], ["abc"]),
        ("a%\n%b", ["ax\nyb", "a\nb"], ["a\n\nb", "ab", "a\nb\n"]),
    ],
)
def test_patterns(pattern: str, matching: list[str], other: list[str]) -> None:
    match = compile_like(pattern)
    assert [text for text in matching if not match(text)] == []
    assert [text for text in other if match(text)] == []


@pytest.mark.parametrize(
    "pattern",
    [
        "%a" * 512,
        "a%" * 512,
        "%_a" * 341,
        "%" + "a_" * 500 + "b%",
        "%" + "a" * 1000 + "b%",
        "_" * 1023 + "%",
        "%a?" * 341,
    ],
)
def test_no_pattern_takes_long(pattern: str) -> None:
    assert len(pattern) <= MAX_PATTERN_CHARS
    match = compile_like(pattern)
    text = "a" * 256 * 1024
    began = time.process_time()
    match(text)
    assert time.process_time() - began < 2
