"""Laws of filters: they say what a slow evaluator of their tree says, and any text parses or is refused."""

from __future__ import annotations

import math
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dbx.errors import Invalid
from dbx.model.event import Aggregate
from dbx.model.filter import TOLERANCE, parse_aggregate_filter, parse_event_filter
from dbx.model.filtertext import And, Comparison, Not, Or, Tree, parse_tree
from dbx.model.like import compile_like

NAMES = ("a", "b", "c")
TIMES = ("2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", "2026-01-01", "2025-12-31T23:59:59.999999Z")

texts = st.sampled_from(["", "x", "xy", "1", "true", "a\nb", "null", *TIMES])
numbers = st.sampled_from([0, 1, 2, -1, 0.1, 0.1 + 0.2, 0.3, 1.5, 2**53 - 1])
scalars = st.one_of(texts, numbers, st.booleans(), st.none())
values = st.one_of(scalars, st.lists(scalars, max_size=2), st.dictionaries(st.sampled_from(NAMES), scalars, max_size=2))
states = st.dictionaries(st.sampled_from(NAMES), values, max_size=3)


def spell(value: Any) -> str:
    """A value as a filter has it."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if value is None or isinstance(value, bool):
        return {None: "NULL", True: "true", False: "FALSE"}[value]
    return repr(value)


@st.composite
def comparisons(draw: st.DrawFn) -> str:
    field = draw(st.sampled_from([*NAMES, "a.b", "b.0", "state.c"]))
    negated = draw(st.sampled_from(["", "NOT "]))
    kind = draw(st.integers(0, 4))
    if kind == 0:
        return f"{field} {negated}{draw(st.sampled_from(['=', '!=', '<>']))} {spell(draw(scalars))}"
    if kind == 1:
        ordered = draw(st.one_of(numbers, st.sampled_from(TIMES)))
        return f"{field} {negated}{draw(st.sampled_from(['<', '<=', '>', '>=']))} {spell(ordered)}"
    if kind == 2:
        return f"{field} {negated}LIKE {spell(draw(st.text('x%_y*', max_size=4)))}"
    if kind == 3:
        listed = ", ".join(map(spell, draw(st.lists(scalars, max_size=4))))
        return f"{field} {negated}in [{listed}]"
    return f"{field} IS {negated}NULL"


filters = st.recursive(
    comparisons(),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["AND", "OR", "and"]), inner).map(" ".join),
        inner.map(lambda text: f"NOT ({text})"),
        inner.map(lambda text: f"({text})"),
    ),
    max_leaves=6,
)


def evaluate(tree: Tree, state: dict[str, Any]) -> bool:
    """The same by definition."""
    if isinstance(tree, And):
        return all(evaluate(part, state) for part in tree.parts)
    if isinstance(tree, Or):
        return any(evaluate(part, state) for part in tree.parts)
    if isinstance(tree, Not):
        return not evaluate(tree.part, state)
    found = look_up(tree.field, state)
    return any(compare(tree, found, value) for value in tree.values)


def look_up(field: str, state: dict[str, Any]) -> Any:
    steps = field.split(".")
    if steps[0] == "state":
        steps = steps[1:]
    value: Any = state
    for step in steps:
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def moment(value: Any) -> float | None:
    known = dict(zip(TIMES, (0, 0, 0, -1), strict=True))
    return known.get(value) if isinstance(value, str) else None


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def compare(tree: Comparison, found: Any, value: Any) -> bool:
    if tree.op == "LIKE":
        return isinstance(found, str) and regex(value).fullmatch(found) is not None
    if is_number(found) and is_number(value):
        equal, less = math.isclose(found, value, rel_tol=0, abs_tol=TOLERANCE), found < value
    elif moment(found) is not None and moment(value) is not None:
        equal, less = moment(found) == moment(value), moment(found) < moment(value)  # type: ignore[operator]
    else:
        if tree.op not in ("=", "IN"):
            return False
        return type(found) is type(value) and not isinstance(found, list | dict) and found == value
    if tree.op in ("<", ">"):
        return less if tree.op == "<" else compare(tree._replace(op="<"), value, found)
    return equal or (tree.op == "<=" and less) or (tree.op == ">=" and not less)


def regex(pattern: str) -> re.Pattern[str]:
    wild = {"%": ".*", "*": ".*", "_": ".", "?": "."}
    return re.compile("".join(wild.get(c) or re.escape(c) for c in pattern))


@settings(max_examples=400, deadline=None)
@given(filters, st.lists(states, min_size=1, max_size=4))
def test_a_filter_says_what_its_tree_means(text: str, some: list[dict[str, Any]]) -> None:
    parsed = parse_aggregate_filter(text)
    for state in some:
        aggregate = Aggregate("t", "i", 1, state, {}, "", TIMES[0], TIMES[0], False)
        assert parsed.matches(aggregate) is evaluate(parse_tree(text), state), (text, state)


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ab\n%_*?"), max_size=8), st.text(st.sampled_from("ab\n%"), max_size=12))
def test_like_is_the_regular_expression_that_it_stands_for(pattern: str, text: str) -> None:
    assert compile_like(pattern)(text) is (regex(pattern).fullmatch(text) is not None)


words = st.sampled_from(["a", "=", "1", "' \"", "AND", "NOT", "(", ")", "[", "]", ",", "IN", "LIKE", "<", "2026-01-01"])


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=40), st.lists(words, max_size=12).map(" ".join)))
def test_any_text_parses_or_is_refused_with_its_place(text: str) -> None:
    for parse in (parse_aggregate_filter, parse_event_filter):
        try:
            parse(text)
        except Invalid as error:
            assert 1 <= error.details["column"] <= len(text) + 1  # noqa: PT017 - either outcome is right
