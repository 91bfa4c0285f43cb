"""Who set each field of an aggregate: from its events, in order, as values.

A field is **set** by the event whose payload, or metadata, gave its top-level key last: folding replaces the whole
value (model.event.fold), so that such an event sets everything below the key. What an event sets need not be new:
`since` is the event from which on the field has had the value that it has.

Objects are taken apart, down to values, arrays and empty objects; arrays are one value, unless a path into one is
asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.errors import NotFound
from dbx.model.event import RESERVED
from dbx.model.names import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.model.event import Event

Path = tuple[str, ...]
_MISSING = object()
_INDEX_DIGITS = 10


class Field(NamedTuple):
    """A field at `path`: its value, the event that set it, and the event since which it has this value."""

    path: Path
    value: Any
    event: Event
    since: Event

    @property
    def name(self) -> str:
        """The path with dots."""
        return ".".join(self.path)

    @property
    def changed(self) -> bool:
        """Whether the event that set it changed it."""
        return self.event is self.since


class Blame:
    """Takes an aggregate's events in order. `wanted` are dotted paths that are asked for; none means every field."""

    def __init__(self, wanted: tuple[str, ...] = ()) -> None:
        self._wanted = wanted
        self._state: dict[str, Any] = {}
        self._events: dict[str, Event] = {}
        self._since: dict[str, Any] = {}
        self._watched: dict[str, tuple[Any, Event]] = {}
        self.erased: list[int] = []
        """Versions whose body was erased: what they set is not known, and not in the state either."""

    def take(self, event: Event) -> None:
        """The next event."""
        if event.event_type in RESERVED:
            return
        if event.payload is None:
            self.erased.append(event.version)
            return
        for given in (event.payload, event.metadata or {}):
            for key, value in given.items():
                before = self._state.get(key, _MISSING)
                self._since[key] = _merge(before, self._since.get(key), value, event)
                self._state[key] = value
                self._events[key] = event
        for path in self._wanted:
            found = _find(self._state, path)
            if found is None:
                self._watched.pop(path, None)
            elif path not in self._watched or not is_same(self._watched[path][0], found[1]):
                self._watched[path] = found[1], event

    def fields(self) -> Iterator[Field]:
        """What is known now: every field by its key, or those that are asked for. Raises NotFound for one without."""
        if not self._wanted:
            for key in sorted(self._state):
                yield from self._leaves((key,), self._state[key], self._since[key])
        for name in self._wanted:
            found = _find(self._state, name)
            if found is None:
                raise NotFound(f"the aggregate has no field {quote(name)}", hint="see 'dbx aggregate get'")
            path, value = found
            since: Any = self._since
            for step in path:
                since = since.get(step) if isinstance(since, dict) else None
            if isinstance(since, dict):
                yield from self._leaves(path, value, since)
            else:
                yield Field(path, value, self._events[path[0]], self._watched[name][1])

    def _leaves(self, path: Path, value: Any, since: Any) -> Iterator[Field]:
        if not isinstance(since, dict):
            yield Field(path, value, self._events[path[0]], since)
            return
        for key in sorted(value):
            yield from self._leaves((*path, key), value[key], since[key])


def is_same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal; true is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _merge(before: Any, since: Any, value: Any, event: Event) -> Any:
    """Since when each part of a new value has been there: an event, or for an object with members one for each."""
    if isinstance(value, dict) and value:
        old = before if isinstance(before, dict) and isinstance(since, dict) else {}
        known = since if isinstance(since, dict) else {}
        return {key: _merge(old.get(key, _MISSING), known.get(key), part, event) for key, part in value.items()}
    if since is not None and not isinstance(since, dict) and before is not _MISSING and is_same(before, value):
        return since
    return event


def _find(state: dict[str, Any], name: str) -> tuple[Path, Any] | None:
    """(path, value) at a dotted name, as `aggregate select` reads it: a key that is spelled like all of it comes first.

    In an array a step is an index from 0.
    """
    if name in state:
        return (name,), state[name]
    value: Any = state
    path = tuple(name.split("."))
    for step in path:
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isascii() and step.isdigit() and len(step) < _INDEX_DIGITS:
            if int(step) >= len(value):
                return None
            value = value[int(step)]
        else:
            return None
    return path, value
