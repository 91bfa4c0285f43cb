"""Hand our published schemas over to a remote, and nothing else."""

from __future__ import annotations

import click

from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.remoteoptions import access, counted, reach_options, remote_argument
from dbx.cli.render import emit
from dbx.cli.session import session
from dbx.cli.text import escape
from dbx.cli.transfers import pushed_value


@define()
@remote_argument
@click.option("--dry-run", is_flag=True, help="Say what would be pushed, and push nothing.")
@reach_options
@pass_invocation
def command(
    invocation: Invocation, remote: str | None, dry_run: bool, token: str | None, token_file: str | None
) -> None:
    from dbx.ops.push import push_schemas
    from dbx.ops.remote import find_way

    with session(invocation) as opened:
        meant, name = find_way(opened, remote)
        done = push_schemas(meant, name, access(invocation, token, token_file), dry_run=dry_run)
    where = f"remote '{done.remote}' ({escape(done.url)})"
    line = f"{'Would push' if dry_run else 'Pushed'} {counted(done.schemas, 'schema version')} to {where}."
    if done.up_to_date:
        line = f"The schemas at {where} are already up to date."
    emit(invocation, pushed_value(done), [line])
