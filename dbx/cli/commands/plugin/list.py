"""List the plugins of the workspace."""

from __future__ import annotations

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.pluginoptions import plugin_line, runtime_value
from dbx.cli.render import emit
from dbx.cli.session import session


@define()
@pass_invocation
def command(invocation: Invocation) -> None:
    from dbx.model.plugin import shown_value
    from dbx.ops.plugin import find_runner, list_plugins

    with session(invocation) as opened:
        found = list_plugins(opened)
        processes = any(plugin.kind == "process" for plugin in found)
        runtime = runtime_value(find_runner(opened)) if processes else {}
    emit(
        invocation,
        [{**shown_value(plugin), **({"runtime": runtime} if plugin.kind == "process" else {})} for plugin in found],
        [plugin_line(plugin) for plugin in found] or ["(no plugins configured)"],
    )
