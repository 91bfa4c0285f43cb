"""Folding events without parsing them: the canonical text of a state is made of the canonical texts of its members.

Bodies of one event type mostly have the same members. From the first of each kind, which is parsed and checked in
full, a pattern is made that matches just the bodies with the same keys, canonical as that one was: what matches needs
no further look, and gives the texts of its members. What does not match is parsed.

Canonical (RFC 8785) is: no blanks, keys sorted (they are the first one's), texts without escapes as they are, whole
numbers as they are, and decimals of at most 15 digits without trailing zeros, because any two of those are different
doubles, so that there is no shorter way to write them.
"""

from __future__ import annotations

import marshal
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from dbx.formats import canonical
from dbx.formats.envelope import MAX_NOTE_CHARS, Body, decode_body

if TYPE_CHECKING:
    from collections.abc import Iterable

Tokens = dict[bytes, bytes]
"""The canonical texts of an object's members, by key (UTF-8, not escaped)."""
Block = tuple[Sequence[int], Sequence[str], bytes | Sequence[bytes]]
"""Events: the numbers of their aggregates, their types, and their bodies, in one piece or line by line."""

_MEMBER, _EXTENSION, _NOTE = b"p", b"m", b"n"
_TEXT = r'"[^"\\\x00-\x1f]*"'
_SCALAR = rf"(?:{_TEXT}|0|-?[1-9][0-9]{{0,14}}|-?(?:0|[1-9][0-9]{{0,8}})\.[0-9]{{0,5}}[1-9]|true|false|null)"
_SALT = r'"[A-Za-z0-9_-]{16}"'
_PER_KIND = 8
_IN_ALL = 256
_LAYOUTS = 4096
_MAX_PATTERN = 8192
_QUOTED_NOTE = MAX_NOTE_CHARS + 2


@dataclass(frozen=True, slots=True)
class _Shape:
    """The bodies that `match` matches; its groups are the members of the metadata, the note if any, and the payload.

    `of_metadata` and `of_payload` are a bit for the keys of each, `of_both` is both: shapes with the same keys have the
    same. `first` is the number of groups before the payload; `members` names all groups as `join_tokens` does.
    """

    match: Callable[[bytes], re.Match[bytes] | None]
    has_note: bool
    of_both: int
    of_metadata: int
    of_payload: int
    metadata: tuple[bytes, ...]
    payload: tuple[bytes, ...]
    first: int
    members: tuple[bytes, ...]


def join_tokens(state: Tokens, extensions: Tokens) -> Tokens:
    """The members of both in one, each marked with where it belongs."""
    joined = {_EXTENSION + key: text for key, text in extensions.items()}
    joined.update((_MEMBER + key, text) for key, text in state.items())
    return joined


def split_tokens(tokens: Tokens) -> tuple[Tokens, Tokens]:
    """State and extensions that were joined."""
    state: Tokens = {}
    extensions: Tokens = {}
    for key, text in tokens.items():
        if key[:1] == _MEMBER:
            state[key[1:]] = text
        elif key[:1] == _EXTENSION:
            extensions[key[1:]] = text
    return state, extensions


class Shapes:
    """The shapes met so far.

    That a body is UTF-8 without noncharacters, and short enough for all its parts, is the caller's to know.
    """

    def __init__(self) -> None:
        self._by_kind: dict[str, list[_Shape]] = {}
        self._count = 0
        self._keys: dict[tuple[bool, tuple[bytes, ...]], int] = {}
        self._match_plain = re.compile("[A-Za-z0-9_@.-]+").fullmatch
        self._layouts: dict[frozenset[bytes], tuple[bytes, Callable[[Tokens], tuple[bytes, ...]]]] = {}

    def check(self, kinds: Sequence[str], lines: Sequence[bytes]) -> None:
        """Raises Corrupt for a body that is not as it should be."""
        for kind, line in zip(kinds, lines, strict=True):
            for shape in self._by_kind.get(kind, ()):
                found = shape.match(line)
                if found is not None:
                    if shape.has_note:
                        _check_note(found[shape.first], line)
                    break
            else:
                self._read_slowly(kind, line)

    def fold(
        self,
        blocks: Iterable[Block],
        states: list[Tokens | bytes],
        extensions: list[Tokens],
        *,
        pack: bool,
        later: Sequence[int] | None = None,
    ) -> list[int]:
        """Merge payloads into states and metadata into extensions, which are by the number of an aggregate.

        The last block comes first. States may be packed (`unpack`); with `pack` those that are touched are. What is
        returned says which keys of each aggregate were met; given as `later` when events before these are folded, it
        spares those that these overwrite. Raises Corrupt for a body that is not as it should be, and merges nothing.
        """
        # Backwards, because what a later event of the same aggregate with the same keys overwrites is compared with its
        # shape, and not taken apart; and what was read last is likely still in the cache.
        seen = [0] * len(states) if later is None else list(later)
        payloads: list[Tokens | None] = [None] * len(states)
        metadata = payloads[:]
        for block in blocks:
            self._take(block, seen, payloads, metadata)
        for number, latest in enumerate(payloads):
            if latest is not None:
                state = states[number]
                if not state:
                    merged = latest
                elif later is None:
                    merged = {**unpack(state), **latest}
                else:
                    merged = {**latest, **unpack(state)}
                states[number] = marshal.dumps(merged) if pack else merged
        for number, latest in enumerate(metadata):
            if latest is not None:
                known = extensions[number]
                extensions[number] = {**known, **latest} if later is None else {**latest, **known}
        return seen

    def _take(
        self, block: Block, seen: list[int], payloads: list[Tokens | None], metadata: list[Tokens | None]
    ) -> None:
        """The events of a block, put under those that come after them."""
        numbers, kinds, bodies = block
        lines = bodies.split(b"\n")[:-1] if isinstance(bodies, bytes) else bodies
        by_kind = self._by_kind
        for number, kind, line in zip(reversed(numbers), reversed(kinds), reversed(lines), strict=True):
            for shape in by_kind.get(kind, ()):
                found = shape.match(line)
                if found is not None:
                    break
            else:
                self._take_slowly(number, kind, line, payloads, metadata)
                continue
            if shape.has_note:
                _check_note(found[shape.first], line)
            old, both = seen[number], shape.of_both
            if old & both == both:
                continue
            seen[number] = old | both
            texts = found.groups()
            if not old & shape.of_metadata:
                known = metadata[number]
                if known is None:
                    metadata[number] = dict(zip(shape.metadata, texts, strict=False))
                else:
                    for key, text in zip(shape.metadata, texts, strict=False):
                        known.setdefault(key, text)
            if not old & shape.of_payload:
                known = payloads[number]
                if known is None:
                    payloads[number] = dict(zip(shape.payload, texts[shape.first :], strict=True))
                else:
                    put = known.setdefault
                    for key, text in zip(shape.payload, texts[shape.first :], strict=True):
                        put(key, text)

    def _take_slowly(
        self, number: int, kind: str, line: bytes, payloads: list[Tokens | None], metadata: list[Tokens | None]
    ) -> None:
        payload, known = self._read_slowly(kind, line)
        payloads[number] = {**payload, **(payloads[number] or {})}
        metadata[number] = {**known, **(metadata[number] or {})}

    def put_under(
        self,
        numbers: Sequence[int],
        kinds: Sequence[str],
        lines: Sequence[bytes],
        seen: list[int],
        take: Callable[[int], Tokens],
    ) -> None:
        """Put bodies under what came later: members of states and extensions together, as `join_tokens` joins them.

        `take` gives those of an aggregate as far as they are known, to be added to; `seen` says which keys of each were
        met, and spares taking bodies apart that later ones overwrite whole. Raises as `fold`, having put some.
        """
        by_kind = self._by_kind
        for number, kind, line in zip(reversed(numbers), reversed(kinds), reversed(lines), strict=True):
            for shape in by_kind.get(kind, ()):
                found = shape.match(line)
                if found is not None:
                    break
            else:
                put = take(number).setdefault
                for key, text in join_tokens(*self._read_slowly(kind, line)).items():
                    put(key, text)
                continue
            if shape.has_note:
                _check_note(found[shape.first], line)
            old, both = seen[number], shape.of_both
            if old & both != both:
                seen[number] = old | both
                put = take(number).setdefault
                for key, text in zip(shape.members, found.groups(), strict=True):
                    put(key, text)

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
                shape = self._shape(body, pattern)
                if shape.match(line):
                    shapes.append(shape)
                    self._count += 1
        return state, extensions

    def _shape(self, body: Body, pattern: str) -> _Shape:
        metadata = tuple(key.encode() for key in body.metadata or ())
        payload = tuple(key.encode() for key in body.payload)
        of_metadata = self._keys.setdefault((True, metadata), 1 << len(self._keys))
        of_payload = self._keys.setdefault((False, payload), 1 << len(self._keys))
        has_note = body.note is not None
        match = re.compile(pattern.encode()).fullmatch
        of_both = of_metadata | of_payload
        first = len(metadata) + has_note
        extensions = [_EXTENSION + key for key in metadata]
        members = (*extensions, *[_NOTE] * has_note, *[_MEMBER + key for key in payload])
        return _Shape(match, has_note, of_both, of_metadata, of_payload, metadata, payload, first, members)

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


def unpack(state: Tokens | bytes) -> Tokens:
    """A state that may be packed."""
    if isinstance(state, bytes):
        found: Tokens = marshal.loads(state)  # noqa: S302 - our own
        return found
    return state


def _check_note(note: bytes, line: bytes) -> None:
    """Raises Corrupt for a note (a JSON text) that is too long."""
    if len(note) > _QUOTED_NOTE:
        decode_body(line)
