"""Dotted paths into a state or a payload: `address.city`, `lines.0.price`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_INDEX_DIGITS = 9

MISSING: Final[Any] = type("Missing", (), {"__repr__": lambda _: "MISSING"})()
"""What a path gives where there is nothing; null is a value."""


def compile_path(path: str) -> Callable[[Mapping[str, Any]], Any]:
    """A function from an object to the value at a path in it, MISSING for none.

    A key that is spelled like the whole path wins; in an array a step is an index from 0.
    """
    first, *rest = path.split(".")
    if not rest:
        return lambda whole: whole.get(path, MISSING)
    steps = [(step, int(step) if _is_index(step) else None) for step in rest]

    def find(whole: Mapping[str, Any]) -> Any:
        if path in whole:
            return whole[path]
        value = whole.get(first, MISSING)
        for step, index in steps:
            if isinstance(value, dict):
                value = value.get(step, MISSING)
            elif index is not None and isinstance(value, list) and index < len(value):
                value = value[index]
            else:
                return MISSING
        return value

    return find


def find_value(whole: Mapping[str, Any], path: str) -> Any:
    """The value at a path, None for none."""
    value = compile_path(path)(whole)
    return None if value is MISSING else value


def _is_index(step: str) -> bool:
    return step.isascii() and step.isdigit() and len(step) <= _INDEX_DIGITS
