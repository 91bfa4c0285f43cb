"""What a domain has to give: the commits behind a point that another has, as a bundle.

Segments go as they lie there where all of their commits are wanted; of one that begins earlier, or goes on further,
the wanted commits are written anew. The work grows with what is given, not with what there is.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Conflict, Corrupt, Denied, Locked, NotFound
from dbx.formats import bundle, ustar
from dbx.formats.bundle import START, BundleHeader, Point
from dbx.formats.manifest import ManifestEntry, encode_manifest
from dbx.repo.log import MANIFESTS, missing_file, read_manifest, read_ref
from dbx.repo.replica.erased import Late, find_late
from dbx.repo.replica.recode import PLAIN, Recoding, body_keys, measure, recode_file
from dbx.repo.schema import published, schemachain
from dbx.repo.seal import seal
from dbx.repo.writer import writing
from dbx.store.fs import Directory, read_at
from dbx.store.segments import SEGMENTS, FrameReader, SegmentWriter, segment_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.crypto.vault import Vault
    from dbx.repo.domain import Domain
    from dbx.repo.log import Entry, LogReader
    from dbx.repo.working import WorkingSet

_AT_ONCE = 256 * 1024
_COMMITS_BYTES = 64 * 1024
_EVENTS = 2048


class Description(NamedTuple):
    """Where a domain stands: what another needs to know before it asks for anything. `root` is the index root."""

    domain: str
    name: str
    head: Point
    root: str
    schemas: str | None


class Piece(NamedTuple):
    """A segment that is offered: a file of `directory`, open at `fd`; `entry` says what is given.

    With `opens` that is not the file as it is: its bodies are opened on the way.
    """

    entry: ManifestEntry
    directory: Directory
    fd: int
    opens: Vault | None = None

    def blocks(self) -> Iterator[bytes]:
        """What is given, in pieces."""
        if self.opens is not None:
            yield from recode_file(self.fd, Recoding(opens=self.opens))
            return
        at = 0
        while at < self.entry.size:
            data = read_at(self.fd, min(_AT_ONCE, self.entry.size - at), at)
            if not data:
                raise Corrupt(f"'{segment_name(self.entry.sha256)}' is shorter than the manifest says")
            at += len(data)
            yield data


class Reader(NamedTuple):
    """Who is offered something: the ids of the data keys that they have.

    What is sealed with others is opened for them, unless they are to be given sealed bodies `only`; without the DEK all
    of it stays as it is.
    """

    keys: frozenset[bytes] = frozenset()
    only: bool = False


STRANGER = Reader()


class Offer:
    """A bundle about to be given: its header, its segments and schemas, and its bytes, counted beforehand."""

    def __init__(self, header: BundleHeader, manifest: bytes, pieces: list[Piece], schemas: dict[str, bytes]) -> None:
        self.header = header
        self.pieces = pieces
        self.schemas = schemas
        self._manifest = manifest

    @property
    def events(self) -> int:
        """How many events it holds."""
        return self.header.head.position - self.header.base.position

    @property
    def commits(self) -> int:
        """How many commits it holds."""
        return self.header.head.seq - self.header.base.seq

    @property
    def size(self) -> int:
        """How many bytes it is."""
        return sum(ustar.member_bytes(size) for _, _, size in self._members()) + len(ustar.END)

    def only_schemas(self) -> None:
        """Leave the commits out."""
        self.header = self.header._replace(base=START, head=START, manifest=None)
        self.pieces = []

    def blocks(self) -> Iterator[bytes]:
        """The bytes, in pieces."""
        for name, source, size in self._members():
            yield ustar.encode_header(name, size)
            if isinstance(source, bytes):
                yield source
            else:
                yield from source.blocks()
            yield bytes(ustar.padding(size))
        yield ustar.END

    def _members(self) -> Iterator[tuple[str, bytes | Piece, int]]:
        """(name, bytes or a piece, size), in the order of format.md §7."""
        text = bundle.encode_bundle(self.header)
        yield bundle.NAME, text, len(text)
        if self.header.manifest is not None:
            yield f"{MANIFESTS}/{self.header.manifest}", self._manifest, len(self._manifest)
        for piece in self.pieces:
            yield segment_name(piece.entry.sha256), piece, piece.entry.size
        for name, data in self.schemas.items():
            yield name, data, len(data)


def describe(domain: Domain) -> Description:
    """Where a domain stands."""
    head, root = domain.read(lambda working, _: (_point(working), working.head.root), flush=False)
    return Description(domain.id, domain.name, head, root.hex(), published.find_head(domain.directory))


def commit_ids(domain: Domain, seqs: list[int]) -> list[str | None]:
    """The ids of commits by their seqs; None for those there are not."""

    def query(working: WorkingSet, _: LogReader) -> list[str | None]:
        found = [working.index.find_commit(seq) for seq in seqs]
        return [None if one is None else one[0].hex() for one in found]

    return domain.read(query)


def point_at(domain: Domain, seq: int) -> Point:
    """The point behind commit `seq`; START for -1. Raises NotFound."""

    def query(working: WorkingSet, _: LogReader) -> Point:
        if seq < 0:
            return START
        if seq == working.head.seq:
            return _point(working)
        found, following = working.index.find_commit(seq), working.index.find_commit(seq + 1)
        if found is None or following is None:
            raise NotFound(f"domain '{domain.name}' has no commit {seq}")
        return Point(seq, found[0].hex(), following[1])

    return domain.read(query)


@contextmanager
def offering(
    domain: Domain,
    base: Point,
    upto: int | None = None,
    *,
    schemas: str | None = None,
    reader: Reader | None = STRANGER,
) -> Iterator[Offer]:
    """A bundle of the commits behind `base` up to commit `upto` (the head by default), and of the schemas behind the
    version `schemas`. Bodies are opened for the `reader`; None leaves them as they are.

    Raises Denied where only sealed bodies may be given and some are not, Conflict when `base` is not in this history,
    or where bodies up to `upto` were erased by commits behind it.
    """
    _seal(domain)
    while True:
        ref = read_ref(domain.directory)
        with ExitStack() as stack:
            try:
                offer = _prepare(domain, base, upto, schemas, reader, stack)
            except (FileNotFoundError, Corrupt) as error:
                if read_ref(domain.directory) != ref:
                    continue  # merged away meanwhile: the ref has another manifest now
                raise _missing(domain, error) from None
            late = find_late(domain, base, offer.header.head)
            if late is not None and upto is None:
                continue  # erased meanwhile: the head is another one now
            if late is not None:
                raise _too_early(domain, offer.header.head, late)
            yield offer
            return


def _prepare(
    domain: Domain, base: Point, upto: int | None, schemas: str | None, reader: Reader | None, stack: ExitStack
) -> Offer:
    last: int = domain.read(lambda working, _: working.head.seq)
    head = point_at(domain, last if upto is None else min(upto, last))
    if base.seq >= 0 and (base.seq > last or point_at(domain, base.seq) != base):
        raise Conflict(f"commit {base.seq} of the other side is not in the history of domain '{domain.name}'")
    pieces: list[Piece] = []
    for piece in _pieces(domain, base.seq, head.seq, stack):
        stack.callback(os.close, piece.fd)
        pieces.append(piece if reader is None else _for_reader(domain, piece, reader))
    manifest = encode_manifest([piece.entry for piece in pieces], first_seq=base.seq + 1) if pieces else b""
    header = BundleHeader(
        domain.id,
        domain.file.called,
        base,
        head if pieces else base,
        sha256(manifest).hexdigest() if pieces else None,
        published.find_head(domain.directory),
    )
    return Offer(header, manifest, pieces, dict(schemachain.export(domain.directory, schemas)))


def _missing(domain: Domain, error: FileNotFoundError | Corrupt) -> Corrupt:
    """What it is that a file is not there which should be."""
    if isinstance(error, Corrupt):
        return error
    name = os.path.relpath(error.filename, domain.directory.path)
    return missing_file(name)


def _too_early(domain: Domain, head: Point, late: Late) -> Conflict:
    kind, name, version, upto = late
    first = point_at(domain, upto)
    return Conflict(
        f"the history of domain '{domain.name}' up to commit {head.seq} cannot be handed over by itself: the body of"
        f" version {version} of '{kind}/{name}' was erased later",
        hint=f"end with commit {first.seq}, {first.commit[:12]}, or a later one: that says that it was erased",
        details={"head": head._asdict(), "first": first._asdict(), "aggregate": [kind, name, version]},
    )


def _pieces(domain: Domain, base: int, head: int, stack: ExitStack) -> Iterator[Piece]:
    """The commits behind seq `base` up to `head` as segments; their descriptors are the caller's to close."""
    if head <= base:
        return
    ref = read_ref(domain.directory)
    for entry in read_manifest(domain.directory, ref.manifest) if ref else ():
        if entry.last_seq <= base or entry.first_seq > head:
            continue
        fd = domain.directory.open_read(segment_name(entry.sha256))
        if entry.first_seq > base and entry.last_seq <= head:
            yield Piece(entry, domain.directory, fd)
            continue
        try:
            owner = FrameReader(fd, segment_name(entry.sha256)).header()[0].domain
        finally:
            os.close(fd)
        yield _cut(domain, owner, max(entry.first_seq, base + 1), min(entry.last_seq, head), stack)
    sealed = -1 if ref is None else ref.seq
    if head > sealed:
        yield _cut(domain, domain.id, max(sealed, base) + 1, head, stack)


def _for_reader(domain: Domain, piece: Piece, reader: Reader) -> Piece:
    """A segment as somebody is given it. Raises Denied, KeyFailure, Corrupt."""
    if not domain.vault.seals and not reader.only:
        return piece
    keys = body_keys(piece.fd, segment_name(piece.entry.sha256))
    if reader.only:
        if PLAIN in keys:
            raise Denied(
                "only sealed bodies may be given away, and some of these are plain",
                hint="seal them with 'dbx gc --reseal', and try again",
            )
        return piece
    if keys <= {PLAIN, *reader.keys} or domain.vault.is_locked:
        return piece
    sha, size = measure(recode_file(piece.fd, Recoding(opens=domain.vault)))
    return piece._replace(entry=replace(piece.entry, sha256=sha, size=size), opens=domain.vault)


def _seal(domain: Domain) -> None:
    """Journals are sealed whenever commits are handed over (format.md §6)."""
    with domain.mutex:
        if not domain.sync().head.journal:
            return
        try:
            with writing(domain) as working:
                if working.head.journal:
                    seal(domain, working, working.head)
                    domain.flush()
        except (Locked, OSError):
            return  # who cannot write here gives the journal's commits as a segment all the same


def _cut(domain: Domain, owner: str, first: int, last: int, stack: ExitStack) -> Piece:
    """Commits `first` to `last`, those of domain `owner`, as a segment of their own, in a temporary file."""
    folder = Directory(stack.enter_context(tempfile.TemporaryDirectory(prefix="dbx-offer-")))
    before, after = point_at(domain, first - 1), point_at(domain, last)
    with folder.temporary(SEGMENTS) as temporary:
        writer = SegmentWriter(
            temporary,
            domain=owner,
            parent=before.commit or None,
            position=before.position,
            seq=first,
            pool=None,
            vault=domain.vault,
        )
        copy_commits(domain, writer, first, last)
        sha, size = writer.finish()
    return Piece(ManifestEntry(sha, size, first, last, after.commit), folder, folder.open_read(segment_name(sha)))


def copy_commits(domain: Domain, writer: SegmentWriter, first: int, last: int) -> None:
    """Write commits `first` to `last` into a segment, in bounded memory."""
    lines: list[bytes] = []
    size = 0
    for seq in range(first, last + 1):
        entry: Entry = domain.read(lambda _, reader, seq=seq: reader.commit(seq))  # type: ignore[misc]
        end = entry.commit.position + entry.commit.count
        for start in range(entry.commit.position, end, _EVENTS):
            part = range(start, min(start + _EVENTS, end))
            events = domain.read(lambda _, reader, part=part: list(reader.events(part)))  # type: ignore[misc]
            bodies = [stored.body for stored in events]
            if any(body is None for body in bodies):
                raise domain.vault.missing()
            writer.add([stored.envelope for stored in events], [body or b"" for body in bodies])
            size += sum(len(stored.envelope) for stored in events)
        lines.append(entry.line)
        size += len(entry.line)
        if size >= _COMMITS_BYTES:
            writer.add_commits(lines)
            lines, size = [], 0
    if lines:
        writer.add_commits(lines)


def _point(working: WorkingSet) -> Point:
    head = working.head
    return START if head.seq < 0 else Point(head.seq, head.commit.hex(), head.position)
