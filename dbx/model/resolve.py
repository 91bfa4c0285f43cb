"""Following references from state to state, and what becomes of who refers when the target goes (EventDBX §3.8).

Nothing here reads an aggregate: who calls gives a look-up, and may keep what it found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from dbx.errors import Conflict, Invalid
from dbx.model.faults import Fault
from dbx.model.names import quote
from dbx.model.references import compile_references, references_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from dbx.model.references import Found, Reference
    from dbx.model.schema import Column, ReferenceRule, Schema

    LookUp = Callable[[Reference], "Target"]
    """Finds an aggregate. Of another domain, or one that may not be read: `forbidden`. An archived one is `ok`."""

Status = Literal["ok", "not_found", "forbidden", "cycle", "depth_exceeded"]
"""What became of a reference when it was followed."""

MAX_DEPTH = 5
"""How many references are followed one after the other."""
MAX_TARGETS = 1000
"""How many aggregates one resolution looks up; a reference beyond is `depth_exceeded`."""
_LISTED = 5


class Target(NamedTuple):
    """What a look-up found. `state` and `schema` are the aggregate's when it is `ok`; `extra` is the caller's."""

    status: Literal["ok", "not_found", "forbidden"]
    state: Mapping[str, Any] | None = None
    schema: Schema | None = None
    extra: Any = None


class Resolved(NamedTuple):
    """A reference, what became of it, its target when that is `ok`, and the target's own references."""

    found: Found
    status: Status
    target: Target | None = None
    below: tuple[Resolved, ...] = ()


class Referrer(NamedTuple):
    """An aggregate whose state refers to another, in the field at `path`, under that column's rule."""

    aggregate_type: str
    aggregate_id: str
    path: tuple[str, ...]
    rule: ReferenceRule


def resolve(
    holder: Reference,
    state: Mapping[str, Any],
    schema: Schema | None,
    *,
    depth: int,
    look_up: LookUp,
    max_targets: int = MAX_TARGETS,
) -> tuple[Resolved, ...]:
    """The references of a state, followed `depth` (0 to MAX_DEPTH) times; with 0 all of them are `depth_exceeded`.

    A reference to an aggregate on the way to itself is a `cycle` and not followed again.
    """
    if not 0 <= depth <= MAX_DEPTH:
        raise Invalid(f"the depth must be 0 to {MAX_DEPTH}, it is {depth}")
    return _Resolution(look_up, max_targets).follow((holder,), state, schema, depth)


class _Resolution:
    def __init__(self, look_up: LookUp, room: int) -> None:
        self._look_up = look_up
        self._room = room

    def follow(
        self, way: tuple[Reference, ...], state: Mapping[str, Any], schema: Schema | None, depth: int
    ) -> tuple[Resolved, ...]:
        if schema is None:
            return ()
        return tuple(self._one(way, found, depth) for found in references_of(schema, state, domain=way[-1].domain))

    def _one(self, way: tuple[Reference, ...], found: Found, depth: int) -> Resolved:
        if depth == 0 or self._room == 0:
            return Resolved(found, "depth_exceeded")
        if found.reference in way:
            return Resolved(found, "cycle")
        self._room -= 1
        target = self._look_up(found.reference)
        if target.status != "ok":
            return Resolved(found, target.status)
        below = self.follow((*way, found.reference), target.state or {}, target.schema, depth - 1)
        return Resolved(found, "ok", target, below)


def check_integrity(found: Iterable[Found], look_up: LookUp) -> list[Fault]:
    """A fault (rule `reference`) for every strong reference whose target is not there or may not be read."""
    faults = []
    for each in found:
        if each.rule.integrity == "weak":
            continue
        status = look_up(each.reference).status
        if status != "ok":
            why = "does not exist" if status == "not_found" else "cannot be reached from here"
            message = (
                f"field {quote(each.field)} refers to an aggregate of type '{each.reference.aggregate_type}' that {why}"
            )
            faults.append(Fault(each.path, "reference", "text", message))
    return faults


def plan_removal(target: Reference, referrers: Sequence[Referrer]) -> dict[tuple[str, str], list[tuple[str, ...]]]:
    """What must be set to null, (type, id) of the referrer to the paths, before the target may go.

    Only `cascade: nullify` asks for that; `none` lets the reference stay. Raises Conflict where a referrer with
    `cascade: restrict` stands in the way, naming up to five.
    """
    blocking = [each for each in referrers if each.rule.cascade == "restrict"]
    if blocking:
        listed = ", ".join(
            f"{each.aggregate_type}/{each.aggregate_id} ({'.'.join(each.path)})" for each in blocking[:_LISTED]
        )
        more = f" and {len(blocking) - _LISTED} more" if len(blocking) > _LISTED else ""
        raise Conflict(
            f"aggregate '{target.aggregate_type}/{target.aggregate_id}' cannot go: it is referred to by {listed}{more}",
            hint="let them refer to another first, or set 'cascade' of their columns to none or nullify",
            details={
                "referrers": [
                    {"aggregate_type": r.aggregate_type, "aggregate_id": r.aggregate_id, "path": ".".join(r.path)}
                    for r in blocking
                ]
            },
        )
    plan: dict[tuple[str, str], list[tuple[str, ...]]] = {}
    for each in referrers:
        if each.rule.cascade == "nullify":
            plan.setdefault((each.aggregate_type, each.aggregate_id), []).append(each.path)
    return plan


def nullified(state: Mapping[str, Any], paths: Iterable[tuple[str, ...]]) -> dict[str, Any]:
    """The payload that sets fields of a state to null: the whole new value of every top-level field it touches."""
    payload: dict[str, Any] = {}
    for path in paths:
        first, *rest = path
        payload[first] = _without(payload.get(first, state.get(first)), rest)
    return payload


def _without(value: Any, path: list[str]) -> Any:
    if not path:
        return None
    if not isinstance(value, dict) or path[0] not in value:
        return value
    return {**value, path[0]: _without(value[path[0]], path[1:])}


def migration_payload(
    schema: Schema, state: Mapping[str, Any], fields: Sequence[str], *, domain: str
) -> dict[str, Any] | None:
    """The payload that spells the references in `fields` as they are stored now; None where they are already so.

    A field may be within an object (`address.farm`). Raises Invalid where it is no reference column, or holds no
    reference that its rule allows.
    """
    wanted = {field: _check_reference_column(schema, field) for field in fields}
    canonicalise = compile_references(schema)
    if canonicalise is None:
        return None
    _, found, faults = canonicalise(state, domain)
    for fault in faults:
        if fault.path in wanted.values():
            raise Invalid(fault.message, hint="correct the field with an event first")
    payload: dict[str, Any] = {}
    for each in found:
        if each.path in wanted.values() and _at(state, each.path) != str(each.reference):
            first, *rest = each.path
            payload[first] = _with(payload.get(first, state[first]), rest, str(each.reference))
    return payload or None


def _check_reference_column(schema: Schema, field: str) -> tuple[str, ...]:
    path = tuple(field.split("."))
    columns: Mapping[str, Column] = schema.columns
    for name in path[:-1]:
        columns = columns[name].properties if name in columns else {}
    column = columns.get(path[-1])
    if column is None or column.reference is None:
        raise Invalid(f"field {quote(field)} of '{schema.aggregate}' is no reference column")
    return path


def _at(value: Any, path: Iterable[str]) -> Any:
    for name in path:
        value = value[name]
    return value


def _with(value: Any, path: list[str], text: str) -> Any:
    return {**value, path[0]: _with(value[path[0]], path[1:], text)} if path else text
