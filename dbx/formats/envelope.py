"""An event's two lines, the envelope and the body, and the words they share with commits (format.md §3).

    {"aggregate_id":"o-17","aggregate_type":"order","body":"<hash>","created_at":"2026-11-23T07:42:00.123456Z",
     "event_id":"250526281754464263","event_type":"order_placed","issued_by":{"group":"ops","user":"jane"},"version":3}

    {"metadata":{"@actor":"csr-22"},"note":"…","payload":{…},"salt":"AAECAwQFBgcICQoL"}

Every value has one spelling: what decodes is exactly what encoding gives. Lines are without their newline here.
"""

from __future__ import annotations

import json
import re
from datetime import date
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.errors import Corrupt, Invalid
from dbx.formats import canonical

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_ENVELOPE_BYTES = 64 * 1024
MAX_BODY_BYTES = 2 * 1024 * 1024
MAX_PAYLOAD_BYTES = 256 * 1024
MAX_METADATA_BYTES = 64 * 1024
MAX_NOTE_CHARS = 128
MAX_ACTOR_CHARS = 128
MAX_PAYLOAD_DEPTH = 64
MAX_INTEGER = 2**53 - 1
"""What every JSON reader holds exactly (RFC 7493 §2.2)."""
MAX_EVENT_ID = 2**63 - 1

HASH = "[0-9a-f]{64}"
UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{6}Z"
INTEGER = "0|[1-9][0-9]{0,15}"
STRING = r'"[^"\\\x00-\x1f]*(?:\\.[^"\\\x00-\x1f]*)*"'
"""Patterns of one JSON token each; what a pattern cannot say (the calendar, ranges, escapes) is checked after it."""

_DIGITS = frozenset("0123456789abcdef")
_DASHES = (8, 13, 18, 23)
_SALT = "[A-Za-z0-9_-]{16}"
_HEAD = b'{"payload":'
_SALT_HEAD = b',"salt":"'
_SALT_BYTES = len('0123456789abcdef"}')
_TAIL_BYTES = len(_SALT_HEAD) + _SALT_BYTES
_ENVELOPE_MEMBERS = frozenset(
    ("aggregate_id", "aggregate_type", "body", "created_at", "event_id", "event_type", "issued_by", "version")
)
_BODY_MEMBERS = frozenset(("metadata", "note", "payload", "salt"))


class Actor(NamedTuple):
    """Who did it: group and user, 1 to 128 characters each, no control characters."""

    group: str
    user: str


class Envelope(NamedTuple):
    """The public half of an event. `body` is the SHA-256 of the body line, 64 lowercase hex digits."""

    aggregate_id: str
    aggregate_type: str
    body: str
    created_at: str
    event_id: int
    event_type: str
    issued_by: Actor | None
    version: int


class Body(NamedTuple):
    """The private half of an event. `salt` is 12 random bytes as 16 base64url characters."""

    payload: dict[str, Any]
    metadata: dict[str, Any] | None
    note: str | None
    salt: str


def encode_envelope(envelope: Envelope) -> bytes:
    """The envelope's line. Names, times and numbers are the caller's to have checked: they go in as they are.

    Raises Invalid when `issued_by` is not fit to be stored.
    """
    e = envelope
    by = "" if e.issued_by is None else f'"issued_by":{issuer_text(e.issued_by)},'
    return (
        f'{{"aggregate_id":"{e.aggregate_id}","aggregate_type":"{e.aggregate_type}","body":"{e.body}",'
        f'"created_at":"{e.created_at}","event_id":"{e.event_id}","event_type":"{e.event_type}",{by}'
        f'"version":{e.version}}}'
    ).encode()


def decode_envelope(line: bytes) -> Envelope:
    """The envelope of a stored line. Raises Corrupt unless the line is the one spelling of a valid envelope."""
    if len(line) > MAX_ENVELOPE_BYTES:
        raise Corrupt(f"an envelope is {len(line)} bytes long, more than {MAX_ENVELOPE_BYTES}")
    found = _envelope_pattern()(_as_text(line, "an envelope"))
    if found is None:
        raise foreign_line(line, "an envelope", _ENVELOPE_MEMBERS)
    aggregate_id, aggregate_type, body, created_at, event_id, event_type, group, user, version = found.groups()
    issued_by = None if group is None else Actor(_actor_from(group), _actor_from(user))
    envelope = Envelope(
        aggregate_id, aggregate_type, body, created_at, int(event_id), event_type, issued_by, int(version)
    )
    if not is_day(created_at) or envelope.event_id > MAX_EVENT_ID or envelope.version > MAX_INTEGER:
        raise Corrupt("an envelope holds a date or a number that cannot be")
    return envelope


def encode_body(body: Body) -> bytes:
    """The body's line; empty metadata and an empty note are left out.

    Raises Invalid when the payload or metadata cannot be JSON, or a limit of format.md §3 is passed.
    """
    line = join_body(
        canonical.encode_text(body.payload),
        canonical.encode_text(body.metadata) if body.metadata else None,
        canonical.encode_text(body.note) if body.note else None,
        body.salt,
    )
    broken = _broken_limit(body, len(line))
    if broken:
        raise Invalid(broken)
    if line.count(b"{") + line.count(b"[") > MAX_PAYLOAD_DEPTH:
        for part in (body.payload, body.metadata):
            if canonical.depth(part) > MAX_PAYLOAD_DEPTH:
                raise Invalid(f"the payload or metadata nests deeper than {MAX_PAYLOAD_DEPTH}")
    return line


def join_body(payload: str, metadata: str | None, note: str | None, salt: str) -> bytes:
    """A body's line from parts that are canonical JSON text already. The caller has checked the limits."""
    meta = "" if metadata is None else f'"metadata":{metadata},'
    noted = "" if note is None else f'"note":{note},'
    return f'{{{meta}{noted}"payload":{payload},"salt":"{salt}"}}'.encode()


def decode_body(line: bytes) -> Body:
    """The body of a stored line. Raises Corrupt unless the line is the one spelling of a valid body.

    The empty line of an erased body is not a body: who reads lines looks for it first.
    """
    if len(line) > MAX_BODY_BYTES:
        raise Corrupt(f"a body is {len(line)} bytes long, more than {MAX_BODY_BYTES}")
    if line.startswith(_HEAD) and line[-_TAIL_BYTES:-_SALT_BYTES] == _SALT_HEAD and line.endswith(b'"}'):
        try:
            payload = canonical.decode(line[len(_HEAD) : -_TAIL_BYTES], max_depth=MAX_PAYLOAD_DEPTH)
        except Corrupt as error:
            raise foreign_line(line, "a body", _BODY_MEMBERS) from error
        if not isinstance(payload, dict):
            raise Corrupt("a body's payload is not an object")
        body = Body(payload, None, None, line[-_SALT_BYTES:-2].decode("ascii", "replace"))
    else:
        body = _decode_annotated(line)
    if not re.fullmatch(_SALT, body.salt):
        raise Corrupt("a body's salt is not 16 base64url characters")
    broken = _broken_limit(body, len(line))
    if broken:
        raise Corrupt(broken)
    return body


def is_actor_text(text: str) -> bool:
    """Whether text may be a group, a user or a token id: 1 to 128 characters, no control characters."""
    return (
        0 < len(text) <= MAX_ACTOR_CHARS and (text.isprintable() or not any(map(_is_control, text))) and is_text(text)
    )


def is_text(text: str) -> bool:
    """Whether I-JSON can carry the text: no surrogates, no noncharacters (RFC 7493 §2.1)."""
    return text.isascii() or text.isprintable() or not any(map(_is_unfit, text))


def is_time(text: str) -> bool:
    """Whether text is `YYYY-MM-DDTHH:MM:SS.ffffffZ` on a day that exists."""
    return re.fullmatch(TIME, text) is not None and is_day(text)


def is_hash(text: str) -> bool:
    """Whether text is HASH, without compiling it."""
    return len(text) == 64 and _DIGITS.issuperset(text)


def is_uuid(text: str) -> bool:
    """Whether text is UUID, without compiling it."""
    return (
        len(text) == 36
        and text.count("-") == len(_DASHES)
        and all(text[at] == "-" for at in _DASHES)
        and _DIGITS.issuperset(text.replace("-", ""))
    )


def is_day(text: str) -> bool:
    """Whether the ten characters YYYY-MM-DD that text begins with are a day of the calendar, year 1 or later."""
    try:
        date.fromisoformat(text[:10])
    except ValueError:
        return False
    return True


def escape(text: str) -> str:
    """The canonical JSON string token of a text that passes is_text, quotes included."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return canonical.encode_scanned(text)


def unescape(token: str) -> str:
    """The text of a JSON string token, quotes included. Raises Corrupt unless it is its one canonical spelling."""
    text = token[1:-1]
    if "\\" in text:
        try:
            text = json.loads(token)
        except ValueError as error:
            raise Corrupt("a stored text has an escape that JSON does not know") from error
        if escape(text) != token:
            raise Corrupt("a stored text is escaped otherwise than canonical JSON does it")
    if not is_text(text):
        raise Corrupt("a stored text has a surrogate or noncharacter")
    return text


def foreign_line(line: bytes, what: str, members: frozenset[str]) -> Corrupt:
    """The error for a line that does not match its pattern: from a newer dbx when it has members we do not know."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict) and (not members.issuperset(value) or value.get("v", 1) != 1):
        return Corrupt(f"{what} was written by a newer dbx", hint="upgrade dbx")
    return Corrupt(f"{what} is not spelled as dbx writes it")


@cache
def _envelope_pattern() -> Callable[[str], re.Match[str] | None]:
    # Compiled when the first envelope is read: staging an event reads none, and compiling costs more than it does.
    return re.compile(
        r'\{"aggregate_id":"([A-Za-z0-9][A-Za-z0-9_.:@/+~-]{0,127})"'
        r',"aggregate_type":"([a-z][a-z0-9_]{0,63})"'
        rf',"body":"({HASH})","created_at":"({TIME})","event_id":"(0|[1-9][0-9]{{0,18}})"'
        r',"event_type":"([a-z][a-z0-9_]{0,127})"'
        rf'(?:,"issued_by":\{{"group":({STRING}),"user":({STRING})\}})?'
        r',"version":([1-9][0-9]{0,15})\}'
    ).fullmatch


@lru_cache(maxsize=64)
def issuer_text(actor: Actor) -> str:
    """The JSON object of `issued_by`. Raises Invalid when a name is not fit to be stored."""
    if not is_actor_text(actor.group) or not is_actor_text(actor.user):
        raise Invalid(
            f"an actor's group and user must have 1 to {MAX_ACTOR_CHARS} characters and no control characters"
        )
    return f'{{"group":{escape(actor.group)},"user":{escape(actor.user)}}}'


def _actor_from(token: str) -> str:
    text = unescape(token)
    if not is_actor_text(text):
        raise Corrupt(f"an actor's name is empty, longer than {MAX_ACTOR_CHARS} characters, or has control characters")
    return text


def _decode_annotated(line: bytes) -> Body:
    """A body with metadata or a note. The body itself is one level around its payload."""
    try:
        value = canonical.decode(line, max_depth=MAX_PAYLOAD_DEPTH + 1)
    except Corrupt as error:
        raise foreign_line(line, "a body", _BODY_MEMBERS) from error
    if not isinstance(value, dict) or not _BODY_MEMBERS.issuperset(value):
        raise foreign_line(line, "a body", _BODY_MEMBERS)
    payload, metadata, note, salt = (value.get(name) for name in ("payload", "metadata", "note", "salt"))
    shaped = isinstance(payload, dict) and isinstance(salt, str)
    if "metadata" in value:
        shaped = shaped and isinstance(metadata, dict) and bool(metadata)
    if "note" in value:
        shaped = shaped and isinstance(note, str) and bool(note)
    if not shaped:
        raise Corrupt("a body lacks a member, or one is empty or of the wrong kind")
    return Body(payload, metadata, note, salt)  # type: ignore[arg-type]  # proved by `shaped`


def _broken_limit(body: Body, line_bytes: int) -> str | None:
    """The first limit of format.md §3 that the body breaks, in words. A short line proves its parts short."""
    if line_bytes > MAX_BODY_BYTES:
        return f"the body is {line_bytes} bytes long, more than {MAX_BODY_BYTES}"
    if body.note is not None and len(body.note) > MAX_NOTE_CHARS:
        return f"the note is {len(body.note)} characters long, more than {MAX_NOTE_CHARS}"
    if body.metadata:
        if not all(re.fullmatch("@[A-Za-z0-9][A-Za-z0-9_-]*", key) for key in body.metadata):
            return "a metadata key is not @ and then letters, digits, _ and -"
        if line_bytes > MAX_METADATA_BYTES and len(canonical.encode(body.metadata)) > MAX_METADATA_BYTES:
            return f"the metadata is longer than {MAX_METADATA_BYTES} bytes"
    if line_bytes > MAX_PAYLOAD_BYTES and len(canonical.encode(body.payload)) > MAX_PAYLOAD_BYTES:
        return f"the payload is longer than {MAX_PAYLOAD_BYTES} bytes"
    return None


def _as_text(line: bytes, what: str) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise Corrupt(f"{what} is not UTF-8") from error


def _is_control(char: str) -> bool:
    return char < " " or "\x7f" <= char <= "\x9f"


def _is_unfit(char: str) -> bool:
    code = ord(char)
    return 0xD800 <= code <= 0xDFFF or 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE
