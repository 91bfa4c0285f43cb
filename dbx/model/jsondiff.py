"""What changed between two JSON values, as RFC 6902 operations: add, remove and replace."""

from __future__ import annotations

from typing import Any


def diff(before: Any, after: Any, path: str = "") -> list[dict[str, Any]]:
    """The operations that make `after` of `before`, in the order in which they are applied.

    Objects are compared member by member, in the order of their names; arrays are replaced as a whole.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        found: list[dict[str, Any]] = []
        for name in sorted(before.keys() | after.keys()):
            inner = f"{path}/{escape(name)}"
            if name not in after:
                found.append({"op": "remove", "path": inner})
            elif name not in before:
                found.append({"op": "add", "path": inner, "value": after[name]})
            else:
                found += diff(before[name], after[name], inner)
        return found
    if _same(before, after):
        return []
    return [{"op": "replace", "path": path, "value": after}]


def escape(name: str) -> str:
    """A member's name as a step of a JSON Pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


def _same(one: Any, other: Any) -> bool:
    # In Python 1, 1.0 and True are equal.
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(not diff(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)
