"""The rule of lint that is about plugins: payload modes that send more than anybody needs.

What a receiver does with a delivery is not known here. So only what follows from the configuration and the events is
said, and what is far out of proportion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.formats import canonical
from dbx.model.delivery import needs_schema, needs_state
from dbx.model.lint import Finding
from dbx.model.plugin import HttpConfig, LogConfig
from dbx.model.pluginparse import find_placeholders
from dbx.model.schema import to_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dbx.model.lintfacts import Facts, TypeFacts
    from dbx.model.plugin import Plugin

MANY_TIMES = 10
LARGE_BYTES = 4096
"""What goes with an event is far out of proportion when it is so much larger than the event, and no less than that."""
_SURE = 100
"""Aggregates with a single event, from which on it is how they are made."""
_SMALLER = "event-only"


def payload_modes(facts: Facts) -> Iterator[Finding]:
    """Plugins that get events, in a mode with state or schema where a smaller one would do."""
    for plugin in facts.plugins:
        if plugin.gets_events and plugin.payload_mode in ("all", "event-and-schema") and not _is_cloud(plugin):
            found = _unused(plugin, facts.types) or _large(plugin, facts.types)
            if found is not None:
                mode, what, why = found
                command = f"dbx plugin config {plugin.kind} --name {plugin.name} … --payload {mode}"
                yield Finding(
                    "payload-mode", plugin.name, f"payload mode '{plugin.payload_mode}', and {what}", why, command
                )


def _is_cloud(plugin: Plugin) -> bool:
    """Whether it is sent CloudEvents, which hold the event alone whatever the mode is."""
    return isinstance(plugin.config, HttpConfig) and plugin.config.format == "cloudevents"


def _unused(plugin: Plugin, types: Sequence[TypeFacts]) -> tuple[str, str, str] | None:
    """(mode, what, why) where state or schema says nothing, or goes nowhere."""
    config = plugin.config
    has_schemas = any(one.schema is not None for one in types)
    with_state = needs_state(plugin.payload_mode)
    if isinstance(config, LogConfig) and config.template is not None and (with_state or has_schemas):
        used = {found[1] for found in find_placeholders(config.template)}
        if "state" not in used:
            what = "its template does not use the state: lines of state and schema follow that of each event"
            return _SMALLER, what, "a template says all that is wanted, or should"
    if not any(one.examined for one in types):
        return None
    if not with_state and not has_schemas:
        return _SMALLER, "no type has a schema", "event-only sends the same, and says so"
    single = all(one.longest <= 1 for one in types)
    if with_state and single and sum(one.aggregates for one in types) >= _SURE:
        mode = "event-and-schema" if has_schemas else _SMALLER
        why = "to send it again says nothing, and it is folded and encoded for every delivery"
        return mode, "each aggregate has one event, so that its state is the payload", why
    return None


def _large(plugin: Plugin, types: Sequence[TypeFacts]) -> tuple[str, str, str] | None:
    """(mode, what, why) where the event is a small part of what is sent, by what the aggregates are now."""
    events = beside = count = 0
    for one in types:
        if one.schema is not None and one.schema.hidden and not plugin.include_hidden:
            continue
        count += one.examined
        events += one.event_bytes
        if needs_state(plugin.payload_mode):
            beside += one.examined * one.state_bytes
        if needs_schema(plugin.payload_mode) and one.schema is not None:
            beside += one.examined * len(canonical.encode(to_value(one.schema)))
    if not count or beside < count * LARGE_BYTES or beside < events * MANY_TIMES:
        return None
    what = f"with an event of about {events // count:,} bytes go {beside // count:,} of state and schema"
    why = "they are sent again with every event; who keeps what came before, or asks for what it lacks, needs the event"
    return _SMALLER, what, why


RULES: tuple[Callable[[Facts], Iterator[Finding]], ...] = (payload_modes,)
