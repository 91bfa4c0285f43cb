"""Gathers what lint judges: events, as many as it takes to know them, schemas, staging, remotes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from dbx.errors import DbxError, Invalid, KeyFailure
from dbx.formats import canonical
from dbx.model.event import RESERVED
from dbx.model.lintfacts import EventFacts, Facts, RemoteFacts, TokenFacts, TypeFacts
from dbx.model.time import parse_time
from dbx.repo.batch.staging import find_batch, staged_since
from dbx.repo.config import get_domain_value
from dbx.repo.delivery.plugins import read_plugins
from dbx.repo.replica.remoteconfig import list_remotes
from dbx.repo.schema import published, schemas
from dbx.repo.security.tokens import list_tokens
from dbx.repo.thresholds import threshold_of
from dbx.store.indexsurvey import longest_histories

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dbx.model.plugin import Plugin
    from dbx.repo.domain import Domain
    from dbx.repo.log import LogReader, Stored
    from dbx.repo.repository import Repository
    from dbx.repo.working import WorkingSet

SAMPLE = 100_000
"""So many events are looked at; of a longer history, runs of events that lie evenly over it."""
_RUN = 500


def gather(domain: Domain, *, progress: Callable[[int], None] | None = None) -> Facts:
    """The facts of a domain. Raises Invalid for a schema with faults: those come first."""
    types = {name: TypeFacts(name) for name in schemas.find_types(domain.directory)}
    _count(domain, types)
    total = domain.read(lambda working, _: working.head.position)
    examined = 0
    for run in runs(total):
        _look(domain, run, types)
        examined += len(run)
        if progress is not None:
            progress(len(run))
    for name, one in types.items():
        if domain.directory.exists(schemas.file_of(name)):
            one.schema = schemas.get_working(domain.directory, name).schema
        one.threshold = threshold_of(domain, name)
    batch = find_batch(domain)
    return Facts(
        domain.name,
        domain.clock(),
        [types[name] for name in sorted(types)],
        0 if batch is None else batch.events,
        None if batch is None else staged_since(domain, batch),
        domain.restrict or get_domain_value(domain, "restrict"),
        _schemas_since(domain),
        list(_remotes(domain)),
        examined,
        total,
    )


def gather_tokens(repository: Repository, domain: Domain) -> list[TokenFacts]:
    """The tokens of the workspace that are good in a domain, or were until they expired. Raises Corrupt."""
    now_s = repository.clock() // 1_000_000
    return [
        TokenFacts(
            claims.token_id,
            claims.subject,
            claims.ttl_s,
            claims.actions,
            bool(claims.tenants) or not set(claims.resources) <= {"*", "*.*", "aggregate:*", "aggregate:*:*"},
            held.expires_at if held.status(now_s) == "expired" else None,
        )
        for held in list_tokens(repository)
        if held.status(now_s) != "revoked"
        for claims in (held.claims,)
        if not claims.tenants or domain.name in claims.tenants
    ]


def gather_plugins(repository: Repository) -> list[Plugin]:
    """The plugins of the workspace; none where they are sealed and the DEK is not there. Raises Invalid, Denied."""
    try:
        return read_plugins(repository)
    except KeyFailure:
        return []


def runs(total: int) -> Iterator[range]:
    """Positions to look at: all of them, or runs that lie evenly."""
    if total <= SAMPLE:
        yield from (range(at, min(total, at + _RUN)) for at in range(0, total, _RUN))
        return
    count = SAMPLE // _RUN
    for n in range(count):
        start = n * (total - _RUN) // (count - 1)
        yield range(start, start + _RUN)


def _count(domain: Domain, types: dict[str, TypeFacts]) -> None:
    def query(working: WorkingSet, _: LogReader) -> list[tuple[str, int, str, int, int]]:
        return longest_histories(working.index)

    for name, count, longest_id, longest, state_bytes in domain.read(query):
        one = types.setdefault(name, TypeFacts(name))
        one.aggregates, one.longest_id, one.longest, one.state_bytes = count, longest_id, longest, state_bytes


def _look(domain: Domain, positions: range, types: dict[str, TypeFacts]) -> None:
    def query(_: WorkingSet, reader: LogReader) -> list[Stored]:
        return list(reader.events(positions))

    for stored in domain.read(query):
        parts = stored.envelope.decode().split('"')
        aggregate_type, event_type = parts[7], parts[23]
        if event_type in RESERVED:
            continue
        one = types.setdefault(aggregate_type, TypeFacts(aggregate_type))
        one.events.setdefault(event_type, EventFacts()).add(_payload(stored))
        one.event_bytes += len(stored.envelope) + len(stored.body or b"")


def _payload(stored: Stored) -> dict[str, Any] | None:
    """What an event says; None while its body is sealed or where it was erased."""
    if not stored.body:
        return None
    try:
        value = canonical.scan(stored.body.decode())[0]
    except (Invalid, UnicodeDecodeError):
        return None  # damage is fsck's business
    payload = value.get("payload") if isinstance(value, dict) else None
    return payload if isinstance(payload, dict) else None


def _schemas_since(domain: Domain) -> int | None:
    """When the schemas in force were published; None where the files say something else than what was published."""
    from hashlib import sha256

    try:
        newest = next(published.chain(domain.directory), None)
    except DbxError:
        return None  # fsck says what is wrong with published schemas
    if newest is None:
        return None
    files = schemas.read_files(domain.directory)
    if {name: sha256(data).hexdigest() for name, data in files.items()} != dict(newest.version.schemas):
        return None
    return parse_time(newest.version.published_at)


def _remotes(domain: Domain) -> Iterator[RemoteFacts]:
    for remote in list_remotes(domain):
        path = domain.directory.path_of(f"refs/remotes/{remote.name}/main")
        try:
            seen_us = os.stat(path).st_mtime_ns // 1000
        except FileNotFoundError:
            seen_us = None
        yield RemoteFacts(remote.name, remote.url, seen_us)
