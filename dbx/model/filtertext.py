"""The text of a filter to a tree: the grammar of EventDBX, and `>=`, `<=`, `<>`, IS NULL and RFC 3339 times.

    expr := and { OR and }      and := not { AND not }      not := NOT not | '(' expr ')' | field [NOT] op
    op   := ('=' | '!=' | '<>' | '>' | '>=' | '<' | '<=' | LIKE) value | IN '[' values ']' | IS [NOT] NULL

Keywords in any case. A value is a string in either quotes, a number, a time, true, false, null, or a bare word.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from dbx.model.place import fault_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NoReturn

MAX_CHARS = 65_536
MAX_DEPTH = 64
MAX_VALUES = 4096

Value = str | int | float | bool | None


class Comparison(NamedTuple):
    """`field op value`. `op` is one of = < <= > >= LIKE IN; `values` holds one value, for IN any number.

    `at` and `value_at` are the offsets of the field and of the first value in the text.
    """

    field: str
    op: str
    values: tuple[Value, ...]
    at: int
    value_at: int


class Not(NamedTuple):
    """The opposite of a part."""

    part: Tree


class And(NamedTuple):
    """Every part holds."""

    parts: tuple[Tree, ...]


class Or(NamedTuple):
    """Some part holds."""

    parts: tuple[Tree, ...]


Tree = Comparison | Not | And | Or


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


_WHAT = "invalid filter expression"
_next_token = re.compile(
    r"""(?P<blank>\s+)
    | (?P<time>[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Tt][0-9:.]+(?:[Zz]|[+-][0-9]{2}:[0-9]{2})?)?(?![\w.$@:+-]))
    | (?P<number>-?[0-9.]+(?:[eE][+-]?[0-9]+)?)
    | (?P<word>(?:[^\W\d]|[$@])[\w.$@-]*)
    | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<sign>>=|<=|<>|!=|==|&&|\|\||[=<>()\[\],])""",
    re.VERBOSE | re.DOTALL,
).match
_is_number = re.compile(r"-?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|-?\.[0-9]+(?:[eE][+-]?[0-9]+)?", re.ASCII).fullmatch
_unescape = re.compile(r"\\(.)", re.DOTALL).sub

_EXACT_DIGITS = 20
_CONNECTIVES = frozenset(("AND", "OR", "NOT"))
_WORDS: dict[str, bool | None] = {"TRUE": True, "FALSE": False, "NULL": None}
_SPELLINGS = {"==": "'='", "&&": "AND", "||": "OR"}
_COMPARED = frozenset(("=", "!=", "<>", ">", ">=", "<", "<="))
_EXAMPLE = 'write it like status = "paid" AND total >= 10'


def parse_tree(text: str) -> Tree:
    """The tree of a filter. Raises Invalid with the place: `details` hold column and excerpt."""
    if len(text) > MAX_CHARS:
        raise fault_at(_WHAT, text, MAX_CHARS, f"a filter has at most {MAX_CHARS} characters")
    if not text.strip():
        raise fault_at(_WHAT, text, 0, "the filter is empty", hint=_EXAMPLE)
    try:
        text.encode()
    except UnicodeEncodeError as error:  # what a terminal sent was no UTF-8
        raise fault_at(_WHAT, text, error.start, "this is no character") from None
    return _Parser(text).parse()


def refuse_value(text: str, comparison: Comparison, reason: str, hint: str | None = None) -> NoReturn:
    """Raise Invalid about the value of a comparison that the field cannot have."""
    raise fault_at(_WHAT, text, comparison.value_at, reason, hint=hint)


def refuse_field(text: str, comparison: Comparison, reason: str, hint: str | None = None) -> NoReturn:
    """Raise Invalid about a field that there is none."""
    raise fault_at(_WHAT, text, comparison.at, reason, hint=hint)


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        found = _next_token(text, at)
        if found is None:
            if text[at] in "\"'":
                raise fault_at(_WHAT, text, at, "the quoted text does not end")
            hint = "write NOT, or '!='" if text[at] == "!" else None
            raise fault_at(_WHAT, text, at, "this character has no meaning here", hint=hint)
        kind, word = str(found.lastgroup), found[0]
        if word in _SPELLINGS:
            raise fault_at(_WHAT, text, at, f"'{word}' has no meaning here", hint=f"write {_SPELLINGS[word]}")
        if kind == "number" and (not _is_number(word) or _joins(text, found.end())):
            raise fault_at(_WHAT, text, at, "this is not a number", hint="put text between quotes")
        if kind != "blank":
            yield _Token(kind, word, at)
        at = found.end()
    yield _Token("end", "", len(text))


def _joins(text: str, at: int) -> bool:
    return at < len(text) and (text[at].isalnum() or text[at] in "_$@-:")


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._token = next(self._tokens)

    def parse(self) -> Tree:
        tree = self._either(0)
        if self._token.kind != "end":
            self._refuse("AND, OR or the end is expected")
        return tree

    def _refuse(self, reason: str, hint: str | None = None) -> NoReturn:
        raise fault_at(_WHAT, self._text, self._token.at, reason, hint=hint)

    def _take(self) -> _Token:
        token = self._token
        self._token = next(self._tokens, token)
        return token

    def _keyword(self, *words: str) -> bool:
        """Take one of the keywords, if it comes next."""
        if self._token.kind == "word" and self._token.text.upper() in words:
            self._take()
            return True
        return False

    def _sign(self, sign: str) -> bool:
        if self._token.kind == "sign" and self._token.text == sign:
            self._take()
            return True
        return False

    def _either(self, depth: int) -> Tree:
        parts = [self._all(depth)]
        while self._keyword("OR"):
            parts.append(self._all(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _all(self, depth: int) -> Tree:
        parts = [self._negation(depth)]
        while self._keyword("AND"):
            parts.append(self._negation(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _negation(self, depth: int) -> Tree:
        negated = False
        while self._keyword("NOT"):
            negated = not negated
        if self._token.text == "(" and depth == MAX_DEPTH:
            self._refuse(f"the filter nests deeper than {MAX_DEPTH}")
        if self._sign("("):
            part = self._either(depth + 1)
            if not self._sign(")"):
                self._refuse("')' is missing")
        else:
            part = self._comparison()
        return Not(part) if negated else part

    def _comparison(self) -> Tree:
        field = self._token
        if field.kind != "word" or field.text.upper() in _CONNECTIVES:
            self._refuse("a field is expected", _EXAMPLE if field.kind == "end" else None)
        self._take()
        negated = self._keyword("NOT")
        sign = self._token
        if sign.kind == "sign" and sign.text in _COMPARED:
            self._take()
            negated ^= sign.text in ("!=", "<>")
            op = "=" if sign.text in ("!=", "<>") else sign.text
            value_at = self._token.at
            values: tuple[Value, ...] = (self._value(),)
        elif self._keyword("LIKE"):
            op, value_at = "LIKE", self._token.at
            values = (self._value(),)
        elif self._keyword("IN"):
            op, value_at = "IN", self._token.at
            values = self._list()
        elif self._keyword("IS"):
            negated ^= self._keyword("NOT")
            op, value_at = "=", self._token.at
            if not self._keyword("NULL"):
                self._refuse("NULL is expected behind IS", "compare with '=' and '!='")
            values = (None,)
        else:
            self._refuse("an operator is expected", "one of = != > >= < <= LIKE, IN […], IS NULL")
        comparison = Comparison(field.text, op, values, field.at, value_at)
        return Not(comparison) if negated else comparison

    def _list(self) -> tuple[Value, ...]:
        if not self._sign("["):
            self._refuse("'[' is expected behind IN", 'write the values like ["open", "paid"]')
        values: list[Value] = []
        while not self._sign("]"):
            if len(values) == MAX_VALUES:
                self._refuse(f"more than {MAX_VALUES} values in a list")
            values.append(self._value())
            if not self._sign(","):
                if not self._sign("]"):
                    self._refuse("',' or ']' is expected")
                break
        return tuple(values)

    def _value(self) -> Value:
        kind, word, _ = self._token
        if kind == "string":
            value: Value = _unescape(r"\1", word[1:-1])
        elif kind == "time":
            value = word
        elif kind == "number":
            value = self._number(word)
        elif kind == "word" and word.upper() not in _CONNECTIVES:
            value = _WORDS.get(word.upper(), word)
        else:
            self._refuse("a value is expected", "put text between quotes")
        self._take()
        return value

    def _number(self, word: str) -> int | float:
        number = float(word)
        if number in (float("inf"), float("-inf")):
            self._refuse("the number is too large")
        if word.removeprefix("-").isdigit() and len(word) <= _EXACT_DIGITS:
            return int(word)  # event ids are larger than the whole numbers that a double holds
        return int(number) if number.is_integer() and abs(number) < 2.0**53 else number
