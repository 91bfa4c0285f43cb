"""Says where and why a JSON text was refused. Loaded only when one was, so it may take its time (but linear time)."""

from __future__ import annotations

import re
from json.decoder import JSONDecodeError, JSONDecoder

from dbx.errors import Invalid
from dbx.formats import es6json, es6number

# The closing quote is optional so that no attempt can fail after an opening one: otherwise a text of escaped quotes
# would be searched again from each of them.
_TOKEN = re.compile(
    r'"[^"\\]*(?:\\.?[^"\\]*)*"?|[{}\[\],:]|'
    r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|NaN|-?Infinity",
    re.DOTALL,
)


def syntax_fault(text: str, at: int, reason: str, *, what: str, first_line: int) -> Invalid:
    """A fault of grammar at a character offset, with the decoder's reason in our words."""
    if text.startswith("\ufeff"):
        return Invalid(f"{what} starts with a byte order mark", hint="send UTF-8 without one")
    if not text.strip(" \t\r\n"):
        return Invalid(f"{what} is empty where JSON is expected")
    plain = reason[:1].lower() + reason[1:].removesuffix(" at").removesuffix(" starting").rstrip(": ")
    return _at(text, at, f"{what} is not JSON: {plain}", first_line)


def find_fault(text: str, *, what: str, max_depth: int, first_line: int) -> Invalid | None:
    """The first breach of RFC 7493 or of the depth limit in a text whose grammar is sound, or None."""
    seen: list[set[str] | None] = []
    path: list[str] = []
    expect_key = False
    for match in _TOKEN.finditer(text):
        token = match[0]
        reason: str | None = None
        hint: str | None = None
        first = token[0]
        if first in "{[":
            if len(seen) == max_depth:
                return _at(text, match.start(), f"{what} nests deeper than {max_depth}", first_line)
            expect_key = first == "{"
            seen.append(set() if expect_key else None)
            path.append("")
        elif first in "}]":
            del seen[-1:], path[-1:]
        elif first == ",":
            expect_key = bool(seen) and seen[-1] is not None
        elif first == '"':
            string = _unquote(text, match.start())
            reason = es6json.describe_character(string)
            keys = seen[-1] if seen and expect_key else None
            if keys is not None:
                path[-1] = string
                expect_key = False
                if string in keys:
                    shown = string if len(string) <= 60 else string[:60] + "…"
                    return _at(text, match.start(), f"duplicate key {shown!r} in {what}", first_line)
                keys.add(string)
        elif first != ":":
            reason, hint = _number_fault(token)
        if reason is not None:
            field = es6json.describe_path([key for key in path if key])
            return _at(text, match.start(), f"{reason} in {what}{field}", first_line, hint)
    return None


def _unquote(text: str, at: int) -> str:
    try:
        return str(JSONDecoder().raw_decode(text, at)[0])
    except JSONDecodeError:
        return ""  # the text is broken here, behind the fault that we are looking for


def _number_fault(token: str) -> tuple[str | None, str | None]:
    try:
        if token[-1].isalpha():
            es6number.refuse_constant(token)
        if token.lstrip("-").isdigit():
            es6number.parse_integer(token)
        else:
            es6number.parse_fraction(token)
    except Invalid as fault:
        return fault.message, fault.hint
    return None, None


def _at(text: str, at: int, sentence: str, first_line: int, hint: str | None = None) -> Invalid:
    line = first_line + text.count("\n", 0, at)
    column = at - text.rfind("\n", 0, at)
    return Invalid(f"{sentence} at line {line} column {column}", hint=hint, details={"line": line, "column": column})
