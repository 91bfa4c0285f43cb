"""What a plugin is: its kind, what it is sent and how it is reached. Values and their checks only; no files.

name: hook                        [A-Za-z0-9][A-Za-z0-9_.-]{0,63}, unique without regard to case
enabled, emit_events: true        both must be, for it to get events
payload_mode: all                 MODES
include_hidden: false             whether it gets the fields that schemas hide
on_dead: skip                     what comes of an aggregate whose event is dead: its later events go on, or are held
config: {type: http, …}           HttpConfig, TcpConfig, LogConfig or ProcessConfig
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from dbx.errors import Invalid
from dbx.model.names import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

KINDS = ("http", "log", "process", "tcp")
MODES = ("all", "event-only", "state-only", "schema-only", "event-and-schema", "extensions-only")
PRIORITIES = ("low", "normal", "high")
LEVELS = ("trace", "debug", "info", "warn", "error")
FORMATS = ("eventdbx", "cloudevents")
ON_DEAD = ("skip", "hold")
MAX_PLUGINS = 100
MAX_NAME_CHARS = 64
BACKOFF_S = (1.0, 2.0, 4.0, 10.0)
"""How long to wait after the first, second, third and every later failed attempt (EventDBX's)."""
JITTER = 0.25
"""So much longer, at most, as a part of the wait: plugins that failed together do not come back together."""
_match_name = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}").fullmatch


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """A web hook. `headers` are (name, value) pairs; `hmac_key` signs the body; `timeout_s` bounds an attempt."""

    endpoint: str
    headers: tuple[tuple[str, str], ...] = ()
    hmac_key: str | None = None
    format: str = "eventdbx"
    allow_private: bool = False
    timeout_s: float = 5.0


@dataclass(frozen=True, slots=True)
class TcpConfig:
    """A listener that is sent one JSON line by each connection."""

    host: str
    port: int
    allow_private: bool = False
    timeout_s: float = 5.0


@dataclass(frozen=True, slots=True)
class LogConfig:
    """Lines of text in a file, or on standard error where `file` is None."""

    level: str = "info"
    template: str | None = None
    file: str | None = None


@dataclass(frozen=True, slots=True)
class ProcessConfig:
    """A program that is spoken to over pipes (dbx-plugin(7)). `env` are (name, value) pairs."""

    command: str
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    working_dir: str | None = None
    version: str | None = None
    timeout_s: float = 60.0


Config: TypeAlias = HttpConfig | TcpConfig | LogConfig | ProcessConfig


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin as it is configured. `created_at` is a time as events have it: what is older it does not get."""

    name: str
    config: Config
    created_at: str
    enabled: bool = True
    emit_events: bool = True
    payload_mode: str = "all"
    include_hidden: bool = False
    on_dead: str = "skip"

    @property
    def kind(self) -> str:
        """One of KINDS."""
        return kind_of(self.config)

    @property
    def label(self) -> str:
        """`http (hook)`, as EventDBX names a plugin."""
        return f"{self.kind} ({self.name})"

    @property
    def gets_events(self) -> bool:
        """Whether it is sent anything."""
        return self.enabled and self.emit_events


class Publish(NamedTuple):
    """`--publish PLUGIN[:MODE[:PRIORITY]]`; `mode` None is the plugin's own."""

    plugin: str
    mode: str | None
    priority: str


def kind_of(config: Config) -> str:
    """The kind that a configuration is for."""
    if isinstance(config, HttpConfig):
        return "http"
    if isinstance(config, TcpConfig):
        return "tcp"
    return "log" if isinstance(config, LogConfig) else "process"


def destination_of(config: Config) -> str:
    """Where a plugin leads, without what may be secret in it: of an address only the scheme, the host and the port."""
    if isinstance(config, HttpConfig):
        parts = urlsplit(config.endpoint)
        return f"{parts.scheme}://{parts.netloc}"
    if isinstance(config, TcpConfig):
        return f"{config.host}:{config.port}"
    return config.command if isinstance(config, ProcessConfig) else config.file or "standard error"


def check_plugin_name(name: str) -> str:
    """The name, if a plugin may have it. Raises Invalid."""
    if _match_name(name):
        return name
    raise Invalid(
        f"{quote(name)} is not a plugin's name",
        hint=f"1 to {MAX_NAME_CHARS} letters, digits, '_', '.' and '-', the first a letter or a digit",
    )


def check_word(value: object, words: tuple[str, ...], what: str) -> str:
    """The value, if it is one of the words. Raises Invalid, with the word that was probably meant."""
    if isinstance(value, str) and value in words:
        return value
    import difflib

    shown = quote(value) if isinstance(value, str) else "what is not a text"
    near = difflib.get_close_matches(value, words, 1) if isinstance(value, str) else []
    hint = f"did you mean '{near[0]}'?" if near else f"it is one of {', '.join(words)}"
    raise Invalid(f"there is no {what} {shown}", hint=hint)


def check_mode(value: object) -> str:
    """A payload mode. Raises Invalid."""
    return check_word(value, MODES, "payload mode")


def parse_publish(text: str) -> Publish:
    """What `--publish` says, its words checked; whether there is such a plugin is asked elsewhere. Raises Invalid."""
    name, *rest = text.split(":")
    if len(rest) > 2:
        raise Invalid(
            f"{quote(text)} has more than three parts", hint="write PLUGIN, PLUGIN:MODE or PLUGIN:MODE:PRIORITY"
        )
    mode = check_mode(rest[0]) if rest and rest[0] else None
    priority = check_word(rest[1], PRIORITIES, "priority") if len(rest) == 2 else "normal"
    return Publish(check_plugin_name(name), mode, priority)


def find_plugin(plugins: Iterable[Plugin], name: str) -> Plugin | None:
    """The plugin of that name, without regard to case."""
    wanted = name.lower()
    return next((plugin for plugin in plugins if plugin.name.lower() == wanted), None)


def backoff_s(attempts: int, chance: float) -> float:
    """How long to wait after so many failed attempts; `chance` from 0 to 1 draws the jitter."""
    return BACKOFF_S[min(max(attempts, 1), len(BACKOFF_S)) - 1] * (1 + JITTER * chance)


def shown_value(plugin: Plugin) -> dict[str, Any]:
    """A plugin as EventDBX lists it, with what is secret in it left out: of headers and variables only the names."""
    config = plugin.config
    value: dict[str, Any] = {"type": plugin.kind}
    if isinstance(config, HttpConfig):
        value |= {
            "endpoint": config.endpoint,
            "headers": dict.fromkeys((name for name, _ in config.headers), "***"),
            "https": config.endpoint.startswith("https:"),
            "signed": config.hmac_key is not None,
            "format": config.format,
            "allow_private": config.allow_private,
            "timeout_secs": config.timeout_s,
        }
    elif isinstance(config, TcpConfig):
        value |= {"host": config.host, "port": config.port}
        value |= {"allow_private": config.allow_private, "timeout_secs": config.timeout_s}
    elif isinstance(config, LogConfig):
        value |= {"level": config.level, "template": config.template, "file": config.file}
    else:
        value |= {
            "name": config.command,
            "version": config.version,
            "args": list(config.args),
            "env": dict.fromkeys((name for name, _ in config.env), "***"),
            "working_dir": config.working_dir,
            "timeout_secs": config.timeout_s,
        }
    return {
        "name": plugin.name,
        "enabled": plugin.enabled,
        "emit_events": plugin.emit_events,
        "payload_mode": plugin.payload_mode,
        "include_hidden": plugin.include_hidden,
        "on_dead": plugin.on_dead,
        "created_at": plugin.created_at,
        "config": value,
    }
