"""Make a schema: a file that declares an aggregate type and its events."""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.render import emit, pairs
from dbx.cli.schemashapes import schema_value, split_list
from dbx.cli.session import session


@define()
@click.argument("aggregate", metavar="TYPE", type=params.TYPE)
@click.option(
    "-e", "--events", metavar="EVENT[,EVENT]", multiple=True, required=True, help="The events it has. Repeatable."
)
@click.option(
    "-s",
    "--snapshot-threshold",
    metavar="N",
    type=click.IntRange(1, 1_000_000_000),
    help="After how many events a snapshot is taken.",
)
@pass_invocation
def command(invocation: Invocation, aggregate: str, events: tuple[str, ...], snapshot_threshold: int | None) -> None:
    from dbx.ops.schema import create_schema

    with session(invocation) as opened:
        made = create_schema(opened, aggregate, split_list(events), snapshot_threshold).schema
    text = {"schema": aggregate, "events": len(made.events), "snapshot_threshold": made.snapshot_threshold}
    emit(invocation, schema_value(made), [pairs(text)])
