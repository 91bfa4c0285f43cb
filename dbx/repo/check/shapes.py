"""Folding events without parsing them: the canonical text of a state is made of the canonical texts of its members.

Bodies of one event type mostly have the same members. From the first of each kind, which is parsed and checked in
full, a pattern is made that matches just the bodies with the same keys, canonical as that one was: what matches needs
no further look, and gives the texts of its members. What does not match is parsed.

Canonical (RFC 8785) is: no blanks, keys sorted (they are the first one's), texts without escapes as they are, whole
numbers as they are, and decimals of at most 15 digits without trailing zeros, because any two of those are different
doubles, so that there is no shorter way to write them.
"""

from __future__ import annotations

import re
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from dbx.formats import canonical
from dbx.formats.envelope import MAX_NOTE_CHARS, Body, decode_body

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Tokens = dict[bytes, bytes]
"""The canonical texts of an object's members, by key (UTF-8, not escaped)."""

_TEXT = r'"[^"\\\x00-\x1f]*"'
_SCALAR = rf"(?:{_TEXT}|0|-?[1-9][0-9]{{0,14}}|-?(?:0|[1-9][0-9]{{0,8}})\.[0-9]{{0,5}}[1-9]|true|false|null)"
_SALT = r'"[A-Za-z0-9_-]{16}"'
_PER_KIND = 8
_IN_ALL = 256
_LAYOUTS = 4096
_MAX_PATTERN = 8192
_QUOTED_NOTE = MAX_NOTE_CHARS + 2


class _Shape:
    """The bodies that `match` matches; its groups are the members of the metadata, the note if any, and the payload.

    `metadata_keys` and `payload_keys` are numbers: shapes with the same keys have the same.
    """

    __slots__ = ("first", "has_note", "match", "metadata", "metadata_keys", "payload", "payload_keys")

    def __init__(self, body: Body, pattern: str, number: Callable[[tuple[bytes, ...]], int]) -> None:
        self.match: Callable[[bytes], re.Match[bytes] | None] = re.compile(pattern.encode()).fullmatch
        self.metadata = tuple(key.encode() for key in body.metadata or ())
        self.payload = tuple(key.encode() for key in body.payload)
        self.metadata_keys, self.payload_keys = number(self.metadata), number(self.payload)
        self.has_note = body.note is not None
        self.first = len(self.metadata) + self.has_note


class Shapes:
    """The shapes met so far."""

    def __init__(self) -> None:
        self._by_kind: dict[str, list[_Shape]] = {}
        self._count = 0
        self._keys: dict[tuple[bytes, ...], int] = {}
        self._match_plain = re.compile("[A-Za-z0-9_@.-]+").fullmatch
        self._layouts: dict[frozenset[bytes], tuple[bytes, Callable[[Tokens], tuple[bytes, ...]]]] = {}

    def fold(self, kinds: Sequence[str], lines: Sequence[bytes], state: Tokens, extensions: Tokens) -> None:
        """Merge the payloads and the metadata of bodies, in order. Raises Corrupt for one that is not as it should be.

        That a line is UTF-8 without noncharacters, and short enough for all its parts, is the caller's to know.
        """
        by_kind = self._by_kind
        payloads, metadata = {-1}, {-1}
        shown: list[tuple[_Shape | None, Any]] = []
        # Backwards: what a later event with the same keys overwrites is compared with its shape, and not taken apart.
        for kind, line in zip(reversed(kinds), reversed(lines), strict=True):
            for shape in by_kind.get(kind, ()):
                found = shape.match(line)
                if found is not None:
                    break
            else:
                shown.append((None, self._read_slowly(kind, line)))
                continue
            if shape.has_note and len(found[shape.first]) > _QUOTED_NOTE:
                decode_body(line)
            if shape.payload_keys not in payloads or shape.metadata_keys not in metadata:
                payloads.add(shape.payload_keys)
                metadata.add(shape.metadata_keys)
                shown.append((shape, found))
        for known, what in reversed(shown):
            if known is None:
                state.update(what[0])
                extensions.update(what[1])
                continue
            texts = what.groups()
            if known.first:
                extensions.update(zip(known.metadata, texts, strict=False))
                texts = texts[known.first :]
            state.update(zip(known.payload, texts, strict=True))

    def merge(self, kind: str, line: bytes, state: Tokens, extensions: Tokens) -> None:
        """Merge one body, as `fold` does. Where an aggregate has few events that costs less. Raises as `fold`."""
        for shape in self._by_kind.get(kind, ()):
            found = shape.match(line)
            if found is not None:
                break
        else:
            payload, metadata = self._read_slowly(kind, line)
            state.update(payload)
            extensions.update(metadata)
            return
        texts = found.groups()
        first = shape.first
        if first:
            if shape.has_note and len(texts[first - 1]) > _QUOTED_NOTE:
                decode_body(line)
            extensions.update(zip(shape.metadata, texts, strict=False))
            texts = texts[first:]
        state.update(zip(shape.payload, texts, strict=True))

    def render(self, tokens: Tokens) -> bytes:
        """The canonical text of an object."""
        known = self._layouts.get(frozenset(tokens))
        if known is not None:
            layout, pick = known
            values = pick(tokens)
            return layout % values
        if len(tokens) == 1:
            ((key, text),) = tokens.items()
            if self._match_plain(key.decode()):
                return b'{"%b":%b}' % (key, text)
        elif tokens and all(self._match_plain(key.decode()) for key in tokens):
            keys = sorted(tokens)
            if len(self._layouts) >= _LAYOUTS:
                self._layouts.clear()
            layout = b"{%b}" % b",".join([b'"%b":%%b' % key for key in keys])
            self._layouts[frozenset(tokens)] = layout, itemgetter(*keys)
            return self.render(tokens)
        return canonical.encode_scanned({k.decode(): canonical.scan(t.decode())[0] for k, t in tokens.items()}).encode()

    def _read_slowly(self, kind: str, line: bytes) -> tuple[Tokens, Tokens]:
        """The members of the payload and of the metadata. Raises Corrupt."""
        body = decode_body(line)
        encode = canonical.encode_scanned
        state = {key.encode(): encode(value).encode() for key, value in body.payload.items()}
        extensions = {key.encode(): encode(value).encode() for key, value in (body.metadata or {}).items()}
        shapes = self._by_kind.setdefault(kind, [])
        if len(shapes) < _PER_KIND and self._count < _IN_ALL:
            pattern = self._pattern(body)
            # One that does not match its own example is no use: a text with an escape, a number with an exponent.
            if pattern is not None and len(pattern) <= _MAX_PATTERN:
                shape = _Shape(body, pattern, lambda keys: self._keys.setdefault(keys, len(self._keys)))
                if shape.match(line):
                    shapes.append(shape)
                    self._count += 1
        return state, extensions

    def _pattern(self, body: Body) -> str | None:
        parts = []
        if body.metadata is not None:
            parts.append(f'"metadata":{self._object(body.metadata, capture=True)}')
        if body.note is not None:
            parts.append(r'"note":("[^"\\\x00-\x1f]+")')
        parts.append(f'"payload":{self._object(body.payload, capture=True)}')
        parts.append(f'"salt":{_SALT}')
        text = r"\{" + ",".join(parts) + r"\}"
        return None if "\0" in text else text

    def _object(self, value: dict[str, Any], *, capture: bool = False) -> str:
        members = []
        for key, member in value.items():
            if not self._match_plain(key):
                return "\0"
            text = self._value(member)
            members.append(f'"{re.escape(key)}":({text})' if capture else f'"{re.escape(key)}":{text}')
        return r"\{" + ",".join(members) + r"\}"

    def _value(self, value: Any) -> str:
        """The pattern of a value; with a NUL in it for what has none."""
        if isinstance(value, dict):
            return self._object(value)
        if isinstance(value, list):
            kinds = {self._value(item) for item in value} or {_SCALAR}
            if len(kinds) > 1:
                return "\0"
            item = kinds.pop()
            return rf"\[(?:{item}(?:,{item})*)?\]"
        return _SCALAR
