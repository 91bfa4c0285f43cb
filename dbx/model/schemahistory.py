"""A schema against the events that are stored already: what it contradicts, and what it would refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.model.columns import CompiledColumn
from dbx.model.event import RESERVED
from dbx.model.faults import kind_of
from dbx.model.names import quote
from dbx.model.schemalint import Finding
from dbx.model.validation import compile_event

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dbx.model.columntypes import Test
    from dbx.model.faults import Fault
    from dbx.model.schema import Schema
    from dbx.model.validation import Check


class Counts(NamedTuple):
    """What a part of the history has, in plain values: counts from several processes are added.

    `values`: field to how often it stands there; `wrong`: (field, kind of value) to how often its type refuses that;
    `undeclared`: event type to how often; `refused`: (event type, rule) to the number of events.
    """

    events: int
    refused_events: int
    values: dict[str, int]
    wrong: dict[tuple[str, str], int]
    undeclared: dict[str, int]
    refused: dict[tuple[str, str], int]

    def __add__(self, other: object) -> Counts:
        if not isinstance(other, Counts):
            return NotImplemented
        return Counts(
            self.events + other.events,
            self.refused_events + other.refused_events,
            _sum(self.values, other.values),
            _sum(self.wrong, other.wrong),
            _sum(self.undeclared, other.undeclared),
            _sum(self.refused, other.refused),
        )


def _sum(left: Mapping[Any, int], right: Mapping[Any, int]) -> dict[Any, int]:
    return {key: left.get(key, 0) + right.get(key, 0) for key in (*left, *(k for k in right if k not in left))}


class History:
    """Takes the events of one aggregate type, in any order of aggregates, and says what a schema makes of them."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._checks: dict[tuple[str, bool], Check] = {}
        self._types: dict[str, Test] = {
            name: CompiledColumn(column, first=False).type_test for name, column in schema.columns.items()
        }
        self._events = 0
        self._refused_events = 0
        self._lists = Counts(0, 0, {}, {}, {}, {})

    @property
    def counts(self) -> Counts:
        """What was added so far."""
        return self._lists._replace(events=self._events, refused_events=self._refused_events)

    def add(self, event_type: str, payload: dict[str, Any], *, first: bool) -> Sequence[Fault]:
        """Count an event; its faults under the schema. Reserved events have none."""
        key = (event_type, first)
        check = self._checks.get(key)
        if check is None:
            check = self._checks[key] = compile_event(self._schema, event_type, first=first)
        faults = check(payload)
        counts = self._lists
        self._events += 1
        self._refused_events += 1 if faults else 0
        if event_type in RESERVED:
            return faults
        if event_type not in self._schema.events:
            counts.undeclared[event_type] = counts.undeclared.get(event_type, 0) + 1
        for rule in {fault.rule for fault in faults}:
            counts.refused[event_type, rule] = counts.refused.get((event_type, rule), 0) + 1
        for name, value in payload.items():
            self._count_value(name, value)
        return faults

    def _count_value(self, name: str, value: Any) -> None:
        test = self._types.get(name)
        if test is None:
            return
        self._lists.values[name] = self._lists.values.get(name, 0) + 1
        try:
            is_right = bool(test(value))
        except TypeError:
            is_right = False
        if not is_right:
            key = (name, kind_of(value))
            self._lists.wrong[key] = self._lists.wrong.get(key, 0) + 1


def contradictions(schema: Schema, counts: Counts) -> list[Finding]:
    """Columns whose type the stored values do not have, and stored events that the schema does not declare."""
    findings = []
    for name, column in schema.columns.items():
        kinds = {kind: n for (field, kind), n in counts.wrong.items() if field == name}
        if kinds:
            total, wrong = counts.values[name], sum(kinds.values())
            message = (
                f"field {quote(name)} is {column.type}, but {wrong} of {total} stored values are not"
                f" ({', '.join(f'{n} {kind}' for kind, n in sorted(kinds.items()))})"
            )
            findings.append(Finding(("columns", name), "history-type", message, is_error=wrong == total))
    for event, n in sorted(counts.undeclared.items()):
        times = f"{n} stored event{'s are' if n > 1 else ' is'}"
        findings.append(Finding(("events",), "history-event", f"{times} of type '{event}', which is not declared"))
    return findings
