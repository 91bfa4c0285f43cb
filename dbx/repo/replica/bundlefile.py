"""Bundles as files: written whole or not at all, checked without a repository, and taken in like everything else."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from dbx.crypto.indextree import EMPTY
from dbx.errors import Corrupt, NotFound
from dbx.formats.bundle import START, BundleHeader
from dbx.model.missing import no_file
from dbx.repo.collection import no_collection
from dbx.repo.replica.examine import NO_BODY
from dbx.repo.replica.quarantine import unpack
from dbx.repo.replica.roots import follow_roots
from dbx.repo.replica.vet import Vetting
from dbx.repo.schema import schemachain
from dbx.repo.working import WorkingSet
from dbx.store.database import place
from dbx.store.fs import Directory
from dbx.store.index import Head, Index
from dbx.store.sealedrows import MASKED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dbx.repo.replica.offer import Offer

    Source = str | BinaryIO


class Verified(NamedTuple):
    """What a bundle holds, every byte of it checked. `complete` tells whether index roots were checked too, which needs
    the history from its beginning on."""

    header: BundleHeader
    commits: int
    events: int
    schemas: int
    segments: int
    complete: bool


def write_bundle(offer: Offer, path: str) -> int:
    """Write a bundle to a file, durably; its size. What was there stays until the new one is whole."""
    folder, name = os.path.split(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise NotFound(f"there is no directory '{folder}'")
    with Directory(folder).temporary() as temporary:
        for block in offer.blocks():
            temporary.write(block)
        temporary.publish(name)
    return offer.size


@contextmanager
def reading(source: Source) -> Iterator[Callable[[int], bytes]]:
    """What reads a bundle. Raises NotFound, and names the bundle where what it holds is damaged."""
    try:
        file = open(source, "rb") if isinstance(source, str) else nullcontext(source)  # noqa: SIM115 - below
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise no_file(str(source)) from None
    try:
        with file as opened:
            yield opened.read
    except Corrupt as error:
        if not error.details.pop("received", None):
            raise
        name = f"bundle '{source}'" if isinstance(source, str) else "bundle on standard input"
        hint = "nothing was changed; bring it anew from where it was made"
        raise Corrupt(
            f"the {name} is damaged: {error.message}",
            hint=error.hint if error.details.get("reason") == NO_BODY else hint,
            details=error.details,
        ) from None


def verify_bundle(source: Source, *, progress: Callable[[int], None] | None = None) -> Verified:
    """Check a bundle by itself, in a directory of its own that is gone afterwards. Raises NotFound, Corrupt.

    Of one that continues a commit, everything is checked but index roots, and that first versions follow those before.
    """
    with tempfile.TemporaryDirectory(prefix="dbx-bundle-") as folder, reading(source) as read:
        directory = Directory(folder)
        directory.make("segments")
        arrived = unpack(directory, read)
        place(directory, "index.db")
        index = Index(directory.path_of("index.db"))
        try:
            index.set_meta(MASKED, 1)  # of sealed bodies only the hashes can be checked, so that states do not matter
            base = arrived.header.base
            if base != START:
                edge = b"\0" * 32 * (base.seq + 1).bit_count()
                start = Head(base.seq, bytes.fromhex(base.commit), base.position, EMPTY, edge, "", "", 0)
                with index.write(None):
                    index.set_head(start)
            working = WorkingSet(index)
            vetting = Vetting(
                working,
                has_schema=lambda version: base != START or schemachain.version_name(version) in arrived.schemas,
                loose=base != START,
                progress=progress,
                roots=follow_roots(working, arrived.header.head.position) if base == START else None,
            )
            with no_collection(), vetting:
                for entry in arrived.entries:
                    vetting.take(directory, entry)
                vetting.finish()
        finally:
            index.close()
    versions = sum(name.startswith("schemas/versions/") for name in arrived.schemas)
    return Verified(arrived.header, vetting.commits, vetting.events, versions, len(arrived.entries), base == START)
