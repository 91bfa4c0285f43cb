"""What there is to know of a domain before judging it: gathered by repo.lint, judged by lint. Values only."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbx.model.plugin import Plugin
    from dbx.model.schema import Schema

DAY_US = 86_400_000_000
_MAX_FIELDS = 5_000
"""So many fields of one event are told apart; more than that is a finding already."""

_MEANINGS = (
    ("a date", re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII).fullmatch),
    ("a time", re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}.*", re.ASCII).fullmatch),
    ("a number", re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?", re.ASCII).fullmatch),
    ("true or false", re.compile(r"true|false|yes|no", re.ASCII).fullmatch),
    ("a uuid", re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII).fullmatch),
    ("an e-mail address", re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}\.[^@\s]{2,24}").fullmatch),
    ("an address of the web", re.compile(r"https?://\S+").fullmatch),
)
_LONGEST_TOLD = 400


@dataclass(slots=True)
class FieldFacts:
    """A field of one event type: how often it was there, as which kind of JSON, and what its texts look like.

    `meanings` counts the texts of each recognised form; the others, and empty ones, only count as text.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    meanings: Counter[str] = field(default_factory=Counter)

    def add(self, value: Any) -> None:
        """One value."""
        kind = kind_of(value)
        self.kinds[kind] += 1
        if kind == "text" and value:
            self.meanings[meaning_of(value)] += 1


@dataclass(slots=True)
class EventFacts:
    """An event type: how many were looked at, and their fields."""

    count: int = 0
    fields: dict[str, FieldFacts] = field(default_factory=dict)

    def add(self, payload: dict[str, Any] | None) -> None:
        """One event; the payload is None where it cannot be read."""
        self.count += 1
        for name, value in (payload or {}).items():
            known = self.fields.get(name)
            if known is None:
                if len(self.fields) >= _MAX_FIELDS:
                    continue
                known = self.fields[name] = FieldFacts()
            known.add(value)


@dataclass(slots=True)
class TypeFacts:
    """An aggregate type: how many aggregates, the longest of them (id and version), its events, its schema.

    `threshold` is its snapshot threshold, None for none. `event_bytes` is the size of all events that were looked at,
    `state_bytes` the mean size of the states.
    """

    name: str
    aggregates: int = 0
    longest_id: str = ""
    longest: int = 0
    events: dict[str, EventFacts] = field(default_factory=dict)
    schema: Schema | None = None
    threshold: int | None = None
    event_bytes: int = 0
    state_bytes: int = 0

    @property
    def examined(self) -> int:
        """How many events were looked at."""
        return sum(event.count for event in self.events.values())


class RemoteFacts(NamedTuple):
    """A remote: where it is, and when something was last exchanged with it (None: never)."""

    name: str
    url: str
    seen_us: int | None


class TokenFacts(NamedTuple):
    """A token that is not revoked: how long it was issued for (None: for ever), what it allows, whether it is bounded
    to resources or domains, and when it expired, in seconds since the epoch (None: it is good now)."""

    token_id: str
    subject: str
    ttl_s: int | None
    actions: tuple[str, ...]
    bounded: bool
    expired_at: int | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """A domain. Times are microseconds since the epoch.

    `staged_since_us` is None where nothing is staged; `schema_since_us` is when the schemas in force were published,
    None where they were not, or were changed since. `examined` of `total` events were looked at.
    """

    domain: str
    now_us: int
    types: Sequence[TypeFacts]
    staged_events: int = 0
    staged_since_us: int | None = None
    restrict: str = "default"
    schema_since_us: int | None = None
    remotes: Sequence[RemoteFacts] = ()
    examined: int = 0
    total: int = 0
    tokens: Sequence[TokenFacts] = ()
    plugins: Sequence[Plugin] = ()


def kind_of(value: Any) -> str:
    """The JSON kind of a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "text"
    return "array" if isinstance(value, list) else "object"


def meaning_of(text: str) -> str:
    """What a text looks like: "a date", "a number" …, or "text"."""
    if len(text) <= _LONGEST_TOLD:
        for name, matches in _MEANINGS:
            if matches(text):
                return name
    return "text"
