"""JSON text exactly as RFC 8785 and RFC 7493 (I-JSON) have it, written for certainty and not for speed.

`dbx.formats.canonical` uses the C encoder wherever that provably gives the same text, and loads this for the rest.
"""

from __future__ import annotations

import re
from functools import cache
from json.encoder import encode_basestring
from typing import TYPE_CHECKING

from dbx.errors import Invalid
from dbx.formats import es6number

if TYPE_CHECKING:
    from typing import Any


@cache
def _bad_character() -> re.Pattern[str]:
    """Surrogates and noncharacters, which RFC 7493 §2.1 keeps out of strings."""
    ends = "".join(chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF) for plane in range(17))
    return re.compile(f"[\ud800-\udfff\ufdd0-\ufdef{ends}]")


def describe_character(text: str) -> str | None:
    """The first surrogate or noncharacter of a string in words, or None."""
    found = None if text.isascii() else _bad_character().search(text)
    if found is None:
        return None
    code = ord(found[0])
    return f"{'lone surrogate' if 0xD800 <= code <= 0xDFFF else 'noncharacter'} U+{code:04X}"


def describe_path(keys: list[str]) -> str:
    """The keys that lead to a field, as ` field 'a.b'`, safe to print and short; empty for none."""
    if not keys:
        return ""
    path = ".".join(keys)
    return f" field {path if len(path) <= 60 else path[:60] + '…'!r}"


def write(value: Any, *, what: str) -> str:
    """The canonical text of a Python value (None, bool, int, float, str, list, tuple, dict with str keys).

    Raises Invalid that names the field for anything else, for numbers that are not finite or beyond ±(2^53-1) without
    an exponent, for surrogates and noncharacters, and for values too deep to walk.
    """
    out: list[str] = []
    path: list[str] = []
    try:
        _write(value, out, path)
    except Invalid as fault:
        raise Invalid(f"{fault.message} in {what}{describe_path(path)}", hint=fault.hint) from None
    except RecursionError:
        raise Invalid(f"{what} nests too deep, or holds itself") from None
    return "".join(out)


def _write(value: Any, out: list[str], path: list[str]) -> None:
    if isinstance(value, str):
        out.append(_quote(value))
    elif isinstance(value, dict):
        _write_object(value, out, path)
    elif isinstance(value, list | tuple):
        mark = "["
        for item in value:
            out.append(mark)
            _write(item, out, path)
            mark = ","
        out.append("]" if value else "[]")
    elif value is None or value is True or value is False:
        out.append("null" if value is None else "true" if value else "false")
    elif isinstance(value, int):
        if not -es6number.MAX_SAFE <= value <= es6number.MAX_SAFE:
            raise Invalid(es6number.BEYOND_SAFE, hint=es6number.AS_STRING)
        out.append(int.__repr__(value))
    elif isinstance(value, float):
        if value.is_integer() and not -es6number.MAX_SAFE <= value <= es6number.MAX_SAFE:
            es6number.beyond_safe(value)
        out.append(es6number.format_number(value))
    else:
        raise Invalid(f"Python type '{type(value).__name__}', which JSON does not have,")


def _write_object(value: dict[Any, Any], out: list[str], path: list[str]) -> None:
    quoted: list[tuple[bytes, str, str]] = []
    for key in value:
        if not isinstance(key, str):
            raise Invalid(f"key of type '{type(key).__name__}', not a string,")
        quoted.append((key.encode("utf-16-be", "surrogatepass"), _quote(key), key))
    # RFC 8785 §3.2.3 sorts by UTF-16 code units, and big-endian bytes sort just so.
    quoted.sort()
    mark = "{"
    for _, text, key in quoted:
        out.append(f"{mark}{text}:")
        path.append(key)
        _write(value[key], out, path)
        path.pop()
        mark = ","
    out.append("}" if value else "{}")


def _quote(text: str) -> str:
    fault = describe_character(text)
    if fault is not None:
        raise Invalid(fault)
    return encode_basestring(text)
