"""A domain directory that lies elsewhere as plain files: where it stands, and what it holds, taken into quarantine.

Behind a web server, or in an object store, there is nobody to ask: what is read are the files of dbx-format(5), by
their names, in the order that makes a reader safe beside a writer. Nothing here is believed: what comes goes the way of
every bundle. A journal's whole commits are taken as a segment, which is what they are.
"""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import contextmanager
from hashlib import sha256
from typing import IO, TYPE_CHECKING, NamedTuple, Protocol

from dbx.crypto.vault import Vault
from dbx.errors import Conflict, Corrupt, Invalid
from dbx.formats import segment
from dbx.formats.bundle import START, BundleHeader, Point
from dbx.formats.manifest import ManifestEntry, decode_manifest, encode_manifest
from dbx.formats.refs import Ref, decode_ref
from dbx.formats.schemaversion import decode_version
from dbx.repo.domainfile import MAX_BYTES as MAX_FILE_BYTES
from dbx.repo.domainfile import NAME as FILE
from dbx.repo.domainfile import DomainFile, decode_domain_file
from dbx.repo.log import MAIN, MANIFESTS, MAX_MANIFEST_BYTES, MAX_REF_BYTES, Entry, decode_entry
from dbx.repo.replica.quarantine import MAX_SCHEMA_BYTES, Arrived, keep_segment
from dbx.repo.replica.trim import trim
from dbx.repo.schema import published
from dbx.repo.schema.schemachain import MAX_VERSIONS, object_name, version_name
from dbx.store.fs import Directory
from dbx.store.journal import MAX_BYTES as MAX_JOURNAL_BYTES
from dbx.store.journal import journal_name, scan
from dbx.store.segments import Commits, FrameReader, segment_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

EMPTY_ROOT = sha256(b"").hexdigest()
_TAIL_BYTES = 64 * 1024
_MOST_TAIL_BYTES = segment.HEADER_BYTES + segment.MAX_STORED_BYTES
_TRIES = 4
_AT_ONCE = 256 * 1024
_find_frames = re.compile(rb"C[\x00\x01]\x00\x00", re.DOTALL).finditer


class Gone(Exception):  # noqa: N818 - named for what happened
    """A file that was named a moment ago is there no longer: somebody has written, and it is time to look again."""


class Shelf(Protocol):
    """Files by their names within one domain directory."""

    def find(self, name: str, max_bytes: int) -> bytes | None:
        """A small file; None where there is none. Raises Corrupt for a longer one."""

    def pieces(self, name: str, size: int) -> Iterator[bytes]:
        """A file of `size` bytes, in pieces, and never more than a little beyond. Raises Gone."""

    def tail(self, name: str, size: int, count: int) -> bytes:
        """The last `count` bytes of a file of `size` bytes. Raises Gone."""


class Standing(NamedTuple):
    """Where such a domain stands. `journal` are the whole commits behind the ref's, and `unsealed` what they hold."""

    file: DomainFile
    ref: Ref | None
    entries: tuple[ManifestEntry, ...]
    journal: bytes
    unsealed: ManifestEntry | None
    head: Point
    root: str
    schemas: str | None

    @property
    def every(self) -> tuple[ManifestEntry, ...]:
        """All segments, the journal as the last."""
        return self.entries if self.unsealed is None else (*self.entries, self.unsealed)


def survey(shelf: Shelf) -> Standing | None:
    """Where a domain stands; None where there is none. Raises Corrupt, with `received`."""
    with _foreign():
        data = shelf.find(FILE, MAX_FILE_BYTES)
        if data is None:
            return None
        try:
            file = decode_domain_file(data, FILE)
        except Invalid as error:
            raise Corrupt(error.message) from None
        for _ in range(_TRIES):
            try:
                return _look(shelf, file)
            except Gone:
                continue
        raise Corrupt("its ref names a manifest or a segment that is not there")


def scratch_at(path: str) -> Directory:
    """A place, empty so far, for segments that were fetched just to look into them."""
    return Directory(path)


def commit_ids(
    shelf: Shelf, standing: Standing, seqs: Sequence[int], *, scratch: Directory, vault: Vault | None = None
) -> list[str | None]:
    """The ids of commits by their seqs. A segment is fetched into `scratch` where a seq lies within it. Raises Gone."""
    with _foreign():
        return [_commit_id(shelf, standing, seq, scratch, vault) for seq in seqs]


def gather(
    shelf: Shelf,
    standing: Standing,
    directory: Directory,
    base: Point,
    schemas: str | None,
    *,
    scratch: Directory,
    vault: Vault | None = None,
) -> Arrived:
    """Bring what is behind `base`, and the schemas behind the version `schemas`, into a quarantine.

    A segment that begins earlier is cut, for which the keys of `vault` may be needed; where it seals, plain bodies are
    sealed before they reach the disk.

    Raises Conflict where `base` is not in that history, Gone, and Corrupt with `received`.
    """
    with _foreign():
        every = standing.every
        wanted = [entry for entry in every if entry.last_seq > base.seq]
        _check_base(standing, base, wanted)
        kept = [keep_segment(directory, entry, _source(shelf, standing, entry, scratch), vault) for entry in wanted]
        begin = START if wanted and wanted[0].first_seq <= base.seq else base
        manifest = sha256(encode_manifest(wanted, first_seq=wanted[0].first_seq)).hexdigest() if wanted else None
        header = BundleHeader(
            standing.file.id, standing.file.called, begin, standing.head if wanted else base, manifest, standing.schemas
        )
        arrived = Arrived(directory, header, tuple(kept), _schemas(shelf, standing.schemas, schemas))
        if begin == base:
            return arrived
        rest = trim(arrived, base, vault or Vault())
        if rest is None:
            raise _astray(base)
        return rest


def _look(shelf: Shelf, file: DomainFile) -> Standing:
    ref = _ref(shelf)
    entries: tuple[ManifestEntry, ...] = ()
    if ref is not None:
        data = shelf.find(f"{MANIFESTS}/{ref.manifest}", MAX_MANIFEST_BYTES)
        if data is None:
            raise Gone
        if sha256(data).hexdigest() != ref.manifest:
            raise Corrupt("its manifest does not have the hash that is its name")
        entries = decode_manifest(data)
        if (entries[-1].last_seq, entries[-1].last_commit) != (ref.seq, ref.commit):
            raise Corrupt("its manifest does not end with the commit that its ref names")
    name = journal_name(0, None) if ref is None else journal_name(ref.seq + 1, ref.commit)
    journal, unsealed, last = _journal(shelf.find(name, MAX_JOURNAL_BYTES))
    if unsealed is None and _ref(shelf) != ref:
        raise Gone  # no journal may mean that the ref has just moved
    if last is None and entries:
        last = _last_commit(shelf, entries[-1])
    data = shelf.find(published.REF, MAX_REF_BYTES)
    schemas = None if data is None else published.decode_schema_ref(data)
    if last is None:
        return Standing(file, ref, entries, b"", None, START, EMPTY_ROOT, schemas)
    commit = last.commit
    head = Point(commit.seq, last.id.hex(), commit.position + commit.count)
    return Standing(file, ref, entries, journal, unsealed, head, commit.index, schemas)


def _ref(shelf: Shelf) -> Ref | None:
    data = shelf.find(MAIN, MAX_REF_BYTES)
    return None if data is None else decode_ref(data)


def _journal(data: bytes | None) -> tuple[bytes, ManifestEntry | None, Entry | None]:
    """The whole commits of a journal as a segment: its bytes, its entry, its last commit."""
    if data is None:
        return b"", None, None
    with _unseen() as file:
        file.write(data)
        file.flush()
        reader = FrameReader(file.fileno(), "journal")
        header, at = reader.header()
        found = scan(reader, at)
    frames = [item for item in found.items if isinstance(item, Commits)]
    if not frames:
        return b"", None, None
    last = decode_entry(frames[-1].lines[-1])
    whole = data[: found.end]
    sha = sha256(whole).hexdigest()
    return whole, ManifestEntry(sha, len(whole), header.seq, last.commit.seq, last.id.hex()), last


def _unseen() -> IO[bytes]:
    """A file in memory, where the system has such: bodies in it may be ones that are sealed on every disk here."""
    return open(os.memfd_create("dbx"), "w+b") if hasattr(os, "memfd_create") else tempfile.TemporaryFile()


def _last_commit(shelf: Shelf, entry: ManifestEntry) -> Entry:
    """The commit that a segment ends with, from its last bytes."""
    count = _TAIL_BYTES
    while True:
        data = shelf.tail(segment_name(entry.sha256), entry.size, min(count, entry.size))
        found = _find_last(data, entry.size)
        if found is not None:
            if (found.commit.seq, found.id.hex()) != (entry.last_seq, entry.last_commit):
                raise Corrupt("its last segment does not end with the commit that its ref names")
            return found
        if count >= min(entry.size, _MOST_TAIL_BYTES):
            raise Corrupt("its last segment does not end with a frame of commits")
        count = _MOST_TAIL_BYTES


def _find_last(data: bytes, size: int) -> Entry | None:
    """The last commit of the C frame that ends where `data`, the last bytes of a file of `size` bytes, ends."""
    for found in _find_frames(data):
        at = found.start()
        header = segment.parse_header(data, at)
        if header is None or at + segment.HEADER_BYTES + header.stored != len(data):
            continue
        try:
            raw = segment.decode_frame(data, at, size - len(data) + at)[1]
            return decode_entry(segment.split_lines(raw)[-1])
        except Corrupt:
            continue  # it only looked like one
    return None


def _commit_id(shelf: Shelf, standing: Standing, seq: int, scratch: Directory, vault: Vault | None) -> str | None:
    for entry in standing.every:
        if entry.last_seq == seq:
            return entry.last_commit
        if entry.first_seq <= seq < entry.last_seq:
            name = segment_name(entry.sha256)
            if not scratch.exists(name):
                kept = keep_segment(scratch, entry, _source(shelf, standing, entry, scratch), vault)
                if kept != entry:
                    scratch.rename(segment_name(kept.sha256), name)
            return _id_within(scratch, entry, seq)
    return None


def _id_within(scratch: Directory, entry: ManifestEntry, seq: int) -> str:
    with open(scratch.open_read(segment_name(entry.sha256)), "rb") as file:
        reader = FrameReader(file.fileno(), segment_name(entry.sha256))
        first = entry.first_seq
        for item in reader.items(reader.header()[1]):
            if isinstance(item, Commits):
                if seq < first + len(item.lines):
                    return decode_entry(item.lines[seq - first]).id.hex()
                first += len(item.lines)
    raise Corrupt(f"the segment {entry.sha256} lacks commit {seq}, which its manifest promises")


def _source(shelf: Shelf, standing: Standing, entry: ManifestEntry, scratch: Directory) -> Iterable[bytes]:
    name = segment_name(entry.sha256)
    if entry is standing.unsealed:
        return [standing.journal]
    if scratch.exists(name) and scratch.stat(name).st_size == entry.size:  # another size: it was sealed here
        return _read(scratch.open_read(name))
    return shelf.pieces(name, entry.size)


def _read(fd: int) -> Iterator[bytes]:
    with open(fd, "rb") as file:
        while data := file.read(_AT_ONCE):
            yield data


def _check_base(standing: Standing, base: Point, wanted: Sequence[ManifestEntry]) -> None:
    """Where a segment begins right behind `base`, the one before must end with it."""
    if base.seq < 0 or (wanted and wanted[0].first_seq <= base.seq):
        return
    if not any((entry.last_seq, entry.last_commit) == (base.seq, base.commit) for entry in standing.every):
        raise _astray(base)


def _astray(base: Point) -> Conflict:
    return Conflict(f"commit {base.seq} of ours is not in the history of the remote")


def _schemas(shelf: Shelf, head: str | None, have: str | None) -> dict[str, bytes]:
    """The versions behind `have`, and the objects that they name, each held against its hash."""
    found: dict[str, bytes] = {}
    left = MAX_SCHEMA_BYTES
    for _ in range(MAX_VERSIONS):
        if head is None or head == have:
            break
        data = _hashed(shelf, version_name(head), head, left)
        left -= len(data)
        found[version_name(head)] = data
        version = decode_version(data)
        for sha in version.schemas.values():
            if object_name(sha) not in found:
                found[object_name(sha)] = _hashed(shelf, object_name(sha), sha, left)
                left -= len(found[object_name(sha)])
        head = version.parent
    return found


def _hashed(shelf: Shelf, name: str, sha: str, left: int) -> bytes:
    data = shelf.find(name, min(published.MAX_BYTES, left))
    if data is None or sha256(data).hexdigest() != sha:
        raise Corrupt(f"'{name}' is missing, or does not have the hash that is its name")
    return data


@contextmanager
def _foreign() -> Iterator[None]:
    try:
        yield
    except Corrupt as error:
        error.details.setdefault("received", True)
        raise
