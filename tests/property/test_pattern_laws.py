"""A pattern means the same to both engines, and what leaves Python's engine no choice never makes it slow."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from dbx.errors import Invalid
from dbx.model.ecmapattern import to_ecma
from dbx.model.matcher import Automaton, compile_pattern, has_choices, to_python
from dbx.model.pattern import parse_pattern

_ATOMS = st.sampled_from(
    ["a", "b", "-", r"\.", ".", r"\d", r"\w", r"\W", r"\s", "[ab]", "[^a]", "[a-c1]", "^", "$", r"\b", r"\B", "(?i:A)"]
)
_SIGNS = ["", "", "*", "+", "?", "{2}", "{0,2}", "{1,}", "*?"]


def _grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    group = inner.map(lambda text: f"({text})")
    return st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
        st.tuples(group, st.sampled_from(_SIGNS)).map("".join),
    )


_single = st.tuples(_ATOMS, st.sampled_from(_SIGNS)).map(
    lambda pair: pair[0] if pair[0] in ("^", "$", r"\b", r"\B") else "".join(pair)
)
patterns = st.recursive(_single, _grow, max_leaves=6)
texts = st.text(st.sampled_from("ab1-. A\né"), max_size=8)


@settings(max_examples=400, deadline=None)
@given(patterns, st.lists(texts, min_size=1, max_size=6))
def test_all_engines_agree_with_pythons(pattern: str, values: list[str]) -> None:
    node = parse_pattern(pattern)
    # Two things differ: our '$' never stands before a last newline, and '\\B' is in the empty text, too.
    said = re.compile(pattern.replace("$", r"\Z").replace(r"\B", r"(?!\b)"), re.ASCII)
    # JSON Schema's readers search with their own engines; here Python plays one.
    exported = re.compile(to_ecma(node).replace("$", r"\Z"), re.ASCII)
    mine, translated, compiled = Automaton(node), re.compile(to_python(node)), compile_pattern(pattern)
    for value in values:
        expected = said.search(value) is not None
        assert mine.search(value) == expected, "the automaton"
        assert (translated.search(value) is not None) == expected, "the translation"
        if value or r"\B" not in pattern:
            assert (exported.search(value) is not None) == expected, "what is exported"
        assert bool(compiled(value)) == expected, "what schemas run"


@settings(max_examples=200, deadline=None)
@given(patterns)
def test_without_choices_there_is_one_way_to_read(pattern: str) -> None:
    node = parse_pattern(pattern)
    if has_choices(node):
        return
    expression = re.compile(to_python(node))
    # A pattern that backtracks exponentially would not come back from these.
    for letter in "ab1-. ":
        expression.match(letter * 400 + "\n")


@settings(max_examples=500, deadline=None)
@given(
    st.one_of(
        st.text(st.sampled_from(r"()[]{}|*+?^$.\-:=!<>P#isa12,&~dwbzAZpxuU" + "é\n"), max_size=14),
        st.text(max_size=10),
    ),
    st.text(max_size=8),
)
def test_any_text_is_a_pattern_or_is_refused(pattern: str, text: str) -> None:
    try:
        node = parse_pattern(pattern)
    except Invalid:
        return
    find = compile_pattern(pattern)
    assert bool(find(text)) == Automaton(node).search(text) == bool(re.search(to_python(node), text))
    re.compile(to_ecma(node))
    if pattern.isalnum():
        assert bool(find(text)) == (pattern in text)
