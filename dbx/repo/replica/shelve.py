"""Putting commits where files can be changed under a condition, and nobody is there to take them in: object stores.

What is named by its hash is put first; a reader sees none of it. Then the schemas' ref, and last the branch's ref are
swapped, if they still are what they were. What a lost race leaves behind is named by nobody, and used by the next push
of the same commits.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

from dbx.errors import Conflict, Invalid
from dbx.formats.bundle import START
from dbx.formats.manifest import encode_manifest
from dbx.formats.refs import HEAD as HEAD_BYTES
from dbx.formats.refs import Ref, encode_ref
from dbx.formats.schemaversion import decode_version
from dbx.model.names import check_domain_name
from dbx.model.time import format_time
from dbx.repo.domainfile import NAME as FILE
from dbx.repo.domainfile import DomainFile, encode_domain_file
from dbx.repo.log import MAIN, MANIFESTS
from dbx.repo.replica.gather import EMPTY_ROOT, Standing
from dbx.repo.schema import published
from dbx.store.segments import segment_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.model.time import Clock
    from dbx.repo.replica.offer import Offer

NOBODY = "00000000-0000-0000-0000-000000000000"
_HEAD = "HEAD"


class Store(Protocol):
    """A shelf whose files can be changed."""

    def keep(self, name: str, data: bytes) -> None:
        """Put a small file that never changes, unless it is there. Durable on return."""

    def keep_pieces(self, name: str, pieces: Iterator[bytes], size: int) -> None:
        """The same with a large one of `size` bytes."""

    def swap(self, name: str, data: bytes) -> bool:
        """Replace a file that is still as it was read last, or make one that was not there; whether that was so."""


def empty_standing(name: str) -> Standing:
    """Where a domain stands of which there is nothing yet."""
    file = DomainFile(NOBODY, name or "default", "")
    return Standing(file, None, (), b"", None, START, EMPTY_ROOT, None)


def shelve(store: Store, standing: Standing, offer: Offer, clock: Clock) -> None:
    """Put what is offered on top of where the domain stands. Raises Conflict where that is not so any more."""
    header = offer.header
    if offer.pieces and header.base != standing.head:
        raise _moved()
    if standing.head.seq < 0 and standing.file.id != header.domain and offer.pieces:
        _found(store, standing, offer, clock)
    if offer.schemas and header.schemas is not None and header.schemas != standing.schemas:
        _check_chain(offer, standing.schemas)
        for name, data in offer.schemas.items():
            store.keep(name, data)
        if not store.swap(published.REF, f"{header.schemas}\n".encode()):
            raise _moved()
    if not offer.pieces:
        return
    if standing.unsealed is not None:
        store.keep(segment_name(standing.unsealed.sha256), standing.journal)
    for piece in offer.pieces:
        store.keep_pieces(segment_name(piece.entry.sha256), piece.blocks(), piece.entry.size)
    entries = [*standing.every, *(piece.entry for piece in offer.pieces)]
    manifest = encode_manifest(entries)
    sha = sha256(manifest).hexdigest()
    store.keep(f"{MANIFESTS}/{sha}", manifest)
    if not store.swap(MAIN, encode_ref(Ref(entries[-1].last_commit, entries[-1].last_seq, sha))):
        raise _moved()


def _found(store: Store, standing: Standing, offer: Offer, clock: Clock) -> None:
    """A domain without commits becomes the one that is pushed, as everywhere."""
    if standing.file.id == NOBODY:
        file = DomainFile(offer.header.domain, _name(standing, offer), format_time(clock()))
    else:
        file = replace(standing.file, id=offer.header.domain)
    if not store.swap(FILE, encode_domain_file(file)):
        raise _moved()
    store.keep(_HEAD, HEAD_BYTES)


def _name(standing: Standing, offer: Offer) -> str:
    """That of the place, where it can be a domain's name."""
    try:
        return check_domain_name(standing.file.name)
    except Invalid:
        return offer.header.name


def _check_chain(offer: Offer, there: str | None) -> None:
    """The versions that go over continue the one that is there. Raises Conflict."""
    at = offer.header.schemas
    while at is not None and at != there:
        data = offer.schemas.get(f"{published.VERSIONS}/{at}.yaml")
        if data is None:
            break
        at = decode_version(data).parent
    if at != there:
        raise Conflict(
            "the published schemas of the two sides have diverged",
            hint="clone from the authoritative domain, and publish there",
            details={"local": offer.header.schemas, "remote": there},
        )


def _moved() -> Conflict:
    return Conflict("somebody else has pushed meanwhile", hint="run 'dbx pull'", details={"reason": "behind"})
