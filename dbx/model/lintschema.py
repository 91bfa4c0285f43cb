"""The rules of lint that are about schemas. Each is one function from the facts to what it finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.model.lint import RULES as EVENT_RULES
from dbx.model.lint import STALE_DAYS, Finding
from dbx.model.lintfacts import DAY_US
from dbx.model.lintplugins import RULES as PLUGIN_RULES
from dbx.model.linttokens import RULES as TOKEN_RULES
from dbx.model.schemalint import lint_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.model.lintfacts import Facts
    from dbx.model.schema import Column, Schema


def lint(facts: Facts) -> list[Finding]:
    """Every finding of every rule."""
    return [finding for rule in (*EVENT_RULES, *RULES, *TOKEN_RULES, *PLUGIN_RULES) for finding in rule(facts)]


def no_allow_lists(facts: Facts) -> Iterator[Finding]:
    """Schemas in which every event may set every field."""
    for schema in _schemas(facts):
        if schema.events and not any(rule.fields for rule in schema.events.values()):
            event = next(iter(schema.events))
            yield Finding(
                "no-allow-list",
                schema.aggregate,
                "no event of the schema says which fields it may set",
                "a field that is misspelled, or that belongs to another event, is stored and becomes state",
                f"dbx schema alter {schema.aggregate} {event} --set FIELD,…",
            )


def no_rules(facts: Facts) -> Iterator[Finding]:
    """Schemas that declare no field, or fields without a single rule."""
    for schema in _schemas(facts):
        if not schema.columns:
            yield Finding(
                "no-rules",
                schema.aggregate,
                "the schema declares no field",
                "every value of every type is stored",
                f"dbx schema field {schema.aggregate} FIELD --type TYPE",
            )
        elif not any(map(_has_rule, schema.columns.values())):
            yield Finding(
                "no-rules",
                schema.aggregate,
                "no field of the schema has a rule: none is required, and none has a length, a range or a format",
                "an event may lack what everybody counts on",
                f"dbx schema field {schema.aggregate} {next(iter(schema.columns))} --required",
            )


def undeclared_types(facts: Facts) -> Iterator[Finding]:
    """Types without a schema in a domain where others have one."""
    if not any(_schemas(facts)):
        return
    for one in facts.types:
        if one.schema is None and one.aggregates:
            events = ",".join(sorted(one.events)[:3]) or "EVENT"
            yield Finding(
                "no-schema",
                one.name,
                f"{one.aggregates:,} aggregates, and no schema",
                "their events are stored unchecked, while those of other types are not",
                f"dbx schema create {one.name} --events {events}",
            )


def loose_mode(facts: Facts) -> Iterator[Finding]:
    """Mode `default` although the schemas have stood still for a month."""
    if facts.restrict != "default" or facts.schema_since_us is None or not any(_schemas(facts)):
        return
    days = (facts.now_us - facts.schema_since_us) // DAY_US
    if days >= STALE_DAYS:
        yield Finding(
            "restrict-default",
            facts.domain,
            f"the schemas have been the same for {days} days, and restrict is still 'default'",
            "an aggregate type that is misspelled is not refused: it becomes a new type",
            "dbx restrict strict",
        )


def faults_of_schemas(facts: Facts) -> Iterator[Finding]:
    """What 'schema lint' finds in each schema by itself."""
    for schema in _schemas(facts):
        for found in lint_schema(schema):
            place = ".".join(map(str, found.path))
            yield Finding(
                f"schema-{found.check}",
                f"{schema.aggregate}: {place}" if place else schema.aggregate,
                found.message,
                "an error, so the schema cannot be published"
                if found.is_error
                else "readers may understand it otherwise",
                f"dbx schema edit {schema.aggregate}",
            )


RULES = (no_allow_lists, no_rules, undeclared_types, loose_mode, faults_of_schemas)


def _schemas(facts: Facts) -> Iterator[Schema]:
    return (one.schema for one in facts.types if one.schema is not None)


def _has_rule(column: Column) -> bool:
    return bool(
        column.required
        or column.format
        or column.length
        or column.range
        or column.regex
        or column.contains
        or column.does_not_contain
        or any(map(_has_rule, column.properties.values()))
    )
