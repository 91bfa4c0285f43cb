"""List the plugins of the workspace."""

from __future__ import annotations

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.pluginoptions import plugin_line
from dbx.cli.render import emit
from dbx.cli.session import session


@define()
@pass_invocation
def command(invocation: Invocation) -> None:
    from dbx.model.plugin import shown_value
    from dbx.ops.plugin import list_plugins

    with session(invocation) as opened:
        found = list_plugins(opened)
    emit(
        invocation,
        [shown_value(plugin) for plugin in found],
        [plugin_line(plugin) for plugin in found] or ["(no plugins configured)"],
    )
