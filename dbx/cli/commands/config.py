"""Read and change settings.

'dbx config' lists all of them; 'dbx config KEY' reads one, 'dbx config KEY VALUE' sets it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.dek import find_dek
from dbx.cli.frame import define
from dbx.cli.render import emit, fields, note
from dbx.cli.session import session
from dbx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from click.shell_completion import CompletionItem

    from dbx.repo.config import Value

# EventDBX's flags: each sets the setting of the same name.
_FLAGS = (
    "list_page_size",
    "page_limit",
    "snapshot_threshold",
    "snowflake_worker_id",
    "verbose_responses",
    "plugin_max_attempts",
    "reference_default_depth",
    "reference_max_depth",
)


def _complete(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    from dbx.ops.config import keys

    return [CompletionItem(key) for key in keys() if key.startswith(incomplete)]


def _flags(function: Callable[..., Any]) -> Callable[..., Any]:
    for key in reversed(_FLAGS):
        kind = "true|false" if key == "verbose_responses" else "N"
        option = click.option(f"--{key.replace('_', '-')}", key, metavar=kind, help=f"Set {key}.")
        function = option(function)
    return function


@define()
@click.argument("key", metavar="[KEY", required=False, shell_complete=_complete)
@click.argument("value", metavar="[VALUE]]", required=False)
@click.option("--list", "listed", is_flag=True, help="List all settings, as 'dbx config' alone does.")
@click.option("--unset", metavar="KEY", multiple=True, shell_complete=_complete, help="Back to the default.")
@_flags
@click.option("--clear-snapshot-threshold", is_flag=True, help="Unset snapshot_threshold.")
@click.option("--dek", metavar="BASE64|-", type=params.SECRET, help="Seal what is written from now on with this key.")
@click.option("--dek-file", metavar="FILE", help="As --dek, with the key in the first line of FILE.")
@click.option("--no-store", is_flag=True, help="Do not store the key: it comes from the environment each time.")
@pass_invocation
def command(
    invocation: Invocation,
    /,
    key: str | None,
    value: str | None,
    listed: bool,
    unset: tuple[str, ...],
    clear_snapshot_threshold: bool,
    dek: str | None,
    dek_file: str | None,
    no_store: bool,
    **flags: str | None,
) -> int:
    if dek is not None or dek_file is not None or no_store:
        if key is not None or listed or unset or clear_snapshot_threshold or any(flags.values()):
            raise UsageError("a DEK is set by itself")
        return _set_dek(invocation, dek, dek_file, store=not no_store)
    values = {name: text for name, text in flags.items() if text is not None}
    if clear_snapshot_threshold:
        unset = (*unset, "snapshot_threshold")
    if key is not None and value is not None:
        values = {**values, key: value}
    changing = bool(values or unset)
    if listed and (changing or key is not None):
        raise UsageError("'--list' stands alone")
    if changing and key is not None and value is None:
        raise UsageError(f"'{key}' has no value", hint=f"write 'dbx config {key} VALUE', or '--unset {key}'")
    if both := sorted(set(unset) & values.keys()):
        raise UsageError(f"'{both[0]}' is set and unset at once")
    return _change(invocation, values, unset) if changing else _read(invocation, key)


def _set_dek(invocation: Invocation, dek: str | None, dek_file: str | None, *, store: bool) -> int:
    from dbx.ops.sealing import parse_dek, set_dek

    text = params.find_secret(invocation, dek, dek_file, "DBX_DEK")
    found = find_dek(invocation)() if text is None else parse_dek(text)
    if found is None:
        raise UsageError("there is no DEK to set", hint="give one with --dek, --dek-file or DBX_DEK")
    with session(invocation) as opened:
        done = set_dek(opened, found, store=store)
    where = "the DEK is stored" if done.stored else "the DEK is not stored: set it in the environment"
    emit(invocation, done._asdict(), [f"seals with data key '{done.key_id}'; {where}"])
    return 0


def _change(invocation: Invocation, values: dict[str, str], unset: tuple[str, ...]) -> int:
    from dbx.ops.config import change_settings

    with session(invocation) as opened:
        changed = change_settings(opened, values, unset)
    emit(invocation, {"settings": [_value(one) for one in changed]}, _lines(changed))
    return 0


def _read(invocation: Invocation, key: str | None) -> int:
    from dbx.ops.config import get_setting, list_settings

    with session(invocation) as opened:
        found = list_settings(opened) if key is None else [get_setting(opened, key)]
    if key is None:
        emit(invocation, {"settings": [_value(one) for one in found]}, _lines(found))
        return 0
    shown = [] if found[0].value is None else [line.partition("=")[2] for line in _lines(found)]
    emit(invocation, _value(found[0]), shown)
    if found[0].value is None:
        note(invocation, f"'{key}' is not set")
        return 1
    return 0


def _value(one: Value) -> dict[str, Any]:
    return {
        "key": one.setting.key,
        "value": one.value,
        "set": one.is_set,
        "default": one.setting.default,
        "scope": one.setting.scope,
    }


def _lines(found: list[Value]) -> list[str]:
    return fields((one.setting.key, one.value) for one in found)
