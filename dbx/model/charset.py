"""Sets of characters as ranges of code points: what the classes of patterns are made of."""

from __future__ import annotations

LAST = 0x10FFFF

Ranges = tuple[tuple[int, int], ...]
"""Inclusive ranges of code points, in order, apart from each other."""

DIGIT: Ranges = ((48, 57),)
WORD: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122))
_SPACE: Ranges = ((9, 13), (32, 32))
SHORTHANDS: dict[str, Ranges] = {"d": DIGIT, "w": WORD, "s": _SPACE}
POSIX: dict[str, Ranges] = {
    "alnum": ((48, 57), (65, 90), (97, 122)),
    "alpha": ((65, 90), (97, 122)),
    "ascii": ((0, 127),),
    "blank": ((9, 9), (32, 32)),
    "cntrl": ((0, 31), (127, 127)),
    "digit": DIGIT,
    "graph": ((33, 126),),
    "lower": ((97, 122),),
    "print": ((32, 126),),
    "punct": ((33, 47), (58, 64), (91, 96), (123, 126)),
    "space": _SPACE,
    "upper": ((65, 90),),
    "word": WORD,
    "xdigit": ((48, 57), (65, 70), (97, 102)),
}


def merge(ranges: list[tuple[int, int]]) -> Ranges:
    """The same characters as ranges in order that neither touch nor overlap."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def negate(ranges: Ranges) -> Ranges:
    """Every other character."""
    others, at = [], 0
    for low, high in ranges:
        if at < low:
            others.append((at, low - 1))
        at = high + 1
    if at <= LAST:
        others.append((at, LAST))
    return tuple(others)


def fold(ranges: Ranges) -> Ranges:
    """With both cases of every ASCII letter."""
    both = list(ranges)
    for low, high in ranges:
        for first, last, shift in ((65, 90, 32), (97, 122, -32)):
            if low <= last and high >= first:
                both.append((max(low, first) + shift, min(high, last) + shift))
    return merge(both)
