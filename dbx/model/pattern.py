r"""The regular expressions of schemas: what may be written, and what it means (dbx-schema(5)).

The syntax is what EventDBX's engine and Python's have in common and what a matcher can run in linear time: literals,
`.`, classes `[a-z]` `[^,]` `[[:alpha:]]`, `\d \w \s \D \W \S`, `^ $ \A \z \b \B`, groups, `|`, `* + ? {n} {n,} {n,m}`
(also lazy, which changes nothing here), the flags `(?i)` and `(?s)`. Classes are ASCII: `\d` is 0 to 9, and `(?i)`
pairs A to Z with a to z only. `$` is the end of the text and nothing else. Look-around, back-references, atomic groups
and possessive quantifiers are refused.
"""

from __future__ import annotations

from typing import NamedTuple

from dbx.errors import Invalid
from dbx.model.charset import LAST, POSIX, SHORTHANDS, Ranges, fold, merge, negate
from dbx.model.names import quote

MAX_CHARS = 1000
MAX_POSITIONS = 500
"""Characters of a pattern when each `{n}` is written out: the size of its automaton."""
_MAX_DEPTH = 50


class Chars(NamedTuple):
    """One character out of a set."""

    ranges: Ranges


class Sequence(NamedTuple):
    """One after the other; none: the empty text."""

    items: tuple[Node, ...]


class Choice(NamedTuple):
    """One of them."""

    items: tuple[Node, ...]


class Repeat(NamedTuple):
    """At least `least` and at most `most` times; None is without end."""

    item: Node
    least: int
    most: int | None


class At(NamedTuple):
    """A place between characters: `start`, `end`, `boundary` (of a word) or `inside` (no boundary)."""

    place: str


Node = Chars | Sequence | Choice | Repeat | At

_PLACES = {"A": "start", "z": "end", "Z": "end", "b": "boundary", "B": "inside"}
_CONTROLS = {"n": 10, "t": 9, "r": 13, "f": 12, "v": 11, "a": 7}
_REFUSED_GROUPS = (
    ("?=", "looks ahead"),
    ("?!", "looks ahead"),
    ("?<=", "looks back"),
    ("?<!", "looks back"),
    ("?>", "is an atomic group"),
    ("?P=", "refers back to a group"),
    ("?P>", "calls a group"),
    ("?(", "is a condition"),
    ("?#", "is a comment"),
)


def parse_pattern(text: str) -> Node:
    """The meaning of a pattern. Raises Invalid, naming the character (from 1) where it goes wrong."""
    if len(text) > MAX_CHARS:
        raise Invalid(f"the pattern has {len(text)} characters, at most {MAX_CHARS} are allowed")
    node = _Parser(text).parse()
    positions = count_positions(node)
    if positions > MAX_POSITIONS:
        raise Invalid(
            f"pattern {quote(text)} repeats too much: written out it has {positions} characters, at most"
            f" {MAX_POSITIONS} are allowed",
            hint="use 'length' to limit how long the text is",
        )
    return node


def count_positions(node: Node) -> int:
    """How many characters the pattern has when its repeats are written out."""
    if isinstance(node, Chars):
        return 1
    if isinstance(node, Repeat):
        return count_positions(node.item) * (node.most if node.most is not None else max(node.least, 1))
    return sum(map(count_positions, node.items)) if isinstance(node, Sequence | Choice) else 0


class _Flags(NamedTuple):
    ignores_case: bool = False
    dot_is_all: bool = False


class _Parser:
    """Recursive descent. `_at` is the index of the next character."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def parse(self) -> Node:
        node = self._choice(_Flags())
        if self._at < len(self._text):
            raise self._fault("has a ')' without its '('")
        return node

    def _fault(self, what: str, at: int | None = None, hint: str | None = None) -> Invalid:
        place = min(self._at if at is None else at, max(len(self._text) - 1, 0)) + 1
        return Invalid(f"pattern {quote(self._text)} {what} at character {place}", hint=hint)

    def _peek(self, count: int = 1) -> str:
        return self._text[self._at : self._at + count]

    def _take(self, expected: str) -> bool:
        if self._text.startswith(expected, self._at):
            self._at += len(expected)
            return True
        return False

    def _choice(self, flags: _Flags) -> Node:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._fault(f"nests deeper than {_MAX_DEPTH}")
        branches: list[Node] = []
        while True:
            branch, flags = self._sequence(flags)
            branches.append(branch)
            if not self._take("|"):
                break
        self._depth -= 1
        return branches[0] if len(branches) == 1 else Choice(tuple(branches))

    def _sequence(self, flags: _Flags) -> tuple[Node, _Flags]:
        items: list[Node] = []
        while self._at < len(self._text) and self._peek() not in "|)":
            if self._peek(2) == "(?" and (changed := self._flags_alone(flags)):
                flags = changed
                continue
            item = self._atom(flags)
            items.append(self._repeat(item))
        return (items[0] if len(items) == 1 else Sequence(tuple(items))), flags

    def _flags_alone(self, flags: _Flags) -> _Flags | None:
        """`(?i)` from here to the end of the group."""
        end = self._text.find(")", self._at)
        letters = self._text[self._at + 2 : end] if end >= 0 else ""
        if not letters or not letters.isalpha() or letters in ("P",):
            return None
        changed = self._set_flags(flags, letters)
        self._at = end + 1
        return changed

    def _set_flags(self, flags: _Flags, letters: str) -> _Flags:
        for letter in letters:
            if letter not in "isa":
                raise self._fault(f"has the flag {quote(letter)}, only 'i' and 's' are allowed,")
        return _Flags(flags.ignores_case or "i" in letters, flags.dot_is_all or "s" in letters)

    def _repeat(self, item: Node) -> Node:
        start = self._at
        bounds = self._quantifier()
        if bounds is None:
            return item
        if isinstance(item, At) and self._text[start - 1] != ")":
            raise self._fault("repeats a place between characters", start)
        self._take("?")  # lazy: the same texts match
        if self._peek() and (self._peek() in "*+?" or self._peek() == "{"):
            raise self._fault("has two quantifiers in a row, possessive ones are not supported,")
        return Repeat(item, *bounds)

    def _quantifier(self) -> tuple[int, int | None] | None:
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._take(sign):
                return bounds
        start = self._at
        if not self._take("{"):
            return None
        end = self._text.find("}", self._at)
        least, comma, most = self._text[self._at : max(end, self._at)].partition(",")
        digits = [part for part in (least, most) if part]
        if not least or not all(part.isascii() and part.isdigit() for part in digits):
            raise self._fault("has a '{' that is no quantifier", start, "write '\\{' for the character itself")
        if any(len(part) > 4 or int(part) > MAX_POSITIONS for part in digits):
            raise self._fault(f"repeats more than {MAX_POSITIONS} times", start, "use 'length' for long texts")
        self._at = end + 1
        low, high = int(least), (int(most) if most else None) if comma else int(least)
        if high is not None and high < low:
            raise self._fault("repeats at most fewer times than at least", start)
        return low, high

    def _atom(self, flags: _Flags) -> Node:
        start = self._at
        char = self._text[self._at]
        self._at += 1
        if char == "(":
            return self._group(flags, start)
        if char == "[":
            return Chars(self._class(flags, start))
        if char == "\\":
            return self._escape(flags, start)
        if char == ".":
            return Chars(((0, LAST),) if flags.dot_is_all else negate(((10, 10),)))
        if char in "^$":
            return At("start" if char == "^" else "end")
        if char in "*+?{":
            raise self._fault("repeats nothing", start, f"write '\\{char}' for the character itself")
        return self._literal(ord(char), flags)

    def _literal(self, code: int, flags: _Flags) -> Chars:
        ranges: Ranges = ((code, code),)
        return Chars(fold(ranges) if flags.ignores_case else ranges)

    def _group(self, flags: _Flags, start: int) -> Node:
        if self._peek() == "?":
            flags = self._group_head(flags, start)
        node = self._choice(flags)
        if not self._take(")"):
            raise self._fault("has a '(' without its ')'", start)
        return node

    def _group_head(self, flags: _Flags, start: int) -> _Flags:
        for opening, what in _REFUSED_GROUPS:
            if self._text.startswith(opening, self._at):
                raise self._fault(f"{what}, which is not supported,", start)
        if self._take("?:"):
            return flags
        if self._take("?P<") or self._take("?<"):
            end = self._text.find(">", self._at)
            if end < 0 or not self._text[self._at : end].isidentifier():
                raise self._fault("has a group without a proper name", start)
            self._at = end + 1
            return flags
        colon = self._text.find(":", self._at)
        letters = self._text[self._at + 1 : max(colon, 0)]
        if not letters or not letters.isalpha():
            raise self._fault("has a kind of group that is not supported", start)
        flags = self._set_flags(flags, letters)
        self._at = colon + 1
        return flags

    def _escape(self, flags: _Flags, start: int) -> Node:
        char = self._peek()
        if char in _PLACES and char:
            self._at += 1
            return At(_PLACES[char])
        found = self._escaped_set(start)
        if isinstance(found, tuple):
            return Chars(found)
        return self._literal(found, flags)

    def _escaped_set(self, start: int) -> Ranges | int:
        """After a backslash, in a class or out of it: a set, or the code of one character."""
        char = self._peek()
        if not char:
            raise self._fault("ends in a backslash", start)
        self._at += 1
        if char.lower() in SHORTHANDS and char.isascii():
            ranges = SHORTHANDS[char.lower()]
            return ranges if char.islower() else negate(ranges)
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char in "xuU":
            return self._code(char, start)
        if char.isdigit():
            raise self._fault("refers back to a group, which is not supported,", start)
        if char in "pP":
            raise self._fault("uses a Unicode class, only ASCII classes are supported,", start)
        if char.isalpha():
            raise self._fault(f"has '\\{char}', an unknown escape,", start)
        return ord(char)

    def _code(self, kind: str, start: int) -> int:
        if self._take("{"):
            end = self._text.find("}", self._at)
            digits = self._text[self._at : max(end, self._at)]
            self._at = end + 1
        else:
            digits = self._peek({"x": 2, "u": 4, "U": 8}[kind])
            self._at += len(digits)
            if len(digits) != {"x": 2, "u": 4, "U": 8}[kind]:
                digits = ""
        if not 1 <= len(digits) <= 8 or any(c not in "0123456789abcdefABCDEF" for c in digits):
            raise self._fault("has a character code that is not hexadecimal", start)
        code = int(digits, 16)
        if code > LAST or 0xD800 <= code <= 0xDFFF:
            raise self._fault("has the code of no character", start)
        return code

    def _class(self, flags: _Flags, start: int) -> Ranges:
        is_negated = self._take("^")
        ranges: list[tuple[int, int]] = []
        is_first = True
        while is_first or self._peek() != "]":
            if self._at >= len(self._text):
                raise self._fault("has a '[' without its ']'", start)
            is_first = False
            ranges += self._class_item()
        self._at += 1
        found = merge(ranges)
        if flags.ignores_case:
            found = fold(found)
        return negate(found) if is_negated else found

    def _class_item(self) -> Ranges:
        start = self._at
        if self._peek(2) in ("&&", "~~", "--"):
            raise self._fault(f"has {quote(self._peek(2))} in a class, which is not supported,")
        if self._take("[:"):
            return self._posix(start)
        low = self._class_char()
        if isinstance(low, tuple):
            return low
        if self._peek() != "-" or self._peek(2) in ("-]", "-"):
            return ((low, low),)
        self._at += 1
        high = self._class_char()
        if isinstance(high, tuple) or high < low:
            raise self._fault("has a range in a class that goes nowhere", start)
        return ((low, high),)

    def _posix(self, start: int) -> Ranges:
        end = self._text.find(":]", self._at)
        name = self._text[self._at : max(end, self._at)]
        ranges = POSIX.get(name.removeprefix("^"))
        if ranges is None:
            raise self._fault("has a '[:' that begins no known class", start, f"known are {', '.join(POSIX)}")
        self._at = end + 2
        return negate(ranges) if name.startswith("^") else ranges

    def _class_char(self) -> Ranges | int:
        start = self._at
        char = self._peek()
        if not char:
            raise self._fault("has a '[' without its ']'")
        self._at += 1
        if char == "[":
            raise self._fault("has a '[' in a class", start, "write '\\[' for the character itself")
        return self._escaped_set(start) if char == "\\" else ord(char)
