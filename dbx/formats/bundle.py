"""bundle.json, the first member of a bundle: which commits follow, and what they continue (format.md §7).

    {"base":{"commit":"<id>","position":1040,"seq":511}|null,"domain":"<uuid>","format":1,
     "head":{"commit":"<id>","position":1042,"seq":512}|null,"manifest":"<sha256>"|null,"name":"orders",
     "schemas":"<schema version id>"|null}

`base` is the commit that the receiver must have, null for a whole history; `position` is the global position behind a
commit's last event. A transfer between repositories is such a bundle as well.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from dbx.errors import Corrupt
from dbx.formats import canonical
from dbx.formats.envelope import HASH, MAX_INTEGER, UUID

NAME = "bundle.json"
FORMAT = 1
MAX_BYTES = 4096

_MEMBERS = frozenset(("base", "domain", "format", "head", "manifest", "name", "schemas"))


class Point(NamedTuple):
    """A commit in a log: its seq, its id, and the position behind its last event. START is before the first."""

    seq: int
    commit: str
    position: int


START = Point(-1, "", 0)


class BundleHeader(NamedTuple):
    """What bundle.json says. `base` is START for a whole history, `head` START for an empty one."""

    domain: str
    name: str
    base: Point
    head: Point
    manifest: str | None
    schemas: str | None


def encode_bundle(header: BundleHeader) -> bytes:
    """The bytes of bundle.json."""
    return canonical.encode(
        {
            "base": point_value(header.base),
            "domain": header.domain,
            "format": FORMAT,
            "head": point_value(header.head),
            "manifest": header.manifest,
            "name": header.name,
            "schemas": header.schemas,
        }
    )


def decode_bundle(data: bytes) -> BundleHeader:
    """What bundle.json holds. Raises Corrupt, and says so when a newer dbx wrote it."""
    value = canonical.decode(data, what="bundle.json")
    if not isinstance(value, dict):
        raise Corrupt("bundle.json is not an object")
    if not _MEMBERS.issuperset(value) or value.get("format") != FORMAT:
        raise Corrupt("the bundle was written by a newer dbx", hint="upgrade dbx", details={"newer": True})
    manifest, schemas, domain, name = (value.get(key) for key in ("manifest", "schemas", "domain", "name"))
    if (
        value.keys() != _MEMBERS
        or not isinstance(domain, str)
        or not _is(UUID, domain)
        or not isinstance(name, str)
        or not 0 < len(name) <= 128
        or not (manifest is None or _is(HASH, manifest))
        or not (schemas is None or _is(HASH, schemas))
    ):
        raise Corrupt("bundle.json has a member that is missing or misspelt")
    header = BundleHeader(domain, name, read_point(value["base"]), read_point(value["head"]), manifest, schemas)
    news = header.head.seq > header.base.seq
    if news != (manifest is not None) or (not news and header.head != header.base):
        raise Corrupt("bundle.json contradicts itself")
    return header


def point_value(point: Point) -> dict[str, Any] | None:
    """A point as JSON; null for START."""
    return None if point.seq < 0 else {"commit": point.commit, "position": point.position, "seq": point.seq}


def read_point(value: Any) -> Point:
    """A point from JSON. Raises Corrupt."""
    if value is None:
        return START
    if isinstance(value, dict) and value.keys() == {"commit", "position", "seq"} and _is(HASH, value["commit"]):
        seq, position = value["seq"], value["position"]
        if type(seq) is int and type(position) is int and 0 <= seq < position <= MAX_INTEGER:
            return Point(seq, value["commit"], position)
    raise Corrupt("a point of a history is not spelled as dbx writes it")


def _is(pattern: str, value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None
