"""Changes to a schema document, one for each verb of 'dbx schema': plain data in, changed in place.

They keep to what is there: names that exist stay in their place and spelling. Whether the whole is still a schema is
for parse_schema to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.errors import Invalid, NotFound, UsageError
from dbx.model import names
from dbx.model.event import RESERVED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_REFERENCE_WORDS = {"tenant": "domain", "aggregate_type": "aggregate"}
_TYPE_ALIASES = frozenset(("ref", "reference", "aggregate_ref", "aggregate-reference"))
# What a column says of itself beside its rules.
_PROSE = ("description", "pii")
_ENDS = ("min", "max")


class FieldChange(NamedTuple):
    """What 'dbx schema field' shall do to a column.

    `rules` are set one by one, `bounds` are ends of `length` and `range`, `clear` are rules that go; `all_rules` takes
    the place of every rule there was. None leaves a thing as it is.
    """

    type: str | None = None
    clear_type: bool = False
    all_rules: Mapping[str, Any] | None = None
    clear_rules: bool = False
    rules: Mapping[str, Any] = {}
    bounds: Mapping[str, Mapping[str, Any]] = {}
    reference: Mapping[str, Any] = {}
    clear: frozenset[str] = frozenset()
    lock: bool | None = None

    @property
    def touches_rules(self) -> bool:
        """Whether it sets or clears a rule."""
        return bool(
            self.all_rules is not None or self.clear_rules or self.rules or self.bounds or self.reference or self.clear
        )


def new_document(aggregate: str, events: Iterable[str], snapshot_threshold: int | None) -> dict[str, Any]:
    """The document of a new schema. Raises Invalid."""
    document: dict[str, Any] = {"aggregate": names.check_type(aggregate)}
    if snapshot_threshold is not None:
        document["snapshot_threshold"] = snapshot_threshold
    stored = event_names(events)
    if not stored:
        raise Invalid("at least one event must be provided")
    document["events"] = {name: {} for name in stored}
    return document


def event_names(spelled: Iterable[str]) -> list[str]:
    """Events as they are stored, each once. Raises Invalid for what is no name, and for two spellings of one event."""
    found: dict[str, str] = {}
    for text in spelled:
        name = text.strip()
        if not name:
            raise Invalid("event names cannot be empty")
        stored = names.check_event_type(name)
        if stored in RESERVED:
            raise Invalid(f"event type '{stored}' is reserved: only dbx itself writes it")
        if found.get(stored, name) != name:
            raise Invalid(f"'{found[stored]}' and '{name}' are two spellings of one event, '{stored}'")
        found[stored] = name
    return list(found)


def add_events(document: dict[str, Any], events: Sequence[str]) -> None:
    """Declare events; those that are declared already stay as they are."""
    declared = _events(document)
    for name in event_names(events):
        if find_event(document, name) is None:
            declared[name] = {}


def remove_event(document: dict[str, Any], event: str) -> None:
    """Declare an event no longer. Raises NotFound; Invalid for the last."""
    declared = _events(document)
    key = get_event(document, event)
    if len(declared) == 1:
        raise Invalid(f"the schema of '{document['aggregate']}' must define at least one event")
    del declared[key]


def annotate_event(document: dict[str, Any], event: str, note: str | None) -> None:
    """Set an event's note, or with None take it away."""
    declared = _events(document)
    key = get_event(document, event)
    rule = dict(declared[key] or {})
    if note is None:
        rule.pop("note", None)
    else:
        rule["note"] = names.check_note(note)
    declared[key] = rule


def alter_event(
    document: dict[str, Any],
    event: str,
    *,
    add: Sequence[str] = (),
    remove: Sequence[str] = (),
    exactly: Sequence[str] | None = None,
) -> list[str]:
    """Change the fields an event may set, or with `exactly` give them anew; the list it has afterwards."""
    declared = _events(document)
    key = get_event(document, event)
    rule = dict(declared[key] or {})
    fields = list(rule.get("fields") or [])
    if exactly is not None:
        fields = list(dict.fromkeys(exactly))
    for name in remove:
        if name not in fields:
            raise NotFound(f"field {names.quote(name)} is not listed for event '{event}'")
        fields.remove(name)
    fields += [name for name in dict.fromkeys(add) if name not in fields]
    rule.pop("fields", None)
    if fields:
        rule = {"fields": fields, **rule}
    declared[key] = rule
    return fields


def set_listed(document: dict[str, Any], key: str, name: str, present: bool) -> None:
    """Put a field into `hidden_fields` or `field_locks`, or take it out."""
    listed = list(document.get(key) or [])
    if present and name not in listed:
        listed.append(name)
    elif not present and name in listed:
        listed.remove(name)
    _set(document, key, listed or None)


def set_flag(document: dict[str, Any], key: str, on: bool) -> None:
    """Set `locked` or `hidden`; false is left out."""
    _set(document, key, True if on else None)


def change_field(document: dict[str, Any], field: str, change: FieldChange) -> list[str]:
    """Change a column as 'dbx schema field' is asked to; what was done, as `type=…`, `rules=…`, `locked=…`.

    A new type keeps the rules there are, so none is lost unseen; those that do not fit it make the schema invalid.
    """
    if not (change.type or change.clear_type or change.touches_rules or change.lock is not None):
        raise UsageError("no changes requested; pass --type, --rules, or at least one rule flag")
    done: list[str] = []
    columns = dict(document.get("columns") or {})
    if change.clear_type:
        if change.type or change._replace(clear_rules=False).touches_rules:
            raise UsageError("--clear-type removes the column; it cannot be combined with a type or with rules")
        if field not in columns:
            raise NotFound(f"field {names.quote(field)} has no column type")
        del columns[field]
        done.append("type=cleared")
    elif change.type or change.touches_rules:
        columns[field] = _column(columns.get(field), field, change, done)
    _set(document, "columns", columns or None)
    if change.lock is not None:
        set_listed(document, "field_locks", field, change.lock)
        done.append(f"locked={'true' if change.lock else 'false'}")
    return done


def find_event(document: Mapping[str, Any], event: str) -> str | None:
    """The key of an event in the document, which may be spelled with dots there; None where it is not declared."""
    stored = names.check_event_type(event)
    for key in document.get("events") or {}:
        if key.replace(".", "_") == stored:
            return str(key)
    return None


def get_event(document: Mapping[str, Any], event: str) -> str:
    """`find_event`, or NotFound."""
    key = find_event(document, event)
    if key is None:
        import difflib

        near = difflib.get_close_matches(event, document.get("events") or {}, 1)
        raise NotFound(
            f"event {names.quote(event)} is not defined for aggregate '{document['aggregate']}'",
            hint=f"did you mean '{near[0]}'?" if near else None,
        )
    return key


def _column(before: Any, field: str, change: FieldChange, done: list[str]) -> Any:
    column: dict[str, Any] = {"type": before} if isinstance(before, str) else dict(before or {})
    makes_reference = bool(change.reference) or change.type in _TYPE_ALIASES
    if change.type is not None:
        column = {"type": "text" if makes_reference else change.type, **{k: column[k] for k in column if k != "type"}}
        done.append("type=reference" if change.type in _TYPE_ALIASES else f"type={change.type}")
    elif makes_reference and not column:
        column = {"type": "text"}
        done.append("type=reference")
    if "type" not in column:
        raise Invalid(f"field {names.quote(field)} has no column type; set --type before editing rules")
    if change.clear_rules or change.all_rules is not None:
        column = {key: column[key] for key in ("type", *_PROSE) if key in column}
    for rule in change.clear:
        column.pop(rule, None)
        if rule == "format":
            column.pop("reference", None)
    if change.all_rules is not None:
        column.update(_spelled_here(change.all_rules))
    for rule, value in change.rules.items():
        _set(column, rule, value)
    for rule, ends in change.bounds.items():
        column[rule] = {end: v for end in _ENDS if (v := {**(column.get(rule) or {}), **ends}.get(end)) is not None}
    if makes_reference:
        column["format"] = "reference"
        column["reference"] = {**(column.get("reference") or {}), **change.reference} or {"integrity": "strong"}
    if change.reference:
        done.append("rules=reference")
    elif change.clear_rules and not (change.rules or change.bounds or change.all_rules):
        done.append("rules=cleared")
    elif change.touches_rules:
        done.append("rules=updated")
    return column["type"] if column.keys() == {"type"} else column


def _spelled_here(rules: Mapping[str, Any]) -> dict[str, Any]:
    """Rules as EventDBX writes them in JSON, in the words of our files."""
    found = {key: value for key, value in rules.items() if value is not None}
    if isinstance(found.get("reference"), dict):
        found["reference"] = {_REFERENCE_WORDS.get(key, key): value for key, value in found["reference"].items()}
    if found.get("required") is False:
        del found["required"]
    if isinstance(found.get("format"), str):
        found["format"] = {"iso8601": "iso_8601"}.get(found["format"], found["format"])
    for rule in ("length", "range"):
        if isinstance(found.get(rule), dict):
            found[rule] = {end: value for end, value in found[rule].items() if value is not None}
    return found


def _events(document: dict[str, Any]) -> dict[str, Any]:
    events = document.get("events")
    if not isinstance(events, dict):
        events = document["events"] = {}
    return events


def _set(mapping: dict[str, Any], key: str, value: Any) -> None:
    if value is None:
        mapping.pop(key, None)
    else:
        mapping[key] = value
