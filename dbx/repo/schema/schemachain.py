"""Published schemas as they travel: the versions that the other side lacks, and the objects they name (format.md §10).

They go before the data: whoever receives commits must be able to say under which schema they were made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.errors import Conflict, Corrupt
from dbx.formats.schemaversion import decode_version, id_of
from dbx.repo.schema import published
from dbx.repo.schema.published import OBJECTS, REF, VERSIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dbx.formats.schemaversion import SchemaVersion
    from dbx.store.fs import Directory

MAX_VERSIONS = 100_000


def object_name(sha: str) -> str:
    """The file of a schema object."""
    return f"{OBJECTS}/{sha}.yaml"


def version_name(version: str) -> str:
    """The file of a schema version."""
    return f"{VERSIONS}/{version}.yaml"


def is_newer(directory: Directory, other: str | None) -> bool:
    """Whether our newest version comes behind `other`, which another has; False where we do not know that one."""
    mine = published.find_head(directory)
    if mine is None or mine == other:
        return False
    return other is None or any(found.id == other for found in published.chain(directory))


def export(directory: Directory, have: str | None) -> list[tuple[str, bytes]]:
    """(name, bytes) of what a receiver whose newest version is `have` lacks: objects, then versions, oldest first."""
    lacking: list[str] = []
    objects: set[str] = set()
    for found in published.chain(directory):
        if found.id == have:
            break
        lacking.append(found.id)
        objects.update(found.version.schemas.values())
    members = [(object_name(sha), published.read_object(directory, sha)) for sha in sorted(objects)]
    for version in reversed(lacking):
        members.append((version_name(version), directory.read(version_name(version), published.MAX_BYTES)))
    return members


def check_arrived(directory: Directory, arrived: Mapping[str, bytes], head: str | None) -> bool:
    """Whether `head`, with what arrived, is a newer version than the one here; False where it is this or an older one.

    Raises Corrupt, with `received` in its details, for what does not add up; Conflict where neither version follows the
    other.
    """
    mine = published.find_head(directory)
    if head is None or head == mine:
        return False
    at: str | None = head
    for _ in range(MAX_VERSIONS):
        if at is None or at == mine:
            break
        at = _check_version(directory, arrived, at).parent
    if at == mine:
        return True
    if mine is not None and any(found.id == head for found in published.chain(directory)):
        return False
    raise Conflict(
        "the published schemas of the two sides have diverged",
        hint="clone from the authoritative domain, and publish there",
        details={"local": mine, "remote": head},
    )


def adopt(directory: Directory, arrived: Mapping[str, bytes], head: str | None) -> None:
    """Write what was checked: objects, versions, then the ref, each durable. The writer's lock must be held.

    Working schemas follow where nobody has changed them since they were published.
    """
    before = published.find_head(directory)
    for folder in (OBJECTS, VERSIONS):
        for name, data in sorted(arrived.items()):
            if name.startswith(folder) and directory.find(name, published.MAX_BYTES) != data:
                directory.make(folder)
                directory.write(name, data)
    if head is None:
        return
    old = {} if before is None else published.read_version(directory, before).schemas
    directory.make(REF.rpartition("/")[0])
    directory.write(REF, f"{head}\n".encode())
    for name, sha in published.read_version(directory, head).schemas.items():
        working = directory.find(f"schemas/{name}.yaml", published.MAX_BYTES)
        if working is None or (name in old and id_of(working) == old[name] != sha):
            directory.write(f"schemas/{name}.yaml", published.read_object(directory, sha))


def _check_version(directory: Directory, arrived: Mapping[str, bytes], version: str) -> SchemaVersion:
    data = arrived.get(version_name(version)) or directory.find(version_name(version), published.MAX_BYTES)
    try:
        if data is None:
            raise Corrupt(f"the schema version {version} is missing")
        found = decode_version(data)
        for sha in found.schemas.values():
            if object_name(sha) not in arrived and not directory.exists(object_name(sha)):
                raise Corrupt(f"the schema {sha} is missing")
    except Corrupt as error:
        error.details["received"] = True
        raise
    return found
