"""Restoring a workspace from a backup: everything is read into a directory beside it, checked there, and swapped in.

Until the swap, which is one call, the old workspace is as it was; what an interruption leaves beside it is swept by the
next restore. Nothing in the archive is believed: names, sizes, checksums, and then every domain as fsck checks it.
"""

from __future__ import annotations

import os
import zlib
from contextlib import ExitStack, suppress
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from dbx.crypto import seal as sealing
from dbx.errors import Conflict, Corrupt, Failure, Invalid, KeyFailure
from dbx.formats import backup, canonical
from dbx.formats.backup import DATA, KEYS, MANIFEST, SUMS, BackupManifest
from dbx.formats.base64text import find_base64
from dbx.formats.ustar import BLOCK, padding
from dbx.repo.check.domain import check_domain
from dbx.repo.repository import DOMAINS, HEAD, NAME, PARTS, Repository
from dbx.repo.security import audit
from dbx.repo.upkeep.backup import is_secret
from dbx.store.exchange import put_in_place
from dbx.store.fs import Directory
from dbx.store.lock import Lock
from dbx.store.paths import make_durably

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dbx.formats.backup import Member
    from dbx.formats.envelope import Actor
    from dbx.model.time import Clock

_AT_ONCE = 1 << 18
_SCRATCH = ".dbx-restore-"
_SPARE_BYTES = 16 << 20


class Restored(NamedTuple):
    """What was restored to `path`; `replaced` tells whether there was a workspace before, `keys` how many secrets."""

    path: str
    manifest: BackupManifest
    files: int
    events: int
    replaced: bool
    keys: int


def restore_backup(
    source: str,
    where: str,
    *,
    by: Actor,
    clock: Clock,
    force: bool = False,
    passphrase: bytes | None = None,
    without_keys: bool = False,
    wait_s: float = 10.0,
    progress: Callable[[int], None] = lambda size: None,
) -> Restored:
    """Restore a backup into `.dbx` of the directory `where`.

    Raises Conflict where there is a workspace and no `force`, Corrupt for a backup that is not whole, KeyFailure where
    the passphrase for its secrets is missing or wrong.
    """
    parent = Directory(os.path.abspath(where))
    make_durably(parent.path)
    old = parent.exists(NAME) and bool(parent.names(NAME))
    if old and not force:
        raise Conflict(f"'{parent.path_of(NAME)}' exists already", hint="add '--force' to replace it")
    for name in parent.names():
        if name.startswith(_SCRATCH) and not _runs(name):
            parent.remove_tree(name)
    scratch = f"{_SCRATCH}{os.getpid()}"
    parent.make(scratch)
    try:
        inner = parent.below(scratch)
        manifest, files = _unpack(source, inner, progress)
        keys = _open_keys(inner, manifest, passphrase, without_keys=without_keys)
        events = _check(inner, manifest, clock)
        with ExitStack() as stack:
            if old:
                _hold(parent.path_of(NAME), stack, wait_s)
            put_in_place(parent, scratch, NAME)
    finally:
        with suppress(FileNotFoundError):
            parent.remove_tree(scratch)
    repository = Repository(parent.path_of(NAME), clock=clock, wait_s=wait_s)
    details = {"backup_created_at": manifest.created_at, "replaced": old}
    audit.record(repository, by, "workspace.restore", details)
    repository.close()
    return Restored(repository.path, manifest, files, events, old, keys)


def _runs(name: str) -> bool:
    pid = name.removeprefix(_SCRATCH)
    return pid.isascii() and pid.isdigit() and os.path.exists(f"/proc/{pid}")


def _hold(path: str, stack: ExitStack, wait_s: float) -> None:
    """Nobody writes to the old workspace while it goes. Raises Locked."""
    directory = Directory(path)
    held = [Lock(directory, "lock")]
    held += [
        Lock(directory.below(f"{DOMAINS}/{name}"), "lock")
        for name in directory.names(DOMAINS)
        if name[0] != "." and directory.exists(f"{DOMAINS}/{name}/domain.yaml")
    ]
    for lock in held:
        lock.acquire(wait_s)
        stack.callback(lock.close)


def _unpack(source: str, scratch: Directory, progress: Callable[[int], None]) -> tuple[BackupManifest, int]:
    with open(source, "rb") as file:
        archive = _Archive(file.read, scratch, progress)
        manifest = archive.take()
    if archive.sums != backup.decode_sums(archive.stated):
        raise Corrupt("the backup is damaged: a file does not have its checksum", details={"file": source})
    if manifest.keys != archive.has_keys:
        raise Corrupt("the backup is damaged: its keys are missing", details={"file": source})
    return manifest, len(archive.sums)


class _Archive:
    """An archive on its way into a directory, checked as it comes."""

    def __init__(self, read: Callable[[int], bytes], scratch: Directory, progress: Callable[[int], None]) -> None:
        self._read = read
        self._gunzip = zlib.decompressobj(31)
        self._rest = b""
        self._scratch = scratch
        self._progress = progress
        found = os.statvfs(scratch.path)
        self._left = max(0, found.f_bavail * found.f_frsize - _SPARE_BYTES)
        self.sums: list[tuple[str, str]] = []
        self.stated = b""
        self.has_keys = False

    def take(self) -> BackupManifest:
        """Every member, in the order that a backup has. Raises Corrupt, Failure where there is no room."""
        first = self._next()
        if first is None or first.name != MANIFEST:
            raise Corrupt("this is no backup of dbx: it does not begin with 'manifest.json'")
        manifest = backup.decode_manifest(self._text(first))
        seen = {MANIFEST}
        while (member := self._next()) is not None:
            if member.name in seen or self.stated:
                raise Corrupt("the backup is damaged: a file is in it twice, or behind its checksums")
            seen.add(member.name)
            if member.name == SUMS:
                self.stated = self._text(member, counted=False)
            elif member.name == KEYS:
                self._file(member, KEYS)
                self.has_keys = True
            elif member.name.startswith(DATA):
                self._file(member, member.name.removeprefix(DATA))
            else:
                raise Corrupt(f"the backup holds '{member.name}', which no backup has")
        if not self.stated:
            raise Corrupt("the backup is cut short: its checksums are missing")
        return manifest

    def _next(self) -> Member | None:
        return backup.decode_header(self._take(BLOCK))

    def _text(self, member: Member, *, counted: bool = True) -> bytes:
        if member.size > backup.MAX_TEXT_BYTES:
            raise Corrupt(f"'{member.name}' in the backup is too large")
        data = b"".join(self._pieces(member))
        if counted:
            self.sums.append((sha256(data).hexdigest(), member.name))
        return data

    def _file(self, member: Member, name: str) -> None:
        if member.name == KEYS and member.size > backup.MAX_KEYS_BYTES:
            raise Corrupt("the backup's sealed keys are too large")
        if member.name.startswith(DATA) and not name.startswith(f"{DOMAINS}/") and is_secret(name):
            raise Corrupt(f"the backup holds '{name}' in the open", hint="dbx writes no such backup")
        if member.size > self._left:
            raise Failure("there is not enough room to restore the backup", hint="make room, and try again")
        self._left -= member.size
        digest = sha256()
        parent, _, base = name.rpartition("/")
        with self._scratch.temporary(parent) as file:
            for piece in self._pieces(member):
                digest.update(piece)
                file.write(piece)
                self._progress(len(piece))
            file.publish(base)
        self.sums.append((digest.hexdigest(), member.name))

    def _pieces(self, member: Member) -> Iterator[bytes]:
        left = member.size
        while left:
            piece = self._take(min(left, _AT_ONCE))
            left -= len(piece)
            yield piece
        if self._take(padding(member.size)).strip(b"\0"):
            raise Corrupt("the backup is damaged: something stands behind a file")

    def _take(self, size: int) -> bytes:
        """Exactly so many bytes."""
        while len(self._rest) < size:
            try:
                data = self._gunzip.unconsumed_tail or self._read(_AT_ONCE)
                if not data or self._gunzip.eof:
                    raise Corrupt("the backup is cut short")
                self._rest += self._gunzip.decompress(data, _AT_ONCE)
            except zlib.error:
                raise Corrupt("this is no backup of dbx, or it is damaged: it cannot be inflated") from None
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken


def _open_keys(scratch: Directory, manifest: BackupManifest, passphrase: bytes | None, *, without_keys: bool) -> int:
    if not manifest.keys:
        return 0
    data = scratch.read(KEYS, backup.MAX_KEYS_BYTES)
    scratch.remove(KEYS)
    if without_keys:
        return 0
    if passphrase is None:
        raise KeyFailure(
            "the backup holds keys, sealed by a passphrase",
            hint="give it with '--passphrase-file' or DBX_PASSPHRASE, or leave them out with '--without-keys'",
        )
    head, newline, rest = data.partition(b"\n")
    n, r, p, salt = backup.decode_costs(head)
    try:
        key = sealing.key_from_passphrase(passphrase, find_base64(salt) or b"", n=n, r=r, p=p)
        nonce, sealed = rest[: sealing.NONCE_BYTES], rest[sealing.NONCE_BYTES :]
        plain = sealing.Sealer(key).unseal(nonce, sealed, backup.PLACE + head + newline)
    except (ValueError, sealing.Unsealable):
        raise KeyFailure("the passphrase is not the one that sealed the backup's keys") from None
    value = canonical.decode(plain, what="the backup's keys")
    for name, text in value.items() if isinstance(value, dict) else ():
        content = find_base64(text) if isinstance(text, str) else None
        if content is None or not is_secret(name) or name.startswith(f"{DOMAINS}/"):
            raise Corrupt("the backup's keys are damaged")
        try:
            scratch.write(name, content)
        except Invalid:
            raise Corrupt("the backup's keys are damaged") from None
    return len(value)


def _check(scratch: Directory, manifest: BackupManifest, clock: Clock) -> int:
    """Every domain is whole, and is what the manifest says; how many events there are. Raises Corrupt."""
    if not scratch.exists(HEAD):
        raise Corrupt(f"the backup is damaged: '{HEAD}' is missing")
    scratch.make(DOMAINS)
    repository = Repository(scratch.path, clock=clock)
    try:
        audit.verify(repository)
        if repository.domain_names() != sorted(one.name for one in manifest.domains):
            raise Corrupt("the backup is damaged: its domains are not those that its manifest names")
        events = 0
        for one in manifest.domains:
            directory = scratch.below(f"{DOMAINS}/{one.name}")
            for part in PARTS:
                directory.make(part)
            report = check_domain(directory, one.name, vault=repository.vault)
            if not report.clean or report.commit != one.commit:
                what = report.findings[0].message if report.findings else "it ends with another commit"
                raise Corrupt(f"domain '{one.name}' in the backup is damaged: {what}")
            events += report.events
        return events
    finally:
        repository.close()
