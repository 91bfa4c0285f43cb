"""One column made into tests: a quick one for the whole column, and each rule by itself to say what is wrong."""

from __future__ import annotations

import sys
from types import BuiltinMethodType
from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.model.columntypes import (
    MAX_INTEGER,
    MIN_INTEGER,
    base_type,
    compile_type,
    describe_type,
    is_anything,
    quicken_decimal,
    reader_of,
)
from dbx.model.faults import Fault, kind_of
from dbx.model.names import quote
from dbx.model.textformats import STRICT_FORMATS, count_base64_bytes, format_test

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dbx.model.columntypes import Test
    from dbx.model.schema import Bounds, Column


_LARGEST = sys.float_info.max


class Rule(NamedTuple):
    """One rule of a column: its word, its test, and what a value must be."""

    word: str
    test: Test
    must: str


class CompiledColumn:
    """A column's tests. `test` is the quick one: it passes what has no fault, and nothing else."""

    __slots__ = ("_below", "_required", "_rules", "test")

    def __init__(self, column: Column, *, first: bool) -> None:
        self._rules = list(_rules(column))
        self._below = {name: CompiledColumn(below, first=first) for name, below in column.properties.items()}
        self._required = required_names(column.properties, first=first)
        self.test = _join(column, self._rules)
        if self._below:
            self.test = _object_test({n: c.test for n, c in self._below.items()}, self._required)

    def explain(self, value: Any, path: tuple[str, ...]) -> Iterator[Fault]:
        """Every fault of a value. A value of the wrong type has that fault alone."""
        for rule in self._rules:
            if not _passes(rule.test, value):
                yield Fault(path, rule.word, kind_of(value), _sentence(path, rule, value))
                if rule.word == "type":
                    return
        if self._below:
            yield from explain_fields(self._below, self._required, value, path)


def required_names(columns: Mapping[str, Column], *, first: bool) -> frozenset[str]:
    """The columns that must be present, in the first event of an aggregate or in a later one."""
    return frozenset(n for n, c in columns.items() if c.required == "always" or (first and c.required == "create"))


def explain_fields(
    columns: Mapping[str, CompiledColumn], required: frozenset[str], value: dict[str, Any], path: tuple[str, ...]
) -> Iterator[Fault]:
    """The faults of an object's fields, in the order of the columns."""
    for name, column in columns.items():
        if name in value:
            yield from column.explain(value[name], (*path, name))
        elif name in required:
            whole = (*path, name)
            yield Fault(whole, "required", "missing", f"required field {quote('.'.join(whole))} is missing")


def _passes(test: Test, value: Any) -> bool:
    try:
        return bool(test(value))
    except TypeError:
        return False


def _sentence(path: tuple[str, ...], rule: Rule, value: Any) -> str:
    """Names the field, the rule and the kind of the value, never the value."""
    kind = kind_of(value)
    what = f"it must {rule.must}, not null" if kind == "null" else f"this {kind} must {rule.must}"
    return f"field {quote('.'.join(path))} breaks '{rule.word}': {what}"


def _rules(column: Column) -> Iterator[Rule]:
    """The rules in the order in which their faults are told."""
    yield Rule("type", compile_type(column.type), f"be {describe_type(column.type)}")
    if column.length:
        yield Rule("length", _length_test(column), f"have {_between(column.length)} {_unit(column, column.length)}")
    if column.range:
        yield Rule("range", _range_test(column), f"be {_ends(column.range)}")
    if column.format:
        yield Rule("format", format_test(column.format), f"have the format {column.format}")
    if column.regex:
        from dbx.model.matcher import compile_pattern
    for pattern in column.regex:
        yield Rule("regex", compile_pattern(pattern), f"match the pattern {quote(pattern)}")
    for part in column.contains:
        yield Rule("contains", _contains_test(part), f"contain {quote(part)}")
    for part in column.does_not_contain:
        yield Rule("does_not_contain", _lacks_test(part), f"not contain {quote(part)}")


def _unit(column: Column, length: Bounds) -> str:
    last = length.min if length.max is None else length.max
    return ("byte" if column.type == "binary" else "character") + ("" if last == 1 else "s")


def _between(length: Bounds) -> str:
    if length.min == length.max:
        return f"exactly {length.min}"
    if length.max is None:
        return f"at least {length.min}"
    return f"at most {length.max}" if not length.min else f"{length.min} to {length.max}"


def _ends(ends: Bounds) -> str:
    parts = ([] if ends.min is None else [f"at least {ends.min}"]) + (
        [] if ends.max is None else [f"at most {ends.max}"]
    )
    return " and ".join(parts)


def _length_test(column: Column) -> Test:
    assert column.length is not None  # noqa: S101 - asked before
    least, most = _length_ends(column.length)
    if column.type == "binary":
        return lambda value: least <= (count_base64_bytes(value) or 0) <= most
    return lambda value: least <= len(value) <= most


def _length_ends(length: Bounds) -> tuple[int, int]:
    least = length.min if isinstance(length.min, int) else 0
    return least, length.max if isinstance(length.max, int) else 1 << 62


def _text_length_test(least: int, most: int) -> Test:
    return lambda value: type(value) is str and least <= len(value) <= most


def _range_test(column: Column) -> Test:
    """Integers and floats are compared as they come, everything else is read first. Looks at the type as well."""
    assert column.range is not None  # noqa: S101 - asked before
    read, is_right = reader_of(column.type), compile_type(column.type)
    low: Any = None if column.range.min is None else read(column.range.min)
    high: Any = None if column.range.max is None else read(column.range.max)

    def in_order(value: Any) -> Any:
        return value is not None and (low is None or low <= value) and (high is None or value <= high)

    if column.type == "integer":
        low, high = MIN_INTEGER if low is None else low, MAX_INTEGER if high is None else high
        return lambda value: low <= value <= high if type(value) is int else in_order(read(value))
    if column.type == "float":
        low, high = -_LARGEST if low is None else low, _LARGEST if high is None else high
        return lambda value: low <= value <= high if type(value) in (float, int) else in_order(read(value))

    if column.type == "date":
        # Spelled in one way only, days stand in the order of their text.
        first, last = str(column.range.min or "0"), str(column.range.max or "a")
        return lambda value: is_right(value) and first <= value <= last
    if base_type(column.type) == "decimal":
        ends = column.range
        return quicken_decimal(column.type, lambda value: is_right(value) and in_order(read(value)), ends.min, ends.max)
    return lambda value: in_order(read(value))


def _contains_test(part: str) -> Test:
    return lambda value: part in value


def _lacks_test(part: str) -> Test:
    return lambda value: part not in value


def _join(column: Column, rules: list[Rule]) -> Test:
    """One test of all rules, with as few calls as can be."""
    tests = [rule.test for rule in rules]
    if len(tests) == 1:
        return tests[0]
    if column.range:
        return tests[1]  # says what the type says, and there are no other rules for these types
    # A method of a compiled pattern or of a set refuses what is no text by itself.
    if column.type == "text" and len(tests) == 2:
        if column.format in STRICT_FORMATS or isinstance(tests[1], BuiltinMethodType):
            return tests[1]
        if column.length:
            return _text_length_test(*_length_ends(column.length))
    if column.type == "text":
        return _text_test(tests[1:])
    first, *others = tests
    return lambda value: first(value) and all(test(value) for test in others)


def _text_test(tests: list[Test]) -> Test:
    if len(tests) == 1:
        (only,) = tests
        return lambda value: type(value) is str and only(value)
    if len(tests) == 2:
        one, two = tests
        return lambda value: type(value) is str and one(value) and two(value)

    return lambda value: type(value) is str and all(test(value) for test in tests)


def _object_test(tests: dict[str, Test], required: frozenset[str]) -> Test:
    get = tests.get

    def test(value: Any) -> Any:
        if type(value) is not dict:
            return False
        for name, each in value.items():
            if not get(name, is_anything)(each):
                return False
        return required <= value.keys()

    return test
