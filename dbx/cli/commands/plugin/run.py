"""Deliver events to plugins as they are committed, until it is told to end.

SIGTERM and SIGINT end it after what is in flight. One runner for each domain.
"""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.pluginoptions import PLUGIN, run_now


@define()
@click.argument("names", metavar="[PLUGIN]…", nargs=-1, type=PLUGIN)
@click.option("--once", is_flag=True, help="Deliver what is due now, and end.")
@pass_invocation
def command(invocation: Invocation, names: tuple[str, ...], once: bool) -> None:
    run_now(invocation, names, once=once)
