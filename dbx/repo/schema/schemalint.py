"""What is wrong with schemas beyond each file by itself: against each other, and against what is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.model.columns import CompiledColumn
from dbx.model.schemalint import lint_schema
from dbx.repo import query
from dbx.repo.schema.schemas import path_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dbx.model.faults import Fault
    from dbx.model.schema import Column, Path, Schema
    from dbx.repo.domain import Domain

_EXAMPLES = 5


class Finding(NamedTuple):
    """One finding: its code, the type and field that it is about, and what it says.

    `blocks`: publishing is refused; `may_force`: unless somebody insists. `concerned` says how many aggregates are,
    `ids` some of them. `path` leads to the place in the file.
    """

    code: str
    aggregate: str
    field: str | None
    message: str
    blocks: bool
    may_force: bool = False
    concerned: int = 0
    ids: tuple[str, ...] = ()
    path: Path = ()

    def to_value(self) -> dict[str, Any]:
        """As JSON."""
        value = {"code": self.code, "aggregate": self.aggregate, "field": self.field, "message": self.message}
        return {**value, "blocks": self.blocks, "count": self.concerned, "ids": list(self.ids)}


def lint(domain: Domain, schemas: Iterable[Schema]) -> list[Finding]:
    """Every finding, by type. Looks at the state of every aggregate of the types that have columns."""
    found: list[Finding] = []
    for schema in schemas:
        found += _unwritable(domain, schema)
        found += _by_itself(schema)
        found += _against_states(domain, schema)
    return found


def _unwritable(domain: Domain, schema: Schema) -> list[Finding]:
    """Columns that every event must hold and none may."""
    found = []
    locked = set(schema.field_locks)
    for name, column in schema.columns.items():
        if not column.required or name not in locked:
            continue
        stuck = [event for event, rule in schema.events.items() if not rule.fields or name in rule.fields]
        if not stuck:
            continue
        count, ids = _count(domain, schema.aggregate) if column.required == "always" else (0, ())
        which = f", so {_number(count)} of '{schema.aggregate}' ({_list(ids, count)}) take no event" if count else ""
        events = ", ".join(f"'{event}'" for event in stuck[:_EXAMPLES])
        sentence = f"field '{name}' of '{schema.aggregate}' is required and locked at once, for {events}{which}"
        found.append(
            Finding("schema.unwritable", schema.aggregate, name, sentence, True, False, count, ids, ("columns", name))
        )
    return found


def _by_itself(schema: Schema) -> list[Finding]:
    """What a look at the file alone finds. What no event can keep to is told with how many aggregates it concerns."""
    return [
        Finding(
            f"schema.{found.check.replace('-', '_')}",
            schema.aggregate,
            path_text(found.path),
            found.message if found.nearest is None else f"{found.message} (did you mean '{found.nearest}'?)",
            found.is_error,
            path=found.path,
        )
        for found in lint_schema(schema)
        if (found.check, found.path[0]) != ("impossible", "field_locks")
    ]


def _against_states(domain: Domain, schema: Schema) -> list[Finding]:
    """Aggregates whose state holds a value that the declared type of its column does not allow."""
    columns = {name: CompiledColumn(_type_only(column), first=False) for name, column in schema.columns.items()}
    if not columns:
        return []
    found: dict[str, tuple[int, list[str], Fault]] = {}
    for aggregate in query.iterate_aggregates(domain, schema.aggregate, archived=None):
        for name, value in aggregate.state.items():
            column = columns.get(name)
            if column is None or value is None or _passes(column, value):
                continue
            fault = next((one for one in column.explain(value, (name,)) if one.rule == "type"), None)
            if fault is not None:
                count, ids, first = found.get(fault.field, (0, [], fault))
                if count < _EXAMPLES:
                    ids.append(aggregate.aggregate_id)
                found[fault.field] = count + 1, ids, first
    return [
        Finding(
            "schema.contradicts_history",
            schema.aggregate,
            field,
            f"{_number(count)} of '{schema.aggregate}' ({_list(tuple(ids), count)}) would be against the schema: "
            f"{fault.message}",
            True,
            True,
            count,
            tuple(ids),
            ("columns", field.partition(".")[0]),
        )
        for field, (count, ids, fault) in found.items()
    ]


def _type_only(column: Column) -> Column:
    from dataclasses import replace

    return replace(
        column,
        required=False,
        format=None,
        length=None,
        range=None,
        regex=(),
        contains=(),
        does_not_contain=(),
        reference=None,
        properties={name: _type_only(below) for name, below in column.properties.items()},
    )


def _passes(column: CompiledColumn, value: Any) -> bool:
    try:
        return bool(column.test(value))
    except TypeError:
        return False


def _count(domain: Domain, aggregate_type: str) -> tuple[int, tuple[str, ...]]:
    ids: list[str] = []
    count = 0
    for aggregate in query.iterate_aggregates(domain, aggregate_type):
        count += 1
        if len(ids) < _EXAMPLES:
            ids.append(aggregate.aggregate_id)
    return count, tuple(ids)


def _number(count: int) -> str:
    return "1 aggregate" if count == 1 else f"{count} aggregates"


def _list(ids: tuple[str, ...], count: int) -> str:
    more = ", …" if count > len(ids) else ""
    return ", ".join(f"'{name}'" for name in ids) + more
