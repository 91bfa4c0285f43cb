"""Erase the bodies of events for good: of one event, of an aggregate, or of all events about a person."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Invalid, NotFound
from dbx.model.event import RESERVED
from dbx.model.personal import SubjectScan
from dbx.model.redaction import Traces, certify
from dbx.model.time import format_time
from dbx.ops import audit
from dbx.repo import query
from dbx.repo.outfile import writing_outside
from dbx.repo.rehearsal import rehearse
from dbx.repo.schema import published, schemas
from dbx.repo.upkeep import redact as redaction
from dbx.repo.upkeep.redact import Body, Copy
from dbx.repo.vault.keys import get_signing_key
from dbx.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dbx.model.schema import Schema
    from dbx.ops.session import Session
    from dbx.repo.domain import Domain


class Plan(NamedTuple):
    """What would be erased: `bodies` in all, those of them that are erased already included, and who else has some."""

    domain: str
    bodies: tuple[Body, ...]
    copies: tuple[Copy, ...]

    @property
    def fresh(self) -> int:
        """How many are not erased yet."""
        return sum(body.erased_by is None for body in self.bodies)


class Done(NamedTuple):
    """What was done: the commit that says so (id, seq), None where all was erased before or with a dry run.

    `rewritten` are segments, (old, new), `removed` other files of the domain that are gone. `purged` False: copies are
    left, in a database that somebody was reading, or because of `failure`; the next writer or gc removes them.
    """

    plan: Plan
    commit: str | None
    seq: int | None
    rewritten: tuple[tuple[str, str], ...]
    removed: tuple[str, ...]
    purged: bool
    failure: str | None
    dry_run: bool
    certificate: str | None


def plan_event(session: Session, aggregate_type: str, aggregate_id: str, version: int) -> Plan:
    """The body of one version. Raises NotFound, Invalid for one that must stay."""
    return _plan(session, redaction.find_bodies(session.domain, aggregate_type, aggregate_id, version))


def plan_aggregate(session: Session, aggregate_type: str, aggregate_id: str) -> Plan:
    """Every body of an aggregate that can be erased. Raises NotFound."""
    return _plan(session, redaction.find_bodies(session.domain, aggregate_type, aggregate_id))


def plan_subject(session: Session, subject: str, *, progress: Callable[[int], None] | None = None) -> Plan:
    """The bodies of all events about a person, whom columns marked `pii: subject` name.

    Raises Invalid where no column is marked, NotFound where nothing is found.
    """
    domain = session.domain
    scans = {kind: SubjectScan(found, subject) for kind, found in _schemas(domain).items()}
    scans = {kind: scan for kind, scan in scans.items() if scan.has_subjects}
    if not scans:
        raise Invalid(
            f"no column of a schema of domain '{domain.name}' is marked 'pii: subject'",
            hint="mark the fields that name a person, or name the aggregates with 'dbx aggregate forget'",
        )
    wanted: dict[tuple[str, str], set[int]] = {}
    for kind, scan in sorted(scans.items()):
        for event in query.iterate_events(domain, kind):
            if event.event_type not in RESERVED and scan.take(event):
                wanted.setdefault((kind, event.aggregate_id), set()).add(event.version)
            if progress:
                progress(1)
    if not wanted:
        raise NotFound(
            f"no event of domain '{domain.name}' that can be read is about this subject",
            hint="the value is compared as a whole with the columns marked 'pii: subject'",
        )
    return _plan(
        session,
        [
            body
            for name, versions in wanted.items()
            for body in redaction.find_bodies(domain, *name)
            if body.version in versions
        ],
    )


def redact(session: Session, plan: Plan, reason: str, *, dry_run: bool = False, certificate: str | None = None) -> Done:
    """Do what was planned. With a `certificate` a signed statement of it is written to that file.

    Raises Conflict where an aggregate has staged events, KeyFailure where a certificate is wanted and there is no key.
    """
    domain = session.domain
    reason = redaction.check_reason(reason)
    redaction.check_unstaged(domain, plan.bodies)
    key = None if certificate is None or dry_run else get_signing_key(session.repository)
    if dry_run:
        fresh = [body for body in plan.bodies if body.erased_by is None]
        if fresh:
            rehearse(domain, redaction.erasure_request(fresh, reason, session.actor))
        return Done(plan, None, None, (), (), purged=False, failure=None, dry_run=True, certificate=None)
    # Where the certificate cannot be written, that is known before anything is erased.
    with nullcontext() if certificate is None else writing_outside(certificate) as file:
        done = redaction.redact(domain, plan.bodies, reason, session.actor)
        if file is not None and key is not None:
            traces = Traces(done.rewritten, done.purged.files, [copy.domain for copy in plan.copies], done.purged.done)
            now = format_time(session.repository.clock())
            erasures = redaction.erasures_of(domain, plan.bodies)
            made = certify(
                (domain.id, domain.name), erasures, traces, (now, f"dbx {__version__}"), (key.vkey, key.seed)
            )
            file.write(made)
    if done.commit is not None:
        details = {"bodies": plan.fresh, "new": done.commit.id, "reason": reason}
        audit.note(session, "body.redact", details, domain=domain.name)
    return Done(
        plan,
        None if done.commit is None else done.commit.id,
        None if done.commit is None else done.commit.commit.seq,
        done.rewritten,
        done.purged.files,
        purged=done.purged.done,
        failure=done.failure,
        dry_run=False,
        certificate=certificate,
    )


def _plan(session: Session, bodies: Sequence[Body]) -> Plan:
    copies = redaction.find_copies(session.repository, session.domain, bodies)
    return Plan(session.domain.name, tuple(bodies), tuple(copies))


def _schemas(domain: Domain) -> dict[str, list[Schema]]:
    """The working schema and the published one of each type, where there are any."""
    found: dict[str, list[Schema]] = {}
    for working in schemas.list_working(domain.directory):
        found.setdefault(working.aggregate, []).append(working.schema)
    head = published.find_head(domain.directory)
    if head is not None:
        version = published.read_version(domain.directory, head)
        for aggregate, data in published.read_files(domain.directory, version).items():
            path = domain.directory.path_of(schemas.file_of(aggregate))
            found.setdefault(aggregate, []).append(schemas.load_working(data, aggregate, path).schema)
    return found
