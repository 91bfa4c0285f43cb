"""Bodies that the log says were erased: which they are, and segments written anew without them (format.md §3, §6).

An erasure is an event of type `body_erased` in the same aggregate. Envelopes and commits stay, byte for byte, so that
every root, proof and commit id stays the same; only the body's line becomes empty.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from dbx.crypto.vault import NEED_KEY
from dbx.errors import Corrupt, Invalid, KeyFailure
from dbx.formats import canonical
from dbx.formats.envelope import decode_body
from dbx.model import names
from dbx.model.event import ERASED
from dbx.repo.log import ERASING, LogReader
from dbx.repo.seal import Copier, exchange
from dbx.store.segments import SEGMENTS, Block, Commits, FrameReader, SegmentWriter, segment_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

    from dbx.formats.manifest import ManifestEntry
    from dbx.repo.domain import Domain
    from dbx.repo.log import Stored
    from dbx.repo.working import WorkingSet
    from dbx.store.fs import Directory

MAX_NOTE_BYTES = 256 * 1024 * 1024
_AT_ONCE = 4096
_ERASED = f'"event_type":"{ERASED}"'.encode()

Name = tuple[str, str]


class Erased(NamedTuple):
    """An event whose body an event of its aggregate erases; `is_gone` says whether the log still has it."""

    aggregate_type: str
    aggregate_id: str
    version: int
    position: int
    envelope: bytes
    is_gone: bool


class Rewritten(NamedTuple):
    """A segment in the place of another: its entry in the manifest, and where its blocks and C frames lie."""

    entry: ManifestEntry
    blocks: list[tuple[int, int]]
    frames: list[tuple[int, int]]


def is_erasure(envelope: bytes) -> bool:
    """Whether an envelope is that of an event which erases a body."""
    return _ERASED in envelope  # names need no escaping, so nothing else of an envelope can hold these bytes


def has_erasures(domain: Domain, start: int, end: int) -> bool:
    """Whether an event from position `start` on and before `end` erases a body."""
    for at in range(start, end, _AT_ONCE):
        part = range(at, min(at + _AT_ONCE, end))
        if domain.read(lambda _, reader, part=part: any(is_erasure(one.envelope) for one in reader.events(part))):  # type: ignore[misc]
            return True
    return False


def erased_version(stored: Stored) -> int:
    """The version that an event of type `body_erased` names, 0 where it names none. Raises KeyFailure."""
    if stored.body is None:
        raise KeyFailure("without the key it is not known which body was erased", hint=NEED_KEY)
    try:
        version = decode_body(stored.body).payload.get("version")
    except (Corrupt, Invalid):
        return 0
    return version if type(version) is int else 0


def find_erased(working: WorkingSet, reader: LogReader, wanted: Iterable[Name]) -> list[Erased]:
    """What is erased of some aggregates, by the log: the events in order of their positions."""
    found: list[Erased] = []
    for kind, name in wanted:
        record = working.find(kind, name)
        if record is None:
            continue
        positions = [*([] if record.n is None else working.index.positions(record.n)), *record.fresh]
        events = list(reader.events(positions))
        for version in sorted({erased_version(stored) for stored in events if is_erasure(stored.envelope)}):
            if 0 < version <= len(events):
                one = events[version - 1]
                found.append(Erased(kind, name, version, one.position, one.envelope, one.body == b""))
    return sorted(found, key=lambda one: one.position)


def rewrite(domain: Domain, entry: ManifestEntry, envelopes: Set[bytes]) -> Rewritten | None:
    """A segment anew, the bodies of these events empty; durable. None where it has none of them. Raises KeyFailure."""
    name = segment_name(entry.sha256)
    fd = domain.directory.open_read(name)
    try:
        reader = FrameReader(fd, name, vault=domain.vault)
        header, start = reader.header()
        with domain.directory.temporary(SEGMENTS) as temporary:
            writer = SegmentWriter.beginning_as(temporary, header, domain.vault)
            copier = Copier(writer)
            emptying = _Emptying(envelopes)
            copier.copy(emptying.pass_on(reader.items(start)))
            if not emptying.count:
                return None
            copier.flush()
            last = copier.last_entry()
            if (last.commit.seq, last.id.hex()) != (entry.last_seq, entry.last_commit):
                raise Corrupt(f"'{name}' does not end with the commit that the manifest names", details={"file": name})
            sha, size = writer.finish()
    finally:
        os.close(fd)
    return Rewritten(replace(entry, sha256=sha, size=size), writer.blocks, writer.frames)


class _Emptying:
    """Passes on what a segment holds, without some bodies; `count` says how many there were."""

    def __init__(self, envelopes: Set[bytes]) -> None:
        self._envelopes = envelopes
        self.count = 0

    def pass_on(self, items: Iterable[Block | Commits]) -> Iterator[Block | Commits]:
        for item in items:
            if isinstance(item, Block) and not self._envelopes.isdisjoint(item.envelopes):
                if item.bodies is None:
                    raise KeyFailure("sealed bodies cannot be erased without their key", hint=NEED_KEY)
                bodies = list(item.bodies)
                for row, envelope in enumerate(item.envelopes):
                    if envelope in self._envelopes and bodies[row]:
                        bodies[row] = b""
                        self.count += 1
                yield item._replace(bodies=bodies, sealed=None)
            else:
                yield item


def rewrite_entries(
    domain: Domain, entries: Iterable[ManifestEntry], working: WorkingSet, erased: Sequence[Erased]
) -> dict[str, Rewritten]:
    """The segments among `entries` that hold the bodies of these events, by their hashes, written anew.

    `working` knows where the events lie, none of them in a journal. Nothing names the new files yet.
    """
    found = (working.find_block(one.position) for one in erased)
    files = {where[1] for where in found if where is not None}
    envelopes = {one.envelope for one in erased}
    done: dict[str, Rewritten] = {}
    for entry in entries:
        anew = rewrite(domain, entry, envelopes) if segment_name(entry.sha256) in files else None
        if anew is not None:
            done[entry.sha256] = anew
    return done


def replace_entries(entries: Iterable[ManifestEntry], rewritten: Mapping[str, Rewritten]) -> list[ManifestEntry]:
    """The same segments, those that were written anew in the place of the old ones."""
    return [rewritten[entry.sha256].entry if entry.sha256 in rewritten else entry for entry in entries]


def without_bodies(
    domain: Domain, trial: WorkingSet, wanted: Set[Name], entries: list[ManifestEntry]
) -> list[ManifestEntry]:
    """The segments of a history that is about to become the branch's, without the bodies that it says were erased.

    `wanted` are the aggregates in which something was erased just now, `trial` knows that history. Where anything is
    rewritten, what is still to be done is noted: whoever leaves `writing` finishes it, once the ref has moved.
    """
    reader = LogReader(domain.directory, trial, domain.vault)
    try:
        erased = [one for one in find_erased(trial, reader, wanted) if not one.is_gone]
    except KeyFailure:
        write_note(domain.directory, wanted)  # whoever writes with the key removes them
        return entries
    finally:
        reader.close()
    if not erased:
        return entries
    rewritten = rewrite_entries(domain, entries, trial, erased)
    write_note(domain.directory, {(one.aggregate_type, one.aggregate_id) for one in erased})
    after = list(entries)
    exchange(trial, after, rewritten)
    return after


# -- what is still to be done ------------------------------------------------------------------------------------------


def write_note(directory: Directory, wanted: Iterable[Name]) -> None:
    """Note, durably, that something of these aggregates is to be erased; what was noted before stays."""
    known = set(read_note(directory) or ())
    data = canonical.encode({"aggregates": [list(name) for name in sorted(known | set(wanted))], "format": 1})
    directory.write(ERASING, data + b"\n")


def read_note(directory: Directory) -> list[Name] | None:
    """The aggregates of which something is still to be erased; None for none. Raises Corrupt."""
    data = directory.find(ERASING, MAX_NOTE_BYTES)
    if data is None:
        return None
    try:
        value = canonical.decode(data.rstrip(b"\n"), what=f"'{ERASING}'")
        if not isinstance(value, dict) or value.keys() != {"aggregates", "format"} or value["format"] != 1:
            raise Invalid("it has other members")
        return [(names.check_type(kind), names.check_id(name)) for kind, name in value["aggregates"]]
    except (Corrupt, Invalid, TypeError, ValueError) as error:
        why = error.message if isinstance(error, (Corrupt, Invalid)) else "it does not name aggregates"
        raise Corrupt(
            f"'{ERASING}' is damaged: {why}",
            hint="it lists aggregates of which a body is being erased; redact them again, and remove the file",
            details={"file": ERASING},
        ) from None
