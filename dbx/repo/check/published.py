"""Published schemas (format.md §10): content-addressed, chained, and named by commits."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING

from dbx.errors import Corrupt, Invalid
from dbx.formats import yamltext
from dbx.formats.envelope import HASH
from dbx.formats.schemaversion import decode_version
from dbx.repo.schema.published import MAX_BYTES, OBJECTS, REF, VERSIONS
from dbx.store.fs import TEMPORARY

if TYPE_CHECKING:
    from dbx.formats.schemaversion import SchemaVersion
    from dbx.repo.check.chain import Log
    from dbx.repo.check.finding import Findings
    from dbx.store.fs import Directory


def check_published(directory: Directory, log: Log, findings: Findings) -> None:
    """Every object and version has its hash for a name, versions form chains, and what commits and the ref name is
    there."""
    # Publishing writes objects, then the version, then the ref, then commits: read the other way round, nothing that
    # is being published right now is missed.
    head = _read_ref(directory, findings)
    files = _read_all(directory, VERSIONS, findings)
    objects = _read_all(directory, OBJECTS, findings)
    for name, data in objects.items():
        try:
            yamltext.load(data, name=name)
        except Invalid as error:
            findings.error("schema.object", error.message, f"{OBJECTS}/{name}.yaml", 0)
    versions: dict[str, SchemaVersion | None] = {}
    for name, data in files.items():
        try:
            versions[name] = decode_version(data)
        except Corrupt as error:
            versions[name] = None
            findings.error("schema.version", error.message, f"{VERSIONS}/{name}.yaml", 0)
    for name, version in versions.items():
        if version is not None:
            _check_version(name, version, set(objects), set(versions), findings)
    if head is not None and head not in versions:
        findings.error("schema.ref", f"it names the schema version {head}, which is missing", REF, 0)
    elif head is None and any(name in log.schemas for name in versions):
        findings.error("schema.ref", "commits name published schemas, but the ref to them is missing", REF)
    elif head is None and versions and not directory.exists(REF):
        findings.warn("schema.ref", "there are published schemas, but the ref to them is missing", REF)
    for name, seq in log.schemas.items():
        if name not in versions:
            sentence = f"commit {seq} names the schema version {name}, which is missing"
            findings.error("schema.missing", sentence, f"{VERSIONS}/{name}.yaml", None, {"seq": seq})


def _read_ref(directory: Directory, findings: Findings) -> str | None:
    try:
        data = directory.find(REF, 4096)
    except Corrupt as error:
        findings.error("schema.ref", error.message, REF)
        return None
    if data is None:
        return None
    found = re.fullmatch(rf"({HASH})\n", data.decode("ascii", "replace"))
    if found is None:
        findings.error("schema.ref", "it is not the id of a schema version", REF, 0)
        return None
    return found[1]


def _read_all(directory: Directory, folder: str, findings: Findings) -> dict[str, bytes]:
    """Every file of a folder that should be named by its hash, also where it is not."""
    found: dict[str, bytes] = {}
    for entry in directory.names(folder):
        file = f"{folder}/{entry}"
        name = entry.removesuffix(".yaml")
        if entry.startswith(TEMPORARY):
            findings.note("temporary", "an interrupted write; 'dbx gc' removes it", file)
            continue
        if entry == name or not re.fullmatch(HASH, name):
            findings.note("unknown", "dbx does not know this file", file)
            continue
        try:
            data = directory.read(file, MAX_BYTES)
        except FileNotFoundError:
            continue
        except Corrupt as error:
            findings.error("schema.hash", error.message, file)
            continue
        if sha256(data).hexdigest() != name:
            findings.error("schema.hash", "its SHA-256 is not its name", file, 0)
        found[name] = data
    return found


def _check_version(
    name: str, version: SchemaVersion, objects: set[str], versions: set[str], findings: Findings
) -> None:
    file = f"{VERSIONS}/{name}.yaml"
    if version.parent is not None and version.parent not in versions:
        findings.error("schema.version", f"its parent {version.parent} is missing", file, 0)
    for aggregate, sha in sorted(version.schemas.items()):
        if sha not in objects:
            findings.error("schema.version", f"the schema {sha} of '{aggregate}' is missing", file, 0)
