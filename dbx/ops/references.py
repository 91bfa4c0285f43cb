"""References between aggregates: who refers to one, what one refers to, and spelling old ones anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.errors import Invalid, NotFound
from dbx.model.names import check_event_type, check_note, check_type
from dbx.model.references import Reference
from dbx.model.resolve import MAX_TARGETS, migration_payload, resolve
from dbx.repo import config, query
from dbx.repo.rehearsal import rehearse
from dbx.repo.schema import referrers
from dbx.repo.schema.schemas import get_working
from dbx.repo.writer import Append, Appender

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dbx.model.event import Aggregate
    from dbx.model.resolve import LookUp, Referrer, Resolved, Target
    from dbx.model.schema import Schema
    from dbx.ops.session import Session


class Tree(NamedTuple):
    """An aggregate and what it refers to; both were read at one time, each aggregate once."""

    domain: str
    aggregate: Aggregate
    references: tuple[Resolved, ...]


class Migrated(NamedTuple):
    """An aggregate whose references are spelled anew: the fields, or what is wrong with them."""

    aggregate_type: str
    aggregate_id: str
    fields: list[str]
    error: str | None = None


class Migration(NamedTuple):
    """What a migration did: `planned` aggregates to change, of which `applied` were; `errors` could not be."""

    changed: list[Migrated]
    planned: int
    applied: int
    unchanged: int
    errors: int


def list_referrers(session: Session, aggregate_type: str, aggregate_id: str) -> list[Referrer]:
    """Every reference to an aggregate in the state of another, or in its own.

    Weak references may lead to what is not there. Raises NotFound for an aggregate that neither is nor is referred to.
    """
    domain = session.domain
    found = referrers.find_referrers(domain, Reference(domain.file.called, aggregate_type, aggregate_id))
    if not found:
        query.get_aggregate(domain, aggregate_type, aggregate_id)
    return found


def make_resolver(
    session: Session, depth: int | None, cover: Callable[[Aggregate], Aggregate]
) -> Callable[[Aggregate], Tree]:
    """What follows the references of aggregates, `depth` times: the setting's by default, never above its maximum.

    `cover` takes out of each aggregate what may not be seen.
    """
    domain = session.domain
    most = int(config.get(session.repository, domain, "reference_max_depth"))
    if depth is None:
        depth = int(config.get(session.repository, domain, "reference_default_depth"))
    depth = min(depth, most)
    find: LookUp = referrers.look_up_of(domain)
    known: dict[str, Schema | None] = {}

    def look_up(reference: Reference) -> Target:
        target = find(reference)
        if target.status != "ok":
            return target
        covered = cover(target.extra)
        return target._replace(state=covered.state, extra=covered)

    def follow(aggregate: Aggregate) -> Tree:
        holder = Reference(domain.file.called, aggregate.aggregate_type, aggregate.aggregate_id)
        schema = referrers.find_schema(domain, aggregate.aggregate_type, known)
        found = resolve(holder, aggregate.state, schema, depth=depth, look_up=look_up, max_targets=MAX_TARGETS)
        return Tree(domain.file.called, aggregate, found)

    return follow


def migrate_references(
    session: Session,
    aggregate_type: str,
    event_type: str,
    fields: Sequence[str],
    *,
    aggregate_id: str | None = None,
    note: str | None = None,
    dry_run: bool = False,
) -> Migration:
    """Spell the references in some fields as they are stored now, with an event for each aggregate, all in one commit.

    Nothing is written when one of them has a fault, or with `dry_run`. Raises Invalid for a field that is no reference,
    NotFound.
    """
    domain = session.domain
    schema = get_working(domain.directory, check_type(aggregate_type)).schema
    event = check_event_type(event_type)
    items: list[dict[str, Any]] = []
    changed: list[Migrated] = []
    unchanged = errors = 0
    migration_payload(schema, {}, fields, domain=domain.file.called)  # which refuses fields that are no references
    for aggregate in _chosen(session, aggregate_type, aggregate_id):
        try:
            payload = migration_payload(schema, aggregate.state, fields, domain=domain.file.called)
        except Invalid as error:
            errors += 1
            changed.append(Migrated(aggregate_type, aggregate.aggregate_id, [], error.message))
            continue
        if payload is None:
            unchanged += 1
            continue
        changed.append(Migrated(aggregate_type, aggregate.aggregate_id, sorted(payload)))
        items.append(
            {
                "aggregate_type": aggregate_type,
                "aggregate_id": aggregate.aggregate_id,
                "event_type": event,
                "payload": payload,
                "expected_version": aggregate.version,
                **({} if note is None else {"note": check_note(note)}),
            }
        )
    applied = 0
    if items and not errors:
        request = Append(items, issued_by=session.actor, existence="known")
        if dry_run:
            rehearse(domain, request)
        else:
            Appender(domain).append(request)
            applied = len(items)
    return Migration(changed, len(items), applied, unchanged, errors)


def _chosen(session: Session, aggregate_type: str, aggregate_id: str | None) -> list[Aggregate]:
    if aggregate_id is None:
        return list(query.iterate_aggregates(session.domain, aggregate_type))
    found = query.get_aggregate(session.domain, aggregate_type, aggregate_id)
    if found.archived:
        raise NotFound(f"aggregate '{aggregate_type}/{aggregate_id}' is archived", hint="restore it first")
    return [found]
