"""Where things from elsewhere wait until they are believed: a directory of the domain that nothing refers to.

A bundle is read member by member, its limits first; every segment goes to the disk as it comes, and must have the hash
that is its name. What an interruption left is swept by whoever receives next.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Corrupt
from dbx.formats import bundle, ustar
from dbx.formats.bundle import Point
from dbx.formats.envelope import HASH
from dbx.formats.manifest import ManifestEntry, decode_manifest
from dbx.repo.log import MANIFESTS, MAX_MANIFEST_BYTES, decode_entry, read_manifest, read_ref
from dbx.repo.replica.recode import PLAIN, Recoding, body_keys, measure, recode, recode_file
from dbx.repo.schema import published
from dbx.store.fs import read_at
from dbx.store.segments import SEGMENTS, SUFFIX, Commits, FrameReader, segment_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from dbx.crypto.vault import Vault
    from dbx.formats.bundle import BundleHeader
    from dbx.repo.replica.offer import Offer, Piece
    from dbx.store.fs import Directory as Directory
    from dbx.store.fs import TemporaryFile

    Read = Callable[[int], bytes]
    """Gives at most so many bytes, and none at the end."""

QUARANTINE = "quarantine"
MAX_SCHEMA_BYTES = 64 * 1024 * 1024
MAX_BYTES = 1 << 40
_AT_ONCE = 256 * 1024


class Arrived(NamedTuple):
    """A bundle in quarantine: what it says, its segments as files of `directory`, and its schemas by name."""

    directory: Directory
    header: BundleHeader
    entries: tuple[ManifestEntry, ...]
    schemas: dict[str, bytes]


@contextmanager
def quarantined(domain_directory: Directory, name: str | None = None) -> Iterator[Directory]:
    """A place to receive into, removed at the end. One with a `name` stays after an error, and is found again."""
    inner = f"{QUARANTINE}/{name or f'{os.getpid()}-{os.urandom(6).hex()}'}"
    directory = domain_directory.below(inner)
    directory.make(SEGMENTS)
    try:
        yield directory
    except BaseException:
        if name is None:
            domain_directory.remove_tree(inner)
        raise
    domain_directory.remove_tree(inner)


def sweep_quarantine(domain_directory: Directory) -> None:
    """Remove what processes that no longer run left behind."""
    for name in domain_directory.names(QUARANTINE):
        pid = name.partition("-")[0]
        if pid.isascii() and pid.isdigit() and not _runs(int(pid)):
            domain_directory.remove_tree(f"{QUARANTINE}/{name}")


def unpack(directory: Directory, read: Read, vault: Vault | None = None, *, max_bytes: int = MAX_BYTES) -> Arrived:
    """Read a bundle into a quarantine; where the vault seals, plain bodies are sealed before they reach the disk.

    Raises Corrupt for whatever is not as it should be, at once.
    """
    archive = _Archive(read, max_bytes)
    try:
        header, entries, schemas = _unpack(
            archive, lambda entry: keep_segment(directory, entry, archive.pieces(entry.size), vault)
        )
    except Corrupt as error:
        error.details.setdefault("received", True)
        raise
    return Arrived(directory, header, tuple(entries), schemas)


def bring(directory: Directory, offer: Offer, vault: Vault | None = None) -> Arrived:
    """Take what a repository of this machine offers into a quarantine, and compare every segment with its name.

    Files of our own are hard-linked: segments never change. Those of another user are copied, who could change them,
    and those whose bodies must be opened or sealed. Plain bodies never reach the disk where the vault seals.
    """
    seals = vault if vault is not None and vault.seals else None
    entries: list[ManifestEntry] = []
    for piece in offer.pieces:
        entry, source, fd, opens = piece
        name = segment_name(entry.sha256)
        if opens is not None or (seals is not None and PLAIN in body_keys(fd, name)):
            entries.append(_recode(directory, piece, Recoding(opens, seals)))
            continue
        entries.append(entry)
        if os.fstat(fd).st_uid != os.geteuid() or not directory.link_from(source, name):
            with directory.temporary(SEGMENTS) as temporary:
                for data in _read_all(fd, entry.size):
                    temporary.write(data)
                temporary.publish(entry.sha256 + SUFFIX)
        compare(directory, entry)
    return Arrived(directory, offer.header, tuple(entries), offer.schemas)


def _recode(directory: Directory, piece: Piece, recoding: Recoding) -> ManifestEntry:
    """A segment of this machine with its bodies opened or sealed, in quarantine."""
    with directory.temporary(SEGMENTS) as temporary:
        sha, size = measure(_written(temporary, recode_file(piece.fd, recoding)))
        temporary.publish(sha + SUFFIX)
    return replace(piece.entry, sha256=sha, size=size)


def _written(temporary: TemporaryFile, blocks: Iterator[bytes]) -> Iterator[bytes]:
    for data in blocks:
        temporary.write(data)
        yield data


def compare(directory: Directory, entry: ManifestEntry) -> None:
    """Hash a segment in quarantine. Raises Corrupt unless it has the hash that is its name, and its size."""
    fd = directory.open_read(segment_name(entry.sha256))
    try:
        digest = sha256()
        for data in _read_all(fd, entry.size):
            digest.update(data)
        size = os.fstat(fd).st_size
    finally:
        os.close(fd)
    _compare(digest.hexdigest() if size == entry.size else "", entry)


def look(directory: Directory, sha: str) -> tuple[ManifestEntry, Point]:
    """A segment by its hash. What its frames say is believed later, when all of it is checked."""
    fd = directory.open_read(segment_name(sha))
    try:
        size = os.fstat(fd).st_size
        reader = FrameReader(fd, segment_name(sha))
        header, at = reader.header()
        last: Commits | None = None
        for item in reader.items(at):
            if isinstance(item, Commits):
                last = item
        if last is None:
            raise Corrupt("the segment holds no commit")
        entry = decode_entry(last.lines[-1])
    finally:
        os.close(fd)
    commit = entry.commit
    found = ManifestEntry(sha, size, header.seq, commit.seq, entry.id.hex())
    compare(directory, found)
    return found, Point(commit.seq, entry.id.hex(), commit.position + commit.count)


def bring_known(directory: Directory, domain: Directory, track: str, base: Point) -> tuple[list[ManifestEntry], Point]:
    """Link what a tracking ref holds behind `base`, from an earlier fetch, into a quarantine; (entries, their end).

    None, and `base`, where that does not begin right behind it. All of it is checked again.
    """
    ref = read_ref(domain, track)
    if ref is None or ref.seq <= base.seq:
        return [], base
    entries = [entry for entry in read_manifest(domain, ref.manifest) if entry.last_seq > base.seq]
    if entries[0].first_seq != base.seq + 1:
        return [], base
    end = base
    for entry in entries:
        if not directory.link_from(domain, segment_name(entry.sha256)):
            return [], base
        _, end = look(directory, entry.sha256)
    return entries, end


def _read_all(fd: int, size: int) -> Iterator[bytes]:
    at = 0
    while at < size and (data := read_at(fd, min(_AT_ONCE, size - at), at)):
        at += len(data)
        yield data


def _unpack(
    archive: _Archive, receive: Callable[[ManifestEntry], ManifestEntry]
) -> tuple[BundleHeader, Sequence[ManifestEntry], dict[str, bytes]]:
    member = archive.next()
    if member is None or member.name != bundle.NAME:
        raise Corrupt("the archive does not begin with bundle.json, so it is no bundle")
    header = bundle.decode_bundle(archive.whole(member, bundle.MAX_BYTES))
    entries: tuple[ManifestEntry, ...] = ()
    member = archive.next()
    if header.manifest is not None:
        if member is None or member.name != f"{MANIFESTS}/{header.manifest}":
            raise Corrupt("the bundle lacks the manifest that it names")
        data = archive.whole(member, MAX_MANIFEST_BYTES)
        if sha256(data).hexdigest() != header.manifest:
            raise Corrupt("the bundle's manifest does not have the hash that is its name")
        entries = decode_manifest(data, first_seq=header.base.seq + 1)
        if (entries[-1].last_seq, entries[-1].last_commit) != (header.head.seq, header.head.commit):
            raise Corrupt("the bundle's manifest does not end with the commit that the bundle names")
        arrived: list[ManifestEntry] = []
        for entry in entries:
            member = archive.next()
            if member is None or member != (segment_name(entry.sha256), entry.size):
                raise Corrupt(f"the bundle lacks the segment {entry.sha256}, or it is not where it should be")
            arrived.append(receive(entry))
        entries = tuple(arrived)
        member = archive.next()
    return header, entries, _schemas(archive, member)


def _schemas(archive: _Archive, member: ustar.MemberHeader | None) -> dict[str, bytes]:
    schemas: dict[str, bytes] = {}
    left = MAX_SCHEMA_BYTES
    folders = f"{published.OBJECTS}|{published.VERSIONS}"
    while member is not None:
        if not re.fullmatch(rf"(?:{folders})/{HASH}\.yaml", member.name) or member.name in schemas:
            raise Corrupt(f"'{_shown(member.name)}' does not belong into a bundle, or not there")
        data = archive.whole(member, min(published.MAX_BYTES, left))
        if sha256(data).hexdigest() != member.name.rpartition("/")[2].removesuffix(".yaml"):
            raise Corrupt(f"'{member.name}' does not have the hash that is its name")
        schemas[member.name] = data
        left -= len(data)
        member = archive.next()
    return schemas


def keep_segment(
    directory: Directory, entry: ManifestEntry, pieces: Iterable[bytes], vault: Vault | None = None
) -> ManifestEntry:
    """Write a segment into a quarantine as it comes; where the vault seals, its plain bodies sealed.

    What was sealed on the way has another hash, and is named by that. Raises Corrupt unless what came has its size and
    its hash.
    """
    digest = sha256()
    left = entry.size

    def counted() -> Iterator[bytes]:
        nonlocal left
        for data in pieces:
            left -= len(data)
            if left < 0:
                raise Corrupt(f"segment {entry.sha256} is longer than it may be", details={"received": True})
            digest.update(data)
            yield data

    with directory.temporary(SEGMENTS) as temporary:
        if vault is not None and vault.seals:
            source = counted()
            recoded = recode(_exactly(source), entry.size, Recoding(seals=vault))
            sha, size = measure(_written(temporary, recoded))
            for _ in source:
                pass  # to the end, where it is seen that nothing more comes
            kept = replace(entry, sha256=sha, size=size)
        else:
            for data in counted():
                temporary.write(data)
            kept = entry
        _compare("" if left else digest.hexdigest(), entry)
        temporary.publish(kept.sha256 + SUFFIX)
    return kept


def _exactly(pieces: Iterator[bytes]) -> Callable[[int], bytes]:
    """Reads so many bytes of what comes in pieces. Raises Corrupt at the end."""
    held = b""

    def read(size: int) -> bytes:
        nonlocal held
        parts = [held]
        have = len(held)
        while have < size:
            data = next(pieces, b"")
            if not data:
                raise Corrupt("the transfer was cut short", details={"received": True})
            parts.append(data)
            have += len(data)
        whole = b"".join(parts)
        held = whole[size:]
        return whole[:size]

    return read


def _compare(found: str, entry: ManifestEntry) -> None:
    if found != entry.sha256:
        raise Corrupt(f"what came as segment {entry.sha256} does not have that hash", details={"received": True})


class _Archive:
    """A ustar stream read strictly, and never more of it than was allowed."""

    def __init__(self, read: Read, max_bytes: int) -> None:
        self._read = read
        self._left = max_bytes

    def next(self) -> ustar.MemberHeader | None:
        """The next member, whose bytes are asked for next; None at the end."""
        member = ustar.decode_header(self.exactly(ustar.BLOCK))
        if member is None:
            if self.exactly(ustar.BLOCK).strip(b"\0"):
                raise Corrupt("the archive goes on behind its end")
            return None
        if member.size > self._left:
            raise Corrupt(f"'{_shown(member.name)}' has {member.size} bytes, more than may come")
        return member

    def pieces(self, size: int) -> Iterator[bytes]:
        """The bytes of a member, in pieces."""
        left = size
        while left:
            data = self.exactly(min(left, _AT_ONCE))
            left -= len(data)
            yield data
        self.exactly(ustar.padding(size))

    def whole(self, member: ustar.MemberHeader, max_bytes: int) -> bytes:
        """A small member."""
        if member.size > max_bytes:
            raise Corrupt(f"'{_shown(member.name)}' has {member.size} bytes, more than the {max_bytes} it may have")
        data = self.exactly(member.size)
        self.exactly(ustar.padding(member.size))
        return data

    def exactly(self, size: int) -> bytes:
        """So many bytes. Raises Corrupt where there are fewer."""
        parts = []
        while size:
            data = self._read(min(size, _AT_ONCE))
            if not data:
                raise Corrupt("the transfer was cut short")
            self._left -= len(data)
            if self._left < 0 or len(data) > size:
                raise Corrupt("more bytes came than may come")
            size -= len(data)
            parts.append(data)
        return b"".join(parts)


def _shown(name: str) -> str:
    return name[:100] if name.isprintable() else "a name with control characters"


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
