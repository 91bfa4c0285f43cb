"""What EventDBX's command line exports, as values: events, aggregates, states and schemas; and its hashes.

`dbx events --json` gives events, `aggregate list --json` and `get` aggregates, `aggregate export --format json` states,
`schema list --json`, `schema TYPE` and schemas.json schemas. All of them are recognised by their members. Pure.
"""

from __future__ import annotations

import heapq
import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.errors import Invalid
from dbx.formats.envelope import Actor, is_actor_text
from dbx.model import names
from dbx.model.event import ARCHIVED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Name = tuple[str, str]
EMPTY = sha256(b"").hexdigest()
_EVENT = frozenset(("aggregate_type", "aggregate_id", "event_type", "payload", "version"))
_AGGREGATE = frozenset(("aggregate_type", "aggregate_id", "version", "state", "merkle_root"))
_SCHEMA = frozenset(("aggregate", "events"))
_STATE_ID = "__aggregate_id"
_NOT_STORED = "_value"
_REFERENCE_WORDS = {"tenant": "domain", "aggregate_type": "aggregate"}


class ForeignEvent(NamedTuple):
    """An event of theirs: `item` as `apply --from` takes it, what they say of it, and `raw`, the payload as it came."""

    item: dict[str, Any]
    actor: Actor | None
    version: int
    raw: Any
    hash: str | None
    root: str | None

    @property
    def name(self) -> Name:
        """Type and id."""
        return self.item["aggregate_type"], self.item["aggregate_id"]


class ForeignAggregate(NamedTuple):
    """An aggregate of theirs at its latest version; `updated_at` None where they do not say."""

    name: Name
    version: int
    root: str
    archived: bool
    state: dict[str, Any]
    updated_at: str | None


class Difference(NamedTuple):
    """Something that is not as it should be in what came: a word for it, what it is about, and a sentence."""

    code: str
    about: str
    text: str


class Export(NamedTuple):
    """Everything that was read."""

    events: list[ForeignEvent]
    aggregates: dict[Name, ForeignAggregate]
    states: dict[Name, dict[str, Any]]
    schemas: dict[str, dict[str, Any]]
    differences: list[Difference]


def empty_export() -> Export:
    """Nothing yet."""
    return Export([], {}, {}, {}, [])


def add_document(found: Export, document: Any, file: str) -> None:
    """Add what a JSON document holds; `file` is its name, for messages and for the type of states.

    Raises Invalid for what EventDBX does not write.
    """
    if isinstance(document, dict) and not document.keys() & {"aggregate_type", "aggregate"}:
        values = list(document.values())
        if values and all(isinstance(value, dict) and value.keys() >= _SCHEMA for value in values):
            document = values
    for value in document if isinstance(document, list) else [document]:
        _add(found, value, file)


def _add(found: Export, value: Any, file: str) -> None:
    if not isinstance(value, dict):
        raise Invalid(f"'{file}' holds something that EventDBX does not export", details={"file": file})
    if value.keys() >= _EVENT:
        found.events.append(read_event(value, found.differences))
    elif value.keys() >= _AGGREGATE:
        aggregate = _read_aggregate(value)
        found.aggregates[aggregate.name] = aggregate
        for event in value.get("events") or ():
            found.events.append(read_event({**event}, found.differences))
    elif value.keys() >= _SCHEMA:
        found.schemas[names.check_type(value["aggregate"])] = value
    elif isinstance(value.get(_STATE_ID), str):
        kind = names.check_type(file.rpartition("/")[2].partition(".")[0])
        state = {key: each for key, each in value.items() if key != _STATE_ID}
        found.states[kind, names.check_id(value[_STATE_ID])] = state
    else:
        raise Invalid(
            f"'{file}' holds an object that is no event, aggregate, state or schema of EventDBX", details={"file": file}
        )


def read_event(value: Mapping[str, Any], differences: list[Difference]) -> ForeignEvent:
    """An event in the form that the command line prints, or in the stored form. Raises Invalid."""
    kind, name = names.check_type(value["aggregate_type"]), names.check_id(value["aggregate_id"])
    version = value["version"]
    about = f"{kind}/{name} version {version}"
    if type(version) is not int or version < 1:
        raise Invalid(f"the version of an event of {kind}/{name} is not a number from 1")
    meta = value.get("metadata") or {}
    if not isinstance(meta, dict):
        raise Invalid(f"the metadata of {about} is not an object")
    payload = value["payload"]
    if not isinstance(payload, dict):
        differences.append(Difference("payload", about, "the payload is no object, and becomes its member '_value'"))
        payload = {_NOT_STORED: payload}
    item: dict[str, Any] = {
        "aggregate_type": kind,
        "aggregate_id": name,
        "event_type": _event_type(value["event_type"], about, differences),
        "payload": payload,
    }
    extensions = {**(value.get("extensions") or {}), **{key: each for key, each in meta.items() if key[:1] == "@"}}
    if extensions:
        item["metadata"] = extensions
    for theirs, ours in (("event_id", "event_id"), ("created_at", "created_at"), ("note", "note")):
        if meta.get(theirs) is not None:
            item[ours] = meta[theirs]
    if isinstance(item.get("event_id"), int):
        item["event_id"] = str(item["event_id"])
    stored_hash, root = value.get("hash"), value.get("merkle_root")
    return ForeignEvent(
        item,
        _actor(meta.get("issued_by"), about, differences),
        version,
        value["payload"],
        stored_hash if isinstance(stored_hash, str) else None,
        root if isinstance(root, str) else None,
    )


def plan(found: Export) -> list[ForeignEvent]:
    """The events in the order in which they are to be committed: by id, and by version within each aggregate.

    What they say of hashes, roots, versions and states is compared, and each difference noted. Archived aggregates get
    an event that says so. Raises Invalid where events are missing or stand twice with different content.
    """
    by_name: dict[Name, dict[int, ForeignEvent]] = {}
    for event in found.events:
        known = by_name.setdefault(event.name, {}).setdefault(event.version, event)
        if known != event:
            raise Invalid(f"version {event.version} of {'/'.join(event.name)} was exported twice, and differently")
    for name, events in by_name.items():
        missing = next((version for version in range(1, max(events) + 1) if version not in events), None)
        if missing is not None:
            raise Invalid(
                f"version {missing} of {'/'.join(name)} is missing, and later ones are there",
                hint="export all of its events: 'dbx events --json --take <many> --include-archived'",
            )
        _compare(name, [events[version] for version in sorted(events)], found)
    for name in found.aggregates.keys() | found.states.keys():
        if name not in by_name:
            text = "there are no events of it, so it is not imported"
            found.differences.append(Difference("no-events", "/".join(name), text))
    ordered = heapq.merge(*(sorted(events.values(), key=_version) for events in by_name.values()), key=_order)
    archived = (each for each in found.aggregates.values() if each.archived and each.name in by_name)
    return [*ordered, *map(_archive, archived)]


def hash_event(name: Name, version: int, event_type: str, payload: Any) -> str:
    """EventDBX's hash of an event (fact sheet §2.12): 64 hex digits over texts without separators."""
    parts = [name[0].encode(), name[1].encode(), version.to_bytes(8, "big"), event_type.encode()]
    for key, value in sorted(_as_state(payload).items(), key=lambda pair: pair[0].encode()):
        parts += key.encode(), value.encode()
    return sha256(b"".join(parts)).hexdigest()


def root_of(hashes: Sequence[str]) -> str:
    """EventDBX's root: SHA-256 over pairs of hex texts, an odd last one with itself; one hash is its own root."""
    if not hashes:
        return EMPTY
    level = list(hashes)
    while len(level) > 1:
        level.append(level[-1])
        level = [sha256((a + b).encode()).hexdigest() for a, b in zip(level[::2], level[1::2], strict=False)]
    return level[0]


def state_text(value: Any) -> str:
    """A value as EventDBX keeps it in a state: texts as they are, null as nothing, all else as compact JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


# -- inside ------------------------------------------------------------------------------------------------------------


def _compare(name: Name, events: Sequence[ForeignEvent], found: Export) -> None:
    hashes: list[str] = []
    state: dict[str, str] = {}
    about = "/".join(name)
    for event in events:
        made = hash_event(name, event.version, event.item["event_type"], event.raw)
        hashes.append(made)
        if event.hash is not None and event.hash != made:
            text = "its hash is not that of its content: it was changed, or holds numbers spelled in another way"
            found.differences.append(Difference("hash", f"{about} version {event.version}", text))
        if event.root is not None and event.root != root_of(hashes):
            text = "its Merkle root is not that of the events up to it"
            found.differences.append(Difference("root", f"{about} version {event.version}", text))
        state.update(_as_state(event.raw))
    aggregate = found.aggregates.get(name)
    if aggregate is not None and aggregate.version != len(events):
        text = f"it is at version {aggregate.version} there, and {len(events)} events came"
        found.differences.append(Difference("version", about, text))
    elif aggregate is not None and aggregate.root != root_of(hashes):
        found.differences.append(Difference("root", about, "its Merkle root is not that of its events"))
    for theirs in (None if aggregate is None else aggregate.state, found.states.get(name)):
        if theirs is not None and {key: state_text(each) for key, each in theirs.items()} != state:
            fields = sorted(
                key for key in theirs.keys() | state.keys() if state_text(theirs.get(key)) != state.get(key)
            )
            text = f"its state is not what its events add up to: {', '.join(fields)[:200]}"
            found.differences.append(Difference("state", about, text))
            break


def _as_state(payload: Any) -> dict[str, str]:
    if payload is None:
        return {}
    if not isinstance(payload, dict):
        return {_NOT_STORED: state_text(payload)}
    return {key: state_text(value) for key, value in payload.items()}


def _event_type(text: Any, about: str, differences: list[Difference]) -> str:
    try:
        return names.check_event_type(text)
    except Invalid:
        renamed = text.lstrip("_") if isinstance(text, str) else ""
        made = names.check_event_type(renamed)
        differences.append(Difference("renamed", about, f"the event type '{text}' becomes '{made}'"))
        return made


def _actor(value: Any, about: str, differences: list[Difference]) -> Actor | None:
    if not isinstance(value, dict):
        return None
    group, user = value.get("group"), value.get("user")
    if isinstance(group, str) and isinstance(user, str) and is_actor_text(group) and is_actor_text(user):
        return Actor(group, user)
    differences.append(Difference("actor", about, "its actor has an empty group or user, and is left out"))
    return None


def _read_aggregate(value: Mapping[str, Any]) -> ForeignAggregate:
    name = names.check_type(value["aggregate_type"]), names.check_id(value["aggregate_id"])
    state = value["state"]
    if type(value["version"]) is not int or not isinstance(state, dict) or not isinstance(value["merkle_root"], str):
        raise Invalid(f"the aggregate {'/'.join(name)} is not of the form that EventDBX prints")
    updated_at = value.get("updated_at")
    return ForeignAggregate(
        name,
        value["version"],
        value["merkle_root"],
        value.get("archived") is True,
        state,
        updated_at if isinstance(updated_at, str) else None,
    )


def _archive(aggregate: ForeignAggregate) -> ForeignEvent:
    item: dict[str, Any] = {
        "aggregate_type": aggregate.name[0],
        "aggregate_id": aggregate.name[1],
        "event_type": ARCHIVED,
        "payload": {},
    }
    if aggregate.updated_at is not None:
        item["created_at"] = aggregate.updated_at
    return ForeignEvent(item, None, aggregate.version + 1, {}, None, None)


def _version(event: ForeignEvent) -> int:
    return event.version


def _order(event: ForeignEvent) -> int:
    text = event.item.get("event_id", "0")
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() else 0


def schema_document(value: Mapping[str, Any], differences: list[Difference]) -> dict[str, Any]:
    """A schema of theirs as the document of one of ours; what has no place in it is noted. Raises Invalid."""
    aggregate = value["aggregate"]
    document: dict[str, Any] = {"aggregate": aggregate}
    for key in ("snapshot_threshold", "locked", "hidden"):
        if value.get(key):
            document[key] = value[key]
    for key in ("hidden_fields", "field_locks"):
        if value.get(key):
            document[key] = list(value[key])
    columns = value.get("column_types") or {}
    if columns:
        document["columns"] = {
            name: _column(column, f"{aggregate}.{name}", differences) for name, column in columns.items()
        }
    document["events"] = dict(_events(value.get("events") or {}, aggregate, differences))
    return document


def _events(
    events: Mapping[str, Any], aggregate: str, differences: list[Difference]
) -> Iterable[tuple[str, dict[str, Any]]]:
    for name, rule in events.items():
        made: dict[str, Any] = {}
        if rule.get("fields"):
            made["fields"] = list(rule["fields"])
        note = rule.get("note", rule.get("notes"))
        if note:
            made["note"] = note
        yield _event_type(name, f"schema {aggregate}", differences), made


def _column(column: Any, about: str, differences: list[Difference]) -> Any:
    if isinstance(column, str):
        return column
    if not isinstance(column, dict):
        raise Invalid(f"the column {about} is not of the form that EventDBX writes")
    made: dict[str, Any] = {}
    for key, value in column.items():
        if value is None or value is False or value in ([], {}):
            continue
        if key == "format":
            made[key] = {"iso8601": "iso_8601"}.get(value, value)
        elif key in ("length", "range"):
            made[key] = {end: each for end, each in value.items() if each is not None}
        elif key == "reference":
            made[key] = {
                {"tenant": "domain", "aggregate_type": "aggregate"}.get(k, k): each for k, each in value.items() if each
            }
        elif key == "properties":
            made[key] = {name: _column(each, f"{about}.{name}", differences) for name, each in value.items()}
        elif key in ("type", "required", "regex", "contains", "does_not_contain"):
            made[key] = value
        else:
            differences.append(Difference("schema", about, f"the rule '{key}' has no effect there, and is left out"))
    return made["type"] if made.keys() == {"type"} else made
