"""Stop a plugin from getting events; it goes on where it stopped when it is enabled again."""

from __future__ import annotations

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.pluginoptions import plugin_argument
from dbx.cli.render import emit
from dbx.cli.session import session


@define()
@plugin_argument
@pass_invocation
def command(invocation: Invocation, name: str) -> None:
    from dbx.ops.plugin import disable

    with session(invocation) as opened:
        plugin, changed = disable(opened, name)
    done = "disabled" if changed else "is already disabled"
    document = {"name": plugin.name, "enabled": False, "changed": changed}
    emit(invocation, document, [f"Plugin '{plugin.name}' {done}"])
