"""Events against a schema (cli.md 3; EventDBX §3.3), compiled once for an aggregate type, an event and first or later.

A check asks one test for each field; only a payload that fails is looked at again, rule by rule, to say what is wrong.
"""

from __future__ import annotations

from operator import call
from typing import TYPE_CHECKING, Any

from dbx.errors import Invalid
from dbx.model.columns import CompiledColumn, explain_fields, required_names
from dbx.model.columntypes import is_anything
from dbx.model.event import RESERVED
from dbx.model.faults import Fault, kind_of
from dbx.model.names import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dbx.model.columntypes import Test
    from dbx.model.schema import Schema

    Check = Callable[[dict[str, Any]], Sequence[Fault]]
    """Takes a payload, gives its faults in the order in which they are told; () of a payload that is right."""

_MAX_FAULTS = 100
_MAX_SHAPES = 1000


def compile_event(schema: Schema, event_type: str, *, first: bool) -> Check:
    """The check of an event's payload. `event_type` is the stored name; `first`: nothing came before in the aggregate.

    Of a locked schema, or for an event that is not declared, it refuses every payload. Reserved events always pass.
    """
    if event_type in RESERVED:
        return lambda payload: ()
    if schema.locked:
        locked = Fault((), "locked", "event", f"aggregate {quote(schema.aggregate)} is locked for updates")
        return lambda payload: (locked,)
    if event_type not in schema.events:
        return _undeclared(schema, event_type)
    return _Event(schema, event_type, first=first).compile()


class _Event:
    """A declared event of a schema that is not locked."""

    def __init__(self, schema: Schema, event_type: str, *, first: bool) -> None:
        self._schema = schema
        self._event_type = event_type
        self._allowed = frozenset(schema.events[event_type].fields)
        columns = {n: c for n, c in schema.columns.items() if not self._allowed or n in self._allowed}
        self._columns = {name: CompiledColumn(column, first=first) for name, column in columns.items()}
        self._required = required_names(columns, first=first)
        self._locks = frozenset(schema.field_locks)

    def compile(self) -> Check:
        """Payloads of one shape (their keys, in order) are asked the same tests: these are looked up once for all."""
        shapes: dict[tuple[str, ...], tuple[Test, ...]] = {}
        explain = self._explain

        def check(payload: dict[str, Any]) -> Sequence[Fault]:
            try:
                # Without a step of Python between the tests: it would take longer than some of them.
                if all(map(call, shapes[tuple(payload)], payload.values())):
                    return ()
            except KeyError:
                tests = self._tests_for(payload)
                if tests is not None:
                    if len(shapes) >= _MAX_SHAPES:
                        shapes.clear()
                    shapes[tuple(payload)] = tests
                    return check(payload)
            except TypeError:
                pass
            return explain(payload)

        return check

    def _tests_for(self, payload: dict[str, Any]) -> tuple[Test, ...] | None:
        """The tests for the values of a payload in its order, or None where its keys alone are a fault."""
        keys = payload.keys()
        if keys & self._locks or not self._required <= keys or (self._allowed and not keys <= self._allowed):
            return None
        return tuple(self._columns[name].test if name in self._columns else is_anything for name in keys)

    def _explain(self, payload: dict[str, Any]) -> Sequence[Fault]:
        faults = _locked_fields(self._schema, payload)
        if self._allowed:
            faults += (
                Fault(
                    (name,),
                    "fields",
                    kind_of(value),
                    f"field {quote(name)} is not permitted for event '{self._event_type}'",
                )
                for name, value in payload.items()
                if name not in self._allowed and name not in self._locks
            )
        faults += explain_fields(self._columns, self._required, payload, ())
        return faults[:_MAX_FAULTS]


def refusal(schema: Schema, event_type: str, faults: Sequence[Fault]) -> Invalid:
    """The error that tells faults: the first in the message, all of them in the details."""
    first, more = faults[0], len(faults) - 1
    others = f" (and {more} more {'fault' if more == 1 else 'faults'})" if more else ""
    return Invalid(
        f"event '{event_type}' is against the schema of '{schema.aggregate}': {first.message}{others}",
        hint=f"see 'dbx schema {schema.aggregate}'",
        details={
            "aggregate_type": schema.aggregate,
            "event_type": event_type,
            "faults": [
                {"field": fault.field, "rule": fault.rule, "kind": fault.kind, "message": fault.message}
                for fault in faults
            ],
        },
    )


def _undeclared(schema: Schema, event_type: str) -> Check:
    from difflib import get_close_matches

    near = get_close_matches(event_type, list(schema.events), 1)
    instead = f", did you mean '{near[0]}'?" if near else ""
    what = f"event '{event_type}' is not declared for aggregate {quote(schema.aggregate)}{instead}"
    undeclared = Fault((), "events", "event", what)
    return lambda payload: (*_locked_fields(schema, payload), undeclared)


def _locked_fields(schema: Schema, payload: dict[str, Any]) -> list[Fault]:
    where = f"is locked for aggregate {quote(schema.aggregate)}"
    return [
        Fault((name,), "field_locks", kind_of(payload[name]), f"field {quote(name)} {where}")
        for name in payload
        if name in schema.field_locks
    ]
