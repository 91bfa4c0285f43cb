"""Filters: an expression over an aggregate or an event, parsed once to a function that says whether one matches.

The grammar is in `filtertext`. A missing field equals null. Types never mix: a number is compared with a number, text
with text, true and false and null with themselves; objects and arrays equal nothing. `!=`, NOT LIKE and NOT IN are the
exact opposite of what they negate. Text has no order, except that RFC 3339 times (and dates, which begin at midnight
UTC) compare as moments. Times of dbx itself compare with such times, and with milliseconds since 1970 as EventDBX has.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from operator import attrgetter, ge, gt, le, lt
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from dbx.model.filtertext import And, Comparison, Not, Or, Tree, Value, parse_tree, refuse_field, refuse_value
from dbx.model.like import MAX_PATTERN_CHARS, compile_like
from dbx.model.moment import find_moment
from dbx.model.path import MISSING, compile_path
from dbx.model.time import format_time, parse_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.model.event import Aggregate, Event

    Getter = Callable[[Any], Any]
    Test = Callable[[Any], bool]

T = TypeVar("T")

TOLERANCE = 2.0**-52
"""Numbers that differ by no more are equal, as in EventDBX."""


@dataclass(frozen=True, slots=True)
class Filter(Generic[T]):
    """A parsed filter.

    `columns` are the names of the attributes of T that it reads, `archived` whether it mentions the member of that name
    of aggregates; then archived ones are to be looked at as well.
    """

    text: str
    tree: Tree
    columns: frozenset[str]
    matches: Callable[[T], bool]

    @property
    def archived(self) -> bool:
        """Whether archived aggregates are mentioned."""
        return "archived" in self.columns


def parse_aggregate_filter(text: str) -> Filter[Aggregate]:
    """A filter of aggregates. `matches` takes an Aggregate, or anything with those of its attributes in `columns`.

    Fields are `aggregate_type`, `aggregate_id`, `version`, `merkle_root`, `created_at`, `updated_at`, `archived` (also
    in camelCase), else dotted paths into the state, or into the extensions if they begin with `@`. `payload.` and
    `state.` before a path mean the state, `metadata.` and `extensions.` the extensions, unless the state itself has
    such a path. Raises Invalid with the place.
    """
    return _parse(text, _aggregate_field)


def parse_event_filter(text: str) -> Filter[Event]:
    """A filter of events. `matches` takes an Event.

    Fields are `aggregate_type`, `aggregate_id`, `event_type`, `version`, `event_id`, `created_at`, `hash`, `note`,
    `issued_by.group` and `issued_by.user`, all also behind `metadata.` and the names also in camelCase; else dotted
    paths into the metadata, then into the payload. `payload.`, `metadata.` and `extensions.` before a path say where to
    look. Raises Invalid with the place.
    """
    return _parse(text, _event_field)


def aggregate_column(name: str) -> str | None:
    """The attribute of Aggregate that a field of a filter means, None for a path into the state or the extensions."""
    return _AGGREGATE.get(name) or _AGGREGATE.get(_snake(name))


class _Field(NamedTuple):
    """How a field is read. `kind` is 'time', 'id' or 'plain'."""

    kind: str
    columns: tuple[str, ...]
    get: Getter


_TIMES = ("created_at", "updated_at")
_SHARED = ("aggregate_type", "aggregate_id", "version", "created_at")
_AGGREGATE = {**{name: name for name in (*_SHARED, "updated_at", "archived")}, "merkle_root": "root"}
_EVENT = {name: name for name in (*_SHARED, "event_type", "event_id", "hash", "note")}
_ID_DIGITS = 20
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge}
_TIME_HINT = 'write a time like "2026-11-23T07:42:00Z"'
_ISSUED_BY = ("issued_by.group", "issued_by.user")


def _parse(text: str, field_of: Callable[[str], _Field | None]) -> Filter[Any]:
    tree = parse_tree(text)
    columns: set[str] = set()

    def compile_tree(tree: Tree) -> Test:
        if isinstance(tree, And | Or):
            return _join([compile_tree(part) for part in tree.parts], isinstance(tree, And))
        if isinstance(tree, Not):
            test = compile_tree(tree.part)
            return lambda document: not test(document)
        field = field_of(tree.field)
        if field is None:
            refuse_field(text, tree, f"events have no field '{tree.field}'", "an event has a hash; see 'dbx events'")
        columns.update(field.columns)
        return _compile_comparison(text, tree, field)

    matches = compile_tree(tree)
    return Filter(text, tree, frozenset(columns), matches)


def _join(tests: list[Test], every: bool) -> Test:
    if len(tests) == 2:
        one, two = tests
        if every:
            return lambda document: one(document) and two(document)
        return lambda document: one(document) or two(document)

    def join(document: Any) -> bool:
        for test in tests:  # a generator for all() and any() costs more than what it asks
            if test(document) is not every:
                return not every
        return every

    return join


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isascii() and c.isupper() else c for c in name)


def _aggregate_field(name: str) -> _Field:
    column = aggregate_column(name)
    if column is not None:
        get = (lambda document: bool(document.archived)) if column == "archived" else attrgetter(column)
        return _Field("time" if column in _TIMES else "plain", (column,), get)
    places = [("state", name)]
    if name.startswith("@"):
        places.append(("extensions", name))
    prefix, _, rest = name.partition(".")
    if rest and prefix in ("payload", "state"):
        places.append(("state", rest))
    elif rest and prefix in ("metadata", "extensions"):
        places.append(("extensions", rest))
    return _Field("plain", tuple({column: None for column, _ in places}), _first_of(places))


def _event_field(name: str) -> _Field | None:
    prefix, _, rest = name.partition(".")
    if prefix == "payload" and rest:
        return _Field("plain", ("payload",), _first_of([("payload", rest), ("payload", name)]))
    bare = rest if prefix == "metadata" and rest else name
    column = _EVENT.get(bare) or _EVENT.get(_snake(bare))
    if column is not None:
        kind = {"created_at": "time", "event_id": "id"}.get(column, "plain")
        return _Field(kind, (column,), attrgetter(column))
    if bare in _ISSUED_BY:
        part = attrgetter(bare.partition(".")[2])
        return _Field("plain", ("issued_by",), lambda event: None if event.issued_by is None else part(event.issued_by))
    if _snake(bare) == "merkle_root":
        return None
    places = [("metadata", name), ("payload", name)]
    if rest and prefix in ("metadata", "extensions"):
        places.insert(0, ("metadata", rest))
    return _Field("plain", ("metadata", "payload"), _first_of(places))


def _first_of(places: list[tuple[str, str]]) -> Getter:
    """The value at the first of some (column, path) that has one, None where none has."""
    finders = [(attrgetter(column), compile_path(path)) for column, path in places]
    if len(places) == 1 and places[0][0] == "state":
        path = places[0][1]
        if "." not in path:
            return lambda document: document.state.get(path)

    def get(document: Any) -> Any:
        for column, find in finders:
            value = find(column(document) or {})  # an erased body has None
            if value is not MISSING:
                return value
        return None

    return get


def _compile_comparison(text: str, comparison: Comparison, field: _Field) -> Test:
    op = comparison.op
    operands = [_operand(text, comparison, field, value) for value in comparison.values]
    if op == "IN":
        return _compile_list(operands, field)
    operand = operands[0]
    if op == "LIKE":
        return _compile_like(text, comparison, field)
    if op == "=":
        return _compile_equal(operand, field)
    if operand.number is None and operand.moment is None:
        refuse_value(text, comparison, f"'{op}' compares numbers and times only", _TIME_HINT)
    return _compile_order(_ORDERS[op], operand, field)


class _Operand(NamedTuple):
    """A value to compare with. Text that is a time has its moment too; for a field of ids, digits are a number."""

    value: Value
    number: int | float | None = None
    moment: int | None = None


def _operand(text: str, comparison: Comparison, field: _Field, value: Value) -> _Operand:
    if isinstance(value, str):
        moment = find_moment(value)
        if field.kind == "time" and moment is None and comparison.op != "LIKE":
            refuse_value(text, comparison, f"'{comparison.field}' is a time, this is none", _TIME_HINT)
        if field.kind == "id" and value.isascii() and value.isdigit() and len(value) <= _ID_DIGITS:
            return _Operand(value, int(value))
        return _Operand(value, None, moment)
    if isinstance(value, bool) or value is None:
        return _Operand(value)
    return _Operand(value, value)


def _numbers(field: _Field) -> Getter:
    """The field as a number, None where it is none. Times are milliseconds, as EventDBX has them."""
    get = field.get
    if field.kind == "time":
        return lambda document: parse_time(get(document)) // 1000
    return lambda document: value if type(value := get(document)) is int or type(value) is float else None


def _moments(field: _Field) -> tuple[Getter, Callable[[int], Any]]:
    """The field as a moment, None where it is none, and how to spell another moment to compare with it."""
    get = field.get
    if field.kind == "time":
        return get, format_time  # stored times have one spelling, whose order is theirs
    return (lambda document: find_moment(value) if type(value := get(document)) is str else None), int


def _compile_equal(operand: _Operand, field: _Field) -> Test:
    get, value = field.get, operand.value
    if operand.number is not None:
        number, read = operand.number, _numbers(field)
        return lambda document: (found := read(document)) is not None and abs(found - number) <= TOLERANCE
    if operand.moment is not None:
        as_moment, spell = _moments(field)
        bound = spell(operand.moment)
        return lambda document: get(document) == value or as_moment(document) == bound
    if isinstance(value, str):
        return lambda document: get(document) == value
    return lambda document: get(document) is value


def _compile_order(order: Callable[[Any, Any], bool], operand: _Operand, field: _Field) -> Test:
    if operand.moment is not None:
        read, spell = _moments(field)
        bound = spell(operand.moment)
    else:
        assert operand.number is not None  # noqa: S101 - the caller has refused all else
        read, bound = _numbers(field), operand.number
        if field.kind == "plain":
            bound += TOLERANCE if order is le else -TOLERANCE if order is ge else 0
    return lambda document: (found := read(document)) is not None and order(found, bound)


def _compile_like(text: str, comparison: Comparison, field: _Field) -> Test:
    pattern = comparison.values[0]
    if not isinstance(pattern, str):
        refuse_value(text, comparison, "LIKE compares text", "put the pattern between quotes")
    if len(pattern) > MAX_PATTERN_CHARS:
        refuse_value(text, comparison, f"a pattern has at most {MAX_PATTERN_CHARS} characters")
    get, match = field.get, compile_like(pattern)
    if field.kind == "id":
        return lambda document: match(str(get(document)))
    return lambda document: type(value := get(document)) is str and match(value)


def _compile_list(operands: list[_Operand], field: _Field) -> Test:
    """Any of the values. The time it takes does not grow with their number, or by its logarithm for numbers."""
    get, as_number = field.get, _numbers(field)
    as_moment, spell = _moments(field)
    texts = frozenset(o.value for o in operands if isinstance(o.value, str))
    rest = [o.value for o in operands if o.value is None or isinstance(o.value, bool)]
    moments = frozenset(spell(o.moment) for o in operands if o.moment is not None)
    numbers = sorted(o.number for o in operands if o.number is not None)

    def test(document: Any) -> bool:
        value = get(document)
        if value is None or value is True or value is False:
            return any(value is one for one in rest)
        if numbers and (number := as_number(document)) is not None:
            at = bisect_left(numbers, number)
            if any(abs(one - number) <= TOLERANCE for one in numbers[max(0, at - 1) : at + 1]):
                return True
        return type(value) is str and (value in texts or (bool(moments) and as_moment(document) in moments))

    return test
