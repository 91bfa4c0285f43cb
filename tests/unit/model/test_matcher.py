from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import pytest

from dbx.errors import Invalid
from dbx.formats.envelope import MAX_PAYLOAD_BYTES
from dbx.model.matcher import SHORT_CHARS, Automaton, compile_pattern, has_choices
from dbx.model.pattern import MAX_POSITIONS, parse_pattern
from tests.vectors import shared

_ATTACKS = ["a", "1", "x", " ", "abc", ",\t", ";", "\\", "(HbbTV)/1.1.1 (;", "a?", "=", "b1"]


def _file() -> Path:
    return shared("vectors/extracted/redos_patterns.json")


def _published() -> list[str]:
    found: dict[str, list[Any]] = json.loads(_file().read_text())
    named = found["regexploit_test_patterns"] + found["safe_regex_bad"] + found["safe_regex_good"]
    return list(dict.fromkeys([*named, *(pattern for pattern, _ in found["classic"])]))


def test_published_patterns_are_refused_or_quick() -> None:
    ran = 0
    for pattern in _published():
        try:
            find = compile_pattern(pattern)
        except Invalid:
            continue
        ran += 1
        for attack in _ATTACKS:
            text = (attack * (MAX_PAYLOAD_BYTES // len(attack)))[: MAX_PAYLOAD_BYTES - 1] + "!"
            start = time.process_time()
            find(text)
            assert time.process_time() - start < 2, f"{pattern!r} on {attack!r}"
    assert ran > 35


def test_published_safe_patterns_are_accepted() -> None:
    for pattern in json.loads(_file().read_text())["safe_regex_good"]:
        compile_pattern(pattern)


def test_published_attacks_end_with_no() -> None:
    for pattern, text in json.loads(_file().read_text())["classic"]:
        try:
            find = compile_pattern(pattern)
        except Invalid:
            continue
        assert not find(text)


def test_the_worst_text_of_the_largest_payload_ends() -> None:
    # Every character leads to a state that was never seen: nothing is looked up, all is worked out.
    draw = random.Random(7)
    find = Automaton(parse_pattern(f"(a|b)*a(a|b){{{(MAX_POSITIONS - 4) // 2}}}c")).search
    text = "".join(draw.choice("ab") for _ in range(MAX_PAYLOAD_BYTES // 4))
    start = time.process_time()
    assert not find(text)
    assert time.process_time() - start < 20


@pytest.mark.parametrize(
    ("pattern", "texts", "others"),
    [
        ("^[A-Z]{3}$", ["ABC"], ["ABC\n", "ABCD", "abc", "", "XABC"]),
        ("[A-Z]{3}", ["ABC", "xxABCxx", "ABC\n"], ["AB", "AxBxC"]),
        ("a.c", ["abc", "xaéc"], ["a\nc", "ac"]),
        (r"^\d+$", ["0", "123"], ["٣", "", "1 "]),
        (r"\bcat\b", ["cat", "a cat.", "écaté"], ["cats", "concat"]),
        ("^(a+)+$", ["a", "aaa"], ["", "aab"]),
        ("(?i)^straße$", ["STRAßE", "straße"], ["STRASSE"]),
        ("^$", [""], ["\n", "a"]),
        ("", ["", "a"], []),
        ("^(?:a|b)?c{2,}$", ["cc", "accc"], ["c", "abcc"]),
        (r"[^\s\S]", [], ["", "a", "\n"]),
    ],
)
def test_search_semantics(pattern: str, texts: list[str], others: list[str]) -> None:
    find, slow = compile_pattern(pattern), Automaton(parse_pattern(pattern)).search
    for text in texts:
        assert find(text), text
        assert slow(text), text
    for text in others:
        assert not find(text), text
        assert not slow(text), text


@pytest.mark.parametrize(
    "pattern",
    [r"^[A-Z]{3}-[0-9]{4}$", r"^[a-z]+(?:-[a-z]+)*$", r"[a-z]+@[a-z]+", "^(?:abc|def)$", r"(?:^|,)x", "a{2,5}b"],
)
def test_ordinary_patterns_leave_no_choice(pattern: str) -> None:
    assert not has_choices(parse_pattern(pattern))


@pytest.mark.parametrize(
    "pattern", ["(a+)+", "(a*)*", "(a|a)", "a*a", "(a|ab)c", "(a?){3}", "(|)", "^.*x", "(|a|)b", r"((\b)?){30}x"]
)
def test_patterns_with_choices(pattern: str) -> None:
    assert has_choices(parse_pattern(pattern))


def test_long_texts_are_searched_by_the_automaton() -> None:
    find = compile_pattern("[a-z]+@")
    assert find("a" * (SHORT_CHARS - 1) + "@")
    assert find("a" * SHORT_CHARS + "@")
    start = time.process_time()
    assert not find("a" * 200_000)
    assert time.process_time() - start < 2


@pytest.mark.parametrize("pattern", ["^a$", "a", "(a+)+"])
@pytest.mark.parametrize("value", [1, None, ["a"], {"a": 1}, 1.5, True])
def test_what_is_no_text_never_matches(pattern: str, value: Any) -> None:
    find = compile_pattern(pattern)
    try:
        found = bool(find(value))
    except TypeError:
        found = False
    # Who calls looks at the type first where the answer could be yes.
    assert not found or isinstance(value, list | dict)
