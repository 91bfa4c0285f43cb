"""The small messages between a client and a server, canonical JSON each (dbx-protocol(5)).

{"domain":"<uuid>","head":{"commit":"<id>","position":1042,"seq":512}|null,"name":"orders","protocol":1,
 "root":"<index root>","schemas":"<schema version id>"|null}
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.errors import Corrupt, Invalid
from dbx.formats import canonical, staging
from dbx.formats.bundle import Point, point_value, read_point
from dbx.formats.envelope import HASH, MAX_INTEGER, UUID

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

PROTOCOL = 1
END = b"null"
"""The last line of an answer that is made of lines."""
MAX_BYTES = 1 << 20
MAX_SEQS = 64
MAX_WANTED = 10_000
MAX_DETAILS_BYTES = 64 * 1024

_NULL = b"null"
_EVENT, _NO_BODY = b'{"envelope":', b'},"body":null}'

_MEMBERS = {"domain", "head", "name", "protocol", "root", "schemas"}


class Message(NamedTuple):
    """Where a domain stands."""

    domain: str
    name: str
    head: Point
    root: str
    schemas: str | None


class Refusal(NamedTuple):
    """What a server refused: the kind of the error, its sentence, a hint and details."""

    kind: str
    message: str
    hint: str | None
    details: dict[str, Any]


def encode_description(domain: str, name: str, head: Point, root: str, schemas: str | None) -> bytes:
    """Where a domain stands, as a message."""
    value = {"domain": domain, "head": point_value(head), "name": name, "protocol": PROTOCOL, "root": root}
    return canonical.encode({**value, "schemas": schemas})


def decode_description(data: bytes) -> Message:
    """What a server says of a domain. Raises Corrupt."""
    value = _object(data)
    if value.get("protocol") != PROTOCOL:
        raise Corrupt("the server speaks another version of the protocol", hint="upgrade the older of the two")
    domain, name, root, schemas = (value.get(key) for key in ("domain", "name", "root", "schemas"))
    if (
        not value.keys() >= _MEMBERS
        or not isinstance(domain, str)
        or not re.fullmatch(UUID, domain)
        or not isinstance(name, str)
        or not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name)
        or not isinstance(root, str)
        or not re.fullmatch(HASH, root)
        or not (schemas is None or _is_hash(schemas))
    ):
        raise Corrupt("the server does not say where its domain stands")
    return Message(domain, name, read_point(value["head"]), root, schemas)


def encode_ids(ids: list[str | None]) -> bytes:
    """Commit ids, or roots; null for what is not there."""
    return canonical.encode(ids)


def decode_ids(data: bytes, count: int) -> list[str | None]:
    """So many hashes. Raises Corrupt."""
    value = _value(data)
    if not isinstance(value, list) or len(value) != count or not all(one is None or _is_hash(one) for one in value):
        raise Corrupt("the server does not answer with as many hashes as were asked for")
    return value


def encode_wanted(wanted: Sequence[tuple[str, str, int]]) -> bytes:
    """Aggregates at versions."""
    return canonical.encode([list(one) for one in wanted])


def decode_wanted(data: bytes) -> list[tuple[str, str, int]]:
    """Aggregates at versions; their names are the reader's to check. Raises Corrupt."""
    value = _value(data)
    if not isinstance(value, list) or len(value) > MAX_WANTED:
        raise Corrupt("the request is not a list of aggregates")
    for one in value:
        is_one = isinstance(one, list) and len(one) == 3 and isinstance(one[0], str) and isinstance(one[1], str)
        if not is_one or type(one[2]) is not int or not 0 <= one[2] <= MAX_INTEGER:
            raise Corrupt("the request is not a list of aggregates")
    return [(kind, name, version) for kind, name, version in value]


def encode_root(kind: str, name: str, version: int, root: str) -> bytes:
    """A line that tells an aggregate's version and root."""
    return canonical.encode([kind, name, version, root]) + b"\n"


def decode_root(line: bytes) -> tuple[str, str, int, str]:
    """Such a line. Raises Corrupt."""
    value = _value(line)
    if isinstance(value, list) and len(value) == 4 and isinstance(value[0], str) and isinstance(value[1], str):
        kind, name, version, root = value
        if type(version) is int and 0 < version <= MAX_INTEGER and _is_hash(root):
            return kind, name, version, root
    raise Corrupt("the server does not tell an aggregate's version and root")


def until_end(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines before the one that ends an answer. Raises Corrupt where that does not come: the rest was lost."""
    for line in lines:
        if line == END:
            return
        yield line
    raise Corrupt("the answer was cut short", details={"received": True})


def encode_refusal(refusal: Refusal) -> bytes:
    """An error, as cli.md has it."""
    value = {"type": refusal.kind, "message": refusal.message, "hint": refusal.hint, "details": refusal.details}
    try:
        data = canonical.encode({"error": value})
    except Invalid:  # details that JSON cannot hold: the sentence is what matters
        data = b""
    if not 0 < len(data) <= MAX_DETAILS_BYTES:
        data = canonical.encode({"error": {**value, "details": {}}})
    return data


def find_refusal(data: bytes) -> Refusal | None:
    """The error in an answer; None where there is none, because something else than dbx answered."""
    try:
        value = _object(data).get("error")
    except Corrupt:
        return None
    if (
        not isinstance(value, dict)
        or not isinstance(value.get("type"), str)
        or not isinstance(value.get("message"), str)
    ):
        return None
    hint, details = value.get("hint"), value.get("details")
    return Refusal(
        value["type"],
        value["message"][:2000],
        hint[:2000] if isinstance(hint, str) else None,
        details if isinstance(details, dict) else {},
    )


def encode_events(envelopes: Iterable[bytes], bodies: Iterable[bytes]) -> bytes:
    """Events as lines, with their newlines: both halves as the log has them, null for a body that was erased."""
    return staging.encode_lines(envelopes, (body or _NULL for body in bodies))


def split_event(line: bytes) -> tuple[bytes, bytes]:
    """(envelope, body) of such a line without its newline; the body of one that was erased is empty. Raises Corrupt."""
    if line.startswith(_EVENT) and line.endswith(_NO_BODY):
        return line[len(_EVENT) : 1 - len(_NO_BODY)], b""
    try:
        return staging.split_line(line)
    except Corrupt:
        raise Corrupt("a line that should hold an event does not") from None


def encode_count(count: int) -> bytes:
    """How many events were committed."""
    return canonical.encode({"events": count})


def decode_count(data: bytes) -> int:
    """How many events were committed. Raises Corrupt."""
    count = _object(data).get("events")
    if type(count) is not int or count < 0:
        raise Corrupt("the server does not say what it took")
    return count


def _object(data: bytes) -> dict[str, Any]:
    value = _value(data)
    if not isinstance(value, dict):
        raise Corrupt("the answer is not what dbx would say")
    return value


def _value(data: bytes) -> Any:
    if len(data) > MAX_BYTES:
        raise Corrupt("the message is longer than it may be")
    return canonical.decode(data, what="the message")


def _is_hash(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(HASH, value) is not None
