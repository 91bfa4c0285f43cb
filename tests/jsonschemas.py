"""A small judge of JSON Schema (draft 2020-12), for the keywords that dbx writes. It shares no code with dbx."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

_TYPES = {
    "null": type(None), "boolean": bool, "object": dict, "array": list, "string": str, "number": (int, float),
}  # fmt: skip
_ANNOTATIONS = {"$schema", "$id", "$defs", "title", "description", "examples", "format", "contentEncoding"}


def accepts(schema: Any, value: Any, root: Any = None) -> bool:
    """Whether `value` is valid under `schema`. `format` is an annotation only, as by default in 2020-12."""
    root = schema if root is None else root
    if isinstance(schema, bool):
        return schema
    return all(_holds(key, schema, value, root) for key in schema)


def _is(name: str, value: Any) -> bool:
    if name == "integer":
        return not isinstance(value, bool) and (isinstance(value, int) or (isinstance(value, float) and value % 1 == 0))
    return isinstance(value, _TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def _same(a: Any, b: Any) -> bool:
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def _holds(key: str, schema: dict[str, Any], value: Any, root: Any) -> bool:
    rule = schema[key]
    if key in _ANNOTATIONS or key.startswith("x-dbx-") or key in ("then", "else"):
        return True
    if key == "$ref":
        target = root
        for part in rule.removeprefix("#/").split("/"):
            target = target[unquote(part).replace("~1", "/").replace("~0", "~")]
        return accepts(target, value, root)
    if key == "type":
        return any(_is(name, value) for name in ([rule] if isinstance(rule, str) else rule))
    if key == "enum":
        return any(_same(value, each) for each in rule)
    if key in ("oneOf", "anyOf", "allOf"):
        hits = [accepts(each, value, root) for each in rule]
        return {"oneOf": sum(hits) == 1, "anyOf": any(hits), "allOf": all(hits)}[key]
    if key == "not":
        return not accepts(rule, value, root)
    if key == "if":
        return accepts(schema["then"], value, root) if accepts(rule, value, root) and "then" in schema else True
    if isinstance(value, str):
        return _holds_for_text(key, rule, value)
    if isinstance(value, dict):
        return _holds_for_object(key, schema, value, root)
    if isinstance(value, list):
        return _holds_for_list(key, rule, value, root)
    if _is("number", value):
        return {"minimum": lambda: value >= rule, "maximum": lambda: value <= rule}.get(key, lambda: _known(key))()
    return _known(key)


def _known(key: str) -> bool:
    known = {
        "pattern", "minLength", "maxLength", "properties", "additionalProperties", "required", "propertyNames",
        "minProperties", "items", "uniqueItems", "maxItems", "minimum", "maximum",
    }  # fmt: skip
    assert key in known, f"the judge does not know the keyword {key!r}"
    return True


def _holds_for_text(key: str, rule: Any, value: str) -> bool:
    if key == "pattern":
        return re.search(rule, value) is not None
    if key == "minLength":
        return len(value) >= rule
    if key == "maxLength":
        return len(value) <= rule
    return _known(key)


def _holds_for_object(key: str, schema: dict[str, Any], value: dict[str, Any], root: Any) -> bool:
    rule = schema[key]
    if key == "required":
        return all(name in value for name in rule)
    if key == "properties":
        return all(accepts(below, value[name], root) for name, below in rule.items() if name in value)
    if key == "additionalProperties":
        return all(accepts(rule, value[name], root) for name in value if name not in schema.get("properties", {}))
    if key == "propertyNames":
        return all(accepts(rule, name, root) for name in value)
    if key == "minProperties":
        return len(value) >= rule
    return _known(key)


def _holds_for_list(key: str, rule: Any, value: list[Any], root: Any) -> bool:
    if key == "items":
        return all(accepts(rule, each, root) for each in value)
    if key == "uniqueItems":
        return not rule or all(not _same(a, b) for i, a in enumerate(value) for b in value[:i])
    if key == "maxItems":
        return len(value) <= rule
    return _known(key)
