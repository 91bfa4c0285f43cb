"""Import CloudEvents 1.0 in JSON: an event, an array of them, or one a line."""

from __future__ import annotations

import click

from dbx.cli import params
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.importing import emit_imported
from dbx.cli.session import session

_MAX_BYTES = 1 << 30


@define()
@click.argument("file", metavar="FILE|-")
@click.option(
    "--aggregate", "aggregate_type", metavar="TYPE", type=params.TYPE, help="All are of this type; subjects are ids."
)
@click.option("--dry-run", is_flag=True, help="Check everything, and write nothing.")
@click.pass_context
@pass_invocation
def command(invocation: Invocation, ctx: click.Context, file: str, aggregate_type: str | None, dry_run: bool) -> None:
    from dbx.ops.importing import import_cloudevents, parse_documents

    data = params.read_input(ctx, file, _MAX_BYTES, "what is to be imported")
    documents = parse_documents(data, "standard input" if file == "-" else file)
    with session(invocation) as opened:
        done = import_cloudevents(opened, documents, aggregate_type, dry_run=dry_run)
    emit_imported(invocation, done)
