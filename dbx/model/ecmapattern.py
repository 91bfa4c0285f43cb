"""Patterns as ECMAScript writes them (ECMA-262 §22.2.1), which is what JSON Schema asks for.

Only what every engine takes alike is used: no flags, no names, no shorthands whose alphabets differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.model.charset import LAST, negate
from dbx.model.pattern import At, Chars, Choice, Repeat

if TYPE_CHECKING:
    from dbx.model.charset import Ranges
    from dbx.model.pattern import Node

_PLACES = {"start": "^", "end": "$", "boundary": r"\b", "inside": r"\B"}
_SIGNS = {(0, None): "*", (1, None): "+", (0, 1): "?"}
_SYNTAX = frozenset("\\^$.|?*+()[]{}/")
_CLASS_SYNTAX = frozenset("\\^-[]")


def to_ecma(node: Node) -> str:
    """The same pattern in ECMAScript's syntax, flags resolved."""
    if isinstance(node, Chars):
        return _set(node.ranges)
    if isinstance(node, At):
        return _PLACES[node.place]
    if isinstance(node, Repeat):
        item = to_ecma(node.item)
        count = (
            f"{{{node.least}}}"
            if node.least == node.most
            else f"{{{node.least},{'' if node.most is None else node.most}}}"
        )
        return (item if isinstance(node.item, Chars) else f"(?:{item})") + _SIGNS.get((node.least, node.most), count)
    if isinstance(node, Choice):
        return f"(?:{'|'.join(map(to_ecma, node.items))})"
    return "".join(map(to_ecma, node.items))


def escape_literal(text: str) -> str:
    """A pattern that finds `text` as it is."""
    return "".join(_char(ord(char), _SYNTAX) for char in text)


def _char(code: int, syntax: frozenset[str]) -> str:
    char = chr(code)
    if char in syntax:
        return f"\\{char}"
    if not char.isprintable() and code < 0x10000:
        return f"\\u{code:04x}"
    return char


def _set(ranges: Ranges) -> str:
    if not ranges:
        return r"[^\s\S]"
    if ranges == ((0, LAST),):
        return r"[\s\S]"
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return _char(ranges[0][0], _SYNTAX)
    sign, shown = "", ranges
    if ranges[0][0] == 0 and ranges[-1][1] == LAST:
        sign, shown = "^", negate(ranges)
    return f"[{sign}{''.join(_range(low, high) for low, high in shown)}]"


def _range(low: int, high: int) -> str:
    first = _char(low, _CLASS_SYNTAX)
    if high == low:
        return first
    return f"{first}{'' if high == low + 1 else '-'}{_char(high, _CLASS_SYNTAX)}"
