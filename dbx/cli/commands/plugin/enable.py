"""Let a plugin have events, after seeing that it can be reached."""

from __future__ import annotations

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.pluginoptions import line_out, plugin_argument
from dbx.cli.render import emit
from dbx.cli.session import session


@define()
@plugin_argument
@pass_invocation
def command(invocation: Invocation, name: str) -> None:
    from dbx.ops.plugin import enable

    with session(invocation) as opened:
        plugin, changed = enable(opened, name, line_out)
    done = "enabled" if changed else "is already enabled"
    document = {"name": plugin.name, "enabled": True, "changed": changed}
    emit(invocation, document, [f"Plugin '{plugin.name}' {done}"])
