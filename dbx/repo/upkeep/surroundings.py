"""Whether what lies around a domain's history can be read: working schemas, the queue, the workspace's own files.

None of them is history, and losing one loses no event. But what cannot be read is damage, and fsck names it. Where a
secret is sealed and the key is not there, nothing is said of it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dbx.errors import Corrupt, DbxError, Denied, KeyFailure
from dbx.formats.uses import MAX_BYTES as MAX_USES_BYTES
from dbx.formats.uses import decode_uses
from dbx.repo.check.finding import Finding
from dbx.repo.delivery import plugins
from dbx.repo.evidence.checkpoints import signed_size
from dbx.repo.replica.remoteconfig import list_remotes
from dbx.repo.replica.seen import find_seen
from dbx.repo.repository import CONFIG, DOMAINS
from dbx.repo.schema import schemas
from dbx.repo.security import audit, tokens, uses
from dbx.repo.vault import keys
from dbx.store.database import find_complaint
from dbx.store.queuelayout import NAME as QUEUE_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dbx.repo.domain import Domain
    from dbx.repo.repository import Repository
    from dbx.store.fs import Directory

SCHEMA = "schema"
QUEUE = "queue"
WORKSPACE = "workspace"


def check_around(repository: Repository, name: str) -> list[Finding]:
    """What cannot be read beside a domain's history, and of what the workspace remembers of it."""
    directory = repository.directory.below(f"{DOMAINS}/{name}")
    return [*_schemas(directory), *_queue(directory), *_memory(repository, name)]


def check_workspace(repository: Repository) -> list[Finding]:
    """What cannot be read of the workspace's own files. Their names begin with `.dbx/`."""
    found: list[Finding] = []
    if not repository.directory.exists(CONFIG):
        found.append(Finding("error", WORKSPACE, "it is missing, and with it what was set", f".dbx/{CONFIG}"))
    for name, read in _FILES:
        found += (finding for finding in _try(repository, name, read) if finding not in found)
    for file, what, is_damaged in _private_keys(repository):
        found.append(Finding("error" if is_damaged else "warning", "key", what, f".dbx/{file}"))
    return found


def _memory(repository: Repository, name: str) -> Iterator[Finding]:
    """What was signed of a domain, and what its remotes showed."""
    for read in (signed_size, _seen):
        try:
            read(repository, repository.domain(name))
        except Corrupt as error:
            yield Finding("error", WORKSPACE, error.message, _file_of(repository, error, ""))
        except DbxError:
            continue  # the domain itself is damaged, and found to be


def _seen(repository: Repository, domain: Domain) -> None:
    for remote in list_remotes(domain):
        find_seen(repository, domain, remote)


def _schemas(directory: Directory) -> Iterator[Finding]:
    try:
        found = schemas.find_types(directory)
    except DbxError as error:
        yield Finding("error", SCHEMA, error.message, schemas.SCHEMAS)
        return
    for name in found:
        try:
            schemas.get_working(directory, name)
        except DbxError as error:
            yield Finding("error", SCHEMA, error.message, schemas.file_of(name))


def _queue(directory: Directory) -> Iterator[Finding]:
    if directory.exists(QUEUE_FILE):
        complaint = find_complaint(directory.path_of(QUEUE_FILE))
        if complaint is not None:
            yield Finding("error", QUEUE, f"it is damaged: {complaint}", QUEUE_FILE)


def _try(repository: Repository, name: str, read: Callable[[Repository], object]) -> Iterator[Finding]:
    try:
        read(repository)
    except (KeyFailure, Denied):
        return  # sealed, or open to others, which is for those commands to tell that need it
    except DbxError as error:
        yield Finding("error", WORKSPACE, error.message, _file_of(repository, error, name))


def _file_of(repository: Repository, error: DbxError, name: str) -> str:
    """Where the damage is, as the finding names it: what the error says, else the file that was read."""
    path = os.path.join(repository.path, str(error.details.get("file", name)))
    return os.path.relpath(path, os.path.dirname(repository.path))


def _private_keys(repository: Repository) -> list[tuple[str, str, bool]]:
    try:
        return keys.survey_private(repository)
    except DbxError:
        return []  # the list of keys is damaged, and found to be


def _read_uses(repository: Repository) -> None:
    data = repository.directory.find(uses.FILE, MAX_USES_BYTES)
    if data is not None:
        decode_uses(data)


_FILES: tuple[tuple[str, Callable[[Repository], object]], ...] = (
    (audit.LOG, audit.verify),
    (keys.KNOWN, keys.read_known_keys),
    (tokens.LEDGER, tokens.list_tokens),
    (uses.FILE, _read_uses),
    (plugins.NAME, plugins.read_plugins),
)
