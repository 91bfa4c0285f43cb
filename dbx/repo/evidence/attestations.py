"""Attestations in a workspace: `.dbx/attestations/<domain uuid>/<time>-<key id>.json`, each with its checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Corrupt
from dbx.formats.dsse import MAX_ENVELOPE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.repo.domain import Domain
    from dbx.repo.repository import Repository

FOLDER = "attestations"


class Stored(NamedTuple):
    """An attestation as it is stored: the file's path, and its bytes."""

    path: str
    data: bytes


def store_attestation(
    repository: Repository, domain: Domain, time: str, key_id: str, data: bytes, checkpoint: bytes
) -> str:
    """Keep an attestation and its checkpoint, durably; the path of the first."""
    folder = f"{FOLDER}/{domain.id}"
    name = f"{folder}/{time.replace(':', '').replace('.', '-')}-{key_id}"
    repository.directory.make(folder)
    repository.directory.write(f"{name}.checkpoint", checkpoint)
    repository.directory.write(f"{name}.json", data)
    return repository.directory.path_of(f"{name}.json")


def list_attestations(repository: Repository, domain: Domain) -> Iterator[Stored]:
    """Those of a domain, oldest first. Raises Corrupt for a file that is too large to be one."""
    folder = f"{FOLDER}/{domain.id}"
    for name in repository.directory.names(folder):
        if name.endswith(".json"):
            path = f"{folder}/{name}"
            try:
                data = repository.directory.read(path, MAX_ENVELOPE_BYTES)
            except Corrupt as error:
                raise Corrupt(error.message, details={"file": repository.directory.path_of(path)}) from None
            yield Stored(repository.directory.path_of(path), data)
