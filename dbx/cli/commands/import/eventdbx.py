"""Import what EventDBX's command line exported: events, aggregates, states and schemas, a file or a directory.

Its hashes, roots, versions and states are compared, and each difference is reported.
"""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.importing import emit_imported
from dbx.cli.session import session


@define()
@click.argument("path", metavar="FILE|DIR")
@click.option("--dry-run", is_flag=True, help="Read and compare everything, and write nothing.")
@pass_invocation
def command(invocation: Invocation, path: str, dry_run: bool) -> None:
    from dbx.ops.importing import import_eventdbx

    with session(invocation) as opened:
        done = import_eventdbx(opened, path, dry_run=dry_run)
    emit_imported(invocation, done)
