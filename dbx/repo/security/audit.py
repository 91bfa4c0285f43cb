"""The audit trail of a workspace: who changed tokens, keys, settings and refs, append-only, with its own Merkle tree.

.dbx/audit.jsonl    a line for each thing that was done (formats.audit)
.dbx/audit.head     how many lines there are, and the right edge of the RFC 9162 tree over them
.dbx/audit.lock     one writer at a time

A line is on disk before the head that counts it. So behind what the head covers there may be lines of a process that
died: the next writer takes them in, and cuts one that is torn. What the head covers and the log lacks was cut off.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.crypto import merkle
from dbx.errors import Corrupt, KeyFailure
from dbx.formats.audit import (
    MAX_HEAD_BYTES,
    MAX_LINE_BYTES,
    AuditEntry,
    AuditHead,
    decode_entry,
    decode_head,
    encode_entry,
    encode_head,
)
from dbx.formats.checkpoint import Checkpoint, format_checkpoint
from dbx.formats.knownkeys import OWN
from dbx.formats.note import Note, format_note
from dbx.model.time import format_time
from dbx.model.trust import sign_note
from dbx.repo.evidence.heads import SIGNED, find_head, write_head
from dbx.repo.vault.keys import get_signing_key, read_known_keys
from dbx.store.descriptor import write_all
from dbx.store.fs import sync_data
from dbx.store.lock import Lock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.formats.envelope import Actor
    from dbx.repo.repository import Repository

LOG = "audit.jsonl"
HEAD = "audit.head"
LOCK = "audit.lock"
_AT_ONCE = 1 << 20


class Verified(NamedTuple):
    """An audit trail that is whole: its lines, the root over them, and the size that was last signed, 0 for none."""

    size: int
    root: bytes
    signed: int


def record(
    repository: Repository,
    actor: Actor,
    event: str,
    details: dict[str, Any],
    *,
    domain: str | None = None,
    token: str | None = None,
) -> AuditEntry:
    """Add a line, durable on return. `details` hold no secret. Raises Corrupt where the log was cut off."""
    lock = Lock(repository.directory, LOCK)
    lock.acquire(repository.wait_s)
    try:
        head = _read_head(repository)
        if head is None:
            if repository.directory.exists(LOG):
                raise _fault(repository, f"'{HEAD}' is missing")
            head = AuditHead()
            repository.directory.write(HEAD, encode_head(head))
        fresh = not repository.directory.exists(LOG)
        fd = repository.directory.open_write(LOG, create=True)
        try:
            head = _take_in(repository, fd, head)
            entry = AuditEntry(head.size, format_time(repository.clock()), actor, event, domain, details, token)
            line = encode_entry(entry)
            write_all(fd, line + b"\n", head.end)
            sync_data(fd)
        finally:
            os.close(fd)
        if fresh:
            repository.directory.sync()
        repository.directory.write(HEAD, encode_head(_grown(head, line)))
    finally:
        lock.close()
    return entry


def iterate(repository: Repository) -> Iterator[AuditEntry]:
    """Every line, oldest first, each of the form that dbx writes. Raises Corrupt."""
    for line in _lines(repository):
        entry = _decode(repository, line)
        yield entry


def verify(repository: Repository) -> Verified:
    """Compare the log with its head, and with the last checkpoint that was signed. Raises Corrupt."""
    head = _read_head(repository)
    if head is None:
        if repository.directory.exists(LOG):
            raise _fault(repository, f"'{HEAD}' is missing")
        _refuse_shorter(repository, 0)
        return Verified(0, merkle.EMPTY, 0)
    signed = _signed(repository)
    edge: list[bytes] = []
    seen = signed is None or signed.size == 0
    size = end = 0
    for line in _lines(repository):
        entry = _decode(repository, line)
        if entry.n != size:
            raise _fault(repository, f"line {size + 1} says that it is line {entry.n + 1}")
        merkle.append(edge, size, merkle.leaf_hash(line))
        size, end = size + 1, end + len(line) + 1
        if size == head.size and (tuple(edge), end) != (head.edge, head.end):
            raise _fault(repository, "a line was changed")
        if signed is not None and size == signed.size:
            seen = True
            if merkle.edge_root(edge) != signed.root:
                raise _fault(repository, f"its first {size} lines are not those that were signed")
    if size < head.size or not seen:
        raise _fault(repository, f"it was cut off: {size} lines are left of {head.size}")
    return Verified(size, merkle.edge_root(edge), 0 if signed is None else signed.size)


def checkpoint(repository: Repository, *, sign: bool) -> tuple[Checkpoint, bytes, str | None]:
    """(the head as a checkpoint, its bytes, the signer's name); the log is verified first.

    Raises Corrupt, also where it contradicts what was signed before; KeyFailure without a key.
    """
    found = verify(repository)
    made = Checkpoint(_origin(repository), found.size, found.root)
    text = format_checkpoint(made)
    if not sign:
        return made, text.encode(), None
    key = get_signing_key(repository)
    lock = repository.lock()
    lock.acquire(repository.wait_s)
    try:
        write_head(repository, SIGNED, made)
    finally:
        lock.close()
    return made, format_note(Note(text, (sign_note(text, key.vkey, key.seed),))), key.vkey.name


# -- inside ------------------------------------------------------------------------------------------------------------


def _origin(repository: Repository) -> str:
    """The log is named after the first key of the workspace, which stays."""
    own = [key.vkey for key in read_known_keys(repository).keys if key.role == OWN]
    if not own:
        raise KeyFailure("this workspace has no signing key", hint="make one with 'dbx key generate'")
    return f"dbx-audit/{own[0].key_id.hex()}"


def _signed(repository: Repository) -> Checkpoint | None:
    try:
        return find_head(repository, SIGNED, _origin(repository))
    except KeyFailure:
        return None


def _refuse_shorter(repository: Repository, size: int) -> None:
    signed = _signed(repository)
    if signed is not None and signed.size > size:
        raise _fault(repository, f"it was cut off: {signed.size} lines were signed, {size} are left")


def _read_head(repository: Repository) -> AuditHead | None:
    data = repository.directory.find(HEAD, MAX_HEAD_BYTES)
    try:
        return None if data is None else decode_head(data)
    except Corrupt as error:
        path = repository.directory.path_of(HEAD)
        raise Corrupt(f"'{path}': {error.message}", hint=error.hint, details={"file": HEAD}) from None


def _grown(head: AuditHead, line: bytes) -> AuditHead:
    edge = list(head.edge)
    merkle.append(edge, head.size, merkle.leaf_hash(line))
    return AuditHead(head.size + 1, head.end + len(line) + 1, tuple(edge))


def _take_in(repository: Repository, fd: int, head: AuditHead) -> AuditHead:
    """The head with the whole lines behind it; what is torn is cut off."""
    size = os.fstat(fd).st_size
    if size < head.end:
        raise _fault(repository, f"it was cut off: {size} bytes are left of {head.end}")
    if size == head.end:
        return head
    behind = os.pread(fd, MAX_LINE_BYTES, head.end)
    for line in behind.split(b"\n")[:-1]:
        try:
            if decode_entry(line).n != head.size:
                break
        except Corrupt:
            break
        head = _grown(head, line)
    os.ftruncate(fd, head.end)
    return head


def _lines(repository: Repository) -> Iterator[bytes]:
    """Whole lines; what an interruption left behind the head, and no more than that, may lack its end."""
    head = _read_head(repository)
    try:
        fd = repository.directory.open_read(LOG)
    except FileNotFoundError:
        if head is not None and head.size:
            raise _fault(repository, "it is missing") from None
        return
    try:
        rest, at = b"", 0
        while data := os.read(fd, _AT_ONCE):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                at += len(line) + 1
                yield line
            if len(rest) > MAX_LINE_BYTES:
                raise _fault(repository, "a line is too long")
        if rest and head is not None and at < head.end:
            raise _fault(repository, "it was cut off within a line")
    finally:
        os.close(fd)


def _decode(repository: Repository, line: bytes) -> AuditEntry:
    try:
        return decode_entry(line)
    except Corrupt as error:
        raise _fault(repository, error.message) from None


def _fault(repository: Repository, what: str) -> Corrupt:
    return Corrupt(
        f"the audit trail '{repository.directory.path_of(LOG)}' is damaged: {what}",
        hint="compare it with a backup, and with a checkpoint that was signed",
        details={"file": LOG},
    )
