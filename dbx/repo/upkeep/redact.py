"""Redaction: an event that says so, and the body removed for good, with one move of the ref (format.md §3).

The segments that hold the bodies are written anew before anything is history; the event and they become it together.
So a crash leaves the bodies with no word of an erasure, or the erasure with no body in the log; copies elsewhere in the
domain are removed behind that (repo/upkeep/purge.py).
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Conflict, DbxError, Invalid
from dbx.formats.envelope import decode_envelope
from dbx.model.event import ERASED
from dbx.model.missing import no_version
from dbx.model.redaction import Erasure
from dbx.repo.batch.stagedhalf import agree
from dbx.repo.batch.staging import staging_locked
from dbx.repo.erasing import (
    Erased,
    erased_version,
    is_erasure,
    replace_entries,
    rewrite_entries,
    write_note,
)
from dbx.repo.log import read_manifest, read_ref
from dbx.repo.query import get_commit, get_row, iterate_events
from dbx.repo.replica.receive import sealed
from dbx.repo.transaction import Append
from dbx.repo.upkeep.purge import Purged, finish_erasing
from dbx.repo.writer import write_locked, writing
from dbx.store.segments import segment_name
from dbx.store.stagedindex import find_staged

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dbx.formats.envelope import Actor
    from dbx.model.event import Event
    from dbx.repo.domain import Domain
    from dbx.repo.log import LogReader, Stored
    from dbx.repo.repository import Repository
    from dbx.repo.transaction import Committed
    from dbx.repo.working import WorkingSet

MAX_REASON = 1000


class Body(NamedTuple):
    """A body that can be erased, or was: of which event, the event's leaf's envelope, and the body's hash in hex.

    `erased_by` is the version of the event that erased it, None while none has.
    """

    aggregate_type: str
    aggregate_id: str
    version: int
    position: int
    event_id: int
    event_type: str
    body: str
    envelope: bytes
    erased_by: int | None


class Copy(NamedTuple):
    """Another domain of the workspace that has some of the bodies; `bodies` None where it cannot be read."""

    domain: str
    bodies: int | None


class Redacted(NamedTuple):
    """What was done. `commit` is None where nothing was left to erase. File names are those within the domain.

    `purged` False: copies are left in a database that somebody was reading, until the next writer or gc comes by; or
    `failure` says why removing them went wrong.
    """

    commit: Committed | None
    rewritten: tuple[tuple[str, str], ...]
    purged: Purged
    failure: str | None


def check_reason(reason: str) -> str:
    """The reason of a redaction. Raises Invalid."""
    if not reason.strip():
        raise Invalid("the reason must not be empty", hint="it stays readable: do not repeat what is erased")
    if len(reason) > MAX_REASON:
        raise Invalid(f"the reason has {len(reason)} characters, more than the {MAX_REASON} it may have")
    return reason


def find_bodies(domain: Domain, aggregate_type: str, aggregate_id: str, version: int | None = None) -> list[Body]:
    """The bodies of an aggregate, or one, erased or not. Those that say what was erased are no such bodies.

    Raises NotFound, Invalid for a version that is an erasure.
    """

    def query(working: WorkingSet, reader: LogReader) -> list[Stored]:
        row = get_row(domain, working.index, aggregate_type, aggregate_id)
        assert row.n is not None  # noqa: S101 - a stored row
        return list(reader.events(working.index.positions(row.n)))

    events = domain.read(query)
    name = f"'{aggregate_type}/{aggregate_id}'"
    if version is not None and not 0 < version <= len(events):
        raise no_version(aggregate_type, aggregate_id, version, len(events))
    erasers: dict[int, int] = {}
    for at, stored in enumerate(events, 1):
        if is_erasure(stored.envelope):
            erasers.setdefault(erased_version(stored), at)
    if version is not None and is_erasure(events[version - 1].envelope):
        raise Invalid(
            f"version {version} of {name} is a '{ERASED}', which says what was erased, and stays readable",
            details={"version": version},
        )
    return [
        _body(stored, erasers.get(at))
        for at, stored in enumerate(events, 1)
        if not is_erasure(stored.envelope) and version in (None, at)
    ]


def _body(stored: Stored, erased_by: int | None) -> Body:
    envelope = decode_envelope(stored.envelope)
    return Body(
        envelope.aggregate_type,
        envelope.aggregate_id,
        envelope.version,
        stored.position,
        envelope.event_id,
        envelope.event_type,
        envelope.body,
        stored.envelope,
        erased_by,
    )


def erasure_request(bodies: Iterable[Body], reason: str, issued_by: Actor | None) -> Append:
    """The transaction that says that bodies are erased. There must be some."""
    items = [
        {
            "aggregate_type": body.aggregate_type,
            "aggregate_id": body.aggregate_id,
            "event_type": ERASED,
            "payload": {"reason": reason, "version": body.version},
        }
        for body in bodies
    ]
    return Append(items, issued_by=issued_by, existence="known", reserved=True)


def check_unstaged(domain: Domain, bodies: Iterable[Body]) -> None:
    """Raise Conflict where events are staged on top of one of the aggregates."""
    with staging_locked(domain):
        index = domain.sync().index
        if agree(domain, index) is None:
            return
        for kind, name in sorted({(body.aggregate_type, body.aggregate_id) for body in bodies}):
            if find_staged(index, kind, name) is not None:
                raise Conflict(
                    f"aggregate '{kind}/{name}' has staged events, and its version is about to change",
                    hint="commit or reset them first",
                )


def redact(domain: Domain, bodies: Sequence[Body], reason: str, issued_by: Actor | None) -> Redacted:
    """Erase bodies, all of them in one commit; those that are erased already are only looked after.

    Raises Conflict where an aggregate has staged events. Once the commit stands, nothing is raised any more.
    """
    allowing = nullcontext() if domain.access is None else domain.access.writing()
    with allowing, writing(domain):
        working = sealed(domain)
        erasers = {
            (body.aggregate_type, body.aggregate_id, one.version)
            for body in {(body.aggregate_type, body.aggregate_id): body for body in bodies}.values()
            for one in find_bodies(domain, body.aggregate_type, body.aggregate_id)
            if one.erased_by is not None
        }
        fresh = [body for body in bodies if (body.aggregate_type, body.aggregate_id, body.version) not in erasers]
        names = {(body.aggregate_type, body.aggregate_id) for body in bodies}
        working = domain.sync()
        rewritten: tuple[tuple[str, str], ...] = ()
        commit: Committed | None = None
        if fresh:
            request = erasure_request(fresh, reason, issued_by)
            ref = read_ref(domain.directory)
            entries = read_manifest(domain.directory, ref.manifest) if ref else ()
            erased = [_erased(body) for body in fresh]
            request.replaced = rewrite_entries(domain, entries, working, erased)
            write_note(domain.directory, names)
            write_locked(domain, [request])
            if request.error is not None:
                raise request.error
            if domain.access is not None:
                domain.access.settle()
            commit = request.result
            after = replace_entries(entries, request.replaced)
            rewritten = tuple(
                (segment_name(old.sha256), segment_name(new.sha256))
                for old, new in zip(entries, after, strict=True)
                if old != new
            )
        else:
            write_note(domain.directory, names)
        try:
            return Redacted(commit, rewritten, finish_erasing(domain), None)
        except (DbxError, OSError) as error:
            why = error.message if isinstance(error, DbxError) else str(error)
            return Redacted(commit, rewritten, Purged((), done=False), why)


def erasures_of(domain: Domain, bodies: Sequence[Body]) -> list[Erasure]:
    """What the log says of the erasing of these bodies; those that are not erased are left out."""
    wanted: dict[tuple[str, str], set[int]] = {}
    for body in bodies:
        wanted.setdefault((body.aggregate_type, body.aggregate_id), set()).add(body.version)
    found: list[Erasure] = []
    for name, versions in wanted.items():
        events = list(iterate_events(domain, *name))
        for body in find_bodies(domain, *name):
            if body.version in versions and body.erased_by is not None:
                found.append(_erasure(domain, body, events[body.erased_by - 1]))
    return found


def _erasure(domain: Domain, body: Body, eraser: Event) -> Erasure:
    by = eraser.issued_by
    return Erasure(
        body.aggregate_type,
        body.aggregate_id,
        body.version,
        str(body.event_id),
        body.event_type,
        body.body,
        eraser.version,
        str(eraser.event_id),
        get_commit(domain, eraser.commit).id.hex(),
        eraser.created_at,
        None if by is None else by.group,
        None if by is None else by.user,
        str((eraser.payload or {}).get("reason", "")),
    )


def _erased(body: Body) -> Erased:
    return Erased(
        body.aggregate_type, body.aggregate_id, body.version, body.position, body.envelope, body.erased_by is not None
    )


def find_copies(repository: Repository, domain: Domain, bodies: Sequence[Body]) -> list[Copy]:
    """The other domains of the workspace that have any of these bodies: forks, clones, what was merged into them."""
    found: list[Copy] = []
    for name in repository.domain_names():
        if name == domain.name:
            continue
        try:
            count = _count_copies(repository.domain(name), bodies)
        except (DbxError, OSError):
            found.append(Copy(name, None))
            continue
        if count:
            found.append(Copy(name, count))
    return found


def _count_copies(other: Domain, bodies: Sequence[Body]) -> int:
    def query(working: WorkingSet, reader: LogReader) -> int:
        positions = []
        for body in bodies:
            row = working.index.find(body.aggregate_type, body.aggregate_id)
            if row is not None and row.n is not None and row.version >= body.version:
                positions += working.index.positions(row.n, body.version, body.version)
        envelopes = {body.envelope for body in bodies}
        return sum(stored.envelope in envelopes and stored.body != b"" for stored in reader.events(sorted(positions)))

    return other.read(query)
