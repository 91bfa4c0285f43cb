"""Published schemas (format.md §10): content-addressed, chained, and named by commits."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from dbx.errors import Corrupt, Invalid
from dbx.formats import canonical, yamltext
from dbx.formats.envelope import HASH, is_time
from dbx.model import names

if TYPE_CHECKING:
    from dbx.repo.check.chain import Log
    from dbx.repo.check.finding import Findings
    from dbx.store.fs import Directory

OBJECTS = "schemas/objects"
VERSIONS = "schemas/versions"
REF = "refs/schemas/main"
_MAX_BYTES = 1 << 20
_MEMBERS = {"actor", "labels", "parent", "published_at", "reason", "schemas"}


def check_published(directory: Directory, log: Log, findings: Findings) -> None:
    """Every object and version has its hash for a name, versions form chains, and what commits and the ref name is
    there."""
    objects = _read_all(directory, OBJECTS, findings)
    for name, data in objects.items():
        try:
            yamltext.load(data, name=name)
        except Invalid as error:
            findings.error("schema.object", error.message, f"{OBJECTS}/{name}.yaml", 0)
    versions = _read_all(directory, VERSIONS, findings)
    for name, data in versions.items():
        _check_version(name, data, objects, versions, findings)
    head = directory.find(REF, 4096)
    if head is not None:
        found = re.fullmatch(rf"({HASH})\n", head.decode("ascii", "replace"))
        if found is None:
            findings.error("schema.ref", "it is not the id of a schema version", REF, 0)
        elif found[1] not in versions:
            findings.error("schema.ref", f"it names the schema version {found[1]}, which is missing", REF, 0)
    elif versions:
        findings.warn("schema.ref", "there are published schemas, but the ref to them is missing", REF)
    for version, seq in log.schemas.items():
        if version not in versions:
            sentence = f"commit {seq} names the schema version {version}, which is missing"
            findings.error("schema.missing", sentence, f"{VERSIONS}/{version}.yaml", None, {"seq": seq})


def _read_all(directory: Directory, folder: str, findings: Findings) -> dict[str, bytes]:
    """Every file of a folder that should be named by its hash, also where it is not."""
    found: dict[str, bytes] = {}
    for entry in directory.names(folder):
        file = f"{folder}/{entry}"
        name = entry.removesuffix(".yaml")
        if entry == name or not re.fullmatch(HASH, name):
            findings.note("unknown", "dbx does not know this file", file)
            continue
        try:
            data = directory.read(file, _MAX_BYTES)
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
    name: str, data: bytes, objects: dict[str, bytes], versions: dict[str, bytes], findings: Findings
) -> None:
    file = f"{VERSIONS}/{name}.yaml"
    try:
        value = canonical.decode(data.removesuffix(b"\n"), what="the schema version")
        wrong = _fault(value)
    except Corrupt as error:
        wrong = error.message
    if wrong is not None:
        findings.error("schema.version", wrong, file, 0)
        return
    if value["parent"] is not None and value["parent"] not in versions:
        findings.error("schema.version", f"its parent {value['parent']} is missing", file, 0)
    for aggregate, sha in sorted(value["schemas"].items()):
        if sha not in objects:
            findings.error("schema.version", f"the schema {sha} of '{aggregate}' is missing", file, 0)


def _fault(value: Any) -> str | None:
    if not isinstance(value, dict) or value.keys() != _MEMBERS:
        return "it does not have the members of a schema version"
    schemas, parent = value["schemas"], value["parent"]
    if not isinstance(schemas, dict) or not all(
        isinstance(sha, str) and re.fullmatch(HASH, sha) for sha in schemas.values()
    ):
        return "its schemas are not a mapping to hashes"
    try:
        for aggregate in schemas:
            names.check_type(aggregate)
    except Invalid as error:
        return error.message
    if parent is not None and not (isinstance(parent, str) and re.fullmatch(HASH, parent)):
        return "its parent is not the id of a schema version"
    if not isinstance(value["published_at"], str) or not is_time(value["published_at"]):
        return "its time is not spelled as it should be"
    return None
