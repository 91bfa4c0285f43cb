"""YAML that people edit: schemas and settings. The only module that imports yaml.

What is read is YAML 1.2 with nothing in it that surprises: one document of mappings with text keys, sequences, text,
numbers as JSON writes them, `true`, `false` and `null`. `no`, `on`, `010`, `1:30`, `0x1f` and `2026-11-23` are text.
Aliases, anchors, tags, directives, merge keys and duplicate keys are refused, each with its line and column.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, NoReturn

from dbx.errors import Invalid, quote
from dbx.formats.envelope import MAX_INTEGER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    import yaml

    Opening = yaml.ScalarEvent | yaml.CollectionStartEvent
    Ending = yaml.CollectionEndEvent

    class _Mark(Protocol):
        """A place in a file, from 0: of yaml's two parsers each has its own class."""

        @property
        def line(self) -> int: ...
        @property
        def column(self) -> int: ...


MAX_BYTES = 1 << 20
MAX_DEPTH = 32

_match_number = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII).fullmatch
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}

# What I-JSON forbids besides surrogates (RFC 7493 §2.1).
_NONCHARACTERS = "\ufdd0-\ufdef" + "".join(f"{chr(p << 16 | 0xFFFE)}{chr(p << 16 | 0xFFFF)}" for p in range(17))
# Also the byte order mark, what YAML 1.2 §5.1 does not print, and what only YAML 1.1 takes for line breaks.
_find_unprintable = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff{_NONCHARACTERS}]").search
# The patterns that settings do not need are left to re's own cache: compiling them would slow every start.
_UNFIT = f"[\ud800-\udfff{_NONCHARACTERS}]"
_ESCAPED = '["\\\\\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]'

# Text that every reader of YAML 1.1 and 1.2 takes for the same text without quotes, unless it is one of the words.
_PLAIN = r"[A-Za-z_/](?:[A-Za-z0-9_./@+~=,()-]|:(?=[A-Za-z0-9_/])| (?=[A-Za-z0-9_(]))*"
_RESERVED = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_match_line = re.compile(
    r"( *)(?:#.*|(?:(-)|([A-Za-z_][A-Za-z0-9_-]{0,99}):)"
    rf"(?: ({_PLAIN}|-?[0-9][0-9.eE+-]*|\"[^\"\\\x00-\x1f]*\"|\[\]|\{{\}}))?)?",
    re.ASCII,
).fullmatch

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
# Readers look no further than 1024 characters for the ':' that makes a key.
_LONG_KEY_CHARS = 512


def load(data: bytes, *, name: str, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Any:
    """The value of one YAML document (None of an empty one): dict, list, str, int within ±(2^53-1), float, bool, None.

    `name` is the file, for messages. Nesting counts as in payloads: `{}` is 1. Raises Invalid.
    """
    source = Source(name, data, max_bytes)
    simple = _read_simple(source.text, max_depth)
    return Builder(source, max_depth).build() if simple is None else simple


def dump(value: Any, *, max_depth: int = MAX_DEPTH) -> bytes:
    """`value` in block style, two spaces a level, keys in the order given; load gives the same value back.

    Text that some reader could take for something else stands between double quotes. Raises Invalid for what load would
    not give back.
    """
    lines: list[str] = []
    _dump_below(value, "", "", max_depth, lines)
    return ("\n".join(lines) + "\n").encode()


class Source:
    """The text of a file, and how to point into it. Raises Invalid for bytes that are no text dbx reads."""

    __slots__ = ("name", "text")

    def __init__(self, name: str, data: bytes, max_bytes: int = MAX_BYTES) -> None:
        if len(data) > max_bytes:
            raise Invalid(f"cannot read {_quote_path(name)}: it has {len(data)} bytes, at most {max_bytes} are allowed")
        self.name = name
        try:
            self.text = data.decode()
        except UnicodeDecodeError as error:
            self._refuse_after(data[: error.start].decode(), "it has a byte that is not UTF-8")
        found = _find_unprintable(self.text)
        if found:
            character = "a byte order mark" if found[0] == "\ufeff" else f"the character U+{ord(found[0]):04X}"
            self._refuse_after(self.text[: found.start()], f"it has {character}")

    def refuse(self, mark: _Mark | None, sentence: str, hint: str | None = None) -> NoReturn:
        """Raise Invalid for what is wrong at a place."""
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        self._refuse_at(line, column, sentence, hint)

    def _refuse_after(self, before: str, sentence: str) -> NoReturn:
        self._refuse_at(
            before.count("\n") + 1, len(before) - before.rfind("\n"), sentence, "save it as plain UTF-8 text"
        )

    def _refuse_at(self, line: int, column: int, sentence: str, hint: str | None) -> NoReturn:
        raise Invalid(
            f"cannot read {_quote_path(self.name)}: {sentence} at line {line} column {column}",
            hint=hint,
            details={"file": self.name, "line": line, "column": column},
        )


class Builder:
    """Makes the value from the parser's events, one by one, so that nothing is expanded and nothing recurses."""

    __slots__ = ("_max_depth", "_open", "_source", "_top")

    def __init__(self, source: Source, max_depth: int) -> None:
        self._source = source
        self._max_depth = max_depth
        self._top: list[Any] = []
        # Per open collection: the collection, and of a mapping the key that waits for its value.
        self._open: list[tuple[Any, list[str]]] = [(self._top, [])]

    def build(self) -> Any:
        """The value of the document. Raises Invalid."""
        import yaml

        for event in self._events():
            if isinstance(event, yaml.ScalarEvent):
                self._refuse_properties(event)
                self._add(event, _resolve(self._source, event))
            elif isinstance(event, yaml.CollectionStartEvent):
                self._refuse_properties(event)
                self._start(event, {} if isinstance(event, yaml.MappingStartEvent) else [])
            elif isinstance(event, yaml.CollectionEndEvent):
                self._open.pop()
                self._end(event)
            elif isinstance(event, yaml.AliasEvent):
                self._source.refuse(event.start_mark, "aliases ('*') are not allowed", "write the value out")
            elif isinstance(event, yaml.DocumentStartEvent):
                self._start_document(event)
        return self._top[0] if self._top else None

    def _events(self) -> Iterator[yaml.Event]:
        import yaml

        # libyaml's parser is ten times as fast, but not every build of PyYAML has it.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(self._source.text)
        try:
            while loader.check_event():
                yield loader.get_event()
        except yaml.MarkedYAMLError as error:
            self._source.refuse(error.problem_mark, error.problem or "it is not YAML")
        except (ValueError, OverflowError):
            # The parser that is not libyaml's turns an escape above U+10FFFF into a character without looking.
            self._source.refuse(loader.get_mark(), "an escape stands for no character")
        finally:
            loader.dispose()

    def _start_document(self, event: yaml.DocumentStartEvent) -> None:
        if self._top:
            self._source.refuse(event.start_mark, "a second document starts", "one file holds one document")
        if event.version or event.tags:
            self._source.refuse(event.start_mark, "directives ('%') are not allowed", "remove the line")

    def _end(self, event: Ending) -> None:
        """A collection is complete: for who also keeps where things stand."""

    def _start(self, event: yaml.CollectionStartEvent, collection: dict[str, Any] | list[Any]) -> None:
        if len(self._open) > self._max_depth:
            self._source.refuse(event.start_mark, f"it nests more than {self._max_depth} levels deep")
        self._add(event, collection)
        self._open.append((collection, []))

    def _add(self, event: Opening, value: Any) -> None:
        collection, key = self._open[-1]
        if isinstance(collection, list):
            collection.append(value)
        elif key:
            collection[key.pop()] = value
        elif not isinstance(value, str):
            self._source.refuse(event.start_mark, "a key is not text", "put the key between quotes")
        elif value == "<<" and event.implicit == (True, False):
            self._source.refuse(event.start_mark, "merge keys ('<<') are not allowed", "write the members out")
        elif value in collection:
            self._source.refuse(event.start_mark, f"the key {quote(value)} stands twice")
        else:
            key.append(value)

    def _refuse_properties(self, event: Opening) -> None:
        if event.anchor is not None:
            self._source.refuse(event.start_mark, "anchors ('&') are not allowed", "put the text between quotes")
        if event.tag is not None:
            self._source.refuse(event.start_mark, "tags ('!') are not allowed", "put the text between quotes")


def _resolve(source: Source, event: yaml.ScalarEvent) -> Any:
    text: str = event.value
    if _is_unfit(text):
        source.refuse(event.start_mark, "the text holds a surrogate or noncharacter")
    if not event.implicit[0]:
        return text
    try:
        return _resolve_plain(text)
    except OverflowError:
        source.refuse(event.start_mark, "the number is too large", "put it between quotes to keep it as text")


def _resolve_plain(text: str) -> Any:
    """What text without quotes means. Raises OverflowError for a number that JSON cannot carry (RFC 7493 §2.2)."""
    if text in _WORDS:
        return _WORDS[text]
    number = _match_number(text)
    if not number:
        return text
    if number[1] or number[2]:
        real = float(text)
        if math.isinf(real):
            raise OverflowError
        return real
    # Looked at before int(), which takes quadratic time and refuses more than 4300 digits.
    if len(text) > 17 or abs(int(text)) > MAX_INTEGER:
        raise OverflowError
    return int(text)


def _read_simple(text: str, max_depth: int) -> Any:
    """The value when `text` is block mappings, two spaces a level, of one-line values and flat sequences; else None.

    Settings as dump writes them are of this kind. Importing yaml takes longer than Python's own start.
    """
    if "\r" in text:
        return None
    top: dict[str, Any] = {}
    levels: list[Any] = [top]
    for line in text.split("\n"):
        found = _match_line(line)
        if not found:
            return None
        indent, dash, key, scalar = found.groups()
        if not dash and not key:
            continue
        collection = _collection_at(levels, len(indent), list if dash else dict)
        if collection is None or len(levels) >= max_depth:
            return None
        try:
            value = None if scalar is None else _resolve_simple(scalar)
        except OverflowError:
            return None
        if dash and scalar is not None:
            collection.append(value)
        elif dash or key in collection or key in _WORDS:
            return None
        else:
            collection[key] = value
            if scalar is None:
                levels.append(None)
    return top if top and levels[-1] is not None else None


def _collection_at(levels: list[Any], indent: int, kind: type) -> Any:
    # A None on top is the value of a key that stood alone on its line: the next line says what it is.
    depth, odd = divmod(indent, 2)
    if odd or depth >= len(levels):
        return None
    if levels[-1] is None:
        if depth != len(levels) - 1:
            return None
        levels[-1] = kind()
        levels[-2][next(reversed(levels[-2]))] = levels[-1]
    del levels[depth + 1 :]
    return levels[depth] if type(levels[depth]) is kind else None


def _resolve_simple(scalar: str) -> Any:
    if scalar[0] == '"':
        return scalar[1:-1]
    if scalar[0] == "[":
        return []
    if scalar[0] == "{":
        return {}
    return _resolve_plain(scalar)


def _dump_below(value: Any, before: str, indent: str, room: int, lines: list[str]) -> None:
    """Writes `value` after `before` (such as `key:` or `-`) where it fits on the line, else below it at `indent`."""
    if isinstance(value, dict | list | tuple):
        if room < 1:
            raise Invalid("the value nests too deep to be written as YAML")
        if value:
            if before:
                lines.append(before)
            if isinstance(value, dict):
                _dump_mapping(value, indent, room - 1, lines)
            else:
                _dump_sequence(value, indent, room - 1, lines)
            return
        text = "{}" if isinstance(value, dict) else "[]"
    else:
        text = format_scalar(value)
    lines.append(f"{before} {text}" if before else text)


def _dump_mapping(mapping: dict[Any, Any], indent: str, room: int, lines: list[str]) -> None:
    for key, value in mapping.items():
        if not isinstance(key, str):
            raise Invalid("a key is not text and cannot be written as YAML")
        text = format_text(key)
        if len(text) > _LONG_KEY_CHARS:
            lines.append(f"{indent}? {text}")
            text = ""
        _dump_below(value, f"{indent}{text}:", indent + "  ", room, lines)


def _dump_sequence(sequence: list[Any] | tuple[Any, ...], indent: str, room: int, lines: list[str]) -> None:
    for value in sequence:
        first = len(lines)
        _dump_below(value, "", indent + "  ", room, lines)
        lines[first] = f"{indent}- {lines[first].lstrip(' ')}"


def format_scalar(value: Any) -> str:
    """A value that is no collection, on one line."""
    if isinstance(value, str):
        return format_text(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) and abs(value) <= MAX_INTEGER:
        return int.__repr__(value)
    if isinstance(value, float) and math.isfinite(value):
        text = float.__repr__(value)
        # Readers of YAML 1.1 take 1e+16 for text, and 1.0e+16 for the number.
        return text if "." in text else text.replace("e", ".0e")
    raise Invalid("a value that JSON cannot hold cannot be written as YAML")


def format_text(text: str) -> str:
    """Text on one line, between quotes where some reader could take it for something else."""
    if re.fullmatch(_PLAIN, text, re.ASCII) and text.lower() not in _RESERVED:
        return text
    if _is_unfit(text):
        raise Invalid("text with a surrogate or noncharacter cannot be written as YAML")
    return f'"{re.sub(_ESCAPED, _escape, text)}"'


def _escape(found: re.Match[str]) -> str:
    return _ESCAPES.get(found[0]) or f"\\u{ord(found[0]):04x}"


def _is_unfit(text: str) -> bool:
    return not text.isascii() and re.search(_UNFIT, text) is not None


def _quote_path(path: str) -> str:
    """All of it: the file is what the end of a path names."""
    return f"'{path}'" if path.isprintable() else ascii(path)
