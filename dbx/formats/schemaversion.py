"""A published version of a domain's schemas: one canonical JSON text, which is YAML too (format.md §10).

    {"actor":{"group":"ops","user":"jane"},"labels":["v1"],"parent":null,"published_at":"2026-11-23T07:42:00.123456Z",
     "reason":"first","schemas":{"order":"<SHA-256 of its file>"}}

Its id is the SHA-256 of its bytes. `parent` is the version published before it.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any, NamedTuple

from dbx.errors import Corrupt, Invalid
from dbx.formats import canonical
from dbx.formats.envelope import HASH, Actor, is_actor_text, is_text, is_time

MAX_BYTES = 1 << 20
MAX_REASON_CHARS = 1000
MAX_LABELS = 32
MAX_LABEL_CHARS = 100

_MEMBERS = frozenset(("actor", "labels", "parent", "published_at", "reason", "schemas"))
_match_hash = re.compile(HASH).fullmatch
_match_type = re.compile("[a-z][a-z0-9_]{0,63}").fullmatch


class SchemaVersion(NamedTuple):
    """`schemas` names for each aggregate type the SHA-256 of its schema file. `reason` None: none was given."""

    actor: Actor | None
    labels: tuple[str, ...]
    parent: str | None
    published_at: str
    reason: str | None
    schemas: dict[str, str]


def encode_version(version: SchemaVersion) -> bytes:
    """The bytes of a version. Raises Invalid for a reason, labels or an actor that may not be stored."""
    value: dict[str, Any] = {
        "actor": None if version.actor is None else {"group": version.actor.group, "user": version.actor.user},
        "labels": list(version.labels),
        "parent": version.parent,
        "published_at": version.published_at,
        "reason": version.reason,
        "schemas": version.schemas,
    }
    if fault := _fault(value):
        raise Invalid(f"the schema version cannot be written: {fault}")
    return canonical.encode(value)


def decode_version(data: bytes) -> SchemaVersion:
    """The version in these bytes; a newline at the end is let pass. Raises Corrupt."""
    value = canonical.decode(data.removesuffix(b"\n"), what="the schema version")
    if fault := _fault(value):
        raise Corrupt(fault)
    actor = value["actor"]
    return SchemaVersion(
        None if actor is None else Actor(actor["group"], actor["user"]),
        tuple(value["labels"]),
        value["parent"],
        value["published_at"],
        value["reason"],
        value["schemas"],
    )


def id_of(data: bytes) -> str:
    """The id of a version, or the name of an object: the SHA-256 of its bytes, in hex."""
    return sha256(data).hexdigest()


def _fault(value: Any) -> str | None:
    if not isinstance(value, dict) or value.keys() != _MEMBERS:
        return "it does not have the members of a schema version"
    schemas, parent, actor, labels = value["schemas"], value["parent"], value["actor"], value["labels"]
    if not isinstance(schemas, dict) or not all(
        _match_type(name) and isinstance(sha, str) and _match_hash(sha) for name, sha in schemas.items()
    ):
        return "its schemas are not a mapping from aggregate types to hashes"
    if parent is not None and not (isinstance(parent, str) and _match_hash(parent)):
        return "its parent is not the id of a schema version"
    if not isinstance(value["published_at"], str) or not is_time(value["published_at"]):
        return "its time is not spelled as it should be"
    if actor is not None and not (
        isinstance(actor, dict)
        and actor.keys() == {"group", "user"}
        and all(isinstance(part, str) and is_actor_text(part) for part in actor.values())
    ):
        return "its actor is not a group and a user"
    is_list = isinstance(labels, list) and len(labels) <= MAX_LABELS
    if not is_list or not all(_is_line(label, MAX_LABEL_CHARS) for label in labels):
        return f"its labels are not at most {MAX_LABELS} texts of 1 to {MAX_LABEL_CHARS} characters"
    if value["reason"] is not None and not _is_line(value["reason"], MAX_REASON_CHARS):
        return f"its reason is not one line of 1 to {MAX_REASON_CHARS} characters"
    return None


def _is_line(text: Any, most: int) -> bool:
    return isinstance(text, str) and 0 < len(text) <= most and text.isprintable() and is_text(text)
