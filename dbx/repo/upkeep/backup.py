"""Backups of a workspace: one file with everything that is true in it, made while others write.

For each domain the writer's lock is held only to read the journal and the small files; the segments that refs name
never change, and are open from then on, so that nobody can take them away. What is derived is left out. Secrets are
left out too, unless they are asked for: then they are sealed by a passphrase.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from contextlib import ExitStack
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from dbx.crypto import seal as sealing
from dbx.errors import Conflict, Failure
from dbx.formats import backup, canonical
from dbx.formats.backup import DATA, KEYS, MANIFEST, SUMS, BackedUp, BackupManifest, Member
from dbx.formats.base64text import encode_base64
from dbx.formats.ustar import END, padding
from dbx.model.time import format_time
from dbx.repo.batch.staging import staging_locked
from dbx.repo.log import read_manifest, read_ref
from dbx.repo.outfile import writing_outside
from dbx.repo.replica.receive import point_of
from dbx.repo.repository import DOMAINS
from dbx.repo.upkeep.gc import named_refs
from dbx.repo.writer import writing
from dbx.store.copydb import copy_database
from dbx.store.fs import Directory, read_at
from dbx.store.segments import SEGMENTS, segment_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dbx.repo.domain import Domain
    from dbx.repo.repository import Repository
    from dbx.store.fs import TemporaryFile

_OPEN = frozenset({".gitignore", "HEAD", "config.yaml", "tokens.json", "uses.json", "audit.jsonl", "audit.head"})
_OPEN_FOLDERS = ("signed/", "witness/", "remotes/")
_OPEN_KEYS = frozenset({"keys/known.json", "keys/keyring.yaml"})
_LOCKS = ("lock", ".lock")
_DATABASES = frozenset({"snapshots.db", "queue.db"})
_DERIVED = ("index.db", "snapshots.db-", "queue.db-", "quarantine/", "journal.torn", f"{SEGMENTS}/", ".tmp-")
_MAX_FILE_BYTES = 1 << 30
_AT_ONCE = 1 << 20
_LEVEL = 1  # segments are compressed already


class Done(NamedTuple):
    """A backup that was made: how many files and bytes are in it, and which domains."""

    files: int
    size: int
    domains: tuple[BackedUp, ...]
    keys: int


def is_secret(name: str) -> bool:
    """Whether a file of the workspace, beside its domains, is left out unless keys are asked for."""
    return not (name in _OPEN or name in _OPEN_KEYS or name.startswith(_OPEN_FOLDERS))


def make_backup(
    repository: Repository,
    path: str,
    *,
    force: bool = False,
    passphrase: bytes | None = None,
    progress: Callable[[int], None] = lambda size: None,
) -> Done:
    """Write a backup to `path`; with a passphrase also the secrets, sealed by it.

    Raises Conflict where there is a file and no `force`, Failure for a path within the workspace.
    """
    inside = os.path.realpath(repository.path)
    if os.path.realpath(path) == inside or os.path.realpath(path).startswith(inside + os.sep):
        raise Failure(f"'{path}' lies within the workspace", hint="write the backup somewhere else")
    if os.path.lexists(path) and not force:
        raise Conflict(f"'{path}' exists already", hint="add '--force' to replace it")
    with ExitStack() as stack, writing_outside(path, private=True) as file:
        scratch = Directory(stack.enter_context(tempfile.TemporaryDirectory(prefix="dbx-backup-")))
        pieces: list[tuple[str, bytes | int, int]] = []
        domains = []
        for name in repository.domain_names():
            domain = repository.domain(name)
            domains.append(_note_domain(domain, pieces, scratch, stack))
        secrets = _note_workspace(repository, pieces)
        manifest = BackupManifest(format_time(repository.clock()), tuple(domains), passphrase is not None)
        archive = _Archive(file, progress)
        archive.add(MANIFEST, backup.encode_manifest(manifest))
        for name, source, size in pieces:
            archive.add(f"{DATA}{name}", source, size)
        if passphrase is not None:
            archive.add(KEYS, _seal(repository, secrets, passphrase))
        archive.finish()
        return Done(archive.files, archive.size, tuple(domains), len(secrets) if passphrase is not None else 0)


def _note_domain(
    domain: Domain, pieces: list[tuple[str, bytes | int, int]], scratch: Directory, stack: ExitStack
) -> BackedUp:
    """Note what a domain holds at one moment: small files are read, segments are opened."""
    base = f"{DOMAINS}/{domain.name}"
    with staging_locked(domain), writing(domain) as working:
        head = point_of(working.head)
        for name in domain.directory.walk():
            if not _is_kept(name):
                continue
            data = domain.directory.find(name, _MAX_FILE_BYTES)
            if data is not None:
                pieces.append((f"{base}/{name}", data, len(data)))
        shas: dict[str, None] = {}
        for name in named_refs(domain.directory):
            ref = read_ref(domain.directory, name)
            for entry in read_manifest(domain.directory, ref.manifest) if ref is not None else ():
                shas[entry.sha256] = None
        for sha in shas:
            fd = domain.directory.open_read(segment_name(sha))
            stack.callback(os.close, fd)
            pieces.append((f"{base}/{segment_name(sha)}", fd, os.fstat(fd).st_size))
    for name in sorted(_DATABASES):
        if domain.directory.exists(name):
            data = _copy(domain.directory.path_of(name), scratch.path_of(f"{len(pieces)}.db"))
            if data is not None:
                pieces.append((f"{base}/{name}", data, len(data)))
    return BackedUp(domain.name, domain.id, head.commit or None, head.seq)


def _is_kept(name: str) -> bool:
    base = name.rpartition("/")[2]
    return not (name.startswith(_DERIVED) or base.startswith(".tmp-") or name in _DATABASES or base.endswith(_LOCKS))


def _copy(source: str, target: str) -> bytes | None:
    """A database's bytes; None where it is damaged: it is local, and what it is about can be made again."""
    if not copy_database(source, target):
        return None
    with open(target, "rb") as file:
        return file.read()


def _note_workspace(repository: Repository, pieces: list[tuple[str, bytes | int, int]]) -> dict[str, bytes]:
    """Note the files beside the domains; the secret ones are returned."""
    secrets: dict[str, bytes] = {}
    lock = repository.lock()
    lock.acquire(repository.wait_s)
    try:
        for name in repository.directory.walk():
            base = name.rpartition("/")[2]
            if name.startswith((f"{DOMAINS}/", ".tmp-")) or base.startswith(".tmp-") or base.endswith(_LOCKS):
                continue
            data = repository.directory.find(name, _MAX_FILE_BYTES)
            if data is None:
                continue
            if is_secret(name):
                secrets[name] = data
            else:
                pieces.append((name, data, len(data)))
    finally:
        lock.close()
    return secrets


def _seal(repository: Repository, secrets: dict[str, bytes], passphrase: bytes) -> bytes:
    salt, nonce = repository.entropy(sealing.SALT_BYTES), repository.entropy(sealing.NONCE_BYTES)
    key = sealing.key_from_passphrase(passphrase, salt)
    head = backup.encode_costs(sealing.SCRYPT_N, sealing.SCRYPT_R, sealing.SCRYPT_P, encode_base64(salt))
    plain = canonical.encode({name: encode_base64(data) for name, data in secrets.items()})
    return head + nonce + sealing.Sealer(key).seal(nonce, plain, backup.PLACE + head)


class _Archive:
    """A gzip'd archive on its way to a file."""

    def __init__(self, file: TemporaryFile, progress: Callable[[int], None]) -> None:
        self._file = file
        self._progress = progress
        self._gzip = zlib.compressobj(_LEVEL, zlib.DEFLATED, 31)
        self._sums: list[tuple[str, str]] = []
        self.files = 0
        self.size = 0

    def add(self, name: str, source: bytes | int, size: int | None = None) -> None:
        """A member, from bytes or from so many bytes of a descriptor."""
        length = len(source) if isinstance(source, bytes) else size or 0
        self._write(backup.encode_header(Member(name, length)))
        digest = sha256()
        for piece in _pieces(source, length):
            digest.update(piece)
            self._write(piece)
            self._progress(len(piece))
        self._write(bytes(padding(length)))
        self._sums.append((digest.hexdigest(), name))
        self.files += 1

    def finish(self) -> None:
        """The checksums, and the end."""
        sums = backup.encode_sums(self._sums)
        self._write(backup.encode_header(Member(SUMS, len(sums))) + sums + bytes(padding(len(sums))) + END)
        self._put(self._gzip.flush())

    def _write(self, data: bytes) -> None:
        self._put(self._gzip.compress(data))

    def _put(self, data: bytes) -> None:
        if data:
            self._file.write(data)
            self.size += len(data)


def _pieces(source: bytes | int, size: int) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    at = 0
    while at < size:
        data = read_at(source, min(_AT_ONCE, size - at), at)
        if not data:
            raise Failure("a segment became shorter while it was read")
        at += len(data)
        yield data
