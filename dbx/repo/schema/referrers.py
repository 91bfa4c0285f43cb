"""Who refers to an aggregate: asked of the current state of every aggregate, however its events arrived.

There is no table of references to keep in step. The states are in the index; SQLite looks through those of the types
whose schema has references for the id that is asked for (about a microsecond a state), and only what holds it is parsed
and compared. So the answer is right after every append, import, pull, merge and change of a schema alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Conflict, NotFound
from dbx.model.references import Reference, compile_references, references_of
from dbx.model.resolve import Referrer, Target, nullified, plan_removal
from dbx.repo import query
from dbx.repo.enforcement import find_rules
from dbx.repo.rules import NULLIFIED
from dbx.repo.schema import schemas
from dbx.store import stagedindex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from dbx.model.event import Aggregate
    from dbx.model.schema import Schema
    from dbx.repo.domain import Domain
    from dbx.repo.rules import Rules
    from dbx.store.index import Index

MAX_NOTE_CHARS = 128


class Holder(NamedTuple):
    """An aggregate that refers to another: where it stands, and in which fields."""

    aggregate: Aggregate
    referrers: tuple[Referrer, ...]


def find_holders(domain: Domain, target: Reference, found_schemas: Iterable[Schema]) -> list[Holder]:
    """Every aggregate whose state refers to another under one of these schemas, archived ones too, by type and id."""
    if target.domain != domain.file.called:
        return []
    holders = []
    for schema in found_schemas:
        if compile_references(schema) is None:
            continue
        for aggregate in _states_with(domain, schema.aggregate, f"#{target.aggregate_id}"):
            referrers = _referrers_in(domain, schema, aggregate, target)
            if referrers:
                holders.append(Holder(aggregate, referrers))
    return holders


def find_referrers(domain: Domain, target: Reference) -> list[Referrer]:
    """The references to an aggregate, each by itself. Raises Invalid for a schema file with faults."""
    found = [working.schema for working in schemas.list_working(domain.directory)]
    return [referrer for holder in find_holders(domain, target, found) for referrer in holder.referrers]


def plan_archive(domain: Domain, target: Reference) -> list[dict[str, Any]]:
    """The events that go before the archiving of an aggregate: references to it set to null. Raises Conflict.

    Archived holders neither stand in the way nor change. Where restrict is off there are no rules to keep.
    """
    rules = find_rules(domain)
    if rules is None:
        return []
    holders = [
        holder
        for holder in find_holders(domain, target, _schemas_of(rules))
        if not holder.aggregate.archived and not _is(holder.aggregate, target)
    ]
    plan = plan_removal(target, [referrer for holder in holders for referrer in holder.referrers])
    return [
        {
            "aggregate_type": holder.aggregate.aggregate_type,
            "aggregate_id": holder.aggregate.aggregate_id,
            "event_type": NULLIFIED,
            "payload": nullified(holder.aggregate.state, paths),
            "expected_version": holder.aggregate.version,
            "note": f"auto-nullify due to {target}"[:MAX_NOTE_CHARS],
        }
        for holder in holders
        if (paths := plan.get((holder.aggregate.aggregate_type, holder.aggregate.aggregate_id)))
    ]


def check_staged_archives(domain: Domain, index: Index, rules: Rules) -> None:
    """Raise Conflict where a staged archiving meets a reference that has come since, committed or staged."""
    for kind, name in stagedindex.find_archived(index):
        target = Reference(domain.file.called, kind, name)
        referrers: list[Referrer] = []
        for schema in _schemas_of(rules):
            for holder in find_holders(domain, target, [schema]):
                if stagedindex.find_staged(index, schema.aggregate, holder.aggregate.aggregate_id) is None:
                    referrers += [] if holder.aggregate.archived else holder.referrers
            if compile_references(schema) is None:
                continue
            for row in stagedindex.find_with(index, schema.aggregate, f"#{name}".encode()):
                aggregate = query.aggregate_of(row)
                if not aggregate.archived:
                    referrers += _referrers_in(domain, schema, aggregate, target)
        if plan := plan_removal(target, referrers):
            (holder_type, holder_id), _ = next(iter(plan.items()))
            raise Conflict(
                f"aggregate '{kind}/{name}' cannot go: '{holder_type}/{holder_id}' refers to it since that was staged",
                hint="nothing was committed; drop what is staged with 'dbx reset' and archive it again",
            )


def _schemas_of(rules: Rules) -> list[Schema]:
    return [schema for name in rules.types() if (schema := rules.find_schema(name)) is not None]


def _is(aggregate: Aggregate, target: Reference) -> bool:
    return (aggregate.aggregate_type, aggregate.aggregate_id) == (target.aggregate_type, target.aggregate_id)


def _referrers_in(domain: Domain, schema: Schema, aggregate: Aggregate, target: Reference) -> tuple[Referrer, ...]:
    return tuple(
        Referrer(aggregate.aggregate_type, aggregate.aggregate_id, found.path, found.rule)
        for found in references_of(schema, aggregate.state, domain=domain.file.called)
        if found.reference == target
    )


def _states_with(domain: Domain, aggregate_type: str, text: str) -> list[Aggregate]:
    """The aggregates of a type whose state has a text in it, which needs no escaping in JSON."""
    rows = domain.read(
        lambda working, _: working.index.rows("type = ? AND instr(state, ?)", (aggregate_type, text.encode()))
    )
    return [query.aggregate_of(row) for row in rows]


def look_up_of(domain: Domain) -> Callable[[Reference], Target]:
    """A look-up of references for resolving: each aggregate is read once."""
    known: dict[Reference, Target] = {}
    schemas_by_type: dict[str, Schema | None] = {}

    def look_up(reference: Reference) -> Target:
        found = known.get(reference)
        if found is None:
            found = known[reference] = _find(domain, reference, schemas_by_type)
        return found

    return look_up


def find_schema(domain: Domain, aggregate_type: str, known: dict[str, Schema | None]) -> Schema | None:
    """The working schema of a type, None where it has none; kept in `known`."""
    if aggregate_type not in known:
        has_one = domain.directory.exists(schemas.file_of(aggregate_type))
        known[aggregate_type] = schemas.get_working(domain.directory, aggregate_type).schema if has_one else None
    return known[aggregate_type]


def _find(domain: Domain, reference: Reference, known: dict[str, Schema | None]) -> Target:
    if reference.domain != domain.file.called:
        return Target("forbidden")
    try:
        aggregate = query.get_aggregate(domain, reference.aggregate_type, reference.aggregate_id)
    except NotFound:
        return Target("not_found")
    return Target("ok", aggregate.state, find_schema(domain, reference.aggregate_type, known), aggregate)
