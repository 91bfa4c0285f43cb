"""LIKE patterns: `%` or `*` stands for any run of characters, `_` or `?` for one, neither for a line feed.

A pattern matches the whole text. Matching takes time linear in the text, whatever the pattern: a hostile one can make
nobody wait.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_PATTERN_CHARS = 1024

_split_runs = re.compile(r"[%*]+").split
_has_wildcard = re.compile(r"[%*_?]").search
_any_one = frozenset("_?")


def compile_like(pattern: str) -> Callable[[str], bool]:
    """A function that says whether a text matches. The pattern has at most MAX_PATTERN_CHARS characters."""
    if not _has_wildcard(pattern):
        return pattern.__eq__
    if "\n" not in pattern:
        one = _compile_line(pattern)
        return lambda text: one(text) and "\n" not in text
    # Wildcards do not cross lines, so the lines of the pattern meet the lines of the text one by one.
    lines = [_compile_line(line) for line in pattern.split("\n")]

    def match(text: str) -> bool:
        parts = text.split("\n", len(lines))
        return len(parts) == len(lines) and all(line(part) for line, part in zip(lines, parts, strict=True))

    return match


def _compile_line(pattern: str) -> Callable[[str], bool]:
    parts = _split_runs(pattern)
    if len(parts) == 1:
        return _whole(pattern)
    head, *middle, tail = parts
    finders = [(_finder(part), len(part)) for part in middle if part]
    starts, ends = _whole(head), _whole(tail)
    first, last = len(head), len(tail)
    least = first + last + sum(size for _, size in finders)

    def match(text: str) -> bool:
        size = len(text)
        if size < least or not starts(text[:first]) or not ends(text[size - last :]):
            return False
        at, end = first, size - last
        # The leftmost place of each part leaves the most room for those that follow.
        for find, length in finders:
            at = find(text, at, end)
            if at < 0:
                return False
            at += length
        return True

    return match


def _whole(part: str) -> Callable[[str], bool]:
    """Whether a text is a part without runs."""
    if not part:
        return lambda text: not text
    if not _any_one.intersection(part):
        return part.__eq__
    fixed = [(at, char) for at, char in enumerate(part) if char not in _any_one]
    size = len(part)
    return lambda text: len(text) == size and all(text[at] == char for at, char in fixed)


def _finder(part: str) -> Callable[[str, int, int], int]:
    """`find(text, first, end)`: the offset of the leftmost place of a part without runs, -1 for none."""
    if not _any_one.intersection(part):
        return lambda text, first, end: text.find(part, first, end)
    # Shift-And (Baeza-Yates and Gonnet 1992): bit i of `state` says that part[: i + 1] ends here.
    size = len(part)
    wild = sum(1 << at for at, char in enumerate(part) if char in _any_one)
    masks: dict[str, int] = {}
    for at, char in enumerate(part):
        if char not in _any_one:
            masks[char] = masks.get(char, wild) | 1 << at
    goal = 1 << size - 1

    def find(text: str, first: int, end: int) -> int:
        state = 0
        for at in range(first, end):
            state = (state << 1 | 1) & masks.get(text[at], wild)
            if state & goal:
                return at - size + 1
        return -1

    return find
