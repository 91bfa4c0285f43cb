"""Best practices as findings. Each rule is one function from the facts to what it finds; RULES lists them.

A finding says what is so, where, why that is not good, and which command mends it.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from dbx.model.lintfacts import DAY_US
from dbx.model.names import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dbx.model.lintfacts import Facts, FieldFacts, TypeFacts

MANY_EVENT_TYPES = 20
MANY_FIELDS = 40
LONG_HISTORY = 10_000
"""Events of one aggregate, from which on it is said to grow without an end."""
SLOW_HISTORY = 1_000
"""Events of one aggregate, from which on reading older versions is slow without snapshots."""
FEW_EVENTS_A_SNAPSHOT = 10
STALE_DAYS = 30
_SURE = 3
"""Values of a kind, from which on it is no slip."""
_LISTED = 5

_CRUD = re.compile(
    r"(?:create|insert|add|new|read|update|upsert|modif[iy]|edit|change|save|store|write|set|patch|delete|remove)(?:e?d)?",
    re.ASCII,
).fullmatch
_ANYTHING = frozenset({"record", "data", "entity", "object", "row", "fields", "info", "details", "it"})
_match_snake = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*", re.ASCII).fullmatch
_between_words = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", re.ASCII).sub


class Finding(NamedTuple):
    """What a rule found: the rule's name, `what` is so, `where`, `why` it matters, and the `command` that mends it."""

    rule: str
    where: str
    what: str
    why: str
    command: str


def lint(facts: Facts) -> list[Finding]:
    """Every finding, rule by rule."""
    return [finding for rule in RULES for finding in rule(facts)]


# -- what the events show ----------------------------------------------------------------------------------------------


def god_aggregates(facts: Facts) -> Iterator[Finding]:
    """Types that do everything: too many event types, too many fields, histories that never end."""
    why = "one aggregate is one unit of change: those who do different things to it wait for each other and conflict"
    for one in facts.types:
        fields = {name for event in one.events.values() for name in event.fields}
        split = f"dbx schema create {one.name}_part --events EVENT,…"
        if len(one.events) > MANY_EVENT_TYPES:
            what = f"{len(one.events)} types of events, more than {MANY_EVENT_TYPES}"
            yield Finding("god-aggregate", one.name, what, why, split)
        if len(fields) > MANY_FIELDS:
            what = f"{len(fields)} fields, more than {MANY_FIELDS}"
            yield Finding("god-aggregate", one.name, what, why, split)
        if one.longest > LONG_HISTORY:
            yield Finding(
                "growth",
                f"{one.name}/{one.longest_id}",
                f"{one.longest:,} events in one aggregate, more than {LONG_HISTORY:,}",
                "a history without an end makes every verification and every replay longer; begin a new aggregate for"
                " each period (account-2026-11) or each part",
                f"dbx aggregate create {one.name} NEW_ID --event EVENT",
            )


def crud_names(facts: Facts) -> Iterator[Finding]:
    """Events that say what was done to a record instead of what happened."""
    for one in facts.types:
        for name in sorted({*one.events, *(one.schema.events if one.schema else ())}):
            if is_crud(one.name, name):
                yield Finding(
                    "crud-name",
                    f"{one.name} {name}",
                    f"{quote(name)} says that something was written, not what happened",
                    "the reason of a change is what a history is kept for: 'address_corrected' and 'customer_moved' are"
                    " both updates",
                    f"dbx schema add {one.name} WHAT_HAPPENED",
                )


def is_crud(aggregate_type: str, event_type: str) -> bool:
    """Whether a name is only a verb of databases, alone or with the type's own name or a word for anything."""
    words = event_type.removeprefix(f"{aggregate_type}_").removesuffix(f"_{aggregate_type}").split("_")
    verbs = [word for word in words if _CRUD(word)]
    return bool(verbs) and all(word in verbs or word in _ANYTHING for word in words)


def mixed_kinds(facts: Facts) -> Iterator[Finding]:
    """A field that is text in one event and a number in another."""
    for one in facts.types:
        for name, holders in _holders(one).items():
            kinds: dict[str, list[str]] = {}
            for event, found in holders:
                for kind in sorted(found.kinds):
                    if kind != "null":
                        kinds.setdefault(kind, []).append(event)
            if len(kinds) > 1:
                told = ", ".join(f"{kind} in {_listed(events)}" for kind, events in sorted(kinds.items()))
                yield Finding(
                    "field-type",
                    f"{one.name}.{name}",
                    f"field {quote(name)} has several types: {told}",
                    "whoever reads the state meets now the one, now the other; filters and sorting take them apart",
                    f"dbx schema field {one.name} {shlex.quote(name)} --type TYPE",
                )


def mixed_meanings(facts: Facts) -> Iterator[Finding]:
    """A field that looks like a date in one event and like an e-mail address in another; or in another type."""
    for one in facts.types:
        for name, holders in _holders(one).items():
            told = {event: meaning for event, found in holders if (meaning := _meaning(found)) is not None}
            if len(set(told.values())) > 1:
                shown = ", ".join(f"{meaning} in {event}" for event, meaning in list(told.items())[:_LISTED])
                yield Finding(
                    "field-meaning",
                    f"{one.name}.{name}",
                    f"field {quote(name)} means different things: {shown}",
                    "in the state the later value replaces the earlier one, as if both were the same",
                    f"dbx schema field {one.name} {shlex.quote(name)} --format FORMAT",
                )
    yield from _across_types(facts)


def _across_types(facts: Facts) -> Iterator[Finding]:
    """The same field as another kind of JSON in another type."""
    seen: dict[str, dict[str, list[str]]] = {}
    for one in facts.types:
        for name, holders in _holders(one).items():
            kinds = Counter[str]()
            for _, found in holders:
                kinds.update({kind: count for kind, count in found.kinds.items() if kind != "null"})
            if len(kinds) == 1 and kinds.total() >= _SURE:
                seen.setdefault(name, {}).setdefault(next(iter(kinds)), []).append(one.name)
    for name, by_kind in sorted(seen.items()):
        if len(by_kind) > 1:
            told = ", ".join(f"{kind} in {_listed(types)}" for kind, types in sorted(by_kind.items()))
            first = next(iter(sorted(by_kind.items())))[1][0]
            yield Finding(
                "field-type",
                name,
                f"field {quote(name)} has another type from one aggregate type to the next: {told}",
                "who follows a field through the domain takes one for the other",
                f"dbx schema field {first} {shlex.quote(name)} --type TYPE",
            )


def names_not_snake_case(facts: Facts) -> Iterator[Finding]:
    """Names of fields, and of types and events as far as their grammar leaves room."""
    why = "one style makes one name for one thing: firstName and first_name are two fields"
    for one in facts.types:
        for name in sorted(_holders(one)):
            if not _match_snake(name):
                better = _between_words("_", name).lower().strip("_") or "NAME"
                yield Finding(
                    "name-style",
                    f"{one.name}.{name}",
                    f"field {quote(name)} is not snake_case",
                    why,
                    f"dbx schema field {one.name} {better} --type TYPE",
                )
        for name in [one.name, *sorted(one.events)]:
            if not _match_snake(name):
                where = one.name if name == one.name else f"{one.name} {name}"
                better = re.sub("_+", "_", name).strip("_")
                command = (
                    f"dbx schema create {better} --events EVENT"
                    if name == one.name
                    else (f"dbx schema add {one.name} {better}")
                )
                yield Finding("name-style", where, f"{quote(name)} is not snake_case", why, command)


# -- what waits or is out of date --------------------------------------------------------------------------------------


def old_staging(facts: Facts) -> Iterator[Finding]:
    """Events that were staged and forgotten."""
    if facts.staged_since_us is not None and facts.now_us - facts.staged_since_us > DAY_US:
        days = (facts.now_us - facts.staged_since_us) // DAY_US
        yield Finding(
            "old-staging",
            facts.domain,
            f"{facts.staged_events} events have been staged for {days} {'day' if days == 1 else 'days'}",
            "what is staged is not history: nobody else sees it, and it conflicts once the aggregates move",
            "dbx commit",
        )


def snapshot_thresholds(facts: Facts) -> Iterator[Finding]:
    """Thresholds that are missing where histories are long, or that make no sense."""
    for one in facts.types:
        mend = (
            f"dbx schema edit {one.name}"
            if one.schema and one.schema.snapshot_threshold
            else ("dbx config snapshot_threshold 100")
        )
        if one.threshold is None:
            if one.longest > SLOW_HISTORY:
                yield Finding(
                    "snapshot-threshold",
                    one.name,
                    f"no snapshots are taken, and '{one.longest_id}' has {one.longest:,} events",
                    "reading an older version folds every event before it",
                    mend,
                )
        elif one.threshold < FEW_EVENTS_A_SNAPSHOT:
            yield Finding(
                "snapshot-threshold",
                one.name,
                f"a snapshot is taken every {one.threshold} events",
                "folding so few events is faster than keeping and finding a snapshot of the whole state",
                mend,
            )
        elif one.threshold > one.longest > SLOW_HISTORY:
            yield Finding(
                "snapshot-threshold",
                one.name,
                f"a snapshot is taken every {one.threshold:,} events, and the longest history has {one.longest:,}",
                "none was ever taken, so reading an older version folds every event before it",
                mend,
            )


def stale_remotes(facts: Facts) -> Iterator[Finding]:
    """Remotes that nobody has spoken to for long."""
    for remote in facts.remotes:
        if remote.seen_us is None:
            what = f"nothing was ever fetched from or pushed to '{remote.name}'"
        elif facts.now_us - remote.seen_us > STALE_DAYS * DAY_US:
            what = f"'{remote.name}' was last heard of {(facts.now_us - remote.seen_us) // DAY_US} days ago"
        else:
            continue
        yield Finding(
            "stale-remote",
            remote.name,
            what,
            "a copy that is out of date is no backup, and the longer two go apart the likelier they diverge",
            f"dbx fetch {remote.name}",
        )


RULES: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    god_aggregates,
    crud_names,
    mixed_kinds,
    mixed_meanings,
    names_not_snake_case,
    old_staging,
    snapshot_thresholds,
    stale_remotes,
)


# -- inside ------------------------------------------------------------------------------------------------------------


def _holders(one: TypeFacts) -> dict[str, list[tuple[str, FieldFacts]]]:
    """Every field of a type, with the events that have it."""
    found: dict[str, list[tuple[str, FieldFacts]]] = {}
    for event, facts in sorted(one.events.items()):
        for name, field in facts.fields.items():
            found.setdefault(name, []).append((event, field))
    return found


def _meaning(found: FieldFacts) -> str | None:
    """What all the texts of a field look like; None where they differ, are plain text, or are too few to tell."""
    if len(found.meanings) != 1:
        return None
    ((meaning, count),) = found.meanings.items()
    return meaning if meaning != "text" and count >= _SURE else None


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
