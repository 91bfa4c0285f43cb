"""Patterns that run: whether a text holds a match, in time that grows with the text and never faster.

Python's engine backtracks: some patterns take it years. It runs only patterns that leave it no choice (`has_choices`),
and those only where starting again at every character costs little. All others run on an automaton of our own, made
while it runs (Thompson 1968; Glushkov 1961 for the choices): each character costs one look-up, at worst
MAX_POSITIONS / 8 of them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dbx.model.charset import LAST, WORD, negate
from dbx.model.pattern import At, Chars, Choice, Repeat, parse_pattern

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.model.charset import Ranges
    from dbx.model.pattern import Node

SHORT_CHARS = 1000
"""Up to here Python's engine may try a pattern that is not tied to the start at every character."""
# What one pattern may keep of what it has worked out: about 5 MB at the worst.
_MAX_STEPS = 4_000
_MAX_UNIONS = 16_384
_MAX_FOLLOWERS = 20_000

_START, _OTHER, _WORD = 0, 1, 2  # what stands before a place; after it, 0 is the end of the text


@lru_cache(maxsize=64)
def compile_pattern(text: str) -> Callable[[str], Any]:
    """A function that says (by a true value) whether a text holds a match of the pattern. Raises Invalid.

    Given something that is no text it raises TypeError or says no. The same function serves a pattern's next schema,
    with all that it has worked out.
    """
    node = parse_pattern(text)
    if has_choices(node):
        return Automaton(node).search
    expression = re.compile(to_python(node))
    if _is_tied(node):
        return expression.match
    search, slow = expression.search, Automaton(node).search

    def find(value: str) -> Any:
        return search(value) if len(value) <= SHORT_CHARS else slow(value)

    return find


def to_python(node: Node) -> str:
    """The same pattern for Python's engine, flags and shorthands resolved."""
    if isinstance(node, Chars):
        return _set_to_python(node.ranges)
    if isinstance(node, At):
        # Python's own \\b counts every alphabet's letters to the words, so the places are spelled out.
        word = _set_to_python(WORD)
        boundary = f"(?:(?<={word})(?!{word})|(?<!{word})(?={word}))"
        inside = f"(?:(?<={word})(?={word})|(?<!{word})(?!{word}))"
        return {"start": r"\A", "end": r"\Z", "boundary": boundary, "inside": inside}[node.place]
    if isinstance(node, Repeat):
        most = "" if node.most is None else node.most
        item = to_python(node.item)
        return f"{item if isinstance(node.item, Chars) else f'(?:{item})'}{{{node.least},{most}}}"
    parts = [to_python(item) for item in node.items]
    return f"(?:{'|'.join(parts)})" if isinstance(node, Choice) else "".join(parts)


def _set_to_python(ranges: Ranges) -> str:
    if not ranges:
        return "(?!)"
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return re.escape(chr(ranges[0][0]))
    sign, shown = "", ranges
    if ranges[0][0] == 0 and ranges[-1][1] == LAST and len(ranges) > 1:
        sign, shown = "^", negate(ranges)
    pieces = "".join(rf"\U{low:08x}-\U{high:08x}" for low, high in shown)
    return f"[{sign}{pieces}]"


def _is_tied(node: Node) -> bool:
    """Whether a match can begin at the start of the text only."""
    if isinstance(node, At):
        return node.place == "start"
    if isinstance(node, Choice):
        return all(map(_is_tied, node.items))
    if isinstance(node, Chars | Repeat):
        return False
    return bool(node.items) and _is_tied(node.items[0])


def has_choices(node: Node) -> bool:
    """Whether some text can be read in two ways, or the next character does not always say how to go on.

    A pattern without choices is strongly one-unambiguous (Brüggemann-Klein 1993; Koch and Scherzinger 2007): Python's
    engine comes by every place of such a pattern at most once for each character of the text.
    """
    try:
        _Choices().visit(node)
    except _Found:
        return True
    return False


class _Found(Exception):  # noqa: N818 - not an error, but the answer
    """There is a choice."""


class _Choices:
    """Glushkov's first, last and following positions, made only as long as there is no choice between them."""

    def __init__(self) -> None:
        self._sets: list[Ranges] = []
        self._followers: list[list[int]] = []
        self._room = _MAX_FOLLOWERS

    def visit(self, node: Node) -> tuple[bool, list[int], list[int]]:
        """(whether it matches the empty text, positions it can begin with, positions it can end with)."""
        if isinstance(node, Chars):
            self._sets.append(node.ranges)
            self._followers.append([])
            return False, [len(self._sets) - 1], [len(self._sets) - 1]
        if isinstance(node, At):
            return True, [], []
        if isinstance(node, Repeat):
            return self._repeat(node)
        whole: tuple[bool, list[int], list[int]] | None = None
        for item in node.items:
            part = self.visit(item)
            if whole is None:
                whole = part
            else:
                whole = self._either(whole, part) if isinstance(node, Choice) else self._both(whole, part)
        return whole or (True, [], [])

    def _either(
        self, left: tuple[bool, list[int], list[int]], right: tuple[bool, list[int], list[int]]
    ) -> tuple[bool, list[int], list[int]]:
        if left[0] and right[0]:
            raise _Found
        return left[0] or right[0], self._join(left[1], right[1]), left[2] + right[2]

    def _both(
        self, left: tuple[bool, list[int], list[int]], right: tuple[bool, list[int], list[int]]
    ) -> tuple[bool, list[int], list[int]]:
        for last in left[2]:
            self._followers[last] = self._join(self._followers[last], right[1])
        first = self._join(left[1], right[1]) if left[0] else left[1]
        return left[0] and right[0], first, right[2] + (left[2] if right[0] else [])

    def _repeat(self, node: Repeat) -> tuple[bool, list[int], list[int]]:
        if node.most == 0:
            return True, [], []
        copies = node.most if node.most is not None else max(node.least, 1)
        parts = [self.visit(node.item) for _ in range(copies)]
        if parts[0][0] and (node.least, node.most) != (1, 1):
            raise _Found  # the empty text, once or twice?
        whole = parts[-1]
        if node.most is None:
            for last in whole[2]:
                self._followers[last] = self._join(self._followers[last], whole[1])
        for index in range(copies - 2, -1, -1):
            optional = (True, whole[1], whole[2]) if index + 1 >= node.least else whole
            whole = self._both(parts[index], optional)
        return (whole[0] or node.least == 0), whole[1], whole[2]

    def _join(self, left: list[int], right: list[int]) -> list[int]:
        """Both lists. No character may be in two of their sets."""
        self._room -= len(left) + len(right)
        if self._room < 0:
            raise _Found
        end = -1
        for low, high in sorted(r for position in (*left, *right) for r in self._sets[position]):
            if low <= end:
                raise _Found
            end = high
        return left + right


class Automaton:
    """A pattern as a machine that keeps every way it can be read at once, as the bits of a number."""

    def __init__(self, node: Node) -> None:
        # Nodes of Thompson's construction: to which nodes without reading, and under which condition.
        self._edges: list[list[tuple[int, str]]] = [[]]
        self._positions: list[tuple[int, int, Ranges]] = []
        self._at_node: dict[int, int] = {}
        self._end = self._build(node, 0)
        cuts = {0, *(cut for low, high in WORD for cut in (low, high + 1))}
        for _, _, ranges in self._positions:
            cuts.update(cut for low, high in ranges for cut in (low, high + 1))
        self._cuts = sorted(cuts)
        self._masks: dict[int, int] = {}
        self._closures: dict[tuple[int, int], int] = {}
        self._unions: dict[tuple[int, int], int] = {}
        self._accept = 1 << len(self._positions)
        self._rows: dict[tuple[int, int], dict[Any, Any]] = {}
        self._steps = 0

    def search(self, text: str) -> bool:
        """Whether the text holds a match."""
        row = self._row(0, _START)
        for char in text:
            following = row.get(char)
            if following is None:
                following = self._step(row, char)
            if following is _MATCH:
                return True
            row = following
        mask, before = row[None]
        return bool(self._reach(mask, before, 0) & self._accept)

    def _node(self) -> int:
        self._edges.append([])
        return len(self._edges) - 1

    def _build(self, node: Node, start: int) -> int:
        """Add a pattern after the node `start`; the node after it."""
        if isinstance(node, Chars):
            end = self._node()
            self._at_node[start] = len(self._positions)
            self._positions.append((start, end, node.ranges))
            # A node reads one set at most; what comes next begins at a node of its own.
            return end
        if isinstance(node, At):
            end = self._node()
            self._edges[start].append((end, node.place))
            return end
        if isinstance(node, Repeat):
            return self._build_repeat(node, start)
        if isinstance(node, Choice):
            end = self._node()
            for item in node.items:
                self._edges[self._build(item, self._after(start))].append((end, ""))
            return end
        for item in node.items:
            start = self._build(item, self._after(start))
        return start

    def _after(self, start: int) -> int:
        fresh = self._node()
        self._edges[start].append((fresh, ""))
        return fresh

    def _build_repeat(self, node: Repeat, start: int) -> int:
        end = self._node()
        at = start
        for index in range(node.most if node.most is not None else max(node.least, 1)):
            if index >= node.least:
                self._edges[at].append((end, ""))
            first = self._after(at)
            at = self._build(node.item, first)
            if node.most is None and index + 1 >= node.least:
                self._edges[at].append((first, ""))
        self._edges[at].append((end, ""))
        return end

    def _row(self, mask: int, before: int) -> dict[Any, Any]:
        row = self._rows.get((mask, before))
        if row is None:
            row = self._rows[mask, before] = {None: (mask, before)}
        return row

    def _step(self, row: dict[Any, Any], char: str) -> Any:
        mask, before = row[None]
        index = bisect_right(self._cuts, ord(char)) - 1
        code = self._cuts[index]
        kind = _WORD if any(low <= code <= high for low, high in WORD) else _OTHER
        reached = self._reach(mask, before, kind)
        if reached & self._accept:
            following: Any = _MATCH
        else:
            self._steps += 1
            if self._steps > _MAX_STEPS:
                # Texts that always lead somewhere new must not fill the memory.
                self._steps = 0
                self._rows = {}
            following = self._row(reached & self._mask(index), kind)
        row[char] = following
        return following

    def _mask(self, index: int) -> int:
        """The positions that read the characters from one cut to the next."""
        mask = self._masks.get(index)
        if mask is None:
            code, mask = self._cuts[index], 0
            for position, (_, _, ranges) in enumerate(self._positions):
                if any(low <= code <= high for low, high in ranges):
                    mask |= 1 << position
            self._masks[index] = mask
        return mask

    def _reach(self, mask: int, before: int, after: int) -> int:
        """The positions (and `_accept`) that come next after those in `mask`, or from the start, between two kinds."""
        context = before * 3 + after
        reached = self._closure(context, -1)
        unions = self._unions
        for chunk, byte in enumerate(mask.to_bytes(mask.bit_length() + 7 >> 3, "little")):
            if byte:
                key = (context, chunk << 8 | byte)
                union = unions.get(key)
                if union is None:
                    union = 0
                    for bit in range(8):
                        if byte >> bit & 1:
                            union |= self._closure(context, chunk * 8 + bit)
                    if len(unions) >= _MAX_UNIONS:
                        unions.clear()
                    unions[key] = union
                reached |= union
        return reached

    def _closure(self, context: int, position: int) -> int:
        found = self._closures.get((context, position))
        if found is None:
            found = self._closures[context, position] = self._walk(context, position)
        return found

    def _walk(self, context: int, position: int) -> int:
        before, after = divmod(context, 3)
        is_boundary = (before == _WORD) != (after == _WORD)
        holds = {"": True, "start": before == _START, "end": after == 0, "boundary": is_boundary}
        holds["inside"] = not is_boundary
        todo = [self._positions[position][1] if position >= 0 else 0]
        seen, reached = set(todo), 0
        while todo:
            node = todo.pop()
            if node == self._end:
                reached |= self._accept
            if node in self._at_node:
                reached |= 1 << self._at_node[node]
            for following, condition in self._edges[node]:
                if following not in seen and holds[condition]:
                    seen.add(following)
                    todo.append(following)
        return reached


_MATCH: dict[Any, Any] = {}
