"""Configure plugins, see whether they can be reached, and how they stand."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.errors import Conflict, Corrupt, DbxError, Invalid, RemoteFailure
from dbx.model import pluginparse
from dbx.model.delivery import Delivery, Where
from dbx.model.event import Event
from dbx.model.plugin import (
    HttpConfig,
    Plugin,
    check_mode,
    check_plugin_name,
    check_word,
    destination_of,
    find_plugin,
    kind_of,
)
from dbx.model.time import format_time
from dbx.ops import audit
from dbx.plugins.base import Surroundings, open_sink
from dbx.plugins.process import PATH
from dbx.repo.delivery import jobs
from dbx.repo.delivery import plugins as files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dbx.model.plugin import Config
    from dbx.ops.session import Session
    from dbx.repo.delivery.jobs import PluginState

_SAMPLE_ID = 1_234_567_890
_TEST = -1
"""The position of a delivery that is only a test."""


class Given(NamedTuple):
    """What may be said about a plugin of any kind; None leaves it as it is, or at its default."""

    payload_mode: str | None = None
    emit_events: bool | None = None
    include_hidden: bool | None = None
    on_dead: str | None = None
    disable: bool = False


class Tested(NamedTuple):
    """What testing a plugin gave; `error` is None when it took the sample."""

    plugin: Plugin
    error: str | None


def list_plugins(session: Session) -> list[Plugin]:
    """Every plugin of the workspace, by name."""
    return files.read_plugins(session.repository)


def find_runner(session: Session) -> int | None:
    """The pid of whoever runs the plugins of the domain, 0 for one that did not say; None for nobody."""
    return jobs.find_runner(session.domain)


def get_plugin(session: Session, name: str) -> Plugin:
    """One plugin. Raises NotFound."""
    return files.get_plugin(session.repository, name)


def configure(session: Session, name: str, config: Config, given: Given) -> Plugin:
    """Configure a plugin, or another configuration for one of the same kind; it is enabled unless told otherwise.

    A new one gets what is committed from now on, in every domain. Raises Invalid, Denied; Conflict where the name is
    another kind's.
    """
    check_plugin_name(name)
    config = pluginparse.check_config(config)
    changes: dict[str, Any] = {"config": config, "enabled": not given.disable}
    if given.payload_mode is not None:
        changes["payload_mode"] = check_mode(given.payload_mode)
    if given.on_dead is not None:
        changes["on_dead"] = check_word(given.on_dead, ("skip", "hold"), "word for --on-dead")
    for key in ("emit_events", "include_hidden"):
        if (value := getattr(given, key)) is not None:
            changes[key] = value
    repository = session.repository
    with files.changing(repository) as plugins:
        before = find_plugin(plugins, name)
        if before is not None and before.kind != kind_of(config):
            raise Conflict(f"plugin name '{before.name}' is already used by {before.kind}")
        plugin = replace(before or Plugin(name, config, format_time(repository.clock())), **changes)
        check_whole(plugin)
        if before is None:
            # Before it is there: what is committed once this has returned is for the plugin.
            for domain in repository.domain_names():
                with suppress(Corrupt):  # a domain that cannot be read goes by the time of its commits instead
                    jobs.start_plugin(repository.domain(domain), name)
        else:
            plugins.remove(before)
        plugins.append(plugin)
    _note(session, "plugin.config", plugin)
    return plugin


def check_whole(plugin: Plugin) -> None:
    """Raises Invalid where its configuration and what it is to be sent do not go together."""
    config = plugin.config
    is_cloud = isinstance(config, HttpConfig) and config.format == "cloudevents"
    if is_cloud and plugin.payload_mode in ("state-only", "schema-only"):
        raise Invalid(f"a CloudEvent carries an event, and the payload mode is {plugin.payload_mode}")


def find_program(command: str, start: str) -> str:
    """The whole path of a program as it is typed: a path, or a name that is looked up. Raises Invalid."""
    if "/" in command:
        return os.path.abspath(os.path.join(start, command))
    found = shutil.which(command, path=PATH)
    if found is None:
        raise Invalid(f"there is no program '{command}' in {PATH}", hint="name it by its path")
    return found


def enable(session: Session, name: str, say: Callable[[str], None]) -> tuple[Plugin, bool]:
    """Enable a plugin after seeing that it can be reached; whether it was disabled. Raises NotFound, RemoteFailure."""
    plugin = get_plugin(session, name)
    if plugin.enabled:
        return plugin, False
    sink = open_sink(plugin, surroundings(session, say))
    try:
        sink.check()
    except RemoteFailure as error:
        raise RemoteFailure(
            f"failed to establish connection for '{plugin.name}': {error.message}",
            hint=error.hint or "it stays disabled: see that the other side is there, and enable it again",
        ) from None
    finally:
        sink.close()
    return _set_enabled(session, name, enabled=True)


def disable(session: Session, name: str) -> tuple[Plugin, bool]:
    """Disable a plugin; whether it was enabled. It goes on where it stopped when it is enabled. Raises NotFound."""
    return _set_enabled(session, name, enabled=False)


def _set_enabled(session: Session, name: str, *, enabled: bool) -> tuple[Plugin, bool]:
    with files.changing(session.repository) as plugins:
        before = find_plugin(plugins, name)
        if before is None:
            raise files.unknown(name, plugins)
        after = replace(before, enabled=enabled)
        plugins[plugins.index(before)] = after
    changed = before.enabled is not enabled
    if changed:
        _note(session, "plugin.enable" if enabled else "plugin.disable", after)
    return after, changed


def remove(session: Session, name: str, *, even_enabled: bool = False) -> Plugin:
    """Remove a plugin, and what the queues know of it. Raises NotFound; Conflict while it is enabled."""
    repository = session.repository
    with files.changing(repository) as plugins:
        plugin = find_plugin(plugins, name)
        if plugin is None:
            raise files.unknown(name, plugins)
        if plugin.enabled and not even_enabled:
            raise Conflict(
                f"plugin '{plugin.name}' is enabled",
                hint=f"disable it first: 'dbx plugin disable {plugin.name}', or say --disable",
            )
        plugins.remove(plugin)
    for domain in repository.domain_names():
        with suppress(Corrupt):  # the row that stays is set anew when a plugin of that name is configured
            jobs.forget_plugin(repository.domain(domain), plugin.name)
    _note(session, "plugin.remove", plugin)
    return plugin


def _note(session: Session, event: str, plugin: Plugin) -> None:
    """Tell the audit trail: by a plugin, data leaves the machine."""
    details = {
        "plugin": plugin.name,
        "kind": plugin.kind,
        "to": destination_of(plugin.config),
        "enabled": plugin.enabled,
        "payload_mode": plugin.payload_mode,
        "include_hidden": plugin.include_hidden,
    }
    audit.note(session, event, details)


def test(session: Session, names: Sequence[str], say: Callable[[str], None]) -> list[Tested]:
    """Send a sample to plugins, or to all that are enabled. Raises NotFound; Conflict for one that gets no events."""
    plugins = list_plugins(session)
    chosen = [get_plugin(session, name) for name in names] if names else [p for p in plugins if p.gets_events]
    for plugin in chosen:
        check_active(plugin)
    return [_test(session, plugin, say) for plugin in chosen]


def check_active(plugin: Plugin) -> None:
    """Raises Conflict unless it gets events."""
    if not plugin.enabled:
        raise Conflict(f"plugin '{plugin.name}' is disabled", hint=f"enable it with 'dbx plugin enable {plugin.name}'")
    if not plugin.emit_events:
        raise Conflict(f"plugin '{plugin.name}' gets no events: its emit_events is false")


def _test(session: Session, plugin: Plugin, say: Callable[[str], None]) -> Tested:
    sink = open_sink(plugin, surroundings(session, say))
    try:
        sink.check()
        outcome = sink.deliver(_sample(session, plugin))
    except DbxError as error:
        return Tested(plugin, error.message)
    finally:
        sink.close()
    return Tested(plugin, None if outcome.ok else outcome.error)


def _sample(session: Session, plugin: Plugin) -> Delivery:
    """EventDBX's sample: version 5 of a patient."""
    from dbx.model.cloudevents import to_cloudevent
    from dbx.model.delivery import make_parts
    from dbx.model.event import Aggregate

    domain = session.domain
    created_at = format_time(session.repository.clock())
    payload: Mapping[str, Any] = {"name": "Test Patient", "status": "active"}
    event = Event(
        "patient", "p-001", 5, "patient_updated", _SAMPLE_ID, created_at, session.actor, dict(payload),
        {"@test": True}, "a test", "cafe" * 16, _TEST, -1,
    )  # fmt: skip
    state = Aggregate("patient", "p-001", 5, dict(payload), {"@test": True}, "beef" * 16, created_at, created_at, False)
    schema = {"aggregate": "patient", "columns": {"name": "text", "status": "text"}, "events": {"patient_updated": {}}}
    parts = make_parts(plugin.payload_mode, event, state.root, state, schema)
    is_cloud = isinstance(plugin.config, HttpConfig) and plugin.config.format == "cloudevents"
    return Delivery(
        Where(domain.id, domain.name, plugin.name),
        _TEST,
        event.aggregate_type,
        event.aggregate_id,
        event.version,
        event.event_type,
        event.event_id,
        plugin.payload_mode,
        parts,
        cloudevent=to_cloudevent(event, domain.id) if is_cloud else None,
    )


def status(session: Session, names: Sequence[str] = ()) -> tuple[list[PluginState], int | None]:
    """How plugins stand in the domain, all by default, and the pid of the runner. Raises NotFound."""
    plugins = [get_plugin(session, name) for name in names] if names else list_plugins(session)
    if not plugins:
        return [], None
    found = jobs.survey(session.domain, plugins)
    return found.plugins, found.runner


def surroundings(
    session: Session, say: Callable[[str], None], stopping: Callable[[], bool] = lambda: False
) -> Surroundings:
    """What a plugin gets from outside."""
    repository, domain = session.repository, session.domain
    return Surroundings(
        say,
        lambda: format_time(repository.clock()),
        os.path.dirname(os.path.abspath(repository.path)),
        domain.name,
        domain.id,
        stopping=stopping,
    )
