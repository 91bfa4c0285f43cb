"""List the staged events, in the order of staging."""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.listing import show_staged, take_option
from dbx.cli.session import session


@define()
@click.argument("aggregate_type", metavar="[TYPE]", type=params.TYPE, required=False)
@take_option
@click.option("--jsonl", is_flag=True, help="Print one JSON document a line.")
@pass_invocation
def command(invocation: Invocation, aggregate_type: str | None, take: int | None, jsonl: bool) -> None:
    from dbx.ops.staged import list_staged

    with session(invocation) as opened:
        show_staged(invocation, list_staged(opened, aggregate_type), take=take, jsonl=jsonl)
