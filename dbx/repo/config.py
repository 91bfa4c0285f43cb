"""Settings: which there are, what they may be, and where they are kept.

A setting belongs to the workspace (config.yaml) or to a domain (`settings` in domain.yaml). A dotted name is nested
there: `user.name` is `name` below `user`. People edit both files, so what is read is checked like what is written.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.errors import Invalid
from dbx.formats.envelope import is_actor_text
from dbx.model.names import check_domain_name, quote
from dbx.model.restrict import parse_restrict
from dbx.model.snowflake import MAX_WORKER
from dbx.repo.domainfile import NAME as DOMAIN_FILE
from dbx.repo.domainfile import REFERENCE_DOMAIN, load_domain_file, write_domain_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dbx.repo.domain import Domain
    from dbx.repo.repository import Repository

WORKSPACE = "workspace"
DOMAIN = "domain"
_FORMAT = "format"


class Setting(NamedTuple):
    """A setting: `kind` is "integer" (of `low`..`high`), "boolean", "name", "domain" (a domain's name) or "restriction"
    (off, default, strict); `scope` WORKSPACE or DOMAIN.

    `default` None: without a value the setting has no effect, or dbx finds a value itself.
    """

    key: str
    scope: str
    kind: str
    default: int | bool | str | None
    low: int = 0
    high: int = 0


class Value(NamedTuple):
    """A setting as it is: its effective value, and whether that was set or is the default."""

    setting: Setting
    value: int | bool | str | None
    is_set: bool


SETTINGS: dict[str, Setting] = {
    setting.key: setting
    for setting in (
        Setting("auth.required", WORKSPACE, "boolean", False),
        Setting("env", DOMAIN, "name", None),
        Setting("list_page_size", WORKSPACE, "integer", 10, 1, 1_000_000),
        Setting("page_limit", WORKSPACE, "integer", 1000, 1, 1_000_000),
        Setting("plugin_max_attempts", WORKSPACE, "integer", 10, 1, 255),
        Setting("plugin_queue.prune.done_ttl_secs", WORKSPACE, "integer", 86_400, 0, 1_000_000_000),
        Setting("plugin_queue.prune.interval_secs", WORKSPACE, "integer", 300, 60, 1_000_000_000),
        Setting("plugin_queue.prune.max_done_jobs", WORKSPACE, "integer", None, 0, 1_000_000_000),
        Setting("reference_default_depth", DOMAIN, "integer", 2, 0, 5),
        Setting(REFERENCE_DOMAIN, DOMAIN, "domain", None),
        Setting("reference_max_depth", DOMAIN, "integer", 5, 0, 5),
        Setting("restrict", DOMAIN, "restriction", "default"),
        Setting("schema.require_publish", DOMAIN, "boolean", False),
        Setting("snapshot_threshold", DOMAIN, "integer", None, 1, 1_000_000_000),
        Setting("snowflake_worker_id", WORKSPACE, "integer", None, 0, MAX_WORKER),
        Setting("user.group", WORKSPACE, "name", None),
        Setting("user.name", WORKSPACE, "name", None),
        Setting("verbose_responses", WORKSPACE, "boolean", True),
    )
}


def get(repository: Repository, domain: Domain | None, key: str) -> Any:
    """The effective value of a setting; a domain's setting is its default when no domain is given.

    Raises Invalid for an unknown key, and when the file that holds the setting breaks a rule.
    """
    return get_value(repository, domain, key).value


def get_value(repository: Repository, domain: Domain | None, key: str) -> Value:
    """`get`, with where the value comes from."""
    setting = get_setting(key)
    found = _read_workspace(repository) if setting.scope == WORKSPACE else _read_domain(domain)
    return _value(setting, found)


def get_domain_value(domain: Domain, key: str) -> Any:
    """The effective value of a domain's setting, for who has no repository at hand. Raises Invalid."""
    return _value(get_setting(key), _read_domain(domain)).value


def list_values(repository: Repository, domain: Domain | None) -> list[Value]:
    """Every setting, sorted by key."""
    found = {**_read_workspace(repository), **_read_domain(domain)}
    return [_value(setting, found) for _, setting in sorted(SETTINGS.items())]


def change(
    repository: Repository, domain: Domain, values: Mapping[str, int | bool | str], unset: Iterable[str] = ()
) -> None:
    """Set and unset settings; all are checked before any is written. Raises Invalid, Locked."""
    changes: dict[str, int | bool | str | None] = {}
    for key in unset:
        changes[get_setting(key).key] = None
    for key, value in values.items():
        changes[key] = check(get_setting(key), value)
    mine = {key: value for key, value in changes.items() if SETTINGS[key].scope == WORKSPACE}
    others = {key: value for key, value in changes.items() if SETTINGS[key].scope == DOMAIN}
    # The domain's half goes first: only it can break a rule that spans two settings.
    if others:
        _change_domain(domain, others)
    if mine:
        lock = repository.lock()
        lock.acquire(repository.wait_s)
        try:
            whole = repository.read_config()
            settings = _merged(_read_workspace(repository), mine)
            repository.write_config({_FORMAT: whole.get(_FORMAT, 1), **_nested(settings)})
        finally:
            lock.close()


def get_setting(key: str) -> Setting:
    """The setting of that name. Raises Invalid with the nearest name there is."""
    found = SETTINGS.get(key)
    if found is None:
        raise Invalid(f"there is no setting {quote(key)}", hint=_suggest(key))
    return found


def parse(setting: Setting, text: str) -> int | bool | str:
    """A value as it is typed. Raises Invalid."""
    if setting.kind == "integer" and text.isascii() and text.isdigit() and len(text) < 16:
        return check(setting, int(text))
    if setting.kind == "boolean" and text in ("true", "false"):
        return text == "true"
    if setting.kind in ("name", "domain", "restriction"):
        return check(setting, text)
    raise _refusal(setting)


def check(setting: Setting, value: object) -> int | bool | str:
    """The value, if it is one that the setting may have. Raises Invalid, never with the value in it."""
    if setting.kind == "integer" and type(value) is int and setting.low <= value <= setting.high:
        return value
    if setting.kind == "boolean" and type(value) is bool:
        return value
    if setting.kind == "name" and isinstance(value, str) and is_actor_text(value):
        return value
    if setting.kind == "domain" and isinstance(value, str):
        return check_domain_name(value)
    if setting.kind == "restriction":
        return parse_restrict(value)
    raise _refusal(setting)


def describe(setting: Setting) -> str:
    """What a setting may be, as part of a sentence: "a whole number from 1 to 255"."""
    if setting.kind == "integer":
        return f"a whole number from {setting.low} to {setting.high}"
    if setting.kind == "boolean":
        return "true or false"
    if setting.kind == "domain":
        return "the name of a domain"
    if setting.kind == "restriction":
        return "off, default or strict"
    return "text of 1 to 128 characters without control characters"


def _refusal(setting: Setting) -> Invalid:
    return Invalid(f"'{setting.key}' must be {describe(setting)}", details={"key": setting.key})


def _suggest(key: str) -> str:
    import difflib

    near = difflib.get_close_matches(key, SETTINGS, 1)
    return f"did you mean '{near[0]}'?" if near else "see them all with 'dbx config'"


def _value(setting: Setting, found: Mapping[str, Any]) -> Value:
    return Value(setting, found.get(setting.key, setting.default), setting.key in found)


def _read_workspace(repository: Repository) -> dict[str, Any]:
    value = repository.read_config()
    value.pop(_FORMAT, None)
    return _checked(value, WORKSPACE, repository.directory.path_of("config.yaml"))


def _read_domain(domain: Domain | None) -> dict[str, Any]:
    if domain is None:
        return {}
    return _checked(domain.file.settings, DOMAIN, domain.directory.path_of(DOMAIN_FILE))


def _change_domain(domain: Domain, changes: Mapping[str, int | bool | str | None]) -> None:
    with domain.mutex:
        domain.lock.acquire(domain.wait_s)
        try:
            domain.forget_file()
            settings = _merged(_read_domain(domain), changes)
            file = replace(load_domain_file(domain.directory), settings=_nested(settings))
            write_domain_file(domain.directory, file)
            domain.forget_file()
        finally:
            domain.lock.release()


def _checked(value: Mapping[str, Any], scope: str, path: str) -> dict[str, Any]:
    """The settings of a file by their dotted names. Raises Invalid naming the file and the setting."""
    found = _flat(value)
    for key, item in list(found.items()):
        setting = SETTINGS.get(key)
        if setting is None:
            raise Invalid(
                f"'{path}' has the unknown setting {quote(key)}", hint=_suggest(key), details={"file": path, "key": key}
            )
        if setting.scope != scope:
            where = "config.yaml" if setting.scope == WORKSPACE else f"'settings' of a {DOMAIN_FILE}"
            raise Invalid(
                f"'{key}' does not belong into '{path}'",
                hint=f"it is a setting of the {setting.scope}: move it into {where}",
                details={"file": path, "key": key},
            )
        try:
            found[key] = check(setting, item)
        except Invalid as error:
            raise Invalid(f"in '{path}', {error.message}", details={"file": path, "key": key}) from None
    _check_depths(found)
    return found


def _flat(value: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings as one, with dotted names."""
    found: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            found.update((f"{key}.{name}", inner) for name, inner in _flat(item).items())
        else:
            found[key] = item
    return found


def _check_depths(found: Mapping[str, Any]) -> None:
    depth, most = (found.get(key, SETTINGS[key].default) for key in ("reference_default_depth", "reference_max_depth"))
    if depth > most:
        raise Invalid(
            f"'reference_default_depth' must not be above 'reference_max_depth', which is {most}",
            details={"key": "reference_default_depth"},
        )


def _merged(settings: dict[str, Any], changes: Mapping[str, int | bool | str | None]) -> dict[str, Any]:
    merged = {**settings, **changes}
    merged = {key: value for key, value in merged.items() if value is not None}
    _check_depths(merged)
    return merged


def _nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping that a settings file holds."""
    value: dict[str, Any] = {}
    for key, item in sorted(settings.items()):
        *above, name = key.split(".")
        inner = value
        for part in above:
            inner = inner.setdefault(part, {})
        inner[name] = item
    return value
