"""Plugins as plugins.yaml holds them, and back. Strict: an unknown member or word is an error. Pure.

hook:
  type: http
  enabled: true
  emit_events: true
  payload_mode: all
  include_hidden: false
  on_dead: skip
  created_at: 2026-11-23T07:42:00.000000Z
  endpoint: https://example.org/hook     and the other members of HttpConfig, TcpConfig, LogConfig or ProcessConfig
"""

from __future__ import annotations

import difflib
import ipaddress
import math
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dbx.errors import Denied, Invalid
from dbx.model import plugin as values
from dbx.model.names import quote
from dbx.model.plugin import Config, HttpConfig, LogConfig, Plugin, ProcessConfig, TcpConfig
from dbx.model.time import normalise_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_TEXT_CHARS = 4096
MAX_TIMEOUT_S = 3600.0
_MAX_PAIRS = 100
_SHARED = frozenset(("type", "enabled", "emit_events", "payload_mode", "include_hidden", "on_dead", "created_at"))
_OWN_HEADERS = frozenset(
    ("content-length", "transfer-encoding", "host", "connection", "expect", "upgrade", "te", "trailer")
)
_HINT_PRIVATE = "if that is meant, say --allow-private"
_match_token = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}").fullmatch
_match_header_value = re.compile(r"[\x20-\x7e]{0,8192}").fullmatch
_match_variable = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}").fullmatch
_match_host = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9])?\.?").fullmatch
_match_numeric = re.compile(r"(?:0[xX][0-9A-Fa-f]*|[0-9]+)(?:\.(?:0[xX][0-9A-Fa-f]*|[0-9]+))*\.?").fullmatch
PLACEHOLDERS = frozenset(
    (
        "aggregate",
        "id",
        "event",
        "version",
        "event_id",
        "position",
        "delivery_id",
        "domain",
        "plugin",
        "payload",
        "state",
    )
)
"""What a template of the log plugin may ask for; the first three are EventDBX's."""
find_placeholders = re.compile(r"\{([a-z_]+)\}").finditer


def parse_plugin(name: str, document: object) -> Plugin:
    """A plugin from what plugins.yaml holds under its name. Raises Invalid, Denied."""
    values.check_plugin_name(name)
    if not isinstance(document, dict):
        raise Invalid("a plugin is a mapping")
    kind = values.check_word(document.get("type"), values.KINDS, "plugin kind")
    parse, members = _KINDS[kind]
    for key in document:
        if key not in _SHARED and key not in members:
            known = sorted(_SHARED | members)
            near = difflib.get_close_matches(str(key), known, 1)
            raise Invalid(f"unknown member {quote(str(key))}", hint=f"did you mean '{near[0]}'?" if near else None)
    return Plugin(
        name,
        parse(document),
        normalise_time(document.get("created_at")),
        _flag(document, "enabled", default=True),
        _flag(document, "emit_events", default=True),
        values.check_mode(document.get("payload_mode", "all")),
        _flag(document, "include_hidden", default=False),
        values.check_word(document.get("on_dead", "skip"), values.ON_DEAD, "word for on_dead"),
    )


def to_document(plugin: Plugin) -> dict[str, Any]:
    """What plugins.yaml holds under the plugin's name; members that are not set are left out."""
    document: dict[str, Any] = {
        "type": plugin.kind,
        "enabled": plugin.enabled,
        "emit_events": plugin.emit_events,
        "payload_mode": plugin.payload_mode,
        "include_hidden": plugin.include_hidden,
        "on_dead": plugin.on_dead,
        "created_at": plugin.created_at,
    }
    for name in sorted(_KINDS[plugin.kind][1]):
        value = getattr(plugin.config, name)
        if name in ("headers", "env"):
            value = dict(value)
        elif name == "args":
            value = list(value)
        if value not in (None, {}, []):
            document[name] = value
    return document


def check_config(config: Config) -> Config:
    """The configuration, if it is one that plugins.yaml may hold. Raises Invalid, Denied."""
    whole = to_document(Plugin("x", config, "1970-01-01T00:00:00.000000Z"))
    return parse_plugin("x", whole).config


def normalise_endpoint(text: str, *, https: bool = False) -> str:
    """The URL of a web hook as it is typed; without a scheme http, or https where that is wanted. Raises Invalid."""
    if "://" not in text:
        text = f"{'https' if https else 'http'}://{text}"
    elif https and not text.lower().startswith("https://"):
        raise Invalid("the endpoint is not https, and '--https' wants that")
    return text


def check_address(address: str, *, allow_private: bool) -> str | None:
    """Why an IP address may not be connected to; None where it may. IPv4 addresses within IPv6 ones are looked at."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return f"{quote(address)} is no IP address"
    inner = getattr(found, "ipv4_mapped", None) or getattr(found, "sixtofour", None)
    if inner is None and isinstance(found, ipaddress.IPv6Address) and found in _NAT64:
        inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
    for one in (found, inner):
        if one is None:
            continue
        if one.is_multicast or one.is_unspecified:
            return f"'{address}' is not the address of a host"
        if not allow_private and not one.is_global:
            return f"'{address}' is a private address"
    return None


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def _check_host(host: str, *, allow_private: bool) -> None:
    """A host's name, or its address. Raises Invalid; Denied for what is known to be private without a look-up."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if not _match_host(host):
            raise Invalid("the host is neither a name nor an address") from None
        if _match_numeric(host):
            raise Invalid("the host's address is not spelled as addresses are", hint="as in 192.0.2.7") from None
        local = host.lower().rstrip(".")
        if not allow_private and (local == "localhost" or local.endswith(".localhost")):
            raise Denied(f"{quote(host)} is this machine", hint=_HINT_PRIVATE) from None
        return
    why = check_address(host, allow_private=allow_private)
    if why is not None:
        raise Denied(why, hint=_HINT_PRIVATE)


def _http(document: Mapping[str, Any]) -> HttpConfig:
    endpoint = _text(document, "endpoint")
    allow_private = _flag(document, "allow_private", default=False)
    check_endpoint(endpoint, allow_private=allow_private)
    headers = _pairs(document, "headers")
    for name, value in headers:
        if not _match_token(name) or not _match_header_value(value) or value != value.strip():
            raise Invalid(f"{quote(name)} is not a header, or its value is not printable ASCII")
        if name.lower() in _OWN_HEADERS:
            raise Invalid(f"the header '{name}' is dbx's own to set")
    if len({name.lower() for name, _ in headers}) < len(headers):
        raise Invalid("a header is given twice")
    return HttpConfig(
        endpoint,
        headers,
        _text(document, "hmac_key", None),
        values.check_word(document.get("format", "eventdbx"), values.FORMATS, "format"),
        allow_private,
        _timeout(document, 5.0),
    )


def check_endpoint(endpoint: str, *, allow_private: bool) -> None:
    """Raises Invalid for what is no http or https URL, Denied for an address that is known to be private."""
    if not re.fullmatch(r"[!-~]{1,4096}", endpoint):
        raise Invalid("the endpoint is not a URL of printable ASCII")
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError:
        raise Invalid("the endpoint is not a URL") from None
    if parts.scheme not in ("http", "https"):
        raise Invalid("the endpoint is not an http or https URL")
    if not parts.hostname or port == 0:
        raise Invalid("the endpoint names no host, or no port that can be")
    if parts.username is not None or parts.password is not None:
        raise Invalid("the endpoint must not hold a password", hint="send it as a header: --header Authorization=…")
    if parts.fragment:
        raise Invalid("the endpoint must not have a fragment")
    _check_host(parts.hostname, allow_private=allow_private)


def _tcp(document: Mapping[str, Any]) -> TcpConfig:
    host = _text(document, "host")
    port = document.get("port")
    if type(port) is not int or not 0 < port < 65536:
        raise Invalid("the port is a whole number from 1 to 65535")
    allow_private = _flag(document, "allow_private", default=False)
    _check_host(host.removeprefix("[").removesuffix("]"), allow_private=allow_private)
    return TcpConfig(host.removeprefix("[").removesuffix("]"), port, allow_private, _timeout(document, 5.0))


def _log(document: Mapping[str, Any]) -> LogConfig:
    template = _text(document, "template", None)
    for found in find_placeholders(template or ""):
        if found[1] not in PLACEHOLDERS:
            near = difflib.get_close_matches(found[1], PLACEHOLDERS, 1)
            hint = f"did you mean '{{{near[0]}}}'?" if near else f"there are {', '.join(sorted(PLACEHOLDERS))}"
            raise Invalid(f"the template has the unknown placeholder '{found[0]}'", hint=hint)
    file = _text(document, "file", None)
    if file is not None and not file.startswith("/"):
        raise Invalid("the file of a log plugin is named by its whole path")
    return LogConfig(values.check_word(document.get("level", "info"), values.LEVELS, "level"), template, file)


def _process(document: Mapping[str, Any]) -> ProcessConfig:
    env = _pairs(document, "env")
    for name, _ in env:
        if not _match_variable(name):
            raise Invalid(f"{quote(name)} is not the name of a variable")
    args = document.get("args", [])
    if not isinstance(args, list) or len(args) > _MAX_PAIRS or not all(_is_text(arg, empty=True) for arg in args):
        raise Invalid("'args' is a list of texts")
    working_dir = _text(document, "working_dir", None)
    if working_dir is not None and not working_dir.startswith("/"):
        raise Invalid("the working directory is named by its whole path")
    command = _text(document, "command")
    if not command.startswith("/"):
        raise Invalid("the program of a plugin is named by its whole path")
    return ProcessConfig(
        command, tuple(args), env, working_dir, _text(document, "version", None), _timeout(document, 60.0)
    )


_KINDS: dict[str, tuple[Callable[[Mapping[str, Any]], Config], frozenset[str]]] = {
    "http": (_http, frozenset(("endpoint", "headers", "hmac_key", "format", "allow_private", "timeout_s"))),
    "tcp": (_tcp, frozenset(("host", "port", "allow_private", "timeout_s"))),
    "log": (_log, frozenset(("level", "template", "file"))),
    "process": (_process, frozenset(("command", "args", "env", "working_dir", "version", "timeout_s"))),
}


def _is_text(value: object, *, empty: bool = False) -> bool:
    return isinstance(value, str) and (empty or bool(value)) and len(value) <= MAX_TEXT_CHARS and "\0" not in value


_REQUIRED: Any = object()


def _text(document: Mapping[str, Any], name: str, default: Any = _REQUIRED) -> Any:
    value = document.get(name, default)
    if value is default and default is not _REQUIRED:
        return value
    if not _is_text(value):
        raise Invalid(f"'{name}' is a text of 1 to {MAX_TEXT_CHARS} characters")
    return value


def _flag(document: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = document.get(name, default)
    if not isinstance(value, bool):
        raise Invalid(f"'{name}' is true or false")
    return value


def _timeout(document: Mapping[str, Any], default: float) -> float:
    value = document.get("timeout_s", default)
    number = type(value) in (int, float) and math.isfinite(value)
    if not number or not 0.01 <= value <= MAX_TIMEOUT_S:
        raise Invalid(f"the timeout is from 0.01 to {MAX_TIMEOUT_S:g} seconds")
    return float(value)


def _pairs(document: Mapping[str, Any], name: str) -> tuple[tuple[str, str], ...]:
    value = document.get(name, {})
    if not isinstance(value, dict) or len(value) > _MAX_PAIRS:
        raise Invalid(f"'{name}' is a mapping of at most {_MAX_PAIRS} names to texts")
    for key, text in value.items():
        if not _is_text(key) or not _is_text(text, empty=True):
            raise Invalid(f"'{name}' is a mapping of names to texts")
    return tuple(value.items())
