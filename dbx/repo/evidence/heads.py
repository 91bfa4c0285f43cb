"""Heads that must never be contradicted: `.dbx/signed/` for what we signed, `.dbx/witness/` for what we saw of others.

One file for each origin, outside the domains: deleting or rewinding a domain does not make anybody forget.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from dbx.errors import Corrupt
from dbx.formats.signedhead import MAX_BYTES, decode_head, encode_head

if TYPE_CHECKING:
    from dbx.formats.checkpoint import Checkpoint
    from dbx.repo.repository import Repository

SIGNED = "signed"
WITNESSED = "witness"


def find_head(repository: Repository, kind: str, origin: str) -> Checkpoint | None:
    """The largest head of an origin that was signed (SIGNED) or seen (WITNESSED). Raises Corrupt."""
    name = _name(kind, origin)
    data = repository.directory.find(name, MAX_BYTES)
    if data is None:
        return None
    path = repository.directory.path_of(name)
    try:
        head = decode_head(data)
    except Corrupt as error:
        raise Corrupt(f"'{path}': {error.message}", details={"file": path}) from None
    if head.origin != origin:
        raise Corrupt(f"'{path}' is about another origin", details={"file": path})
    return head


def write_head(repository: Repository, kind: str, head: Checkpoint) -> None:
    """Remember a head, durably. The workspace's lock must be held."""
    repository.directory.make(kind)
    repository.directory.write(_name(kind, head.origin), encode_head(head))


def _name(kind: str, origin: str) -> str:
    return f"{kind}/{sha256(origin.encode()).hexdigest()[:32]}.json"
