"""The audit trail of a workspace: `audit.jsonl`, a line of canonical JSON for each thing that was done.

    {"actor":{"group":"ops","user":"jane"},"details":{…},"domain":null,"event":"token.issue","n":0,"time":"…","v":1}

`n` counts from 0. The lines without newline are the leaves of an RFC 9162 tree. Its head is kept in `audit.head`:

    {"bytes":2345,"edge":["<hash>",…],"size":12}

how many bytes and lines it covers, and the roots of the perfect subtrees over them from the left, so that a line is
added without reading the others. What follows behind those bytes was written just before a crash.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from dbx.errors import Corrupt, DbxError
from dbx.formats import canonical
from dbx.formats.envelope import Actor

MAX_LINE_BYTES = 16 * 1024
MAX_HEAD_BYTES = 8 * 1024
_MEMBERS = {"actor", "details", "domain", "event", "n", "time", "v"}


class AuditEntry(NamedTuple):
    """What was done: `event` is a word such as "token.issue"; `details` hold no secret; `domain` None: no single one.

    `token` is the id of the token that was used, None where none was.
    """

    n: int
    time: str
    actor: Actor
    event: str
    domain: str | None
    details: dict[str, Any]
    token: str | None = None


class AuditHead(NamedTuple):
    """How many lines and bytes there are, and the roots of the perfect subtrees over them."""

    size: int = 0
    end: int = 0
    edge: tuple[bytes, ...] = ()


def encode_entry(entry: AuditEntry) -> bytes:
    """The line, without newline."""
    actor = {"group": entry.actor.group, "user": entry.actor.user}
    if entry.token is not None:
        actor["token"] = entry.token
    return canonical.encode(
        {
            "actor": actor,
            "details": entry.details,
            "domain": entry.domain,
            "event": entry.event,
            "n": entry.n,
            "time": entry.time,
            "v": 1,
        }
    )


def decode_entry(line: bytes) -> AuditEntry:
    """A line. Raises Corrupt for everything that dbx does not write."""
    try:
        value = canonical.decode(line, what="a line of the audit trail")
        if not isinstance(value, dict) or value.keys() != _MEMBERS:
            raise Corrupt("a line of the audit trail is damaged")
        if value["v"] != 1:
            raise Corrupt("the audit trail was written by a newer dbx", hint="upgrade dbx")
        actor = value["actor"]
        entry = AuditEntry(
            value["n"],
            value["time"],
            Actor(actor["group"], actor["user"]),
            value["event"],
            value["domain"],
            value["details"],
            actor.get("token"),
        )
    except (KeyError, TypeError, AttributeError):
        raise Corrupt("a line of the audit trail is damaged") from None
    if encode_entry(entry) != line:
        raise Corrupt("a line of the audit trail is damaged")
    return entry


def encode_head(head: AuditHead) -> bytes:
    """The bytes of the file."""
    return canonical.encode({"bytes": head.end, "edge": [part.hex() for part in head.edge], "size": head.size}) + b"\n"


def decode_head(data: bytes) -> AuditHead:
    """The head in a file. Raises Corrupt."""
    try:
        value = canonical.decode(data.removesuffix(b"\n"), what="the head of the audit trail")
        head = AuditHead(value["size"], value["bytes"], tuple(bytes.fromhex(part) for part in value["edge"]))
    except (DbxError, KeyError, TypeError, ValueError):
        raise Corrupt("the head of the audit trail is damaged") from None
    counts = (head.size, head.end)
    if not all(type(count) is int and count >= 0 for count in counts) or len(head.edge) != head.size.bit_count():
        raise Corrupt("the head of the audit trail is damaged")
    if encode_head(head) != data or any(len(part) != 32 for part in head.edge):
        raise Corrupt("the head of the audit trail is damaged")
    return head
