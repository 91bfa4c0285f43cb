"""Published schemas (format.md §10): content-addressed files, a chain of versions, and the ref to the newest.

What is published is never changed: to go back is to publish an older state again. Every object and version is hashed
when it is read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Corrupt, DbxError, Invalid, NotFound
from dbx.formats import schemaversion
from dbx.formats.envelope import HASH, Actor
from dbx.formats.reflog import ReflogEntry
from dbx.formats.schemaversion import SchemaVersion, decode_version, encode_version
from dbx.formats.schemaversion import id_of as id_of
from dbx.model.names import quote
from dbx.store.reflog import Reflog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dbx.store.fs import Directory

OBJECTS = "schemas/objects"
VERSIONS = "schemas/versions"
REF = "refs/schemas/main"
MAX_BYTES = schemaversion.MAX_BYTES
MIN_PREFIX = 4
_MAX_REF_BYTES = 4096
_match_ref = re.compile(rf"({HASH})\n").fullmatch


class Published(NamedTuple):
    """A version, by its id."""

    id: str
    version: SchemaVersion


class Draft(NamedTuple):
    """A version that is complete but not written yet: its id and bytes, and the schema files that it is made of."""

    id: str
    data: bytes
    version: SchemaVersion
    files: Mapping[str, bytes]


def find_head(directory: Directory) -> str | None:
    """The id of the newest version, None before the first. Raises Corrupt."""
    data = directory.find(REF, _MAX_REF_BYTES)
    return None if data is None else decode_schema_ref(data)


def decode_schema_ref(data: bytes) -> str:
    """The id of a version in the bytes of the ref. Raises Corrupt."""
    found = _match_ref(data.decode("ascii", "replace"))
    if found is None:
        raise Corrupt(f"'{REF}' is not the id of a schema version", details={"file": REF})
    return found[1]


def read_version(directory: Directory, version_id: str) -> SchemaVersion:
    """A version by its whole id. Raises Corrupt naming the file when it is missing or not what its name says."""
    file = f"{VERSIONS}/{version_id}.yaml"
    data = _read(directory, file, version_id)
    try:
        return decode_version(data)
    except Corrupt as error:
        raise Corrupt(f"'{file}' is damaged: {error.message}", details={"file": file}) from None


def read_object(directory: Directory, sha: str) -> bytes:
    """The bytes of a published schema file. Raises Corrupt as read_version."""
    return _read(directory, f"{OBJECTS}/{sha}.yaml", sha)


def read_files(directory: Directory, version: SchemaVersion) -> dict[str, bytes]:
    """The schema files of a version, by aggregate type."""
    return {name: read_object(directory, sha) for name, sha in sorted(version.schemas.items())}


def chain(directory: Directory) -> Iterator[Published]:
    """Every version, the newest first. Raises Corrupt."""
    version_id = find_head(directory)
    while version_id is not None:
        version = read_version(directory, version_id)
        yield Published(version_id, version)
        version_id = version.parent


def is_version_text(text: str) -> bool:
    """Whether a text can be the id of a version, or the beginning of one."""
    return MIN_PREFIX <= len(text) <= 64 and set(text) <= set("0123456789abcdef")


def get_version(directory: Directory, spelled: str) -> Published:
    """A version by `active`, `latest`, its id or the unique beginning of one. Raises NotFound, Invalid."""
    if spelled in ("active", "latest"):
        for found in chain(directory):
            return found
        raise NotFound("no schema version has been published", hint="publish one with 'dbx schema publish'")
    if not is_version_text(spelled):
        raise NotFound(
            f"there is no schema version {quote(spelled)}: one is 'active', 'latest', or an id or at least the first "
            "four characters of it",
            hint="see the ids with 'dbx schema history'",
        )
    names = [name.removesuffix(".yaml") for name in directory.names(VERSIONS) if name.startswith(spelled)]
    if len(names) > 1:
        raise Invalid(f"'{spelled}' begins the ids of {len(names)} schema versions", hint="write more of the id")
    if not names:
        raise NotFound(f"there is no schema version '{spelled}'", hint="see the ids with 'dbx schema history'")
    return Published(names[0], read_version(directory, names[0]))


def draft(
    files: Mapping[str, bytes],
    *,
    parent: str | None,
    actor: Actor | None,
    now: str,
    reason: str | None,
    labels: tuple[str, ...] = (),
) -> Draft:
    """The version that has these schema files. Raises Invalid for a reason or label that may not be stored."""
    schemas = {name: id_of(data) for name, data in sorted(files.items())}
    version = SchemaVersion(actor, labels, parent, now, reason, schemas)
    data = encode_version(version)
    return Draft(id_of(data), data, version, files)


def write(directory: Directory, made: Draft, *, what: str) -> None:
    """Publish a draft, durably: objects, then the version, then the ref. The writer's lock must be held.

    `what` is its reason in the reflog. A crash leaves the old version in force or the new one.
    """
    keep(directory, made)
    move(directory, Published(made.id, made.version), what=what)


def keep(directory: Directory, made: Draft) -> None:
    """Write the objects and the version of a draft, which is not in force by that."""
    for name, data in made.files.items():
        _write_once(directory, f"{OBJECTS}/{made.version.schemas[name]}.yaml", data)
    _write_once(directory, f"{VERSIONS}/{made.id}.yaml", made.data)


def move(directory: Directory, to: Published, *, what: str) -> None:
    """Put a version that is kept in force, or finish what was interrupted at that."""
    if find_head(directory) != to.id:
        directory.write(REF, f"{to.id}\n".encode())
    if to.id not in moves(directory):
        note(directory, to, what)


def note(directory: Directory, to: Published, what: str) -> None:
    """Tell the reflog that a version is in force. It is evidence: what is published stays, whatever happens to it."""
    entry = ReflogEntry(
        to.version.parent,
        to.id,
        sum(1 for _ in chain(directory)) - 1,
        to.version.published_at,
        to.version.actor or Actor("-", "-"),
        what[:200],
    )
    log = Reflog(directory, REF)
    try:
        log.append([entry])
    except (OSError, DbxError):
        return
    finally:
        log.close()


def moves(directory: Directory) -> dict[str, str]:
    """What the reflog says of each version that it knows: `publish`, `activate <id>`, `rollback <id>`, and reasons.

    It is evidence: one that is damaged says nothing, and is for fsck to tell.
    """
    try:
        return {entry.new: entry.reason for entry in Reflog(directory, REF).read() if entry.new is not None}
    except Corrupt:
        return {}


def _write_once(directory: Directory, file: str, data: bytes) -> None:
    # What is there already may be damaged; its bytes are at hand, so it is made whole.
    if directory.find(file, MAX_BYTES) != data:
        directory.write(file, data)


def _read(directory: Directory, file: str, sha: str) -> bytes:
    try:
        data = directory.read(file, MAX_BYTES)
    except FileNotFoundError:
        raise Corrupt(
            f"'{file}' is missing", hint="restore it from a copy of the repository", details={"file": file}
        ) from None
    if id_of(data) != sha:
        raise Corrupt(
            f"'{file}' is damaged: its SHA-256 is not its name",
            hint="restore it from a copy of the repository",
            details={"file": file},
        )
    return data
