"""Forget a plugin, and all that the queue knows of it."""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.pluginoptions import plugin_argument
from dbx.cli.render import emit
from dbx.cli.session import session


@define()
@plugin_argument
@click.option("--disable", is_flag=True, help="Remove it also while it is enabled.")
@pass_invocation
def command(invocation: Invocation, name: str, disable: bool) -> None:
    from dbx.ops.plugin import remove

    with session(invocation) as opened:
        plugin = remove(opened, name, even_enabled=disable)
    emit(invocation, {"name": plugin.name, "removed": True}, [f"Plugin '{plugin.name}' removed"])
