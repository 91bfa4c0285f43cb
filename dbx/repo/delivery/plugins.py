"""plugins.yaml: the plugins of a workspace, for all of its domains. It may hold secrets, so it is 0600.

format: 1
plugins:
  hook: {type: http, endpoint: https://example.org/hook, …}      (model/pluginparse.py)

Where the workspace has a DEK, the members SECRET of a plugin are together in one, `secret`, sealed.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dbx.errors import Conflict, Corrupt, DbxError, Denied, Invalid, KeyFailure, NotFound
from dbx.formats import canonical, yamltext
from dbx.model.names import quote
from dbx.model.plugin import MAX_PLUGINS, Plugin, find_plugin
from dbx.model.pluginparse import parse_plugin, to_document
from dbx.repo.vault.secrets import seal_text, unseal_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dbx.repo.repository import Repository

NAME = "plugins.yaml"
_MAX_BYTES = 1 << 20
SECRET = ("headers", "hmac_key", "args", "env")


def read_plugins(repository: Repository) -> list[Plugin]:
    """Every plugin, sorted by name. Raises Invalid naming the plugin that is wrong, Denied where others can read it."""
    if not repository.directory.exists(NAME):
        return []
    path = repository.directory.path_of(NAME)
    try:
        data = repository.directory.read_secret(NAME, _MAX_BYTES)
    except KeyFailure as error:
        raise Denied(error.message, hint=error.hint) from None
    value = yamltext.load(data, name=path)
    if not isinstance(value, dict) or not value.keys() <= {"format", "plugins"}:
        raise Invalid(f"'{path}' must have 'format' and 'plugins'", details={"file": path})
    if value.get("format") != 1:
        raise Corrupt(f"'{path}' was written by a newer dbx", hint="upgrade dbx", details={"file": path})
    found = value.get("plugins") or {}
    if not isinstance(found, dict) or len(found) > MAX_PLUGINS:
        raise Invalid(f"'plugins' in '{path}' is a mapping of at most {MAX_PLUGINS}", details={"file": path})
    plugins: list[Plugin] = []
    for name, document in found.items():
        try:
            plugin = parse_plugin(str(name), _opened(repository, str(name), document))
        except (KeyFailure, Corrupt):
            raise
        except DbxError as error:
            raise Invalid(
                f"in '{path}', the plugin {quote(str(name))}: {error.message}",
                hint=error.hint,
                details={"file": path, "plugin": str(name)},
            ) from None
        if find_plugin(plugins, plugin.name) is not None:
            raise Invalid(f"in '{path}', two plugins are called {quote(plugin.name)}", details={"file": path})
        plugins.append(plugin)
    return sorted(plugins, key=lambda plugin: plugin.name)


def get_plugin(repository: Repository, name: str) -> Plugin:
    """The plugin of that name, without regard to case. Raises NotFound with the nearest name there is."""
    plugins = read_plugins(repository)
    found = find_plugin(plugins, name)
    if found is None:
        raise unknown(name, plugins)
    return found


def stamp_plugins(repository: Repository) -> tuple[int, int, int]:
    """What is another one once plugins.yaml is another file."""
    try:
        found = os.stat(repository.directory.path_of(NAME))
    except FileNotFoundError:
        return (0, 0, 0)
    return found.st_ino, found.st_mtime_ns, found.st_size


def unknown(name: str, plugins: Sequence[Plugin]) -> NotFound:
    """The error for a name that no plugin has."""
    import difflib

    names = [plugin.name for plugin in plugins]
    near = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean '{near[0]}'?" if near else "configure it with 'dbx plugin config'"
    return NotFound(f"no plugin named {quote(name)} is configured", hint=hint, details={"known": names})


@contextmanager
def changing(repository: Repository, *, again: bool = False) -> Iterator[list[Plugin]]:
    """The plugins, to be changed in place, under the workspace's lock; saved when that went well and they are others.

    With `again` they are saved in any case. Raises Conflict when there would be too many.
    """
    lock = repository.lock()
    lock.acquire(repository.wait_s)
    try:
        plugins = read_plugins(repository)
        before = list(plugins)
        yield plugins
        if len(plugins) > MAX_PLUGINS:
            raise Conflict(f"a workspace has at most {MAX_PLUGINS} plugins")
        if plugins != before or again:
            _write(repository, plugins)
    finally:
        lock.close()


def _write(repository: Repository, plugins: Sequence[Plugin]) -> None:
    ordered = sorted(plugins, key=lambda plugin: plugin.name)
    value = {plugin.name: _sealed(repository, plugin) for plugin in ordered}
    repository.directory.write(NAME, yamltext.dump({"format": 1, "plugins": value}))


def reseal_plugins(repository: Repository) -> None:
    """Seal what is secret in the plugins under the current key. Raises KeyFailure."""
    if repository.directory.exists(NAME):
        with changing(repository, again=True):
            pass


def _sealed(repository: Repository, plugin: Plugin) -> dict[str, Any]:
    document = to_document(plugin)
    secret = {name: document.pop(name) for name in SECRET if name in document} if repository.vault.seals else {}
    if secret:
        document["secret"] = seal_text(repository.vault, canonical.encode_text(secret), _place(plugin.name))
    return document


def _opened(repository: Repository, name: str, document: Any) -> Any:
    if not isinstance(document, dict) or "secret" not in document:
        return document
    sealed = document["secret"]
    if not isinstance(sealed, str):
        raise Invalid("'secret' is a text")
    secret = canonical.loads(unseal_text(repository.vault, sealed, _place(name)), what="'secret'")
    if not isinstance(secret, dict) or not secret.keys() <= set(SECRET):
        raise Invalid("'secret' does not hold what it may hold")
    return {**{key: value for key, value in document.items() if key != "secret"}, **secret}


def _place(name: str) -> str:
    return f"plugins.yaml/{name}"
