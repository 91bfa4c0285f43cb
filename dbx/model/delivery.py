"""What a plugin is sent: EventDBX's envelope `{"event","state","schema"}`, cut to the plugin's payload mode. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.formats import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dbx.model.event import Aggregate, Event

MAX_ERROR_CHARS = 500
_WITH_EVENT = frozenset(("all", "event-only", "event-and-schema", "extensions-only"))
_WITH_STATE = frozenset(("all", "state-only"))
_WITH_SCHEMA = frozenset(("all", "schema-only", "event-and-schema"))


class Where(NamedTuple):
    """The domain that an event is of, and the plugin it is for."""

    domain_id: str
    domain: str
    plugin: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one plugin. `parts` has the members `event`, `state` and `schema` that the mode asks for.

    `attempt` counts from 1; `cloudevent` is the same event as a CloudEvent, where the plugin wants that. `body` of
    `encoded` is what http and tcp send.
    """

    where: Where
    position: int
    aggregate_type: str
    aggregate_id: str
    version: int
    event_type: str
    event_id: int
    mode: str
    parts: Mapping[str, Any]
    attempt: int = 1
    replay: bool = False
    cloudevent: Mapping[str, Any] | None = None
    _encoded: list[bytes] = field(default_factory=list, compare=False, repr=False)

    @property
    def id(self) -> str:
        """`<domain uuid>/<plugin>/<position>`: the same in every attempt, so that who gets it twice can tell."""
        return f"{self.where.domain_id}/{self.where.plugin}/{self.position}"

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to send: only the schema was asked for, and there is none."""
        return not self.parts and self.cloudevent is None

    @property
    def body(self) -> bytes:
        """The JSON text to send, on one line without an end of line."""
        if not self._encoded:
            self._encoded.append(canonical.encode(dict(self.parts if self.cloudevent is None else self.cloudevent)))
        return self._encoded[0]


class Outcome(NamedTuple):
    """How an attempt went. Without `ok`: why, whether another attempt makes sense, and when at the earliest.

    `reached` is False when nothing could be sent at all: then the next delivery would fare no better.
    """

    ok: bool
    error: str | None = None
    retry: bool = True
    retry_after_s: float | None = None
    reached: bool = True


DONE = Outcome(ok=True)


def failed(why: str, *, retry: bool = True, retry_after_s: float | None = None, reached: bool = True) -> Outcome:
    """An attempt that failed. The text is cut, and put on one line."""
    shown = "".join(c if c.isprintable() else " " for c in why[: MAX_ERROR_CHARS + 1])
    if len(shown) > MAX_ERROR_CHARS:
        shown = shown[:MAX_ERROR_CHARS] + "…"
    return Outcome(ok=False, error=shown, retry=retry, retry_after_s=retry_after_s, reached=reached)


def needs_state(mode: str) -> bool:
    """Whether a mode sends the state, so that somebody must fold it."""
    return mode in _WITH_STATE


def needs_schema(mode: str) -> bool:
    """Whether a mode sends the schema."""
    return mode in _WITH_SCHEMA


def make_parts(
    mode: str,
    event: Event,
    root: str,
    state: Aggregate | None,
    schema: Mapping[str, Any] | None,
    hidden: Iterable[str] = (),
) -> dict[str, Any]:
    """The members that a mode asks for. `root` is the aggregate's after the event, `state` the aggregate at the event.

    The fields `hidden` are left out of payload and state.
    """
    without = frozenset(hidden)
    parts: dict[str, Any] = {}
    if mode in _WITH_EVENT:
        parts["event"] = event_record(event, root, without, payload=mode != "extensions-only")
    if mode in _WITH_STATE and state is not None:
        parts["state"] = state_record(state, without)
    if mode in _WITH_SCHEMA and schema is not None:
        parts["schema"] = dict(schema)
    return parts


def event_record(
    event: Event, root: str, hidden: frozenset[str] = frozenset(), *, payload: bool = True
) -> dict[str, Any]:
    """An event as EventDBX gives it to plugins; its payload is null where it was erased or is not wanted."""
    value: dict[str, Any] = {
        "aggregate_type": event.aggregate_type,
        "aggregate_id": event.aggregate_id,
        "event_type": event.event_type,
        "payload": _uncovered(event.payload, hidden) if payload and event.payload is not None else None,
    }
    if event.metadata:
        value["extensions"] = event.metadata
    by = event.issued_by
    meta: dict[str, Any] = {
        "event_id": str(event.event_id),
        "created_at": event.created_at,
        "issued_by": None if by is None else {"group": by.group, "user": by.user},
    }
    if event.note:
        meta["note"] = event.note
    return {**value, "metadata": meta, "version": event.version, "hash": event.hash, "merkle_root": root}


def state_record(aggregate: Aggregate, hidden: frozenset[str] = frozenset()) -> dict[str, Any]:
    """An aggregate as EventDBX gives it to plugins: extensions inline, `archived` only where it is; JSON types stay."""
    value: dict[str, Any] = {
        "aggregate_type": aggregate.aggregate_type,
        "aggregate_id": aggregate.aggregate_id,
        "version": aggregate.version,
        "state": _uncovered(aggregate.state, hidden),
        **aggregate.extensions,
        "merkle_root": aggregate.root,
        "created_at": aggregate.created_at,
        "updated_at": aggregate.updated_at,
    }
    if aggregate.archived:
        value["archived"] = True
    return value


def _uncovered(value: Mapping[str, Any], hidden: frozenset[str]) -> dict[str, Any]:
    return {name: inner for name, inner in value.items() if name not in hidden} if hidden else dict(value)
