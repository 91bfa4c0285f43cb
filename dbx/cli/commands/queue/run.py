"""Deliver what waits, as 'dbx plugin run' does."""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.pluginoptions import run_now


@define()
@click.option("--once", is_flag=True, help="Deliver what is due now, and end.")
@pass_invocation
def command(invocation: Invocation, once: bool) -> None:
    run_now(invocation, (), once=once)
